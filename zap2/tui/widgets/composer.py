"""Where one writes: several lines, Enter sends, a paste never does."""

from __future__ import annotations

from typing import ClassVar, Final

from textual import events
from textual.binding import BindingType
from textual.message import Message
from textual.timer import Timer
from textual.widgets import TextArea

from zap2.tui.guard import harmless
from zap2.tui.keys import bind

BURST_S: Final = 0.005
"""Keys closer together than this were not typed by hand."""

HOLD_S: Final = 0.02
"""How long an Enter inside a burst waits to see whether more follows."""


class Composer(TextArea):
    """A text field that grows with what is written.

    Terminals mark a paste, and then it arrives in one piece. From a terminal that does not, a paste is a burst of
    keys: an Enter in the middle of one becomes a new line instead of sending half of what was pasted.
    """

    EXPLANATION = (
        "Writing",
        "Enter sends. Ctrl+J or Alt+Enter starts a new line; Shift+Enter does so too where the terminal passes it "
        "on. What you paste is inserted and never sent by itself. Text that you have not sent is kept, also "
        "over a restart. Up in an empty field goes to the messages, PageUp scrolls them.",
    )

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("enter", "submit", "Send", "composer.send"),
        bind("ctrl+j,shift+enter,alt+enter", "newline", "New line", "composer.newline"),
    ]

    class Submitted(Message):
        """Enter was pressed on this text."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Escaped(Message):
        """A key wants to go elsewhere: "up", "page-up" or "page-down"."""

        def __init__(self, where: str) -> None:
            super().__init__()
            self.where = where

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, soft_wrap=True, tab_behavior="focus", show_line_numbers=False, compact=True)
        self.highlight_cursor_line = False
        self.match_cursor_bracket = False
        self._last_key_s = 0.0
        self._held: Timer | None = None
        self._pasting = False

    async def _on_key(self, event: events.Key) -> None:
        in_burst = event.time - self._last_key_s < BURST_S
        self._last_key_s = event.time
        if not in_burst:
            self._pasting = False
        if event.key == "enter":
            event.stop()
            event.prevent_default()
            if self._release():
                self._insert_newline()
            if self._pasting:
                self._insert_newline()
            elif in_burst:
                self._held = self.set_timer(HOLD_S, self._send_held)
            else:
                self.action_submit()
            return
        typed = event.character if event.character and harmless(event.character) else None
        if self._held is not None and typed is not None:
            self._release()
            self._pasting = True
            self._insert_newline()
        if typed is not None and not event.is_printable:
            # Joiners and the like: TextArea drops what Python calls unprintable, and words and emoji fall apart.
            event.stop()
            event.prevent_default()
            self._replace_via_keyboard(typed, *self.selection)
            return
        await super()._on_key(event)

    def _release(self) -> bool:
        """Forget an Enter that was held back. Says whether there was one."""
        held, self._held = self._held, None
        if held is not None:
            held.stop()
            self._pasting = True
        return held is not None

    def _send_held(self) -> None:
        self._held = None
        self.action_submit()

    def _insert_newline(self) -> None:
        self._replace_via_keyboard("\n", *self.selection)

    def action_submit(self) -> None:
        """Send what is written; nothing is never sent."""
        if self.text.strip():
            self.post_message(self.Submitted(self.text))

    def action_newline(self) -> None:
        """Start a new line."""
        self._insert_newline()

    async def _on_paste(self, event: events.Paste) -> None:
        event.stop()
        event.prevent_default()
        text = event.text.replace("\r\n", "\n").replace("\r", "\n")
        text = "\n".join(harmless(line) for line in text.replace("\t", "    ").split("\n"))
        if text:
            self._replace_via_keyboard(text, *self.selection)

    def action_cursor_up(self, select: bool = False) -> None:
        """Move up; in an empty field, to the messages."""
        if not select and not self.text:
            self.post_message(self.Escaped("up"))
        else:
            super().action_cursor_up(select)

    def action_cursor_page_up(self) -> None:
        """Scroll the messages up."""
        self.post_message(self.Escaped("page-up"))

    def action_cursor_page_down(self) -> None:
        """Scroll the messages down."""
        self.post_message(self.Escaped("page-down"))

    def put_back(self, text: str) -> None:
        """Show text again that could not be sent, before what has been written since."""
        self.load_text(f"{text}\n{self.text}" if self.text.strip() else text)
        self.move_cursor(self.document.end)
