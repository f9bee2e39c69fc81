"""Invites, PINs and what a host decides, on PostgreSQL. All of it runs inside a batch's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from zap2.ids import Uid
from zap2.server.store.members_port import PIN_LOCK_S, PIN_TRIES, Member, MemberUse, PinHash, Totals
from zap2.server.store.port import TooSoon, lost_number_key
from zap2.server.store.postgres.batches import Connection

_MEMBER: Final = "uid, active_day, is_listed, is_blocked, pin_hash IS NOT NULL, number_key"


async def put_invite(db: Connection, invite_hash: bytes, expires_at_ms: int) -> None:
    """Keep an invite that serves for one registration; `RelayStore.register` uses it up."""
    await db.execute(
        "INSERT INTO invite VALUES ($1, $2)"
        " ON CONFLICT (invite_hash) DO UPDATE SET expires_at_ms = excluded.expires_at_ms",
        invite_hash,
        expires_at_ms,
    )


async def has_invite(db: Connection, invite_hash: bytes, now_ms: int) -> bool:
    """Tell whether an invite is good, and leave it as it is."""
    return (
        await db.fetchval(
            "SELECT true FROM invite WHERE invite_hash = $1 AND expires_at_ms > $2", invite_hash, now_ms
        )
        is not None
    )


async def member(db: Connection, uid: Uid) -> Member | None:
    """Give what is known of an account."""
    return await _one(db, f"SELECT {_MEMBER} FROM account WHERE uid = $1", uid)


async def number_owner(db: Connection, number_key: bytes) -> Member | None:
    """Give the account that has a number, also one that others do not find."""
    return await _one(db, f"SELECT {_MEMBER} FROM account WHERE number_key = $1", number_key)


async def ticket_owner(db: Connection, ticket_hash: bytes, now_ms: int) -> Member | None:
    """Give the account that has the number of a ticket; None also if the ticket was used or is no longer good."""
    return await _one(
        db,
        f"SELECT {_MEMBER} FROM account JOIN ticket USING (number_key)"
        " WHERE ticket_hash = $1 AND expires_at_ms > $2 AND used_by IS NULL",
        ticket_hash,
        now_ms,
    )


async def mark_active(db: Connection, uid: Uid, day: int) -> None:
    """Take note that an account was used on a day."""
    await db.execute("UPDATE account SET active_day = $1 WHERE uid = $2 AND active_day < $1", day, uid)


async def set_listed(db: Connection, uid: Uid, is_listed: bool) -> bool:
    """Choose whether `RelayStore.find_number` finds an account; one that has no number stays as it is: False."""
    changed = await db.fetchval(
        "UPDATE account SET is_listed = $1 WHERE uid = $2 AND number_key <> $3 RETURNING true",
        is_listed,
        uid,
        lost_number_key(uid),
    )
    return changed is not None


async def set_blocked(db: Connection, uid: Uid, is_blocked: bool) -> bool:
    """Block an account or let it in again; tells whether there is such an account."""
    changed = await db.fetchval(
        "UPDATE account SET is_blocked = $1 WHERE uid = $2 RETURNING true", is_blocked, uid
    )
    return changed is not None


async def set_pin(db: Connection, uid: Uid, encoded: str | None) -> bool:
    """Keep the hash of a PIN, with all tries, or remove it; an account that has no number gets none: False."""
    changed = await db.fetchval(
        "UPDATE account SET pin_hash = $1, pin_tries = 0, pin_locked_until_ms = 0"
        " WHERE uid = $2 AND number_key <> $3 RETURNING true",
        encoded,
        uid,
        lost_number_key(uid),
    )
    return changed is not None


async def take_pin_try(db: Connection, uid: Uid, now_ms: int) -> PinHash | TooSoon | None:
    """Use up one try of an account's PIN before it is compared; None if there is no PIN."""
    row = await db.fetchrow(
        "SELECT pin_hash, pin_tries, pin_locked_until_ms FROM account WHERE uid = $1 FOR NO KEY UPDATE", uid
    )
    if row is None or row[0] is None:
        return None
    encoded, tries, locked_until_ms = row
    if now_ms < locked_until_ms:
        return TooSoon((locked_until_ms - now_ms) / 1000)
    tries += 1
    # The last try still counts; what comes after it has to wait.
    locked_until_ms = now_ms + PIN_LOCK_S * 1000 if tries >= PIN_TRIES else 0
    await db.execute(
        "UPDATE account SET pin_tries = $1, pin_locked_until_ms = $2 WHERE uid = $3",
        tries % PIN_TRIES,
        locked_until_ms,
        uid,
    )
    return PinHash(encoded)


async def set_quota(db: Connection, uid: Uid, max_messages: int | None, max_size_b: int | None) -> bool:
    """Give an account's mailboxes bounds of their own, or (None) the relay's; tells whether there is such one."""
    changed = await db.fetch(
        "UPDATE mailbox SET max_messages = $1, max_size_b = $2 WHERE id IN (SELECT device.mailbox FROM device"
        " JOIN account ON account.id = device.account WHERE uid = $3) RETURNING id",
        max_messages,
        max_size_b,
        uid,
    )
    return bool(changed)


async def totals(db: Connection, now_ms: int) -> Totals:
    """Count everything; takes time that grows with what is kept."""
    accounts, blocked = await db.fetchrow("SELECT count(*), count(*) FILTER (WHERE is_blocked) FROM account")
    envelopes, size_b = await db.fetchrow(
        "SELECT coalesce(sum(waiting), 0)::bigint, coalesce(sum(size_b), 0)::bigint FROM mailbox"
    )
    invites = await db.fetchval("SELECT count(*) FROM invite WHERE expires_at_ms > $1", now_ms)
    return Totals(accounts, blocked, envelopes, size_b, invites)


async def member_uses(db: Connection, after: Uid, limit: int) -> Sequence[MemberUse]:
    """List accounts in the order of their uids, those after one of them (empty: from the first)."""
    rows = await db.fetch(
        f"SELECT {_MEMBER}, coalesce(sum(waiting), 0)::bigint, coalesce(sum(size_b), 0)::bigint"
        " FROM (SELECT * FROM account WHERE uid > $1 ORDER BY uid LIMIT $2) AS account"
        " LEFT JOIN device ON device.account = account.id LEFT JOIN mailbox ON mailbox.id = device.mailbox"
        " GROUP BY account.id, uid, active_day, is_listed, is_blocked, pin_hash, number_key ORDER BY uid",
        after,
        limit,
    )
    return [MemberUse(_member(row), row[6], row[7]) for row in rows]


async def _one(db: Connection, query: str, *values: object) -> Member | None:
    row = await db.fetchrow(query, *values)
    return _member(row) if row else None


def _member(row: Sequence[Any]) -> Member:
    uid, active_day, is_listed, is_blocked, has_pin, number_key = row[:6]
    has_number = number_key != lost_number_key(Uid(uid))
    return Member(Uid(uid), active_day, is_listed, is_blocked, has_pin, has_number)
