"""From a text to the outbox: waiting for a session, getting one, and the transport's answers."""

from __future__ import annotations

from typing import Final

from zap2.crypto import Identity, OneTimePrekey, PrekeyBundle, SignedPrekeySet, initiate
from zap2.engine import delivery, receipts, repair, sealing, states
from zap2.engine.effects import (
    AlertCode,
    ConversationUpdated,
    FetchKeys,
    LookUpNumber,
    MessageStored,
)
from zap2.engine.inputs import Failure, KeysFetched, KeysNotFetched, Retry, SendAnswered, SendText
from zap2.engine.work import Work
from zap2.errors import CryptoError, InvalidMessage, NotTrusted, PrekeyRefused, UnknownConversation, WireError
from zap2.ids import ID_SIZE_B, ConversationId, MessageId, Uid, peer_of
from zap2.vault import settings
from zap2.vault.rows import ContactRow, MessageRow, OutboxRow
from zap2.wire.content import Text, check_text

_ROOM_FOR_RECEIPTS_B: Final = 48_000
"""Longer texts go without receipts, which follow a moment later."""

_NOT_OF_SEALING: Final = frozenset({"mailbox-full", "unreachable"})
"""Failures that the logged-in way would have too."""


def send_text(work: Work, command: SendText) -> None:
    """Store a text; encrypt it now if there is a session, else get one."""
    check_text(command.text)
    peer = peer_of(command.conversation)
    if peer == work.keys.uid:
        _write_note(work, command)
        return
    contact = work.contact(peer)
    _check_not_blocked(contact)
    _check_not_moved(contact)
    if contact.state == "request":
        work.store.contacts.set_state(peer, "accepted")
        work.contact_changed(peer)
    message = MessageId(work.rng(ID_SIZE_B))
    sequence = work.store.contacts.take_sequence(peer)
    _store_own(work, command.conversation, message, sequence, states.QUEUED, command.text)
    work.store.outbox.wait(peer, command.conversation, message)
    seal_waiting(work, peer)


def retry(work: Work, command: Retry) -> None:
    """Queue a failed message again; its id stays, so that it is shown once even if the failure was wrong."""
    row = work.store.messages.get(command.conversation, work.keys.uid, command.message)
    if row is None:
        raise UnknownConversation("There is no such message.")
    if row.state != states.FAILED:
        return
    peer = peer_of(command.conversation)
    _check_not_blocked(work.contact(peer))
    _check_not_moved(work.contact(peer))
    sealing.promote(work, command.conversation, command.message, states.QUEUED)
    work.store.outbox.wait(peer, command.conversation, command.message)
    seal_waiting(work, peer)


def seal_waiting(work: Work, peer: Uid) -> None:
    """Encrypt what waits for a session with one person, or see to it that there will be one."""
    waiting = work.store.outbox.waiting_for(peer)
    if not waiting:
        return
    entry = work.sessions.for_sending(peer)
    if entry is None:
        _fetch_keys(work, peer)
        return
    for row in waiting:
        message = work.store.messages.get(row.conversation, work.keys.uid, row.message)
        work.store.outbox.stop_waiting(row.number)
        if message is not None:
            text = Text(message.id, message.sequence, message.sent_at_ms, message.text)
            has_room = len(message.text.encode()) <= _ROOM_FOR_RECEIPTS_B
            owed = receipts.take_owed(work, peer) if has_room else []
            sealing.seal(work, peer, [text, *owed], about=row)
    sealing.flush(work)


def answer_send(work: Work, answer: SendAnswered) -> None:
    """Take the transport's answer to one envelope."""
    in_flight, token, failure = work.memory.in_flight, answer.delivery_token, answer.failure
    # The link closed since: it went once more, perhaps another way, or is about to.
    is_late = answer.envelope not in in_flight or in_flight[answer.envelope] != token
    row = work.store.outbox.get(answer.envelope)
    if row is not None and failure is None:
        work.store.outbox.remove(row.envelope)
        if row.conversation is not None and row.message is not None:
            sealing.promote(work, row.conversation, row.message, states.SENT)
    elif row is not None and failure is not None:
        if token is not None and failure.code == delivery.REFUSED:
            delivery.forget(work, row.peer, token)
        if not is_late:
            _go_on_after(work, row, failure, is_sealed=token is not None)
    if failure is None or not is_late:
        in_flight.pop(answer.envelope, None)
    sealing.flush(work)


def _go_on_after(work: Work, row: OutboxRow, failure: Failure, *, is_sealed: bool) -> None:
    """See to it that an envelope that was not taken goes another way, or later, or fails."""
    if is_sealed and failure.code not in _NOT_OF_SEALING:
        # Whatever keeps a sealed envelope from its way, the logged-in way takes it, or says what is wrong.
        work.store.outbox.name(row.envelope)
    elif failure.is_final:
        sealing.give_up(work, row, sealing.ACCOUNT_GONE if failure.code == "not-found" else sealing.REFUSED)
    else:
        wait_ms = failure.retry_after_ms or work.policy.unanswered_again_ms
        wait_ms = min(wait_ms, work.policy.longest_put_off_ms)
        work.store.outbox.put_off(row.envelope, work.now_ms + wait_ms)


def request_keys(work: Work) -> None:
    """Ask for the keys of everybody for whom messages wait, or whose session is to be repaired."""
    for peer in work.store.contacts.with_session_state(repair.REPAIRING):
        if repair.is_wanted(work, peer):
            _fetch_keys(work, peer)
    for peer in work.store.outbox.peers_waited_for():
        seal_waiting(work, peer)


