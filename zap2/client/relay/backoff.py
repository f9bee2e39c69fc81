"""How long to wait before the next try to connect: exponential, with full jitter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

FIRST_CEILING_S: Final = 0.5
LAST_CEILING_S: Final = 60.0


class Backoff:
    """Waits that are random below a ceiling, which doubles with every try from 0.5 s to 60 s.

    All of the wait is random, so that the clients of a relay that was away do not come back at once together.

    Args:
        jitter: gives a random number from 0.0 to 1.0.
    """

    def __init__(self, jitter: Callable[[], float]) -> None:
        self._jitter = jitter
        self._ceiling_s = FIRST_CEILING_S

    def next_wait_s(self) -> float:
        """Give the time to wait before the next try."""
        wait_s = self._jitter() * self._ceiling_s
        self._ceiling_s = min(self._ceiling_s * 2, LAST_CEILING_S)
        return wait_s

    def spread_s(self, at_least_s: float) -> float:
        """Give a wait that somebody asked for, with up to half of it again."""
        return at_least_s * (1 + self._jitter() / 2)

    def reset(self) -> None:
        """Begin again at the lowest ceiling, after a connection that held."""
        self._ceiling_s = FIRST_CEILING_S
