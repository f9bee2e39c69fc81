"""The schema on PostgreSQL: how it comes to be, from every version with data in it, and what it refuses."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from tests.contract.relay_stores import deposit, envelope, names, read, register, uid
from tests.kit.engines import empty_database
from zap2.errors import UsageError
from zap2.server.store.postgres.schema import MIGRATIONS, migrate
from zap2.server.store.postgres.store import PostgresStore


@pytest.mark.parametrize("version", range(1, len(MIGRATIONS) + 1))
async def test_a_database_of_any_version_opens_with_what_is_in_it(version: int) -> None:
    url = empty_database()
    connection = await asyncpg.connect(url)
    await migrate(connection, "keys", MIGRATIONS[:version])
    await connection.execute(
        "INSERT INTO account (uid, document, document_signature, number_key, active_day)"
        " VALUES ($1, $2, $3, $4, 0)",
        *(uid(1), bytes(65), bytes(64), bytes(32)),
    )
    await connection.execute("INSERT INTO device (account, device) SELECT id, 1 FROM account")
    await connection.execute("INSERT INTO mailbox (id) SELECT mailbox FROM device")
    await connection.close()
    store = PostgresStore(url, keys="keys")
    await store.open()
    await deposit(store, envelope(7))
    device = await store.device(uid(1), 1)
    assert device is not None
    assert device.delivery_token_hash is None
    await store.set_delivery_token(uid(1), b"h" * 32)
    assert names(await read(store, device.mailbox)) == [7]
    await store.close()


async def test_relays_that_start_together_make_the_schema_once() -> None:
    url = empty_database()
    stores = [PostgresStore(url, keys="keys") for _ in range(4)]
    await asyncio.gather(*(store.open() for store in stores))
    mailbox = await register(stores[0], 1)
    for store in stores:
        device = await store.device(uid(1), 1)
        assert device is not None
        assert device.mailbox == mailbox
        await store.close()


async def test_a_newer_schema_and_other_keys_are_left_alone() -> None:
    url = empty_database()
    connection = await asyncpg.connect(url)
    await migrate(connection, "keys", [*MIGRATIONS, "SELECT 1"])
    with pytest.raises(UsageError, match="newer version"):
        await PostgresStore(url, keys="keys").open()
    await connection.execute("UPDATE zap2_relay SET version = $1", len(MIGRATIONS))
    with pytest.raises(UsageError, match="other keys"):
        await PostgresStore(url, keys="others").open()
    await connection.close()
