"""The transcript widget: following, loading, receipts, and what one can do with a message."""

from __future__ import annotations

from dataclasses import replace

from textual import events

from tests.tui.running import app_for, chat, running, screen_text, until, write
from tests.tui.stage import DAY_MS, MINUTE_MS, NOW_MS, StageClient
from zap2.client.api import MessageState
from zap2.ids import ConversationId
from zap2.tui.screens.message_details import MessageDetails
from zap2.tui.widgets.transcript import Transcript


def long_client(count: int, *, read: bool = True) -> tuple[StageClient, ConversationId]:
    """A client with one conversation of `count` messages from the other side."""
    client = StageClient()
    ada = client.add_person("Ada")
    for number in range(1, count + 1):
        client.write(ada, f"message {number}", at_ms=NOW_MS - DAY_MS + number * MINUTE_MS, tell=False)
    if read:
        client.views[ada] = replace(client.views[ada], unread=0)
        client.read.update(one.id for one in client.threads[ada])
    return client, ada


async def test_pages_are_loaded_when_scrolled_up() -> None:
    """Guards lazy loading: the newest page first, older ones only when they are wanted, the place kept."""
    client, ada = long_client(700)
    app = app_for(client)
    async with running(app) as pilot:
        assert client.called("messages") == [(ada, None, 200)]
        assert "message 700" in screen_text(app)
        transcript = app.screen.query_one(Transcript)
        transcript.focus()
        await pilot.press("home")
        await until(pilot, lambda: len(transcript.rows.messages) == 400)
        assert client.called("messages")[-1] == (ada, 501, 200)
        assert "message 501" in screen_text(app)
        for _ in range(3):
            await pilot.press("home")
            await pilot.pause()
        await until(pilot, lambda: len(transcript.rows.messages) == 700)
        await pilot.press("home")
        assert "message 1\n" in screen_text(app).replace(" ", " ") or "message 1 " in screen_text(app)
        await pilot.press("end")
        await until(pilot, lambda: "message 700" in screen_text(app))


async def test_new_messages_below_are_counted_and_not_scrolled_to() -> None:
    """Guards the place of somebody who reads older messages."""
    client, ada = long_client(300)
    app = app_for(client)
    async with running(app) as pilot:
        transcript = app.screen.query_one(Transcript)
        await pilot.press("pageup", "pageup")
        top = transcript.rows.line(transcript.scroll_offset.y)
        client.write(ada, "one more", at_ms=NOW_MS)
        client.write(ada, "and another", at_ms=NOW_MS)
        await until(pilot, lambda: "↓ 2 new messages · Ctrl+End" in screen_text(app))
        assert transcript.rows.line(transcript.scroll_offset.y) == top
        await pilot.press("ctrl+end")
        await until(pilot, lambda: "and another" in screen_text(app))
        assert "new messages" not in screen_text(app)


async def test_newest_is_followed_at_the_bottom() -> None:
    """Guards the usual case."""
    client, ada = long_client(300)
    app = app_for(client)
    async with running(app) as pilot:
        client.write(ada, "here it is", at_ms=NOW_MS)
        await until(pilot, lambda: "here it is" in screen_text(app))
        assert app.screen.query_one(Transcript).is_following


async def test_resize_keeps_the_top_message_in_place() -> None:
    """Guards the place through another width."""
    client, ada = long_client(50)
    for number in range(51, 120):
        client.write(ada, f"{number}: " + "words that wrap around " * 5, tell=False, at_ms=NOW_MS)
    app = app_for(client)
    async with running(app, (100, 30)) as pilot:
        transcript = app.screen.query_one(Transcript)
        await pilot.press("pageup", "pageup", "pageup")
        top = transcript.rows.line(transcript.scroll_offset.y)
        await pilot.resize_terminal(64, 24)
        await until(pilot, lambda: transcript.rows.width < 40)
        assert transcript.rows.line(transcript.scroll_offset.y).position == top.position


async def test_read_marks_need_focus_and_an_uncovered_screen() -> None:
    """Guards receipts: nothing counts as read while the terminal has no focus or a dialog is in front."""
    client, ada = long_client(3)
    app = app_for(client)
    async with running(app) as pilot:
        app.post_message(events.AppBlur())
        await until(pilot, lambda: not app.app_focus)
        client.write(ada, "while away", at_ms=NOW_MS)
        await until(pilot, lambda: "while away" in screen_text(app))
        assert client.called("mark_these_read") == []
        assert "new since you last looked" in screen_text(app)
        app.post_message(events.AppFocus())
        await until(pilot, lambda: "while away" in client.read_in(ada))

        await pilot.press("f1")
        client.write(ada, "behind a dialog", at_ms=NOW_MS)
        await until(pilot, lambda: chat(app).pane.transcript.rows.messages[-1].position == 5)
        assert "behind a dialog" not in client.read_in(ada)
        await pilot.press("escape")
        await until(pilot, lambda: "behind a dialog" in client.read_in(ada))


