"""Colours: every text that is painted can be read, in every theme, and none rests on colour alone."""

from __future__ import annotations

import pytest
from textual.color import Color
from textual.theme import Theme
from textual.widgets import Input, TextArea

from tests.tui.running import app_for, running, screen_strips, screen_text, until, write
from tests.tui.seeds import furnished
from tests.tui.stage import StageClient
from tests.tui.stage_door import StageEntrance
from zap2.client.api import LinkState, LinkView, MessageState, Notice, NoticeLevel
from zap2.tui import themes
from zap2.tui.app import Zap2App

LEAST = 4.5
DRAWN = set("╭╮╰╯─│┏┓┗┛━┃▌▎▍▊█▀▄▁▂▃▅▆▇▏▕▔▐ ●○")
"""Lines, blocks and blanks: they are not read."""


def _contrast(one: Color, other: Color) -> float:
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(color: Color) -> float:
    """Relative luminance. Source: WCAG 2.2, "relative luminance"."""
    parts = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in color.normalized
    ]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


@pytest.mark.parametrize("theme", themes.THEMES, ids=lambda theme: theme.name)
def test_text_colours_of_a_theme_reach_the_contrast(theme: Theme) -> None:
    """Guards each named text colour on each ground, seven to one in the high contrast theme."""
    least = 7.0 if theme.name == themes.HIGH_CONTRAST else LEAST
    variables = theme.to_color_system().generate() | theme.variables
    for ground in (*themes.GROUND_NAMES, "selected"):
        for text in (*themes.TEXT_NAMES, "foreground"):
            found = _contrast(Color.parse(variables[text]), Color.parse(variables[ground]))
            assert found >= least, (text, ground, found)


def unreadable(app: Zap2App, *, only_front: bool = False) -> list[tuple[str, str, str]]:
    """Find painted text below the contrast; a dialog dims what is behind it, and that is meant to step back."""
    found = []
    strips = screen_strips(app)
    if only_front:
        box = app.screen.query_one(".dialog").region
        strips = [strip.crop(box.x, box.right) for strip in strips[box.y : box.bottom]]
    for strip in strips:
        for segment in strip:
            style = segment.style
            letters = set(segment.text) - DRAWN
            if not letters or style is None or style.color is None or style.bgcolor is None:
                continue
            front, ground = Color.from_rich_color(style.color), Color.from_rich_color(style.bgcolor)
            if _contrast(front, ground) < LEAST:
                found.append((segment.text, front.hex, ground.hex))
    return found


async def test_everything_on_the_screens_can_be_read() -> None:
    """Guards what is really painted: the chat in all its states, dialogs, fields, toasts, in every theme."""
    client, ada = furnished()
    client.write(ada, "not gone", state=MessageState.FAILED, failure="The mailbox is full.", tell=False)
    app = app_for(client)
    async with running(app, (90, 30)) as pilot:
        client.notice(Notice(NoticeLevel.SECURITY, "x", "A key changed."))
        client.notice(Notice(NoticeLevel.WARNING, "y", "Prekeys run low."))
        client.set_link(LinkView(LinkState.OFFLINE, "no answer", 5.0))
        await until(pilot, lambda: "Prekeys" in screen_text(app))
        for theme, key in zip(themes.LABELS, ("f6", "f6", "escape", "f6"), strict=True):
            await pilot.press(key)
            app.theme = theme
            await pilot.pause()
            assert unreadable(app) == [], (theme, key)
        await pilot.press("f3")
        for theme in themes.LABELS:
            app.theme = theme
            await pilot.pause()
            assert unreadable(app, only_front=True) == [], theme


async def test_the_entrance_can_be_read() -> None:
    """Guards unlock and its error in every theme."""
    client = StageClient()
    app = app_for(client, entrance=StageEntrance(client))
    async with running(app) as pilot:
        await pilot.press("x", "enter")
        await until(pilot, lambda: "does not open" in screen_text(app))
        for theme in themes.LABELS:
            app.theme = theme
            await pilot.pause()
            assert unreadable(app) == [], theme


async def test_no_color_paints_no_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards NO_COLOR: not one colour is set, and the focus is still visible."""
    monkeypatch.setenv("NO_COLOR", "1")
    client, _ = furnished()
    app = app_for(client)
    async with running(app) as pilot:
        await pilot.press("f6")
        await pilot.pause()
        strips = screen_strips(app)
        colours = {
            style.color.name
            for strip in strips
            for segment in strip
            if (style := segment.style) is not None and style.color is not None
        }
        assert colours <= {"default"}
        assert any("┏━ Zap2" in strip.text for strip in strips)


async def test_without_motion_the_cursor_does_not_blink() -> None:
    """Guards reduced motion for both kinds of field."""
    client, _ = furnished()
    app = app_for(client)
    async with running(app) as pilot:
        assert app.screen.query_one(TextArea).cursor_blink is False
        await pilot.press("ctrl+n")
        await until(pilot, lambda: app.screen.query_one("#number", Input).cursor_blink is False)


async def test_a_chosen_theme_is_used_the_next_time() -> None:
    """Guards that the choice lives in the profile, and that NO_COLOR and an explicit theme stand above it."""
    client = StageClient()
    app = app_for(client)
    async with running(app) as pilot:
        await pilot.press("ctrl+p")
        await until(pilot, lambda: "Theme: Light" in screen_text(app))
        await write(pilot, "theme light")
        await until(pilot, lambda: "Theme: Dark" not in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: client.preferences == {"theme": themes.LIGHT})
        assert app.theme == themes.LIGHT
    again = app_for(client)
    async with running(again):
        assert again.theme == themes.LIGHT
    explicit = app_for(client, theme=themes.HIGH_CONTRAST)
    async with running(explicit):
        assert explicit.theme == themes.HIGH_CONTRAST
    client.preferences["theme"] = "no-such-theme"
    unknown = app_for(client)
    async with running(unknown):
        assert unknown.theme == themes.DARK
