"""The people that this profile knows."""

from __future__ import annotations

from typing import Final

from zap2.ids import Uid
from zap2.vault.rows import ContactRow
from zap2.vault.sql import Connection, Row, Value

_COLUMNS: Final = (
    "uid, state, trust, document, document_signature, own_name, profile_name, number, claimed_number, added_at_ms,"
    " lowest_sid, next_sequence, is_profile_acknowledged"
)


class ContactStore:
    """One row a person, keyed by uid."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, uid: Uid) -> ContactRow | None:
        """Give one contact."""
        sql = f"SELECT {_COLUMNS} FROM contact WHERE uid = ?"
        row = self._connection.execute(sql, (uid,)).fetchone()
        return None if row is None else _contact(row)

    def by_number(self, number: str) -> ContactRow | None:
        """Give the contact to whom the directory confirmed this E.164 number."""
        sql = f"SELECT {_COLUMNS} FROM contact WHERE number = ?"
        row = self._connection.execute(sql, (number,)).fetchone()
        return None if row is None else _contact(row)

    def all(self) -> list[ContactRow]:
        """Give every contact."""
        sql = f"SELECT {_COLUMNS} FROM contact"
        return [_contact(row) for row in self._connection.execute(sql)]

    def with_open_claim(self) -> list[ContactRow]:
        """Give the contacts whose claimed number the directory has not confirmed yet."""
        sql = f"SELECT {_COLUMNS} FROM contact WHERE claimed_number IS NOT NULL"
        return [_contact(row) for row in self._connection.execute(sql)]

    def add(self, uid: Uid, *, state: str, trust: str, added_at_ms: int) -> None:
        """Add a contact that is not there yet."""
        self._connection.execute(
            "INSERT INTO contact (uid, state, trust, added_at_ms) VALUES (?, ?, ?, ?)",
            (uid, state, trust, added_at_ms),
        )

    def set_state(self, uid: Uid, state: str) -> None:
        """Record request, accepted or blocked."""
        self._set(uid, "state", state)

    def set_trust(self, uid: Uid, trust: str) -> None:
        """Record first-use or verified."""
        self._set(uid, "trust", trust)

    def set_identity(self, uid: Uid, document: bytes, signature: bytes) -> None:
        """Keep the identity document that hashes to this uid."""
        self._set(uid, "document", document)
        self._set(uid, "document_signature", signature)

    def set_own_name(self, uid: Uid, name: str) -> None:
        """Record the name that the person at this keyboard gives a contact."""
        self._set(uid, "own_name", name)

    def set_profile_name(self, uid: Uid, name: str) -> None:
        """Record the name that a contact chose."""
        self._set(uid, "profile_name", name)

    def claim_number(self, uid: Uid, number: str | None) -> None:
        """Record a number that a contact claims, or that the claim is settled."""
        self._set(uid, "claimed_number", number)

    def confirm_number(self, uid: Uid, number: str) -> None:
        """Record a number that the directory maps to this uid; nobody else keeps it."""
        self._connection.execute("UPDATE contact SET number = NULL WHERE number = ?", (number,))
        self._set(uid, "number", number)
        self._set(uid, "claimed_number", None)

    def raise_lowest_sid(self, uid: Uid, sid: int) -> None:
        """Remember the highest signed set seen of a contact; it never goes down."""
        self._connection.execute(
            "UPDATE contact SET lowest_sid = max(lowest_sid, ?) WHERE uid = ?", (sid, uid)
        )

    def acknowledge_profile(self, uid: Uid) -> None:
        """Record that a contact holds our profile."""
        self._set(uid, "is_profile_acknowledged", 1)

    def take_sequence(self, uid: Uid) -> int:
        """Give the number of the next own message to this contact and count it."""
        row = self._connection.execute(
            "UPDATE contact SET next_sequence = next_sequence + 1 WHERE uid = ? RETURNING next_sequence - 1",
            (uid,),
        ).fetchone()
        return int(row[0])

    def _set(self, uid: Uid, column: str, value: Value) -> None:
        sql = f"UPDATE contact SET {column} = ? WHERE uid = ?"
        self._connection.execute(sql, (value, uid))


def _contact(row: Row) -> ContactRow:
    return ContactRow(*(*row[:-1], bool(row[-1])))
