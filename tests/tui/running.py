"""Running the app on the stage, waiting for conditions, and reading what is on the screen."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from string import ascii_letters, digits
from typing import Any, Final

from rich.style import Style
from textual import events
from textual.app import App
from textual.pilot import Pilot
from textual.strip import Strip
from textual.widgets import Input, TextArea

from tests.tui.stage import StageClient, StoppedClock
from tests.tui.stage_door import StageEntrance
from zap2.tui.app import Zap2App
from zap2.tui.screens.chat import ChatScreen

Driver = Pilot[None]
_TRIES: Final = 400
_LETTERS: Final = ascii_letters + digits


def app_for(
    client: StageClient,
    *,
    entrance: StageEntrance | None = None,
    clock: StoppedClock | None = None,
    theme: str | None = None,
    hosting: str | None = None,
    default_relay: str | None = None,
) -> Zap2App:
    """Make the app without motion: open at once, or behind `entrance`."""
    app = Zap2App(
        entrance or StageEntrance(client),
        opened=None if entrance else client,
        clock=(clock or StoppedClock()).clock(),
        theme=theme,
        hosting=hosting,
        default_relay=default_relay,
    )
    app.animation_level = "none"
    return app


@asynccontextmanager
async def running(app: Zap2App, size: tuple[int, int] = (80, 24)) -> AsyncIterator[Driver]:
    """Run the app without a terminal until its first screen has settled."""
    async with app.run_test(size=size, notifications=True) as pilot:
        await until(pilot, lambda: len(app.screen_stack) > 1)
        if app.client is not None:
            await until(pilot, lambda: is_listed(app))
        yield pilot


def is_listed(app: Zap2App) -> bool:
    """Whether the conversations and the first page of the open one are on the screen."""
    screen = app.screen_stack[1]
    if not isinstance(screen, ChatScreen) or not isinstance(app.client, StageClient):
        return False
    listed = len(screen.list.items) == len(app.client.views)
    opened = screen.pane.conversation
    transcript = screen.pane.transcript
    return listed and (not opened or bool(transcript.rows.messages) == bool(app.client.threads[opened]))


async def until(pilot: Pilot[Any], condition: Callable[[], bool]) -> None:
    """Let the app work until a condition holds; fails when it never does."""
    for _ in range(_TRIES):
        if condition():
            await pilot.pause()
            return
        await pilot.pause(0.005)
    raise AssertionError(f"never came true; the screen was:\n{screen_text(pilot.app)}")


def chat(app: Zap2App) -> ChatScreen:
    """The chat screen, also while a dialog covers it."""
    screen = app.screen_stack[1]
    assert isinstance(screen, ChatScreen)
    return screen


async def write(pilot: Driver, text: str) -> None:
    """Put text into the focused field in one piece; typing key by key costs a repaint each."""
    await until(pilot, lambda: isinstance(pilot.app.screen.focused, Input | TextArea))
    field = pilot.app.screen.focused
    assert field is not None
    field.post_message(events.Paste(text))
    await pilot.pause()


def screen_strips(app: App[Any]) -> list[Strip]:
    """The rows of the whole screen as they go to the terminal, filters applied."""
    return list(app.screen._compositor.render_strips())


def screen_text(app: App[Any]) -> str:
    """The characters on the screen."""
    return "\n".join(strip.text.rstrip() for strip in screen_strips(app))


async def settled(pilot: Driver, app: Zap2App) -> str:
    """Give the dump of the screen once it does not change any more."""
    before, now = "", dump(app)
    while now != before:
        await pilot.pause(0.06)
        before, now = now, dump(app)
    return now


def dump(app: Zap2App) -> str:
    """Write the screen as text, then the same cells as letters that stand for styles, then what those are."""
    strips = screen_strips(app)
    legend: dict[str, str] = {}
    rows = []
    for strip in strips:
        row = ""
        for segment in strip:
            words = _style_words(segment.style)
            letter = legend.setdefault(words, _LETTERS[len(legend) % len(_LETTERS)])
            row += letter * len(segment.text)
        rows.append(row)
    width, height = app.size
    text = "\n".join(f"|{strip.text}|" for strip in strips)
    styles = "\n".join(f"{letter} = {words}" for words, letter in legend.items())
    return f"{width}x{height} {app.theme}\n{text}\n\n" + "\n".join(rows) + f"\n\n{styles}\n"


def _style_words(style: Style | None) -> str:
    if style is None:
        return "plain"
    attributes = [
        name for name in ("bold", "italic", "underline", "reverse", "strike") if getattr(style, name)
    ]
    front = style.color.name if style.color else "default"
    ground = style.bgcolor.name if style.bgcolor else "default"
    return " ".join([*attributes, f"{front} on {ground}"])
