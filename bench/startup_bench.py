"""How long it takes until something can be seen: `python -m bench.startup_bench`.

`zap2 --help` beside a bare Python, and `zap2 chat` to its first paint in a pty beside a Textual app that shows one
line. The candidates take turns, so that a busy machine is equally busy for all of them.
"""

from __future__ import annotations

import os
import pty
import select
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

ROUNDS: Final = 9
_PATIENCE_S: Final = 60.0
_BARE_APP: Final = """
from textual.app import App
from textual.widgets import Static
class Bare(App[None]):
    def compose(self):
        yield Static("Which relay?")
Bare().run()
"""


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **os.environ,
            "ZAP2_CONFIG_DIR": str(Path(folder) / "config"),
            "TERM": "xterm-256color",
        }
        python = sys.executable

        def run(*arguments: str) -> Callable[[], float]:
            return lambda: _to_its_end([python, *arguments], environment)

        def paint(*arguments: str) -> Callable[[], float]:
            return lambda: _to_first_paint([python, *arguments], environment)

        candidates = {
            "python -c pass": run("-c", "pass"),
            "zap2 --help": run("-m", "zap2", "--help"),
            "zap2 send --help": run("-m", "zap2", "send", "--help"),
            "bare Textual app, first paint": paint("-c", _BARE_APP),
            "zap2 chat, first paint": paint("-m", "zap2", "chat"),
        }
        taken_s: dict[str, list[float]] = {name: [] for name in candidates}
        for _ in range(ROUNDS):
            for name, measure in candidates.items():
                taken_s[name].append(measure())
    for name, times_s in taken_s.items():
        print(f"{name:<32} {statistics.median(times_s) * 1000:6.0f} ms  (best {min(times_s) * 1000:.0f})")
    _print_ratio(taken_s, "zap2 --help", "python -c pass")
    _print_ratio(taken_s, "zap2 chat, first paint", "bare Textual app, first paint")


def _print_ratio(taken_s: dict[str, list[float]], one: str, other: str) -> None:
    ratio = statistics.median(a / b for a, b in zip(taken_s[one], taken_s[other], strict=True))
    print(f"{one} : {other} = {ratio:.2f}")


def _to_its_end(command: list[str], environment: dict[str, str]) -> float:
    began_at = time.perf_counter()
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began_at


def _to_first_paint(command: list[str], environment: dict[str, str]) -> float:
    ours, theirs = pty.openpty()
    began_at = time.perf_counter()
    process = subprocess.Popen(
        command, env=environment, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    try:
        written = b""
        while b"Which relay" not in written:
            ready, _, _ = select.select([ours], [], [], _PATIENCE_S)
            if not ready:
                raise TimeoutError(f"{command} painted nothing")
            written += os.read(ours, 65_536)
        return time.perf_counter() - began_at
    finally:
        process.kill()
        process.wait()
        os.close(ours)


if __name__ == "__main__":
    main()
