"""Dialogs: adding somebody, a contact, the safety number, the address."""

from __future__ import annotations

import pytest
from textual.widgets import Input, Static

from tests.tui.running import app_for, chat, running, screen_text, until, write
from tests.tui.seeds import furnished
from tests.tui.stage import RELAY, StageClient, uid_of
from zap2.client.api import ContactState, LinkState, LinkView, Trust
from zap2.errors import Refused
from zap2.ids import conversation_with
from zap2.tui.screens.add_contact import AddContactScreen
from zap2.tui.screens.contact import ContactScreen
from zap2.tui.screens.dialog import Confirm
from zap2.tui.screens.safety_number import SafetyNumberScreen


async def test_add_contact_opens_the_conversation() -> None:
    """Guards Ctrl+N from the number to writing."""
    client = StageClient()
    client.directory["+442079460018"] = uid_of("Ada")
    app = app_for(client)
    async with running(app) as pilot:
        await pilot.press("ctrl+n")
        await write(pilot, "+442079460018")
        await pilot.press("enter")
        await until(pilot, lambda: chat(app).pane.conversation == conversation_with(uid_of("Ada")))
        assert "Ada · ◇ not compared yet" in screen_text(app)
        assert "No messages yet." in screen_text(app)
        await until(pilot, lambda: "Ada was added." in screen_text(app))


async def test_unknown_number_and_limit_are_said_in_the_dialog() -> None:
    """Guards the refusals: nobody there, no number at all, and how long a limit lasts."""
    client = StageClient()
    app = app_for(client)
    async with running(app) as pilot:
        await pilot.press("ctrl+n", "enter")
        assert "Write the phone number of the person" in screen_text(app)
        await write(pilot, "+4915100000000")
        await pilot.press("enter")
        await until(pilot, lambda: "Nobody at this relay has registered that number." in screen_text(app))
        client.refusals["add_contact"] = Refused("rate-limited", "Too many look-ups.", 75.0)
        await pilot.press("enter")
        await until(pilot, lambda: "Try again in 75 s." in screen_text(app))
        assert app.screen.query_one("#number", Input).value == "+4915100000000"
        await pilot.press("escape")
        assert not isinstance(app.screen, AddContactScreen)


async def test_safety_number_shows_twelve_groups_and_records_a_match() -> None:
    """Guards verification, and that the mark is everywhere at once."""
    client = StageClient()
    ada = client.add_person("Ada")
    app = app_for(client)
    async with running(app, (100, 45)) as pilot:
        await pilot.press("f4")
        await until(pilot, lambda: "07919  15838  23757  31676" in screen_text(app))
        assert "71271  79190  87109  95028" in screen_text(app)
        assert "▀▀▀" in screen_text(app)
        await pilot.click("#match")
        await until(pilot, lambda: not isinstance(app.screen, SafetyNumberScreen))
        await until(pilot, lambda: "Ada · ◆ verified" in screen_text(app))
    assert client.called("set_verified") == [(client.views[ada].peer, True)]


async def test_where_little_fits_the_digits_come_first() -> None:
    """Guards a tiny terminal: the safety number is in view when the dialog opens."""
    client = StageClient()
    client.add_person("Ada")
    app = app_for(client)
    async with running(app, (20, 8)) as pilot:
        await pilot.press("enter")
        await until(pilot, lambda: chat(app).pane.conversation is not None)
        await pilot.press("f4")
        await until(pilot, lambda: "07919" in screen_text(app))


async def test_an_address_of_the_loopback_is_said_to_be_one() -> None:
    """Guards a host who would hand out an address that works on this computer only."""
    app = app_for(StageClient(), hosting=f"zap2+ws://{'a' * 32}@127.0.0.1:8765")
    async with running(app, (110, 45)) as pilot:
        await pilot.press("f3")
        await until(pilot, lambda: "this computer only" in screen_text(app))


async def test_numbers_that_differ_are_explained_and_recorded() -> None:
    """Guards the other answer: its consequence is said and stays to be read."""
    client = StageClient()
    ada = client.add_person("Ada", trust=Trust.VERIFIED)
    app = app_for(client)
    async with running(app, (100, 45)) as pilot:
        await pilot.press("f4")
        await until(pilot, lambda: "You compared it before: verified." in screen_text(app))
        await pilot.click("#differ")
        await until(pilot, lambda: "somebody may read along" in screen_text(app))
        assert client.views[ada].trust is Trust.FIRST_USE


async def test_contact_is_renamed_and_blocked_after_a_question() -> None:
    """Guards what can be done about a contact, and that blocking asks first."""
    client = StageClient()
    ada = client.add_person("Ada", number="+44 20 7946 0018")
    app = app_for(client)
    async with running(app, (100, 35)) as pilot:
        await pilot.press("f2")
        await until(pilot, lambda: isinstance(app.screen, ContactScreen))
        await until(pilot, lambda: "+44 20 7946 0018" in screen_text(app))
        app.screen.query_one("#rename", Input).focus()
        await write(pilot, "Ada L.")
        await pilot.press("enter")
        await until(pilot, lambda: client.views[ada].title == "Ada L.")
        await pilot.click("#block")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        assert client.called("block") == []
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, ContactScreen))
        await pilot.click("#block")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.click("#yes")
        await until(pilot, lambda: client.views[ada].contact_state is ContactState.BLOCKED)
        await until(pilot, lambda: "Unblock" in screen_text(app))


@pytest.mark.parametrize(
    ("state", "label"), [(ContactState.REQUEST, "First wrote"), (ContactState.BLOCKED, "Known since")]
)
async def test_a_stranger_was_not_added_by_anybody(state: ContactState, label: str) -> None:
    """Guards the words of F2: a stranger wrote first, and who is blocked is merely known."""
    client = StageClient()
    client.add_person("Max", state=state)
    app = app_for(client)
    async with running(app, (100, 35)) as pilot:
        await pilot.press("f2")
        await until(pilot, lambda: isinstance(app.screen, ContactScreen))
        await until(pilot, lambda: label in screen_text(app))
        assert "Added" not in screen_text(app)


async def test_address_is_shown_with_a_code_to_scan() -> None:
    """Guards what a host hands out, and that the link is explained."""
    client, _ = furnished()
    app = app_for(client, hosting=RELAY)
    async with running(app, (110, 45)) as pilot:
        assert "hosting (F3)" in screen_text(app)
        await pilot.press("f3")
        await until(pilot, lambda: "You host this relay" in screen_text(app))
        assert RELAY in screen_text(app)
        assert "▀▀▀" in screen_text(app)
        client.set_link(LinkView(LinkState.NOT_TRUSTED))
        await until(pilot, lambda: "proved another key" in screen_text(app))


async def test_the_address_of_somebody_elses_relay_comes_with_a_word_about_invites() -> None:
    """Guards friends at a relay by invite: with the address alone they would be refused."""
    client, _ = furnished()
    app = app_for(client)
    async with running(app, (110, 45)) as pilot:
        await pilot.press("f3")
        await until(pilot, lambda: "Your relay" in screen_text(app))
        words = app.screen.query(Static).filter(".dialog-text").first()
        assert "an invite that its host makes" in str(words.content)
