"""Where every line of a transcript is. Pure: no Textual, no clock.

A transcript is a list of messages, each laid out as a block of lines: perhaps a day separator, the line above
what is unread, words on what is missing, a heading with name and time, then the text. A block depends on its
message and its two neighbours only. Heights are summed, so finding a line is a binary search and a change costs
the blocks it touches; the lines themselves are made when they are painted. Laying out again from scratch always
gives the same lines.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import accumulate
from typing import Final

from zap2.client.api import MessageState, MessageView
from zap2.ids import MessageId
from zap2.tui.lines import Line, Role
from zap2.tui.words import LONGEST_STATE_LABEL, STATE_GLYPHS, missing_words, state_label, time_words
from zap2.tui.wrap import cell_len, clip, expand, wrap

GROUP_GAP_MS: Final = 5 * 60_000
"""Messages of one author closer together than this stand under one heading."""

INDENT: Final = 2
_GLYPH_CELLS: Final = 2
_MIN_WIDTH: Final = 16


@dataclass(frozen=True, slots=True)
class Anchor:
    """A place that survives a new layout: a character of a message, or a line above it (`start` < 0)."""

    position: int
    start: int
    lead: int = 0


@dataclass(frozen=True, slots=True)
class _Lead:
    """What stands above a message's text."""

    gap: bool
    day: bool
    unread: bool
    missing: tuple[str, ...]
    head: bool

    @property
    def height(self) -> int:
        return self.gap + self.day + self.unread + len(self.missing) + self.head


