"""Accounts, numbers, codes, tickets and tokens on PostgreSQL. All of it runs inside a batch's transaction."""

from __future__ import annotations

import hmac
from typing import Final

from zap2.ids import Uid
from zap2.server.store.port import (
    Admission,
    CodeCheck,
    CodePolicy,
    CodeStarted,
    Device,
    NewAccount,
    PrekeyState,
    Registration,
    TokenOwner,
    TookOver,
    TooSoon,
    lost_number_key,
)
from zap2.server.store.postgres.batches import Connection

_DAY_MS: Final = 24 * 3600 * 1000
_FORGET_CODES_AFTER_MS: Final = _DAY_MS
_MAX_RESEND_AFTER_S: Final = 3_600
_TOKENS_PER_DEVICE: Final = 8
_TOKEN_GRACE_MS: Final = 3_600 * 1000
"""How long an expired token is told apart from an unknown one."""

# --------------------------------------------------------------------------------------------------- numbers


async def start_code(
    db: Connection, number_key: bytes, code_hash: bytes, policy: CodePolicy, now_ms: int
) -> CodeStarted | TooSoon:
    """Keep a new code for a number, in place of an older one."""
    row = await db.fetchrow(
        "SELECT sends, next_send_at_ms FROM code WHERE number_key = $1 AND forget_at_ms > $2 FOR UPDATE",
        number_key,
        now_ms,
    )
    sends, next_send_at_ms = row or (0, 0)
    if now_ms < next_send_at_ms:
        return TooSoon((next_send_at_ms - now_ms) / 1000)
    resend_after_s = min(policy.resend_after_s * 2 ** min(sends, 16), _MAX_RESEND_AFTER_S)
    await db.execute(
        "INSERT INTO code VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (number_key) DO UPDATE"
        " SET code_hash = excluded.code_hash, expires_at_ms = excluded.expires_at_ms,"
        " tries_left = excluded.tries_left, sends = excluded.sends,"
        " next_send_at_ms = excluded.next_send_at_ms, forget_at_ms = excluded.forget_at_ms",
        number_key,
        code_hash,
        now_ms + policy.ttl_s * 1000,
        policy.tries,
        sends + 1,
        now_ms + resend_after_s * 1000,
        now_ms + _FORGET_CODES_AFTER_MS,
    )
    return CodeStarted(resend_after_s)


async def check_code(db: Connection, number_key: bytes, code_hash: bytes, now_ms: int) -> CodeCheck:
    """Use up one try."""
    row = await db.fetchrow(
        "SELECT code_hash, expires_at_ms, tries_left FROM code WHERE number_key = $1 FOR UPDATE", number_key
    )
    if row is None or row[0] is None or row[1] <= now_ms:
        return CodeCheck.EXPIRED
    expected, _, tries_left = row
    if tries_left <= 0:
        return CodeCheck.TOO_MANY_TRIES
    if hmac.compare_digest(expected, code_hash):
        await db.execute("UPDATE code SET code_hash = NULL WHERE number_key = $1", number_key)
        return CodeCheck.RIGHT
    await db.execute("UPDATE code SET tries_left = tries_left - 1 WHERE number_key = $1", number_key)
    return CodeCheck.WRONG


async def find_number(db: Connection, number_key: bytes) -> Uid | None:
    """Give the account that has a number, unless it is unlisted or blocked."""
    uid = await db.fetchval(
        "SELECT uid FROM account WHERE number_key = $1 AND is_listed AND NOT is_blocked", number_key
    )
    return None if uid is None else Uid(uid)


async def put_ticket(db: Connection, ticket_hash: bytes, number_key: bytes, expires_at_ms: int) -> None:
    """Keep a ticket that allows one registration of a number."""
    await db.execute("INSERT INTO ticket VALUES ($1, $2, $3, NULL)", ticket_hash, number_key, expires_at_ms)


# -------------------------------------------------------------------------------------------------- accounts


async def register(
    db: Connection, ticket_hash: bytes, account: NewAccount, now_ms: int, admission: Admission
) -> Registration | TookOver:
    """Make an account with a ticket's number; again with the same ticket and document does nothing."""
    row = await db.fetchrow(
        "SELECT number_key, used_by FROM ticket WHERE ticket_hash = $1 AND expires_at_ms > $2 FOR UPDATE",
        ticket_hash,
        now_ms,
    )
    if row is None:
        return Registration.TICKET_INVALID
    number_key, used_by = row
    if used_by is not None:
        return Registration.DONE if used_by == account.uid else Registration.TICKET_INVALID
    if admission.invite_hash is not None and not await _is_good(db, admission.invite_hash, now_ms):
        return Registration.INVITE_INVALID
    owner, is_blocked = await _owner(db, number_key, account.uid)
    if is_blocked:
        return Registration.ACCOUNT_BLOCKED
    if owner not in (None, account.uid, admission.replaces):
        return Registration.NUMBER_TAKEN
    former = None if owner == account.uid else owner
    if former is not None:
        await db.execute(
            "UPDATE account SET number_key = $1, pin_hash = NULL WHERE uid = $2",
            lost_number_key(former),
            former,
        )
    # The same identity with another number: the person changed it.
    account_id = await db.fetchval(
        "INSERT INTO account (uid, document, document_signature, number_key, active_day, pin_hash)"
        " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (uid) DO UPDATE"
        " SET number_key = excluded.number_key, active_day = excluded.active_day,"
        " pin_hash = coalesce(excluded.pin_hash, account.pin_hash) RETURNING id",
        account.uid,
        account.document,
        account.document_signature,
        number_key,
        now_ms // _DAY_MS,
        None if former is None else admission.pin,
    )
    await db.execute(
        "WITH made AS (INSERT INTO device (account, device) VALUES ($1, $2)"
        " ON CONFLICT (account, device) DO NOTHING RETURNING mailbox)"
        " INSERT INTO mailbox (id) SELECT mailbox FROM made",
        account_id,
        account.device,
    )
    await db.execute("UPDATE ticket SET used_by = $1 WHERE ticket_hash = $2", account.uid, ticket_hash)
    if admission.invite_hash is not None:
        await db.execute("DELETE FROM invite WHERE invite_hash = $1", admission.invite_hash)
    if former is None:
        return Registration.DONE
    await _inherit(db, account.uid, former)
    return TookOver(former)


