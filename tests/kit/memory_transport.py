"""A transport without sockets: a directory and mailboxes in memory, whose faults a test can switch on and off.

It keeps what the port promises whatever the faults: sends are idempotent, deliveries come again until they are
acknowledged, a pair is handed out once. Faults are those of a way that breaks: a request or its answer is lost, and
the link with it; a delivery comes twice, or before an earlier one.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from zap2.client.transport import (
    Arrived,
    Delivery,
    LinkConnecting,
    LinkDown,
    LinkUp,
    Outcome,
    PublishedKeys,
    TransportEvent,
)
from zap2.errors import Refused, Unreachable
from zap2.ids import EnvelopeId, Uid
from zap2.wire.fields import DELIVERY_WINDOW
from zap2.wire.statements import delivery_token_hash

_ResultT = TypeVar("_ResultT")

_RETRY_S = 0.01


@dataclass(slots=True)
class Faults:
    """How often things go wrong: probabilities, which may be changed at any time."""

    loss: float = 0.0
    """Of each request, before or after it had its effect; the link breaks with it."""
    duplication: float = 0.0
    """Of each delivery."""
    reordering: float = 0.0
    """Of each batch of deliveries."""
    no_sealed: float = 0.0
    """Of each send with a delivery token: there is no way for it."""


@dataclass(slots=True)
class _Account:
    number: str
    document: bytes
    document_signature: bytes
    signed_set: bytes | None = None
    sid: int = 0
    pairs: list[bytes] = field(default_factory=list)
    seen_pairs: set[bytes] = field(default_factory=set)
    highest_oid: int = -1
    acknowledged: int = 0
    mailbox: dict[int, tuple[EnvelopeId, bytes]] = field(default_factory=dict)
    has_mail: asyncio.Event = field(default_factory=asyncio.Event)
    token_hash: bytes | None = field(default=None, repr=False)
    pin: str | None = field(default=None, repr=False)
    is_listed: bool = True


class MemoryNetwork:
    """What all memory transports share.

    Args:
        rng: decides which faults happen.
    """

    def __init__(self, rng: random.Random) -> None:
        self.faults = Faults()
        self.rng = rng
        self.accounts: dict[Uid, _Account] = {}
        self._seen: set[tuple[Uid | None, EnvelopeId]] = set()
        self._last_seq = 0

    def register(self, uid: Uid, number: str, document: bytes, document_signature: bytes) -> None:
        """Open an account."""
        self.accounts[uid] = _Account(number, document, document_signature)

    def happens(self, probability: float) -> bool:
        """Decide about one fault."""
        return self.rng.random() < probability

    def account(self, uid: Uid) -> _Account:
        """Give an account. Raises Refused: `not-found`."""
        if uid not in self.accounts:
            raise Refused("not-found", "There is no such account.")
        return self.accounts[uid]

    def put_sealed(self, token: bytes, to: Uid, envelope: EnvelopeId, payload: bytes) -> None:
        """Put an envelope into the mailbox of somebody whose delivery token it comes with."""
        account = self.accounts.get(to)
        if account is None or account.token_hash != delivery_token_hash(token):
            raise Refused("delivery-refused", "That does not let anybody in here.")
        self.put(None, to, envelope, payload)

    def put(self, sender: Uid | None, to: Uid, envelope: EnvelopeId, payload: bytes) -> None:
        """Put an envelope into a mailbox, once for each sender; who sends sealed is nobody (None)."""
        account = self.account(to)
        if (sender, envelope) not in self._seen:
            self._seen.add((sender, envelope))
            self._last_seq += 1
            account.mailbox[self._last_seq] = (envelope, payload)
            account.has_mail.set()


class MemoryTransport:
    """One account's way through a `MemoryNetwork`, as `zap2.client.transport.Transport`.

    Args:
        network: shared with the others.
        uid: whose it is; registered there.
        sid_of: reads the sid of a published signed set, which the network takes for granted.
        oid_of: reads the oid of a published pair.
    """

    def __init__(
        self,
        network: MemoryNetwork,
        uid: Uid,
        sid_of: Callable[[bytes], int] = lambda _: 1,
        oid_of: Callable[[bytes], int] = lambda _: -1,
    ) -> None:
        self._network = network
        self._uid = uid
        self._sid_of = sid_of
        self._oid_of = oid_of
        self._is_up = False
        self._broken = asyncio.Event()
        self._hurried = asyncio.Event()
        self._last_token = 0
        self._seq_of: dict[int, int] = {}

    async def run(self, report: Callable[[TransportEvent], None]) -> None:
        """Keep the way open until cancelled."""
        account = self._network.account(self._uid)
        while True:
            report(LinkConnecting())
            self._broken.clear()
            self._is_up = True
            report(
                LinkUp(
                    len(account.pairs),
                    account.sid,
                    account.highest_oid,
                    account.acknowledged,
                    account.token_hash,
                )
            )
            try:
                await self._deliver(account, report)
            finally:
                self._is_up = False
                self._seq_of.clear()
            self._hurried.clear()
            report(LinkDown("The way broke.", _RETRY_S))
            await _first_of(asyncio.sleep(_RETRY_S), self._hurried.wait())

    def hurry(self) -> None:
        """Try to connect now instead of at the planned time."""
        self._hurried.set()

    def break_link(self) -> None:
        """Lose the connection, as a network does."""
        self._is_up = False
        self._broken.set()

    async def publish(
        self, signed_set: bytes | None, one_time: Sequence[bytes], withdraw_below: int = 0
    ) -> int:
        """Withdraw pairs below an oid, then publish public prekeys; gives the stock of pairs afterwards."""

        def work() -> int:
            account = self._network.account(self._uid)
            account.pairs = [pair for pair in account.pairs if self._oid_of(pair) >= withdraw_below]
            if signed_set is not None:
                account.signed_set, account.sid = signed_set, self._sid_of(signed_set)
            account.pairs += [pair for pair in one_time if pair not in account.seen_pairs]
            account.seen_pairs.update(one_time)
            account.highest_oid = max(account.highest_oid, *map(self._oid_of, one_time), -1)
            return len(account.pairs)

        return self._request(work)

    async def fetch(self, uid: Uid) -> PublishedKeys:
        """Take somebody's published keys with a one-time pair where one is left."""

        def work() -> PublishedKeys:
            account = self._network.account(uid)
            if account.signed_set is None:
                raise Refused("no-prekeys", "They have published nothing.", 60)
            pair = account.pairs.pop(0) if account.pairs else None
            return PublishedKeys(account.document, account.document_signature, account.signed_set, pair)

        return self._request(work)

    async def look_up(self, number: str) -> Uid:
        """Give who registered a number."""

        def work() -> Uid:
            for uid, account in self._network.accounts.items():
                if account.number == number and account.is_listed:
                    return uid
            raise Refused("not-found", "Nobody has this number.")

        return self._request(work)

    async def set_delivery_token(self, token_hash: bytes | None) -> None:
        """Let whoever has the token with this hash send here without being named; None lets in nobody."""

        def work() -> None:
            self._network.account(self._uid).token_hash = token_hash

        self._request(work)

    async def send(
        self,
        envelope: EnvelopeId,
        to: Uid,
        payload: bytes,
        expires_in_s: int,
        delivery_token: bytes | None = None,
    ) -> Outcome:
        """Send one envelope; it never expires here. One with a delivery token may find no way of its own."""

        def work() -> Outcome:
            if delivery_token is None:
                self._network.put(self._uid, to, envelope, payload)
            else:
                self._network.put_sealed(delivery_token, to, envelope, payload)
            return Outcome.STORED

        if (
            delivery_token is not None
            and self._is_up
            and self._network.happens(self._network.faults.no_sealed)
        ):
            raise Refused("sealed-unavailable", "There is no way that does not name the sender.")
        return self._request(work)

    async def acknowledge(self, tokens: Sequence[int]) -> None:
        """Say that deliveries are committed; those of a link that is gone are ignored."""
        if not self._is_up:
            return
        account = self._network.account(self._uid)
        for token in tokens:
            seq = self._seq_of.pop(token, None)
            if seq is not None and account.mailbox.pop(seq, None) is not None:
                account.acknowledged = max(account.acknowledged, seq)
        account.has_mail.set()

    async def set_pin(self, pin: str | None) -> None:
        """Keep the PIN; nobody takes numbers over here."""

        def work() -> None:
            self._network.account(self._uid).pin = pin

        self._request(work)

    async def set_listed(self, listed: bool) -> None:
        """Choose whether others find this account by its number."""

        def work() -> None:
            self._network.account(self._uid).is_listed = listed

        self._request(work)

    def _request(self, work: Callable[[], _ResultT]) -> _ResultT:
        if not self._is_up:
            raise Unreachable
        if not self._network.happens(self._network.faults.loss):
            return work()
        if self._network.happens(0.5):
            work()
        self.break_link()
        raise Unreachable

    async def _deliver(self, account: _Account, report: Callable[[TransportEvent], None]) -> None:
        while self._is_up:
            account.has_mail.clear()
            in_flight = set(self._seq_of.values())
            batch = [seq for seq in account.mailbox if seq not in in_flight][
                : DELIVERY_WINDOW - len(in_flight)
            ]
            if batch:
                report(Arrived(tuple(self._hand_out(account, batch))))
            await _first_of(account.has_mail.wait(), self._broken.wait())

    def _hand_out(self, account: _Account, batch: list[int]) -> list[Delivery]:
        faults, happens = self._network.faults, self._network.happens
        batch += [seq for seq in batch if happens(faults.duplication)]
        if happens(faults.reordering):
            self._network.rng.shuffle(batch)
        deliveries: list[Delivery] = []
        for seq in batch:
            self._last_token += 1
            self._seq_of[self._last_token] = seq
            deliveries.append(Delivery(self._last_token, *account.mailbox[seq], seq))
        return deliveries


async def _first_of(*waits: Coroutine[Any, Any, object]) -> None:
    tasks = [asyncio.create_task(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
