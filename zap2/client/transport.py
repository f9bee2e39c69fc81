"""The transport port: what the client asks of any way to other people.

The engine owns ciphertext; a transport owns delivery. A relay is one transport; peers and files can be others.
Nothing above this port knows which one runs. Envelopes are idempotent by id: sending one twice delivers it once.

Every method raises only `Unreachable` (no answer: try again after the next `LinkUp`), `Refused` (with a stable
code, and `retry_after_s` where waiting helps), `NotTrusted` or `ProtocolViolation`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from zap2.ids import EnvelopeId, Uid


@dataclass(frozen=True, slots=True)
class Delivery:
    """An envelope that arrived. Acknowledge it by `token` after the commit, in any order.

    `number` is its place among all deliveries to this account: later ones have higher numbers, and it stays the same
    when the envelope comes again. A token belongs to one link only.
    """

    token: int
    envelope: EnvelopeId
    payload: bytes = field(repr=False)
    number: int


@dataclass(frozen=True, slots=True)
class LinkUp:
    """The way is open and authentic; what the other end knows of us tells an older copy of a vault that it is one.

    Args:
        stock: one-time pairs that others can still fetch.
        highest_sid: of our signed sets that were ever published, 0 for none.
        highest_oid: of our pairs that were ever published, -1 for none.
        acknowledged: the highest number of a delivery that this account acknowledged, 0 for none.
        delivery_token_hash: what `set_delivery_token` left there, None for nothing.
        has_number: whether others still find us by our number, as far as that is up to the other end.
    """

    stock: int
    highest_sid: int
    highest_oid: int
    acknowledged: int
    delivery_token_hash: bytes | None = field(default=None, repr=False)
    has_number: bool = True


@dataclass(frozen=True, slots=True)
class LinkConnecting:
    """A try began."""


@dataclass(frozen=True, slots=True)
class LinkDown:
    """The way is closed; tokens of unacknowledged deliveries are void and the envelopes come again.

    `reason` is for a person. `retry_in_s` is None when no try is planned. `is_trusted` is False when the other end
    proved another key than the pinned one. `refused` is the code with which the other end refused this account for
    good; empty where trying again may help.
    """

    reason: str
    retry_in_s: float | None
    is_trusted: bool = True
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Arrived:
    """One or more envelopes arrived together, in order."""

    deliveries: tuple[Delivery, ...]


@dataclass(frozen=True, slots=True)
class StockLow:
    """Few one-time pairs are left where others fetch them."""

    stock: int


@dataclass(frozen=True, slots=True)
class NumberLost:
    """Another account has our number now."""


TransportEvent = LinkUp | LinkConnecting | LinkDown | Arrived | StockLow | NumberLost


class Outcome(StrEnum):
    """How far an envelope got. Never "delivered": that is the end-to-end receipt."""

    DIRECT = "direct"
    STORED = "stored"
    QUEUED = "queued"


@dataclass(frozen=True, slots=True)
class PublishedKeys:
    """What a transport hands out for somebody, unchecked: the engine verifies every byte."""

    document: bytes
    document_signature: bytes
    signed_set: bytes
    one_time: bytes | None


class Transport(Protocol):
    """A way to other people."""

    async def run(self, report: Callable[[TransportEvent], None]) -> None:
        """Keep the way open until cancelled, reporting what happens; reconnects by itself."""
        ...

    def hurry(self) -> None:
        """Try to connect now instead of at the planned time."""
        ...

    async def publish(
        self, signed_set: bytes | None, one_time: Sequence[bytes], withdraw_below: int = 0
    ) -> int:
        """Withdraw one-time pairs with an oid below a number, then publish public prekeys.

        Gives the stock of pairs afterwards. Repeating it is harmless.
        """
        ...

    async def fetch(self, uid: Uid) -> PublishedKeys:
        """Take somebody's published keys with a one-time pair where one is left. Refused: `not-found`, `no-prekeys`."""
        ...

    async def look_up(self, number: str) -> Uid:
        """Give who registered an E.164 number. Refused: `not-found`."""
        ...

    async def set_delivery_token(self, token_hash: bytes | None) -> None:
        """Let whoever has the token with this hash send to us without being named; None lets in nobody.

        An older hash is void at once. Tokens are hashed by `zap2.wire.statements.delivery_token_hash`.
        """
        ...

    async def send(
        self,
        envelope: EnvelopeId,
        to: Uid,
        payload: bytes,
        expires_in_s: int,
        delivery_token: bytes | None = None,
    ) -> Outcome:
        """Send one envelope; returns when it is safe outside this device. Calls in order are delivered in order.

        With the receiver's delivery token it goes over a way that does not name us, has an order of its own, and
        recognises repetitions of its own. Refused then also: `delivery-refused` (not their token, or no such account),
        `sealed-unavailable` (there is no such way now). The same envelope may then be sent without the token.
        """
        ...

    async def acknowledge(self, tokens: Sequence[int]) -> None:
        """Say that deliveries are committed; those of a link that is gone are ignored."""
        ...

    async def set_pin(self, pin: str | None) -> None:
        """Set the registration PIN, without which nobody takes this account's number over; None removes it."""
        ...

    async def set_listed(self, listed: bool) -> None:
        """Choose whether others find this account by its number."""
        ...
