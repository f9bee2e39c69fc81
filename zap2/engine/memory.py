"""What the engine knows only while it runs: what is under way. All of it can be lost without harm."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from zap2.ids import EnvelopeId, Uid


@dataclass(slots=True)
class Memory:
    """Requests under way and times to try again. `copy` before a step; a failed step keeps the copy.

    `in_flight` holds the delivery token with which each envelope went, None for the logged-in way; `refused_tokens`
    counts how many of somebody's were refused since the last upkeep. `stock` is how
    many one-time pairs others can still fetch, None until the transport said so.
    """

    is_link_open: bool = False
    in_flight: dict[EnvelopeId, bytes | None] = field(default_factory=dict, repr=False)
    refused_tokens: Counter[Uid] = field(default_factory=Counter)
    fetching: set[Uid] = field(default_factory=set)
    fetch_again_at_ms: dict[Uid, int] = field(default_factory=dict)
    looking_up: set[str] = field(default_factory=set, repr=False)
    is_publishing: bool = False
    publish_again_at_ms: int = 0
    stock: int | None = None
    published_sid: int | None = None
    is_setting_token: bool = False
    set_token_again_at_ms: int = 0
    receipts_due_at_ms: int | None = 0
    gaps_due_at_ms: int | None = 0
    upkeep_due_at_ms: int = 0

    def copy(self) -> Memory:
        """Give an independent copy."""
        return Memory(
            is_link_open=self.is_link_open,
            in_flight=dict(self.in_flight),
            refused_tokens=Counter(self.refused_tokens),
            fetching=set(self.fetching),
            fetch_again_at_ms=dict(self.fetch_again_at_ms),
            looking_up=set(self.looking_up),
            is_publishing=self.is_publishing,
            publish_again_at_ms=self.publish_again_at_ms,
            stock=self.stock,
            published_sid=self.published_sid,
            is_setting_token=self.is_setting_token,
            set_token_again_at_ms=self.set_token_again_at_ms,
            receipts_due_at_ms=self.receipts_due_at_ms,
            gaps_due_at_ms=self.gaps_due_at_ms,
            upkeep_due_at_ms=self.upkeep_due_at_ms,
        )

    def close_link(self) -> None:
        """Forget everything that will not be answered any more."""
        self.is_link_open = False
        self.is_publishing = False
        self.is_setting_token = False
        self.in_flight.clear()
        self.fetching.clear()
        self.looking_up.clear()

    def put_off_at_most(self, at_ms: int) -> None:
        """Let nothing wait for longer than until a time: a clock that was ahead may have been put right."""
        self.fetch_again_at_ms = {
            peer: min(again_ms, at_ms) for peer, again_ms in self.fetch_again_at_ms.items()
        }
        self.publish_again_at_ms = min(self.publish_again_at_ms, at_ms)
        self.set_token_again_at_ms = min(self.set_token_again_at_ms, at_ms)
        if self.receipts_due_at_ms is not None:
            self.receipts_due_at_ms = min(self.receipts_due_at_ms, at_ms)
        if self.gaps_due_at_ms is not None:
            self.gaps_due_at_ms = min(self.gaps_due_at_ms, at_ms)

    def next_deadline_ms(self) -> int:
        """Give the earliest time at which something here comes due."""
        times = [self.upkeep_due_at_ms]
        times.extend(at for at in (self.receipts_due_at_ms, self.gaps_due_at_ms) if at is not None)
        if self.is_link_open:
            times.extend(self.fetch_again_at_ms.values())
            times.extend(at for at in (self.publish_again_at_ms, self.set_token_again_at_ms) if at)
        return min(times)
