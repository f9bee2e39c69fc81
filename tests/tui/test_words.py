"""Pure parts of the screen: words, times, the order of conversations, the QR code."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import segno

from tests.tui.stage import DAY_MS, NOW_MS, StageClient
from zap2.client.api import ContactState, LinkState, LinkView, MessageState, Trust
from zap2.errors import Refused, WrongPassphrase
from zap2.tui import words
from zap2.tui.inbox import Inbox, first_unread
from zap2.tui.qr import QUIET_MODULES, qr_lines


def test_days_and_times_are_named_as_people_do() -> None:
    """Guards the separators of the transcript and the times of the list."""
    today = date(2026, 11, 22)
    assert words.day_words(today, today) == "Today"
    assert words.day_words(date(2026, 11, 21), today) == "Yesterday"
    assert words.day_words(date(2026, 11, 3), today) == "Tuesday 3 November"
    assert words.day_words(date(2025, 12, 31), today) == "Wednesday 31 December 2025"
    at = datetime(2026, 11, 22, 9, 5, tzinfo=UTC)
    assert words.when_words(at, today) == "09:05"
    assert words.when_words(at.replace(day=21), today) == "yest."
    assert words.when_words(at.replace(day=18), today) == "Wed"
    assert words.when_words(at.replace(month=3), today) == "22 Mar"
    assert words.when_words(at.replace(year=2024), today) == "2024"


def test_waiting_times_are_rounded_up() -> None:
    """Guards that a countdown never promises too much."""
    assert [words.countdown(s) for s in (0, 0.2, 1, 59.5, 89, 90, 600, 7200)] == [
        *("0 s", "1 s", "1 s", "60 s", "89 s", "2 min", "10 min", "2 h"),
    ]


def test_every_state_has_glyph_and_word() -> None:
    """Guards that no state rests on colour."""
    labels = {words.state_label(state) for state in MessageState}
    assert len(labels) == len(MessageState)
    for trust in Trust:
        for state in ContactState:
            glyph, _, said = words.trust_words(trust, state).partition(" ")
            assert glyph
            assert said
    for link in LinkState:
        assert words.link_words(LinkView(link), None)


def test_errors_say_what_happened_and_what_to_do() -> None:
    """Guards the hint, and the wait that a refusal asks for."""
    assert words.error_words(WrongPassphrase()).splitlines()[0] == "The passphrase does not open this vault."
    assert "Try again" in words.error_words(WrongPassphrase())
    assert words.error_words(Refused("rate-limited", "Too many.", 61.0)) == "Too many.\nTry again in 61 s."


def test_inbox_keeps_what_events_said_and_orders_by_activity() -> None:
    """Guards an event that arrives before the list it changes."""
    client = StageClient()
    ada, grace = client.add_person("Ada"), client.add_person("Grace")
    client.write(ada, "old", at_ms=NOW_MS - DAY_MS, tell=False)
    inbox = Inbox()
    newer = replace(client.views[grace], last_at_ms=NOW_MS, unread=7)
    inbox.put(newer)
    inbox.load(client.views.values())
    assert [view.id for view in inbox.listed()] == [grace, ada]
    assert inbox.get(grace) == newer
    assert inbox.unread() == 8
    assert inbox.beside(grace, 1) == ada
    assert inbox.beside(ada, 1) == ada
    assert inbox.beside(None, 1) == grace


def test_first_unread_counts_messages_of_others_only() -> None:
    """Guards where the line above the unread stands."""
    client = StageClient()
    ada = client.add_person("Ada")
    for state in (None, None, MessageState.READ, None):
        client.write(ada, "x", state=state, tell=False)
    messages = client.threads[ada]
    assert first_unread(messages, 0) is None
    assert first_unread(messages, 1) == 4
    assert first_unread(messages, 2) == 2
    assert first_unread(messages, 99) == 1


def test_qr_lines_hold_every_module() -> None:
    """Guards the drawing: read back, the half blocks are the code's modules with light ones around."""
    text = "zap2://mfrggzdfmztwq2lknnwg23tpobyxe43u@relay.example.org:8765"
    matrix = segno.make(text, error="l", boost_error=False, micro=False).matrix
    lines = qr_lines(text)
    assert len({len(line) for line in lines}) == 1
    upper = [[cell in "▀█" for cell in line] for line in lines]
    lower = [[cell in "▄█" for cell in line] for line in lines]
    rows = [row for pair in zip(upper, lower, strict=True) for row in pair]
    for y, row in enumerate(rows):
        for x, dark in enumerate(row):
            inner_y, inner_x = y - QUIET_MODULES, x - QUIET_MODULES
            inside = 0 <= inner_y < len(matrix) and 0 <= inner_x < len(matrix)
            assert dark == (inside and bool(matrix[inner_y][inner_x]))


def test_layout_words_and_inbox_do_not_know_textual() -> None:
    """Guards that the pure parts stay pure."""
    package = Path(words.__file__).parent
    for name in ("layout", "wrap", "words", "inbox", "qr", "passphrase", "clock"):
        assert (
            "textual"
            not in (package / f"{name}.py").read_text(encoding="utf-8").lower().split("import", 1)[1]
        )
