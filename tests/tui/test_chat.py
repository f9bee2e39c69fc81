"""The chat screen: what events do to it, and what keys do."""

from __future__ import annotations

import asyncio

from websockets.exceptions import ConnectionClosedError
from websockets.frames import Close

from tests.tui.running import app_for, chat, running, screen_text, until, write
from tests.tui.seeds import furnished
from tests.tui.stage import MINUTE_MS, NOW_MS, StageClient, StoppedClock
from zap2.client.api import (
    ContactState,
    LinkState,
    LinkView,
    MessageState,
    Notice,
    NoticeLevel,
    Trust,
)
from zap2.client.relay.failures import of_closing
from zap2.errors import InvalidMessage, Unreachable
from zap2.tui.screens.help import HelpScreen
from zap2.tui.widgets.bars import NoticeBar, RequestBar
from zap2.tui.widgets.composer import Composer
from zap2.tui.widgets.conversation_list import ConversationList
from zap2.tui.widgets.transcript import Transcript
from zap2.wire.fields import CloseCode


async def test_empty_profile_says_how_to_begin() -> None:
    """Guards the first thing that a new person sees."""
    app = app_for(StageClient())
    async with running(app):
        text = screen_text(app)
    assert "No conversations yet." in text
    assert "Ctrl+N adds somebody by" in text
    assert "● online" in text


async def test_list_shows_unread_trust_request_and_last_line() -> None:
    """Guards the marks of the conversation list."""
    client, _ = furnished()
    app = app_for(client)
    async with running(app, (110, 30)):
        text = screen_text(app)
    assert "◆ Ada Lovelace" in text
    assert "◇ Grace Hopper" in text
    assert "request" in text
    assert "→ On my way." in text


async def test_sent_text_goes_through_its_states() -> None:
    """Guards queued → sent → delivered → read on the screen."""
    client = StageClient()
    ada = client.add_person("Ada")
    app = app_for(client)
    async with running(app) as pilot:
        await write(pilot, "hello there")
        await pilot.press("enter")
        await until(pilot, lambda: "· queued" in screen_text(app))
        assert client.called("send_text") == [(ada, "hello there")]
        assert app.screen.query_one(Composer).text == ""
        message = client.threads[ada][-1]
        for state in (MessageState.SENT, MessageState.DELIVERED, MessageState.READ):
            message = client.advance(message, state)
            await until(pilot, lambda state=state: state.value in screen_text(app))  # type: ignore[misc]  # mypy cannot infer a lambda with a default


async def test_two_quick_messages_are_stored_in_order() -> None:
    """Guards the order of what one sends while the vault is slow."""
    client = StageClient()
    client.add_person("Ada")
    client.gates["send_text"] = asyncio.Event()
    app = app_for(client)
    async with running(app) as pilot:
        await write(pilot, "one")
        await pilot.press("enter")
        await write(pilot, "two")
        await pilot.press("enter")
        await until(pilot, lambda: len(client.called("send_text")) == 1)
        client.gates["send_text"].set()
        await until(pilot, lambda: len(client.called("send_text")) == 2)
        assert [call[1] for call in client.called("send_text")] == ["one", "two"]


async def test_failed_send_keeps_the_text_and_says_why() -> None:
    """Guards that nothing written is lost: too long a text stays, with the reason and what to do."""
    client = StageClient()
    client.add_person("Ada")
    client.refusals["send_text"] = InvalidMessage("This text is too long.", "Send it in parts.")
    app = app_for(client)
    async with running(app) as pilot:
        await write(pilot, "hello")
        await pilot.press("enter")
        await until(pilot, lambda: "This text is too long." in screen_text(app))
        assert "Send it in parts." in screen_text(app)
        assert app.screen.query_one(Composer).text == "hello"
        del client.refusals["send_text"]
        await pilot.press("enter")
        await until(pilot, lambda: client.threads != {} and "queued" in screen_text(app))
        assert "too long" not in screen_text(app)


