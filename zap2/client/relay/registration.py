"""A relay before there is an account: what it says of itself, proving a number, registering."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol

from zap2.address import RelayAddress
from zap2.client.api import RelayView, VerificationView
from zap2.client.relay.connection import News, RelayConnection, open_connection
from zap2.client.relay.dialing import Patience
from zap2.client.relay.login import DEVICE, LoginKeys, authenticate
from zap2.errors import ProtocolViolation, Refused
from zap2.ids import RandomBytes
from zap2.text import sanitize
from zap2.wire.fields import ErrorCode
from zap2.wire.frames import (
    CheckCode,
    Draining,
    Register,
    Registered,
    StartVerification,
    Ticket,
    VerificationStarted,
)
from zap2.wire.statements import register_statement

_E164: Final = re.compile(r"\+[1-9][0-9]{6,14}")
_MAX_METHOD_CHARS: Final = 40


class RegistrationKeys(LoginKeys, Protocol):
    """The identity of an account that is to be registered."""

    @property
    def document_signature(self) -> bytes:
        """The identity key's signature over its document, 64 bytes."""
        ...


@dataclass(frozen=True, slots=True)
class Started:
    """A verification was started. `ticket` is there at once where the relay asks for no code."""

    view: VerificationView
    ticket: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an account came to be.

    `took_over`: another account lost the number to it; False also when the answer that said so was lost. `has_pin`: the
    registration PIN that was given for that holds for it. `is_listed`: others find it by its number.
    """

    took_over: bool = False
    has_pin: bool = False
    is_listed: bool = True


class RegistrationClient:
    """A connection without an account; use it as a context manager, or `close` it.

    The steps may lie minutes apart, and the relay need not wait: a connection that is over is opened again, and the
    relay must then have the key that it had the first time.

    Args:
        address: the relay; without a fingerprint any key is taken the first time.
        rng: for nonces.
        patience: how long the relay may take.
        extra_ca: a PEM file with certificates to trust beside the system's.
    """

    def __init__(
        self,
        address: RelayAddress,
        *,
        rng: RandomBytes,
        patience: Patience | None = None,
        extra_ca: Path | None = None,
    ) -> None:
        self._address = address
        self._is_pinned = address.fingerprint is not None
        self._rng = rng
        self._patience = patience or Patience()
        self._extra_ca = extra_ca
        self._connection: RelayConnection | None = None

    async def __aenter__(self) -> RegistrationClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def is_connected(self) -> bool:
        """Whether the connection of the last step still stands."""
        return self._connection is not None and not self._connection.is_over

    async def connect(self) -> RelayView:
        """Reach the relay and check its key; gives what it says of itself.

        Raises:
            Unreachable, NotTrusted, ProtocolViolation.
        """
        connection = await self._connected()
        return RelayView(
            address=str(self._address),
            fingerprint=connection.fingerprint,
            is_pinned=self._is_pinned,
            is_encrypted=self._address.is_encrypted,
            registration=connection.greeting.registration,
            verification=_method(connection.greeting.verification),
        )

    async def start_verification(self, number: str, *, invite: str | None = None) -> Started:
        """Have a code sent to a number; go on with `check_code`, unless the ticket is there already.

        Args:
            number: as the person wrote it.
            invite: the host's invite, where the relay asks for one; it is not used up yet.

        Raises:
            Refused: `invalid-number`, `number-registered`, `registration-closed`, `invite-needed`, `code-not-sent`,
                `resend-too-soon`, `rate-limited`.
            Unreachable, NotTrusted, ProtocolViolation.
        """
        connection = await self._connected()
        started = await connection.request(
            lambda rid: StartVerification(rid, number, invite), VerificationStarted
        )
        if not _E164.fullmatch(started.number):
            raise ProtocolViolation("The relay answered with something that is not a phone number.")
        view = VerificationView(
            number=started.number,
            is_needed=started.ticket is None,
            method=_method(started.method),
            expires_in_s=started.expires_in_s,
            resend_after_s=started.resend_after_s,
        )
        return Started(view, started.ticket)

    async def check_code(self, number: str, code: str) -> bytes:
        """Prove possession of a number (E.164, as `start_verification` gave it); gives the ticket for `register`.

        Raises:
            Refused: `wrong-code`, `code-expired`, `too-many-tries`, `number-registered`, `rate-limited`.
            Unreachable, NotTrusted, ProtocolViolation.
        """
        connection = await self._connected()
        answer = await connection.request(lambda rid: CheckCode(rid, number, code), Ticket)
        return answer.ticket

    async def register(
        self, keys: RegistrationKeys, ticket: bytes, *, invite: str | None = None, pin: str | None = None
    ) -> Outcome:
        """Bind the ticket's number to an identity. The same again does no harm, should an answer have been lost.

        Args:
            keys: the identity.
            ticket: of the number, good for one identity.
            invite: the host's invite, where the relay asks for one; it is used up.
            pin: the registration PIN of the account that has the number, to take it over.

        Raises:
            Refused: `ticket-invalid`, `number-registered`, `invite-needed`, `pin-needed`, `wrong-pin`,
                `too-many-tries`, `bad-signature`, `rate-limited`.
            Unreachable, NotTrusted, ProtocolViolation.
        """
        connection = await self._connected()
        greeting = connection.greeting
        proof = keys.sign(register_statement(greeting.relay_key, greeting.challenge, ticket, keys.document))
        registered = await connection.request(
            lambda rid: Register(
                rid, ticket, keys.document, keys.document_signature, DEVICE, proof, invite, pin
            ),
            Registered,
        )
        if registered.uid != keys.uid:
            raise ProtocolViolation("The relay registered another account than the one that was asked for.")
        return Outcome(registered.took_over, registered.has_pin, registered.is_listed)

    async def has_account(self, keys: RegistrationKeys) -> bool:
        """Tell whether the relay knows an identity: an answer to `register` may have been lost.

        Raises:
            Refused: `rate-limited`, `bad-signature`.
            Unreachable, NotTrusted, ProtocolViolation.
        """
        # On a connection of its own: whoever has logged in cannot register on it any more, and gets mail.
        connection = await self._open(_leave_for_later)
        try:
            await authenticate(connection, keys)
        except Refused as refused:
            if refused.code not in (ErrorCode.NOT_FOUND, ErrorCode.ACCOUNT_BLOCKED):
                raise
            return refused.code == ErrorCode.ACCOUNT_BLOCKED
        finally:
            await connection.close()
        return True

    async def close(self) -> None:
        """End the connection."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            await connection.close()

    async def _connected(self) -> RelayConnection:
        if self._connection is not None and self._connection.is_over:
            await self.close()
        if self._connection is None:
            self._connection = await self._open(_expect_no_mail)
            self._address = self._address.with_fingerprint(self._connection.fingerprint)
        return self._connection

    async def _open(self, on_news: Callable[[Sequence[News]], None]) -> RelayConnection:
        return await open_connection(
            self._address, rng=self._rng, on_news=on_news, patience=self._patience, extra_ca=self._extra_ca
        )


def _leave_for_later(news: Sequence[News]) -> None:
    """Acknowledge nothing: the relay keeps it for the link."""


def _expect_no_mail(news: Sequence[News]) -> None:
    if not all(isinstance(frame, Draining) for frame in news):
        raise ProtocolViolation("The relay delivered something to a client that has not logged in.")


def _method(word: str) -> str:
    return sanitize(word, max_chars=_MAX_METHOD_CHARS, single_line=True)
