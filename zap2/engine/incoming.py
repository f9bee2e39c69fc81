"""From bytes that arrived to history: one transaction for state, text, hashes and prekeys, then the acknowledgement.

An envelope that nothing opens is dropped and counted; it never starts a repair by itself. One that was processed
before is recognised by its hash and acknowledged again (docs/protocol.md, "Crash order").
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from zap2.crypto import (
    OneTimePrekeySecrets,
    Session,
    Setup,
    SignedPrekeySecrets,
    accept,
    is_sealed_setup,
    open_setup,
)
from zap2.crypto.header import SEALED_HEADER_B
from zap2.engine import delivery, outgoing, people, prekeeping, receipts, repair, voids
from zap2.engine.effects import Acknowledge, AlertCode, ConversationUpdated, MessageStored
from zap2.engine.inputs import ArrivedEnvelope, EnvelopesArrived
from zap2.engine.session_book import Entry
from zap2.engine.work import Work
from zap2.errors import (
    AuthenticationFailed,
    CryptoError,
    DuplicateMessage,
    ReplayedSetup,
    TooManySkipped,
    WireError,
)
from zap2.ids import MessageId, Uid, conversation_with
from zap2.vault import settings
from zap2.vault.rows import MessageRow
from zap2.wire.content import (
    Delivery,
    DeliveryWanted,
    Opening,
    Profile,
    Receipt,
    ReceiptKind,
    Text,
    Void,
    decode_content,
)


@dataclass(frozen=True, slots=True)
class _Opened:
    peer: Uid
    content: bytes
    pq_epoch: int


def receive(work: Work, arrived: EnvelopesArrived) -> None:
    """Process envelopes in order; every one of them is acknowledged."""
    for envelope in arrived.envelopes:
        _receive_one(work, envelope)
        work.emit(Acknowledge(envelope.token))
    highest = max((envelope.number for envelope in arrived.envelopes), default=0)
    work.store.settings.raise_number(settings.HIGHEST_DELIVERY, highest)


def _receive_one(work: Work, envelope: ArrivedEnvelope) -> None:
    digest = hashlib.sha256(envelope.payload).digest()
    if work.store.sessions.has_seen_envelope(digest):
        return
    try:
        opened = _open_setup(work, envelope) if is_sealed_setup(envelope.payload) else _open(work, envelope)
    except (CryptoError, WireError):
        work.store.settings.take_numbers(settings.DROPPED, 1)
        return
    if opened is None:
        return
    work.store.sessions.remember_envelope(digest, work.now_ms)
    _take_in(work, opened)


def _open(work: Work, envelope: ArrivedEnvelope) -> _Opened | None:
    entry = work.sessions.find(envelope.payload)
    if entry is None:
        raise AuthenticationFailed
    opened = _decrypt(work, entry, envelope.payload)
    if entry.is_repair and not entry.session.is_confirmed:
        repair.confirm(work, entry.peer)
    return opened


def _open_setup(work: Work, envelope: ArrivedEnvelope) -> _Opened | None:
    signed = work.signed_sets.decode(work.store.prekeys.signed_sets())
    setup = open_setup(envelope.payload, signed, work.keys.uid)
    peer = setup.identity.uid
    if peer == work.keys.uid:
        raise ReplayedSetup("A set-up that claims to be from this account.")
    contact = work.store.contacts.get(peer)
    if contact is not None and contact.state == "blocked":
        return None
    known = work.sessions.by_setup(setup.setup_hash)
    if known is not None:
        return _decrypt(work, known, setup.message)
    if contact is None and work.store.contacts.count_requests() >= work.policy.open_requests:
        # So many strangers wait already that one more only serves to flood.
        raise AuthenticationFailed
    session, content = _accept(work, setup, signed[setup.sid])
    if contact is None:
        work.store.contacts.add(peer, state="request", trust="first-use", added_at_ms=work.now_ms)
    work.store.contacts.set_identity(peer, setup.identity.document, setup.identity.document_signature)
    work.store.messages.open_conversation(conversation_with(peer), peer, work.now_ms)
    opening = _opening_of(content)
    is_in_use = work.sessions.add(
        session,
        peer,
        work.now_ms,
        made_at_ms=0 if opening is None else opening.made_at_ms,
        replaces=None if opening is None else opening.replaces,
    )
    _remember_place(work, session, setup.message)
    work.contact_changed(peer)
    delivery.doubt(work, peer)
    prekeeping.replenish(work)
    if is_in_use and opening is not None:
        repair.take_in(work, peer, opening)
    outgoing.seal_waiting(work, peer)
    return _Opened(peer, content, session.pq_epoch_of(setup.message))


def _decrypt(work: Work, entry: Entry, message: bytes) -> _Opened:
    """Decrypt for a session that is here; a gap beyond the bounds is told, and so is a copy of the peer's state."""
    try:
        session, content = entry.session.decrypt(message, now_s=work.now_s)
    except TooManySkipped:
        work.alert(AlertCode.GAP, entry.peer)
        repair.suspect(work, entry.peer)
        raise
    except DuplicateMessage:
        _suspect_clone(work, entry.peer, message)
        raise
    work.sessions.advance(entry, session, work.now_ms)
    _remember_place(work, session, message)
    return _Opened(entry.peer, content, session.pq_epoch_of(message))


