"""What every store of the relay must do with envelopes whose sender shows a delivery token and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.contract.relay_stores import STORES, Store, deposit, envelope, names, read, register, uid
from zap2.server.store.port import Deposit, Deposited, DepositRefusal

_MINE, _OTHER = b"m" * 32, b"o" * 32


@pytest.fixture(params=STORES)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    store = STORES[request.param](tmp_path)
    await store.open()
    yield store
    await store.close()


def _sealed(name: int, token_hash: bytes = _MINE, to: int = 1, size_b: int = 512) -> Deposit:
    return replace(envelope(name, to, size_b), delivery_token_hash=token_hash)


async def test_the_token_that_the_account_has_lets_in(store: Store) -> None:
    mailbox = await register(store, 1)
    await store.set_delivery_token(uid(1), _MINE)
    result = await deposit(store, _sealed(1))
    assert isinstance(result, Deposited)
    assert (result.mailbox, result.waiting) == (mailbox, 1)
    assert names(await read(store, mailbox)) == [1]
    device = await store.device(uid(1), 1)
    assert device is not None
    assert device.delivery_token_hash == _MINE


async def test_nothing_else_lets_in(store: Store) -> None:
    mailbox = await register(store, 1)
    await register(store, 2)
    assert await deposit(store, _sealed(1)) is DepositRefusal.WRONG_TOKEN  # none is set
    await store.set_delivery_token(uid(1), _MINE)
    await store.set_delivery_token(uid(2), _OTHER)
    assert await deposit(store, _sealed(2, _OTHER)) is DepositRefusal.WRONG_TOKEN  # somebody else's
    assert await deposit(store, _sealed(3, b"")) is DepositRefusal.WRONG_TOKEN
    assert await deposit(store, _sealed(4, to=9)) is DepositRefusal.WRONG_TOKEN  # nobody's mailbox
    assert await deposit(store, replace(_sealed(5), device=2)) is DepositRefusal.NO_MAILBOX
    await store.set_blocked(uid(1), True)
    assert await deposit(store, _sealed(6)) is DepositRefusal.WRONG_TOKEN
    assert await read(store, mailbox) == []
    await store.set_blocked(uid(1), False)
    assert isinstance(await deposit(store, _sealed(7)), Deposited)


async def test_a_new_token_or_none_makes_the_old_one_void_for_what_comes_after_it(store: Store) -> None:
    """Asked for all at once: the order of the calls decides, also within one transaction."""
    mailbox = await register(store, 1)
    results = await asyncio.gather(
        store.set_delivery_token(uid(1), _MINE),
        deposit(store, _sealed(1)),
        store.set_delivery_token(uid(1), _OTHER),
        deposit(store, _sealed(2)),
        deposit(store, _sealed(3, _OTHER)),
        store.set_delivery_token(uid(1), None),
        deposit(store, _sealed(4, _OTHER)),
    )
    assert [isinstance(result, Deposited) for result in results] == [
        False,
        True,
        *[False] * 2,
        True,
        *[False] * 2,
    ]
    assert names(await read(store, mailbox)) == [1, 3]
    device = await store.device(uid(1), 1)
    assert device is not None
    assert device.delivery_token_hash is None


async def test_a_repetition_stores_nothing_and_is_refused_once_the_token_is_void(store: Store) -> None:
    mailbox = await register(store, 1)
    await store.set_delivery_token(uid(1), _MINE)
    for _ in range(2):
        assert isinstance(await deposit(store, _sealed(1)), Deposited)
    assert names(await read(store, mailbox)) == [1]
    await store.set_delivery_token(uid(1), _OTHER)
    assert await deposit(store, _sealed(1)) is DepositRefusal.WRONG_TOKEN


async def test_a_token_opens_no_room_that_the_mailbox_does_not_have(store: Store) -> None:
    await register(store, 1)
    await store.set_delivery_token(uid(1), _MINE)
    assert isinstance(await deposit(store, _sealed(1, size_b=8192)), Deposited)
    assert await deposit(store, _sealed(2)) is DepositRefusal.FULL
    # Who has no token does not learn that it is full.
    assert await deposit(store, _sealed(3, _OTHER)) is DepositRefusal.WRONG_TOKEN


async def test_who_logged_in_needs_no_token(store: Store) -> None:
    mailbox = await register(store, 1)
    await store.set_delivery_token(uid(1), _MINE)
    assert isinstance(await deposit(store, envelope(1)), Deposited)
    assert names(await read(store, mailbox)) == [1]


async def test_all_devices_of_an_account_have_its_token(store: Store) -> None:
    await register(store, 1)
    await store.set_delivery_token(uid(1), _MINE)
    await register(store, 1, device=2)
    device = await store.device(uid(1), 2)
    assert device is not None
    assert device.delivery_token_hash == _MINE
