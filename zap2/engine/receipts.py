"""Receipts: noted in the transaction that earns them, sent a moment later, several in one envelope.

Nothing is owed visibly to strangers: receipts to a message request are noted and go out once it is accepted.
"""

from __future__ import annotations

from collections.abc import Sequence

from zap2.engine import delivery, sealing, states, voids
from zap2.engine.work import Work
from zap2.ids import MessageId, Uid, conversation_with
from zap2.wire.content import MAX_RECEIPT_IDS, Part, Receipt, ReceiptKind

_STATE_OF = {ReceiptKind.DELIVERED: states.DELIVERED, ReceiptKind.READ: states.READ}


def owe(work: Work, peer: Uid, kind: ReceiptKind, messages: Sequence[MessageId]) -> None:
    """Note that receipts are due to somebody."""
    if not messages:
        return
    work.store.outbox.owe_receipts(peer, kind, messages)
    due_at_ms = work.now_ms + work.policy.receipt_delay_ms
    if work.memory.receipts_due_at_ms is None or work.memory.receipts_due_at_ms > due_at_ms:
        work.memory.receipts_due_at_ms = due_at_ms


def take_owed(work: Work, peer: Uid) -> list[Part]:
    """Take a batch of what is owed to an accepted contact, to be sealed in this very step."""
    parts: list[Part] = []
    for kind in ReceiptKind:
        ids = work.store.outbox.owed_receipts(peer, kind, MAX_RECEIPT_IDS)
        if ids:
            work.store.outbox.settle_receipts(peer, kind, ids)
            parts.append(Receipt(kind, tuple(ids)))
    return parts


def send_due(work: Work) -> None:
    """Seal all receipts that are owed to accepted contacts, if their time has come."""
    due_at_ms = work.memory.receipts_due_at_ms
    if due_at_ms is None or due_at_ms > work.now_ms:
        return
    work.memory.receipts_due_at_ms = None
    for peer in work.store.outbox.peers_owed_receipts():
        if work.sessions.for_sending(peer) is None:
            continue
        while parts := take_owed(work, peer):
            sealing.seal(work, peer, parts)
    sealing.flush(work)


def take_in(work: Work, peer: Uid, receipt: Receipt) -> None:
    """Move own messages to what a receipt says of them; ids that are not ours change nothing."""
    conversation = conversation_with(peer)
    for message in map(MessageId, receipt.ids):
        sealing.promote(work, conversation, message, _STATE_OF[receipt.kind])
        row = work.store.messages.get(conversation, work.keys.uid, message)
        if row is not None:
            work.store.outbox.remove_message(message)
            delivery.confirm(work, peer, row.sequence)
            voids.confirm(work, peer, row.sequence)
    work.store.contacts.acknowledge_profile(peer)
