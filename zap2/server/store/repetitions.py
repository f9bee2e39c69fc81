"""Which deposits were seen before, on SQLite. Everything here runs in the writer's thread, inside its transaction.

A dedupe key is random, so one index of all keys would dirty another page for each message, and that page's way
through the journal would cost more than the message itself. So keys are first appended to a table without an index
and kept in memory too, those of one batch in one row; when there are many, they are folded into the index together,
in its order.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

KEY_SIZE_B: Final = 16
_ASKED_AT_ONCE: Final = 64
_FOLDED_AT: Final = 20_000
"""Keys in memory (about 2 MB) at which they are folded into the index."""
_PARTS: Final = 4_096
"""Parts of the index, by the first 12 bits of the key; a sweep forgets what is over in one of them."""


class Repetitions:
    """The dedupe keys of one database."""

    def __init__(self) -> None:
        self._recent: set[bytes] | None = None
        self._swept_part = 0
        self._db: sqlite3.Connection

    def use(self, connection: sqlite3.Connection) -> None:
        """Work on this connection from now on."""
        self._db = connection
        self.forget()

    def forget(self) -> None:
        """Drop what is remembered, after a rollback; it is read again before it is next needed.

        A key that stayed here although its envelope was rolled back would make the next try a repetition, and
        the message would be lost.
        """
        self._recent = None

    def has(self, key: bytes) -> bool:
        """Tell whether a deposit with this key was seen."""
        return bool(self.known([key]))

    def known(self, keys: Sequence[bytes]) -> set[bytes]:
        """Give those of some keys that were seen."""
        known = self._loaded().intersection(keys)
        for start in range(0, len(keys), _ASKED_AT_ONCE):
            some = list(keys[start : start + _ASKED_AT_ONCE])
            # Few different statements, so that SQLite has them ready: the last key fills up.
            some += some[-1:] * ((1 << (len(some) - 1).bit_length()) - len(some))
            marks = ",".join("?" * len(some))
            rows = self._db.execute(f"SELECT dedupe_key FROM sent WHERE dedupe_key IN ({marks})", some)
            known.update(key for (key,) in rows)
        return known

    def add(self, keys: Sequence[bytes], forget_at_s: int) -> None:
        """Take note of keys that are not known, all to be forgotten at the same time."""
        self._db.execute(
            "INSERT INTO sent_recently (dedupe_key, forget_at_s) VALUES (?, ?)",
            (b"".join(keys), forget_at_s),
        )
        self._loaded().update(keys)

    def sweep(self, now_s: int) -> None:
        """Fold if it is time, and forget what is over in the next part; go round and round."""
        execute = self._db.execute
        recent = self._loaded()
        if len(recent) >= _FOLDED_AT or (self._swept_part == 0 and recent):
            execute(
                "WITH RECURSIVE part (id, at, key, forget_at_s) AS ("
                " SELECT id, 1, substr(dedupe_key, 1, 16), forget_at_s FROM sent_recently"
                " UNION ALL"
                " SELECT part.id, at + 16, substr(dedupe_key, at + 16, 16), part.forget_at_s"
                " FROM part JOIN sent_recently ON sent_recently.id = part.id WHERE length(dedupe_key) > at + 15"
                ") INSERT INTO sent SELECT key, forget_at_s FROM part ORDER BY key"
            )
            execute("DELETE FROM sent_recently")
            recent.clear()
        first = self._swept_part << 4
        self._swept_part = (self._swept_part + 1) % _PARTS
        execute(
            "DELETE FROM sent WHERE dedupe_key BETWEEN ? AND ? AND forget_at_s <= ?",
            (first.to_bytes(2, "big"), (first | 0xF).to_bytes(2, "big") + b"\xff" * 30, now_s),
        )

    def _loaded(self) -> set[bytes]:
        if self._recent is None:
            rows = self._db.execute("SELECT dedupe_key FROM sent_recently")
            self._recent = {
                keys[at : at + KEY_SIZE_B] for (keys,) in rows for at in range(0, len(keys), KEY_SIZE_B)
            }
        return self._recent
