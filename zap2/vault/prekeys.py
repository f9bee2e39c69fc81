"""Our own prekeys with their secrets."""

from __future__ import annotations

from collections.abc import Iterable

from zap2.vault.rows import SignedPrekeyRow
from zap2.vault.sql import Connection


class PrekeyStore:
    """Signed sets by `sid` and one-time pairs by `oid`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def signed_sets(self) -> list[SignedPrekeyRow]:
        """Give the signed sets that are still kept, newest first."""
        rows = self._connection.execute(
            "SELECT sid, secrets, created_at_ms, is_published FROM signed_prekey ORDER BY sid DESC"
        )
        return [SignedPrekeyRow(row[0], row[1], row[2], bool(row[3])) for row in rows]

    def add_signed_set(self, sid: int, secrets: bytes, created_at_ms: int) -> None:
        """Keep a new signed set; publish it next."""
        self._connection.execute(
            "INSERT INTO signed_prekey (sid, secrets, created_at_ms) VALUES (?, ?, ?)",
            (sid, secrets, created_at_ms),
        )

    def mark_signed_set_published(self, sid: int) -> None:
        """Record that a signed set is where others find it."""
        self._connection.execute("UPDATE signed_prekey SET is_published = 1 WHERE sid = ?", (sid,))

    def remove_signed_set(self, sid: int) -> None:
        """Forget a signed set, and the set-ups that were remembered for its sake."""
        self._connection.execute("DELETE FROM signed_prekey WHERE sid = ?", (sid,))
        self._connection.execute("DELETE FROM seen_setup WHERE sid = ?", (sid,))

    def one_time_secrets(self, oid: int) -> bytes | None:
        """Give the secrets of a pair that was not used yet."""
        row = self._connection.execute("SELECT secrets FROM one_time_prekey WHERE oid = ?", (oid,)).fetchone()
        return None if row is None else bytes(row[0])

    def add_one_time(self, pairs: Iterable[tuple[int, bytes]], created_at_ms: int) -> None:
        """Keep new pairs of (oid, secrets); publish them next."""
        self._connection.executemany(
            "INSERT INTO one_time_prekey (oid, secrets, created_at_ms) VALUES (?, ?, ?)",
            [(oid, secrets, created_at_ms) for oid, secrets in pairs],
        )

    def unpublished_one_time(self, limit: int) -> list[tuple[int, bytes]]:
        """Give up to `limit` pairs (oid, secrets) that were not confirmed as published, oldest first."""
        rows = self._connection.execute(
            "SELECT oid, secrets FROM one_time_prekey WHERE NOT is_published ORDER BY oid LIMIT ?", (limit,)
        )
        return [(row[0], bytes(row[1])) for row in rows]

    def mark_one_time_published(self, oids: Iterable[int]) -> None:
        """Record that pairs are where others find them."""
        self._connection.executemany(
            "UPDATE one_time_prekey SET is_published = 1 WHERE oid = ?", [(oid,) for oid in oids]
        )

    def mark_one_time_published_up_to(self, oid: int) -> None:
        """Record that nothing more can be published under the numbers up to this one."""
        self._connection.execute("UPDATE one_time_prekey SET is_published = 1 WHERE oid <= ?", (oid,))

    def remove_one_time(self, oid: int) -> None:
        """Forget a pair: in the transaction that stores the first message decrypted with it, never before."""
        self._connection.execute("DELETE FROM one_time_prekey WHERE oid = ?", (oid,))

    def count_one_time(self) -> int:
        """Count the pairs that were not used yet."""
        return int(self._connection.execute("SELECT count(*) FROM one_time_prekey").fetchone()[0])

    def count_unpublished(self) -> int:
        """Count what others cannot find yet: one-time pairs, and the newest signed set."""
        newest = self.signed_sets()[:1]
        return self.count_unpublished_one_time() + sum(not row.is_published for row in newest)

    def count_unpublished_one_time(self) -> int:
        """Count the pairs that were not confirmed as published."""
        sql = "SELECT count(*) FROM one_time_prekey WHERE NOT is_published"
        return int(self._connection.execute(sql).fetchone()[0])

    def count_one_time_since(self, at_ms: int) -> int:
        """Count the pairs made since a time that were not used yet."""
        sql = "SELECT count(*) FROM one_time_prekey WHERE created_at_ms > ?"
        return int(self._connection.execute(sql, (at_ms,)).fetchone()[0])

    def trim_one_time(self, keep: int, made_before_ms: int) -> None:
        """Forget pairs beyond the newest `keep` that were made before a time: handed out long ago and never used."""
        self._connection.execute(
            "DELETE FROM one_time_prekey WHERE created_at_ms < ? AND oid NOT IN"
            " (SELECT oid FROM one_time_prekey ORDER BY oid DESC LIMIT ?)",
            (made_before_ms, keep),
        )
