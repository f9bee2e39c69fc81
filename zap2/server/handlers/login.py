"""Logging in with a signature or a token, and the life of tokens."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Final

from zap2.crypto.identity import Identity
from zap2.errors import CryptoError, Refused
from zap2.ids import Uid
from zap2.server.services import Login, Peer, Services, login_of, require
from zap2.server.store.port import Device, TokenOwner
from zap2.wire.fields import CloseCode, ErrorCode
from zap2.wire.frames import (
    Authenticate,
    Done,
    LoggedIn,
    NumberLost,
    RenewToken,
    Resume,
    RevokeTokens,
    TokenIssued,
)
from zap2.wire.statements import login_statement

_TOKEN_SIZE_B: Final = 32
_DAY_MS: Final = 24 * 3600 * 1000


async def authenticate(services: Services, peer: Peer, frame: Authenticate) -> LoggedIn:
    """Log in whoever signs this connection's challenge with a registered identity key."""
    now_ms = services.now_ms()
    uid = Uid(hashlib.sha256(frame.document).digest())
    require(services.limiter.logins_per_source, peer.source, now_ms)
    require(services.limiter.logins_per_account, uid, now_ms)
    device = await services.store.device(uid, frame.device)
    if device is None:
        raise Refused(ErrorCode.NOT_FOUND, "This relay has no such account.")
    statement = login_statement(services.keys.relay_key, peer.challenge, uid, frame.device)
    try:
        Identity.parse(device.document, device.document_signature).verify(statement, frame.signature)
    except CryptoError:
        raise Refused(ErrorCode.BAD_SIGNATURE, "The log-in's signature does not verify.") from None
    has_number = await _admit(services, uid, now_ms)
    token, owner = await _issue(services, uid, frame.device, now_ms)
    return _logged_in(services, peer, frame.rid, device, token, owner, has_number)


async def resume(services: Services, peer: Peer, frame: Resume) -> LoggedIn:
    """Log in whoever has a token that has not expired. It stays the same, with the life that it has left."""
    now_ms = services.now_ms()
    require(services.limiter.logins_per_source, peer.source, now_ms)
    owner = await services.tokens.find_token(_hash(frame.token))
    if owner is None:
        raise Refused(ErrorCode.TOKEN_UNKNOWN, "This token is unknown or was revoked; log in with the key.")
    if owner.expires_at_ms <= now_ms:
        raise Refused(ErrorCode.TOKEN_EXPIRED, "This token has expired; log in with the key.")
    device, has_number = await asyncio.gather(
        services.store.device(owner.uid, owner.device), _admit(services, owner.uid, now_ms)
    )
    if device is None:
        raise Refused(ErrorCode.TOKEN_UNKNOWN, "This token's account is gone.")
    return _logged_in(services, peer, frame.rid, device, frame.token, owner, has_number)


async def renew_token(services: Services, peer: Peer, frame: RenewToken) -> TokenIssued:
    """Put a fresh token in place of the connection's."""
    now_ms = services.now_ms()
    login = login_of(peer)
    require(services.limiter.logins_per_account, login.uid, now_ms)
    device = services.hub.get(login.mailbox)
    if not await _admit(services, login.uid, now_ms) and device is not None:
        # It was told when that happened, unless it logged in just then, or the word from another relay was lost.
        device.tell(NumberLost())
    token, owner = await _issue(services, login.uid, login.device, now_ms)
    await services.tokens.drop_token(login.token_hash)
    login.token_hash, login.expires_at_ms = _hash(token), owner.expires_at_ms
    return TokenIssued(frame.rid, token, services.options.token_ttl_s)


async def revoke_tokens(services: Services, peer: Peer, frame: RevokeTokens) -> Done:
    """Make the account's tokens void and close its other connections; the session closes this one."""
    login = login_of(peer)
    login.is_revoked = True
    await services.tokens.drop_tokens(login.uid)
    reason = "the account's tokens were revoked"
    services.hub.cut_account(login.uid, CloseCode.TOKEN_EXPIRED, reason, but=login.mailbox)
    return Done(frame.rid)


async def _admit(services: Services, uid: Uid, now_ms: int) -> bool:
    """Refuse an account that the host has blocked; take note that any other is in use, and say if it has a number."""
    member = await services.members.member(uid)
    if member is None:
        return True
    if member.is_blocked:
        raise Refused(ErrorCode.ACCOUNT_BLOCKED, "The relay's host has blocked this account.")
    day = now_ms // _DAY_MS
    if member.active_day < day:
        await services.members.mark_active(uid, day)
    return member.has_number


async def _issue(services: Services, uid: Uid, device: int, now_ms: int) -> tuple[bytes, TokenOwner]:
    token = services.rng(_TOKEN_SIZE_B)
    owner = TokenOwner(uid, device, now_ms + services.options.token_ttl_s * 1000)
    await services.tokens.put_token(_hash(token), owner)
    return token, owner


def _logged_in(
    services: Services,
    peer: Peer,
    rid: int,
    device: Device,
    token: bytes,
    owner: TokenOwner,
    has_number: bool,
) -> LoggedIn:
    if peer.login is not None:
        # Another log-in of this connection, which was under way at the same time, came first.
        raise Refused(ErrorCode.BAD_REQUEST, "This connection has logged in already.")
    peer.login = Login(owner.uid, owner.device, device.mailbox, _hash(token), owner.expires_at_ms)
    return LoggedIn(
        rid,
        token,
        max(0, owner.expires_at_ms - services.now_ms()) // 1000,
        device.prekeys.stock,
        device.prekeys.highest_sid,
        device.prekeys.highest_oid,
        device.acknowledged,
        device.delivery_token_hash,
        has_number,
    )


def _hash(token: bytes) -> bytes:
    # A token is 32 random bytes: a plain hash of it cannot be guessed back.
    return hashlib.sha256(token).digest()
