"""Reading standard input: a whole text, one answer, or lines as they come."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final, TextIO

from zap2.errors import InvalidMessage, UsageError
from zap2.wire.content import MAX_TEXT_B

_LINES_AHEAD: Final = 64
_ENOUGH_B: Final = MAX_TEXT_B + 3
"""One byte more than a message and its line break: enough to refuse it, and the rest is never kept in memory."""


def read_text() -> str:
    """Read all of standard input as one text, without the line break at its end.

    Raises:
        UsageError: it is not UTF-8.
        InvalidMessage: it is longer than a message can be.
    """
    return _decode(sys.stdin.buffer.read(_ENOUGH_B))


def read_line() -> str | None:
    """Read one line of standard input, stripped; None at its end.

    Raises:
        UsageError: it is not UTF-8.
    """
    line = sys.stdin.buffer.readline(_ENOUGH_B)
    return _decode(line).strip() if line else None


@dataclass(frozen=True, slots=True)
class Line:
    """A line of standard input; `text` says whether it is one that can be used."""

    number: int
    content: bytes = field(repr=False)

    def text(self) -> str:
        """Give it without its line break.

        Raises:
            UsageError: it is not UTF-8.
            InvalidMessage: it is longer than a message can be.
        """
        return _decode(self.content)


async def lines() -> AsyncIterator[Line]:
    """Give the lines of standard input as they come, without blank ones; of one that is too long, its beginning.

    Raises:
        OSError: standard input cannot be read.
    """
    loop = asyncio.get_running_loop()
    # The bound is kept by the semaphore: the thread hands over no coroutine, which a loop that ends meanwhile would
    # leave behind.
    queue: asyncio.Queue[bytes | OSError] = asyncio.Queue()
    room = threading.Semaphore(_LINES_AHEAD)
    is_over = threading.Event()

    def read() -> None:
        # Held here as long as this thread waits in it: at the interpreter's end it would else be closed, which cannot
        # be done meanwhile, and ends the process with an abort.
        source = sys.stdin
        found: bytes | OSError = b"-"
        while isinstance(found, bytes) and found:
            room.acquire()
            if is_over.is_set():
                return
            try:
                found = _read_whole_line(source)
            except OSError as error:
                found = error
            try:
                loop.call_soon_threadsafe(queue.put_nowait, found)
            except RuntimeError:
                return  # The loop ended while this waited for input: nobody wants the line any more.

    # A daemon, because a read of standard input cannot be ended from outside.
    threading.Thread(target=read, name="zap2-stdin", daemon=True).start()
    number = 0
    try:
        while line := await queue.get():
            if isinstance(line, OSError):
                raise line
            room.release()
            number += 1
            if line.strip():
                yield Line(number, line)
    finally:
        is_over.set()
        room.release()


def _read_whole_line(source: TextIO) -> bytes:
    line = rest = source.buffer.readline(_ENOUGH_B)
    while len(rest) == _ENOUGH_B and not rest.endswith(b"\n"):
        rest = source.buffer.readline(_ENOUGH_B)
    return line


def _decode(content: bytes) -> str:
    # A text that is as long as this was cut off where reading stopped; how long it is, nobody has counted.
    if len(content.removesuffix(b"\n").removesuffix(b"\r")) > MAX_TEXT_B:
        raise InvalidMessage(
            f"The message has more than {MAX_TEXT_B:,} bytes, and that is all that one holds.",
            "Shorten it, or send it in several messages.",
        )
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise UsageError(
            "Standard input is not UTF-8 text.", "Convert it first, for example with iconv."
        ) from None
    return text.removesuffix("\n").removesuffix("\r")
