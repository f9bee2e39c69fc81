"""The last row: the link and the session in words, how sure one is whom one talks to, and where help is."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from textual import events
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from zap2.client.api import LinkState, LinkView
from zap2.tui.clock import Clock
from zap2.tui.words import NUMBER_ALARM, link_words
from zap2.tui.wrap import cell_len, clip


class StatusLine(Widget):
    """One row that is painted from values; it counts down to the next try by itself."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"status--good", "status--warn", "status--bad", "status--dim"}

    class Clicked(Message):
        """Somebody wants to know more about the link."""

    def __init__(self, clock: Clock, *, hosting: bool, id: str | None = None) -> None:
        super().__init__(id=id)
        self._clock = clock
        self._hosting = hosting
        self._link = LinkView(LinkState.CONNECTING)
        self._retry_at_s: float | None = None
        self._trust = ""
        self._session = ""
        self._has_number = True

    def on_mount(self) -> None:
        """Count down once a second."""
        self.set_interval(1.0, self._tick)

    def _tick(self) -> None:
        if self._retry_at_s is not None:
            self.refresh()

    def show_link(self, link: LinkView) -> None:
        """Show a new state of the link."""
        self._link = link
        wait_s = link.retry_in_s
        self._retry_at_s = None if wait_s is None else self._clock.monotonic_s() + wait_s
        self.refresh()

    def show_trust(self, words: str) -> None:
        """Show how sure one is of the open conversation; empty for none."""
        self._trust = words
        self.refresh()

    def show_session(self, words: str) -> None:
        """Show what is the matter with the session of the open conversation; empty when nothing is."""
        self._session = words
        self.refresh()

    def show_number(self, *, has_number: bool) -> None:
        """Show that one's number is another account's, for as long as it is."""
        self._has_number = has_number
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """Paint the row: the link at the left, the rest at the right as far as it fits."""
        width = self.size.width
        remaining_s = None
        if self._retry_at_s is not None:
            remaining_s = self._retry_at_s - self._clock.monotonic_s()
        link = link_words(self._link, remaining_s)
        lost = "" if self._has_number else NUMBER_ALARM
        alarm = clip(" · ".join(part for part in (lost, self._session) if part), width - 2)
        room = width - 2 - (cell_len(alarm) + 3 if alarm else 0)
        if cell_len(link) > room:
            # The reason is what one wants to read; F3 has it in full where even this is too long.
            link = link_words(self._link, remaining_s, is_short=True)
        hosting = "hosting (F3)" if self._hosting else ""
        hurry = "F5 tries now" if remaining_s is not None and remaining_s > 0 else ""
        right = [part for part in (self._trust, hosting, hurry, "F1 help") if part]
        while right and cell_len(link) + cell_len(" · ".join(right)) + 1 > room:
            right.pop(0 if len(right) > 2 else -1)
        tail = " · ".join(right)
        head = clip(link, room - (cell_len(tail) + 1 if tail else 0))
        between = " · " if head and alarm else ""
        gap = " " * max(0, width - 2 - cell_len(head + between + alarm) - cell_len(tail))
        style = {LinkState.ONLINE: "good", LinkState.NOT_TRUSTED: "bad"}.get(self._link.state, "warn")
        dim = self.get_component_rich_style("status--dim")
        segments = [
            Segment(" ", dim),
            Segment(head, self.get_component_rich_style(f"status--{style}")),
            Segment(between, dim),
            Segment(alarm, self.get_component_rich_style("status--warn")),
            Segment(f"{gap}{tail} ", dim),
        ]
        return Strip(segment for segment in segments if segment.text).adjust_cell_length(width, dim)

    def on_click(self, event: events.Click) -> None:
        """Ask for the screen about the link."""
        self.post_message(self.Clicked())