def _accept(work: Work, setup: Setup, signed: SignedPrekeySecrets) -> tuple[Session, bytes]:
    if work.store.sessions.has_seen_setup(setup.setup_hash):
        raise ReplayedSetup
    one_time = None
    if setup.oid is not None:
        secrets = work.store.prekeys.one_time_secrets(setup.oid)
        if secrets is None:
            raise ReplayedSetup("A set-up names a one-time prekey that was used before.")
        one_time = OneTimePrekeySecrets.decode(secrets)
    session = accept(work.keys, setup, signed, one_time)
    session, content = session.decrypt(setup.message, now_s=work.now_s)
    # Only now is the set-up known to be genuine; garbage burns no pair.
    if setup.oid is not None:
        work.store.prekeys.remove_one_time(setup.oid)
    work.store.sessions.remember_setup(setup.setup_hash, setup.sid)
    return session, content


def _remember_place(work: Work, session: Session, message: bytes) -> None:
    """Remember the encrypted header of a message: only its author can make another one for the same place."""
    work.places.append((_place(message), session.session_id))


def _suspect_clone(work: Work, peer: Uid, message: bytes) -> None:
    """A place was used before. With the same header it is a message that was changed on its way, and dropped; with
    another one, two copies of a state exist: a restored backup, or somebody else's.
    """
    if not work.has_seen_place(_place(message)):
        work.alert(AlertCode.CLONE, peer)
        repair.suspect(work, peer)


def _place(message: bytes) -> bytes:
    return hashlib.sha256(b"header" + message[:SEALED_HEADER_B]).digest()


def _opening_of(content: bytes) -> Opening | None:
    try:
        return next((part for part in decode_content(content) if isinstance(part, Opening)), None)
    except WireError:
        return None


def _take_in(work: Work, opened: _Opened) -> None:
    contact = work.store.contacts.get(opened.peer)
    if contact is None:
        return
    if contact.state == "blocked":
        _drop(work, opened)
        return
    try:
        parts = decode_content(opened.content)
    except WireError:
        work.alert(AlertCode.UNKNOWN_CONTENT, opened.peer)
        return
    profile: Profile | None = None
    # What is not to be waited for must be known before a text is found to be missing.
    for part in sorted(parts, key=lambda part: not isinstance(part, Void)):
        match part:
            case Text():
                _take_in_text(work, opened, part)
            case Receipt():
                receipts.take_in(work, opened.peer, part)
            case Opening():
                # It counts once, when its set-up is taken up.
                continue
            case Profile():
                profile = part
            case Void():
                voids.take_in(work, opened.peer, part)
            case Delivery():
                delivery.take_in(work, opened.peer, part)
            case DeliveryWanted():
                delivery.doubt(work, opened.peer)
    if profile is not None:
        people.take_in_profile(work, opened.peer, profile)


def _drop(work: Work, opened: _Opened) -> None:
    """Show nothing of what somebody blocked says, and wait for none of it once they are accepted again."""
    try:
        parts = decode_content(opened.content)
    except WireError:
        return
    for part in parts:
        if isinstance(part, Text):
            voids.take_in(work, opened.peer, Void(part.sequence, part.sequence + 1))


def _take_in_text(work: Work, opened: _Opened, text: Text) -> None:
    peer = opened.peer
    conversation = conversation_with(peer)
    stored = work.store.messages.add(
        MessageRow(
            conversation,
            position=0,
            id=MessageId(text.id),
            author=peer,
            is_mine=False,
            is_unread=True,
            sequence=text.sequence,
            sent_at_ms=min(text.sent_at_ms, work.now_ms),
            received_at_ms=work.now_ms,
            state=None,
            failure=None,
            text=text.text,
            pq_epoch=opened.pq_epoch,
        )
    )
    # A message that is here already was sent again because its receipt got lost: it is owed one more.
    receipts.owe(work, peer, ReceiptKind.DELIVERED, [MessageId(text.id)])
    if stored is None:
        known = work.store.messages.get(conversation, peer, MessageId(text.id))
        if known is not None and not known.is_unread:
            receipts.owe(work, peer, ReceiptKind.READ, [MessageId(text.id)])
    else:
        repair.notice_gap(work, peer, text.sequence)
        work.emit(MessageStored(conversation, peer, stored.id))
        work.emit(ConversationUpdated(conversation))
