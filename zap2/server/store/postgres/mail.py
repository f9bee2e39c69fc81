"""Mailboxes on PostgreSQL. Everything here runs inside a batch's transaction.

A batch first locks the rows of all mailboxes that it changes, in the order of their ids: so no two relays wait for
each other, and the seqs of a mailbox become visible in the order in which they were given.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from zap2.ids import EnvelopeId, Uid
from zap2.server.store.port import Deposit, Deposited, DepositRefusal, Envelope
from zap2.server.store.postgres.batches import Connection, Item

_MAX_CACHED: Final = 100_000
_SWEPT: Final = 500

ReadArgument = tuple[int, int, int, int]
"""Mailbox, after which seq, limit, now_ms."""


@dataclass(slots=True)
class _Mailbox:
    """A mailbox whose row this transaction has locked."""

    id: int
    last_seq: int
    waiting: int
    size_b: int
    max_messages: int
    max_size_b: int


class Mail:
    """Deposits, reads and discards of one database.

    Args:
        max_messages: envelopes that a mailbox holds, unless it has a bound of its own.
        max_size_b: bytes of payload that a mailbox holds, unless it has a bound of its own.
        retention_s: how long a repetition of a deposit is recognised, at least.
    """

    def __init__(self, max_messages: int, max_size_b: int, retention_s: int) -> None:
        self._max_messages = max_messages
        self._max_size_b = max_size_b
        self._retention_s = retention_s
        # A device keeps its mailbox for ever, so this cannot become wrong.
        self._ids: dict[tuple[Uid, int], int] = {}
        self._locked: dict[int, _Mailbox] = {}

    async def prepare(self, connection: Connection, batch: Sequence[Item]) -> None:
        """Lock the mailboxes of all deposits and discards of a batch."""
        self._locked = {}
        ids = {id_ for item in batch if item.work == self.discard for id_ in (item.argument[0],)}
        deposits = [item.argument for item in batch if item.work == self.deposit]
        await self._resolve(connection, deposits)
        ids.update(id_ for one in deposits if (id_ := self._ids.get((one.uid, one.device))) is not None)
        if not ids:
            return
        rows = await connection.fetch(
            "SELECT id, last_seq, waiting, size_b, max_messages, max_size_b FROM mailbox"
            " WHERE id = ANY($1::bigint[]) ORDER BY id FOR UPDATE",
            list(ids),
        )
        for id_, last_seq, waiting, size_b, max_messages, max_size_b in rows:
            self._locked[id_] = _Mailbox(
                id_,
                last_seq,
                waiting,
                size_b,
                self._max_messages if max_messages is None else max_messages,
                self._max_size_b if max_size_b is None else max_size_b,
            )

    async def deposit(
        self, connection: Connection, deposits: Sequence[Deposit]
    ) -> Sequence[Deposited | DepositRefusal]:
        known = {
            row[0]
            for row in await connection.fetch(
                "SELECT dedupe_key FROM sent WHERE dedupe_key = ANY($1::bytea[])",
                [deposit.dedupe_key for deposit in deposits],
            )
        }
        token_hashes = await _token_hashes(connection, deposits)
        results: list[Deposited | DepositRefusal] = []
        stored: list[tuple[_Mailbox, int, Deposit]] = []
        for deposit in deposits:
            id_ = self._ids.get((deposit.uid, deposit.device))
            mailbox = self._locked.get(id_) if id_ is not None else None
            if deposit.delivery_token_hash is not None and not hmac.compare_digest(
                deposit.delivery_token_hash, token_hashes.get(deposit.uid, b"")
            ):
                results.append(DepositRefusal.WRONG_TOKEN)
            elif mailbox is None:
                results.append(DepositRefusal.NO_MAILBOX)
            elif deposit.dedupe_key in known:
                results.append(Deposited(mailbox.id, mailbox.waiting, None))
            elif (
                mailbox.waiting >= mailbox.max_messages
                or mailbox.size_b + len(deposit.payload) > mailbox.max_size_b
            ):
                results.append(DepositRefusal.FULL)
            else:
                known.add(deposit.dedupe_key)
                mailbox.last_seq += 1
                mailbox.waiting += 1
                mailbox.size_b += len(deposit.payload)
                stored.append((mailbox, mailbox.last_seq, deposit))
                envelope = Envelope(
                    mailbox.last_seq, deposit.envelope_id, deposit.received_at_ms, deposit.payload
                )
                results.append(Deposited(mailbox.id, mailbox.waiting, envelope))
        if stored:
            await self._write(connection, stored)
        return results

    async def _write(self, connection: Connection, stored: Sequence[tuple[_Mailbox, int, Deposit]]) -> None:
        changed = list({mailbox.id: mailbox for mailbox, _, _ in stored}.values())
        await connection.execute(
            "WITH noted AS (INSERT INTO sent SELECT * FROM unnest($1::bytea[], $2::bigint[])),"
            " put AS (INSERT INTO envelope SELECT * FROM"
            "  unnest($3::bigint[], $4::bigint[], $5::bytea[], $6::bigint[], $7::bigint[], $8::bytea[]))"
            " UPDATE mailbox SET last_seq = new.last_seq, waiting = new.waiting, size_b = new.size_b"
            " FROM unnest($9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[])"
            "  AS new (id, last_seq, waiting, size_b) WHERE mailbox.id = new.id",
            [deposit.dedupe_key for _, _, deposit in stored],
            [deposit.received_at_ms // 1000 + self._retention_s for _, _, deposit in stored],
            [mailbox.id for mailbox, _, _ in stored],
            [seq for _, seq, _ in stored],
            [deposit.envelope_id for _, _, deposit in stored],
            [deposit.received_at_ms for _, _, deposit in stored],
            [deposit.expires_at_ms for _, _, deposit in stored],
            [deposit.payload for _, _, deposit in stored],
            [mailbox.id for mailbox in changed],
            [mailbox.last_seq for mailbox in changed],
            [mailbox.waiting for mailbox in changed],
            [mailbox.size_b for mailbox in changed],
        )

    async def read(self, connection: Connection, reads: Sequence[ReadArgument]) -> Sequence[list[Envelope]]:
        """Give the oldest unexpired envelopes of mailboxes."""
        rows = await connection.fetch(
            "SELECT wish.position, found.seq, found.envelope_id, found.received_at_ms, found.payload"
            " FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[]) WITH ORDINALITY"
            "  AS wish (mailbox, after_seq, most, now_ms, position)"
            " CROSS JOIN LATERAL (SELECT * FROM envelope WHERE envelope.mailbox = wish.mailbox"
            "  AND seq > wish.after_seq AND expires_at_ms > wish.now_ms ORDER BY seq LIMIT wish.most) AS found"
            " ORDER BY wish.position, found.seq",
            *(list(column) for column in zip(*reads, strict=True)),
        )
        results: list[list[Envelope]] = [[] for _ in reads]
        for position, seq, name, at_ms, payload in rows:
            results[position - 1].append(Envelope(seq, EnvelopeId(name), at_ms, payload))
        return results

    async def discard(
        self, connection: Connection, discards: Sequence[tuple[int, Sequence[int]]]
    ) -> Sequence[None]:
        gone = [(mailbox, seq) for mailbox, seqs in discards for seq in seqs]
        rows = await connection.fetch(
            "WITH gone AS (DELETE FROM envelope USING unnest($1::bigint[], $2::bigint[]) AS old (mailbox, seq)"
            "  WHERE envelope.mailbox = old.mailbox AND envelope.seq = old.seq"
            "  RETURNING envelope.mailbox, envelope.seq, octet_length(envelope.payload) AS size_b),"
            " per AS (SELECT mailbox, count(*) AS n, sum(size_b)::bigint AS size_b, max(seq) AS seq"
            "  FROM gone GROUP BY mailbox)"
            " UPDATE mailbox SET waiting = waiting - per.n, size_b = mailbox.size_b - per.size_b,"
            "  acknowledged_seq = greatest(acknowledged_seq, per.seq)"
            " FROM per WHERE id = per.mailbox RETURNING id, waiting, mailbox.size_b",
            [mailbox for mailbox, _ in gone],
            [seq for _, seq in gone],
        )
        self._shrunk(rows)
        return [None] * len(discards)

    async def sweep(self, connection: Connection, now_ms: int, rounds: int) -> None:
        """Forget some of what has expired. A mailbox that another relay works on has its turn later."""
        rows = await connection.fetch(
            "WITH due AS MATERIALIZED (SELECT DISTINCT mailbox FROM (SELECT mailbox FROM envelope"
            "  WHERE expires_at_ms <= $1 ORDER BY expires_at_ms LIMIT $2) AS oldest),"
            " locked AS MATERIALIZED (SELECT id FROM mailbox WHERE id IN (SELECT mailbox FROM due)"
            "  ORDER BY id FOR UPDATE SKIP LOCKED),"
            " gone AS (DELETE FROM envelope WHERE mailbox IN (SELECT id FROM locked) AND expires_at_ms <= $1"
            "  RETURNING mailbox, octet_length(payload) AS size_b),"
            " per AS (SELECT mailbox, count(*) AS n, sum(size_b)::bigint AS size_b FROM gone GROUP BY mailbox)"
            " UPDATE mailbox SET waiting = waiting - per.n, size_b = mailbox.size_b - per.size_b"
            " FROM per WHERE id = per.mailbox RETURNING id, waiting, mailbox.size_b",
            now_ms,
            _SWEPT * rounds,
        )
        self._shrunk(rows)
        await connection.execute(
            "DELETE FROM sent WHERE dedupe_key IN (SELECT dedupe_key FROM sent WHERE forget_at_s <= $1"
            " ORDER BY forget_at_s LIMIT $2 FOR UPDATE SKIP LOCKED)",
            now_ms // 1000,
            _SWEPT * rounds,
        )

    def _shrunk(self, rows: Sequence[tuple[int, int, int]]) -> None:
        for id_, waiting, size_b in rows:
            if mailbox := self._locked.get(id_):
                mailbox.waiting, mailbox.size_b = waiting, size_b

    async def _resolve(self, connection: Connection, deposits: Sequence[Deposit]) -> None:
        unknown = {
            (deposit.uid, deposit.device)
            for deposit in deposits
            if (deposit.uid, deposit.device) not in self._ids
        }
        if not unknown:
            return
        if len(self._ids) + len(unknown) > _MAX_CACHED:
            self._ids.clear()
            unknown = {(deposit.uid, deposit.device) for deposit in deposits}
        rows = await connection.fetch(
            "SELECT uid, device.device, mailbox FROM unnest($1::bytea[], $2::bigint[]) AS wish (uid, device)"
            " JOIN account USING (uid) JOIN device ON device.account = account.id AND device.device = wish.device",
            [uid for uid, _ in unknown],
            [device for _, device in unknown],
        )
        for uid, device, mailbox in rows:
            self._ids[Uid(uid), device] = mailbox


async def _token_hashes(connection: Connection, deposits: Sequence[Deposit]) -> Mapping[Uid, bytes]:
    """Give what lets sealed envelopes in to the accounts that some of these deposits are for.

    Asked here, and not when the mailboxes are locked: it may have changed earlier in the same batch.
    """
    uids = {deposit.uid for deposit in deposits if deposit.delivery_token_hash is not None}
    if not uids:
        return {}
    rows = await connection.fetch(
        "SELECT uid, delivery_token_hash FROM account"
        " WHERE uid = ANY($1::bytea[]) AND NOT is_blocked AND delivery_token_hash IS NOT NULL",
        list(uids),
    )
    return {Uid(uid): token_hash for uid, token_hash in rows}
