"""Mailboxes on SQLite. Everything here runs in the writer's thread, inside its transaction.

Theory of operation. An envelope whose receiver is here is *offered*: it gets its seq, the event loop delivers it after
this batch, and it is held here, in no row. If the receiver acknowledges it while it is held, it is done: nothing of
it is written but the key that recognises a repetition, and its sender is answered after that is committed. Otherwise
it becomes a row when its time is over, and its sender is answered after that. So an answer always means that the
message is on a disk, the receiver's or this one, and that a repetition will be known; and what is lost with the memory
of a relay that is killed was never answered, so its sender sends it again. The seqs of a batch are reserved before they
leave it, so none is ever given to two envelopes.
"""

from __future__ import annotations

import hmac
import sqlite3
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from zap2.ids import EnvelopeId, Uid
from zap2.server.store.commits import Call, Tell
from zap2.server.store.port import (
    Deposit,
    DepositDone,
    Deposited,
    DepositRefusal,
    Envelope,
    Offer,
)
from zap2.server.store.repetitions import Repetitions
from zap2.server.store.schema import SEQ_BITS

_SEQ_MASK: Final = (1 << SEQ_BITS) - 1
_RESERVED: Final = 1_000
"""Seqs that are taken at a time: a restart leaves a gap, and writes one row less for every envelope."""
_MAX_CACHED: Final = 100_000
_MAX_HELD: Final = 2_000
_SWEPT_ENVELOPES: Final = 500

_Row = tuple[int, bytes, int, int, bytes]


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


@dataclass(slots=True)
class _Held:
    """An envelope that was offered and is in no row. `tell` has its sender, and its repetitions."""

    row: _Row
    key: bytes
    offered_at: float
    waiting: int
    tell: list[DepositDone]
    is_taken: bool = False


