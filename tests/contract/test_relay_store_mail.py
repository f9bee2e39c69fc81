"""What every store of the relay must do with mail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.contract.relay_stores import (
    NOW_MS,
    STORES,
    Store,
    deposit,
    envelope,
    names,
    read,
    register,
    sweep_round,
    uid,
)
from zap2.server.store.port import (
    Deposited,
    DepositRefusal,
    Envelope,
)
from zap2.server.store.sqlite import SqliteStore


@pytest.fixture(params=STORES)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    store = STORES[request.param](tmp_path)
    await store.open()
    yield store
    await store.close()


# ------------------------------------------------------------------------------------------------------- mail


async def test_mail_is_read_in_order_until_it_is_discarded(store: Store) -> None:
    mailbox = await register(store, 1)
    results = [await deposit(store, envelope(name)) for name in (1, 2, 3)]
    assert [r.waiting for r in results if isinstance(r, Deposited)] == [1, 2, 3]
    mail = await read(store, mailbox)
    assert names(mail) == [1, 2, 3]
    assert mail[0].payload == bytes([1]) * 512
    assert [e.seq for e in mail] == sorted({e.seq for e in mail})
    assert names(await read(store, mailbox, after_seq=mail[0].seq, limit=1)) == [2]
    store.discard(mailbox, [mail[2].seq, mail[0].seq, mail[0].seq])
    assert names(await read(store, mailbox)) == [2]


async def test_callbacks_come_in_the_order_of_the_calls(store: Store) -> None:
    """Delivery relies on it: a read has exactly the deposits whose callbacks came before its own."""
    mailbox = await register(store, 1)
    order: list[str] = []
    finished = asyncio.Event()
    seen: list[list[int]] = []

    def was_read(result: list[Envelope] | Exception) -> None:
        assert isinstance(result, list)
        seen.append(names(result))
        order.append("read")

    store.deposit(envelope(1), lambda _: order.append("one"))
    store.read_mail(mailbox, 0, 64, NOW_MS, was_read)
    store.deposit(envelope(2), lambda _: order.append("two"))
    store.read_mail(mailbox, 0, 64, NOW_MS, lambda _: finished.set())
    await finished.wait()
    assert order == ["one", "read", "two"]
    assert seen == [[1]]


async def test_the_same_deposit_again_stores_nothing(store: Store) -> None:
    mailbox = await register(store, 1)
    first = await deposit(store, envelope(1))
    again = await deposit(store, replace(envelope(1), payload=bytes(1024)))
    assert isinstance(first, Deposited)
    assert isinstance(again, Deposited)
    assert first.envelope is not None
    assert again.envelope is None
    assert again.waiting == 1
    store.discard(mailbox, [first.envelope.seq])
    once_more = await deposit(store, envelope(1))
    assert isinstance(once_more, Deposited)
    assert once_more.envelope is None
    assert await read(store, mailbox) == []


async def test_a_deposit_that_failed_may_be_tried_again(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """It must not be taken for a repetition: the message would be answered as safe and be nowhere."""
    mailbox = await register(store, 1)
    failed: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    impossible = replace(envelope(2), received_at_ms=2**70)  # no store's integers reach that far
    store.deposit(envelope(1), failed.set_result)
    store.deposit(impossible, lambda _: None)
    assert isinstance(await failed, Exception)
    assert "the store failed" in caplog.text
    again = await deposit(store, envelope(1))
    assert isinstance(again, Deposited)
    assert again.envelope is not None
    assert names(await read(store, mailbox)) == [1]


async def test_a_device_is_known_by_the_highest_seq_that_it_acknowledged(store: Store) -> None:
    """Whatever became of other mail: a device that came back from a backup must notice by it."""
    mailbox = await register(store, 1)

    async def acknowledged() -> int:
        device = await store.device(uid(1), 1)
        assert device is not None
        return device.acknowledged

    assert await acknowledged() == 0
    for name in (1, 2, 3):
        await deposit(store, envelope(name))
    await deposit(store, envelope(4, expires_at_ms=NOW_MS + 1000))
    first, second, third, _ = [e.seq for e in await read(store, mailbox)]
    assert await acknowledged() == 0
    store.discard(mailbox, [first, second])
    assert await acknowledged() == second
    store.discard(mailbox, [first, third + 1000])
    assert await acknowledged() == second
    await sweep_round(store, NOW_MS + 2000)
    assert await acknowledged() == second
    store.discard(mailbox, [third])
    assert await acknowledged() == third


async def test_what_is_offered_and_discarded_is_safe_and_its_repetition_is_known(store: Store) -> None:
    """Whether the store wrote it or left it to its receiver: the sender is answered, and it never comes again."""
    mailbox = await register(store, 1)
    offered: list[Envelope] = []

    def take(at: int, envelope: Envelope) -> None:
        assert at == mailbox
        offered.append(envelope)
        store.discard(mailbox, [envelope.seq])

    result = await deposit(store, envelope(1), take)
    assert isinstance(result, Deposited)
    delivered = [result.envelope] if result.envelope is not None else offered
    assert names(delivered) == [1]
    if result.envelope is not None:
        store.discard(mailbox, [result.envelope.seq])
    assert result.is_direct == (result.envelope is None)
    assert await read(store, mailbox) == []
    again = await deposit(store, envelope(1), take)
    assert isinstance(again, Deposited)
    assert again.envelope is None
    assert again.waiting == 0
    assert len(offered) <= 1
    device = await store.device(uid(1), 1)
    assert device is not None
    assert device.acknowledged == delivered[0].seq


async def test_what_is_offered_and_not_discarded_is_kept_in_its_place(store: Store) -> None:
    """Also when it is read, repeated, or its mailbox is full while the store waits for the receiver."""
    mailbox = await register(store, 1)
    offers: asyncio.Queue[Envelope] = asyncio.Queue()
    results = [asyncio.get_running_loop().create_future() for _ in range(7)]
    for name, result in zip((0, 1, 1, 2, 3, 4, 5), results, strict=True):
        store.deposit(
            envelope(name),
            result.set_result,
            (lambda _, envelope: offers.put_nowait(envelope)) if name % 2 else None,
        )
    assert names(await read(store, mailbox)) == [0, 1, 2, 3, 4]
    assert names(await read(store, mailbox, limit=2)) == [0, 1]
    answers = [await result for result in results]
    assert answers.pop() is DepositRefusal.FULL
    assert all(isinstance(answer, Deposited) and not answer.is_direct for answer in answers)
    assert names(await read(store, mailbox)) == [0, 1, 2, 3, 4]


async def test_what_its_receiver_took_is_no_row_and_yet_known_after_a_restart(tmp_path: Path) -> None:
    """The answer may be lost with the relay, so its sender may send it again."""
    store = SqliteStore(tmp_path / "db", hold_s=60)
    await store.open()
    mailbox = await register(store, 1)
    for name in (1, 2):
        taken = await deposit(store, envelope(name), lambda at, one: store.discard(at, [one.seq]))
        assert isinstance(taken, Deposited)
        assert taken.is_direct
    await store.close()
    store = SqliteStore(tmp_path / "db")
    await store.open()
    assert await read(store, mailbox) == []
    for name in (1, 2):
        again = await deposit(store, envelope(name))
        assert isinstance(again, Deposited)
        assert again.envelope is None
    await store.close()


async def test_closing_writes_what_was_offered(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "db", hold_s=60)
    await store.open()
    mailbox = await register(store, 1)
    offered: asyncio.Queue[Envelope] = asyncio.Queue()
    answer: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    store.deposit(envelope(1), answer.set_result, lambda _, envelope: offered.put_nowait(envelope))
    await offered.get()
    assert not answer.done()
    await store.close()
    assert isinstance(answer.result(), Deposited)
    again = SqliteStore(tmp_path / "db")
    await again.open()
    assert names(await read(again, mailbox)) == [1]
    await again.close()


async def test_a_failure_tells_those_who_wait_for_their_receiver_and_gives_no_seq_twice(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """They were delivered and are not safe: each must come again, under another seq than what was delivered."""
    store = SqliteStore(tmp_path / "db", hold_s=60)
    await store.open()
    mailbox = await register(store, 1)
    offered: asyncio.Queue[Envelope] = asyncio.Queue()
    answer: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    store.deposit(envelope(1), answer.set_result, lambda _, envelope: offered.put_nowait(envelope))
    first = await offered.get()
    store.deposit(replace(envelope(2), received_at_ms=2**70), lambda _: None)
    assert isinstance(await answer, Exception)
    assert "the store failed" in caplog.text
    assert await read(store, mailbox) == []
    again = await deposit(store, envelope(1))
    assert isinstance(again, Deposited)
    assert again.envelope is not None
    assert again.envelope.seq > first.seq
    await store.close()


async def test_mail_to_nobody_is_refused(store: Store) -> None:
    assert await deposit(store, envelope(1)) is DepositRefusal.NO_MAILBOX
    await register(store, 1)
    assert await deposit(store, replace(envelope(1), device=2)) is DepositRefusal.NO_MAILBOX
    assert isinstance(await deposit(store, envelope(1)), Deposited)


async def test_a_mailbox_is_bounded_in_messages(store: Store) -> None:
    mailbox = await register(store, 1)
    for name in range(5):
        assert isinstance(await deposit(store, envelope(name)), Deposited)
    assert await deposit(store, envelope(9)) is DepositRefusal.FULL
    # A repetition of what is stored succeeds, and the refused one may come again.
    assert isinstance(await deposit(store, envelope(4)), Deposited)
    store.discard(mailbox, [(await read(store, mailbox))[0].seq])
    assert isinstance(await deposit(store, envelope(9)), Deposited)
    assert names(await read(store, mailbox)) == [1, 2, 3, 4, 9]


async def test_a_mailbox_is_bounded_in_bytes(store: Store) -> None:
    mailbox = await register(store, 1)
    assert isinstance(await deposit(store, envelope(1, size_b=4096)), Deposited)
    assert isinstance(await deposit(store, envelope(2, size_b=4096)), Deposited)
    assert await deposit(store, envelope(3)) is DepositRefusal.FULL
    store.discard(mailbox, [(await read(store, mailbox))[0].seq])
    assert isinstance(await deposit(store, envelope(3)), Deposited)


async def test_mailboxes_do_not_touch_each_other(store: Store) -> None:
    one, two = await register(store, 1), await register(store, 2)
    await deposit(store, envelope(1, to=1))
    await deposit(store, envelope(2, to=2))
    seq = (await read(store, one))[0].seq
    store.discard(one, [seq, seq + 1])
    assert await read(store, one) == []
    assert names(await read(store, two)) == [2]


async def test_expired_mail_is_not_read_and_is_swept(store: Store) -> None:
    mailbox = await register(store, 1)
    await deposit(store, envelope(1, expires_at_ms=NOW_MS + 1000))
    await deposit(store, envelope(2))
    assert names(await read(store, mailbox, now_ms=NOW_MS + 1000)) == [2]
    await store.sweep(NOW_MS + 1000)
    await store.sweep(NOW_MS + 1000)
    assert names(await read(store, mailbox, now_ms=NOW_MS)) == [2]
    for name in (3, 4, 5, 6):  # sweeping made room
        assert isinstance(await deposit(store, envelope(name)), Deposited)


async def test_repetitions_are_recognised_for_the_retention_and_then_forgotten(store: Store) -> None:
    mailbox = await register(store, 1)
    first = await deposit(store, envelope(0))
    assert isinstance(first, Deposited)
    assert first.envelope is not None
    store.discard(mailbox, [first.envelope.seq])
    await sweep_round(store, NOW_MS + 59_000)
    again = await deposit(store, envelope(0))
    assert isinstance(again, Deposited)
    assert again.envelope is None
    await sweep_round(store, NOW_MS + 61_000)
    anew = await deposit(store, envelope(0))
    assert isinstance(anew, Deposited)
    assert anew.envelope is not None
