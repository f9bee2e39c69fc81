"""The messages of one conversation, painted line by line; only what is visible costs anything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, Final

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from zap2.client.api import MessageView
from zap2.ids import MessageId
from zap2.tui.clock import Clock
from zap2.tui.keys import bind
from zap2.tui.layout import TranscriptLayout
from zap2.tui.lines import Role
from zap2.tui.words import day_words

MAX_TEXT_CELLS: Final = 100
"""Lines longer than this are hard to read."""

KEPT_AT_BOTTOM: Final = 1000
"""Messages that stay loaded when the reader is back at the newest."""

_GUTTER: Final = 1
_MARGIN: Final = 1


class Transcript(ScrollView, can_focus=True):
    """Shows messages, follows the newest while at the bottom, and asks for older ones near the top."""

    ALLOW_SELECT = False
    EXPLANATION = (
        "Messages",
        "Up and Down walk from message to message, Enter shows when one was sent, stored and read, c copies it, "
        "r sends a failed one again. Scrolling up loads older messages. Esc goes back to writing. To mark some words "
        "with the mouse, most terminals want Shift held down.",
    )

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("up,k", "select(-1)", "Message above", "message.previous"),
        bind("down,j", "select(1)", "Message below", "message.next"),
        bind("enter", "details", "Details of the message", "message.details"),
        bind("c,y", "copy", "Copy the message", "message.copy"),
        bind("r", "retry", "Send a failed message again", "message.retry"),
        bind("pageup", "page(-1)", "A page up", "transcript.page-up"),
        bind("pagedown", "page(1)", "A page down", "transcript.page-down"),
        bind("home", "oldest", "Oldest loaded message", "transcript.home"),
        bind("end", "newest", "Newest message", "transcript.end"),
    ]

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"transcript--{role}" for role in Role} | {
        "transcript--selected",
        "transcript--marker",
    }

    class OlderWanted(Message):
        """The reader nears the top: messages below position `before` should be loaded."""

        def __init__(self, before: int) -> None:
            super().__init__()
            self.before = before

    class Seen(Message):
        """Other messages are on the screen than before."""

    class Below(Message):
        """`count` messages came in below what is visible."""

        def __init__(self, count: int) -> None:
            super().__init__()
            self.count = count

    class Left(Message):
        """The reader walked past the newest message."""

    class Asked(Message):
        """The reader wants `action` ("details", "copy", "retry") with a message."""

        def __init__(self, action: str, message: MessageView) -> None:
            super().__init__()
            self.action = action
            self.message = message

    def __init__(self, clock: Clock, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._rows = TranscriptLayout(80, clock.local, lambda day: day_words(day, clock.today()))
        self._styles: dict[tuple[Role, bool], Style] = {}
        self._following = True
        self._exhausted = True
        self._awaiting = False
        self._below = 0
        self._shown: tuple[MessageId, ...] = ()
        self.selected: int | None = None

    # What the screen does with it

    @property
    def rows(self) -> TranscriptLayout:
        """The layout, to ask about messages; changes go through this widget."""
        return self._rows

    @property
    def is_following(self) -> bool:
        """Whether the newest message is in view and new ones scroll into it."""
        return self._following

    @property
    def seen(self) -> int | None:
        """The newest position that is on the screen now."""
        return self._rows.last_ending_before(self.scroll_offset.y + self._view_height)

    @property
    def in_view(self) -> Sequence[MessageView]:
        """The messages whose end is on the screen now: of a long one, that is when it was read."""
        top = self.scroll_offset.y
        return self._rows.ending_between(top, top + self._view_height)

    def reset(self) -> None:
        """Show nothing, before another conversation is loaded."""
        self._following, self._exhausted, self._awaiting = True, True, False
        self._shown, self.selected = (), None
        self._change(self._rows.clear)
        self._set_below(0)

    def show_page(self, messages: Sequence[MessageView], *, exhausted: bool) -> None:
        """Add loaded messages; `exhausted` says that there are no older ones."""
        self._exhausted, self._awaiting = exhausted, False
        self._change(lambda: self._rows.load(messages))

    def page_failed(self) -> None:
        """Allow asking for older messages again."""
        self._awaiting = False

    def put(self, message: MessageView) -> None:
        """Add a message or show its new state."""
        is_new = False

        def change() -> None:
            nonlocal is_new
            is_new = self._rows.put(message)

        self._change(change)
        if is_new and message.is_mine:
            self.action_newest()
        elif is_new and not self._following:
            self._set_below(self._below + 1)
        elif self._following and len(self._rows.messages) > 2 * KEPT_AT_BOTTOM:
            self._exhausted = False
            self._change(lambda: self._rows.keep_newest(KEPT_AT_BOTTOM))

    def set_unread(self, position: int | None) -> None:
        """Draw the line above the first unread message, or remove it."""
        self._change(lambda: self._rows.set_unread(position))

    def show_unread(self) -> None:
        """Begin at the line above the first unread message, where more is unread than there is room for."""
        row = self._rows.unread_row
        if row is not None and row < self.max_scroll_y:
            self.scroll_to(y=row, animate=False)

    def scroll_to_message(self, position: int) -> None:
        """Bring a message into view, its first line at the top if it is long."""
        rows = self._rows.rows_of(position)
        if rows is None:
            return
        top = self.scroll_offset.y
        if rows.stop > top + self._view_height:
            top = min(rows.start, rows.stop - self._view_height)
        if rows.start < top:
            top = max(0, rows.start - 1)
        self.scroll_to(y=top, animate=False)

    # Painting

    @property
    def _view_height(self) -> int:
        return self.scrollable_content_region.height

    @property
    def _top_blank(self) -> int:
        """Rows above the first message: few messages stand at the bottom, near the composer."""
        return max(0, self._view_height - self._rows.line_count)

    def notify_style_update(self) -> None:
        """Forget the styles of the last theme."""
        self._styles.clear()
        super().notify_style_update()

    def _style(self, role: Role, selected: bool) -> Style:
        key = (role, selected)
        style = self._styles.get(key)
        if style is None:
            style = self.get_component_rich_style(f"transcript--{role}")
            if selected:
                style += Style(bgcolor=self.get_component_rich_style("transcript--selected").bgcolor)
            self._styles[key] = style
        return style

    def render_line(self, y: int) -> Strip:
        """Paint one row."""
        width = self.scrollable_content_region.width
        blank = self._style(Role.BLANK, False)
        row = self.scroll_offset.y + y - self._top_blank
        if not 0 <= row < self._rows.line_count:
            return Strip([Segment(" " * width, blank)], width)
        line = self._rows.line(row)
        selected_rows = self._rows.rows_of(self.selected) if self.selected is not None else None
        is_selected = selected_rows is not None and row in selected_rows
        marker = "▌" if is_selected else " "
        segments = [Segment(marker, self.get_component_rich_style("transcript--marker"))]
        segments += [Segment(text, self._style(role, is_selected)) for role, text in line.spans if text]
        strip = Strip(segments).extend_cell_length(
            self._rows.width + _GUTTER, self._style(Role.BLANK, is_selected)
        )
        return strip.adjust_cell_length(width, blank)

    # Size and scrolling

    def _change(self, change: Callable[[], None]) -> None:
        """Change the layout and keep what the reader looks at where it is."""
        following = self._following
        anchor = None if following else self._rows.anchor(self.scroll_offset.y)
        change()
        self.virtual_size = Size(self._rows.width, self._rows.line_count)
        if following:
            self.scroll_to(y=self.max_scroll_y, animate=False)
        elif anchor is not None:
            self.scroll_to(y=self._rows.locate(anchor), animate=False)
        self._following = following
        self.refresh()
        self._look()

    def on_resize(self, event: events.Resize) -> None:
        """Lay out for the new width."""
        width = min(self.scrollable_content_region.width - _GUTTER - _MARGIN, MAX_TEXT_CELLS)
        self._change(lambda: self._rows.set_width(width))

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Notice where the reader went."""
        super().watch_scroll_y(old_value, new_value)
        if round(old_value) != round(new_value):
            self._following = self.scroll_offset.y >= self.max_scroll_y
            self._look()

    def _look(self) -> None:
        """Report what is in view, and ask for older messages when its beginning is near."""
        if not self._rows.messages or not self._view_height:
            return
        if self._following:
            self._set_below(0)
        shown = tuple(message.id for message in self.in_view)
        if shown != self._shown:
            self._shown = shown
            self.post_message(self.Seen())
        near_top = self.scroll_offset.y < 2 * self._view_height
        if near_top and not self._exhausted and not self._awaiting:
            self._awaiting = True
            self.post_message(self.OlderWanted(self._rows.messages[0].position))

    def _set_below(self, count: int) -> None:
        if count != self._below:
            self._below = count
            self.post_message(self.Below(count))

    # Keys and mouse

    def _select(self, position: int | None) -> None:
        self.selected = position
        if position is not None:
            self.scroll_to_message(position)
        self.refresh()

    def on_focus(self) -> None:
        """Begin with the newest message in view."""
        if self.selected is None:
            self._select(self.seen or self._rows.neighbour(0, 0))

    def on_blur(self) -> None:
        """Nothing is selected while the keys go elsewhere."""
        self._select(None)

    def action_select(self, step: int) -> None:
        """Walk by `step` messages."""
        if self.selected is None:
            self._select(self.seen)
            return
        target = self._rows.neighbour(self.selected, step)
        if target == self.selected and step > 0:
            self.post_message(self.Left())
        else:
            self._select(target)

    def action_page(self, step: int) -> None:
        """Scroll by a view, leaving two lines of what was there."""
        distance = max(1, self._view_height - 2)
        self.scroll_to(y=self.scroll_offset.y + step * distance, animate=False)
        if self.selected is not None:
            self.selected = self.seen
            self.refresh()

    def action_oldest(self) -> None:
        """Go to the oldest loaded message; older ones are loaded there."""
        self.scroll_to(y=0, animate=False)
        if self.selected is not None:
            self._select(self._rows.neighbour(0, 0))

    def action_newest(self) -> None:
        """Go to the newest message and follow."""
        self.scroll_to(y=self.max_scroll_y, animate=False)
        self._following = True
        if self.selected is not None and self._rows.messages:
            self.selected = self._rows.messages[-1].position
        self._look()
        self.refresh()

    def _ask(self, action: str) -> None:
        message = None if self.selected is None else self._rows.message_at(self.selected)
        if message is not None:
            self.post_message(self.Asked(action, message))

    def action_details(self) -> None:
        """Show the details of the selected message."""
        self._ask("details")

    def action_copy(self) -> None:
        """Copy the selected message."""
        self._ask("copy")

    def action_retry(self) -> None:
        """Send the selected message again."""
        self._ask("retry")

    def on_click(self, event: events.Click) -> None:
        """Select what was clicked; a double click shows its details."""
        row = self.scroll_offset.y + event.y - self._top_blank
        if 0 <= row < self._rows.line_count:
            self._select(self._rows.line(row).position)
            if event.chain == 2:
                self.action_details()
