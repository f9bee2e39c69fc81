"""What a person sees of an encrypted session: gaps, its state in words, and how to set it up anew."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from tests.tui.running import app_for, chat, running, screen_text, until, write
from tests.tui.stage import StageClient, uid_of
from zap2.client.api import ContactState, MessageChanged, MessageState, SessionState
from zap2.tui import words
from zap2.tui.app import Zap2App
from zap2.tui.screens.contact import ContactScreen
from zap2.tui.screens.dialog import Confirm


async def test_what_is_missing_is_said_at_its_place_until_it_arrives() -> None:
    """Guards the line of a gap: between the messages around it, and gone when they are whole again."""
    client = StageClient()
    ada = client.add_person("Ada")
    client.write(ada, "before", tell=False)
    later = client.write(ada, "after", missing_before=1, tell=False)
    app = app_for(client)
    async with running(app) as pilot:
        lines = [line[30:] for line in screen_text(app).splitlines()]
        rows = [
            next(row for row, line in enumerate(lines) if part in line)
            for part in ("  before", "⋯ 1 message from Ada has not arrived yet", "  after")
        ]
        assert rows == sorted(rows)
        client.arrive_before(later, "in between")
        await until(pilot, lambda: "in between" in screen_text(app))
        assert "not arrived" not in screen_text(app)
        shown = [message.text for message in chat(app).pane.transcript.rows.messages]
        assert shown == ["before", "in between", "after"]


async def test_places_that_moved_are_read_anew() -> None:
    """Guards the order when the vault made room for what arrived late: positions of before count no more."""
    client = StageClient()
    ada = client.add_person("Ada")
    first = client.write(ada, "first", tell=False)
    second = client.write(ada, "second", tell=False)
    app = app_for(client)
    async with running(app) as pilot:
        moved = [replace(first, position=20), replace(second, position=30)]
        client.threads[ada][:] = moved
        client.tell(MessageChanged(moved[1]))
        rows = chat(app).pane.transcript.rows
        await until(pilot, lambda: [one.position for one in rows.messages] == [20, 30])
        assert screen_text(app).count("second") == 2, "once in the list, once in the conversation"


async def test_a_session_that_is_not_fine_shows_in_the_status_line() -> None:
    """Guards the words for each state, and that nothing is said while all is well."""
    client = StageClient()
    client.add_person("Ada", session=SessionState.BROKEN)
    app = app_for(client)
    async with running(app) as pilot:
        await until(pilot, lambda: "session broken (F2)" in screen_text(app))
        for state in SessionState:
            person = replace(client.people[uid_of("Ada")], session=state)
            client._put_contact(person)
            alarm = words.session_alarm(state)
            await until(pilot, lambda alarm=alarm: (alarm or "● online  ") in screen_text(app))  # type: ignore[misc]
            assert alarm or "session" not in screen_text(app).splitlines()[-1]


async def test_the_contact_screen_says_how_the_session_is_and_sets_it_up_anew() -> None:
    """Guards the way out of a broken session: what it does is said first, and Cancel does nothing."""
    client = StageClient()
    client.add_person("Ada", session=SessionState.BROKEN)
    app = app_for(client)
    async with running(app, (100, 30)) as pilot:
        await pilot.press("f2")
        await until(pilot, lambda: isinstance(app.screen, ContactScreen))
        assert words.SESSION_MEANINGS[SessionState.BROKEN][:40] in screen_text(app)
        app.screen.query_one("#repair").focus()
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        assert "the safety number stays the same" in " ".join(screen_text(app).replace("│", " ").split())
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ContactScreen))
        assert not client.called("repair")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.press("tab", "enter")
        await until(pilot, lambda: "being set up anew" in screen_text(app))
        assert client.called("repair") == [(uid_of("Ada"),)]


async def test_the_contact_screen_says_that_no_one_time_pair_protected_the_first_message() -> None:
    """Guards the words for a session of the last-resort key alone; nothing is said of others, or of no session."""
    client = StageClient()
    client.add_person("Ada")
    app = app_for(client)
    async with running(app, (100, 40)) as pilot:
        await pilot.press("f2")
        await until(pilot, lambda: isinstance(app.screen, ContactScreen))
        for has_pair, is_said in ((True, False), (False, True), (None, False)):
            person = replace(client.people[uid_of("Ada")], has_one_time_prekey=has_pair)
            client._put_contact(replace(person, title=f"Ada with {has_pair}"))
            await until(pilot, partial(_says, app, f"Ada with {has_pair}"))
            assert _says(app, "less protected than usual") is is_said
            assert _says(app, "no one-time prekey left") is is_said


def _says(app: Zap2App, words_shown: str) -> bool:
    return words_shown in " ".join(screen_text(app).replace("│", " ").split())


async def test_the_palette_sets_the_session_up_anew_for_contacts_only() -> None:
    """Guards the second way to a repair, and that a stranger's session is left alone."""
    client = StageClient()
    client.add_person("Max", state=ContactState.REQUEST)
    ada = client.add_person("Ada")
    client.write(ada, "hello", state=MessageState.READ, tell=False)
    app = app_for(client)
    async with running(app) as pilot:
        await pilot.press("ctrl+p")
        await until(pilot, lambda: "Go to Ada" in screen_text(app))
        await write(pilot, "session anew")
        await until(
            pilot, lambda: "Go to Ada" not in screen_text(app) and "session anew  " in screen_text(app)
        )
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.press("tab", "enter")
        await until(pilot, lambda: client.called("repair") == [(uid_of("Ada"),)])
        await pilot.press("ctrl+down")
        await until(pilot, lambda: "wants to write to you" in screen_text(app))
        await app.screen.run_action("screen.repair")
        await until(pilot, lambda: "a contact first" in screen_text(app))
        assert len(client.called("repair")) == 1
