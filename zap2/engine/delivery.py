"""Delivery tokens: who may put envelopes into our mailbox without naming themselves, and into whose mailbox we may.

Everybody whom we accepted gets the same token inside the session; the other end of the link holds its hash. Until
that holds the present one nobody is given it, so that no contact is refused for being quick. What a contact has:

    NONE              ── a message takes it along ──▶ GIVEN
    GIVEN             ── a receipt for a text that took it along ──▶ CONFIRMED
    CONFIRMED         ── a new session, or the other end had lost the hash ──▶ GIVEN
    CONFIRMED         ── they ask for it ──▶ GIVEN
    GIVEN, CONFIRMED  ── it is renewed ──▶ STALE          ── it is sent on, in a message of its own ──▶ GIVEN
    any               ── they are blocked ──▶ NONE

It goes with every message to an accepted contact who is not CONFIRMED. Whoever has to forget a contact's token, because
it was refused, asks for it with every message until it comes. Sealing may fail in any way: the same envelope
then goes the logged-in way (docs/protocol.md, "Sealed sending").
"""

from __future__ import annotations

import hmac
from typing import Final

from zap2.engine.effects import SetDeliveryToken
from zap2.engine.inputs import DeliveryTokenNotSet, DeliveryTokenSet, LinkOpened
from zap2.engine.work import Work
from zap2.ids import Uid
from zap2.vault import settings
from zap2.vault.rows import ContactRow
from zap2.wire.content import DELIVERY_TOKEN_SIZE_B, Delivery, DeliveryWanted, Part
from zap2.wire.statements import delivery_token_hash

NONE: Final = "none"
STALE: Final = "stale"
GIVEN: Final = "given"
CONFIRMED: Final = "confirmed"

REFUSED: Final = "delivery-refused"
"""The failure that says that a token is not, or no longer, the receiver's."""


def open_link(work: Work, opened: LinkOpened) -> None:
    """Compare what the other end holds with our token, and put a difference right."""
    token = work.store.settings.get(settings.DELIVERY_TOKEN)
    if token is None:
        token = _make(work)
    work.memory.set_token_again_at_ms = 0
    own_hash = delivery_token_hash(token)
    if opened.delivery_token_hash == own_hash:
        work.store.settings.put(settings.PUBLISHED_TOKEN_HASH, own_hash)
        return
    if work.store.settings.get(settings.PUBLISHED_TOKEN_HASH) == own_hash:
        # Contacts were refused meanwhile, and have forgotten it.
        work.store.contacts.doubt_own_token()
        work.store.settings.remove(settings.PUBLISHED_TOKEN_HASH)
    publish(work)


def renew(work: Work) -> None:
    """Shut out whoever has the present token; those who may keep it get the new one once the other end holds it."""
    _make(work)
    work.store.contacts.outdate_own_token()
    publish(work)


def publish(work: Work) -> None:
    """Ask the other end to hold the hash of our token, unless it does."""
    memory = work.memory
    token = work.store.settings.get(settings.DELIVERY_TOKEN)
    if token is None or not memory.is_link_open or memory.is_setting_token:
        return
    if memory.set_token_again_at_ms > work.now_ms or _is_published(work, token):
        return
    memory.set_token_again_at_ms = 0
    memory.is_setting_token = True
    work.emit(SetDeliveryToken(delivery_token_hash(token)))


def confirm_published(work: Work, answer: DeliveryTokenSet) -> None:
    """Record what the other end holds now; a token that was renewed meanwhile follows."""
    work.memory.is_setting_token = False
    work.store.settings.put(settings.PUBLISHED_TOKEN_HASH, answer.token_hash)
    publish(work)


def publish_later(work: Work, answer: DeliveryTokenNotSet) -> None:
    """The other end did not take it: try again after a while, or when the link opens anew."""
    work.memory.is_setting_token = False
    wait_ms = answer.failure.retry_after_ms or work.policy.fetch_again_ms
    work.memory.set_token_again_at_ms = work.now_ms + wait_ms