async def _inherit(db: Connection, heir: Uid, former: Uid) -> None:
    """Have what was decided about the one account hold for the other one."""
    await db.execute(
        "UPDATE account SET is_listed = is_listed AND (SELECT is_listed FROM account WHERE uid = $1) WHERE uid = $2",
        former,
        heir,
    )
    await db.execute(
        "UPDATE mailbox SET max_messages = coalesce(old.max_messages, mailbox.max_messages),"
        " max_size_b = coalesce(old.max_size_b, mailbox.max_size_b) FROM"
        " (SELECT max_messages, max_size_b FROM mailbox JOIN device ON device.mailbox = mailbox.id"
        " JOIN account ON account.id = device.account WHERE uid = $1 LIMIT 1) AS old WHERE id IN"
        " (SELECT device.mailbox FROM device JOIN account ON account.id = device.account WHERE uid = $2)",
        former,
        heir,
    )


async def device(db: Connection, uid: Uid, device: int) -> Device | None:
    """Give what is kept of a device."""
    row = await db.fetchrow(
        "SELECT device.mailbox, document, document_signature,"
        " (SELECT count(*) FROM pair WHERE pair.mailbox = device.mailbox), highest_sid, highest_oid,"
        " acknowledged_seq, delivery_token_hash FROM device JOIN account ON account.id = device.account"
        " JOIN mailbox ON mailbox.id = device.mailbox WHERE uid = $1 AND device = $2",
        uid,
        device,
    )
    if row is None:
        return None
    mailbox, document, document_signature, *prekeys, acknowledged, token_hash = row
    return Device(mailbox, document, document_signature, PrekeyState(*prekeys), acknowledged, token_hash)


async def set_delivery_token(db: Connection, uid: Uid, token_hash: bytes | None) -> None:
    """Keep the hash of an account's delivery token, or none."""
    await db.execute("UPDATE account SET delivery_token_hash = $1 WHERE uid = $2", token_hash, uid)


async def _owner(db: Connection, number_key: bytes, asking: Uid) -> tuple[Uid | None, bool]:
    """Give whose a number is, and whether that account or the one that asks for it is blocked; both stay so."""
    rows = await db.fetch(
        "SELECT uid, number_key = $1, is_blocked FROM account WHERE number_key = $1 OR uid = $2"
        " ORDER BY uid FOR NO KEY UPDATE",
        number_key,
        asking,
    )
    owner = next((Uid(uid) for uid, has_it, _ in rows if has_it), None)
    return owner, any(is_blocked for _, _, is_blocked in rows)


async def _is_good(db: Connection, invite_hash: bytes, now_ms: int) -> bool:
    # Locked: of two that give it at once, at two relays, the later one waits and then finds none.
    good = await db.fetchval(
        "SELECT true FROM invite WHERE invite_hash = $1 AND expires_at_ms > $2 FOR UPDATE",
        invite_hash,
        now_ms,
    )
    return good is not None


# ---------------------------------------------------------------------------------------------------- tokens


async def put_token(db: Connection, token_hash: bytes, owner: TokenOwner) -> None:
    """Keep a token until it expires; of one device only the newest few are kept."""
    await db.execute(
        "INSERT INTO token VALUES ($1, $2, $3, $4)", token_hash, owner.uid, owner.device, owner.expires_at_ms
    )
    await db.execute(
        "DELETE FROM token WHERE token_hash IN (SELECT token_hash FROM token WHERE uid = $1 AND device = $2"
        " ORDER BY expires_at_ms DESC OFFSET $3)",
        owner.uid,
        owner.device,
        _TOKENS_PER_DEVICE,
    )


async def find_token(db: Connection, token_hash: bytes) -> TokenOwner | None:
    """Give a token's owner, also shortly after it expired (compare `expires_at_ms`)."""
    row = await db.fetchrow("SELECT uid, device, expires_at_ms FROM token WHERE token_hash = $1", token_hash)
    return TokenOwner(Uid(row[0]), row[1], row[2]) if row else None


async def drop_token(db: Connection, token_hash: bytes) -> None:
    """Make one token void."""
    await db.execute("DELETE FROM token WHERE token_hash = $1", token_hash)


async def drop_tokens(db: Connection, uid: Uid) -> None:
    """Make all tokens of an account void."""
    await db.execute("DELETE FROM token WHERE uid = $1", uid)


async def sweep(db: Connection, now_ms: int) -> None:
    """Forget codes, tickets, tokens and invites that nobody can use any more."""
    await db.execute("DELETE FROM code WHERE forget_at_ms <= $1", now_ms)
    await db.execute("DELETE FROM ticket WHERE expires_at_ms <= $1", now_ms)
    await db.execute("DELETE FROM token WHERE expires_at_ms <= $1", now_ms - _TOKEN_GRACE_MS)
    await db.execute("DELETE FROM invite WHERE expires_at_ms <= $1", now_ms)
