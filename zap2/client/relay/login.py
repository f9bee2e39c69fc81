"""Logging in: with the token of an earlier connection where it is still good, with the identity key otherwise."""

from __future__ import annotations

import asyncio
import logging
from typing import Final, Protocol

from zap2.client.relay.connection import RelayConnection
from zap2.errors import Refused, Zap2Error
from zap2.ids import Uid
from zap2.wire.fields import ErrorCode
from zap2.wire.frames import Authenticate, LoggedIn, RenewToken, Resume, TokenIssued
from zap2.wire.statements import login_statement

_log = logging.getLogger(__name__)

DEVICE: Final = 1
"""An account has one device for now."""

_RENEW_AFTER: Final = 2 / 3
"""The part of a token's life after which it is renewed."""

_MIN_RENEWAL_WAIT_S: Final = 0.2


class LoginKeys(Protocol):
    """The identity of the account, as far as logging in needs it."""

    @property
    def document(self) -> bytes:
        """The identity document, 65 bytes."""
        ...

    @property
    def uid(self) -> Uid:
        """The account's address."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Sign with the identity key; 64 bytes."""
        ...


class TokenStore(Protocol):
    """Where the connection token survives a restart. It is a secret: keep it in the vault."""

    async def load(self) -> bytes | None:
        """Give the token that was saved last."""
        ...

    async def save(self, token: bytes | None) -> None:
        """Keep a token in place of the one before; None forgets it."""
        ...


async def log_in(connection: RelayConnection, keys: LoginKeys, tokens: TokenStore) -> LoggedIn:
    """Log in and keep the token for the next time.

    Raises:
        Refused: the relay does not want this account, or not now (`retry_after_s`).
        Unreachable, ProtocolViolation: the connection is over.
    """
    token = await tokens.load()
    logged_in = None if token is None else await _resume(connection, token)
    if logged_in is None:
        logged_in = await authenticate(connection, keys)
    if logged_in.token != token:
        await tokens.save(logged_in.token)
    return logged_in


async def keep_token_fresh(connection: RelayConnection, expires_in_s: float, tokens: TokenStore) -> None:
    """Renew the connection's token well before it expires, until cancelled.

    Where the relay refuses that, the connection ends with its token, and the next one logs in with the key.
    """
    wait_s = expires_in_s * _RENEW_AFTER
    try:
        while True:
            await asyncio.sleep(max(wait_s, _MIN_RENEWAL_WAIT_S))
            try:
                issued = await connection.request(RenewToken, TokenIssued)
            except Refused as refused:
                if refused.retry_after_s is None:
                    raise
                wait_s = refused.retry_after_s
            else:
                await tokens.save(issued.token)
                wait_s = issued.expires_in_s * _RENEW_AFTER
    except Zap2Error as error:
        _log.info("the connection token was not renewed: %s", error.code)


def words_of_refusal(refused: Refused) -> str:
    """Say why a log-in was refused."""
    if refused.code == ErrorCode.NOT_FOUND:
        return "The relay has no account for this profile."
    if refused.code == ErrorCode.ACCOUNT_BLOCKED:
        return "The relay's host has blocked this account."
    return f"The relay refused the log-in: {refused}"


def remedy_of_refusal(code: str) -> str:
    """Say what the person can do about a log-in that was refused for good."""
    if code == ErrorCode.NOT_FOUND:
        return (
            "Ask its host to restore the backup of the relay, or sign up again under another --profile name."
        )
    if code == ErrorCode.ACCOUNT_BLOCKED:
        return "Ask the relay's host why, and to let you in again, or sign up elsewhere under another --profile name."
    return "Ask the relay's host."


async def _resume(connection: RelayConnection, token: bytes) -> LoggedIn | None:
    try:
        return await connection.request(lambda rid: Resume(rid, token), LoggedIn)
    except Refused as refused:
        if refused.is_temporary:
            raise
        return None


async def authenticate(connection: RelayConnection, keys: LoginKeys) -> LoggedIn:
    """Log in with the identity key. Raises as `log_in`."""
    greeting = connection.greeting
    statement = login_statement(greeting.relay_key, greeting.challenge, keys.uid, DEVICE)
    signature = keys.sign(statement)
    return await connection.request(lambda rid: Authenticate(rid, keys.document, DEVICE, signature), LoggedIn)
