"""Lines of standard input: numbered, whole or refused, and never kept in memory without a bound."""

from __future__ import annotations

import io
import sys

import pytest

from zap2.cli import stdin
from zap2.errors import InvalidMessage, UsageError
from zap2.wire.content import MAX_TEXT_B


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
