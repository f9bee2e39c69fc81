"""Sessions that repair themselves.

The state of the session with a contact, and what moves it:

    FINE       ── a place was used twice, a gap persists, nobody answers ──▶ SUSPECT
    SUSPECT    ── within the limits ──▶ REPAIRING          ── beyond them ──▶ BROKEN
    any        ── the person asks ──▶ REPAIRING
    REPAIRING  ── the new session is confirmed, or the other side's repair arrives ──▶ REPAIRED
    REPAIRED   ── a day passes ──▶ FINE
    BROKEN     ── the person asks, or the other side repairs ──▶ as above

A repair is only ever a new set-up under the identity keys, whose messages say so (`Opening`). Bytes that nothing opens
never begin one; at most one an hour and five a day are begun for a contact. Both sides then send again what the
other one does not have, from the last seven days of history (docs/protocol.md, "Repair").
"""

from __future__ import annotations

from typing import Final

from zap2.engine.effects import AlertCode
from zap2.engine.inputs import Repair
from zap2.engine.work import Work
from zap2.ids import Uid, conversation_with
from zap2.wire.content import Opening

FINE: Final = "fine"
SUSPECT: Final = "suspect"
REPAIRING: Final = "repairing"
REPAIRED: Final = "repaired"
BROKEN: Final = "broken"

NOTHING_MISSING: Final = 1 << 53
"""As a sequence: above all that there are."""

_HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 24 * _HOUR_MS
_WEEK_MS: Final = 7 * _DAY_MS
_NO_SESSION: Final = bytes(32)


def ask(work: Work, command: Repair) -> None:
    """Begin a repair because the person wants one; no limit holds them back."""
    work.contact(command.uid)
    _begin(work, command.uid)


def suspect(work: Work, peer: Uid) -> bool:
    """Begin a repair because something authenticated shows that a session is out of step, within the limits.

    Gives whether one is under way.
    """
    contact = work.contact(peer)
    if contact.state != "accepted" or contact.session_state == REPAIRING:
        return contact.session_state == REPAIRING
    count = work.store.contacts.count_repairs
    policy = work.policy
    is_within_limits = (
        count(peer, work.now_ms - _HOUR_MS) < policy.repairs_an_hour
        and count(peer, work.now_ms - _DAY_MS) < policy.repairs_a_day
    )
    if is_within_limits:
        _begin(work, peer)
        return True
    if contact.session_state not in (SUSPECT, BROKEN):
        is_broken = count(peer, work.now_ms - _DAY_MS) >= policy.repairs_a_day
        _enter(work, peer, BROKEN if is_broken else SUSPECT)
        if is_broken:
            work.alert(AlertCode.BROKEN, peer)
    return False


def is_wanted(work: Work, peer: Uid) -> bool:
    """Say whether the next session with somebody is to be a repair."""
    contact = work.store.contacts.get(peer)
    if contact is None or contact.state == "blocked" or contact.session_state != REPAIRING:
        return False
    entry = work.sessions.for_sending(peer)
    return entry is None or not entry.is_repair or entry.session.is_confirmed


def replaced_by_repair(work: Work, peer: Uid) -> bytes:
    """Give the id of the session whose place a repair takes, zeros for none."""
    entry = work.sessions.for_sending(peer)
    return _NO_SESSION if entry is None else entry.session.session_id


def confirm(work: Work, peer: Uid) -> None:
    """Something arrived on the session that a repair set up."""
    contact = work.store.contacts.get(peer)
    if contact is not None and contact.session_state == REPAIRING:
        _finish(work, peer)


def give_up(work: Work, peer: Uid) -> None:
    """There is nobody any more to set a session up with."""
    if work.contact(peer).session_state == REPAIRING:
        _enter(work, peer, BROKEN)


def take_in(work: Work, peer: Uid, opening: Opening) -> None:
    """The other side set a session up, and it is the one in use: send again what it does not have, within limits."""
    contact = work.contact(peer)
    since_ms = work.now_ms - _HOUR_MS
    if work.store.contacts.count_repairs(peer, since_ms, is_own=False) >= work.policy.peer_repairs_an_hour:
        return
    work.store.contacts.record_repair(peer, work.now_ms, is_own=False)
    if opening.received <= contact.next_sequence + work.policy.plausible_sequences:
        # A copy of this vault that is gone has used these numbers.
        work.store.contacts.skip_sequences(peer, opening.received)
    send_again(work, peer, from_sequence=opening.received)
    if opening.replaces is not None and contact.state == "accepted":
        _finish(work, peer)