async def test_failed_send_does_not_overwrite_what_was_written_meanwhile() -> None:
    """Guards text typed while the failing request ran."""
    client = StageClient()
    client.add_person("Ada")
    client.gates["send_text"] = asyncio.Event()
    client.refusals["send_text"] = Unreachable()
    app = app_for(client)
    async with running(app) as pilot:
        await write(pilot, "first")
        await pilot.press("enter")
        await write(pilot, "second")
        client.gates["send_text"].set()
        composer = app.screen.query_one(Composer)
        await until(pilot, lambda: composer.text == "first\nsecond")


async def test_drafts_are_kept_per_conversation_and_saved() -> None:
    """Guards unsent text over a change of conversation and over quitting."""
    client = StageClient()
    ada = client.add_person("Ada")
    grace = client.add_person("Grace")
    client.write(ada, "newest", tell=False)
    app = app_for(client)
    async with running(app) as pilot:
        screen = chat(app)
        assert screen.pane.conversation == ada
        await write(pilot, "for ada")
        screen.open(grace)
        await until(pilot, lambda: client.drafts.get(ada) == "for ada")
        composer = screen.query_one(Composer)
        assert composer.text == ""
        await write(pilot, "for grace")
        screen.open(ada)
        await until(pilot, lambda: composer.text == "for ada")
        await pilot.press("x", "ctrl+q")
        await until(pilot, lambda: not app.is_running or app._exit)
    assert client.drafts[ada] == "for adax"
    assert client.drafts[grace] == "for grace"


async def test_draft_from_the_vault_is_in_the_composer() -> None:
    """Guards drafts over a restart."""
    client = StageClient()
    ada = client.add_person("Ada")
    await client.save_draft(ada, "half a thought")
    app = app_for(client)
    async with running(app):
        assert app.screen.query_one(Composer).text == "half a thought"


async def test_what_a_stranger_wrote_is_not_in_the_list() -> None:
    """Guards the list, which bystanders see; the conversation itself may show it."""
    client = StageClient()
    max_ = client.add_person("Max", state=ContactState.REQUEST)
    client.write(max_, "a sight for nobody")
    app = app_for(client)
    async with running(app) as pilot:
        rows = app.screen.query_one(ConversationList)
        await until(pilot, lambda: "wants to write" in rows.render_line(1).text)
        assert "sight" not in rows.render_line(1).text


async def test_request_bar_accepts() -> None:
    """Guards that a stranger is shown as one, and that accepting takes the bar away."""
    client = StageClient()
    max_ = client.add_person("Max", state=ContactState.REQUEST)
    client.write(max_, "hi", tell=False)
    app = app_for(client)
    async with running(app) as pilot:
        assert "Max wants to write to you" in screen_text(app)
        assert client.called("mark_these_read") == []
        await pilot.click("#request-accept")
        await until(pilot, lambda: not app.screen.query_one(RequestBar).display)
        assert client.people[client.views[max_].peer].state is ContactState.ACCEPTED
        await until(pilot, lambda: client.read_in(max_) == ["hi"])


async def test_request_bar_blocks_by_keys() -> None:
    """Guards the way without a mouse."""
    client = StageClient()
    max_ = client.add_person("Max", state=ContactState.REQUEST)
    client.write(max_, "hi", tell=False)
    app = app_for(client)
    async with running(app) as pilot:
        app.screen.query_one("#request-accept").focus()
        await pilot.press("right", "enter")
        await until(pilot, lambda: "Block Max?" in screen_text(app))
        await pilot.press("escape")
        await until(pilot, lambda: "Block Max?" not in screen_text(app))
        assert client.called("block") == []
        assert app.screen.query_one(RequestBar).display
        await pilot.press("enter")
        await until(pilot, lambda: "They are not told" in screen_text(app))
        await pilot.press("right", "enter")
        await until(pilot, lambda: "■ blocked" in screen_text(app))
    assert len(client.called("block")) == 1


