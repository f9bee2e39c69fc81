"""The store on SQLite: every call becomes work of the one writer thread (`zap2.server.store.commits`)."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from zap2.ids import Uid
from zap2.server.store.accounts import Accounts
from zap2.server.store.commits import GroupCommit
from zap2.server.store.mail import Mail
from zap2.server.store.members import Members
from zap2.server.store.members_port import Member, MemberUse, PinHash, Totals
from zap2.server.store.port import (
    ANYBODY,
    Admission,
    CodeCheck,
    CodePolicy,
    CodeStarted,
    Deposit,
    DepositDone,
    Device,
    NewAccount,
    Offer,
    PrekeyState,
    PublishRefusal,
    ReadDone,
    Registration,
    StoredBundle,
    TokenOwner,
    TookOver,
    TooSoon,
)
from zap2.server.store.prekeys import Prekeys
from zap2.server.store.schema import connect

_ACCOUNTS_SWEPT_EVERY: Final = 60


class SqliteStore:
    """A `RelayStore`, `MemberStore` and `TokenStore` in one SQLite database.

    Args:
        path: the database's file, made with mode 0600 if it is not there; None keeps all of it in memory.
        window_s: how long commits are gathered.
        hold_s: how long an envelope that was offered to its receiver is held before it is written.
        max_messages: envelopes that a mailbox holds.
        max_size_b: bytes of payload that a mailbox holds.
        retention_s: how long repetitions of a deposit are recognised, at least.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        window_s: float = 0.002,
        hold_s: float = 0.05,
        max_messages: int = 10_000,
        max_size_b: int = 64 * 1024 * 1024,
        retention_s: int = 30 * 24 * 3600,
    ) -> None:
        self._path = path
        self._accounts = Accounts()
        self._members = Members()
        self._prekeys = Prekeys()
        self._mail = Mail(max_messages, max_size_b, retention_s, hold_s)
        self._commits = GroupCommit(self._connect, window_s, self._mail.undone, self._mail)
        # The writer knows a group by the very object.
        self._deposit_all = self._mail.deposit_all
        self._discard_all = self._mail.discard_all
        self._sweeps = 0

    async def open(self) -> None:
        await self._commits.start()

    async def close(self) -> None:
        await self._commits.close()

    @property
    def writer(self) -> GroupCommit:
        """Who does the work, one batch after another."""
        return self._commits

    async def start_code(
        self, number_key: bytes, code_hash: bytes, policy: CodePolicy, now_ms: int
    ) -> CodeStarted | TooSoon:
        return await self._commits.call(self._accounts.start_code, number_key, code_hash, policy, now_ms)

    async def check_code(self, number_key: bytes, code_hash: bytes, now_ms: int) -> CodeCheck:
        return await self._commits.call(self._accounts.check_code, number_key, code_hash, now_ms)

    async def put_ticket(self, ticket_hash: bytes, number_key: bytes, expires_at_ms: int) -> None:
        await self._commits.call(self._accounts.put_ticket, ticket_hash, number_key, expires_at_ms)

    async def register(
        self, ticket_hash: bytes, account: NewAccount, now_ms: int, admission: Admission = ANYBODY
    ) -> Registration | TookOver:
        return await self._commits.call(self._accounts.register, ticket_hash, account, now_ms, admission)

    async def find_number(self, number_key: bytes) -> Uid | None:
        return await self._commits.call(self._accounts.find_number, number_key)

    async def device(self, uid: Uid, device: int) -> Device | None:
        return await self._commits.call(self._accounts.device, uid, device)

    async def publish(
        self,
        mailbox: int,
        signed_set: tuple[int, bytes] | None,
        pairs: Sequence[tuple[int, bytes]],
        max_stock: int,
        withdraw_below: int = 0,
    ) -> PrekeyState | PublishRefusal:
        return await self._commits.call(
            self._prekeys.publish, mailbox, signed_set, pairs, max_stock, withdraw_below
        )

    async def fetch(self, uid: Uid, device: int, with_pair: bool) -> StoredBundle | None:
        return await self._commits.call(self._prekeys.fetch, uid, device, with_pair)

    async def set_delivery_token(self, uid: Uid, token_hash: bytes | None) -> None:
        await self._commits.call(self._accounts.set_delivery_token, uid, token_hash)

    def deposit(self, deposit: Deposit, done: DepositDone, offer: Offer | None = None) -> None:
        self._commits.join(done, self._deposit_all, (deposit, done, offer))

    def read_mail(self, mailbox: int, after_seq: int, limit: int, now_ms: int, done: ReadDone) -> None:
        self._commits.submit(done, self._mail.read, mailbox, after_seq, limit, now_ms)

    def discard(self, mailbox: int, seqs: Sequence[int]) -> None:
        self._commits.join_ahead(self._discard_all, (mailbox, seqs))

    async def put_invite(self, invite_hash: bytes, expires_at_ms: int) -> None:
        await self._commits.call(self._members.put_invite, invite_hash, expires_at_ms)

    async def has_invite(self, invite_hash: bytes, now_ms: int) -> bool:
        return await self._commits.call(self._members.has_invite, invite_hash, now_ms)

    async def member(self, uid: Uid) -> Member | None:
        return await self._commits.call(self._members.member, uid)

    async def number_owner(self, number_key: bytes) -> Member | None:
        return await self._commits.call(self._members.number_owner, number_key)

    async def ticket_owner(self, ticket_hash: bytes, now_ms: int) -> Member | None:
        return await self._commits.call(self._members.ticket_owner, ticket_hash, now_ms)

    async def mark_active(self, uid: Uid, day: int) -> None:
        await self._commits.call(self._members.mark_active, uid, day)

    async def set_listed(self, uid: Uid, is_listed: bool) -> bool:
        return await self._commits.call(self._members.set_listed, uid, is_listed)

    async def set_blocked(self, uid: Uid, is_blocked: bool) -> bool:
        return await self._commits.call(self._members.set_blocked, uid, is_blocked)

    async def set_pin(self, uid: Uid, encoded: str | None) -> bool:
        return await self._commits.call(self._members.set_pin, uid, encoded)

    async def take_pin_try(self, uid: Uid, now_ms: int) -> PinHash | TooSoon | None:
        return await self._commits.call(self._members.take_pin_try, uid, now_ms)

    async def set_quota(self, uid: Uid, max_messages: int | None, max_size_b: int | None) -> bool:
        changed = await self._commits.call(self._members.set_quota, uid, max_messages, max_size_b)
        # What the writer remembers of the mailboxes has the bounds from before.
        await self._commits.call(self._mail.forget_mailboxes)
        return changed

    async def totals(self, now_ms: int) -> Totals:
        return await self._commits.call(self._members.totals, now_ms)

    async def member_uses(self, after: Uid, limit: int) -> Sequence[MemberUse]:
        return await self._commits.call(self._members.member_uses, after, limit)

    async def put_token(self, token_hash: bytes, owner: TokenOwner) -> None:
        await self._commits.call(self._accounts.put_token, token_hash, owner)

    async def find_token(self, token_hash: bytes) -> TokenOwner | None:
        return await self._commits.call(self._accounts.find_token, token_hash)

    async def drop_token(self, token_hash: bytes) -> None:
        await self._commits.call(self._accounts.drop_token, token_hash)

    async def drop_tokens(self, uid: Uid) -> None:
        await self._commits.call(self._accounts.drop_tokens, uid)

    async def sweep(self, now_ms: int) -> None:
        await self._commits.call(self._mail.sweep, now_ms)
        if self._sweeps % _ACCOUNTS_SWEPT_EVERY == 0:
            await self._commits.call(self._accounts.sweep, now_ms)
            await self._commits.call(self._members.sweep, now_ms)
        self._sweeps += 1

    def _connect(self) -> sqlite3.Connection:
        if self._path is None:
            connection = connect(":memory:")
        else:
            # SQLite gives its journal the mode of the database, so making the file first is enough.
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
            connection = connect(str(self._path))
        self._accounts.use(connection)
        self._members.use(connection)
        self._prekeys.use(connection)
        self._mail.use(connection)
        return connection