def send_again(work: Work, peer: Uid, *, from_sequence: int) -> None:
    """Put what somebody never confirmed, or says is missing, into the queue for the session that is now in use."""
    conversation = conversation_with(peer)
    outbox = work.store.outbox
    for message in work.store.messages.to_send_again(
        conversation,
        work.keys.uid,
        from_sequence=from_sequence,
        since_ms=work.now_ms - work.policy.resend_for_ms,
        limit=work.policy.resend_at_most,
    ):
        outbox.remove_message(message)
        if not outbox.is_waiting(message):
            outbox.wait(peer, conversation, message)


def notice_gap(work: Work, peer: Uid, sequence: int) -> None:
    """A text came: if the one before it is not here, wait for it a while."""
    if sequence == 0 or not work.store.messages.is_missing(conversation_with(peer), peer, sequence - 1):
        return
    if work.contact(peer).gap_since_ms is None:
        work.store.contacts.set_gap_since(peer, work.now_ms)
        due_at_ms = work.now_ms + work.policy.gap_patience_ms
        work.memory.gaps_due_at_ms = min(work.memory.gaps_due_at_ms or due_at_ms, due_at_ms)


def ask_for_gaps(work: Work) -> None:
    """Repair sessions in which a gap persists; each gap is asked for once."""
    if work.memory.gaps_due_at_ms is None or work.memory.gaps_due_at_ms > work.now_ms:
        return
    work.memory.gaps_due_at_ms = None
    for contact in work.store.contacts.with_gap():
        due_at_ms = (contact.gap_since_ms or 0) + work.policy.gap_patience_ms
        if due_at_ms > work.now_ms:
            work.memory.gaps_due_at_ms = min(work.memory.gaps_due_at_ms or due_at_ms, due_at_ms)
            continue
        work.store.contacts.set_gap_since(contact.uid, None)
        conversation = conversation_with(contact.uid)
        missing = work.store.messages.first_missing(conversation, contact.uid, above=contact.gap_asked_for)
        if missing > work.store.messages.highest_sequence(conversation, contact.uid):
            continue
        if suspect(work, contact.uid):
            work.store.contacts.ask_for_gap(contact.uid, missing)
        elif contact.state == "accepted":
            # Beyond the limits now: ask again when they allow it.
            work.store.contacts.set_gap_since(contact.uid, work.now_ms)
            again_at_ms = work.now_ms + work.policy.gap_patience_ms
            work.memory.gaps_due_at_ms = min(work.memory.gaps_due_at_ms or again_at_ms, again_at_ms)


def settle(work: Work) -> None:
    """Let repaired sessions count as fine after a day, and forget repairs that no limit looks at."""
    for peer in work.store.contacts.with_session_state(REPAIRED):
        if work.store.contacts.count_repairs(peer, work.now_ms - _DAY_MS) == 0:
            _enter(work, peer, FINE)
    for peer in work.store.contacts.with_session_state(SUSPECT):
        suspect(work, peer)
    work.store.contacts.forget_repairs_before(work.now_ms - _WEEK_MS)


def distrust_all(work: Work) -> None:
    """Repair the sessions with everybody: this vault turned out to be an older copy of itself."""
    for contact in work.store.contacts.all():
        suspect(work, contact.uid)


def renew_unanswered(work: Work) -> None:
    """Set sessions up anew on which something was sent a day ago and never confirmed; once a day for a contact.

    The other side may have lost the session, or the prekeys that it was set up with, by a restored backup for
    example, and then nothing that is sent on it is ever read.
    """
    for entry in list(work.sessions.by_recency()):
        if entry.is_receive_only:
            continue
        sent_at_ms = work.store.messages.newest_unconfirmed_ms(
            conversation_with(entry.peer),
            work.keys.uid,
            from_ms=work.now_ms - work.policy.resend_for_ms,
            to_ms=work.now_ms - _DAY_MS,
        )
        if sent_at_ms is not None and not work.store.contacts.count_repairs(
            entry.peer, work.now_ms - _DAY_MS
        ):
            suspect(work, entry.peer)


def _begin(work: Work, peer: Uid) -> None:
    work.store.contacts.record_repair(peer, work.now_ms)
    _enter(work, peer, REPAIRING)
    work.memory.fetch_again_at_ms[peer] = work.now_ms


def _finish(work: Work, peer: Uid) -> None:
    _enter(work, peer, REPAIRED)
    work.alert(AlertCode.REPAIRED, peer)


def _enter(work: Work, peer: Uid, state: str) -> None:
    work.store.contacts.set_session_state(peer, state)
    work.contact_changed(peer)
