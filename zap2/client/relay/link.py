"""The relay as a transport: a link that opens itself again, and the requests that go over it.

                     ┌──────────────────────── wait (or hurry) ◀────────────────────────┐
                     ▼                                                                  │
    run ──▶ CONNECTING ──greeting checked, logged in──▶ UP ──connection over──▶ DOWN ───┤
                     │                                                           ▲      │
                     └────────────── no relay, refused, not trusted ─────────────┘      ▼
                                                                 not trusted: only hurry goes on

How long DOWN lasts: a random time below a ceiling that doubles from 0.5 s to 60 s, and begins again after a
connection that held. A relay that asked for a time (`Draining`, `retry_after_s`) gets at least that; one that
refused the log-in for good, or prefers another connection of this account, is left alone for five minutes.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from zap2.address import RelayAddress
from zap2.client.relay.backoff import Backoff
from zap2.client.relay.connection import Ending, News, RelayConnection, open_connection
from zap2.client.relay.dialing import Patience
from zap2.client.relay.inbox import Inbox
from zap2.client.relay.login import (
    DEVICE,
    LoginKeys,
    TokenStore,
    keep_token_fresh,
    log_in,
    words_of_refusal,
)
from zap2.client.relay.sealed import SealedWays
from zap2.client.transport import LinkConnecting, LinkDown, LinkUp, Outcome, PublishedKeys, TransportEvent
from zap2.errors import NotTrusted, ProtocolViolation, Refused, TransportError, Unreachable, Zap2Error
from zap2.ids import EnvelopeId, RandomBytes, Uid
from zap2.wire.fields import MAX_ACKS, MAX_EXPIRY_S, MAX_PAIRS_PER_PUBLISH, CloseCode, ErrorCode
from zap2.wire.frames import (
    Bundle,
    Done,
    Fetch,
    Found,
    LoggedIn,
    Lookup,
    Publish,
    Published,
    Send,
    SendSealed,
    Sent,
    SetDeliveryToken,
    SetListed,
    SetPin,
)

_HELD_S: Final = 10.0
"""A connection that was up for this long begins the waits anew."""

_LONG_WAIT_S: Final = 300.0
_LONGEST_WAIT_S: Final = 3600.0
"""The most that a relay can ask for."""


async def _pin_nothing(fingerprint: str) -> None:
    """Keep a key for as long as this object lives."""


class RelayTransport:
    """A relay as `zap2.client.transport.Transport`; call `run` once.

    Args:
        address: the relay; without a fingerprint the first key that it proves is pinned.
        keys: the account's identity.
        tokens: where the connection token survives a restart.
        rng: for nonces.
        on_pinned: keeps the fingerprint of a relay whose address had none; awaited before anything is sent to it.
        patience: how long the relay may take.
        extra_ca: a PEM file with certificates to trust beside the system's.
        now_s: a clock that never goes back.
        jitter: gives random numbers from 0.0 to 1.0, for the waits.
    """

    def __init__(
        self,
        address: RelayAddress,
        keys: LoginKeys,
        *,
        tokens: TokenStore,
        rng: RandomBytes,
        on_pinned: Callable[[str], Awaitable[None]] = _pin_nothing,
        patience: Patience | None = None,
        extra_ca: Path | None = None,
        now_s: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._address = address
        self._keys = keys
        self._tokens = tokens
        self._rng = rng
        self._on_pinned = on_pinned
        self._patience = patience or Patience()
        self._extra_ca = extra_ca
        self._now_s = now_s
        self._backoff = Backoff(jitter)
        self._delivery_tokens = itertools.count(1)
        self._hurried = asyncio.Event()
        self._way: tuple[RelayConnection, Inbox] | None = None
        self._up_since_s: float | None = None
        self._down_by: TransportError = Unreachable("The link to the relay is not open yet.")
        self._sealed = SealedWays(self._dial_sealed, now_s)

    @property
    def address(self) -> RelayAddress:
        """The relay's address, with its key once that is pinned."""
        return self._address

    # ------------------------------------------------------------------------------------------- the link

    async def run(self, report: Callable[[TransportEvent], None]) -> None:
        """Keep the way open until cancelled, reporting what happens; reconnects by itself."""
        tending = asyncio.create_task(self._sealed.keep_tending())
        try:
            while True:
                report(LinkConnecting())
                down = await self._live(report)
                self._hurried.clear()
                report(down)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(down.retry_in_s):
                        await self._hurried.wait()
        finally:
            tending.cancel()
            await asyncio.gather(tending, return_exceptions=True)
            await self._sealed.close()

    def hurry(self) -> None:
        """Try to connect now instead of at the planned time."""
        self._hurried.set()

    async def _live(self, report: Callable[[TransportEvent], None]) -> LinkDown:
        """Be connected once, for as long as it goes well; gives how it ended and when to try again."""
        inbox = Inbox(self._delivery_tokens, report)
        try:
            connection = await open_connection(
                self._address,
                rng=self._rng,
                on_news=inbox.take,
                patience=self._patience,
                extra_ca=self._extra_ca,
            )
        except Zap2Error as error:
            return self._plan(Ending(error), inbox)
        self._up_since_s = None
        try:
            ending = await self._converse(connection, inbox, report)
        except (Unreachable, ProtocolViolation) as error:
            ending = await connection.wait_ended() if connection.is_over else Ending(error)
        except Zap2Error as error:
            ending = Ending(error)
        finally:
            self._way = None
            await connection.close()
        self._reset_if_held()
        return self._plan(ending, inbox)

    async def _converse(
        self, connection: RelayConnection, inbox: Inbox, report: Callable[[TransportEvent], None]
    ) -> Ending:
        if self._address.fingerprint is None:
            await self._on_pinned(connection.fingerprint)
            self._address = self._address.with_fingerprint(connection.fingerprint)
        logged_in = await log_in(connection, self._keys, self._tokens)
        self._up_since_s = self._now_s()
        self._way = (connection, inbox)
        report(_link_up(logged_in))
        inbox.open()
        renewal = asyncio.create_task(keep_token_fresh(connection, logged_in.expires_in_s, self._tokens))
        try:
            return await connection.wait_ended()
        finally:
            renewal.cancel()
            await asyncio.gather(renewal, return_exceptions=True)

    def _reset_if_held(self) -> None:
        if self._up_since_s is not None and self._now_s() - self._up_since_s >= _HELD_S:
            self._backoff.reset()

    def _plan(self, ending: Ending, inbox: Inbox) -> LinkDown:
        error = ending.error
        self._down_by = error if isinstance(error, NotTrusted) else Unreachable(str(error))
        if isinstance(error, NotTrusted):
            return LinkDown(str(error), None, is_trusted=False)
        reason = str(error)
        refused = ""
        wait_s = self._backoff.next_wait_s()
        asked_s: float | None = None
        if isinstance(error, Refused):
            reason = words_of_refusal(error)
            refused = "" if error.is_temporary else error.code
            asked_s = _LONG_WAIT_S if error.retry_after_s is None else error.retry_after_s
        elif inbox.reconnect_after_s is not None:
            asked_s = inbox.reconnect_after_s
        elif ending.close_code == CloseCode.REPLACED:
            asked_s = _LONG_WAIT_S
        elif ending.close_code == CloseCode.BLOCKED:
            refused, asked_s = ErrorCode.ACCOUNT_BLOCKED, _LONG_WAIT_S
        if asked_s is not None:
            wait_s = max(wait_s, self._backoff.spread_s(min(asked_s, _LONGEST_WAIT_S)))
        return LinkDown(reason, wait_s, refused=refused)

    # ---------------------------------------------------------------------------------------- the requests

    async def publish(
        self, signed_set: bytes | None, one_time: Sequence[bytes], withdraw_below: int = 0
    ) -> int:
        """Withdraw pairs below an oid, then publish public prekeys; gives the stock of pairs afterwards."""
        connection, inbox = self._open_way()
        rest = tuple(one_time)
        while True:
            batch, rest = rest[:MAX_PAIRS_PER_PUBLISH], rest[MAX_PAIRS_PER_PUBLISH:]
            published = await connection.request(
                partial(_publish, signed_set, batch, withdraw_below), Published
            )
            if not rest:
                break
            signed_set, withdraw_below = None, 0
        inbox.published()
        return published.stock

    async def fetch(self, uid: Uid) -> PublishedKeys:
        """Take somebody's published keys with a one-time pair where one is left."""
        connection, _ = self._open_way()
        bundle = await connection.request(lambda rid: Fetch(rid, uid, DEVICE, True), Bundle)
        return PublishedKeys(bundle.document, bundle.document_signature, bundle.signed_set, bundle.pair)

    async def look_up(self, number: str) -> Uid:
        """Give who registered an E.164 number. Refused: `not-found`."""
        connection, _ = self._open_way()
        found = await connection.request(lambda rid: Lookup(rid, number), Found)
        return Uid(found.uid)

    async def set_delivery_token(self, token_hash: bytes | None) -> None:
        """Let whoever has the token with this hash send here without a log-in; None lets in nobody."""
        connection, _ = self._open_way()
        await connection.request(lambda rid: SetDeliveryToken(rid, token_hash), Done)

    async def send(
        self,
        envelope: EnvelopeId,
        to: Uid,
        payload: bytes,
        expires_in_s: int,
        delivery_token: bytes | None = None,
    ) -> Outcome:
        """Send one envelope; returns when it is safe outside this device. Calls in order are delivered in order.

        With a delivery token it goes over a connection that never logs in, whose calls have an order of their own.
        Refused then: `delivery-refused`, and `sealed-unavailable` where there is no such connection.
        """
        connection, _ = self._open_way()
        expiry_s = min(max(expires_in_s, 1), MAX_EXPIRY_S)
        if delivery_token is not None:
            make = partial(_send_sealed, delivery_token, envelope, to, expiry_s, payload)
            try:
                return Outcome((await self._sealed.send(to, make)).outcome)
            except Refused:
                self._open_way()  # Where there is no way at all, that is what is wrong.
                raise
        sent = await connection.request(lambda rid: Send(rid, envelope, to, DEVICE, expiry_s, payload), Sent)
        return Outcome(sent.outcome)

    async def acknowledge(self, tokens: Sequence[int]) -> None:
        """Say that deliveries are committed; those of a link that is gone are ignored."""
        if self._way is None:
            return
        connection, inbox = self._way
        if connection.is_over:
            return
        seqs = inbox.redeem(tokens)
        for start in range(0, len(seqs), MAX_ACKS):
            connection.acknowledge(seqs[start : start + MAX_ACKS])

    async def set_pin(self, pin: str | None) -> None:
        """Set the registration PIN, without which nobody takes this account's number over; None removes it."""
        connection, _ = self._open_way()
        await connection.request(lambda rid: SetPin(rid, pin), Done)

    async def set_listed(self, listed: bool) -> None:
        """Choose whether others find this account by its number."""
        connection, _ = self._open_way()
        await connection.request(lambda rid: SetListed(rid, listed), Done)

    def _open_way(self) -> tuple[RelayConnection, Inbox]:
        if self._way is None:
            raise type(self._down_by)(str(self._down_by), self._down_by.hint)
        return self._way

    async def _dial_sealed(self) -> RelayConnection:
        if self._address.fingerprint is None:
            raise Unreachable("The relay's key is not pinned yet.")
        return await open_connection(
            self._address, rng=self._rng, on_news=_pass_over, patience=self._patience, extra_ca=self._extra_ca
        )


def _pass_over(_: Sequence[News]) -> None:
    """Nothing is delivered to a connection that named nobody; that the relay stops, it will say by closing."""


def _link_up(logged_in: LoggedIn) -> LinkUp:
    return LinkUp(
        logged_in.stock,
        logged_in.highest_sid,
        logged_in.highest_oid,
        logged_in.acknowledged,
        logged_in.delivery_token_hash,
        logged_in.has_number,
    )


def _publish(signed_set: bytes | None, pairs: tuple[bytes, ...], withdraw_below: int, rid: int) -> Publish:
    return Publish(rid, signed_set, pairs, withdraw_below)


def _send_sealed(
    token: bytes, envelope: EnvelopeId, to: Uid, expiry_s: int, payload: bytes, rid: int
) -> SendSealed:
    return SendSealed(rid, token, envelope, to, DEVICE, expiry_s, payload)
