"""Putting an envelope into a mailbox. Called for every message, so there is no task and no future in it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from zap2.errors import Refused
from zap2.ids import EnvelopeId, Uid
from zap2.server.hub import MAX_UNCOMMITTED_B
from zap2.server.services import Peer, Services, login_of, require
from zap2.server.store.port import Deposit, Deposited, DepositRefusal
from zap2.wire.fields import ErrorCode
from zap2.wire.frames import Error, Send, Sent

Answered = Callable[[Sent | Error], None]


def send(services: Services, peer: Peer, frame: Send, answered: Answered) -> None:
    """Store an envelope; call `answered` once it is durable, after its receiver was told if it is here.

    Raises:
        Refused: `rate-limited`.
    """
    login = login_of(peer)
    now_ms = services.now_ms()
    size_b = len(frame.payload)
    require(services.limiter.sends_per_account, login.uid, now_ms)
    require(services.limiter.send_bytes_per_account, login.uid, now_ms, size_b)
    if services.hub.uncommitted_b + size_b > MAX_UNCOMMITTED_B:
        raise Refused(ErrorCode.RATE_LIMITED, "The relay is busy; wait a little.", 1)
    uid, envelope_id = Uid(frame.uid), EnvelopeId(frame.envelope_id)
    deposit = Deposit(
        uid,
        frame.device,
        envelope_id,
        now_ms,
        now_ms + frame.expires_in_s * 1000,
        frame.payload,
        services.keys.dedupe_key(login.mailbox, uid, frame.device, envelope_id),
    )
    services.hub.uncommitted_b += size_b
    services.store.deposit(deposit, partial(_deposited, services, frame.rid, size_b, answered))


def _deposited(
    services: Services,
    rid: int,
    size_b: int,
    answered: Answered,
    result: Deposited | DepositRefusal | Exception,
) -> None:
    services.hub.uncommitted_b -= size_b
    if isinstance(result, Deposited):
        if result.envelope is not None:
            services.hub.accepted += 1
            if device := services.hub.get(result.mailbox):
                device.arrived(result.envelope)
        answered(Sent(rid, "stored", result.waiting))
    elif result is DepositRefusal.NO_MAILBOX:
        answered(Error(rid, ErrorCode.NOT_FOUND, "This relay has no such account.", None))
    elif result is DepositRefusal.FULL:
        answered(Error(rid, ErrorCode.MAILBOX_FULL, "This person's mailbox is full.", 3600))
    else:
        answered(Error(rid, ErrorCode.INTERNAL, "The relay could not store this.", 5))
