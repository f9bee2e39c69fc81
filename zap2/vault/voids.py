"""Numbers of texts that stay empty: nobody is to wait for them, or to be shown that they are missing."""

from __future__ import annotations

from typing import Final

from zap2.ids import ConversationId, Uid
from zap2.vault.sql import Connection

MAX_RANGES: Final = 1000
"""Of one author; further ones are passed over."""


class VoidStore:
    """Ranges of an author's sequences, from `first` up to and not including `end`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, conversation: ConversationId, author: Uid, first: int, end: int) -> None:
        """Keep a range; it lengthens one that ends where it begins, or begins where it does."""
        lengthened = self._connection.execute(
            "UPDATE void_range SET stop = ? WHERE conversation = ? AND author = ? AND stop = ? AND told_since IS NULL",
            (end, conversation, author, first),
        )
        if lengthened.rowcount:
            return
        count = self._connection.execute(
            "SELECT count(*) FROM void_range WHERE conversation = ? AND author = ?", (conversation, author)
        ).fetchone()[0]
        if count < MAX_RANGES:
            self._connection.execute(
                "INSERT INTO void_range (conversation, author, first, stop) VALUES (?, ?, ?, ?)"
                " ON CONFLICT DO UPDATE SET stop = max(stop, excluded.stop)",
                (conversation, author, first, end),
            )

    def remove(self, conversation: ConversationId, author: Uid, first: int) -> None:
        """Forget a range: its number is used after all, or whoever had to know of it does."""
        self._connection.execute(
            "DELETE FROM void_range WHERE conversation = ? AND author = ? AND first = ?",
            (conversation, author, first),
        )

    def end_of(self, conversation: ConversationId, author: Uid, sequence: int) -> int | None:
        """Give the end of a range that holds a number; None when none does."""
        row = self._connection.execute(
            "SELECT max(stop) FROM void_range WHERE conversation = ? AND author = ? AND first <= ? AND stop > ?",
            (conversation, author, sequence, sequence),
        ).fetchone()
        return None if row[0] is None else int(row[0])

    def count_within(self, conversation: ConversationId, author: Uid, first: int, end: int) -> int:
        """Count the numbers from `first` up to and not including `end` that stay empty."""
        count, at = 0, first
        for start, stop in self._connection.execute(
            "SELECT first, stop FROM void_range WHERE conversation = ? AND author = ? AND first < ? AND stop > ?"
            " ORDER BY first",
            (conversation, author, end, first),
        ):
            count += max(0, min(stop, end) - max(start, at))
            at = max(at, min(stop, end))
        return count

    def of_author(
        self, conversation: ConversationId, author: Uid, limit: int
    ) -> list[tuple[int, int, int | None]]:
        """Give ranges as (first, end, told_since), the lowest first."""
        rows = self._connection.execute(
            "SELECT first, stop, told_since FROM void_range WHERE conversation = ? AND author = ?"
            " ORDER BY first LIMIT ?",
            (conversation, author, limit),
        )
        return [(row[0], row[1], row[2]) for row in rows]

    def tell(self, conversation: ConversationId, author: Uid, first: int, since: int) -> None:
        """Remember that a range went with a message; a receipt for a text from `since` on confirms it."""
        self._connection.execute(
            "UPDATE void_range SET told_since = ? WHERE conversation = ? AND author = ? AND first = ?",
            (since, conversation, author, first),
        )

    def confirm(self, conversation: ConversationId, author: Uid, sequence: int) -> None:
        """Forget the ranges that went with a text which its reader has."""
        self._connection.execute(
            "DELETE FROM void_range WHERE conversation = ? AND author = ? AND told_since <= ?",
            (conversation, author, sequence),
        )
