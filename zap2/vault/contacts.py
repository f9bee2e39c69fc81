"""The people that this profile knows."""

from __future__ import annotations

from typing import Final

from zap2.ids import Uid
from zap2.vault.rows import ContactRow
from zap2.vault.sql import Connection, Row, Value

_COLUMNS: Final = (
    "uid, state, trust, document, document_signature, own_name, profile_name, number, claimed_number, added_at_ms,"
    " lowest_sid, next_sequence, is_profile_acknowledged, session_state, has_moved,"
    " claim_count, gap_since_ms, gap_asked_for, delivery_token, delivery_token_made_at_ms,"
    " own_token_state, own_token_since"
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
        self._set(uid, "has_moved", 0)
        self._set(uid, "claimed_number", None)

    def drop_number(self, uid: Uid) -> None:
        """Forget a contact's number: it belongs to another account now."""
        self._set(uid, "number", None)

    def raise_lowest_sid(self, uid: Uid, sid: int) -> None:
        """Remember the highest signed set seen of a contact; it never goes down."""
        self._connection.execute(
            "UPDATE contact SET lowest_sid = max(lowest_sid, ?) WHERE uid = ?", (sid, uid)
        )

    def acknowledge_profile(self, uid: Uid) -> None:
        """Record that a contact holds our profile."""
        self._set(uid, "is_profile_acknowledged", 1)

    def set_delivery_token(self, uid: Uid, token: bytes, made_at_ms: int) -> None:
        """Keep the token that lets us into a contact's mailbox."""
        self._set(uid, "delivery_token", token)
        self._set(uid, "delivery_token_made_at_ms", made_at_ms)

    def forget_delivery_token(self, uid: Uid) -> None:
        """Forget that token, and not when it was made."""
        self._set(uid, "delivery_token", None)

    def set_own_token_state(self, uid: Uid, state: str, *, since: int = 0) -> None:
        """Record whether a contact has our delivery token, and from which own text on a receipt confirms it."""
        self._set(uid, "own_token_state", state)
        self._set(uid, "own_token_since", since)

    def outdate_own_token(self) -> None:
        """Record that our delivery token was renewed: whoever may have one has an old one."""
        self._connection.execute(
            "UPDATE contact SET own_token_state = 'stale' WHERE own_token_state IN ('given', 'confirmed')"
        )

    def doubt_own_token(self) -> None:
        """Record that contacts may have lost our delivery token: only receipts for later texts confirm it again."""
        self._connection.execute(
            "UPDATE contact SET own_token_state = 'given', own_token_since = next_sequence"
            " WHERE own_token_state IN ('given', 'confirmed')"
        )

    def with_own_token_state(self, state: str) -> list[ContactRow]:
        """Give everybody who is in a state of knowing our delivery token."""
        sql = f"SELECT {_COLUMNS} FROM contact WHERE own_token_state = ?"
        return [_contact(row) for row in self._connection.execute(sql, (state,))]

    def set_session_state(self, uid: Uid, state: str) -> None:
        """Record fine, suspect, repairing, repaired or broken."""
        self._set(uid, "session_state", state)

    def with_session_state(self, state: str) -> list[Uid]:
        """Give everybody whose session is in a state."""
        rows = self._connection.execute("SELECT uid FROM contact WHERE session_state = ?", (state,))
        return [Uid(row[0]) for row in rows]

    def set_moved(self, uid: Uid, *, has_moved: bool) -> None:
        """Record that a contact's number belongs to another account now, or that the person knows and goes on."""
        self._set(uid, "has_moved", has_moved)

    def set_gap_since(self, uid: Uid, at_ms: int | None) -> None:
        """Remember since when a contact's messages are incomplete; None forgets it."""
        self._set(uid, "gap_since_ms", at_ms)

    def with_gap(self) -> list[ContactRow]:
        """Give the contacts whose messages are incomplete."""
        sql = f"SELECT {_COLUMNS} FROM contact WHERE gap_since_ms IS NOT NULL"
        return [_contact(row) for row in self._connection.execute(sql)]

    def ask_for_gap(self, uid: Uid, sequence: int) -> None:
        """Remember that a missing message was asked for, so that it is asked for once."""
        self._set(uid, "gap_asked_for", sequence)

    def skip_sequences(self, uid: Uid, next_sequence: int) -> None:
        """See to it that own messages are numbered from `next_sequence` on at least."""
        self._connection.execute(
            "UPDATE contact SET next_sequence = max(next_sequence, ?) WHERE uid = ?", (next_sequence, uid)
        )

    def record_repair(self, uid: Uid, at_ms: int, *, is_own: bool = True) -> None:
        """Remember that a repair was begun, by this side or by the other one."""
        self._connection.execute(
            "INSERT INTO repair (peer, at_ms, is_own) VALUES (?, ?, ?)", (uid, at_ms, is_own)
        )

    def count_repairs(self, uid: Uid, since_ms: int, *, is_own: bool = True) -> int:
        """Count the repairs that one side began since a time."""
        sql = "SELECT count(*) FROM repair WHERE peer = ? AND at_ms > ? AND is_own = ?"
        return int(self._connection.execute(sql, (uid, since_ms, is_own)).fetchone()[0])

    def count_requests(self) -> int:
        """Count the strangers who have not been accepted."""
        return int(
            self._connection.execute("SELECT count(*) FROM contact WHERE state = 'request'").fetchone()[0]
        )

    def count_claim(self, uid: Uid) -> None:
        """Count a claim of a number that the directory was asked about."""
        self._connection.execute("UPDATE contact SET claim_count = claim_count + 1 WHERE uid = ?", (uid,))

    def forget_repairs_before(self, at_ms: int) -> None:
        """Forget repairs that no limit looks at any more."""
        self._connection.execute("DELETE FROM repair WHERE at_ms <= ?", (at_ms,))

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
    fields, (is_profile_acknowledged, session_state, has_moved), rest = row[:12], row[12:15], row[15:]
    return ContactRow(*(*fields, bool(is_profile_acknowledged), session_state, bool(has_moved), *rest))