async def test_only_what_was_in_view_is_marked_read() -> None:
    """Guards receipts for messages that came in below, and for those that one scrolled past without stopping."""
    client, ada = long_client(300)
    app = app_for(client)
    async with running(app) as pilot:
        transcript = app.screen.query_one(Transcript)
        await pilot.press("pageup", "pageup")
        client.write(ada, "not seen yet", at_ms=NOW_MS)
        await until(pilot, lambda: "1 new message" in screen_text(app))
        assert "not seen yet" not in client.read_in(ada)
        transcript.action_newest()
        await until(pilot, lambda: "not seen yet" in client.read_in(ada))


async def test_many_unread_messages_are_read_from_the_first_one_on() -> None:
    """Guards that opening shows where one stopped, and that what is further below stays unread until it is seen."""
    client, ada = long_client(10)
    for number in range(60):
        client.write(ada, f"unread {number}", at_ms=NOW_MS, tell=False)
    client.views[ada] = replace(client.views[ada], unread=60)
    app = app_for(client)
    async with running(app) as pilot:
        await until(pilot, lambda: "new since you last looked" in screen_text(app))
        await until(pilot, lambda: "unread 0" in client.read_in(ada))
        shown = screen_text(app)
        read = [text for text in client.read_in(ada) if text.startswith("unread")]
        assert read[0] == "unread 0"
        assert "unread 59" not in read
        assert all(text in shown for text in read)
        await pilot.press("f6", "f6", "end")
        await until(pilot, lambda: "unread 59" in client.read_in(ada))
        assert client.views[ada].unread > 0
        await pilot.press(*["pageup"] * 4)
        await until(pilot, lambda: client.views[ada].unread == 0)


async def test_unread_line_stands_above_the_first_unread() -> None:
    """Guards where one goes on reading, and that writing takes the line away."""
    client, ada = long_client(5)
    client.write(ada, "new one", at_ms=NOW_MS, tell=False)
    app = app_for(client)
    async with running(app) as pilot:
        lines = screen_text(app).splitlines()
        at = next(index for index, line in enumerate(lines) if "new since you last looked" in line)
        assert any("new one" in line for line in lines[at : at + 3])
        await write(pilot, "answer")
        await pilot.press("enter")
        await until(pilot, lambda: "new since you last looked" not in screen_text(app))


async def test_failed_message_can_be_sent_again_by_key() -> None:
    """Guards retry, which needs no mouse."""
    client = StageClient()
    ada = client.add_person("Ada")
    client.write(ada, "lost?", state=MessageState.FAILED, failure="The mailbox is full.", tell=False)
    app = app_for(client)
    async with running(app) as pilot:
        assert "! failed" in screen_text(app)
        assert "The mailbox is full." in screen_text(app)
        await pilot.press("up", "r")
        await until(pilot, lambda: "· queued" in screen_text(app))
        assert len(client.called("retry")) == 1


async def test_details_say_whether_the_relay_knows_who_sent_it() -> None:
    """Guards the line about sealed sending: for what left, and what nobody can know of what came."""
    client, ada = long_client(1)
    shown = {True: "the relay was not told", False: "known to the relay", None: ""}
    app = app_for(client)
    async with running(app) as pilot:
        for is_sealed, words in shown.items():
            client.write(ada, "mine", at_ms=NOW_MS, state=MessageState.SENT, is_sealed=is_sealed)
            await pilot.press("f6", "f6", "end", "enter")
            await until(pilot, lambda: isinstance(app.screen, MessageDetails))
            text = screen_text(app)
            assert [one for one in shown.values() if one and one in text] == ([words] if words else [])
            await pilot.press("escape", "escape")
            await until(pilot, lambda: not isinstance(app.screen, MessageDetails))
        client.write(ada, "theirs", at_ms=NOW_MS)
        await pilot.press("f6", "f6", "end", "enter")
        await until(pilot, lambda: isinstance(app.screen, MessageDetails))
        assert "proved by the encryption" in screen_text(app)


async def test_details_say_what_a_state_means() -> None:
    """Guards the words for a message."""
    client = StageClient()
    ada = client.add_person("Ada")
    client.write(ada, "hello", state=MessageState.DELIVERED, tell=False)
    app = app_for(client)
    async with running(app) as pilot:
        await pilot.press("up", "enter")
        await until(pilot, lambda: isinstance(app.screen, MessageDetails))
        assert "Sunday 22 November 2026, 14:30:00" in screen_text(app)
        assert "stored on the other device" in screen_text(app)


async def test_walking_past_the_newest_returns_to_writing() -> None:
    """Guards the arrows between composer and messages."""
    client, _ = long_client(3)
    app = app_for(client)
    async with running(app) as pilot:
        await pilot.press("up")
        transcript = app.screen.query_one(Transcript)
        assert transcript.has_focus
        assert transcript.selected == 3
        await pilot.press("up")
        assert transcript.selected == 2
        await pilot.press("down", "down")
        await until(pilot, lambda: not transcript.has_focus)
        await pilot.press("x")
        assert chat(app).query_one("#composer").text == "x"  # type: ignore[attr-defined]  # the composer


async def test_copy_puts_the_text_on_the_clipboard() -> None:
    """Guards copying the text alone, without name and time."""
    client, _ = long_client(3)
    app = app_for(client)
    async with running(app) as pilot:
        await pilot.press("up", "c")
        await until(pilot, lambda: app.clipboard == "message 3")