class TranscriptLayout:
    """The lines of the loaded messages of one conversation.

    Args:
        width: cells of a line.
        local: turns milliseconds since the epoch into a local time.
        describe_day: names a day.
    """

    def __init__(
        self, width: int, local: Callable[[int], datetime], describe_day: Callable[[date], str]
    ) -> None:
        self._width = max(width, _MIN_WIDTH)
        self._local = local
        self._describe_day = describe_day
        self._unread_from: int | None = None
        self._messages: list[MessageView] = []
        self._positions: list[int] = []
        self._days: list[int] = []
        self._ends: list[int] = []
        self._lines: dict[int, list[Line]] = {}

    @property
    def messages(self) -> Sequence[MessageView]:
        """The loaded messages, in ascending position."""
        return self._messages

    @property
    def width(self) -> int:
        """Cells of a line."""
        return self._width

    @property
    def line_count(self) -> int:
        """Rows of the whole transcript."""
        return self._ends[-1] if self._ends else 0

    @property
    def unread_row(self) -> int | None:
        """The row of the line above what is unread."""
        index = self._index(self._unread_from)
        if index is None:
            return None
        lead = self._lead(index)
        return self._start(index) + lead.gap + lead.day

    # Changes

    def set_width(self, width: int) -> None:
        """Lay everything out again for lines of `width` cells."""
        if (width := max(width, _MIN_WIDTH)) != self._width:
            self._width = width
            self._measure_all()

    def set_unread(self, position: int | None) -> None:
        """Draw the line of what is unread above the message at `position`; None removes it."""
        before, self._unread_from = self._unread_from, position
        for changed in {before, position} - {None}:
            index = self._index(changed)
            if index is not None:
                self._measure(index - 1, index + 2)

    def clear(self) -> None:
        """Forget all messages."""
        self._messages, self._positions, self._days = [], [], []
        self._unread_from = None
        self._measure_all()

    def load(self, messages: Iterable[MessageView]) -> None:
        """Add a page of messages from anywhere. What is there already stays: an event may be newer than a page."""
        known = {message.position: message for message in messages}
        known.update(zip(self._positions, self._messages, strict=True))
        self._positions = sorted(known)
        self._messages = [known[position] for position in self._positions]
        self._days = [self._day(message) for message in self._messages]
        self._measure_all()

    def put(self, message: MessageView) -> bool:
        """Add one message or replace the one at its position. Says whether it was new."""
        index = bisect_left(self._positions, message.position)
        if index < len(self._positions) and self._positions[index] == message.position:
            self._messages[index] = message
            self._days[index] = self._day(message)
            self._measure(index - 1, index + 2)
            return False
        if index < len(self._positions):
            self._lines.clear()
        self._messages.insert(index, message)
        self._positions.insert(index, message.position)
        self._days.insert(index, self._day(message))
        self._ends.insert(index, self._ends[index - 1] if index else 0)
        self._measure(index - 1, index + 2)
        return True

    def keep_newest(self, count: int) -> None:
        """Forget all but the newest `count` messages; they can be loaded again."""
        if len(self._messages) > count:
            self._messages = self._messages[-count:]
            self._positions = self._positions[-count:]
            self._days = self._days[-count:]
            self._measure_all()

    # Questions

    def line(self, y: int) -> Line:
        """Give row `y`, counted from 0."""
        index = self.index_at(y)
        return self._block(index)[y - self._start(index)]

    def index_at(self, y: int) -> int:
        """Give the index of the message whose block holds row `y`."""
        return min(bisect_right(self._ends, y), len(self._ends) - 1)

    def rows_of(self, position: int) -> range | None:
        """Give the rows of a message's text and state, without what stands above it."""
        index = self._index(position)
        if index is None:
            return None
        return range(self._start(index) + self._lead(index).height, self._ends[index])

    def message_at(self, position: int) -> MessageView | None:
        """Give the loaded message at a position."""
        index = self._index(position)
        return None if index is None else self._messages[index]

    def has(self, message: MessageId) -> bool:
        """Say whether a message is loaded, wherever it stands."""
        return any(one.id == message for one in self._messages)

    def neighbour(self, position: int, step: int) -> int | None:
        """Give the position `step` messages further, or the nearest end."""
        if not self._positions:
            return None
        index = min(max(bisect_left(self._positions, position) + step, 0), len(self._positions) - 1)
        return self._positions[index]

    def last_ending_before(self, y: int) -> int | None:
        """Give the position of the newest message whose last row lies above row `y`."""
        index = bisect_right(self._ends, y) - 1
        return self._positions[index] if index >= 0 else None

    def ending_between(self, first: int, stop: int) -> Sequence[MessageView]:
        """Give the messages whose last row is one of the rows `first` up to, not including, `stop`."""
        return self._messages[bisect_left(self._ends, first + 1) : bisect_right(self._ends, stop)]

    def anchor(self, y: int) -> Anchor | None:
        """Remember row `y` in a way that `locate` finds again after any change."""
        if not self._messages:
            return None
        y = min(max(y, 0), self.line_count - 1)
        line = self.line(y)
        index = self.index_at(y)
        lead = self._start(index) + self._lead(index).height - y
        return Anchor(line.position, line.start if lead <= 0 else -1, lead)

    def locate(self, anchor: Anchor) -> int:
        """Give the row that shows the anchor now, or that of the nearest message."""
        if not self._positions:
            return 0
        index = min(bisect_left(self._positions, anchor.position), len(self._positions) - 1)
        start = self._start(index)
        lead = self._lead(index).height
        if self._positions[index] != anchor.position:
            return start
        if anchor.lead > 0:
            return start + max(0, lead - anchor.lead)
        row = lead
        for offset, line in enumerate(self._block(index)):
            if offset >= lead and 0 <= line.start <= anchor.start:
                row = offset
        return start + row if anchor.start >= 0 else self._ends[index] - 1

    # Measuring

    def _index(self, position: int | None) -> int | None:
        if position is None:
            return None
        index = bisect_left(self._positions, position)
        found = index < len(self._positions) and self._positions[index] == position
        return index if found else None

    def _start(self, index: int) -> int:
        return self._ends[index - 1] if index else 0

    def _shown_at(self, message: MessageView) -> datetime:
        """The time that is shown: nobody can have sent something after it arrived."""
        return self._local(min(message.sent_at_ms, message.received_at_ms))

    def _day(self, message: MessageView) -> int:
        return self._shown_at(message).toordinal()

    def _measure_all(self) -> None:
        self._lines.clear()
        self._ends = list(accumulate(self._height(index) for index in range(len(self._messages))))

    def _measure(self, first: int, stop: int) -> None:
        """Measure the blocks `first` up to `stop` and move those below."""
        first, stop = max(first, 0), min(stop, len(self._messages))
        end = self._start(first)
        before = self._ends[stop - 1]
        for index in range(first, stop):
            self._lines.pop(index, None)
            end += self._height(index)
            self._ends[index] = end
        if shift := end - before:
            self._ends[stop:] = [below + shift for below in self._ends[stop:]]

    def _lead(self, index: int) -> _Lead:
        message = self._messages[index]
        day = index == 0 or self._days[index] != self._days[index - 1]
        unread = message.position == self._unread_from
        missing = self._missing_lines(message)
        head = day or unread or bool(missing) or not self._continues(index)
        return _Lead(gap=index > 0 and head, day=day, unread=unread, missing=missing, head=head)

    def _continues(self, index: int) -> bool:
        """Whether a message goes on under the heading of the one before."""
        before, message = self._messages[index - 1], self._messages[index]
        near = 0 <= message.sent_at_ms - before.sent_at_ms < GROUP_GAP_MS
        return near and before.author == message.author and before.is_mine == message.is_mine

    def _height(self, index: int) -> int:
        message = self._messages[index]
        text = expand(message.text)
        spans = wrap(text, self._width - INDENT)
        height = self._lead(index).height + len(spans)
        if message.state is None:
            return height
        height += not self._state_fits(index, text[spans[-1][0] : spans[-1][1]])
        if message.state is MessageState.FAILED:
            height += len(self._failure_lines(message))
        return height

    def _says_word(self, index: int) -> bool:
        """Whether the state is written out: on the last of a run of own messages in the same state."""
        message = self._messages[index]
        if message.state is MessageState.FAILED or index + 1 == len(self._messages):
            return True
        after = self._messages[index + 1]
        if after.position == self._unread_from or self._days[index + 1] != self._days[index]:
            return True
        return after.state is not message.state or not self._continues(index + 1)

    def _state_fits(self, index: int, last_line: str) -> bool:
        """Whether the state stands right of the text; by the longest word, so that rows do not move."""
        reserved = LONGEST_STATE_LABEL if self._says_word(index) else _GLYPH_CELLS
        return cell_len(last_line) + 2 + reserved <= self._width - INDENT

    def _failure_lines(self, message: MessageView) -> list[str]:
        text = expand(f"{message.failure or 'It did not go out.'} Press r on it to try again.")
        return [text[start:end] for start, end in wrap(text, self._width - INDENT)]

    def _missing_lines(self, message: MessageView) -> tuple[str, ...]:
        if message.missing_before < 1:
            return ()
        width = self._width - INDENT
        text = missing_words(message.missing_before, clip(message.author_name, width))
        return tuple(text[start:end] for start, end in wrap(text, width))

    # Lines

    def _block(self, index: int) -> list[Line]:
        lines = self._lines.get(index)
        if lines is None:
            lines = self._lines[index] = self._make_block(index)
        return lines

    def _make_block(self, index: int) -> list[Line]:
        message = self._messages[index]
        position = message.position
        lead = self._lead(index)
        lines: list[Line] = []
        if lead.gap:
            lines.append(Line(position, ()))
        if lead.day:
            words = self._describe_day(self._shown_at(message).date())
            lines.append(Line(position, self._rule(words, Role.DAY, Role.RULE)))
        if lead.unread:
            words = "new since you last looked"
            lines.append(Line(position, self._rule(words, Role.UNREAD, Role.UNREAD)))
        lines.extend(
            Line(position, ((Role.MISSING, " " * INDENT), (Role.MISSING, part))) for part in lead.missing
        )
        if lead.head:
            lines.append(self._heading(message))
        lines.extend(self._body(index))
        return lines

    def _heading(self, message: MessageView) -> Line:
        time = time_words(self._shown_at(message))
        name = clip("You" if message.is_mine else message.author_name, self._width - len(time) - 2)
        role = Role.NAME_MINE if message.is_mine else Role.NAME_THEIRS
        return Line(message.position, ((role, name), (Role.TIME, f"  {time}")))

    def _rule(self, words: str, role: Role, rule: Role) -> tuple[tuple[Role, str], ...]:
        words = f" {clip(words, self._width - 6)} "
        rest = self._width - cell_len(words)
        return (rule, "─" * (rest // 2)), (role, words), (rule, "─" * (rest - rest // 2))

    def _body(self, index: int) -> list[Line]:
        message = self._messages[index]
        text = expand(message.text)
        indent = (Role.TEXT, " " * INDENT)
        lines = [
            Line(message.position, (indent, (Role.TEXT, text[start:end])), start, end)
            for start, end in wrap(text, self._width - INDENT)
        ]
        if message.state is None:
            return lines
        last = lines[-1]
        if not self._state_fits(index, last.spans[1][1]):
            last = Line(message.position, (indent,))
            lines.append(last)
        label = state_label(message.state) if self._says_word(index) else STATE_GLYPHS[message.state]
        role = {MessageState.READ: Role.STATE_READ, MessageState.FAILED: Role.FAILURE}.get(
            message.state, Role.STATE
        )
        gap = self._width - cell_len(last.plain) - cell_len(label)
        spans = (*last.spans, (Role.BLANK, " " * gap), (role, label))
        lines[-1] = Line(message.position, spans, last.start, last.end)
        if message.state is MessageState.FAILED:
            lines.extend(
                Line(message.position, (indent, (Role.FAILURE, part)))
                for part in self._failure_lines(message)
            )
        return lines
