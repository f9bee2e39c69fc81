"""A program in a real terminal: a pty with pyte as its screen, driven by keys, read by waiting for what it shows."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Final

import pyte

PATIENCE_S: Final = 60.0
_STEP_S: Final = 0.25

ENTER: Final = "\r"
TAB: Final = "\t"
ESCAPE: Final = "\x1b"
CTRL_Q: Final = "\x11"


class Terminal:
    """Runs a program in a pty; use it as a context manager, which ends the program if it still runs.

    Args:
        arguments: the program and its arguments.
        environment: of the program; TERM is set here.
        columns: of the screen.
        lines: of the screen.
    """

    def __init__(
        self, arguments: Sequence[str], environment: Mapping[str, str], *, columns: int = 110, lines: int = 32
    ) -> None:
        self.written = b""
        """Every byte that the program wrote."""
        self._screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self._screen)
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self._process = subprocess.Popen(
            list(arguments),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**_without_size(environment), "TERM": "xterm-256color", "COLORTERM": "truecolor"},
            start_new_session=True,
        )
        os.close(theirs)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            sys.stderr.write(f"\n--- the screen when it failed ---\n{self.text}\n")
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
        os.close(self._ours)

    @property
    def text(self) -> str:
        """What the screen shows now."""
        return "\n".join(line.rstrip() for line in self._screen.display)

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._ours, keys.encode())

    def wait_for(self, *texts: str, patience_s: float = PATIENCE_S) -> str:
        """Wait until the screen shows all of some texts at once, and give the screen."""
        return self.wait_until(lambda shown: all(text in shown for text in texts), f"{texts}", patience_s)

    def wait_until(self, condition: Callable[[str], bool], what: str, patience_s: float = PATIENCE_S) -> str:
        """Wait until a condition holds for the screen's text, and give the text."""
        give_up_at = time.monotonic() + patience_s
        while not condition(self.text):
            if time.monotonic() >= give_up_at:
                raise AssertionError(f"the screen never showed {what}; it shows:\n{self.text}")
            if not self._read() and self._process.poll() is not None and not self._read():
                raise AssertionError(f"the program ended before it showed {what}; the screen:\n{self.text}")
        return self.text

    def settle(self, patience_s: float = PATIENCE_S) -> None:
        """Wait until the program answered what was typed: it writes something, and then nothing for a moment."""
        give_up_at = time.monotonic() + patience_s
        while not self._read() and time.monotonic() < give_up_at:
            pass
        while self._read():
            pass

    def wait_for_end(self, patience_s: float = PATIENCE_S) -> int:
        """Wait until the program ends, and give its exit code."""
        give_up_at = time.monotonic() + patience_s
        while self._process.poll() is None:
            if time.monotonic() >= give_up_at:
                raise AssertionError(f"the program does not end; the screen:\n{self.text}")
            self._read()
        while self._read():
            pass
        return self._process.returncode

    def send_signal(self, number: signal.Signals) -> None:
        """Send the program a signal."""
        self._process.send_signal(number)

    def _read(self) -> bool:
        """Take in what the program wrote within a moment; False when it wrote nothing."""
        ready, _, _ = select.select([self._ours], [], [], _STEP_S)
        if not ready:
            return False
        try:
            data = os.read(self._ours, 65_536)
        except OSError:  # Linux's word for the end of the other side
            return False
        self.written += data
        self._stream.feed(data)
        return bool(data)


def _without_size(environment: Mapping[str, str]) -> dict[str, str]:
    # Where these are set they win over the size of the terminal.
    return {name: value for name, value in environment.items() if name not in ("COLUMNS", "LINES")}
