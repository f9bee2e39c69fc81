"""Mailboxes on SQLite. Everything here runs in the writer's thread, inside its transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from zap2.ids import EnvelopeId, Uid
from zap2.server.store.port import Deposit, Deposited, DepositRefusal, Envelope
from zap2.server.store.repetitions import Repetitions
from zap2.server.store.schema import SEQ_BITS

_SEQ_MASK: Final = (1 << SEQ_BITS) - 1
_RESERVED: Final = 1_000
"""Seqs that are taken at a time: a restart leaves a gap, and writes one row less for every envelope."""
_MAX_CACHED: Final = 100_000
_SWEPT_ENVELOPES: Final = 500


@dataclass(slots=True)
class _Mailbox:
    """What the writer remembers of a mailbox; it is the only one who changes it."""

    id: int
    next_seq: int
    reserved_seq: int
    waiting: int
    size_b: int
    max_messages: int
    max_size_b: int


class Mail:
    """Deposits, reads and discards of one database.

    Args:
        max_messages: envelopes that a mailbox holds.
        max_size_b: bytes of payload that a mailbox holds.
        retention_s: how long a repetition of a deposit is recognised, at least.
    """

    def __init__(self, max_messages: int, max_size_b: int, retention_s: int) -> None:
        self._max_messages = max_messages
        self._max_size_b = max_size_b
        self._retention_s = retention_s
        self._by_address: dict[tuple[Uid, int], _Mailbox] = {}
        self._by_id: dict[int, _Mailbox] = {}
        self._swept_id = 0
        self._repetitions = Repetitions()
        self._db: sqlite3.Connection

    def use(self, connection: sqlite3.Connection) -> None:
        """Work on this connection from now on."""
        self._db = connection
        self._repetitions.use(connection)

    def undone(self) -> None:
        """Drop what is remembered, after a rollback."""
        self.forget_mailboxes()
        self._repetitions.forget()

    def deposit(self, deposit: Deposit) -> Deposited | DepositRefusal:
        mailbox = self._by_address.get((deposit.uid, deposit.device)) or self._load(
            deposit.uid, deposit.device
        )
        if mailbox is None:
            return DepositRefusal.NO_MAILBOX
        execute = self._db.execute
        if self._repetitions.has(deposit.dedupe_key):
            return Deposited(mailbox.id, mailbox.waiting, None)
        if (
            mailbox.waiting >= mailbox.max_messages
            or mailbox.size_b + len(deposit.payload) > mailbox.max_size_b
        ):
            return DepositRefusal.FULL
        self._repetitions.add(deposit.dedupe_key, deposit.received_at_ms // 1000 + self._retention_s)
        seq = mailbox.next_seq
        if seq > mailbox.reserved_seq:
            mailbox.reserved_seq = seq + _RESERVED
            execute(
                "UPDATE device SET reserved_seq = ? WHERE mailbox = ?", (mailbox.reserved_seq, mailbox.id)
            )
        execute(
            "INSERT INTO envelope VALUES (?, ?, ?, ?, ?)",
            (
                mailbox.id << SEQ_BITS | seq,
                deposit.envelope_id,
                deposit.received_at_ms,
                deposit.expires_at_ms,
                deposit.payload,
            ),
        )
        mailbox.next_seq = seq + 1
        mailbox.waiting += 1
        mailbox.size_b += len(deposit.payload)
        envelope = Envelope(seq, deposit.envelope_id, deposit.received_at_ms, deposit.payload)
        return Deposited(mailbox.id, mailbox.waiting, envelope)

    def read(self, mailbox: int, after_seq: int, limit: int, now_ms: int) -> list[Envelope]:
        """Give the oldest unexpired envelopes of a mailbox with a seq above `after_seq`."""
        rows = self._db.execute(
            "SELECT id, envelope_id, received_at_ms, payload FROM envelope"
            " WHERE id > ? AND id <= ? AND expires_at_ms > ? ORDER BY id LIMIT ?",
            (mailbox << SEQ_BITS | after_seq, mailbox << SEQ_BITS | _SEQ_MASK, now_ms, limit),
        )
        return [
            Envelope(id_ & _SEQ_MASK, EnvelopeId(name), at_ms, payload) for id_, name, at_ms, payload in rows
        ]

    def discard(self, mailbox: int, seqs: Sequence[int]) -> None:
        base = mailbox << SEQ_BITS
        highest = 0
        for first, last in _runs(sorted(seqs)):
            rows = self._db.execute(
                "DELETE FROM envelope WHERE id BETWEEN ? AND ? RETURNING id, length(payload)",
                (base | first, base | last),
            ).fetchall()
            self._deleted(rows)
            highest = max(highest, *(id_ & _SEQ_MASK for id_, _ in rows), 0)
        if highest:
            self._db.execute(
                "UPDATE device SET acknowledged_seq = max(acknowledged_seq, ?) WHERE mailbox = ?",
                (highest, mailbox),
            )

    def sweep(self, now_ms: int) -> None:
        """Forget some of what has expired; go round and round."""
        execute = self._db.execute
        (last_id,) = execute(
            "SELECT max(id) FROM (SELECT id FROM envelope WHERE id > ? ORDER BY id LIMIT ?)",
            (self._swept_id, _SWEPT_ENVELOPES),
        ).fetchone()
        if last_id is not None:
            self._deleted(
                execute(
                    "DELETE FROM envelope WHERE id > ? AND id <= ? AND expires_at_ms <= ?"
                    " RETURNING id, length(payload)",
                    (self._swept_id, last_id, now_ms),
                ).fetchall()
            )
        self._swept_id = last_id or 0
        self._repetitions.sweep(now_ms // 1000)

    def _load(self, uid: Uid, device: int) -> _Mailbox | None:
        row = self._db.execute(
            "SELECT mailbox, reserved_seq, coalesce(max_messages, ?), coalesce(max_size_b, ?)"
            " FROM device JOIN account ON account.id = device.account WHERE uid = ? AND device = ?",
            (self._max_messages, self._max_size_b, uid, device),
        ).fetchone()
        if row is None:
            return None
        id_, reserved_seq, max_messages, max_size_b = row
        waiting, size_b = self._db.execute(
            "SELECT count(*), coalesce(sum(length(payload)), 0) FROM envelope WHERE id BETWEEN ? AND ?",
            (id_ << SEQ_BITS, id_ << SEQ_BITS | _SEQ_MASK),
        ).fetchone()
        if len(self._by_id) >= _MAX_CACHED:
            self.forget_mailboxes()
        mailbox = _Mailbox(id_, reserved_seq + 1, reserved_seq, waiting, size_b, max_messages, max_size_b)
        self._by_address[uid, device] = self._by_id[id_] = mailbox
        return mailbox

    def forget_mailboxes(self) -> None:
        """Read from the database again what was remembered of mailboxes; the next seqs of each leave a gap."""
        self._by_address.clear()
        self._by_id.clear()

    def _deleted(self, rows: Sequence[tuple[int, int]]) -> None:
        for id_, size_b in rows:
            if mailbox := self._by_id.get(id_ >> SEQ_BITS):
                mailbox.waiting -= 1
                mailbox.size_b -= size_b


def _runs(seqs: Sequence[int]) -> list[tuple[int, int]]:
    """Give the runs of neighbours in a sorted sequence, each as its first and last member."""
    runs: list[tuple[int, int]] = []
    for seq in seqs:
        if runs and seq <= runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], seq)
        else:
            runs.append((seq, seq))
    return runs
