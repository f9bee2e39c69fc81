"""Signed sets and one-time pairs on SQLite. All of it runs in the writer's thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from zap2.ids import Uid
from zap2.server.store.port import PrekeyState, PublishRefusal, StoredBundle


class Prekeys:
    """The part of a database that strangers fetch from."""

    def __init__(self) -> None:
        self._db: sqlite3.Connection

    def use(self, connection: sqlite3.Connection) -> None:
        """Work on this connection from now on."""
        self._db = connection

    def publish(
        self,
        mailbox: int,
        signed_set: tuple[int, bytes] | None,
        pairs: Sequence[tuple[int, bytes]],
        max_stock: int,
        withdraw_below: int,
    ) -> PrekeyState | PublishRefusal:
        kept_set, highest_sid, highest_oid = self._db.execute(
            "SELECT signed_set, highest_sid, highest_oid FROM device WHERE mailbox = ?", (mailbox,)
        ).fetchone()
        stock = self._stock(mailbox, withdraw_below)
        fresh = {oid: pair for oid, pair in pairs if oid > highest_oid}
        if stock + len(fresh) > max_stock:
            return PublishRefusal.STOCK_FULL
        if signed_set is not None:
            sid, encoded = signed_set
            if sid < highest_sid or (sid == highest_sid and kept_set not in (None, encoded)):
                return PublishRefusal.SID_WENT_DOWN
            highest_sid = sid
            self._db.execute(
                "UPDATE device SET signed_set = ?, highest_sid = ? WHERE mailbox = ?",
                (encoded, sid, mailbox),
            )
        if withdraw_below:
            self._db.execute("DELETE FROM pair WHERE mailbox = ? AND oid < ?", (mailbox, withdraw_below))
        if fresh:
            highest_oid = max(fresh)
            self._db.executemany(
                "INSERT INTO pair VALUES (?, ?, ?)", [(mailbox, oid, pair) for oid, pair in fresh.items()]
            )
            self._db.execute("UPDATE device SET highest_oid = ? WHERE mailbox = ?", (highest_oid, mailbox))
        return PrekeyState(stock + len(fresh), highest_sid, highest_oid)

    def fetch(self, uid: Uid, device: int, with_pair: bool) -> StoredBundle | None:
        row = self._db.execute(
            "SELECT document, document_signature, signed_set, mailbox FROM device"
            " JOIN account ON account.id = device.account WHERE uid = ? AND device = ?",
            (uid, device),
        ).fetchone()
        if row is None:
            return None
        document, document_signature, signed_set, mailbox = row
        pair: bytes | None = None
        if with_pair and signed_set is not None:
            taken = self._db.execute(
                "DELETE FROM pair WHERE rowid = (SELECT rowid FROM pair WHERE mailbox = ? ORDER BY oid LIMIT 1)"
                " RETURNING pair",
                (mailbox,),
            ).fetchone()
            pair = taken[0] if taken else None
        return StoredBundle(document, document_signature, signed_set, pair, mailbox, self._stock(mailbox))

    def _stock(self, mailbox: int, lowest_oid: int = 0) -> int:
        (stock,) = self._db.execute(
            "SELECT count(*) FROM pair WHERE mailbox = ? AND oid >= ?", (mailbox, lowest_oid)
        ).fetchone()
        return int(stock)
