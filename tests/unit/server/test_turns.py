"""Who says a lot waits for the others, and loses nothing by it."""

from __future__ import annotations

import asyncio

import pytest
from websockets.frames import Frame, Opcode

from zap2.server import intake as intake_module
from zap2.server import turns as turns_module
from zap2.server.intake import Intake
from zap2.server.turns import Turns

_REQUEST = b"GET / HTTP/1.1\r\n\r\n"


class _Clock:
    """Goes on by a millisecond with every look at it."""

    def __init__(self) -> None:
        self.at_s = 0.0

    def __call__(self) -> float:
        self.at_s += 0.001
        return self.at_s


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = _Clock()
    monkeypatch.setattr(intake_module, "perf_counter", clock)
    monkeypatch.setattr(turns_module, "perf_counter", clock)


class _Taker:
    """A connection that notes what it is given."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.is_held = False
        self.has_ended = False
        self.failures = 0

    def take_message(self, message: bytes) -> None:
        if message == b"bad":
            raise ValueError
        self.taken.append(message)

    def take_bytes(self, data: bytes) -> None:
        self.taken.append(data)

    def take_end(self) -> None:
        self.has_ended = True

    def hold(self, is_held: bool) -> None:
        self.is_held = is_held

    def failed(self) -> None:
        self.failures += 1


def _intake(taker: _Taker, turns: Turns) -> Intake:
    intake = Intake(taker, turns)
    intake.take_message = taker.take_message
    return intake


def _message(data: bytes) -> bytes:
    return Frame(Opcode.BINARY, data).serialize(mask=True)


async def _until(taker: _Taker, count: int) -> int:
    """Give the turns of the loop until so much was taken."""
    for number in range(10_000):
        if len(taker.taken) >= count:
            return number
        await asyncio.sleep(0)
    raise AssertionError(f"only {len(taker.taken)} of {count} came")


async def test_a_flood_is_handled_bit_by_bit_and_others_in_between() -> None:
    turns, flooding, modest = Turns(), _Taker(), _Taker()
    flood, words = _intake(flooding, turns), _intake(modest, turns)
    messages = [b"%d" % number for number in range(500)]
    flood.received(_REQUEST + b"".join(map(_message, messages)))
    words.received(_REQUEST + _message(b"hello"))
    assert not flooding.taken  # Who is not open yet waits in any case.
    await _until(modest, 2)
    assert len(flooding.taken) < 50
    assert await _until(flooding, 501) > 50
    assert flooding.taken == [_REQUEST, *messages]
    assert modest.taken == [_REQUEST, b"hello"]


async def test_a_modest_connection_does_not_wait() -> None:
    turns, taker = Turns(), _Taker()
    intake = _intake(taker, turns)
    intake.received(_REQUEST)
    await _until(taker, 1)
    intake.received(_message(b"now"))
    assert taker.taken[-1] == b"now"


async def test_who_had_its_share_waits() -> None:
    turns, taker = Turns(), _Taker()
    intake = _intake(taker, turns)
    intake.received(_REQUEST + b"".join(_message(b"%d" % number) for number in range(100)))
    await _until(taker, 101)
    intake.received(_message(b"later"))
    assert taker.taken[-1] != b"later"
    await _until(taker, 102)
    assert taker.taken[-1] == b"later"


async def test_reading_stops_while_much_waits() -> None:
    turns, taker = Turns(), _Taker()
    intake = _intake(taker, turns)
    intake.received(_REQUEST)
    await _until(taker, 1)
    size_b = 0
    while not taker.is_held:
        data = _message(bytes(1000)) * 10
        size_b += len(data)
        intake.received(data)
    assert 64 * 1024 < size_b < 100_000
    await _until(taker, 1 + size_b // 1008)
    assert not taker.is_held


async def test_what_came_before_the_end_is_handled_before_it() -> None:
    turns, taker = Turns(), _Taker()
    intake = _intake(taker, turns)
    intake.received(_REQUEST + _message(b"1") + _message(b"2"))
    assert intake.ended()
    assert not taker.has_ended
    await _until(taker, 3)
    await asyncio.sleep(0)
    assert taker.has_ended


async def test_one_that_fails_costs_the_others_nothing() -> None:
    turns, bad, good = Turns(), _Taker(), _Taker()
    _intake(bad, turns).received(_REQUEST + _message(b"bad"))
    _intake(good, turns).received(_REQUEST + _message(b"good"))
    await _until(good, 2)
    assert bad.failures == 1


async def test_a_connection_that_is_gone_is_passed_over() -> None:
    turns, gone, there = Turns(), _Taker(), _Taker()
    dropped = _intake(gone, turns)
    dropped.received(_REQUEST + _message(b"1"))
    dropped.drop()
    _intake(there, turns).received(_REQUEST)
    await _until(there, 1)
    assert not gone.taken
