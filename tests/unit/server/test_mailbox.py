"""Delivery over one connection, on a real store: order, window, and what is read ahead of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.contract.relay_stores import NOW_MS, deposit, envelope, register
from zap2.server.mailbox import Delivery
from zap2.server.store.commits import StoreFailed
from zap2.server.store.port import Deposited, Envelope, ReadDone
from zap2.server.store.sqlite import SqliteStore
from zap2.wire.frames import Deliver, Frame


class _Outlet:
    """A peer that reads when it is told to."""

    def __init__(self) -> None:
        self.is_writable = True
        self.sent: list[Deliver] = []

    def send(self, frame: Frame) -> None:
        assert isinstance(frame, Deliver)
        self.sent.append(frame)

    @property
    def names(self) -> list[int]:
        return [frame.envelope_id[0] for frame in self.sent]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path / "db", window_s=0)
    await store.open()
    yield store
    await store.close()


async def _settled(store: SqliteStore) -> None:
    """Wait until the store has answered all reads, and the reads that those led to."""
    for _ in range(4):
        await store.find_number(b"?" * 32)


def _delivery(outlet: _Outlet, store: SqliteStore, mailbox: int, window: int = 4) -> Delivery:
    return Delivery(outlet, store, mailbox, window, lambda: NOW_MS)


async def test_the_window_bounds_what_is_in_flight_and_acks_bring_the_rest_in_order(
    store: SqliteStore,
) -> None:
    mailbox = await register(store, 1)
    for name in range(30):
        await deposit(store, envelope(name))
    outlet = _Outlet()
    delivery = _delivery(outlet, store, mailbox)
    delivery.pump()
    acknowledged = 0
    while acknowledged < 30:
        await _settled(store)
        in_flight = outlet.sent[acknowledged:]
        assert 1 <= len(in_flight) <= 4
        taken = in_flight[: 1 + acknowledged % 4]
        delivery.acknowledged([frame.seq for frame in taken])
        acknowledged += len(taken)
    assert outlet.names == list(range(30))


async def test_a_window_is_ahead_so_that_an_ack_is_followed_without_waiting_for_the_disk(
    store: SqliteStore,
) -> None:
    mailbox = await register(store, 1)
    for name in range(8):
        await deposit(store, envelope(name))
    outlet = _Outlet()
    delivery = _delivery(outlet, store, mailbox)
    delivery.pump()
    await _settled(store)
    assert outlet.names == [0, 1, 2, 3]
    delivery.acknowledged([frame.seq for frame in outlet.sent])
    assert outlet.names == list(range(8))


async def test_what_arrives_while_the_window_is_full_waits_and_keeps_its_place(store: SqliteStore) -> None:
    """Also when so much arrives that it has to be read from the store again."""
    mailbox = await register(store, 1)
    outlet = _Outlet()
    delivery = _delivery(outlet, store, mailbox)
    delivery.pump()
    await _settled(store)
    for name in range(20):
        result = await deposit(store, envelope(name))
        assert isinstance(result, Deposited)
        assert isinstance(result.envelope, Envelope)
        delivery.arrived(result.envelope)
    assert outlet.names == [0, 1, 2, 3]
    acknowledged = 0
    while acknowledged < 20:
        await _settled(store)
        (first, *_) = outlet.sent[acknowledged:]
        delivery.acknowledged([first.seq])
        acknowledged += 1
    assert outlet.names == list(range(20))


async def test_a_peer_that_does_not_read_gets_nothing_until_it_does(store: SqliteStore) -> None:
    mailbox = await register(store, 1)
    outlet = _Outlet()
    delivery = _delivery(outlet, store, mailbox)
    delivery.pump()
    await _settled(store)
    outlet.is_writable = False
    for name in range(3):
        result = await deposit(store, envelope(name))
        assert isinstance(result, Deposited)
        assert result.envelope is not None
        delivery.arrived(result.envelope)
    assert outlet.sent == []
    outlet.is_writable = True
    delivery.pump()
    await _settled(store)
    assert outlet.names == [0, 1, 2]


class _FailingStore(SqliteStore):
    """A store whose next reads fail."""

    failures = 0
    reads = 0

    def read_mail(self, mailbox: int, after_seq: int, limit: int, now_ms: int, done: ReadDone) -> None:
        self.reads += 1
        if self.failures:
            self.failures -= 1
            asyncio.get_running_loop().call_soon(done, StoreFailed("not now"))
        else:
            super().read_mail(mailbox, after_seq, limit, now_ms, done)


@pytest.fixture
async def failing(tmp_path: Path) -> AsyncIterator[_FailingStore]:
    store = _FailingStore(tmp_path / "db", window_s=0)
    await store.open()
    yield store
    await store.close()


async def _until_sent(outlet: _Outlet, count: int) -> None:
    for _ in range(4_000):
        if len(outlet.sent) >= count:
            return
        await asyncio.sleep(0.005)
    raise TimeoutError("it was never sent")


async def test_a_read_that_failed_is_tried_again_though_nothing_happens(
    failing: _FailingStore, caplog: pytest.LogCaptureFixture
) -> None:
    """Otherwise mail would wait for the next mail. What comes meanwhile keeps its place, and asks for no more reads."""
    mailbox = await register(failing, 1)
    await deposit(failing, envelope(1))
    failing.failures = 2
    outlet = _Outlet()
    delivery = _delivery(outlet, failing, mailbox)
    delivery.pump()
    await asyncio.sleep(0)
    for name in (2, 3):
        result = await deposit(failing, envelope(name))
        assert isinstance(result, Deposited)
        assert result.envelope is not None
        delivery.arrived(result.envelope)
    assert failing.reads == 1
    await _until_sent(outlet, 3)
    assert outlet.names == [1, 2, 3]
    assert failing.reads == 3
    assert caplog.text.count("could not be read") == 1


async def test_what_has_ended_is_not_read_again(failing: _FailingStore) -> None:
    mailbox = await register(failing, 1)
    await deposit(failing, envelope(1))
    failing.failures = 1
    gone, outlet = _Outlet(), _Outlet()
    delivery = _delivery(gone, failing, mailbox)
    delivery.pump()
    await asyncio.sleep(0.01)
    delivery.end()
    failing.failures = 1
    # One that fails later than it did, and is tried again: the other one's time has come before that.
    _delivery(outlet, failing, mailbox).pump()
    await _until_sent(outlet, 1)
    assert (gone.sent, failing.reads) == ([], 3)


async def test_after_its_end_nothing_is_delivered(store: SqliteStore) -> None:
    mailbox = await register(store, 1)
    await deposit(store, envelope(1))
    outlet = _Outlet()
    delivery = _delivery(outlet, store, mailbox)
    delivery.pump()
    delivery.end()
    await asyncio.sleep(0)
    await _settled(store)
    assert outlet.sent == []


async def test_a_shared_store_is_read_again_when_a_seq_is_missing_in_between(store: SqliteStore) -> None:
    """Another relay has put it there: to deliver what is known here first would break the order."""
    mailbox = await register(store, 1)
    outlet = _Outlet()
    delivery = Delivery(outlet, store, mailbox, 4, lambda: NOW_MS, True)
    delivery.pump()
    await _settled(store)
    await deposit(store, envelope(1))  # nobody tells this relay
    second = await deposit(store, envelope(2))
    assert isinstance(second, Deposited)
    assert second.envelope is not None
    delivery.arrived(second.envelope)
    assert outlet.sent == []
    await _settled(store)
    assert outlet.names == [1, 2]
