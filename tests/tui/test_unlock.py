"""Unlocking a profile: what is said, and what stays."""

from __future__ import annotations

from textual.widgets import Input

from tests.tui.running import app_for, running, screen_text, until, write
from tests.tui.stage import StageClient
from tests.tui.stage_door import PASSPHRASE, StageEntrance
from zap2.errors import ProfileInUse
from zap2.tui.screens.chat import ChatScreen
from zap2.tui.screens.unlock import UnlockScreen


async def test_unlock_shows_the_profile_and_opens() -> None:
    """Guards the ordinary start."""
    client = StageClient()
    app = app_for(client, entrance=StageEntrance(client, profile="work"))
    async with running(app) as pilot:
        assert "Profile: work" in screen_text(app)
        await write(pilot, PASSPHRASE)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ChatScreen))


async def test_wrong_passphrase_is_said_and_stays() -> None:
    """Guards that a typo costs nothing and that the passphrase is not on the screen."""
    client = StageClient()
    app = app_for(client, entrance=StageEntrance(client))
    async with running(app) as pilot:
        await write(pilot, "wrong one")
        await pilot.press("enter")
        await until(pilot, lambda: "The passphrase does not open this vault." in screen_text(app))
        assert isinstance(app.screen, UnlockScreen)
        assert "wrong one" not in screen_text(app)
        assert "Nothing was changed." in screen_text(app)
        assert app.screen.query_one("#passphrase", Input).has_focus
        await write(pilot, PASSPHRASE)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ChatScreen))


async def test_profile_in_use_is_said() -> None:
    """Guards the refusal of a second process."""
    client = StageClient()
    app = app_for(client, entrance=StageEntrance(client, refusal=ProfileInUse()))
    async with running(app) as pilot:
        await pilot.press("enter")
        assert "Write your passphrase." in screen_text(app)
        await write(pilot, "x")
        await pilot.press("enter")
        await until(pilot, lambda: "Another Zap2 process has this profile open." in screen_text(app))