async def test_what_blocked_people_wrote_does_not_count_as_unread() -> None:
    """Guards the count that calls one back: what one does not want to read never raises it."""
    client = StageClient()
    client.write(client.add_person("Ada"), "hello")
    client.write(client.add_person("Max", state=ContactState.BLOCKED), "look here")
    app = app_for(client)
    async with running(app, (50, 20)) as pilot:
        await until(pilot, lambda: "Zap2 · 1 unread" in screen_text(app))


async def test_answering_a_request_accepts_it() -> None:
    """Guards that writing back is an answer to the question."""
    client = StageClient()
    max_ = client.add_person("Max", state=ContactState.REQUEST)
    client.write(max_, "hi", tell=False)
    app = app_for(client)
    async with running(app) as pilot:
        await write(pilot, "hello")
        await pilot.press("enter")
        await until(pilot, lambda: not app.screen.query_one(RequestBar).display)


async def test_security_notice_stays_until_dismissed() -> None:
    """Guards that nobody misses a changed key, and that an Enter meant for a message does not dismiss it."""
    client = StageClient()
    client.add_person("Ada")
    app = app_for(client)
    async with running(app) as pilot:
        for code in ("key-changed", "relay-key"):
            client.notice(Notice(NoticeLevel.SECURITY, code, f"Something about {code}."))
        await until(pilot, lambda: "Something about key-changed." in screen_text(app))
        assert "(and 1 more)" in screen_text(app)
        await write(pilot, "hello")
        await pilot.press("enter")
        await until(pilot, lambda: len(client.called("send_text")) == 1)
        assert "Something about key-changed." in screen_text(app)
        await pilot.press("f8")
        await until(pilot, lambda: "Something about relay-key." in screen_text(app))
        await pilot.click("#notice-dismiss")
        await until(pilot, lambda: not app.screen.query_one(NoticeBar).display)
        await until(pilot, lambda: app.screen.query_one(Composer).has_focus)


async def test_other_notices_are_toasts_without_markup() -> None:
    """Guards that a notice is read as text."""
    client = StageClient()
    app = app_for(client)
    async with running(app) as pilot:
        client.notice(Notice(NoticeLevel.INFORMATION, "x", "[@click=app.quit]prekeys[/] refilled"))
        await until(pilot, lambda: "[@click=app.quit]prekeys[/] refilled" in screen_text(app))


async def test_link_counts_down_in_words() -> None:
    """Guards the status line while offline."""
    client = StageClient()
    time = StoppedClock()
    app = app_for(client, clock=time)
    async with running(app) as pilot:
        client.set_link(LinkView(LinkState.OFFLINE, "the relay does not answer", 12.0))
        await until(pilot, lambda: "○ offline, next try in 12 s" in screen_text(app))
        time.monotonic_s += 5
        app.screen.query_one("#status").refresh()
        await until(pilot, lambda: "next try in 7 s" in screen_text(app))
        await pilot.press("f5")
        assert client.called("reconnect") == [()]
        client.set_link(LinkView(LinkState.NOT_TRUSTED))
        await until(pilot, lambda: "! the relay's key is not the one you trust" in screen_text(app))


async def test_the_reason_for_being_offline_is_whole_at_80_columns() -> None:
    """Guards the words after `zap2 admin drain`, the longest that a relay leaves people with."""
    client = StageClient()
    client.add_person("Ada")
    app = app_for(client)
    async with running(app, (80, 24)) as pilot:
        reason = of_closing(ConnectionClosedError(Close(CloseCode.TRY_LATER, ""), None))
        client.set_link(LinkView(LinkState.OFFLINE, str(reason), 75.0))
        await until(
            pilot, lambda: "○ next try in 75 s · The relay takes no more connections" in screen_text(app)
        )
        assert "connections at the moment" in screen_text(app)


async def test_panes_are_reached_by_f6_and_escape_returns_to_writing() -> None:
    """Guards moving by keys, and that focus is visible without colour."""
    client, _ = furnished()
    app = app_for(client)
    async with running(app) as pilot:
        assert app.screen.query_one(Composer).has_focus
        assert "┏━ Write" in screen_text(app)
        await pilot.press("f6")
        assert app.screen.query_one(ConversationList).has_focus
        assert "┏━ Zap2" in screen_text(app)
        await pilot.press("f6")
        assert app.screen.query_one(Transcript).has_focus
        assert "▌" in screen_text(app)
        await pilot.press("escape")
        assert app.screen.query_one(Composer).has_focus


