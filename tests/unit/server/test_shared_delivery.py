"""Delivery from a mailbox that other relays write to: nothing is passed over, whoever stored it and told when."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.contract.relay_stores import NOW_MS
from zap2.ids import EnvelopeId
from zap2.server.mailbox import Delivery
from zap2.server.store.port import Envelope, ReadDone
from zap2.server.store.sqlite import SqliteStore
from zap2.wire.frames import Deliver, Frame


@dataclass
class _Outlet:
    is_writable: bool = True
    seqs: list[int] = field(default_factory=list)

    def send(self, frame: Frame) -> None:
        assert isinstance(frame, Deliver)
        self.seqs.append(frame.seq)


class _Store(SqliteStore):
    """Holds reads back until the test answers them."""

    def __init__(self) -> None:
        super().__init__(None)
        self.reads: list[tuple[int, ReadDone]] = []

    def read_mail(self, mailbox: int, after_seq: int, limit: int, now_ms: int, done: ReadDone) -> None:
        self.reads.append((after_seq, done))

    def answer(self, *seqs: int) -> None:
        after_seq, done = self.reads.pop(0)
        done([_envelope(seq) for seq in seqs if seq > after_seq])


def _envelope(seq: int) -> Envelope:
    return Envelope(seq, EnvelopeId(bytes(16)), NOW_MS, bytes(512))


def _caught_up(store: _Store, outlet: _Outlet) -> Delivery:
    delivery = Delivery(outlet, store, 1, 64, lambda: NOW_MS, is_shared=True)
    delivery.pump()
    store.answer(1)
    assert outlet.seqs == [1]
    return delivery


def test_an_arrival_waits_for_what_another_relay_stored_before_it() -> None:
    store, outlet = _Store(), _Outlet()
    delivery = _caught_up(store, outlet)
    delivery.arrived(_envelope(2))
    assert outlet.seqs == [1, 2]
    delivery.arrived(_envelope(4))
    assert outlet.seqs == [1, 2]
    store.answer(1, 2, 3, 4)
    assert outlet.seqs == [1, 2, 3, 4]


def test_a_word_during_a_read_makes_another_one() -> None:
    """The read may have looked before the other relay's commit."""
    store, outlet = _Store(), _Outlet()
    delivery = _caught_up(store, outlet)
    delivery.woken()
    delivery.woken()
    assert len(store.reads) == 1
    store.answer(1)
    assert len(store.reads) == 1
    store.answer(1, 2)
    assert outlet.seqs == [1, 2]
    assert not store.reads
