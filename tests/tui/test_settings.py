"""Oneself at the relay: the registration PIN, being found, and what is said when the relay does not want one."""

from __future__ import annotations

from textual.widgets import Button, Input

from tests.tui.running import app_for, running, screen_text, until, write
from tests.tui.seeds import furnished
from tests.tui.stage import StageClient
from zap2.client.api import LinkState, LinkView
from zap2.errors import Unreachable
from zap2.tui.screens.contact import ContactScreen
from zap2.tui.screens.settings import SettingsScreen


async def test_a_pin_is_set_by_keys_and_removed_after_a_question() -> None:
    """Guards the way to a PIN: written twice, never shown, said to be set only when the relay has it."""
    client = StageClient()
    app = app_for(client)
    async with running(app) as pilot:
        await pilot.press("f7")
        await until(pilot, lambda: "Registration PIN: none" in screen_text(app))
        await write(pilot, "123")
        await pilot.press("enter")
        await until(pilot, lambda: "4 to 64 characters." in screen_text(app))
        await write(pilot, "4711")
        await pilot.press("enter")
        await until(pilot, lambda: app.screen.query_one("#pin-again", Input).has_focus)
        await write(pilot, "another")
        await pilot.press("enter")
        await until(pilot, lambda: "The two are not the same." in screen_text(app))
        assert client.called("set_pin") == []
        app.screen.query_one("#pin-again", Input).value = "1234711"
        await pilot.press("enter")
        await until(pilot, lambda: "Registration PIN: set" in screen_text(app))
        assert client.called("set_pin") == [("1234711",)]
        assert "1234711" not in screen_text(app)
        app.screen.query_one("#remove-pin", Button).press()
        await until(pilot, lambda: "Remove the registration PIN?" in screen_text(app))
        await pilot.press("tab", "enter")
        await until(pilot, lambda: "Registration PIN: none" in screen_text(app))
        assert client.called("set_pin")[-1] == (None,)


async def test_whether_one_is_found_is_shown_as_the_relay_has_it() -> None:
    """Guards that an unreachable relay is said and nothing is shown as done."""
    client = StageClient()
    client.refusals["set_listed"] = Unreachable("The relay cannot be reached.")
    app = app_for(client)
    async with running(app) as pilot:
        await pilot.press("f7")
        await until(pilot, lambda: isinstance(app.screen, SettingsScreen))
        app.screen.query_one("#listed", Button).press()
        await until(pilot, lambda: "The relay cannot be reached." in screen_text(app))
        assert "Others at your relay find you" in screen_text(app)
        del client.refusals["set_listed"]
        app.screen.query_one("#listed", Button).press()
        await until(pilot, lambda: "Nobody finds you by your number." in screen_text(app))
        app.screen.query_one("#listed", Button).press()
        await until(pilot, lambda: "Others at your relay find you" in screen_text(app))
        assert client.called("set_listed") == [(False,), (False,), (True,)]


async def test_what_to_do_about_a_relay_that_shut_one_out() -> None:
    """Guards the words for somebody who is blocked: what happened, whom to ask, and no promise that waiting helps."""
    client = StageClient()
    app = app_for(client)
    async with running(app) as pilot:
        words = "The relay's host has blocked this account."
        client.set_link(LinkView(LinkState.OFFLINE, words, 300.0, refused="account-blocked"))
        await until(pilot, lambda: "blocked this account · F3 says what to do" in screen_text(app))
        await pilot.press("f3")
        await until(pilot, lambda: "to let you in again" in screen_text(app))
        assert "goes out by itself" not in screen_text(app)


async def test_a_name_that_would_be_cut_is_said_before_it_is_taken() -> None:
    """Guards names of more than 64 characters, in the contact's screen and while adding somebody."""
    client, _ = furnished()
    app = app_for(client)
    async with running(app) as pilot:
        await pilot.press("f2")
        await until(pilot, lambda: isinstance(app.screen, ContactScreen))
        field = app.screen.query_one("#rename", Input)
        field.focus()
        field.value = ""
        await write(pilot, "x" * 65)
        await until(pilot, lambda: "It has 65 characters; a name has 64 at most." in screen_text(app))
        await pilot.press("enter")
        await pilot.press("backspace", "enter")
        await until(pilot, lambda: len(client.called("rename")) == 1)
        assert client.called("rename")[0][1] == "x" * 64
        await pilot.press("escape", "ctrl+n")
        await write(pilot, "+12025550123")
        app.screen.query_one("#name", Input).focus()
        await write(pilot, "y" * 70)
        await until(pilot, lambda: "It has 70 characters" in screen_text(app))
        await pilot.press("enter")
        assert client.called("add_contact") == []


async def test_the_palette_finds_everything_from_a_dialog_too() -> None:
    """Guards Ctrl+P where a dialog is in front: it closes for what concerns the chat."""
    client, _ = furnished()
    app = app_for(client)
    async with running(app) as pilot:
        await pilot.press("f2")
        await until(pilot, lambda: isinstance(app.screen, ContactScreen))
        await pilot.press("ctrl+p")
        await write(pilot, "adalove")
        await until(pilot, lambda: "Go to Ada Lovelace" in screen_text(app))
        await pilot.press("enter", "enter")
        await until(pilot, lambda: "Ada Lovelace · ◆ verified" in screen_text(app))
        await pilot.press("f2")
        await until(pilot, lambda: isinstance(app.screen, ContactScreen))
        await pilot.press("ctrl+p")
        await write(pilot, "registration")
        await until(pilot, lambda: "Registration PIN, and who" in screen_text(app))
        await pilot.press("enter", "enter")
        await until(pilot, lambda: isinstance(app.screen, SettingsScreen))
