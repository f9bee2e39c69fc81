"""How the input of all connections shares the event loop: nobody who says a lot keeps the others waiting.

Theory of operation. What a connection receives is handled at once, as long as it has taken little of the loop's time
lately. One that has had its share, and one that is not open yet, waits here: in each turn of the loop, after
everything else, a slice of time is spent on those who wait, one after another. So a flood costs the others one slice a
turn however many take part in it, while a client that has much to say goes on at full speed when nobody else
has anything to say.
"""

from __future__ import annotations

import asyncio
from collections import deque
from time import perf_counter
from typing import Final, Protocol

SLICE_S: Final = 0.000_2
"""What is spent in a turn on those who wait; also what one connection may use at once."""
SHARE: Final = 0.02
"""The part of the loop's time that a connection may use without waiting."""
AHEAD_S: Final = 0.25
"""For how long ahead a connection may have used its share: 5 ms at once, after a pause."""


class Waiting(Protocol):
    """A connection that waits for its turn."""

    def go_on(self, until: float) -> bool:
        """Handle what was received until this time (of `perf_counter`); tell whether something is left."""


class Turns:
    """Who waits; one object for all connections of an event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Waiting] = deque()
        self._is_due = False

    def wait(self, connection: Waiting) -> None:
        """Have a connection go on when it is its turn. It must not wait already."""
        self._waiting.append(connection)
        if not self._is_due:
            self._is_due = True
            self._loop.call_soon(self._spend_slice)

    def _spend_slice(self) -> None:
        waiting = self._waiting
        until = perf_counter() + SLICE_S
        try:
            while waiting:
                connection = waiting.popleft()
                if connection.go_on(until):
                    waiting.append(connection)
                if perf_counter() >= until:
                    break
        finally:
            self._is_due = bool(waiting)
            if waiting:
                self._loop.call_soon(self._spend_slice)
