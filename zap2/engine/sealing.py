"""Encrypting into the outbox and handing the outbox to the transport.

Order of a crash: the state of the session and the envelope with its final bytes are committed together, and only
then do the bytes leave. A retry sends the same bytes (docs/protocol.md, "Crash order").
"""

from __future__ import annotations

from typing import Final

from zap2.engine import account, delivery, states, voids
from zap2.engine.effects import ConversationUpdated, MessageUpdated, SendEnvelope
from zap2.engine.work import MS_PER_S, Work
from zap2.errors import UnknownConversation
from zap2.ids import ID_SIZE_B, ConversationId, EnvelopeId, MessageId, Uid, conversation_with
from zap2.vault import settings
from zap2.vault.rows import OutboxRow, WaitingRow
from zap2.wire.content import Opening, Part, Profile, encode_content

ACCOUNT_GONE: Final = "account-gone"
EXPIRED: Final = "expired"
REFUSED: Final = "refused"
BLOCKED: Final = "blocked"


def seal(work: Work, peer: Uid, parts: list[Part], about: WaitingRow | None = None) -> None:
    """Encrypt parts for one person into the outbox; there must be a session. Call `flush` afterwards."""
    entry = work.sessions.for_sending(peer)
    if entry is None:
        raise UnknownConversation
    contact = work.contact(peer)
    if not contact.is_profile_acknowledged:
        name = work.store.settings.get_text(settings.NAME)
        # Who claimed a number that is another account's now would be taken for a liar.
        number = account.number(work.store) if account.has_number(work.store) else ""
        parts = [Profile(name, number), *parts]
    parts = [*voids.take_along(work, contact), *delivery.take_along(work, contact), *parts]
    if entry.session.is_initiator and not entry.session.is_confirmed:
        received = work.store.messages.first_missing(conversation_with(peer), peer)
        parts = [Opening(entry.made_at_ms, entry.replaces, received), *parts]
    session, payload = entry.session.encrypt(encode_content(parts), rng=work.rng, now_s=work.now_s)
    work.sessions.advance(entry, session, work.now_ms)
    if about is not None:
        epoch = session.pq_epoch.sending
        work.store.messages.set_pq_epoch(about.conversation, work.keys.uid, about.message, epoch)
    work.store.outbox.put(
        EnvelopeId(work.rng(ID_SIZE_B)),
        peer,
        payload,
        created_at_ms=work.now_ms,
        expires_at_ms=work.now_ms + work.policy.envelope_life_ms,
        conversation=about.conversation if about else None,
        message=about.message if about else None,
    )


def flush(work: Work) -> None:
    """Hand due envelopes to the transport, oldest first, up to the window."""
    if not work.memory.is_link_open:
        return
    window = work.policy.send_window
    for row in work.store.outbox.due(work.now_ms, limit=window):
        if len(work.memory.in_flight) >= window:
            return
        if row.envelope in work.memory.in_flight:
            continue
        if row.expires_at_ms <= work.now_ms:
            give_up(work, row, EXPIRED)
            continue
        if work.contact(row.peer).state == "blocked":
            # It was under way when they were blocked, and its answer never came.
            give_up(work, row, BLOCKED)
            continue
        token = None if row.is_named else delivery.token_for(work, row.peer)
        is_sealed = token is not None
        if not is_sealed and not row.is_named:
            work.store.outbox.name(row.envelope)
        if row.conversation is not None and row.message is not None:
            work.store.messages.set_sealed(row.conversation, work.keys.uid, row.message, is_sealed=is_sealed)
        work.memory.in_flight[row.envelope] = token
        remaining_s = (row.expires_at_ms - work.now_ms) // MS_PER_S + 1
        work.emit(SendEnvelope(row.envelope, row.peer, row.payload, remaining_s, token))


def promote(
    work: Work, conversation: ConversationId, message: MessageId, state: str, failure: str | None = None
) -> None:
    """Move an own message to a state if the table of states allows it."""
    row = work.store.messages.get(conversation, work.keys.uid, message)
    if row is None or not states.may_become(row.state, state):
        return
    if state == states.FAILED:
        voids.leave_empty(work, conversation, row.sequence)
    elif row.state == states.FAILED:
        voids.fill(work, conversation, row.sequence)
    work.store.messages.set_state(conversation, work.keys.uid, message, state, failure)
    work.emit(MessageUpdated(conversation, message))
    work.emit(ConversationUpdated(conversation))


def hold_back(work: Work, peer: Uid) -> None:
    """Fail what waits for somebody who was just blocked. What is under way may have arrived, and takes its answer."""
    for waiting in work.store.outbox.waiting_for(peer):
        work.store.outbox.stop_waiting(waiting.number)
        promote(work, waiting.conversation, waiting.message, states.FAILED, BLOCKED)
    for row in work.store.outbox.for_peer(peer):
        if row.envelope not in work.memory.in_flight:
            give_up(work, row, BLOCKED)


def give_up(work: Work, row: OutboxRow, failure: str) -> None:
    """Fail the message of an envelope that will not go out."""
    work.store.outbox.remove(row.envelope)
    if row.conversation is not None and row.message is not None:
        promote(work, row.conversation, row.message, states.FAILED, failure)
