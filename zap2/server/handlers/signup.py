"""From a phone number to an account: code, ticket, registration."""

from __future__ import annotations

import hashlib
from typing import Final

from zap2.crypto.identity import Identity
from zap2.errors import CryptoError, InvalidPhoneNumber, Refused
from zap2.phone import parse_number
from zap2.server.services import Peer, Services, require
from zap2.server.store.port import CodeCheck, CodePolicy, NewAccount, Registration, TooSoon
from zap2.wire.fields import ErrorCode
from zap2.wire.frames import CheckCode, Register, Registered, StartVerification, Ticket, VerificationStarted
from zap2.wire.statements import register_statement

TICKET_TTL_S: Final = 1_800
_POLICY: Final = CodePolicy()
_TICKET_SIZE_B: Final = 32


def parse(services: Services, text: str) -> str:
    """Read a phone number as the person wrote it.

    Raises:
        Refused: `invalid-number`, with the reason and an example.
    """
    try:
        return parse_number(text, services.options.default_region)
    except InvalidPhoneNumber as error:
        raise Refused(ErrorCode.INVALID_NUMBER, f"{error} {error.hint}"[:500]) from None


async def start_verification(services: Services, peer: Peer, frame: StartVerification) -> VerificationStarted:
    """Send a code, or give the ticket at once where the host asks for no proof."""
    now_ms = services.now_ms()
    if services.options.registration != "open":
        raise Refused(ErrorCode.REGISTRATION_CLOSED, "This relay takes no new accounts.")
    require(services.limiter.verifications_per_source, peer.source, now_ms)
    number = parse(services, frame.number)
    number_key = services.keys.number_key(number)
    method = services.options.verify
    if method == "none":
        ticket = await _make_ticket(services, number_key, now_ms)
        return VerificationStarted(frame.rid, number, method, TICKET_TTL_S, 0, ticket)
    code = f"{int.from_bytes(services.rng(8), 'big') % 1_000_000:06d}"
    started = await services.store.start_code(
        number_key, services.keys.code_hash(number_key, code), _POLICY, now_ms
    )
    if isinstance(started, TooSoon):
        raise Refused(
            ErrorCode.RESEND_TOO_SOON,
            f"A code was sent a moment ago; ask for another one in {started.retry_after_s:.0f} seconds.",
            started.retry_after_s,
        )
    await services.code_delivery.deliver(number, code, _POLICY.ttl_s)
    return VerificationStarted(frame.rid, number, method, _POLICY.ttl_s, started.resend_after_s, None)


async def check_code(services: Services, peer: Peer, frame: CheckCode) -> Ticket:
    """Give a ticket for the right code."""
    now_ms = services.now_ms()
    require(services.limiter.codes_per_source, peer.source, now_ms)
    number_key = services.keys.number_key(parse(services, frame.number))
    code_hash = services.keys.code_hash(number_key, frame.code.strip())
    check = await services.store.check_code(number_key, code_hash, now_ms)
    if check is CodeCheck.WRONG:
        raise Refused(ErrorCode.WRONG_CODE, "This is not the code that was sent.")
    if check is CodeCheck.EXPIRED:
        raise Refused(ErrorCode.CODE_EXPIRED, "This code has expired or was used; ask for a new one.")
    if check is CodeCheck.TOO_MANY_TRIES:
        raise Refused(ErrorCode.TOO_MANY_TRIES, "Too many wrong codes; ask for a new one.")
    return Ticket(frame.rid, await _make_ticket(services, number_key, now_ms), TICKET_TTL_S)


async def register(services: Services, peer: Peer, frame: Register) -> Registered:
    """Bind the ticket's number to an identity that proves itself."""
    now_ms = services.now_ms()
    require(services.limiter.registrations_per_source, peer.source, now_ms)
    statement = register_statement(services.keys.relay_key, peer.challenge, frame.ticket, frame.document)
    try:
        identity = Identity.parse(frame.document, frame.document_signature)
        identity.verify(statement, frame.proof)
    except CryptoError:
        raise Refused(ErrorCode.BAD_SIGNATURE, "The identity or its proof does not verify.") from None
    account = NewAccount(identity.uid, frame.document, frame.document_signature, frame.device)
    outcome = await services.store.register(hashlib.sha256(frame.ticket).digest(), account, now_ms)
    if outcome is Registration.TICKET_INVALID:
        raise Refused(
            ErrorCode.TICKET_INVALID, "This ticket is unknown, expired or used; verify the number again."
        )
    if outcome is Registration.NUMBER_TAKEN:
        raise _number_registered()
    return Registered(frame.rid, identity.uid)


async def _make_ticket(services: Services, number_key: bytes, now_ms: int) -> bytes:
    # Only whoever has proved possession of the number learns that it has an account.
    if await services.store.is_registered(number_key):
        raise _number_registered()
    ticket = services.rng(_TICKET_SIZE_B)
    await services.store.put_ticket(hashlib.sha256(ticket).digest(), number_key, now_ms + TICKET_TTL_S * 1000)
    return ticket


def _number_registered() -> Refused:
    return Refused(ErrorCode.NUMBER_REGISTERED, "This number has an account at this relay already.")