def take_along(work: Work, contact: ContactRow) -> list[Part]:
    """Give what a message to somebody takes along: our token if they may not have it yet, and the wish for theirs."""
    if contact.state != "accepted":
        return []
    parts: list[Part] = []
    if contact.delivery_token is None and contact.delivery_token_made_at_ms:
        parts.append(DeliveryWanted())
    token = work.store.settings.get(settings.DELIVERY_TOKEN)
    if contact.own_token_state == CONFIRMED or token is None or not _is_published(work, token):
        return parts
    if contact.own_token_state != GIVEN:
        work.store.contacts.set_own_token_state(contact.uid, GIVEN, since=contact.next_sequence)
    made_at_ms = work.store.settings.get_number(settings.DELIVERY_TOKEN_MADE_AT_MS)
    return [*parts, Delivery(token, made_at_ms)]


def take_in(work: Work, peer: Uid, given: Delivery) -> None:
    """Keep somebody's token, unless one that they made later is or was here: messages may arrive late."""
    if given.made_at_ms >= work.contact(peer).delivery_token_made_at_ms:
        work.store.contacts.set_delivery_token(peer, given.token, given.made_at_ms)


def to_pass_on(work: Work) -> list[Uid]:
    """Give the accepted contacts who had a token before this one, once the other end holds this one."""
    token = work.store.settings.get(settings.DELIVERY_TOKEN)
    if token is None or not _is_published(work, token):
        return []
    stale = work.store.contacts.with_own_token_state(STALE)
    return [contact.uid for contact in stale if contact.state == "accepted"]


def confirm(work: Work, peer: Uid, sequence: int) -> None:
    """A contact has one of our texts: if our token was with it, they have that too."""
    contact = work.contact(peer)
    if contact.own_token_state == GIVEN and sequence >= contact.own_token_since:
        work.store.contacts.set_own_token_state(peer, CONFIRMED)


def doubt(work: Work, peer: Uid) -> None:
    """A contact may have lost our token: the session is new, or they say so."""
    contact = work.contact(peer)
    if contact.own_token_state == CONFIRMED:
        work.store.contacts.set_own_token_state(peer, GIVEN, since=contact.next_sequence)


def shut_out(work: Work, peer: Uid) -> None:
    """Make the token worthless for somebody who may have it."""
    may_have_it = work.contact(peer).own_token_state in (GIVEN, CONFIRMED)
    work.store.contacts.set_own_token_state(peer, NONE)
    if may_have_it:
        renew(work)


def token_for(work: Work, peer: Uid) -> bytes | None:
    """Give what lets us into somebody's mailbox; None for strangers, and where we have no token that is of use.

    Whoever gives us one wrong token after the other would have the relay take our address for a guesser's.
    """
    if work.memory.refused_tokens[peer] >= work.policy.refused_tokens_at_most:
        return None
    contact = work.store.contacts.get(peer)
    return contact.delivery_token if contact is not None and contact.state == "accepted" else None


def forget(work: Work, peer: Uid, token: bytes) -> None:
    """Forget a token that was refused, unless another one has come meanwhile; it counts once, however often it went."""
    contact = work.store.contacts.get(peer)
    if contact is not None and hmac.compare_digest(contact.delivery_token or b"", token):
        work.memory.refused_tokens[peer] += 1
        work.store.contacts.forget_delivery_token(peer)


def _make(work: Work) -> bytes:
    token = work.rng(DELIVERY_TOKEN_SIZE_B)
    counters = work.store.settings
    # Later than the one before also if the clock was put back: only a later one is taken.
    made_at_ms = max(work.now_ms, counters.get_number(settings.DELIVERY_TOKEN_MADE_AT_MS) + 1)
    counters.put(settings.DELIVERY_TOKEN, token)
    counters.raise_number(settings.DELIVERY_TOKEN_MADE_AT_MS, made_at_ms)
    return token


def _is_published(work: Work, token: bytes) -> bool:
    return work.store.settings.get(settings.PUBLISHED_TOKEN_HASH) == delivery_token_hash(token)
