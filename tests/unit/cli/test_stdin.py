"""Lines of standard input: numbered, whole or refused, and never kept in memory without a bound."""

from __future__ import annotations

import asyncio
import errno
import gc
import io
import os
import subprocess
import sys
import threading
import warnings
from typing import Final

import pytest

from zap2.cli import stdin
from zap2.cli.stdin import _LINES_AHEAD
from zap2.errors import InvalidMessage, UsageError
from zap2.wire.content import MAX_TEXT_B

_PATIENCE_S: Final = 10.0


def _give(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))


async def test_a_bad_line_spoils_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each line is judged alone, under its number in the input, and the rest of a long one is no line of its own."""
    longest = b"x" * MAX_TEXT_B
    _give(monkeypatch, b"\n".join([b"a", b"", b"\xff", longest, longest * 3, b"z\r"]))
    found = [line async for line in stdin.lines()]
    assert [line.number for line in found] == [1, 3, 4, 5, 6]
    assert (found[0].text(), found[2].text(), found[4].text()) == ("a", longest.decode(), "z")
    with pytest.raises(UsageError, match="UTF-8"):
        found[1].text()
    with pytest.raises(InvalidMessage, match="more than 60,000 bytes"):
        found[3].text()


class _Terminal(io.RawIOBase):
    """Standard input that has one line, and another one when it is told to."""

    def __init__(self, then: bytes | OSError) -> None:
        self._left: list[bytes | OSError] = [b"first\n", then, b""]
        self.go_on = threading.Event()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # what BufferedReader gives
        content = self._left.pop(0)
        if len(self._left) == 1:
            assert self.go_on.wait(_PATIENCE_S)
        if isinstance(content, OSError):
            raise content
        buffer[: len(content)] = content
        return len(content)


def _reader() -> threading.Thread:
    (thread,) = (thread for thread in threading.enumerate() if thread.name == "zap2-stdin")
    return thread


async def _first_line() -> threading.Thread:
    async for line in stdin.lines():
        assert line.text() == "first"
        break
    return _reader()


def test_a_line_that_comes_when_nobody_waits_any_more_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards commands that end while standard input stays open: what came then was put into a loop that was gone."""
    terminal = _Terminal(b"second\n")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(terminal)))
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        thread = asyncio.run(_first_line())
        terminal.go_on.set()
        thread.join(_PATIENCE_S)
        gc.collect()
    assert not thread.is_alive()
    assert [str(one.message) for one in warned] == []


def test_a_command_that_wants_no_more_ends_the_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against a thread that waits for room for ever, or dies of a loop that cancels what it waits for."""
    died = list[object]()
    monkeypatch.setattr(threading, "excepthook", died.append)
    _give(monkeypatch, b"first\n" * 10_000)
    thread = asyncio.run(_first_line())
    thread.join(_PATIENCE_S)
    assert (thread.is_alive(), died) == (False, [])


_ENDS_WHILE_IT_READS: Final = """
import asyncio, sys, time
from zap2.cli import stdin

async def first():
    async for line in stdin.lines():
        print(line.text())
        while not any(frame.f_code.co_name == "_read_whole_line" for frame in sys._current_frames().values()):
            time.sleep(0.001)
        time.sleep(0.05)
        return

asyncio.run(first())
"""


def test_a_command_ends_cleanly_while_its_standard_input_stays_open() -> None:
    """Guards `producer | zap2 …`: the interpreter aborted at its end because the thread still waited for a line."""
    reading, writing = os.pipe()
    try:
        os.write(writing, b"one\n")
        done = subprocess.run(
            [sys.executable, "-c", _ENDS_WHILE_IT_READS],
            stdin=reading,
            capture_output=True,
            timeout=60,
            check=False,
        )
    finally:
        os.close(reading)
        os.close(writing)
    assert (done.returncode, done.stdout.split(), done.stderr) == (0, [b"one"], b"")


async def test_standard_input_that_cannot_be_read_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against waiting for ever, for example when the terminal went away."""
    terminal = _Terminal(OSError(errno.EIO, "Input/output error"))
    terminal.go_on.set()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(terminal)))
    lines = stdin.lines()
    async with asyncio.timeout(_PATIENCE_S):
        assert (await anext(lines)).text() == "first"
        with pytest.raises(OSError, match="Input/output error"):
            await anext(lines)


async def test_no_more_is_read_ahead_than_has_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards the memory of `zap2 send --lines` where lines come faster than they go out."""
    _give(monkeypatch, b"line\n" * 10_000)
    lines = stdin.lines()
    await anext(lines)
    await asyncio.sleep(0.1)  # Time to read all of them; that it does not is what is seen.
    assert sys.stdin.buffer.tell() <= len(b"line\n") * (_LINES_AHEAD + 2)
    assert len([line async for line in lines]) == 9_999


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_the_longest_text_fits_and_one_byte_more_does_not(
    monkeypatch: pytest.MonkeyPatch, end: bytes
) -> None:
    """The line break at the end is not counted; a character that is cut off is no wrong encoding."""
    _give(monkeypatch, b"x" * MAX_TEXT_B + end)
    assert stdin.read_text() == "x" * MAX_TEXT_B
    for too_long in (b"x" * (MAX_TEXT_B + 1), "ä".encode() * MAX_TEXT_B):
        _give(monkeypatch, too_long + end)
        with pytest.raises(InvalidMessage, match="more than 60,000 bytes"):
            stdin.read_text()