async def test_list_opens_with_keys_and_mouse() -> None:
    """Guards both ways into a conversation."""
    client, _ = furnished()
    app = app_for(client)
    async with running(app) as pilot:
        await pilot.press("f6", "down", "enter")
        await until(pilot, lambda: "Ada Lovelace · ◆ verified" in screen_text(app))
        await pilot.click(ConversationList, offset=(5, 1))
        await until(pilot, lambda: "Grace Hopper · ◇ not compared yet" in screen_text(app))
        await pilot.press("ctrl+down")
        await until(pilot, lambda: "Ada Lovelace · ◆ verified" in screen_text(app))


async def test_narrow_terminal_shows_one_pane() -> None:
    """Guards 40×20: list, then conversation, and back with Esc."""
    client, _ = furnished()
    app = app_for(client)
    async with running(app, (40, 20)) as pilot:
        assert app.screen.query_one(ConversationList).has_focus
        assert "Write" not in screen_text(app)
        await pilot.press("down", "enter")
        await until(pilot, lambda: "Ada Lovelace · ◆ verified" in screen_text(app))
        assert "Grace" not in screen_text(app)
        await pilot.press("escape")
        await until(pilot, lambda: "Grace Hopper" in screen_text(app))
        assert app.screen.query_one(ConversationList).has_focus
        await pilot.press("escape")
        assert app.screen.query_one(Composer).has_focus


async def test_help_explains_what_is_focused() -> None:
    """Guards F1 and ?."""
    client, _ = furnished()
    app = app_for(client)
    async with running(app, (100, 45)) as pilot:
        await pilot.press("f1")
        assert isinstance(app.screen, HelpScreen)
        assert "Enter sends." in screen_text(app)
        await pilot.press("escape", "f6", "question_mark")
        assert "you compared safety numbers" in screen_text(app)
        assert "Open the conversation" in screen_text(app)


async def test_palette_finds_people_and_themes() -> None:
    """Guards the way by name."""
    client, _ = furnished()
    app = app_for(client)
    async with running(app) as pilot:
        await pilot.press("ctrl+p")
        await write(pilot, "adalove")
        await until(pilot, lambda: "Go to Ada Lovelace" in screen_text(app))
        await pilot.press("enter", "enter")
        await until(pilot, lambda: "Ada Lovelace · ◆ verified" in screen_text(app))
        await pilot.press("ctrl+p")
        await write(pilot, "light")
        await until(pilot, lambda: "Theme: Light" in screen_text(app))
        await pilot.press("enter", "enter")
        await until(pilot, lambda: app.theme == "zap2-light")


async def test_faults_become_words() -> None:
    """Guards that neither an error nor a bug in a request ends the app."""
    client, _ = furnished()
    app = app_for(client)
    async with running(app) as pilot:
        client.refusals["contact"] = Unreachable("The relay cannot be reached.")
        await pilot.press("f2")
        await until(pilot, lambda: "The relay cannot be reached." in screen_text(app))
        client.refusals["contact"] = RuntimeError("secret details")
        await pilot.press("f2")
        await until(pilot, lambda: "Something went wrong inside Zap2" in screen_text(app))
        assert "secret details" not in screen_text(app)


async def test_new_conversation_comes_to_the_top() -> None:
    """Guards the order of the list when somebody writes."""
    client, _ = furnished()
    cleo = next(view.id for view in client.views.values() if view.title == "Cléo")
    client.views[cleo] = client.views[cleo]
    app = app_for(client)
    async with running(app) as pilot:
        client.now_ms = NOW_MS + MINUTE_MS
        client.write(cleo, "Es-tu là ?")
        items = app.screen.query_one(ConversationList)
        await until(pilot, lambda: items.items[0].id == cleo)
        assert items.items[0].unread == 1
        assert client.views[cleo].trust is Trust.VERIFIED