class Mail:
    """Deposits, reads and discards of one database.

    Args:
        max_messages: envelopes that a mailbox holds.
        max_size_b: bytes of payload that a mailbox holds.
        retention_s: how long a repetition of a deposit is recognised, at least.
        hold_s: how long an envelope that was offered is held; 0 writes it with its batch.
    """

    def __init__(self, max_messages: int, max_size_b: int, retention_s: int, hold_s: float) -> None:
        self._max_messages = max_messages
        self._max_size_b = max_size_b
        self._retention_s = retention_s
        self._hold_s = hold_s
        self._by_address: dict[tuple[Uid, int], _Mailbox] = {}
        self._by_id: dict[int, _Mailbox] = {}
        self._swept_id = 0
        self._repetitions = Repetitions()
        # By the row's id, in the order in which they were offered; and by their key, until they are finished.
        self._held: dict[int, _Held] = {}
        self._held_by_key: dict[bytes, _Held] = {}
        self._taken: list[_Held] = []
        # Of this batch, to be written together at its end.
        self._rows: list[_Row] = []
        self._keys: list[bytes] = []
        self._sent_at_ms = 0
        self._db: sqlite3.Connection

    def use(self, connection: sqlite3.Connection) -> None:
        """Work on this connection from now on."""
        self._db = connection
        self._repetitions.use(connection)

    def undone(self) -> None:
        """Drop what is remembered, after a rollback."""
        self.forget_mailboxes()
        self._repetitions.forget()

    # ------------------------------------------------------------------------------------ pending and groups

    def due_in_s(self) -> float | None:
        """Give when the oldest envelope has been held for long enough; None when none is held."""
        oldest = next(iter(self._held.values()), None)
        return None if oldest is None else max(0.0, oldest.offered_at + self._hold_s - time.monotonic())

    def finish(self, is_last: bool) -> list[Call]:
        """Write the batch's rows and keys, and what is held no longer; give whom to tell that it is safe."""
        finished, self._taken = self._taken, []
        if self._held:
            offered_before = time.monotonic() - self._hold_s
            due: list[_Held] = []
            for held in self._held.values():
                if (
                    held.offered_at > offered_before
                    and not is_last
                    and len(self._held) - len(due) < _MAX_HELD
                ):
                    break
                due.append(held)
            for held in due:
                del self._held[held.row[0]]
                self._rows.append(held.row)
            finished += due
        for held in finished:
            del self._held_by_key[held.key]
            self._keys.append(held.key)
            self._sent_at_ms = max(self._sent_at_ms, held.row[2])
        self._write_rows()
        if self._keys:
            self._repetitions.add(self._keys, self._sent_at_ms // 1000 + self._retention_s)
            self._keys = []
        calls: list[Call] = []
        for held in finished:
            result = (Deposited(held.row[0] >> SEQ_BITS, held.waiting, None, held.is_taken),)
            calls += [(tell, result) for tell in held.tell]
        return calls

    def drop(self) -> list[Tell]:
        """Forget everything that is not written; give whom to tell."""
        tell = [done for held in self._held_by_key.values() for done in held.tell]
        self._held.clear()
        self._held_by_key.clear()
        self._taken.clear()
        self._rows.clear()
        self._keys.clear()
        return tell

    def deposit_all(self, deposits: list[tuple[Deposit, DepositDone, Offer | None]]) -> list[Call]:
        """Take envelopes in order; give whom to tell or to offer them after the commit."""
        calls: list[Call] = []
        known = self._repetitions.known([deposit.dedupe_key for deposit, _, _ in deposits])
        known.update(self._keys)
        now = time.monotonic()
        for deposit, done, offer in deposits:
            key, payload = deposit.dedupe_key, deposit.payload
            token_hash = deposit.delivery_token_hash
            if token_hash is not None and not self._lets_in(deposit.uid, token_hash):
                calls.append((done, (DepositRefusal.WRONG_TOKEN,)))
                continue
            mailbox = self._by_address.get((deposit.uid, deposit.device))
            if mailbox is None:
                mailbox = self._load(deposit.uid, deposit.device)
                if mailbox is None:
                    calls.append((done, (DepositRefusal.NO_MAILBOX,)))
                    continue
            if key in known:
                calls.append((done, (Deposited(mailbox.id, mailbox.waiting, None),)))
                continue
            if held := self._held_by_key.get(key):
                held.tell.append(done)
                continue
            if mailbox.waiting >= mailbox.max_messages or mailbox.size_b + len(payload) > mailbox.max_size_b:
                calls.append((done, (DepositRefusal.FULL,)))
                continue
            seq = self._next_seq(mailbox)
            mailbox.waiting += 1
            mailbox.size_b += len(payload)
            id_ = mailbox.id << SEQ_BITS | seq
            row = (id_, deposit.envelope_id, deposit.received_at_ms, deposit.expires_at_ms, payload)
            envelope = Envelope(seq, deposit.envelope_id, deposit.received_at_ms, payload)
            if offer is not None and self._hold_s:
                self._held[id_] = self._held_by_key[key] = _Held(row, key, now, mailbox.waiting, [done])
                calls.append((offer, (mailbox.id, envelope)))
            else:
                known.add(key)
                self._keys.append(key)
                self._sent_at_ms = max(self._sent_at_ms, deposit.received_at_ms)
                self._rows.append(row)
                calls.append((done, (Deposited(mailbox.id, mailbox.waiting, envelope),)))
        return calls

    def discard_all(self, discards: list[tuple[int, Sequence[int]]]) -> list[Call]:
        """Forget envelopes of mailboxes, by their seqs: those that are held, and those in rows."""
        ids: list[int] = []
        gone: list[tuple[int, int]] = []
        for mailbox, seqs in discards:
            base = mailbox << SEQ_BITS
            for seq in seqs:
                if held := self._held.pop(base | seq, None):
                    held.is_taken = True
                    self._taken.append(held)
                    gone.append((base | seq, len(held.row[4])))
                else:
                    ids.append(base | seq)
        for first, last in _runs(sorted(ids)):
            gone += self._db.execute(
                "DELETE FROM envelope WHERE id BETWEEN ? AND ? RETURNING id, length(payload)", (first, last)
            ).fetchall()
        acknowledged: dict[int, int] = {}
        for id_, _ in gone:
            mailbox, seq = id_ >> SEQ_BITS, id_ & _SEQ_MASK
            if seq > acknowledged.get(mailbox, 0):
                acknowledged[mailbox] = seq
        if acknowledged:
            self._db.executemany(
                "UPDATE mailbox SET acknowledged_seq = max(acknowledged_seq, ?) WHERE id = ?",
                [(seq, mailbox) for mailbox, seq in acknowledged.items()],
            )
        self._deleted(gone)
        return []

    # ---------------------------------------------------------------------------------------- single calls

    def read(self, mailbox: int, after_seq: int, limit: int, now_ms: int) -> list[Envelope]:
        """Give the oldest unexpired envelopes of a mailbox with a seq above `after_seq`."""
        self._write_rows()
        first, last = mailbox << SEQ_BITS | after_seq, mailbox << SEQ_BITS | _SEQ_MASK
        rows: list[_Row] = self._db.execute(
            "SELECT * FROM envelope WHERE id > ? AND id <= ? AND expires_at_ms > ? ORDER BY id LIMIT ?",
            (first, last, now_ms, limit),
        ).fetchall()
        if self._held:
            rows += [held.row for id_, held in self._held.items() if first < id_ <= last]
            rows = sorted(rows)[:limit]
        return [
            Envelope(id_ & _SEQ_MASK, EnvelopeId(name), at_ms, payload)
            for id_, name, at_ms, _, payload in rows
        ]

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

    # ------------------------------------------------------------------------------------------- internals

    def _lets_in(self, uid: Uid, token_hash: bytes) -> bool:
        row = self._db.execute(
            "SELECT delivery_token_hash FROM account"
            " WHERE uid = ? AND NOT is_blocked AND delivery_token_hash IS NOT NULL",
            (uid,),
        ).fetchone()
        return row is not None and hmac.compare_digest(row[0], token_hash)

    def _next_seq(self, mailbox: _Mailbox) -> int:
        seq = mailbox.next_seq
        if seq > mailbox.reserved_seq:
            mailbox.reserved_seq = seq + _RESERVED
            self._db.execute(
                "UPDATE mailbox SET reserved_seq = ? WHERE id = ?", (mailbox.reserved_seq, mailbox.id)
            )
        mailbox.next_seq = seq + 1
        return seq

    def _write_rows(self) -> None:
        if self._rows:
            self._db.executemany("INSERT INTO envelope VALUES (?, ?, ?, ?, ?)", self._rows)
            self._rows = []

    def _load(self, uid: Uid, device: int) -> _Mailbox | None:
        row = self._db.execute(
            "SELECT mailbox.id, reserved_seq, coalesce(max_messages, ?), coalesce(max_size_b, ?)"
            " FROM account JOIN device ON device.account = account.id JOIN mailbox ON mailbox.id = device.mailbox"
            " WHERE uid = ? AND device = ?",
            (self._max_messages, self._max_size_b, uid, device),
        ).fetchone()
        if row is None:
            return None
        id_, reserved_seq, max_messages, max_size_b = row
        self._write_rows()
        waiting, size_b = self._db.execute(
            "SELECT count(*), coalesce(sum(length(payload)), 0) FROM envelope WHERE id BETWEEN ? AND ?",
            (id_ << SEQ_BITS, id_ << SEQ_BITS | _SEQ_MASK),
        ).fetchone()
        for held_id, held in self._held.items():
            if held_id >> SEQ_BITS == id_:
                waiting += 1
                size_b += len(held.row[4])
        if len(self._by_id) >= _MAX_CACHED:
            self.forget_mailboxes()
        mailbox = _Mailbox(id_, reserved_seq + 1, reserved_seq, waiting, size_b, max_messages, max_size_b)
        self._by_address[uid, device] = self._by_id[id_] = mailbox
        return mailbox

    def forget_mailboxes(self) -> None:
        """Read from the database again what was remembered of mailboxes; the next seqs of each leave a gap."""
        self._by_address.clear()
        self._by_id.clear()

    def _deleted(self, rows: Iterable[tuple[int, int]]) -> None:
        for id_, size_b in rows:
            if mailbox := self._by_id.get(id_ >> SEQ_BITS):
                mailbox.waiting -= 1
                mailbox.size_b -= size_b


def _runs(ids: Sequence[int]) -> list[tuple[int, int]]:
    """Give the runs of neighbours in a sorted sequence, each as its first and last member."""
    runs: list[tuple[int, int]] = []
    first = last = -2
    for id_ in ids:
        if id_ <= last + 1:
            last = id_
        else:
            if first >= 0:
                runs.append((first, last))
            first = last = id_
    if first >= 0:
        runs.append((first, last))
    return runs
