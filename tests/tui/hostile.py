"""A peer who puts everything that harms a terminal into everything that they control.

Run as a program it shows that peer in a real terminal, for the test that reads what the terminal would get.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Final

from textual.pilot import Pilot

from tests.tui.running import screen_text, until
from tests.tui.stage import NOW_MS, StageClient, StoppedClock
from tests.tui.stage_door import StageEntrance
from zap2.client.api import ContactState, LinkState, LinkView, MessageState, Notice, NoticeLevel, Trust
from zap2.tui.app import Zap2App

OSC_52: Final = "\x1b]52;c;cGF5bG9hZA==\x07"
BIDI: Final = "\u202e\u2066\u2069\u200f\u061c"
C1: Final = "\x9b31m\x9d52;c;cGF5bG9hZA==\x9c\x85"
MARKUP: Final = "[@click=app.quit]click[/] [bold red]b[/]"
CONTROLS: Final = "\x00\x07\x08\x0b\x0c\x7f\x1b[2J\x1b]0;title\x07\u2028\u2029"
PAYLOAD: Final = f"{OSC_52}{BIDI}{C1}{CONTROLS}"
MARK: Final = "peer-was-here"


def client() -> StageClient:
    """A client that forgot to sanitise anything."""
    stage = StageClient(me=replace(StageClient().me, name=f"Me{PAYLOAD}"))
    for name, state in (("peer", ContactState.ACCEPTED), ("stranger", ContactState.REQUEST)):
        conversation = stage.add_person(name, state=state)
        view = stage.views[conversation]
        title = f"{MARK}{MARKUP}{PAYLOAD}"
        stage.people[view.peer] = replace(
            stage.people[view.peer], title=title, profile_name=title, number=title
        )
        stage.views[conversation] = replace(view, title=title, draft=f"draft{PAYLOAD}", trust=Trust.VERIFIED)
        stage.write(conversation, f"{MARK} {MARKUP} {PAYLOAD}", at_ms=NOW_MS, tell=False)
        stage.write(
            conversation, f"own{PAYLOAD}", state=MessageState.FAILED, failure=f"because{PAYLOAD}", tell=False
        )
    stage.link = LinkView(LinkState.OFFLINE, f"relay said {MARKUP}{PAYLOAD}", 3.0)
    return stage


def say_everything(stage: StageClient) -> None:
    """Let notices of every level carry the payload too."""
    for level in NoticeLevel:
        stage.notice(Notice(level, "x", f"{MARK} {MARKUP} {PAYLOAD}"))


async def main() -> None:
    """Show it, press what opens dialogs, and quit."""
    stage = client()
    app = Zap2App(StageEntrance(stage), opened=stage, clock=StoppedClock().clock())

    async def drive(pilot: Pilot[object]) -> None:
        await until(pilot, lambda: MARK in screen_text(app))
        say_everything(stage)
        await until(pilot, lambda: "Security" in screen_text(app))
        await pilot.press("f8")
        for key in ("f2", "f4", "f3", "f1"):
            depth = len(app.screen_stack)
            await pilot.press(key)
            await until(pilot, lambda depth=depth: len(app.screen_stack) > depth)  # type: ignore[misc]  # mypy cannot infer a lambda with a default
            await pilot.press("escape")
        app.exit()

    await app.run_async(auto_pilot=drive)


if __name__ == "__main__":
    asyncio.run(main())
