"""Reading standard input: a whole text, one answer, or lines as they come."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
from collections.abc import AsyncIterator
from typing import Final

from zap2.errors import UsageError
from zap2.wire.content import MAX_TEXT_B

_LINES_AHEAD: Final = 64


def read_text() -> str:
    """Read all of standard input as one text, without the line break at its end.

    Raises:
        UsageError: it is not UTF-8.
    """
    # One byte more than a message holds is enough to refuse it; the rest is never read into memory.
    return _decode(sys.stdin.buffer.read(MAX_TEXT_B + 2))


def read_line() -> str | None:
    """Read one line of standard input, stripped; None at its end.

    Raises:
        UsageError: it is not UTF-8.
    """
    line = sys.stdin.buffer.readline(MAX_TEXT_B + 2)
    return _decode(line).strip() if line else None


async def lines() -> AsyncIterator[str]:
    """Give the lines of standard input as they come, without blank ones.

    Raises:
        UsageError: a line is not UTF-8.
    """
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[bytes] = asyncio.Queue(_LINES_AHEAD)

    def read() -> None:
        line = b"-"
        # The loop may end while this waits for input: then nobody wants the line any more.
        with contextlib.suppress(RuntimeError):
            while line:
                line = sys.stdin.buffer.readline(MAX_TEXT_B + 2)
                asyncio.run_coroutine_threadsafe(queue.put(line), loop).result()

    # A daemon, because a read of standard input cannot be ended from outside.
    threading.Thread(target=read, name="zap2-stdin", daemon=True).start()
    while line := await queue.get():
        if line.strip():
            yield _decode(line)


def _decode(content: bytes) -> str:
    # A character may be cut where reading stopped; the length is what is wrong with that text then.
    is_cut = len(content) == MAX_TEXT_B + 2
    try:
        text = content.decode(errors="ignore" if is_cut else "strict")
    except UnicodeDecodeError:
        raise UsageError(
            "Standard input is not UTF-8 text.", "Convert it first, for example with iconv."
        ) from None
    return text.removesuffix("\n").removesuffix("\r")
