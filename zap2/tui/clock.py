"""The clock and time zone of the screen, in one value, so that a test can stop them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, tzinfo


@dataclass(frozen=True, slots=True)
class Clock:
    """Where the screen reads the time.

    Args:
        now_ms: milliseconds since the epoch.
        monotonic_s: seconds that never jump, for countdowns.
        zone: the time zone to show, None for that of the machine.
    """

    now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    monotonic_s: Callable[[], float] = time.monotonic
    zone: tzinfo | None = None

    def local(self, at_ms: int) -> datetime:
        """Give a moment in the zone that is shown; moments no calendar knows become its nearest end."""
        at_s = min(max(at_ms / 1000, 0), 253_000_000_000)
        return datetime.fromtimestamp(at_s, self.zone)

    def today(self) -> date:
        """Give the calendar day of now."""
        return self.local(self.now_ms()).date()
