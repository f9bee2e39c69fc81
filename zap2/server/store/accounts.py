"""Accounts, numbers, codes, tickets and tokens on SQLite. All of it runs in the writer's thread."""

from __future__ import annotations

import hmac
import sqlite3
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

_FORGET_CODES_AFTER_MS: Final = 24 * 3600 * 1000
_MAX_RESEND_AFTER_S: Final = 3_600
_TOKENS_PER_DEVICE: Final = 8
_DAY_MS: Final = 24 * 3600 * 1000
_TOKEN_GRACE_MS: Final = 3_600 * 1000
"""How long an expired token is told apart from an unknown one."""


class Accounts:
    """The part of a database that says who is who."""

    def __init__(self) -> None:
        self._db: sqlite3.Connection

    def use(self, connection: sqlite3.Connection) -> None:
        """Work on this connection from now on."""
        self._db = connection

    # --------------------------------------------------------------------------------------------- numbers

    def start_code(
        self, number_key: bytes, code_hash: bytes, policy: CodePolicy, now_ms: int
    ) -> CodeStarted | TooSoon:
        row = self._db.execute(
            "SELECT sends, next_send_at_ms FROM code WHERE number_key = ? AND forget_at_ms > ?",
            (number_key, now_ms),
        ).fetchone()
        sends, next_send_at_ms = row or (0, 0)
        if now_ms < next_send_at_ms:
            return TooSoon((next_send_at_ms - now_ms) / 1000)
        resend_after_s = min(policy.resend_after_s * 2 ** min(sends, 16), _MAX_RESEND_AFTER_S)
        self._db.execute(
            "INSERT OR REPLACE INTO code VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                number_key,
                code_hash,
                now_ms + policy.ttl_s * 1000,
                policy.tries,
                sends + 1,
                now_ms + resend_after_s * 1000,
                now_ms + _FORGET_CODES_AFTER_MS,
            ),
        )
        return CodeStarted(resend_after_s)

    def check_code(self, number_key: bytes, code_hash: bytes, now_ms: int) -> CodeCheck:
        row = self._db.execute(
            "SELECT code_hash, expires_at_ms, tries_left FROM code WHERE number_key = ?", (number_key,)
        ).fetchone()
        if row is None or row[0] is None or row[1] <= now_ms:
            return CodeCheck.EXPIRED
        expected, _, tries_left = row
        if tries_left <= 0:
            return CodeCheck.TOO_MANY_TRIES
        if hmac.compare_digest(expected, code_hash):
            self._db.execute("UPDATE code SET code_hash = NULL WHERE number_key = ?", (number_key,))
            return CodeCheck.RIGHT
        self._db.execute("UPDATE code SET tries_left = tries_left - 1 WHERE number_key = ?", (number_key,))
        return CodeCheck.WRONG

    def find_number(self, number_key: bytes) -> Uid | None:
        row = self._db.execute(
            "SELECT uid FROM account WHERE number_key = ? AND is_listed AND NOT is_blocked", (number_key,)
        ).fetchone()
        return Uid(row[0]) if row else None

    def put_ticket(self, ticket_hash: bytes, number_key: bytes, expires_at_ms: int) -> None:
        self._db.execute(
            "INSERT INTO ticket VALUES (?, ?, ?, NULL)", (ticket_hash, number_key, expires_at_ms)
        )

    # -------------------------------------------------------------------------------------------- accounts

    def register(
        self, ticket_hash: bytes, account: NewAccount, now_ms: int, admission: Admission
    ) -> Registration | TookOver:
        row = self._db.execute(
            "SELECT number_key, used_by FROM ticket WHERE ticket_hash = ? AND expires_at_ms > ?",
            (ticket_hash, now_ms),
        ).fetchone()
        if row is None:
            return Registration.TICKET_INVALID
        number_key, used_by = row
        if used_by is not None:
            return Registration.DONE if used_by == account.uid else Registration.TICKET_INVALID
        if admission.invite_hash is not None and not self._is_good(admission.invite_hash, now_ms):
            return Registration.INVITE_INVALID
        if self._is_blocked(number_key, account.uid):
            return Registration.ACCOUNT_BLOCKED
        owner = self._owner(number_key)
        if owner not in (None, account.uid, admission.replaces):
            return Registration.NUMBER_TAKEN
        former = None if owner == account.uid else owner
        if former is not None:
            self._db.execute(
                "UPDATE account SET number_key = ?, pin_hash = NULL WHERE uid = ?",
                (lost_number_key(former), former),
            )
        # The same identity with another number: the person changed it.
        (account_id,) = self._db.execute(
            "INSERT INTO account (uid, document, document_signature, number_key, active_day, pin_hash)"
            " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (uid) DO UPDATE"
            " SET number_key = excluded.number_key, active_day = excluded.active_day,"
            " pin_hash = coalesce(excluded.pin_hash, pin_hash) RETURNING id",
            (
                account.uid,
                account.document,
                account.document_signature,
                number_key,
                now_ms // _DAY_MS,
                None if former is None else admission.pin,
            ),
        ).fetchone()
        device = (account_id, account.device)
        self._db.execute("INSERT OR IGNORE INTO device (account, device) VALUES (?, ?)", device)
        self._db.execute(
            "INSERT OR IGNORE INTO mailbox (id) SELECT mailbox FROM device WHERE account = ? AND device = ?",
            device,
        )
        self._db.execute("UPDATE ticket SET used_by = ? WHERE ticket_hash = ?", (account.uid, ticket_hash))
        self._db.execute("DELETE FROM invite WHERE invite_hash = ?", (admission.invite_hash,))
        if former is None:
            return Registration.DONE
        self._inherit(account.uid, former)
        return TookOver(former)

    def _inherit(self, heir: Uid, former: Uid) -> None:
        """Have what was decided about the one account hold for the other one."""
        self._db.execute(
            "UPDATE account SET is_listed = is_listed AND (SELECT is_listed FROM account WHERE uid = ?) WHERE uid = ?",
            (former, heir),
        )
        self._db.execute(
            "UPDATE mailbox SET max_messages = coalesce(old.max_messages, mailbox.max_messages),"
            " max_size_b = coalesce(old.max_size_b, mailbox.max_size_b) FROM"
            " (SELECT max_messages, max_size_b FROM mailbox JOIN device ON device.mailbox = mailbox.id"
            " JOIN account ON account.id = device.account WHERE uid = ? LIMIT 1) AS old WHERE id IN"
            " (SELECT mailbox FROM device JOIN account ON account.id = device.account WHERE uid = ?)",
            (former, heir),
        )

    def _is_blocked(self, number_key: bytes, uid: Uid) -> bool:
        row = self._db.execute(
            "SELECT 1 FROM account WHERE (number_key = ? OR uid = ?) AND is_blocked", (number_key, uid)
        ).fetchone()
        return row is not None

    def _owner(self, number_key: bytes) -> Uid | None:
        row = self._db.execute("SELECT uid FROM account WHERE number_key = ?", (number_key,)).fetchone()
        return Uid(row[0]) if row else None

    def _is_good(self, invite_hash: bytes, now_ms: int) -> bool:
        row = self._db.execute(
            "SELECT 1 FROM invite WHERE invite_hash = ? AND expires_at_ms > ?", (invite_hash, now_ms)
        ).fetchone()
        return row is not None

    def device(self, uid: Uid, device: int) -> Device | None:
        row = self._db.execute(
            "SELECT mailbox.id, document, document_signature,"
            " (SELECT count(*) FROM pair WHERE pair.mailbox = device.mailbox), highest_sid, highest_oid,"
            " acknowledged_seq, delivery_token_hash"
            " FROM account JOIN device ON device.account = account.id JOIN mailbox ON mailbox.id = device.mailbox"
            " WHERE uid = ? AND device = ?",
            (uid, device),
        ).fetchone()
        if row is None:
            return None
        mailbox, document, document_signature, *prekeys, acknowledged, token_hash = row
        return Device(mailbox, document, document_signature, PrekeyState(*prekeys), acknowledged, token_hash)

    def set_delivery_token(self, uid: Uid, token_hash: bytes | None) -> None:
        self._db.execute("UPDATE account SET delivery_token_hash = ? WHERE uid = ?", (token_hash, uid))

    # ---------------------------------------------------------------------------------------------- tokens

    def put_token(self, token_hash: bytes, owner: TokenOwner) -> None:
        self._db.execute(
            "INSERT INTO token VALUES (?, ?, ?, ?)",
            (token_hash, owner.uid, owner.device, owner.expires_at_ms),
        )
        self._db.execute(
            "DELETE FROM token WHERE token_hash IN (SELECT token_hash FROM token WHERE uid = ? AND device = ?"
            " ORDER BY expires_at_ms DESC LIMIT -1 OFFSET ?)",
            (owner.uid, owner.device, _TOKENS_PER_DEVICE),
        )

    def find_token(self, token_hash: bytes) -> TokenOwner | None:
        row = self._db.execute(
            "SELECT uid, device, expires_at_ms FROM token WHERE token_hash = ?", (token_hash,)
        ).fetchone()
        return TokenOwner(Uid(row[0]), row[1], row[2]) if row else None

    def drop_token(self, token_hash: bytes) -> None:
        self._db.execute("DELETE FROM token WHERE token_hash = ?", (token_hash,))

    def drop_tokens(self, uid: Uid) -> None:
        self._db.execute("DELETE FROM token WHERE uid = ?", (uid,))

    def sweep(self, now_ms: int) -> None:
        """Forget codes, tickets and tokens that nobody can use any more."""
        self._db.execute("DELETE FROM code WHERE forget_at_ms <= ?", (now_ms,))
        self._db.execute("DELETE FROM ticket WHERE expires_at_ms <= ?", (now_ms,))
        self._db.execute("DELETE FROM token WHERE expires_at_ms <= ?", (now_ms - _TOKEN_GRACE_MS,))
