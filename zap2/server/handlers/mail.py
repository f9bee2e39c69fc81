"""Putting an envelope into a mailbox. Called for every message, so there is no task and no future in it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from zap2.errors import Refused
from zap2.ids import EnvelopeId, Uid
from zap2.server.hub import MAX_UNCOMMITTED_B, Hub
from zap2.server.services import Login, Services, require
from zap2.server.store.port import Deposit, Deposited, DepositRefusal
from zap2.wire.fields import ErrorCode
from zap2.wire.frames import Error, Send, SendSealed, Sent

Answered = Callable[[Sent | Error], None]


def send(services: Services, login: Login, frame: Send, now_ms: int, answered: Answered) -> None:
    """Store an envelope; call `answered` once it is safe, after its receiver was told if it is here.

    Raises:
        Refused: `rate-limited`.
    """
    limiter = services.limiter
    require(limiter.sends_per_account, login.uid, now_ms)
    require(limiter.send_bytes_per_account, login.uid, now_ms, len(frame.payload))
    put(services, frame, login.mailbox, None, now_ms, answered)


def put(
    services: Services,
    frame: Send | SendSealed,
    sender_mailbox: int,
    token_hash: bytes | None,
    now_ms: int,
    answered: Answered,
) -> None:
    """Store an envelope of whoever was found to be within the limits; call `answered` once it is safe.

    Args:
        services: the relay's.
        frame: what was asked for.
        sender_mailbox: whose repetitions are recognised; 0 for those of nobody known.
        token_hash: the hash of the delivery token that the receiver must have; None where none is needed.
        now_ms: the time.
        answered: gets `not-found` also where the token is not the receiver's.

    Raises:
        Refused: `rate-limited`.
    """
    payload = frame.payload
    size_b = len(payload)
    hub = services.hub
    if hub.uncommitted_b + size_b > MAX_UNCOMMITTED_B:
        raise Refused(ErrorCode.RATE_LIMITED, "The relay is busy; wait a little.", 1)
    uid, envelope_id, device = Uid(frame.uid), EnvelopeId(frame.envelope_id), frame.device
    deposit = Deposit(
        uid,
        device,
        envelope_id,
        now_ms,
        now_ms + frame.expires_in_s * 1000,
        payload,
        services.keys.dedupe_key(sender_mailbox, uid, device, envelope_id),
        token_hash,
    )
    hub.uncommitted_b += size_b
    done = partial(_deposited, hub, frame.rid, size_b, answered)
    services.store.deposit(deposit, done, hub.offer if hub.is_here(uid, device) else None)


def _deposited(
    hub: Hub,
    rid: int,
    size_b: int,
    answered: Answered,
    result: Deposited | DepositRefusal | Exception,
) -> None:
    hub.uncommitted_b -= size_b
    if isinstance(result, Deposited):
        if result.envelope is not None:
            hub.offer(result.mailbox, result.envelope)
        answered(Sent(rid, "direct" if result.is_direct else "stored", result.waiting))
    elif result is DepositRefusal.NO_MAILBOX or result is DepositRefusal.WRONG_TOKEN:
        answered(Error(rid, ErrorCode.NOT_FOUND, "This relay has no such account.", None))
    elif result is DepositRefusal.FULL:
        answered(Error(rid, ErrorCode.MAILBOX_FULL, "This person's mailbox is full.", 3600))
    else:
        answered(Error(rid, ErrorCode.INTERNAL, "The relay could not store this.", 5))
