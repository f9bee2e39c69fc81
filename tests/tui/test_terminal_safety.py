"""Nothing that a peer writes steers the terminal: seen on the painted rows, and on the bytes of a real terminal."""

from __future__ import annotations

import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
import unicodedata
from fcntl import ioctl
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.color import Color

from tests.tui import hostile
from tests.tui.running import app_for, running, screen_strips, screen_text, until
from zap2.tui.app import Zap2App
from zap2.tui.guard import TerminalGuard, harmless
from zap2.tui.screens.address import AddressScreen
from zap2.tui.screens.contact import ContactScreen
from zap2.tui.screens.help import HelpScreen
from zap2.tui.screens.message_details import MessageDetails
from zap2.tui.screens.safety_number import SafetyNumberScreen

ROOT = Path(__file__).resolve().parents[2]
DIRECTIONS = {*"\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"}


def _harmful(text: str) -> set[str]:
    return {char for char in text if unicodedata.category(char) in ("Cc", "Zl", "Zp") or char in DIRECTIONS}


@given(st.text())
def test_no_control_or_direction_character_passes(text: str) -> None:
    """Guards the filter for any text, and that what it drops had no width, so that columns stay."""
    guarded = TerminalGuard().apply([Segment(text, Style(link="https://example.org"))], Color(0, 0, 0))
    shown = "".join(segment.text for segment in guarded)
    assert _harmful(shown) == set()
    assert all(segment.style is None or segment.style.link is None for segment in guarded)
    assert all(cell_len(char) == 0 for char in text if char not in harmless(text) and _harmful(char))


def test_control_segments_become_nothing() -> None:
    """Guards the way around the text: a segment that is a control code."""
    from rich.control import Control

    guarded = TerminalGuard().apply([Control.title("owned").segment], Color(0, 0, 0))
    assert all(segment.control is None and not _harmful(segment.text) for segment in guarded)


async def test_painted_rows_are_clean_everywhere() -> None:
    """Guards every place where a peer's text is painted, and that markup in it is text."""
    stage = hostile.client()
    app = app_for(stage)

    def check() -> None:
        for strip in screen_strips(app):
            assert _harmful(strip.text) == set()
            assert all("@click" not in (seg.style.meta if seg.style else {}) for seg in strip)

    async with running(app, (120, 45)) as pilot:
        assert hostile.MARK in screen_text(app)
        assert "[@click=app.quit]click[/]" in screen_text(app)
        check()
        hostile.say_everything(stage)
        await until(pilot, lambda: screen_text(app).count(hostile.MARK) >= 6)
        check()
        for key, kind in (("f2", ContactScreen), ("f4", SafetyNumberScreen), ("f3", AddressScreen)):
            await pilot.press(key)
            await until(pilot, lambda kind=kind: isinstance(app.screen, kind))  # type: ignore[misc]  # mypy cannot infer a lambda with a default
            check()
            await pilot.press("escape")
        await pilot.press("f6", "f6", "enter")
        await until(pilot, lambda: isinstance(app.screen, MessageDetails))
        check()
        await pilot.press("escape", "f1")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen))
        check()
        await pilot.press("escape", "ctrl+p")
        await until(pilot, lambda: f"Go to {hostile.MARK}" in screen_text(app))
        check()


def _read_terminal(command: list[str], timeout_s: float = 60.0) -> bytes:
    """Run a command in a pseudo-terminal and give every byte that it wrote."""
    terminal, inside = pty.openpty()
    ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", 45, 120, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        command, stdin=inside, stdout=inside, stderr=inside, cwd=ROOT, env=environment, start_new_session=True
    )
    os.close(inside)
    written = b""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                chunk = os.read(terminal, 65536)
            except OSError:
                break
            if not chunk:
                break
            written += chunk
    code = process.wait(timeout=10)
    os.close(terminal)
    assert code == 0, written[-2000:].decode("utf-8", "replace")
    return written


def test_real_terminal_gets_no_bytes_of_a_peer() -> None:
    """Guards the whole way to the terminal: clipboard, title and direction bytes of a peer never arrive."""
    written = _read_terminal([sys.executable, "-m", "tests.tui.hostile"])
    assert hostile.MARK.encode() in written
    assert b"\x1b]52" not in written
    assert b"cGF5bG9hZA==\x07" not in written
    assert b"\x1b]0;title" not in written
    assert b"\x1b[2J\x1b]0" not in written
    for char in DIRECTIONS | {"\x9b", "\x9d", "\x85", "\u2028", "\u2029"}:
        assert char.encode() not in written, f"U+{ord(char):04X}"


def test_the_terminal_test_would_see_an_escape(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards the test above against looking past what it looks for: unguarded, the characters are there."""
    monkeypatch.setattr("zap2.tui.guard.harmless", lambda text: text)
    assert _harmful(
        "".join(seg.text for seg in TerminalGuard().apply([Segment(hostile.PAYLOAD)], Color(0, 0, 0)))
    )
    assert Zap2App.get_line_filters is not Zap2App.__mro__[1].get_line_filters  # type: ignore[attr-defined]  # App
