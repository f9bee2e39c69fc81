"""The list of conversations: two rows each, painted line by line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from zap2.client.api import ContactState, ConversationView
from zap2.ids import ConversationId
from zap2.tui.clock import Clock
from zap2.tui.keys import bind
from zap2.tui.words import STATE_GLYPHS, TRUST_GLYPHS, when_words
from zap2.tui.wrap import cell_len, clip, expand, wrap

_ROWS: Final = 2
_EMPTY: Final = "No conversations yet.\n\nCtrl+N adds somebody by phone number.\n\nF1 explains what you see."

Part = tuple[str, str]
"""A component name and text."""


class ConversationList(ScrollView, can_focus=True):
    """Shows conversations with unread counts, trust marks and the last line of each."""

    ALLOW_SELECT = False
    EXPLANATION = (
        "Conversations",
        "Up and Down move, Enter opens. ◆ means that you compared safety numbers, ◇ that you have not yet. "
        "A number at the right counts what you have not seen. 'request' marks somebody new who wants to write "
        "to you; they learn nothing until you accept.",
    )

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("up,k", "move(-1)", "Conversation above", "list.up"),
        bind("down,j", "move(1)", "Conversation below", "list.down"),
        bind("pageup", "move(-5)", "Five up", "list.page-up"),
        bind("pagedown", "move(5)", "Five down", "list.page-down"),
        bind("home", "move(-100000)", "First conversation", "list.first"),
        bind("end", "move(100000)", "Last conversation", "list.last"),
        bind("enter,right", "open", "Open the conversation", "list.open"),
    ]

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"conversations--{part}"
        for part in ("title", "unread-title", "dim", "trust", "request", "count", "cursor", "marker", "open")
    }

    class Opened(Message):
        """The reader wants this conversation."""

        def __init__(self, conversation: ConversationId) -> None:
            super().__init__()
            self.conversation = conversation

    def __init__(self, clock: Clock, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._clock = clock
        self._items: list[ConversationView] = []
        self._cursor = 0
        self._open: ConversationId | None = None
        self._styles: dict[tuple[str, bool, bool], Style] = {}

    @property
    def items(self) -> Sequence[ConversationView]:
        """What is listed, from the top."""
        return self._items

    @property
    def highlighted(self) -> ConversationView | None:
        """The conversation under the cursor."""
        return self._items[self._cursor] if self._items else None

    def show(self, items: Sequence[ConversationView], opened: ConversationId | None) -> None:
        """List these, with the cursor where it was; `opened` is the one that is being read."""
        at = self.highlighted.id if self._items and self.highlighted else None
        if opened != self._open:
            at = opened
        self._items, self._open = list(items), opened
        indices = [index for index, item in enumerate(items) if item.id == at]
        self._cursor = indices[0] if indices else min(self._cursor, max(0, len(items) - 1))
        self.virtual_size = Size(self.scrollable_content_region.width, len(items) * _ROWS)
        self._keep_visible()
        self.refresh()

    # Painting

    def notify_style_update(self) -> None:
        """Forget the styles of the last theme."""
        self._styles.clear()
        super().notify_style_update()

    def _style(self, part: str, cursor: bool, opened: bool) -> Style:
        key = (part, cursor, opened)
        style = self._styles.get(key)
        if style is None:
            style = self.get_component_rich_style(f"conversations--{part}") if part else self.rich_style
            if cursor or opened:
                row = self.get_component_rich_style(f"conversations--{'cursor' if cursor else 'open'}")
                style += Style(bgcolor=row.bgcolor, bold=row.bold or style.bold)
            self._styles[key] = style
        return style

    def render_line(self, y: int) -> Strip:
        """Paint one row."""
        width = self.scrollable_content_region.width
        if not self._items:
            return self._empty_line(y, width)
        index, row = divmod(self.scroll_offset.y + y, _ROWS)
        if index >= len(self._items):
            return Strip([Segment(" " * width, self.rich_style)], width)
        item = self._items[index]
        cursor = self.has_focus and index == self._cursor
        opened = item.id == self._open
        marker = "▌" if cursor else ("▎" if opened else " ")
        left, right = self._title_row(item) if row == 0 else self._text_row(item)
        parts = _spread([("marker", marker), *left], right, width)
        return Strip([Segment(text, self._style(part, cursor, opened)) for part, text in parts], width)

    def _empty_line(self, y: int, width: int) -> Strip:
        spans = wrap(_EMPTY, max(width - 2, 1))
        text = _EMPTY[slice(*spans[y - 1])] if 1 <= y <= len(spans) else ""
        return Strip([Segment(f" {text}".ljust(width), self._style("dim", False, False))]).crop(0, width)

    def _title_row(self, item: ConversationView) -> tuple[list[Part], list[Part]]:
        # What came before somebody was blocked waits for nobody.
        is_unread = item.unread and item.contact_state is not ContactState.BLOCKED
        title = "unread-title" if is_unread else "title"
        left = [(title, item.title)]
        if not item.is_self and item.contact_state is ContactState.ACCEPTED:
            left = [("trust", f"{TRUST_GLYPHS[item.trust]} "), *left]
        elif item.contact_state is ContactState.BLOCKED:
            left = [("dim", "■ "), *left]
        elif item.is_self:
            left = [("dim", "✎ "), *left]
        else:
            left = [("request", "+ "), *left]
        when = when_words(self._clock.local(item.last_at_ms), self._clock.today()) if item.last_at_ms else ""
        return left, [("dim", when)]

    def _text_row(self, item: ConversationView) -> tuple[list[Part], list[Part]]:
        right: list[Part] = []
        if item.contact_state is ContactState.REQUEST:
            right = [("request", "request")]
        elif item.contact_state is ContactState.BLOCKED:
            right = [("dim", "blocked")]
        elif item.unread:
            right = [("count", f" {item.unread if item.unread < 1000 else '999+'} ")]
        if item.draft and item.id != self._open:
            return [("request", "  draft "), ("dim", _one_line(item.draft))], right
        if item.contact_state is ContactState.REQUEST:
            # What a stranger wrote is shown to whoever opens it, not to everybody who sees this screen.
            return [("dim", "  wants to write to you")], right
        glyph = f"{STATE_GLYPHS[item.last_state]} " if item.last_is_mine and item.last_state else ""
        return [("dim", f"  {glyph}{_one_line(item.last_text) or 'nothing written yet'}")], right

    # Moving

    def _keep_visible(self) -> None:
        top, height = self.scroll_offset.y, self.scrollable_content_region.height
        first = self._cursor * _ROWS
        if first < top:
            self.scroll_to(y=first, animate=False)
        elif height and first + _ROWS > top + height:
            self.scroll_to(y=first + _ROWS - height, animate=False)

    def on_focus(self) -> None:
        """Show the cursor."""
        self.refresh()

    def on_blur(self) -> None:
        """Put the cursor back on what is open."""
        self.show(self._items, self._open)

    def on_resize(self) -> None:
        """Keep the cursor in view."""
        self._keep_visible()

    def action_move(self, step: int) -> None:
        """Move the cursor."""
        self._cursor = min(max(self._cursor + step, 0), max(0, len(self._items) - 1))
        self._keep_visible()
        self.refresh()

    def action_open(self) -> None:
        """Open what is under the cursor."""
        if self.highlighted is not None:
            self.post_message(self.Opened(self.highlighted.id))

    def on_click(self, event: events.Click) -> None:
        """Open what was clicked."""
        index = (self.scroll_offset.y + event.y) // _ROWS
        if 0 <= index < len(self._items):
            self._cursor = index
            self.action_open()


def _one_line(text: str) -> str:
    return " ".join(expand(text[:400]).split())


def _spread(left: list[Part], right: list[Part], width: int) -> list[Part]:
    """Put parts at both ends of a row of exactly `width` cells; the left one is shortened."""
    right = [*right, ("", " ")]
    room = width - sum(cell_len(text) for _, text in right) - 1
    parts: list[Part] = []
    for part, text in left:
        shown = clip(text, room)
        room -= cell_len(shown)
        parts.append((part, shown))
    filler = " " * (room + 1)
    spread = [*parts, ("", filler), *right]
    return [(part, text) for part, text in spread if text]
