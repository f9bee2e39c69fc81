"""The store on PostgreSQL: every call becomes work of the one who writes (`zap2.server.store.postgres.batches`)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final, TypeVar, TypeVarTuple

import asyncpg

from zap2.errors import UsageError
from zap2.ids import Uid
from zap2.server.store.members_port import Member, MemberUse, PinHash, Totals
from zap2.server.store.port import (
    ANYBODY,
    Admission,
    CodeCheck,
    CodePolicy,
    CodeStarted,
    Deposit,
    DepositDone,
    Deposited,
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
from zap2.server.store.postgres import accounts, members, prekeys
from zap2.server.store.postgres.batches import Batches, Connection
from zap2.server.store.postgres.mail import Mail
from zap2.server.store.postgres.schema import migrate

_Args = TypeVarTuple("_Args")
_T = TypeVar("_T")
_ACCOUNTS_SWEPT_EVERY: Final = 60
_CONNECT_S: Final = 10
_COMMAND_S: Final = 20
_PATIENCE_S: Final = 5.0


def _ignore(_: object) -> None:
    """Take a result that nobody waits for. A failure was logged by the writer."""


async def connect(url: str) -> Connection:
    """Connect to a relay's database, with the durability that the relay promises whatever the server's default is."""
    return await asyncpg.connect(
        url,
        timeout=_CONNECT_S,
        command_timeout=_COMMAND_S,
        server_settings={"synchronous_commit": "on", "application_name": "zap2"},
    )


async def reach(url: str) -> Connection:
    """Connect for the first time.

    Raises:
        UsageError: it cannot be reached.
    """
    try:
        return await connect(url)
    except (OSError, TimeoutError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        # The error's text may repeat what stands in the URL.
        reason = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        raise UsageError(
            f"The database of --store cannot be reached: {reason}.",
            "Check the URL (postgresql://user@host:port/database), and that PostgreSQL runs and lets you in.",
        ) from None


class PostgresStore:
    """A `RelayStore`, `MemberStore` and `TokenStore` in one PostgreSQL database, which several relays may share.

    Args:
        url: `postgresql://user@host:port/database`, as libpq takes it.
        keys: what names the relay's keys without telling them; all relays of a database have the same.
        max_messages: envelopes that a mailbox holds.
        max_size_b: bytes of payload that a mailbox holds.
        retention_s: how long repetitions of a deposit are recognised, at least.
        deposited: is given what each batch deposited, after its callbacks: repetitions too, because the answer to
            the first try, and with it the wake-up, may have been lost with a connection.
        patience_s: how long work waits for a database that cannot be reached.
    """

    def __init__(
        self,
        url: str,
        *,
        keys: str | None = None,
        max_messages: int = 10_000,
        max_size_b: int = 64 * 1024 * 1024,
        retention_s: int = 30 * 24 * 3600,
        deposited: Callable[[Sequence[Deposited]], None] = _ignore,
        patience_s: float = _PATIENCE_S,
    ) -> None:
        self._url = url
        self._keys = keys
        self.deposited = deposited
        self._mail = Mail(max_messages, max_size_b, retention_s)
        self._batches = Batches(partial(connect, url), self._mail.prepare, self._committed, patience_s)
        self._sweeps = 0

    async def open(self) -> None:
        connection = await reach(self._url)
        try:
            await migrate(connection, self._keys)
        except BaseException:
            connection.terminate()
            raise
        await self._batches.start(connection)

    async def close(self) -> None:
        await self._batches.close()

    @property
    def writer(self) -> Batches:
        """Who does the work, one batch after another."""
        return self._batches

    def _committed(self, results: Sequence[object]) -> None:
        if deposited := [result for result in results if isinstance(result, Deposited)]:
            self.deposited(deposited)

    async def _call(self, work: Callable[[Connection, *_Args], Awaitable[_T]], *args: *_Args) -> _T:
        async def one(connection: Connection, _: Sequence[None]) -> Sequence[_T]:
            return [await work(connection, *args)]

        result: _T = await self._batches.call(one, None)
        return result

    # ---------------------------------------------------------------------------------------------------- mail

    async def set_delivery_token(self, uid: Uid, token_hash: bytes | None) -> None:
        await self._call(accounts.set_delivery_token, uid, token_hash)

    def deposit(self, deposit: Deposit, done: DepositDone, offer: Offer | None = None) -> None:
        self._batches.submit(done, self._mail.deposit, deposit)

    def read_mail(self, mailbox: int, after_seq: int, limit: int, now_ms: int, done: ReadDone) -> None:
        self._batches.submit(done, self._mail.read, (mailbox, after_seq, limit, now_ms))

    def discard(self, mailbox: int, seqs: Sequence[int]) -> None:
        # First, so that what makes room and what needs it come to the database as two runs and not as many. An
        # envelope that is acknowledged was delivered, so nothing of its own batch can need it.
        self._batches.submit(_ignore, self._mail.discard, (mailbox, seqs), goes_first=True)

    async def last_seqs(self, mailboxes: Sequence[int]) -> dict[int, int]:
        """Give the seq of the newest envelope that was ever put into each of these mailboxes."""

        async def look(connection: Connection) -> dict[int, int]:
            rows = await connection.fetch(
                "SELECT id, last_seq FROM mailbox WHERE id = ANY($1::bigint[])", list(mailboxes)
            )
            return {row[0]: row[1] for row in rows}

        return await self._call(look)

    async def sweep(self, now_ms: int) -> None:
        await self._batches.call(self._sweep, now_ms)

    async def _sweep(self, connection: Connection, times_ms: Sequence[int]) -> Sequence[None]:
        await self._mail.sweep(connection, max(times_ms), len(times_ms))
        if self._sweeps % _ACCOUNTS_SWEPT_EVERY < len(times_ms):
            await accounts.sweep(connection, max(times_ms))
        self._sweeps += len(times_ms)
        return [None] * len(times_ms)

    # ------------------------------------------------------------------------------------ numbers and accounts

    async def start_code(
        self, number_key: bytes, code_hash: bytes, policy: CodePolicy, now_ms: int
    ) -> CodeStarted | TooSoon:
        return await self._call(accounts.start_code, number_key, code_hash, policy, now_ms)

    async def check_code(self, number_key: bytes, code_hash: bytes, now_ms: int) -> CodeCheck:
        return await self._call(accounts.check_code, number_key, code_hash, now_ms)

    async def put_ticket(self, ticket_hash: bytes, number_key: bytes, expires_at_ms: int) -> None:
        await self._call(accounts.put_ticket, ticket_hash, number_key, expires_at_ms)

    async def register(
        self, ticket_hash: bytes, account: NewAccount, now_ms: int, admission: Admission = ANYBODY
    ) -> Registration | TookOver:
        return await self._call(accounts.register, ticket_hash, account, now_ms, admission)

    async def find_number(self, number_key: bytes) -> Uid | None:
        return await self._call(accounts.find_number, number_key)

    async def device(self, uid: Uid, device: int) -> Device | None:
        return await self._call(accounts.device, uid, device)

    async def publish(
        self,
        mailbox: int,
        signed_set: tuple[int, bytes] | None,
        pairs: Sequence[tuple[int, bytes]],
        max_stock: int,
        withdraw_below: int = 0,
    ) -> PrekeyState | PublishRefusal:
        return await self._call(prekeys.publish, mailbox, signed_set, pairs, max_stock, withdraw_below)

    async def fetch(self, uid: Uid, device: int, with_pair: bool) -> StoredBundle | None:
        return await self._call(prekeys.fetch, uid, device, with_pair)

    # ------------------------------------------------------------------------------------------------- members

    async def put_invite(self, invite_hash: bytes, expires_at_ms: int) -> None:
        await self._call(members.put_invite, invite_hash, expires_at_ms)

    async def has_invite(self, invite_hash: bytes, now_ms: int) -> bool:
        return await self._call(members.has_invite, invite_hash, now_ms)

    async def member(self, uid: Uid) -> Member | None:
        return await self._call(members.member, uid)

    async def number_owner(self, number_key: bytes) -> Member | None:
        return await self._call(members.number_owner, number_key)

    async def ticket_owner(self, ticket_hash: bytes, now_ms: int) -> Member | None:
        return await self._call(members.ticket_owner, ticket_hash, now_ms)

    async def mark_active(self, uid: Uid, day: int) -> None:
        await self._call(members.mark_active, uid, day)

    async def set_listed(self, uid: Uid, is_listed: bool) -> bool:
        return await self._call(members.set_listed, uid, is_listed)

    async def set_blocked(self, uid: Uid, is_blocked: bool) -> bool:
        return await self._call(members.set_blocked, uid, is_blocked)

    async def set_pin(self, uid: Uid, encoded: str | None) -> bool:
        return await self._call(members.set_pin, uid, encoded)

    async def take_pin_try(self, uid: Uid, now_ms: int) -> PinHash | TooSoon | None:
        return await self._call(members.take_pin_try, uid, now_ms)

    async def set_quota(self, uid: Uid, max_messages: int | None, max_size_b: int | None) -> bool:
        return await self._call(members.set_quota, uid, max_messages, max_size_b)

    async def totals(self, now_ms: int) -> Totals:
        return await self._call(members.totals, now_ms)

    async def member_uses(self, after: Uid, limit: int) -> Sequence[MemberUse]:
        return await self._call(members.member_uses, after, limit)

    # -------------------------------------------------------------------------------------------------- tokens

    async def put_token(self, token_hash: bytes, owner: TokenOwner) -> None:
        await self._call(accounts.put_token, token_hash, owner)

    async def find_token(self, token_hash: bytes) -> TokenOwner | None:
        return await self._call(accounts.find_token, token_hash)

    async def drop_token(self, token_hash: bytes) -> None:
        await self._call(accounts.drop_token, token_hash)

    async def drop_tokens(self, uid: Uid) -> None:
        await self._call(accounts.drop_tokens, uid)
