"""What is typed while no field is there to take it, kept in order for the next one."""

from __future__ import annotations

import asyncio
from typing import Final

from textual import events
from textual.message_pump import MessagePump
from textual.widgets import Input

from zap2.tui.guard import harmless

ENTER: Final = "\n"
_BACKSPACE: Final = "\b"
_PATIENCE_S: Final = 1.0
_MOST: Final = 1000


class TypeAhead:
    """A queue of characters and of the keys Enter and Backspace."""

    def __init__(self) -> None:
        self._keys: list[str] = []

    def take_key(self, event: events.Key) -> None:
        """Keep a key that nothing else took."""
        if event.key == "backspace":
            self._keep(_BACKSPACE)
        elif event.character is not None and event.is_printable:
            self._keep(event.character)

    def take_paste(self, event: events.Paste) -> None:
        """Keep the first line of what is pasted, as a field does."""
        self._keep(*harmless(event.text.splitlines()[0] if event.text else ""))

    def take_enter(self) -> None:
        """Keep an Enter."""
        self._keep(ENTER)

    def next(self) -> str | None:
        """Give the oldest key, or None."""
        return self._keys.pop(0) if self._keys else None

    def clear(self) -> None:
        """Forget all."""
        self._keys.clear()

    def _keep(self, *keys: str) -> None:
        self._keys += keys[: _MOST - len(self._keys)]


class PromptInput(Input):
    """A field that has done what its keys say before it takes the next one.

    Textual sends a key with a binding up to the app and back, and an Enter typed right after it would be quicker.
    """

    async def _on_key(self, event: events.Key) -> None:
        match event.key:
            case "backspace":
                self.action_delete_left()
            case "ctrl+u":
                self.action_delete_left_all()
            case "ctrl+w":
                self.action_delete_left_word()
            case "delete":
                self.action_delete_right()
            case _:
                await super()._on_key(event)
                return
        event.stop()
        event.prevent_default()


def press(field: Input, key: str) -> None:
    """Do in a field what a kept key would have done there."""
    if key == _BACKSPACE:
        field.action_delete_left()
    else:
        field.replace(key, *sorted(field.selection))


async def drained(pump: MessagePump) -> None:
    """Wait until a widget or screen has handled what was sent to it so far.

    Call it where keys are handed out (an action, or the app's `call_later`): no further ones are until it returns.
    """
    done = asyncio.Event()
    if pump.call_later(done.set):
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await done.wait()
        except TimeoutError:
            # It is going away, and what was typed into it goes with it.
            return
