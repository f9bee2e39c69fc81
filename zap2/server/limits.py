"""Token buckets: how often whom may do what."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Final

from zap2.wire.fields import DELIVERY_WINDOW

_ROUNDING_MS: Final = 0.01
"""What sums of times since 1970 may be off, in the precision that they have."""


@dataclass(frozen=True, slots=True)
class Rate:
    """A bucket that holds `burst` and refills with `per_s` a second."""

    burst: float
    per_s: float


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds, chosen so that a person, a group and a bulk script never meet them, and a flood does.

    Names say what is counted and by whom: `source` is an IPv4 address or an IPv6 /64, `account` a uid, `target` whom
    it is about, `token` a delivery token.
    """

    connections: int = 20_000
    connections_per_source: int = 4_000
    handshakes_per_source: Rate = Rate(2_000, 200)
    verifications_per_source: Rate = Rate(300, 1 / 10)
    sent_codes_per_source: Rate = Rate(50, 1 / 60)
    """Codes that go out: each costs the host money, and its receiver attention."""
    codes_per_source: Rate = Rate(1_000, 5)
    wrong_codes_per_source: Rate = Rate(50, 1 / 60)
    """Over all numbers: five tries for each number would be many for whoever has many numbers."""
    registrations_per_source: Rate = Rate(500, 1)
    wrong_pins_per_source: Rate = Rate(10, 1 / 600)
    """Over all accounts."""
    logins_per_source: Rate = Rate(2_000, 100)
    logins_per_account: Rate = Rate(100, 1)
    pins_per_account: Rate = Rate(10, 1 / 60)
    lookups_per_account: Rate = Rate(300, 1 / 20)
    lookups_per_source: Rate = Rate(1_000, 1 / 4)
    """Over all accounts: who goes through all numbers makes himself as many accounts as he can."""
    fetches_per_account: Rate = Rate(500, 1)
    pairs_per_account_and_target: Rate = Rate(10, 1 / 60)
    """Beyond it a bundle comes without a one-time pair."""
    pairs_per_target: Rate = Rate(100, 1 / 10)
    """Beyond it a bundle comes without a one-time pair."""
    publishes_per_account: Rate = Rate(60, 0.2)
    sends_per_account: Rate = Rate(10_000, 1_000)
    send_bytes_per_account: Rate = Rate(64 * 1024 * 1024, 4 * 1024 * 1024)
    delivery_tokens_per_account: Rate = Rate(60, 1 / 10)
    sealed_per_source: Rate = Rate(20_000, 2_000)
    sealed_bytes_per_source: Rate = Rate(128 * 1024 * 1024, 8 * 1024 * 1024)
    """Twice what one account may send: several people behind one address send sealed."""
    sealed_per_token: Rate = Rate(10_000, 1_000)
    sealed_bytes_per_token: Rate = Rate(64 * 1024 * 1024, 4 * 1024 * 1024)
    """All that have one person's token share these."""
    wrong_tokens_per_source: Rate = Rate(1_000, 1)
    """Beyond it nothing sealed is taken from there, for what is wrong is known only in the store. So it bounds what
    may be without an answer too; nobody guesses 32 random bytes, and each wrong one costs a look into the store."""
    open_requests: int = 1_024
    """Requests of one connection that have no answer yet."""
    refusals_before_cut: int = 2_000
    """Refusals for want of patience in a row, after which a connection is closed with code 4006."""
    window: int = DELIVERY_WINDOW
    """Deliveries that one connection may leave unacknowledged."""
    mailbox_messages: int = 10_000
    mailbox_size_b: int = 64 * 1024 * 1024
    retention_s: int = 30 * 24 * 3600
    pairs_in_stock: int = 200
    buckets: int = 50_000
    """Buckets of one kind that are kept in memory; the one unused for longest goes first."""


