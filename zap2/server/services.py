"""What the handlers of all connections share, and what they know of one connection."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass, field
from typing import Any

from zap2.errors import Refused
from zap2.ids import RandomBytes, Uid
from zap2.server.code_delivery import CodeDelivery
from zap2.server.hub import Hub
from zap2.server.keys import RelayKeys
from zap2.server.limits import Buckets, Limits, Rate
from zap2.server.options import RelayOptions
from zap2.server.store.members_port import MemberStore
from zap2.server.store.port import RelayStore, TokenStore
from zap2.wire.fields import ErrorCode

Clock = Callable[[], int]
"""Gives the time in milliseconds since 1970."""


class Limiter:
    """All buckets of a relay; see `Limits` for what each one counts."""

    def __init__(self, limits: Limits) -> None:
        def buckets(rate: Rate) -> Buckets:
            return Buckets(rate, limits.buckets)

        self.handshakes_per_source = buckets(limits.handshakes_per_source)
        self.verifications_per_source = buckets(limits.verifications_per_source)
        self.sent_codes_per_source = buckets(limits.sent_codes_per_source)
        self.codes_per_source = buckets(limits.codes_per_source)
        self.wrong_codes_per_source = buckets(limits.wrong_codes_per_source)
        self.registrations_per_source = buckets(limits.registrations_per_source)
        self.wrong_pins_per_source = buckets(limits.wrong_pins_per_source)
        self.logins_per_source = buckets(limits.logins_per_source)
        self.logins_per_account = buckets(limits.logins_per_account)
        self.pins_per_account = buckets(limits.pins_per_account)
        self.lookups_per_account = buckets(limits.lookups_per_account)
        self.lookups_per_source = buckets(limits.lookups_per_source)
        self.fetches_per_account = buckets(limits.fetches_per_account)
        self.pairs_per_account_and_target = buckets(limits.pairs_per_account_and_target)
        self.pairs_per_target = buckets(limits.pairs_per_target)
        self.publishes_per_account = buckets(limits.publishes_per_account)
        self.sends_per_account = buckets(limits.sends_per_account)
        self.send_bytes_per_account = buckets(limits.send_bytes_per_account)
        self.delivery_tokens_per_account = buckets(limits.delivery_tokens_per_account)
        self.sealed_per_source = buckets(limits.sealed_per_source)
        self.sealed_bytes_per_source = buckets(limits.sealed_bytes_per_source)
        self.sealed_per_token = buckets(limits.sealed_per_token)
        self.sealed_bytes_per_token = buckets(limits.sealed_bytes_per_token)
        self.wrong_tokens_per_source = buckets(limits.wrong_tokens_per_source)


@dataclass(slots=True)
class Counts:
    """What a host watches, beside what hub and store know."""

    connections: int = 0
    handshakes: int = 0
    turned_away: int = 0
    """Connections that were dropped before their handshake: too many, too often, or while the relay stops."""
    logins: int = 0
    sealed: int = 0
    """Sealed envelopes that were taken, repetitions too."""
    refusals: Counter[str] = field(default_factory=Counter)
    """Refused requests by code."""
    store_s: float = 0.0
    """How long the last round of the store took, with its commit."""
    loop_lag_s: float = 0.0
    """How late the event loop came to its last tick."""


@dataclass(slots=True)
class Services:
    """The ports and the shared state of one relay."""

    options: RelayOptions
    store: RelayStore
    members: MemberStore
    tokens: TokenStore
    keys: RelayKeys
    code_delivery: CodeDelivery
    hub: Hub
    limiter: Limiter
    now_ms: Clock
    rng: RandomBytes
    redis_is_up: Callable[[], bool] | None = None
    """Whether Redis answers; None where there is none."""
    counts: Counts = field(default_factory=Counts)
    is_leaving: bool = False
    """No new connections: the relay is on its way to an end."""
    is_draining: bool = False
    """No new requests either: it ends now."""
    slow_hashing: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    """Held while a PIN is hashed: each takes 64 MiB."""
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine to its end, whatever becomes of the connection that asked for it."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def finish(self) -> None:
        """Wait for everything that was started."""
        while self._tasks:
            await asyncio.wait(self._tasks)


@dataclass(slots=True)
class Login:
    """Who a connection is, and for how long."""

    uid: Uid
    device: int
    mailbox: int
    token_hash: bytes = field(repr=False)
    expires_at_ms: int
    is_revoked: bool = False

    def is_over(self, now_ms: int) -> bool:
        """Whether the token of this connection is no longer good."""
        return self.is_revoked or self.expires_at_ms <= now_ms


@dataclass(slots=True)
class Peer:
    """What the relay knows of one connection."""

    source: str
    challenge: bytes = b""
    login: Login | None = None


def require(buckets: Buckets, key: Hashable, now_ms: int, amount: float = 1.0) -> None:
    """Take from a bucket.

    Raises:
        Refused: `rate-limited`, with the time after which there is enough.
    """
    if wait_s := buckets.take(key, now_ms, amount):
        raise too_many(wait_s)


def too_many(wait_s: float) -> Refused:
    """Refuse for want of patience, with the time after which it will do."""
    return Refused(ErrorCode.RATE_LIMITED, "Too many requests; wait a little.", round(wait_s + 0.05, 1))


def login_of(peer: Peer) -> Login:
    """Give who a connection is, where the session has made sure that it is somebody."""
    if peer.login is None:
        raise Refused(ErrorCode.UNAUTHENTICATED, "Log in first.")
    return peer.login
