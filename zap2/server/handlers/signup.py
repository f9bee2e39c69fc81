"""From a phone number to an account: code, ticket, registration.

A number that has an account goes over to another one with that account's PIN, or without it once the account is idle.
The PIN, which was just proved, stays with the number. That makes an account too, so it needs an invite where others do:
a PIN lets nobody in. Whether a number is a member's is told to nobody without an invite, or who has not proved it.
"""

from __future__ import annotations

import hashlib
from typing import Final

from zap2.crypto.identity import Identity
from zap2.errors import CryptoError, InvalidPhoneNumber, Refused
from zap2.phone import parse_number
from zap2.server.code_delivery import CodeNotSent
from zap2.server.handlers.pins import hashed_pin, right_pin
from zap2.server.services import Peer, Services, require
from zap2.server.store.members_port import Member
from zap2.server.store.port import (
    Admission,
    CodeCheck,
    CodePolicy,
    NewAccount,
    Registration,
    TookOver,
    TooSoon,
)
from zap2.wire.fields import ErrorCode
from zap2.wire.frames import CheckCode, Register, Registered, StartVerification, Ticket, VerificationStarted
from zap2.wire.statements import register_statement

TICKET_TTL_S: Final = 1_800
IDLE_DAYS: Final = 7
"""An account that was not used for more days than this loses its number to whoever proves to have it."""
_POLICY: Final = CodePolicy()
_TICKET_SIZE_B: Final = 32
_NO_INVITE: Final = b""
"""In place of an invite's hash: no invite has this one."""
_DAY_MS: Final = 24 * 3600 * 1000


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
    require(services.limiter.verifications_per_source, peer.source, now_ms)
    # Before a code is sent, which costs the host money.
    if not await _is_invited(services, _needed_invite(services, frame.invite), now_ms):
        raise _not_invited(services, frame.invite)
    number = parse(services, frame.number)
    number_key = services.keys.number_key(number)
    method = services.options.verify
    if method == "none":
        ticket = await _make_ticket(services, number_key, now_ms)
        return VerificationStarted(frame.rid, number, method, TICKET_TTL_S, 0, ticket)
    code = f"{int.from_bytes(services.rng(8), 'big') % 1_000_000:06d}"
    sent_codes = services.limiter.sent_codes_per_source
    require(sent_codes, peer.source, now_ms)
    started = await services.store.start_code(
        number_key, services.keys.code_hash(number_key, code), _POLICY, now_ms
    )
    if isinstance(started, TooSoon):
        sent_codes.give_back(peer.source, now_ms)
        raise Refused(
            ErrorCode.RESEND_TOO_SOON,
            f"A code was sent a moment ago; ask for another one in {started.retry_after_s:.0f} seconds.",
            started.retry_after_s,
        )
    try:
        await services.code_delivery.deliver(number, code, _POLICY.ttl_s)
    except CodeNotSent:
        raise Refused(
            ErrorCode.CODE_NOT_SENT, "The relay could not send the code.", started.resend_after_s
        ) from None
    return VerificationStarted(frame.rid, number, method, _POLICY.ttl_s, started.resend_after_s, None)


