"""Contacts: adding, accepting, blocking, naming, trusting, and the numbers that they claim."""

from __future__ import annotations

from zap2.engine import delivery, receipts, repair, sealing
from zap2.engine.effects import AlertCode, ConversationUpdated, LookUpNumber
from zap2.engine.inputs import (
    Accept,
    AddContact,
    Block,
    MarkTheseRead,
    NumberLookedUp,
    NumberNotLookedUp,
    Rename,
    SaveDraft,
    SetVerified,
)
from zap2.engine.work import Work
from zap2.errors import NotTrusted
from zap2.ids import Uid, conversation_with, peer_of
from zap2.wire.content import Profile, ReceiptKind


def add(work: Work, command: AddContact) -> None:
    """Take somebody up as a contact; one's own uid opens the note to oneself."""
    contacts = work.store.contacts
    conversation = conversation_with(command.uid)
    work.store.messages.open_conversation(conversation, command.uid, work.now_ms)
    if command.uid == work.keys.uid:
        work.emit(ConversationUpdated(conversation))
        return
    if command.number is not None:
        _check_number_is_free(work, command.uid, command.number)
    if contacts.get(command.uid) is None:
        contacts.add(command.uid, state="accepted", trust="first-use", added_at_ms=work.now_ms)
    contacts.set_state(command.uid, "accepted")
    if command.number is not None:
        contacts.confirm_number(command.uid, command.number)
    if command.name:
        contacts.set_own_name(command.uid, command.name)
    _take_up(work, command.uid)


def accept(work: Work, command: Accept) -> None:
    """Take up a request, somebody who was blocked, or a contact whose number moved; receipts held back go out."""
    if work.contact(command.uid).has_moved:
        # To go on with the old account is fine; to reach it by a number that is somebody else's is not.
        work.store.contacts.drop_number(command.uid)
    work.store.contacts.set_moved(command.uid, has_moved=False)
    work.store.contacts.set_state(command.uid, "accepted")
    _take_up(work, command.uid)


def block(work: Work, command: Block) -> None:
    """Hear nothing more of somebody, and tell them nothing: what has not left yet fails."""
    work.contact(command.uid)
    work.store.contacts.set_state(command.uid, "blocked")
    sealing.hold_back(work, command.uid)
    work.store.outbox.forgive_receipts(command.uid)
    delivery.shut_out(work, command.uid)
    work.contact_changed(command.uid)


def rename(work: Work, command: Rename) -> None:
    """Give a contact a name of one's own; empty takes it back."""
    work.contact(command.uid)
    work.store.contacts.set_own_name(command.uid, command.name)
    work.contact_changed(command.uid)


def set_verified(work: Work, command: SetVerified) -> None:
    """Record what comparing the safety numbers gave."""
    work.contact(command.uid)
    work.store.contacts.set_trust(command.uid, "verified" if command.is_verified else "first-use")
    work.contact_changed(command.uid)


def mark_these_read(work: Work, command: MarkTheseRead) -> None:
    """Record that just these messages were shown, and owe their authors receipts."""
    newly_read = work.store.messages.mark_these_read(command.conversation, command.messages)
    if newly_read:
        receipts.owe(work, peer_of(command.conversation), ReceiptKind.READ, newly_read)
        work.emit(ConversationUpdated(command.conversation))


def save_draft(work: Work, command: SaveDraft) -> None:
    """Keep unsent text with its conversation."""
    work.store.messages.save_draft(command.conversation, command.text)
    work.emit(ConversationUpdated(command.conversation))


def take_in_profile(work: Work, peer: Uid, profile: Profile) -> None:
    """Keep the name that a contact chose; a number that they claim waits for the directory's word."""
    contact = work.contact(peer)
    if profile.name != contact.profile_name:
        work.store.contacts.set_profile_name(peer, profile.name)
        work.contact_changed(peer)
    limit = work.policy.claims_of_a_contact if contact.state == "accepted" else 1
    is_new = profile.number and profile.number not in (contact.number, contact.claimed_number)
    if is_new and contact.claim_count < limit:
        work.store.contacts.count_claim(peer)
        work.store.contacts.claim_number(peer, profile.number)
        check_claims(work)


def check_claims(work: Work) -> None:
    """Ask the directory about claimed numbers, each once at a time."""
    if not work.memory.is_link_open:
        return
    for contact in work.store.contacts.with_open_claim():
        number = contact.claimed_number
        if number is not None and number not in work.memory.looking_up:
            work.memory.looking_up.add(number)
            work.emit(LookUpNumber(number))


def settle_claim(work: Work, answer: NumberLookedUp) -> None:
    """Take the directory's word on a number: one that somebody claims, or one that a contact has had."""
    work.memory.looking_up.discard(answer.number)
    _notice_move(work, answer.number, answer.uid)
    for contact in work.store.contacts.with_open_claim():
        if contact.claimed_number != answer.number:
            continue
        holder = work.store.contacts.by_number(answer.number)
        if holder is not None and holder.uid != contact.uid:
            # The number stays where it was until the person adds it anew.
            work.store.contacts.claim_number(contact.uid, None)
        elif contact.uid == answer.uid:
            work.store.contacts.confirm_number(contact.uid, answer.number)
        else:
            work.store.contacts.claim_number(contact.uid, None)
            work.alert(AlertCode.FALSE_NUMBER, contact.uid)
        work.contact_changed(contact.uid)


def leave_claim_open(work: Work, answer: NumberNotLookedUp) -> None:
    """The directory did not answer; the next opening of the link asks again."""
    work.memory.looking_up.discard(answer.number)


def _check_number_is_free(work: Work, uid: Uid, number: str) -> None:
    holder = work.store.contacts.by_number(number)
    if holder is None or holder.uid == uid:
        return
    if holder.trust == "verified" and not holder.has_moved:
        raise NotTrusted(
            "The directory now gives this number to another account than the one that you verified.",
            "Ask them over another channel whether they have a new device before you go on.",
        )
    _notice_move(work, number, uid)


def _notice_move(work: Work, number: str, uid: Uid | None) -> None:
    """The number of a contact belongs to another account: tell, and hold back what is sent if keys were verified."""
    holder = work.store.contacts.by_number(number)
    if holder is None or uid is None or holder.uid == uid or holder.has_moved:
        return
    work.store.contacts.set_moved(holder.uid, has_moved=True)
    work.alert(AlertCode.NUMBER_MOVED, holder.uid)
    work.contact_changed(holder.uid)


def _take_up(work: Work, uid: Uid) -> None:
    """Let what waited for somebody to be accepted go on: receipts, and a repair that blocking them interrupted."""
    _release_receipts(work)
    if work.contact(uid).session_state == repair.REPAIRING:
        work.memory.fetch_again_at_ms[uid] = work.now_ms
    work.contact_changed(uid)


def _release_receipts(work: Work) -> None:
    work.memory.receipts_due_at_ms = work.now_ms
    receipts.send_due(work)