class Buckets:
    """The buckets of one kind, at most `max_keys` of them.

    Args:
        rate: what each bucket holds, and how it refills.
        max_keys: how many are remembered. A forgotten bucket is a full one.
    """

    __slots__ = ("_burst_ms", "_full_at_ms", "_held", "_max_keys", "_ms_each", "_rate", "taken")

    def __init__(self, rate: Rate, max_keys: int) -> None:
        self._rate = rate
        self._ms_each = 1000 / rate.per_s
        self._burst_ms = rate.burst * self._ms_each
        self._max_keys = max_keys
        self.taken: Callable[[Hashable, float], None] | None = None
        """Called after something was taken, with key and amount; the amount is negative when it was given back."""
        # Key → when that bucket will be full again: one number says how full it is at any time. In the order of use.
        # A plain dict would look for its first key among all that were deleted before it.
        self._full_at_ms: OrderedDict[Hashable, float] = OrderedDict()
        self._held: dict[Hashable, int] = {}

    def __len__(self) -> int:
        return len(self._full_at_ms)

    def take(self, key: Hashable, now_ms: int, amount: float = 1.0) -> float:
        """Take from a bucket; give 0.0, or the seconds after which there is enough (nothing was taken then)."""
        full_at_ms = self._when_full_ms(key, now_ms)
        taken_at_ms = full_at_ms + amount * self._ms_each
        wait_ms = taken_at_ms - now_ms - self._burst_ms
        if wait_ms > _ROUNDING_MS:
            self._keep(key, full_at_ms)
            return wait_ms / 1000
        self._keep(key, taken_at_ms)
        if self.taken is not None:
            self.taken(key, amount)
        return 0.0

    def missing_s(self, key: Hashable, now_ms: int, amount: float = 1.0) -> float:
        """Give the seconds after which there is enough, 0.0 if there is now. Takes nothing."""
        wait_ms = self._when_full_ms(key, now_ms) + amount * self._ms_each - now_ms - self._burst_ms
        return wait_ms / 1000 if wait_ms > _ROUNDING_MS else 0.0

    def give_back(self, key: Hashable, now_ms: int, amount: float = 1.0) -> None:
        """Undo a `take`: what it was for should not count after all."""
        full_at_ms = self._when_full_ms(key, now_ms) - amount * self._ms_each
        self._full_at_ms.pop(key, None)
        if full_at_ms > now_ms + _ROUNDING_MS:
            self._keep(key, full_at_ms)
        if self.taken is not None:
            self.taken(key, -amount)

    def hold(self, key: Hashable, now_ms: int) -> float:
        """Keep one free for a `take` that may come; call `let_go` once it is known whether it does.

        Whoever follows hears nothing of it: buckets elsewhere that were lowered for it would stay low after it.

        Returns:
            0.0, or the seconds after which there is one that nobody holds (none is held then).
        """
        held = self._held.get(key, 0)
        if wait_s := self.missing_s(key, now_ms, held + 1):
            return min(wait_s, self._ms_each / 1000)
        self._held[key] = held + 1
        return 0.0

    def let_go(self, key: Hashable) -> None:
        """End one `hold`."""
        held = self._held.pop(key) - 1
        if held:
            self._held[key] = held

    def settle(self, key: Hashable, now_ms: int, at_most: float) -> None:
        """Lower a bucket to what others have left in it; a fuller one stays as it is."""
        full_at_ms = max(
            self._when_full_ms(key, now_ms), now_ms + self._burst_ms - max(0.0, at_most) * self._ms_each
        )
        if full_at_ms > now_ms + _ROUNDING_MS:
            self._keep(key, full_at_ms)

    def _when_full_ms(self, key: Hashable, now_ms: int) -> float:
        """Give when a bucket will be full, now at the earliest, and from empty at the latest."""
        full_at_ms = self._full_at_ms.get(key, 0.0)
        if full_at_ms < now_ms:
            return now_ms
        empty_ms = now_ms + self._burst_ms
        if full_at_ms > empty_ms + _ROUNDING_MS:
            # No bucket is emptier than empty: the clock went back. Remembered, or it would stay empty for as long as
            # the clock was ahead.
            self._full_at_ms[key] = full_at_ms = empty_ms
        return full_at_ms

    def _keep(self, key: Hashable, full_at_ms: float) -> None:
        kept = self._full_at_ms
        kept[key] = full_at_ms
        kept.move_to_end(key)
        if len(kept) > self._max_keys:
            kept.popitem(last=False)

    @property
    def rate(self) -> Rate:
        """What each bucket holds, and how it refills."""
        return self._rate
