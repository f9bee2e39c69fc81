"""Sealed sending: an envelope from whoever has its receiver's delivery token, over a connection that is nobody's.

The token itself is hashed at once and kept nowhere. Whether it is the receiver's is known only in the store, where
it is compared in the transaction that stores the envelope. So a source may have as many without an answer as it may
have wrong ones: what is wrong is counted by its answer, and neither a burst nor many connections get more of them
looked at. Whatever is wrong has one answer, and what went well has one too: neither tells anything about the receiver
that its contacts do not know.
"""

from __future__ import annotations

from typing import Final

from zap2.errors import Refused
from zap2.server.handlers import mail
from zap2.server.services import Peer, Services, login_of, require, too_many
from zap2.wire.fields import ErrorCode
from zap2.wire.frames import Done, Error, SendSealed, Sent, SetDeliveryToken
from zap2.wire.statements import delivery_token_hash

_NOBODY: Final = 0
"""No mailbox has this number: repetitions of sealed envelopes are recognised by receiver and envelope id alone."""


async def set_delivery_token(services: Services, peer: Peer, frame: SetDeliveryToken) -> Done:
    """Keep the hash of the account's delivery token; from this answer on an older token lets nobody in."""
    login = login_of(peer)
    require(services.limiter.delivery_tokens_per_account, login.uid, services.now_ms())
    await services.store.set_delivery_token(login.uid, frame.token_hash)
    return Done(frame.rid)


def send_sealed(
    services: Services, source: str, frame: SendSealed, now_ms: int, answered: mail.Answered
) -> None:
    """As `mail.send`, for whoever is at `source`.

    Raises:
        Refused: `rate-limited`.
    """
    limiter = services.limiter
    token_hash, size_b = delivery_token_hash(frame.delivery_token), len(frame.payload)
    wrong_tokens = limiter.wrong_tokens_per_source
    if wait_s := wrong_tokens.hold(source, now_ms):
        raise too_many(wait_s)

    def answered_blindly(answer: Sent | Error) -> None:
        wrong_tokens.let_go(source)
        if isinstance(answer, Sent):
            services.counts.sealed += 1
            answered(Sent(answer.rid, "stored", 0))
        elif answer.code == ErrorCode.NOT_FOUND:
            wrong_tokens.take(source, services.now_ms())
            answered(
                Error(
                    answer.rid, ErrorCode.DELIVERY_REFUSED, "This delivery token opens no such mailbox.", None
                )
            )
        else:
            answered(answer)

    try:
        require(limiter.sealed_per_source, source, now_ms)
        require(limiter.sealed_bytes_per_source, source, now_ms, size_b)
        require(limiter.sealed_per_token, token_hash, now_ms)
        require(limiter.sealed_bytes_per_token, token_hash, now_ms, size_b)
        mail.put(services, frame, _NOBODY, token_hash, now_ms, answered_blindly)
    except Refused:
        wrong_tokens.let_go(source)
        raise
