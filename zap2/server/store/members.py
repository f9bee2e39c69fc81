"""Invites, PINs and what a host decides, on SQLite. All of it runs in the writer's thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, Final

from zap2.ids import Uid
from zap2.server.store.members_port import PIN_LOCK_S, PIN_TRIES, Member, MemberUse, PinHash, Totals
from zap2.server.store.port import TooSoon, lost_number_key
from zap2.server.store.schema import SEQ_BITS

_MEMBER: Final = "uid, active_day, is_listed, is_blocked, pin_hash IS NOT NULL, number_key"


class Members:
    """The part of a database that says who may be a member."""

    def __init__(self) -> None:
        self._db: sqlite3.Connection

    def use(self, connection: sqlite3.Connection) -> None:
        """Work on this connection from now on."""
        self._db = connection

    def put_invite(self, invite_hash: bytes, expires_at_ms: int) -> None:
        self._db.execute("INSERT OR REPLACE INTO invite VALUES (?, ?)", (invite_hash, expires_at_ms))

    def has_invite(self, invite_hash: bytes, now_ms: int) -> bool:
        return bool(
            self._db.execute(
                "SELECT 1 FROM invite WHERE invite_hash = ? AND expires_at_ms > ?", (invite_hash, now_ms)
            ).fetchone()
        )

    def member(self, uid: Uid) -> Member | None:
        return self._one(f"SELECT {_MEMBER} FROM account WHERE uid = ?", uid)

    def number_owner(self, number_key: bytes) -> Member | None:
        return self._one(f"SELECT {_MEMBER} FROM account WHERE number_key = ?", number_key)

    def ticket_owner(self, ticket_hash: bytes, now_ms: int) -> Member | None:
        return self._one(
            f"SELECT {_MEMBER} FROM account JOIN ticket USING (number_key)"
            " WHERE ticket_hash = ? AND expires_at_ms > ? AND used_by IS NULL",
            ticket_hash,
            now_ms,
        )

    def mark_active(self, uid: Uid, day: int) -> None:
        self._db.execute(
            "UPDATE account SET active_day = ? WHERE uid = ? AND active_day < ?", (day, uid, day)
        )

    def set_listed(self, uid: Uid, is_listed: bool) -> bool:
        changed = self._db.execute(
            "UPDATE account SET is_listed = ? WHERE uid = ? AND number_key <> ?",
            (is_listed, uid, lost_number_key(uid)),
        )
        return changed.rowcount > 0

    def set_blocked(self, uid: Uid, is_blocked: bool) -> bool:
        changed = self._db.execute("UPDATE account SET is_blocked = ? WHERE uid = ?", (is_blocked, uid))
        return changed.rowcount > 0

    def set_pin(self, uid: Uid, encoded: str | None) -> bool:
        changed = self._db.execute(
            "UPDATE account SET pin_hash = ?, pin_tries = 0, pin_locked_until_ms = 0"
            " WHERE uid = ? AND number_key <> ?",
            (encoded, uid, lost_number_key(uid)),
        )
        return changed.rowcount > 0

    def take_pin_try(self, uid: Uid, now_ms: int) -> PinHash | TooSoon | None:
        row = self._db.execute(
            "SELECT pin_hash, pin_tries, pin_locked_until_ms FROM account WHERE uid = ?", (uid,)
        ).fetchone()
        if row is None or row[0] is None:
            return None
        encoded, tries, locked_until_ms = row
        if now_ms < locked_until_ms:
            return TooSoon((locked_until_ms - now_ms) / 1000)
        tries += 1
        # The last try still counts; what comes after it has to wait.
        locked_until_ms = now_ms + PIN_LOCK_S * 1000 if tries >= PIN_TRIES else 0
        self._db.execute(
            "UPDATE account SET pin_tries = ?, pin_locked_until_ms = ? WHERE uid = ?",
            (tries % PIN_TRIES, locked_until_ms, uid),
        )
        return PinHash(encoded)

    def set_quota(self, uid: Uid, max_messages: int | None, max_size_b: int | None) -> bool:
        changed = self._db.execute(
            "UPDATE mailbox SET max_messages = ?, max_size_b = ? WHERE id IN"
            " (SELECT mailbox FROM device JOIN account ON account.id = device.account WHERE uid = ?)",
            (max_messages, max_size_b, uid),
        )
        return changed.rowcount > 0

    def totals(self, now_ms: int) -> Totals:
        accounts, blocked = self._db.execute(
            "SELECT count(*), coalesce(sum(is_blocked), 0) FROM account"
        ).fetchone()
        envelopes, size_b = self._db.execute(
            "SELECT count(*), coalesce(sum(length(payload)), 0) FROM envelope"
        ).fetchone()
        (invites,) = self._db.execute(
            "SELECT count(*) FROM invite WHERE expires_at_ms > ?", (now_ms,)
        ).fetchone()
        return Totals(accounts, blocked, envelopes, size_b, invites)

    def member_uses(self, after: Uid, limit: int) -> Sequence[MemberUse]:
        rows = self._db.execute(
            f"SELECT {_MEMBER}, count(envelope.id), coalesce(sum(length(payload)), 0)"
            " FROM (SELECT * FROM account WHERE uid > ? ORDER BY uid LIMIT ?) AS account"
            " LEFT JOIN device ON device.account = account.id"
            " LEFT JOIN envelope ON envelope.id BETWEEN device.mailbox << ? AND ((device.mailbox + 1) << ?) - 1"
            " GROUP BY account.id ORDER BY uid",
            (after, limit, SEQ_BITS, SEQ_BITS),
        )
        return [MemberUse(_member(row[:6]), row[6], row[7]) for row in rows]

    def sweep(self, now_ms: int) -> None:
        """Forget invites that nobody can use any more."""
        self._db.execute("DELETE FROM invite WHERE expires_at_ms <= ?", (now_ms,))

    def _one(self, query: str, *values: object) -> Member | None:
        row = self._db.execute(query, values).fetchone()
        return _member(row) if row else None


def _member(row: Sequence[Any]) -> Member:
    uid, active_day, is_listed, is_blocked, has_pin, number_key = row
    has_number = number_key != lost_number_key(Uid(uid))
    return Member(Uid(uid), active_day, bool(is_listed), bool(is_blocked), bool(has_pin), has_number)
