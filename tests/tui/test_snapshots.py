"""The screens as they were looked over: text and styles of every cell, at three sizes and in three themes.

`ZAP2_UPDATE_SNAPSHOTS=1` writes them anew; look at the difference before it is committed.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import pytest

from tests.tui.running import Driver, app_for, is_listed, running, screen_text, settled, until, write
from tests.tui.seeds import furnished
from tests.tui.stage import RELAY, StageClient, uid_of
from tests.tui.stage_door import StageEntrance, StageSignup
from zap2.client.api import (
    ContactChanged,
    LinkState,
    LinkView,
    MessageState,
    Notice,
    NoticeLevel,
    SessionState,
)
from zap2.ids import conversation_with
from zap2.tui import themes
from zap2.tui.app import Zap2App
from zap2.tui.screens.chat import ChatScreen

FOLDER: Final = Path(__file__).parent / "snapshots"
SIZES: Final = ((80, 24), (40, 20), (140, 45))
LOOKS: Final = (themes.DARK, themes.LIGHT, themes.MONOCHROME)

Step = Callable[[Driver, Zap2App], Awaitable[None]]


def _open(title: str) -> Step:
    async def step(pilot: Driver, app: Zap2App) -> None:
        assert isinstance(app.screen, ChatScreen)
        screen = app.screen
        view = next(view for view in screen.inbox.listed() if view.title == title)
        screen.open(view.id)
        await until(pilot, lambda: screen.pane.conversation == view.id and is_listed(app))

    return step


def _press(*keys: str, then: str) -> Step:
    async def step(pilot: Driver, app: Zap2App) -> None:
        await pilot.press(*keys)
        await until(pilot, lambda: then in screen_text(app))

    return step


def _write(text: str) -> Step:
    async def step(pilot: Driver, app: Zap2App) -> None:
        await write(pilot, text)

    return step


async def _trouble(pilot: Driver, app: Zap2App) -> None:
    client = app.client
    assert isinstance(client, StageClient)
    ada = next(view.id for view in client.views.values() if view.title == "Ada Lovelace")
    client.write(ada, "Are you still there?", state=MessageState.FAILED, failure="Ada's mailbox is full.")
    client.set_link(LinkView(LinkState.OFFLINE, "the relay does not answer", 42.0))
    client.notice(
        Notice(
            NoticeLevel.SECURITY, "key-changed", "Ada Lovelace's key changed. Compare safety numbers again."
        )
    )
    await until(pilot, lambda: "key changed" in screen_text(app) and "offline" in screen_text(app))


async def _gap(pilot: Driver, app: Zap2App) -> None:
    client = app.client
    assert isinstance(client, StageClient)
    ada = uid_of("Ada Lovelace")
    client.write(conversation_with(ada), "and so it ends.", missing_before=2)
    client.tell(ContactChanged(replace(client.people[ada], session=SessionState.BROKEN)))
    await until(pilot, lambda: "⋯ 2 messages" in screen_text(app) and "session broken" in screen_text(app))


@dataclass(frozen=True)
class Scene:
    """Something to look at, and the steps to it."""

    name: str
    steps: tuple[Step, ...] = ()
    door: str = "open"
    looks: tuple[str, ...] = field(default=(themes.DARK,))
    is_dialog: bool = False
    """A dialog looks the same on a large terminal, only with more around it."""

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """The sizes to look at."""
        return SIZES[:2] if self.is_dialog else SIZES


SCENES: Final = (
    Scene("chat", (_open("Ada Lovelace"),), looks=LOOKS),
    Scene("messages", (_open("Ada Lovelace"), _press("up", "up", then="▌")), looks=LOOKS),
    Scene("request", (_open("Max"),)),
    Scene("trouble", (_open("Ada Lovelace"), _trouble), looks=LOOKS),
    Scene("gap", (_open("Ada Lovelace"), _gap)),
    Scene("writing", (_open("雪 Yuki"), _write("three\nlines of\ntext 雪"))),
    Scene("empty", door="empty"),
    Scene("safety-number", (_open("Grace Hopper"), _press("f4", then="07919")), looks=LOOKS),
    Scene("contact", (_open("Grace Hopper"), _press("f2", then="Their name")), is_dialog=True),
    Scene(
        "add-contact",
        (_press("ctrl+n", then="Add somebody"), _press("enter", then="! Write")),
        is_dialog=True,
    ),
    Scene("address", (_press("f3", then="You host this relay"),), is_dialog=True),
    Scene(
        "settings",
        (
            _press("f7", then="Registration PIN: none"),
            _write("4711"),
            _press("enter", then="once more"),
            _write("4711"),
            _press("enter", then="The relay has the PIN."),
        ),
        is_dialog=True,
    ),
    Scene("help", (_press("f1", then="Keys here"),), is_dialog=True),
    Scene("palette", (_press("ctrl+p", then="Go to Ada"),), is_dialog=True),
    Scene("unlock", (_write("wrong"), _press("enter", then="does not open")), door="locked", looks=LOOKS),
    Scene("wizard-relay", door="new", is_dialog=True),
    Scene(
        "wizard-phone",
        (_press("enter", then="Your phone number"), _write("0151"), _press("enter", then="no country code")),
        door="new",
        is_dialog=True,
    ),
    Scene(
        "wizard-invite", (_press("enter", then="Your invite"), _write("abcd")), door="invite", is_dialog=True
    ),
    Scene(
        "wizard-pin",
        (
            _press("enter", then="Your phone number"),
            _write("+4915123456789"),
            _press("enter", then="Your name"),
            _write("Bo"),
            _press("enter", then="A passphrase"),
            _write("four random words here"),
            _press("enter", then="good"),
            _write("four random words here"),
            _press("enter", then="Registration PIN"),
            _write("1234"),
            _press("enter", then="! This is not"),
        ),
        door="taken",
        is_dialog=True,
    ),
    Scene(
        "wizard-passphrase",
        (
            _press("enter", then="Your phone number"),
            _write("+4915123456789"),
            _press("enter", then="The six-digit code"),
            _write("123456"),
            _press("enter", then="Your name"),
            _write("Bo"),
            _press("enter", then="A passphrase"),
            _write("password1"),
        ),
        door="new",
        is_dialog=True,
    ),
)


_FIRST_RUNS: Final[dict[str, Callable[[StageClient], StageSignup]]] = {
    "new": StageSignup,
    "invite": lambda client: StageSignup(client, registration="invite"),
    "taken": lambda client: StageSignup(client, asks_code=False, pin="4711"),
}


def _app(scene: Scene) -> Zap2App:
    if scene.door == "locked":
        return app_for(StageClient(), entrance=StageEntrance(StageClient()))
    if scene.door in _FIRST_RUNS:
        client = StageClient()
        entrance = StageEntrance(client, exists=False, first_run=_FIRST_RUNS[scene.door](client))
        return app_for(client, entrance=entrance, default_relay=RELAY)
    client = StageClient() if scene.door == "empty" else furnished()[0]
    return app_for(client, hosting=RELAY)


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
async def test_screen_is_as_it_was_looked_over(scene: Scene) -> None:
    """Guards the looks: any change of text, place or style at any size."""
    app = _app(scene)
    found = []
    async with running(app) as pilot:
        for step in scene.steps:
            await step(pilot, app)
        for width, height in scene.sizes:
            await pilot.resize_terminal(width, height)
            for theme in scene.looks if (width, height) == SIZES[0] else scene.looks[:1]:
                app.theme = theme
                found.append(await settled(pilot, app))
            app.theme = scene.looks[0]
    _compare(scene.name, "\n".join(found))


def _compare(name: str, found: str) -> None:
    path = FOLDER / f"{name}.txt"
    if os.environ.get("ZAP2_UPDATE_SNAPSHOTS"):
        FOLDER.mkdir(exist_ok=True)
        path.write_text(found, encoding="utf-8")
    expected = path.read_text(encoding="utf-8") if path.exists() else ""
    assert found == expected, f"{name} looks different; ZAP2_UPDATE_SNAPSHOTS=1 writes {path.name} anew"
