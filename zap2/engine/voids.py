"""Numbers of own texts that stay empty, and those of others.

A reader shows what is missing between the texts of an author, and asks for it. A text that failed leaves its number
empty; and a vault that is an older copy of itself has no memory of numbers that a younger one used, so it goes on far
above them. Either way the reader is told, with every message until one of ours is known to have taken it along.
"""

from __future__ import annotations

from typing import Final

from zap2.engine.work import Work
from zap2.ids import ConversationId, Uid, conversation_with
from zap2.vault.rows import ContactRow
from zap2.wire.content import Void

_RANGES_AT_ONCE: Final = 4


def leave_empty(work: Work, conversation: ConversationId, sequence: int) -> None:
    """Remember that the text with a number failed."""
    work.store.voids.add(conversation, work.keys.uid, sequence, sequence + 1)


def fill(work: Work, conversation: ConversationId, sequence: int) -> None:
    """The text with a number goes out after all."""
    work.store.voids.remove(conversation, work.keys.uid, sequence)


def skip_ahead(work: Work) -> None:
    """Number own texts from far above those that a younger copy of this vault may have sent."""
    for contact in work.store.contacts.all():
        conversation, first = conversation_with(contact.uid), contact.next_sequence
        if first and work.store.voids.end_of(conversation, work.keys.uid, first - 1) is not None:
            # Nothing was sent since the last time.
            continue
        end = first + work.policy.skipped_sequences
        work.store.contacts.skip_sequences(contact.uid, end)
        work.store.voids.add(conversation, work.keys.uid, first, end)


def take_along(work: Work, contact: ContactRow) -> list[Void]:
    """Give the parts that a message to somebody takes along."""
    conversation, parts = conversation_with(contact.uid), []
    for first, end, told_since in work.store.voids.of_author(conversation, work.keys.uid, _RANGES_AT_ONCE):
        parts.append(Void(first, end))
        if told_since is None:
            work.store.voids.tell(conversation, work.keys.uid, first, contact.next_sequence)
    return parts


def confirm(work: Work, peer: Uid, sequence: int) -> None:
    """Somebody has one of our texts, and with it what went along."""
    work.store.voids.confirm(conversation_with(peer), work.keys.uid, sequence)


def take_in(work: Work, peer: Uid, void: Void) -> None:
    """Wait for these numbers of somebody no more."""
    if void.first < void.end:
        work.store.voids.add(conversation_with(peer), peer, void.first, void.end)
