"""How quick the screen is: `python -m bench.tui_bench`.

Start: from the start of the process to the first paint with the conversation in it, beside a Textual app with
nothing but one line of text, both runs interleaved. Transcript: laying out, appending and resizing with 100,000
loaded messages, each up to the paint after it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

MESSAGES: Final = 100_000
SIZE: Final = (100, 40)
_STARTED: Final = "ZAP2_BENCH_STARTED_S"


def _report_start() -> None:
    print(time.time() - float(os.environ[_STARTED]))


def _run_bare() -> None:
    from textual.app import App, ComposeResult
    from textual.widgets import Static

    class Bare(App[None]):
        def compose(self) -> ComposeResult:
            yield Static("hello")

        def on_mount(self) -> None:
            self.call_after_refresh(self._painted)

        def _painted(self) -> None:
            _report_start()
            self.exit()

    Bare().run(headless=True, size=SIZE)


def _run_chat() -> None:
    from textual.pilot import Pilot

    from tests.tui.running import is_listed, until
    from tests.tui.seeds import furnished
    from tests.tui.stage import StoppedClock
    from tests.tui.stage_door import StageEntrance
    from zap2.tui.app import Zap2App

    client, _ = furnished()
    app = Zap2App(StageEntrance(client), opened=client, clock=StoppedClock().clock())

    async def drive(pilot: Pilot[object]) -> None:
        await until(pilot, lambda: len(app.screen_stack) > 1 and is_listed(app))
        _report_start()
        app.exit()

    asyncio.run(app.run_async(headless=True, size=SIZE, auto_pilot=drive))


def measure_start(rounds: int) -> dict[str, float]:
    """Start both apps in turn; gives the median seconds of each."""
    taken: dict[str, list[float]] = {"bare": [], "chat": []}
    for _ in range(rounds):
        for kind, times in taken.items():
            environment = {**os.environ, _STARTED: str(time.time())}
            command = [sys.executable, "-m", "bench.tui_bench", "--child", kind]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
            times.append(float(done.stdout.split()[-1]))
    return {kind: statistics.median(times) for kind, times in taken.items()}


async def measure_transcript(count: int) -> dict[str, float]:
    """Load `count` messages and change things; gives seconds by name."""
    from tests.tui.running import app_for, chat, running
    from tests.tui.stage import MINUTE_MS, NOW_MS, StageClient

    client = StageClient()
    ada = client.add_person("Ada")
    words = ("the", "engine", "weaves", "algebraic", "patterns", "as", "the", "loom", "weaves", "flowers")
    for number in range(count):
        text = " ".join(words[number % 7 :]) * (1 + number % 3)
        client.write(ada, text, at_ms=NOW_MS - (count - number) * MINUTE_MS, tell=False)
    app = app_for(client)
    taken: dict[str, float] = {}
    async with running(app, SIZE) as pilot:
        transcript = chat(app).pane.transcript

        async def timed(name: str, change: Callable[[], Awaitable[object] | None]) -> None:
            painted = asyncio.Event()
            began = time.perf_counter()
            waiting = change()
            if waiting is not None:
                await waiting
            transcript.call_after_refresh(painted.set)
            await painted.wait()
            taken[name] = time.perf_counter() - began

        await timed("lay out", lambda: transcript.show_page(client.threads[ada], exhausted=True))
        transcript.action_page(-1)  # at the bottom the transcript keeps only the newest pages
        for number in range(5):
            message = client.write(ada, f"one more {number}", tell=False)
            await timed("append", lambda message=message: transcript.put(message))  # type: ignore[misc]  # mypy cannot infer a lambda with a default

        async def resize() -> None:
            before = transcript.rows.width
            await pilot.resize_terminal(80, 30)
            while transcript.rows.width == before:
                await pilot.pause(0.01)

        await timed("resize", resize)
        await timed("page up", lambda: transcript.action_page(-1))
    return taken


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--child", choices=("bare", "chat"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--messages", type=int, default=MESSAGES)
    options = parser.parse_args(arguments)
    if options.child:
        {"bare": _run_bare, "chat": _run_chat}[options.child]()
        return
    start = measure_start(options.rounds)
    print(f"first paint, bare Textual app   {start['bare'] * 1000:7.0f} ms")
    print(
        f"first paint, chat               {start['chat'] * 1000:7.0f} ms  ({start['chat'] / start['bare']:.2f} times)"
    )
    for name, taken_s in asyncio.run(measure_transcript(options.messages)).items():
        print(f"{options.messages} messages, {name:<20}{taken_s * 1000:7.0f} ms")


if __name__ == "__main__":
    main()
