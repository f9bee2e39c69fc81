"""Signed sets and one-time pairs on PostgreSQL. All of it runs inside a batch's transaction."""

from __future__ import annotations

from collections.abc import Sequence

from zap2.ids import Uid
from zap2.server.store.port import PrekeyState, PublishRefusal, StoredBundle
from zap2.server.store.postgres.batches import Connection


async def publish(
    db: Connection,
    mailbox: int,
    signed_set: tuple[int, bytes] | None,
    pairs: Sequence[tuple[int, bytes]],
    max_stock: int,
    withdraw_below: int,
) -> PrekeyState | PublishRefusal:
    """Keep a signed set (sid, bytes) and one-time pairs (oid, bytes), without older ones; all or nothing."""
    kept_set, highest_sid, highest_oid = await db.fetchrow(
        "SELECT signed_set, highest_sid, highest_oid FROM device WHERE mailbox = $1 FOR NO KEY UPDATE",
        mailbox,
    )
    stock = await _stock(db, mailbox, withdraw_below)
    fresh = {oid: pair for oid, pair in pairs if oid > highest_oid}
    if stock + len(fresh) > max_stock:
        return PublishRefusal.STOCK_FULL
    if signed_set is not None:
        sid, encoded = signed_set
        if sid < highest_sid or (sid == highest_sid and kept_set not in (None, encoded)):
            return PublishRefusal.SID_WENT_DOWN
        highest_sid = sid
        await db.execute(
            "UPDATE device SET signed_set = $1, highest_sid = $2 WHERE mailbox = $3", encoded, sid, mailbox
        )
    if withdraw_below:
        await db.execute("DELETE FROM pair WHERE mailbox = $1 AND oid < $2", mailbox, withdraw_below)
    if fresh:
        highest_oid = max(fresh)
        await db.execute(
            "INSERT INTO pair SELECT $1, * FROM unnest($2::bigint[], $3::bytea[])",
            mailbox,
            list(fresh),
            list(fresh.values()),
        )
        await db.execute("UPDATE device SET highest_oid = $1 WHERE mailbox = $2", highest_oid, mailbox)
    return PrekeyState(stock + len(fresh), highest_sid, highest_oid)


async def fetch(db: Connection, uid: Uid, device: int, with_pair: bool) -> StoredBundle | None:
    """Give a device's prekeys; a pair is given once and then forgotten."""
    row = await db.fetchrow(
        "SELECT document, document_signature, signed_set, mailbox FROM device"
        " JOIN account ON account.id = device.account WHERE uid = $1 AND device = $2",
        uid,
        device,
    )
    if row is None:
        return None
    document, document_signature, signed_set, mailbox = row
    pair: bytes | None = None
    if with_pair and signed_set is not None:
        # Past the pair that another relay is handing out at this moment.
        pair = await db.fetchval(
            "DELETE FROM pair WHERE mailbox = $1 AND oid = (SELECT oid FROM pair WHERE mailbox = $1"
            " ORDER BY oid LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING pair",
            mailbox,
        )
    stock = await _stock(db, mailbox)
    return StoredBundle(document, document_signature, signed_set, pair, mailbox, stock)


async def _stock(db: Connection, mailbox: int, lowest_oid: int = 0) -> int:
    stock = await db.fetchval(
        "SELECT count(*) FROM pair WHERE mailbox = $1 AND oid >= $2", mailbox, lowest_oid
    )
    return int(stock)