def use_keys(work: Work, fetched: KeysFetched) -> None:
    """Check what was handed out for somebody, set a session up with it, and encrypt what waits.

    Everything is checked against the uid: a relay can withhold keys, and cannot put others in their place.
    """
    peer = fetched.uid
    work.memory.fetching.discard(peer)
    contact = work.store.contacts.get(peer)
    is_repair = repair.is_wanted(work, peer)
    if contact is None or not (is_repair or work.store.outbox.waiting_for(peer)):
        return
    if is_repair or work.sessions.for_sending(peer) is None:
        try:
            bundle = _check_keys(fetched, contact.lowest_sid, work.now_s)
            session = initiate(work.keys, bundle, now_s=work.now_s, rng=work.rng)
        except (CryptoError, WireError):
            work.memory.fetch_again_at_ms[peer] = work.now_ms + work.policy.fetch_again_after_fraud_ms
            work.alert(AlertCode.FALSE_KEYS, peer)
            return
        work.store.contacts.set_identity(peer, fetched.document, fetched.document_signature)
        work.store.contacts.raise_lowest_sid(peer, bundle.signed_set.sid)
        replaces = repair.replaced_by_repair(work, peer) if is_repair else None
        work.sessions.add(session, peer, work.now_ms, made_at_ms=work.now_ms, replaces=replaces)
        delivery.doubt(work, peer)
        work.contact_changed(peer)
        if is_repair:
            sealing.seal(work, peer, [])
            repair.send_again(work, peer, from_sequence=repair.NOTHING_MISSING)
    seal_waiting(work, peer)
    sealing.flush(work)


def do_without_keys(work: Work, answer: KeysNotFetched) -> None:
    """Keys were not handed out: fail what waits if nobody is there, else try again later."""
    peer = answer.uid
    work.memory.fetching.discard(peer)
    failure = answer.failure
    if not (failure.is_final and failure.code == "not-found"):
        wait_ms = failure.retry_after_ms or work.policy.fetch_again_ms
        work.memory.fetch_again_at_ms[peer] = work.now_ms + wait_ms
        return
    repair.give_up(work, peer)
    contact = work.store.contacts.get(peer)
    if contact is not None and contact.number and contact.number not in work.memory.looking_up:
        # Perhaps they signed up anew: the directory knows.
        work.memory.looking_up.add(contact.number)
        work.emit(LookUpNumber(contact.number))
    for row in work.store.outbox.waiting_for(peer):
        work.store.outbox.stop_waiting(row.number)
        sealing.promote(work, row.conversation, row.message, states.FAILED, sealing.ACCOUNT_GONE)


def _check_not_blocked(contact: ContactRow) -> None:
    if contact.state == "blocked":
        raise InvalidMessage(
            "You blocked this person.",
            "Unblock them before you write: F2 in the chat, or `zap2 contacts accept WHO`.",
        )


def _check_not_moved(contact: ContactRow) -> None:
    if contact.has_moved and contact.trust == "verified":
        raise NotTrusted(
            "The phone number of this verified contact belongs to another account now; nothing was sent.",
            "Ask them over another channel whether they have a new device. To go on with the old one, accept the"
            " contact again; for the new one, add the number anew.",
        )


def _write_note(work: Work, command: SendText) -> None:
    work.store.messages.open_conversation(command.conversation, work.keys.uid, work.now_ms)
    message = MessageId(work.rng(ID_SIZE_B))
    sequence = work.store.settings.take_numbers(settings.NOTES_SEQUENCE, 1)[0]
    _store_own(work, command.conversation, message, sequence, states.READ, command.text)


def _store_own(
    work: Work, conversation: ConversationId, message: MessageId, sequence: int, state: str, text: str
) -> None:
    work.store.messages.add(
        MessageRow(
            conversation,
            position=0,
            id=message,
            author=work.keys.uid,
            is_mine=True,
            is_unread=False,
            sequence=sequence,
            sent_at_ms=work.now_ms,
            received_at_ms=work.now_ms,
            state=state,
            failure=None,
            text=text,
        )
    )
    work.store.messages.save_draft(conversation, "")
    work.emit(MessageStored(conversation, work.keys.uid, message))
    work.emit(ConversationUpdated(conversation))


def _fetch_keys(work: Work, peer: Uid) -> None:
    memory = work.memory
    if not memory.is_link_open or peer in memory.fetching:
        return
    if memory.fetch_again_at_ms.get(peer, 0) > work.now_ms:
        return
    memory.fetch_again_at_ms.pop(peer, None)
    memory.fetching.add(peer)
    work.emit(FetchKeys(peer))


def _check_keys(fetched: KeysFetched, lowest_sid: int, now_s: int) -> PrekeyBundle:
    identity = Identity.parse(fetched.document, fetched.document_signature)
    if identity.uid != fetched.uid:
        raise PrekeyRefused
    signed_set = SignedPrekeySet.decode(fetched.signed_set)
    signed_set.check(identity, now_s=now_s, lowest_sid=lowest_sid)
    one_time = None
    if fetched.one_time is not None:
        one_time = OneTimePrekey.decode(fetched.one_time)
        one_time.check(identity)
    return PrekeyBundle(identity, signed_set, one_time)
