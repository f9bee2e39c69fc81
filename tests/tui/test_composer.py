"""Writing: what sends, what makes a new line, and what never sends."""

from __future__ import annotations

import time

from textual import events
from textual._xterm_parser import XTermParser
from textual.widgets._toast import Toast

from tests.tui.running import app_for, running, screen_text, until, write
from tests.tui.stage import StageClient
from zap2.tui.widgets.composer import Composer


def _client() -> StageClient:
    client = StageClient()
    client.add_person("Ada")
    return client


async def test_empty_text_is_never_sent() -> None:
    """Guards Enter in an empty field and one of spaces."""
    client = _client()
    app = app_for(client)
    async with running(app) as pilot:
        await pilot.press("enter", "space", "space", "enter", "ctrl+j", "enter")
        await pilot.pause()
        assert client.called("send_text") == []


async def test_ctrl_j_and_its_like_make_a_new_line() -> None:
    """Guards several lines in one message."""
    client = _client()
    app = app_for(client)
    async with running(app) as pilot:
        await pilot.press("a", "ctrl+j", "b", "shift+enter", "c", "alt+enter", "d")
        composer = app.screen.query_one(Composer)
        assert composer.text == "a\nb\nc\nd"
        await until(pilot, lambda: composer.region.height == 6)
        await pilot.press("enter")
        await until(pilot, lambda: len(client.called("send_text")) == 1)
        assert client.called("send_text")[0][1] == "a\nb\nc\nd"


async def test_paste_is_inserted_and_not_sent() -> None:
    """Guards bracketed paste with newlines; what steers a terminal is left out."""
    client = _client()
    app = app_for(client)
    async with running(app) as pilot:
        await write(pilot, "see ")
        app.screen.query_one(Composer).post_message(events.Paste("one\r\ntwo\x1b[31m\u202e\n"))
        composer = app.screen.query_one(Composer)
        await until(pilot, lambda: "two" in composer.text)
        assert composer.text == "see one\ntwo[31m\n"
        assert client.called("send_text") == []


async def test_burst_of_keys_with_enters_is_a_paste() -> None:
    """Guards terminals without bracketed paste: several lines that come at once are not several messages."""
    client = _client()
    app = app_for(client)
    async with running(app) as pilot:
        composer = app.screen.query_one(Composer)
        now = time.monotonic() + 10
        for index, key in enumerate("ab\ncd\n"):
            event = events.Key("enter", "\r") if key == "\n" else events.Key(key, key)
            event.time = now + index * 0.0001
            composer.post_message(event)
        await until(pilot, lambda: composer.text == "ab\ncd\n")
        assert client.called("send_text") == []


async def test_fast_line_with_one_enter_is_sent() -> None:
    """Guards scripts that type a line and Enter at once."""
    client = _client()
    app = app_for(client)
    async with running(app) as pilot:
        composer = app.screen.query_one(Composer)
        now = time.monotonic() + 10
        for index, key in enumerate("ab\n"):
            event = events.Key("enter", "\r") if key == "\n" else events.Key(key, key)
            event.time = now + index * 0.0001
            composer.post_message(event)
        await until(pilot, lambda: [call[1] for call in client.called("send_text")] == ["ab"])


async def test_question_mark_is_text_while_writing() -> None:
    """Guards that the help key does not eat a letter."""
    client = _client()
    app = app_for(client)
    async with running(app) as pilot:
        await pilot.press("question_mark")
        assert app.screen.query_one(Composer).text == "?"


def test_alt_enter_of_a_plain_terminal_is_a_new_line() -> None:
    """Guards that the bytes of Alt+Enter do not count as Enter, which would send half of a text."""
    app_for(_client())
    parser = XTermParser()
    found = [event.key for event in parser.feed("\x1b\r") if isinstance(event, events.Key)]
    assert found == ["ctrl+j"]


async def test_notifications_leave_the_composer_free() -> None:
    """Guards the place of toasts: where one writes nothing is covered."""
    app = app_for(_client())
    async with running(app) as pilot:
        app.notify("Something was done.", markup=False)
        await until(pilot, lambda: bool(app.screen.query(Toast)))
        composer = app.screen.query_one(Composer)
        await until(pilot, lambda: "Something was done." in screen_text(app))
        assert not any(toast.region.overlaps(composer.region) for toast in app.screen.query(Toast))


async def test_what_holds_words_and_emoji_together_can_be_typed() -> None:
    """Guards joiners and no-break spaces, which Python calls unprintable; what steers a terminal stays out."""
    client = _client()
    app = app_for(client)
    text = "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645 \U0001f469\u200d\U0001f467 a\u00a0b"
    async with running(app) as pilot:
        composer = app.screen.query_one(Composer)
        for event in XTermParser().feed(f"{text}\u202e\x85"):
            composer.post_message(event)
        await until(pilot, lambda: composer.text == text)
