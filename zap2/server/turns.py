"""How the input of all connections shares the event loop: nobody who says a lot keeps the others waiting.

Theory of operation. What a connection receives is handled at once, as long as it has taken little of the relay's time
lately, and all connections of its source too. One that has had its share, or is new, or comes from where much comes
from, waits here: in each turn of the loop, after everything else, a slice of time is spent on those who wait; whose
source has had its share comes last, and otherwise whoever has used least goes first. So a flood costs the others one
slice a turn however many take part in it, while a client that has much to say goes on at full speed when nobody else
has anything to say.

A request costs more than the time in which it is read: a task answers it, or the store's writer. That is charged when
the request starts, as an estimate, so the slice that starts much is over. And while the writer works on a batch, those
who wait leave the interpreter to it, for it has the others' mail too; but not for long, so they starve in no case, and
only while there are others, or the writer has a great deal to do.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from time import perf_counter
from typing import Final, Protocol
from weakref import WeakValueDictionary

SLICE_S: Final = 0.000_2
"""What is spent in a turn on those who wait; also what one connection may use at once."""
_SLICE_ALONE_S: Final = 0.001
"""The same while there is nobody who does not have to wait."""
SHARE: Final = 0.05
"""The part of the relay's time that a connection may use without waiting."""
SOURCE_SHARE: Final = 0.1
"""The same for all connections of one source: many who each use little come to much."""
AHEAD_S: Final = 0.1
"""For how long ahead a connection may have used its share: 5 ms at once, once it has been there for so long."""
REMEMBERED_S: Final = 10.0
"""For how long ahead it is remembered what a connection has used."""
GIVE_WAY_S: Final = 0.001
"""For how long at most those who wait let the writer go on before their next slice."""
_HEARD_LATELY_S: Final = 0.1
"""For how long those who wait mind somebody who did not have to wait."""


class Usage:
    """How much of the relay's time a connection or a source has used lately.

    Args:
        share: the part of that time that it may use without waiting.
        paid_until: the time (of `perf_counter`) at which what it has used will be its share and no more.
    """

    __slots__ = ("__weakref__", "_share", "paid_until")

    def __init__(self, share: float, paid_until: float = 0.0) -> None:
        self._share = share
        self.paid_until = paid_until

    def charge(self, used_s: float, now: float) -> None:
        """Take note that this much was used until now."""
        until = (self.paid_until if self.paid_until > now else now) + used_s / self._share
        self.paid_until = min(until, now + REMEMBERED_S)

    def is_modest(self, now: float) -> bool:
        """Tell whether it may use more without waiting."""
        return self.paid_until < now + AHEAD_S


class Waiting(Protocol):
    """A connection that waits for its turn."""

    def place(self) -> tuple[bool, float]:
        """Give where it stands among those who wait: what is lower comes first."""

    def go_on(self, until: float) -> tuple[bool, float]:
        """Handle what was received until this time (of `perf_counter`).

        Returns:
            Whether something is left, and how many seconds are yet to be spent on what was started.
        """


class Writer(Protocol):
    """The one whose work goes before that of those who wait."""

    is_patient: bool
    """Set while what it is asked for comes from those who wait."""

    @property
    def is_busy(self) -> bool:
        """Whether it works now, or has enough to do."""

    @property
    def is_swamped(self) -> bool:
        """Whether it has so much to do that whoever comes next would wait for long."""

    def when_idle(self, tell: Callable[[], None]) -> None:
        """Call this in the event loop each time it has finished."""


class Turns:
    """Who waits; one object for all connections of an event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: list[tuple[tuple[bool, float], int, Waiting]] = []
        self._number = count()
        self._next: asyncio.Handle | None = None
        self._gives_way = False
        self._writer: Writer | None = None
        # A plain attribute, for it is set for every message.
        self.heard_at = -math.inf
        """When (of `perf_counter`) somebody was heard last who did not have to wait."""
        self._sources: WeakValueDictionary[str, Usage] = WeakValueDictionary()

    def source(self, name: str) -> Usage:
        """Give what all connections of a source have used; keep it for as long as one of them is open."""
        usage = self._sources.get(name)
        if usage is None:
            usage = self._sources[name] = Usage(SOURCE_SHARE)
        return usage

    def give_way_to(self, writer: Writer) -> None:
        """Spend no slice while the writer is busy, for a moment."""
        self._writer = writer
        writer.when_idle(self._writer_is_idle)

    def wait(self, connection: Waiting) -> None:
        """Have a connection go on when it is its turn. It must not wait already."""
        heappush(self._waiting, (connection.place(), next(self._number), connection))
        if self._next is None:
            self._next = self._loop.call_soon(self._spend_slice)

    def _writer_is_idle(self) -> None:
        if self._gives_way and self._next is not None:
            self._next.cancel()
            self._next = self._loop.call_soon(self._spend_slice)

    def _spend_slice(self) -> None:
        now = perf_counter()
        writer = self._writer
        if now - self.heard_at > _HEARD_LATELY_S and (writer is None or not writer.is_swamped):
            writer, until = None, now + _SLICE_ALONE_S
        else:
            until = now + SLICE_S
        if not self._gives_way and writer is not None and writer.is_busy:
            self._gives_way = True
            self._next = self._loop.call_later(GIVE_WAY_S, self._spend_slice)
            return
        self._gives_way = False
        waiting = self._waiting
        if writer is not None:
            writer.is_patient = True
        try:
            while waiting:
                _, _, connection = heappop(waiting)
                is_left, later_s = connection.go_on(until)
                if is_left:
                    heappush(waiting, (connection.place(), next(self._number), connection))
                until -= later_s
                if perf_counter() >= until:
                    break
        finally:
            if writer is not None:
                writer.is_patient = False
            self._next = self._loop.call_soon(self._spend_slice) if waiting else None