async def check_code(services: Services, peer: Peer, frame: CheckCode) -> Ticket:
    """Give a ticket for the right code."""
    now_ms = services.now_ms()
    require(services.limiter.codes_per_source, peer.source, now_ms)
    if services.options.registration == "closed":
        raise _not_invited(services, None)
    number_key = services.keys.number_key(parse(services, frame.number))
    code_hash = services.keys.code_hash(number_key, frame.code.strip())
    # Taken before the answer is known, so that many tries at once gain nothing; only the right one is free.
    wrong_codes = services.limiter.wrong_codes_per_source
    require(wrong_codes, peer.source, now_ms)
    check = await services.store.check_code(number_key, code_hash, now_ms)
    if check is CodeCheck.RIGHT:
        wrong_codes.give_back(peer.source, now_ms)
    if check is CodeCheck.WRONG:
        raise Refused(ErrorCode.WRONG_CODE, "This is not the code that was sent.")
    if check is CodeCheck.EXPIRED:
        raise Refused(
            ErrorCode.CODE_EXPIRED,
            "No code is valid for this number: it was used, has expired, or never was.",
        )
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
    ticket_hash = hashlib.sha256(frame.ticket).digest()
    invite_hash = _needed_invite(services, frame.invite)
    admission = Admission(invite_hash)
    # Whoever is not invited hears nothing of the number, and guesses no PIN. The store refuses that, but for a
    # registration that is repeated; and it refuses what is blocked.
    if await _is_invited(services, invite_hash, now_ms):
        owner = await services.members.ticket_owner(ticket_hash, now_ms)
        if owner is not None and owner.uid != identity.uid and not owner.is_blocked:
            pin = await _pin_of_owner(services, peer, owner, frame.pin, now_ms)
            encoded = None if pin is None else await hashed_pin(services, identity.uid, pin)
            admission = Admission(invite_hash, owner.uid, encoded)
    outcome = await services.store.register(ticket_hash, account, now_ms, admission)
    if outcome is Registration.TICKET_INVALID:
        raise Refused(
            ErrorCode.TICKET_INVALID, "This ticket is unknown, expired or used; verify the number again."
        )
    if outcome is Registration.NUMBER_TAKEN:
        raise _number_registered()
    if outcome is Registration.INVITE_INVALID:
        raise _not_invited(services, frame.invite)
    if outcome is Registration.ACCOUNT_BLOCKED:
        raise _blocked()
    took_over = isinstance(outcome, TookOver)
    if isinstance(outcome, TookOver):
        services.hub.tell_number_lost(outcome.former)
    member = await services.members.member(identity.uid)
    if member is None:
        return Registered(frame.rid, identity.uid, took_over)
    return Registered(frame.rid, identity.uid, took_over, member.has_pin, member.is_listed)


async def _pin_of_owner(
    services: Services, peer: Peer, owner: Member, pin: str | None, now_ms: int
) -> str | None:
    """Give the PIN with which a number is taken over; None where it goes without, for the account is idle.

    Raises:
        Refused: the account keeps its number, or consents by its PIN only; or what was given is not that.
    """
    if not _can_lose_its_number(services, owner, now_ms):
        raise _number_registered()
    if owner.has_pin and pin is not None:
        await right_pin(services, peer, owner.uid, pin, now_ms)
        return pin
    if not _is_idle(services, owner, now_ms):
        raise Refused(
            ErrorCode.PIN_NEEDED, "Another account has this number; its registration PIN is needed."
        )
    return None


async def _make_ticket(services: Services, number_key: bytes, now_ms: int) -> bytes:
    # Only whoever has proved possession of the number learns that it has an account.
    owner = await services.members.number_owner(number_key)
    if owner is not None and owner.is_blocked:
        raise _blocked()
    if owner is not None and not _can_lose_its_number(services, owner, now_ms):
        raise _number_registered()
    ticket = services.rng(_TICKET_SIZE_B)
    await services.store.put_ticket(hashlib.sha256(ticket).digest(), number_key, now_ms + TICKET_TTL_S * 1000)
    return ticket


def _can_lose_its_number(services: Services, owner: Member, now_ms: int) -> bool:
    return owner.has_pin or _is_idle(services, owner, now_ms)


def _is_idle(services: Services, owner: Member, now_ms: int) -> bool:
    # Where nobody proves numbers, an idle account would be anybody's.
    return services.options.verify != "none" and now_ms // _DAY_MS - owner.active_day > IDLE_DAYS


def _needed_invite(services: Services, invite: str | None) -> bytes | None:
    """Give the hash of the invite where one is needed, None where it is not."""
    match services.options.registration:
        case "open":
            return None
        case "invite" if invite is not None:
            return services.keys.invite_hash(invite)
        case _:
            return _NO_INVITE


async def _is_invited(services: Services, invite_hash: bytes | None, now_ms: int) -> bool:
    return invite_hash is None or await services.members.has_invite(invite_hash, now_ms)


def _not_invited(services: Services, invite: str | None) -> Refused:
    if services.options.registration == "closed":
        return Refused(ErrorCode.REGISTRATION_CLOSED, "This relay takes no new accounts.")
    if invite is None:
        return Refused(ErrorCode.INVITE_NEEDED, "This relay takes new accounts by invite only.")
    return Refused(ErrorCode.INVITE_NEEDED, "This invite is unknown, was used, or has expired.")


def _blocked() -> Refused:
    return Refused(
        ErrorCode.ACCOUNT_BLOCKED, "The relay's host has blocked the account that has this number."
    )


def _number_registered() -> Refused:
    return Refused(ErrorCode.NUMBER_REGISTERED, "This number has an account at this relay already.")
