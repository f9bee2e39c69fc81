"""A screen of steps that loses no key.

While one step gives way to the next, or an answer is waited for, no field has the focus: keys that come meanwhile reach
the screen, are kept (`zap2.tui.type_ahead`) and handed to the field that follows. For their order to hold, Enter and
the arrival at a step happen where the app hands keys out, one after the other.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from textual import events
from textual.actions import SkipAction
from textual.binding import BindingType
from textual.screen import Screen
from textual.widgets import Input

from zap2.tui.keys import bind
from zap2.tui.type_ahead import ENTER, TypeAhead, drained, press


class SteppedScreen(Screen[None]):
    """Fields on several pages; a subclass shows the pages and decides when one may be left."""

    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("enter", "enter", "Go on", "wizard.next", priority=True),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._busy = False
        self._moving = False
        self._ahead = TypeAhead()

    @abstractmethod
    def enter(self) -> bool:
        """Go on to the next field or step. Says whether that was possible."""

    @abstractmethod
    def first_field(self) -> Input:
        """Give the field of the present step in which one begins."""

    @property
    def is_waiting(self) -> bool:
        """Whether no field takes keys: an answer is waited for, or a step gives way to the next."""
        return self._busy or self._moving

    def wait(self) -> None:
        """Take no keys into fields until `move` or `stay`: an answer is on its way."""
        self._busy = True
        self.set_focus(None)

    def move(self) -> None:
        """Go to the first field of another step, once the keys before it are handed out."""
        self._busy, self._moving = False, True
        self.set_focus(None)
        # A field that takes the focus before it has its size scrolls its text out of sight.
        self.call_after_refresh(self.app.call_later, self._arrive)

    def drop(self) -> None:
        """Forget what was typed ahead: it was meant for another field than the one that follows."""
        self._ahead.clear()

    def stay(self) -> None:
        """Go back to the first field."""
        self._busy = False
        self.drop()
        self.set_focus(self.first_field())

    async def _arrive(self) -> None:
        if not self.is_running:
            return
        await drained(self)
        self._moving = False
        field = self.first_field()
        self.set_focus(field)
        # With the focus it marks what is in it, which must not happen between two of the keys.
        await drained(field)
        # Of a long answer the beginning is shown, although the cursor stands at its end.
        field.scroll_to(0, animate=False)
        while not self.is_waiting and (key := self._ahead.next()) is not None:
            if key == ENTER:
                if not self.enter():
                    self._ahead.clear()
            elif isinstance(self.focused, Input):
                press(self.focused, key)

    def on_resize(self) -> None:
        """Keep the field in which one writes on the screen."""
        if self.focused is not None:
            self.call_after_refresh(self.focused.scroll_visible, animate=False)

    def on_key(self, event: events.Key) -> None:
        """Keep what is typed while waiting."""
        if self.is_waiting:
            self._ahead.take_key(event)

    def on_paste(self, event: events.Paste) -> None:
        """Keep what is pasted while waiting."""
        if self.is_waiting:
            self._ahead.take_paste(event)

    async def action_enter(self) -> None:
        """Go on from a field; a focused button is pressed."""
        if self.is_waiting:
            await drained(self)
            self._ahead.take_enter()
        elif isinstance(self.focused, Input):
            await drained(self.focused)
            self.enter()
        else:
            raise SkipAction
