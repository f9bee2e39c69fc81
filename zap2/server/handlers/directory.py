"""What one looks up about others: accounts by number, prekeys by account; and publishing one's own."""

from __future__ import annotations

import asyncio
from typing import Final

from zap2.crypto.identity import Identity
from zap2.crypto.prekeys import OneTimePrekey, SignedPrekeySet
from zap2.errors import CryptoError, Refused
from zap2.ids import Uid
from zap2.server.handlers.signup import parse
from zap2.server.services import Peer, Services, login_of, require
from zap2.server.store.port import PublishRefusal
from zap2.wire.fields import ErrorCode
from zap2.wire.frames import Bundle, Fetch, Found, Lookup, Publish, Published

LOW_STOCK: Final = 30
_CHECKED_AT_A_TIME: Final = 8


async def publish(services: Services, peer: Peer, frame: Publish) -> Published:
    """Keep a signed set and one-time pairs whose signatures verify."""
    now_ms = services.now_ms()
    login = login_of(peer)
    require(services.limiter.publishes_per_account, login.uid, now_ms)
    device = await services.store.device(login.uid, login.device)
    if device is None:
        raise Refused(ErrorCode.NOT_FOUND, "This relay has no such account.")
    identity = Identity.parse(device.document, device.document_signature)
    signed_set: tuple[int, bytes] | None = None
    pairs: list[tuple[int, bytes]] = []
    try:
        if frame.signed_set is not None:
            prekey_set = SignedPrekeySet.decode(frame.signed_set)
            prekey_set.check(identity, now_s=now_ms // 1000, lowest_sid=0)
            signed_set = (prekey_set.sid, frame.signed_set)
        for position, encoded in enumerate(frame.pairs):
            if position % _CHECKED_AT_A_TIME == 0:
                # A hundred signatures take a while, in which the others are not to wait.
                await asyncio.sleep(0)
            pair = OneTimePrekey.decode(encoded)
            pair.check(identity)
            pairs.append((pair.oid, encoded))
    except CryptoError as error:
        raise Refused(ErrorCode.BAD_SIGNATURE, f"The prekeys were refused: {error}") from None
    if len({oid for oid, _ in pairs}) != len(pairs):
        raise Refused(ErrorCode.BAD_REQUEST, "Two of the one-time pairs have the same oid.")
    state = await services.store.publish(
        login.mailbox, signed_set, pairs, services.options.limits.pairs_in_stock, frame.withdraw_below
    )
    if state is PublishRefusal.SID_WENT_DOWN:
        raise Refused(ErrorCode.BAD_REQUEST, "A newer signed prekey set was published before.")
    if isinstance(state, PublishRefusal):
        raise Refused(ErrorCode.TOO_LARGE, "The relay keeps no more one-time pairs of one device.")
    return Published(frame.rid, state.stock, state.highest_sid, state.highest_oid)


async def fetch(services: Services, peer: Peer, frame: Fetch) -> Bundle:
    """Hand out a device's prekeys; a one-time pair goes to one requester and is then forgotten."""
    now_ms = services.now_ms()
    login = login_of(peer)
    limiter = services.limiter
    require(limiter.fetches_per_account, login.uid, now_ms)
    target = (frame.uid, frame.device)
    # Somebody who fetches in order to use up another's pairs still gets what a session needs, but no pair.
    with_pair = (
        frame.with_pair
        and not limiter.pairs_per_account_and_target.take((login.uid, *target), now_ms)
        and not limiter.pairs_per_target.take(target, now_ms)
    )
    bundle = await services.store.fetch(Uid(frame.uid), frame.device, with_pair)
    if bundle is None:
        raise Refused(ErrorCode.NOT_FOUND, "This relay has no such account.")
    if bundle.signed_set is None:
        raise Refused(ErrorCode.NO_PREKEYS, "This person has not published any keys yet.", 60)
    if bundle.pair is not None and bundle.stock < LOW_STOCK:
        services.hub.tell_stock(bundle.mailbox, bundle.stock)
    return Bundle(frame.rid, bundle.document, bundle.document_signature, bundle.signed_set, bundle.pair)


async def lookup(services: Services, peer: Peer, frame: Lookup) -> Found:
    """Tell who has a number."""
    now_ms = services.now_ms()
    require(services.limiter.lookups_per_account, login_of(peer).uid, now_ms)
    require(services.limiter.lookups_per_source, peer.source, now_ms)
    number = parse(services, frame.number)
    uid = await services.store.find_number(services.keys.number_key(number))
    if uid is None:
        raise Refused(ErrorCode.NOT_FOUND, "Nobody with this number has an account at this relay.")
    return Found(frame.rid, uid)
