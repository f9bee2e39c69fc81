"""What every store of the relay must do. A new implementation joins by adding itself to `stores`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import pytest

from zap2.ids import EnvelopeId, Uid
from zap2.server.store.port import (
    CodeCheck,
    CodePolicy,
    CodeStarted,
    Deposit,
    Deposited,
    DepositRefusal,
    Envelope,
    NewAccount,
    PrekeyState,
    PublishRefusal,
    Registration,
    RelayStore,
    TokenOwner,
    TokenStore,
    TooSoon,
)
from zap2.server.store.sqlite import SqliteStore

_NOW = 1_700_000_000_000
_DAY = 24 * 3600 * 1000
_POLICY = CodePolicy()


class _Store(RelayStore, TokenStore, Protocol):
    """Both ports in one object."""


def _in_memory(folder: Path) -> _Store:
    return SqliteStore(None, window_s=0, max_messages=5, max_size_b=8 * 1024, retention_s=60)


def _in_a_file(folder: Path) -> _Store:
    return SqliteStore(
        folder / "relay.sqlite3", window_s=0.001, max_messages=5, max_size_b=8 * 1024, retention_s=60
    )


@pytest.fixture(params=[_in_memory, _in_a_file], ids=["memory", "file"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[_Store]:
    make: Callable[[Path], _Store] = request.param
    store = make(tmp_path)
    await store.open()
    yield store
    await store.close()


def _uid(number: int) -> Uid:
    return Uid(bytes([number]) * 32)


def _account(number: int, device: int = 1) -> NewAccount:
    return NewAccount(_uid(number), bytes([number]) * 65, bytes(64), device)


async def _register(store: RelayStore, number: int, device: int = 1) -> int:
    """Give the new account's mailbox. Its number's key is `number` repeated."""
    ticket = b"ticket" + bytes([number, device])
    await store.put_ticket(ticket, bytes([number]) * 32, _NOW + 1000)
    assert await store.register(ticket, _account(number, device), _NOW) is Registration.DONE
    found = await store.device(_uid(number), device)
    assert found is not None
    return found.mailbox


def _envelope(name: int, to: int = 1, size_b: int = 512, expires_at_ms: int = _NOW + _DAY) -> Deposit:
    return Deposit(
        _uid(to),
        1,
        EnvelopeId(bytes([name]) * 16),
        _NOW,
        expires_at_ms,
        bytes([name]) * size_b,
        bytes([name]) * 16,
    )


async def _deposit(store: RelayStore, deposit: Deposit) -> Deposited | DepositRefusal:
    done: asyncio.Future[Deposited | DepositRefusal | Exception] = asyncio.get_running_loop().create_future()
    store.deposit(deposit, done.set_result)
    result = await done
    assert not isinstance(result, Exception)
    return result


async def _read(
    store: RelayStore, mailbox: int, after_seq: int = 0, limit: int = 64, now_ms: int = _NOW
) -> list[Envelope]:
    done: asyncio.Future[list[Envelope] | Exception] = asyncio.get_running_loop().create_future()
    store.read_mail(mailbox, after_seq, limit, now_ms, done.set_result)
    result = await done
    assert not isinstance(result, Exception)
    return result


async def _sweep_round(store: RelayStore, now_ms: int) -> None:
    """Sweep as often as it takes to come to everything."""
    await asyncio.gather(*(store.sweep(now_ms) for _ in range(4_096)))


def _names(envelopes: list[Envelope]) -> list[int]:
    return [envelope.envelope_id[0] for envelope in envelopes]


# ------------------------------------------------------------------------------------------------------ codes


async def test_the_right_code_is_right_once(store: _Store) -> None:
    assert await store.start_code(b"n", b"hash", _POLICY, _NOW) == CodeStarted(30)
    assert await store.check_code(b"n", b"hash", _NOW + 1) is CodeCheck.RIGHT
    assert await store.check_code(b"n", b"hash", _NOW + 2) is CodeCheck.EXPIRED


async def test_five_wrong_codes_are_wrong_and_the_sixth_is_refused_even_if_right(store: _Store) -> None:
    await store.start_code(b"n", b"hash", _POLICY, _NOW)
    for _ in range(5):
        assert await store.check_code(b"n", b"wrong", _NOW) is CodeCheck.WRONG
    assert await store.check_code(b"n", b"hash", _NOW) is CodeCheck.TOO_MANY_TRIES


async def test_a_code_expires_after_ten_minutes(store: _Store) -> None:
    await store.start_code(b"n", b"hash", _POLICY, _NOW)
    assert await store.check_code(b"n", b"wrong", _NOW + 599_999) is CodeCheck.WRONG
    assert await store.check_code(b"n", b"hash", _NOW + 600_000) is CodeCheck.EXPIRED
    assert await store.check_code(b"other", b"hash", _NOW) is CodeCheck.EXPIRED


async def test_resending_costs_a_growing_wait(store: _Store) -> None:
    now = _NOW
    for wait_s in (30, 60, 120, 240):
        assert await store.start_code(b"n", b"hash", _POLICY, now) == CodeStarted(wait_s)
        assert await store.start_code(b"n", b"x", _POLICY, now + wait_s * 1000 - 500) == TooSoon(0.5)
        now += wait_s * 1000
    assert await store.start_code(b"other", b"hash", _POLICY, now) == CodeStarted(30)


async def test_a_new_code_makes_the_old_one_void_and_gives_new_tries(store: _Store) -> None:
    await store.start_code(b"n", b"old", _POLICY, _NOW)
    for _ in range(6):
        await store.check_code(b"n", b"wrong", _NOW)
    await store.start_code(b"n", b"new", _POLICY, _NOW + 30_000)
    assert await store.check_code(b"n", b"old", _NOW + 30_001) is CodeCheck.WRONG
    assert await store.check_code(b"n", b"new", _NOW + 30_001) is CodeCheck.RIGHT


async def test_waits_are_forgotten_after_a_day(store: _Store) -> None:
    for _ in range(3):
        await store.start_code(b"n", b"hash", _POLICY, _NOW)
    assert await store.start_code(b"n", b"hash", _POLICY, _NOW + _DAY + 1) == CodeStarted(30)


# --------------------------------------------------------------------------------------------------- accounts


async def test_a_ticket_makes_an_account_that_its_number_finds(store: _Store) -> None:
    number_key = bytes([1]) * 32
    assert not await store.is_registered(number_key)
    await _register(store, 1)
    assert await store.is_registered(number_key)
    assert await store.find_number(number_key) == _uid(1)
    assert await store.find_number(b"other") is None
    device = await store.device(_uid(1), 1)
    assert device is not None
    assert device.document == bytes([1]) * 65
    assert device.prekeys == PrekeyState(0, 0, -1)
    assert await store.device(_uid(1), 2) is None
    assert await store.device(_uid(9), 1) is None


async def test_a_ticket_serves_one_identity_however_often(store: _Store) -> None:
    """The answer to Register may be lost, so the same one is asked again."""
    await store.put_ticket(b"t", b"number", _NOW + 1000)
    assert await store.register(b"t", _account(1), _NOW) is Registration.DONE
    assert await store.register(b"t", _account(1), _NOW) is Registration.DONE
    assert await store.register(b"t", _account(2), _NOW) is Registration.TICKET_INVALID
    assert await store.find_number(b"number") == _uid(1)


async def test_an_unknown_or_expired_ticket_makes_nothing(store: _Store) -> None:
    await store.put_ticket(b"t", b"number", _NOW + 1000)
    assert await store.register(b"t", _account(1), _NOW + 1000) is Registration.TICKET_INVALID
    assert await store.register(b"x", _account(1), _NOW) is Registration.TICKET_INVALID
    assert await store.device(_uid(1), 1) is None


async def test_a_number_that_is_taken_stays_its_owners(store: _Store) -> None:
    await store.put_ticket(b"one", b"number", _NOW + 1000)
    await store.put_ticket(b"two", b"number", _NOW + 1000)
    assert await store.register(b"one", _account(1), _NOW) is Registration.DONE
    assert await store.register(b"two", _account(2), _NOW) is Registration.NUMBER_TAKEN
    assert await store.find_number(b"number") == _uid(1)
    assert await store.device(_uid(2), 1) is None


async def test_an_identity_may_move_to_another_number(store: _Store) -> None:
    mailbox = await _register(store, 1)
    await store.put_ticket(b"t", b"new number", _NOW + 1000)
    assert await store.register(b"t", _account(1), _NOW) is Registration.DONE
    assert await store.find_number(b"new number") == _uid(1)
    assert not await store.is_registered(bytes([1]) * 32)
    device = await store.device(_uid(1), 1)
    assert device is not None
    assert device.mailbox == mailbox


# ---------------------------------------------------------------------------------------------------- prekeys


async def test_a_pair_is_handed_out_once_and_in_order(store: _Store) -> None:
    mailbox = await _register(store, 1)
    state = await store.publish(mailbox, (1, b"set"), [(5, b"five"), (4, b"four")], 10)
    assert state == PrekeyState(2, 1, 5)
    first = await store.fetch(_uid(1), 1, True)
    without = await store.fetch(_uid(1), 1, False)
    second = await store.fetch(_uid(1), 1, True)
    third = await store.fetch(_uid(1), 1, True)
    assert first is not None
    assert without is not None
    assert second is not None
    assert third is not None
    assert [b.pair for b in (first, without, second, third)] == [b"four", None, b"five", None]
    assert [b.stock for b in (first, without, second, third)] == [1, 1, 0, 0]
    assert (first.document, first.signed_set, first.mailbox) == (bytes([1]) * 65, b"set", mailbox)


async def test_an_oid_is_never_used_twice(store: _Store) -> None:
    mailbox = await _register(store, 1)
    await store.publish(mailbox, (1, b"set"), [(1, b"a"), (2, b"b")], 10)
    await store.fetch(_uid(1), 1, True)
    again = await store.publish(mailbox, None, [(1, b"x"), (2, b"y"), (3, b"c")], 10)
    assert again == PrekeyState(2, 1, 3)
    pairs = [bundle.pair for _ in range(3) if (bundle := await store.fetch(_uid(1), 1, True))]
    assert pairs == [b"b", b"c", None]


async def test_a_signed_set_never_goes_back(store: _Store) -> None:
    mailbox = await _register(store, 1)
    assert await store.publish(mailbox, (7, b"seven"), [], 10) == PrekeyState(0, 7, -1)
    assert await store.publish(mailbox, (7, b"seven"), [], 10) == PrekeyState(0, 7, -1)
    assert await store.publish(mailbox, (7, b"other"), [], 10) is PublishRefusal.SID_WENT_DOWN
    assert await store.publish(mailbox, (6, b"six"), [(1, b"a")], 10) is PublishRefusal.SID_WENT_DOWN
    assert await store.publish(mailbox, (8, b"eight"), [], 10) == PrekeyState(0, 8, -1)
    bundle = await store.fetch(_uid(1), 1, True)
    assert bundle is not None
    assert bundle.signed_set == b"eight"


async def test_stock_is_bounded(store: _Store) -> None:
    mailbox = await _register(store, 1)
    await store.publish(mailbox, (1, b"set"), [(oid, b"p") for oid in range(8)], 10)
    more = [(oid, b"p") for oid in range(8, 11)]
    assert await store.publish(mailbox, (2, b"new"), more, 10) is PublishRefusal.STOCK_FULL
    device = await store.device(_uid(1), 1)
    assert device is not None
    assert device.prekeys == PrekeyState(8, 1, 7)


async def test_an_unknown_account_has_no_bundle(store: _Store) -> None:
    assert await store.fetch(_uid(1), 1, True) is None
    await _register(store, 1)
    bundle = await store.fetch(_uid(1), 1, True)
    assert bundle is not None
    assert bundle.signed_set is None


# ------------------------------------------------------------------------------------------------------- mail


async def test_mail_is_read_in_order_until_it_is_discarded(store: _Store) -> None:
    mailbox = await _register(store, 1)
    results = [await _deposit(store, _envelope(name)) for name in (1, 2, 3)]
    assert [r.waiting for r in results if isinstance(r, Deposited)] == [1, 2, 3]
    mail = await _read(store, mailbox)
    assert _names(mail) == [1, 2, 3]
    assert mail[0].payload == bytes([1]) * 512
    assert [e.seq for e in mail] == sorted({e.seq for e in mail})
    assert _names(await _read(store, mailbox, after_seq=mail[0].seq, limit=1)) == [2]
    store.discard(mailbox, [mail[2].seq, mail[0].seq, mail[0].seq])
    assert _names(await _read(store, mailbox)) == [2]


async def test_callbacks_come_in_the_order_of_the_calls(store: _Store) -> None:
    """Delivery relies on it: a read has exactly the deposits whose callbacks came before its own."""
    mailbox = await _register(store, 1)
    order: list[str] = []
    finished = asyncio.Event()
    seen: list[list[int]] = []

    def was_read(result: list[Envelope] | Exception) -> None:
        assert isinstance(result, list)
        seen.append(_names(result))
        order.append("read")

    store.deposit(_envelope(1), lambda _: order.append("one"))
    store.read_mail(mailbox, 0, 64, _NOW, was_read)
    store.deposit(_envelope(2), lambda _: order.append("two"))
    store.read_mail(mailbox, 0, 64, _NOW, lambda _: finished.set())
    await finished.wait()
    assert order == ["one", "read", "two"]
    assert seen == [[1]]


async def test_the_same_deposit_again_stores_nothing(store: _Store) -> None:
    mailbox = await _register(store, 1)
    first = await _deposit(store, _envelope(1))
    again = await _deposit(store, replace(_envelope(1), payload=bytes(1024)))
    assert isinstance(first, Deposited)
    assert isinstance(again, Deposited)
    assert first.envelope is not None
    assert again.envelope is None
    assert again.waiting == 1
    store.discard(mailbox, [first.envelope.seq])
    once_more = await _deposit(store, _envelope(1))
    assert isinstance(once_more, Deposited)
    assert once_more.envelope is None
    assert await _read(store, mailbox) == []


async def test_a_deposit_that_failed_may_be_tried_again(
    store: _Store, caplog: pytest.LogCaptureFixture
) -> None:
    """It must not be taken for a repetition: the message would be answered as safe and be nowhere."""
    mailbox = await _register(store, 1)
    failed: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    impossible = replace(_envelope(2), received_at_ms=2**70)  # no store's integers reach that far
    store.deposit(_envelope(1), failed.set_result)
    store.deposit(impossible, lambda _: None)
    assert isinstance(await failed, Exception)
    assert "the store failed" in caplog.text
    again = await _deposit(store, _envelope(1))
    assert isinstance(again, Deposited)
    assert again.envelope is not None
    assert _names(await _read(store, mailbox)) == [1]


async def test_mail_to_nobody_is_refused(store: _Store) -> None:
    assert await _deposit(store, _envelope(1)) is DepositRefusal.NO_MAILBOX
    await _register(store, 1)
    assert await _deposit(store, replace(_envelope(1), device=2)) is DepositRefusal.NO_MAILBOX
    assert isinstance(await _deposit(store, _envelope(1)), Deposited)


async def test_a_mailbox_is_bounded_in_messages(store: _Store) -> None:
    mailbox = await _register(store, 1)
    for name in range(5):
        assert isinstance(await _deposit(store, _envelope(name)), Deposited)
    assert await _deposit(store, _envelope(9)) is DepositRefusal.FULL
    # A repetition of what is stored succeeds, and the refused one may come again.
    assert isinstance(await _deposit(store, _envelope(4)), Deposited)
    store.discard(mailbox, [(await _read(store, mailbox))[0].seq])
    assert isinstance(await _deposit(store, _envelope(9)), Deposited)
    assert _names(await _read(store, mailbox)) == [1, 2, 3, 4, 9]


async def test_a_mailbox_is_bounded_in_bytes(store: _Store) -> None:
    mailbox = await _register(store, 1)
    assert isinstance(await _deposit(store, _envelope(1, size_b=4096)), Deposited)
    assert isinstance(await _deposit(store, _envelope(2, size_b=4096)), Deposited)
    assert await _deposit(store, _envelope(3)) is DepositRefusal.FULL
    store.discard(mailbox, [(await _read(store, mailbox))[0].seq])
    assert isinstance(await _deposit(store, _envelope(3)), Deposited)


async def test_mailboxes_do_not_touch_each_other(store: _Store) -> None:
    one, two = await _register(store, 1), await _register(store, 2)
    await _deposit(store, _envelope(1, to=1))
    await _deposit(store, _envelope(2, to=2))
    seq = (await _read(store, one))[0].seq
    store.discard(one, [seq, seq + 1])
    assert await _read(store, one) == []
    assert _names(await _read(store, two)) == [2]


async def test_expired_mail_is_not_read_and_is_swept(store: _Store) -> None:
    mailbox = await _register(store, 1)
    await _deposit(store, _envelope(1, expires_at_ms=_NOW + 1000))
    await _deposit(store, _envelope(2))
    assert _names(await _read(store, mailbox, now_ms=_NOW + 1000)) == [2]
    await store.sweep(_NOW + 1000)
    await store.sweep(_NOW + 1000)
    assert _names(await _read(store, mailbox, now_ms=_NOW)) == [2]
    for name in (3, 4, 5, 6):  # sweeping made room
        assert isinstance(await _deposit(store, _envelope(name)), Deposited)


async def test_repetitions_are_recognised_for_the_retention_and_then_forgotten(store: _Store) -> None:
    mailbox = await _register(store, 1)
    first = await _deposit(store, _envelope(0))
    assert isinstance(first, Deposited)
    assert first.envelope is not None
    store.discard(mailbox, [first.envelope.seq])
    await _sweep_round(store, _NOW + 59_000)
    again = await _deposit(store, _envelope(0))
    assert isinstance(again, Deposited)
    assert again.envelope is None
    await _sweep_round(store, _NOW + 61_000)
    anew = await _deposit(store, _envelope(0))
    assert isinstance(anew, Deposited)
    assert anew.envelope is not None


# ----------------------------------------------------------------------------------------------------- tokens


async def test_tokens_are_found_dropped_and_swept(store: _Store) -> None:
    owner = TokenOwner(_uid(1), 1, _NOW + 1000)
    await store.put_token(b"a", owner)
    assert await store.find_token(b"a") == owner
    assert await store.find_token(b"b") is None
    await store.drop_token(b"a")
    assert await store.find_token(b"a") is None
    await store.put_token(b"c", owner)
    await store.put_token(b"d", replace(owner, device=2))
    await store.put_token(b"e", replace(owner, uid=_uid(2)))
    await store.drop_tokens(_uid(1))
    assert [await store.find_token(t) is not None for t in (b"c", b"d", b"e")] == [False, False, True]


async def test_only_the_newest_tokens_of_a_device_are_kept(store: _Store) -> None:
    for number in range(20):
        await store.put_token(b"%d" % number, TokenOwner(_uid(1), 1, _NOW + number))
    kept = [number for number in range(20) if await store.find_token(b"%d" % number)]
    assert kept == list(range(12, 20))


async def test_an_expired_token_is_still_told_apart_for_a_while(store: _Store) -> None:
    await store.put_token(b"a", TokenOwner(_uid(1), 1, _NOW))
    await store.sweep(_NOW + 1000)
    assert await store.find_token(b"a") is not None
    for _ in range(61):
        await store.sweep(_NOW + 2 * 3600 * 1000)
    assert await store.find_token(b"a") is None
