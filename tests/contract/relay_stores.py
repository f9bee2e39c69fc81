"""What the contract tests of the relay's store share. A new implementation joins by adding itself to `STORES`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from tests.kit.engines import empty_database
from zap2.ids import EnvelopeId, Uid
from zap2.server.store.members_port import MemberStore
from zap2.server.store.port import (
    Deposit,
    Deposited,
    DepositRefusal,
    Envelope,
    NewAccount,
    Offer,
    Registration,
    RelayStore,
    TokenStore,
)
from zap2.server.store.postgres.store import PostgresStore
from zap2.server.store.sqlite import SqliteStore

NOW_MS = 1_700_000_000_000
DAY_MS = 24 * 3600 * 1000


class Store(RelayStore, MemberStore, TokenStore, Protocol):
    """All ports in one object."""


def _in_memory(folder: Path) -> Store:
    return SqliteStore(None, window_s=0, max_messages=5, max_size_b=8 * 1024, retention_s=60)


def _in_a_file(folder: Path) -> Store:
    return SqliteStore(
        folder / "relay.sqlite3", window_s=0.001, max_messages=5, max_size_b=8 * 1024, retention_s=60
    )


def _in_postgres(folder: Path) -> Store:
    return PostgresStore(empty_database(), max_messages=5, max_size_b=8 * 1024, retention_s=60)


STORES: dict[str, Callable[[Path], Store]] = {
    "memory": _in_memory,
    "file": _in_a_file,
    "postgres": _in_postgres,
}


def uid(number: int) -> Uid:
    return Uid(bytes([number]) * 32)


def account(number: int, device: int = 1) -> NewAccount:
    return NewAccount(uid(number), bytes([number]) * 65, bytes(64), device)


async def register(store: RelayStore, number: int, device: int = 1) -> int:
    """Give the new account's mailbox. Its number's key is `number` repeated."""
    ticket = b"ticket" + bytes([number, device])
    await store.put_ticket(ticket, bytes([number]) * 32, NOW_MS + 1000)
    assert await store.register(ticket, account(number, device), NOW_MS) is Registration.DONE
    found = await store.device(uid(number), device)
    assert found is not None
    return found.mailbox


def envelope(name: int, to: int = 1, size_b: int = 512, expires_at_ms: int = NOW_MS + DAY_MS) -> Deposit:
    return Deposit(
        uid(to),
        1,
        EnvelopeId(bytes([name]) * 16),
        NOW_MS,
        expires_at_ms,
        bytes([name]) * size_b,
        bytes([name]) * 16,
    )


async def deposit(
    store: RelayStore, deposit: Deposit, offer: Offer | None = None
) -> Deposited | DepositRefusal:
    done: asyncio.Future[Deposited | DepositRefusal | Exception] = asyncio.get_running_loop().create_future()
    store.deposit(deposit, done.set_result, offer)
    result = await done
    assert not isinstance(result, Exception)
    return result


async def read(
    store: RelayStore, mailbox: int, after_seq: int = 0, limit: int = 64, now_ms: int = NOW_MS
) -> list[Envelope]:
    done: asyncio.Future[list[Envelope] | Exception] = asyncio.get_running_loop().create_future()
    store.read_mail(mailbox, after_seq, limit, now_ms, done.set_result)
    result = await done
    assert not isinstance(result, Exception)
    return result


async def sweep_round(store: RelayStore, now_ms: int) -> None:
    """Sweep as often as it takes to come to everything."""
    await asyncio.gather(*(store.sweep(now_ms) for _ in range(4_096)))


def names(envelopes: list[Envelope]) -> list[int]:
    return [envelope.envelope_id[0] for envelope in envelopes]
