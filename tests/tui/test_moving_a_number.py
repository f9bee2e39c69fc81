"""A number moves to a new profile, and leaves an account without one behind."""

from __future__ import annotations

from dataclasses import replace

from textual.widgets import Button

from tests.tui.running import Driver, app_for, running, screen_text, until, write
from tests.tui.seeds import furnished
from tests.tui.stage import RELAY, StageClient
from tests.tui.stage_door import PASSPHRASE, StageEntrance, StageSignup
from zap2.client.api import MeChanged
from zap2.client.words import number_notice, takeover_notice
from zap2.tui.app import Zap2App
from zap2.tui.screens.settings import SettingsScreen
from zap2.tui.widgets.bars import NoticeBar


def _first_run(signup: StageSignup) -> Zap2App:
    entrance = StageEntrance(signup.client, exists=False, first_run=signup)
    return app_for(signup.client, entrance=entrance, default_relay=RELAY)


async def _fill(pilot: Driver, app: Zap2App, text: str, then: str) -> None:
    await write(pilot, text)
    await pilot.press("enter")
    await until(pilot, lambda: then in screen_text(app))


def _words(app: Zap2App) -> str:
    """What is on the screen, without lines and frames."""
    return " ".join(screen_text(app).replace("│", " ").replace("┃", " ").split())


async def test_a_number_moves_with_an_invite_and_its_pin() -> None:
    """Guards the member of a relay by invite who has a new computer: what is needed is said, and what happened."""
    signup = StageSignup(StageClient(), registration="invite", pin="4711")
    signup.notice = takeover_notice(has_pin=True)
    app = _first_run(signup)
    async with running(app) as pilot:
        await pilot.press("enter")
        await until(pilot, lambda: "Your invite" in screen_text(app))
        assert "To move your number here from another device you need one too." in _words(app)
        await pilot.press("enter")
        await until(pilot, lambda: "! Write the invite" in screen_text(app))
        await _fill(pilot, app, signup.invite, "Your phone number")
        await _fill(pilot, app, "+4915123456789", "The six-digit code")
        await _fill(pilot, app, "123456", "Your name")
        await _fill(pilot, app, "Bo", "A passphrase")
        await _fill(pilot, app, PASSPHRASE, "once more")
        await _fill(pilot, app, PASSPHRASE, "The registration PIN of your number")
        await _fill(pilot, app, "4711", "No conversations yet")
        await until(pilot, lambda: "Its registration PIN holds for this account now" in _words(app))
    assert ("request_code", "+4915123456789", signup.invite) in signup.calls
    assert ("create", "Bo", PASSPHRASE, signup.invite, "4711") in signup.calls


async def test_what_unlocking_finished_is_said() -> None:
    """Guards the sign-up that ends when the profile is opened next: that a number was taken over is said then."""
    client, _ = furnished()
    entrance = StageEntrance(client, notice=takeover_notice(has_pin=True))
    app = app_for(client, entrance=entrance)
    async with running(app) as pilot:
        await _fill(pilot, app, PASSPHRASE, "Zap2")
        await until(pilot, lambda: "Its registration PIN holds for this account now" in _words(app))


async def test_a_number_that_is_lost_is_said_at_once_and_stays_said() -> None:
    """Guards the loser of a number: the notice, the status line, and F7, which offers nothing that is of no use."""
    client, _ = furnished()
    app = app_for(client)
    async with running(app) as pilot:
        await pilot.press("f7")
        await until(pilot, lambda: "Registration PIN: none" in screen_text(app))
        lost = replace(client.me, has_number=False)
        client.me = lost
        client.tell(MeChanged(lost))
        client.tell(number_notice(lost))
        await until(pilot, lambda: "belongs to another account at your relay now" in _words(app))
        assert "sign up anew, under another --profile name" in _words(app)
        assert "Registration PIN:" not in screen_text(app)
        for button in ("#set-pin", "#remove-pin", "#listed"):
            assert not app.screen.query_one(button, Button).display
        await pilot.press("escape")
        await until(pilot, lambda: "If that was not you, tell the relay's host." in _words(app))
        await pilot.press("f8")
        await until(pilot, lambda: not app.screen.query_one(NoticeBar).display)
        assert "! your number is another account's (F7)" in screen_text(app)


async def test_a_number_that_was_lost_earlier_is_said_from_the_start() -> None:
    """Guards what the vault remembers: no relay has to be there to say it again."""
    client = StageClient()
    client.me = replace(client.me, has_number=False)
    app = app_for(client)
    async with running(app) as pilot:
        await until(pilot, lambda: "! your number is another account's (F7)" in screen_text(app))
        assert "Others find you" not in screen_text(app)
        await pilot.press("f7")
        await until(pilot, lambda: isinstance(app.screen, SettingsScreen))
        await until(pilot, lambda: "belongs to another account at your relay now" in _words(app))
        assert app.screen.query_one("#close", Button).has_focus
