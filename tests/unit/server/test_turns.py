"""Who says a lot waits for the others, and loses nothing by it."""

from __future__ import annotations

import asyncio
import gc
import math
from collections.abc import Callable, Iterator

import pytest
from websockets.frames import Frame, Opcode

from zap2.server import intake as intake_module
from zap2.server import turns as turns_module
from zap2.server.intake import Intake
from zap2.server.turns import REMEMBERED_S, SHARE, SLICE_S, Turns, Usage

_REQUEST = b"GET / HTTP/1.1\r\n\r\n"
_DEAR = b"dear"


class _Clock:
    """Goes on by 20 µs with every look at it."""

    def __init__(self) -> None:
        self.at_s = 0.0

    def __call__(self) -> float:
        self.at_s += 0.000_02
        return self.at_s


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> _Clock:
    clock = _Clock()
    monkeypatch.setattr(intake_module, "perf_counter", clock)
    monkeypatch.setattr(turns_module, "perf_counter", clock)
    return clock


class _Taker:
    """A connection that notes what it is given."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.is_held = False
        self.has_ended = False
        self.failures = 0

    def take_message(self, message: bytes) -> Iterator[float]:
        """Take a message word by word, a word of `_DEAR` being work for later."""
        for word in message.split():
            if word == b"bad":
                raise ValueError
            self.taken.append(word)
            yield SLICE_S if word == _DEAR else 0.0

    def take_bytes(self, data: bytes) -> Iterator[float]:
        self.taken.append(data)
        return iter(())

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


async def _hear_somebody(turns: Turns, clock: _Clock) -> None:
    """Have somebody say something who does not wait."""
    taker = _Taker()
    intake = _intake(taker, turns)
    intake.received(_REQUEST)
    turns.heard_at = -math.inf
    await _until(taker, 1)
    clock.at_s += 1
    intake.received(_message(b"here"))
    assert taker.taken[-1] == b"here"


async def test_a_flood_is_handled_bit_by_bit_and_others_in_between(clock: _Clock) -> None:
    turns, flooding, modest = Turns(), _Taker(), _Taker()
    await _hear_somebody(turns, clock)
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


async def test_a_modest_connection_does_not_wait(clock: _Clock) -> None:
    turns, taker = Turns(), _Taker()
    intake = _intake(taker, turns)
    intake.received(_REQUEST)
    await _until(taker, 1)
    clock.at_s += 1
    intake.received(_message(b"now"))
    assert taker.taken[-1] == b"now"


async def test_a_new_connection_has_nothing_ahead() -> None:
    """Otherwise one that comes again and again would have more than one that stays."""
    turns, taker = Turns(), _Taker()
    intake = _intake(taker, turns)
    intake.received(_REQUEST)
    await _until(taker, 1)
    intake.received(_message(b"soon"))
    assert taker.taken[-1] != b"soon"
    await _until(taker, 2)
    assert taker.taken[-1] == b"soon"


async def test_of_those_who_wait_whoever_used_least_goes_first(clock: _Clock) -> None:
    turns, takers = Turns(), [_Taker() for _ in range(10)]
    intakes = [_intake(taker, turns) for taker in takers]
    for intake in intakes:
        intake.received(_REQUEST)
    clock.at_s += 1
    for taker, intake in zip(takers, intakes, strict=True):
        intake.received(_message(b" ".join([b"word"] * 500)))
        await _until(taker, 101)
    # All of them wait with much, and all have had far more than their share, the last one but a little.
    modest = _Taker()
    words = _intake(modest, turns)
    words.received(_REQUEST)
    await _until(modest, 1)
    before = [len(taker.taken) for taker in takers]
    words.received(_message(b"hello"))
    await _until(modest, 2)
    assert sum(len(taker.taken) for taker in takers) - sum(before) < 30


async def test_what_is_asked_for_in_one_message_is_started_step_by_step(clock: _Clock) -> None:
    """Each step may start work for later: a slice starts no more of it than it has time for."""
    turns, asking, modest = Turns(), _Taker(), _Taker()
    await _hear_somebody(turns, clock)
    _intake(asking, turns).received(_REQUEST + _message(b" ".join([_DEAR] * 60)))
    _intake(modest, turns).received(_REQUEST + _message(b"hello"))
    await _until(modest, 2)
    assert len(asking.taken) <= 4
    assert await _until(asking, 61) > 50


async def test_work_for_later_counts_as_used(clock: _Clock) -> None:
    turns, asking, saying = Turns(), _Taker(), _Taker()
    dear, cheap = _intake(asking, turns), _intake(saying, turns)
    for intake, words in ((dear, _DEAR), (cheap, b"cheap")):
        intake.received(_REQUEST + _message(b" ".join([words] * 50)))
    await _until(asking, 51)
    await _until(saying, 51)
    assert dear.place()[1] > cheap.place()[1] + 0.9 * 50 * SLICE_S / SHARE
    clock.at_s = cheap.place()[1]
    for intake in (dear, cheap):
        intake.received(_message(b"again"))
    assert (asking.taken[-1], saying.taken[-1]) == (_DEAR, b"again")


async def test_many_of_one_source_who_each_say_little_wait_together(clock: _Clock) -> None:
    """Each below its own share, they would have the relay to themselves."""
    turns, crowd, elsewhere = Turns(), [_Taker() for _ in range(300)], _Taker()
    intakes = [_intake(taker, turns) for taker in crowd]
    modest = _intake(elsewhere, turns)
    for intake in intakes:
        intake.comes_from("crowd")
    modest.comes_from("elsewhere")
    for intake in [*intakes, modest]:
        intake.received(_REQUEST)
    await _until(elsewhere, 1)
    clock.at_s += 10
    for intake in intakes:
        intake.received(_message(b"1 2 3 4 5"))
    modest.received(_message(b"hello"))
    at_once = sum(len(taker.taken) == 6 for taker in crowd)
    assert 10 < at_once < 290
    assert elsewhere.taken[-1] == b"hello"
    for taker in crowd:
        await _until(taker, 6)
    # Whoever comes from there waits behind everybody else who waits, however little it has used itself.
    both = _Taker()
    for name in ("crowd", "elsewhere"):
        intake = _intake(both, turns)
        intake.comes_from(name)
        intake.received(b"GET /%s HTTP/1.1\r\n\r\n" % name.encode())
    await _until(both, 2)
    assert [b"crowd" in request for request in both.taken] == [False, True]


async def test_what_a_source_has_used_is_forgotten_with_its_last_connection() -> None:
    turns = Turns()
    intake = _intake(_Taker(), turns)
    intake.comes_from("here")
    assert turns.source("here") is turns.source("here")
    assert len(turns._sources) == 1
    del intake
    gc.collect()
    assert len(turns._sources) == 0


class _Writer:
    """Is busy as long as the test wants it to be."""

    def __init__(self) -> None:
        self.is_busy = True
        self.is_swamped = False
        self.is_patient = False
        self.tell: Callable[[], None] = lambda: None

    def when_idle(self, tell: Callable[[], None]) -> None:
        self.tell = tell


async def test_where_nobody_else_is_who_waits_makes_use_of_all_the_time(clock: _Clock) -> None:
    """Nothing is held back for a writer or kept short, so a busy relay of nobody but heavy users loses nothing."""
    turns, taker, writer = Turns(), _Taker(), _Writer()
    turns.give_way_to(writer)
    await _hear_somebody(turns, clock)
    clock.at_s += 0.2
    _intake(taker, turns).received(_REQUEST + _message(b" ".join([b"word"] * 100)))
    await asyncio.sleep(0)
    assert 15 < len(taker.taken) < 100
    assert not writer.is_patient


async def test_nobody_swamps_the_writer_even_alone(clock: _Clock) -> None:
    """Whoever comes next would wait for all of it."""
    turns, taker, writer = Turns(), _Taker(), _Writer()
    turns.give_way_to(writer)
    writer.is_swamped = True
    _intake(taker, turns).received(_REQUEST + _message(b" ".join([b"word"] * 100)))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not taker.taken
    writer.is_swamped = writer.is_busy = False
    writer.tell()
    await _until(taker, 101)


async def test_who_waits_lets_the_writer_go_on(clock: _Clock) -> None:
    turns, taker, writer = Turns(), _Taker(), _Writer()
    turns.give_way_to(writer)
    await _hear_somebody(turns, clock)
    _intake(taker, turns).received(_REQUEST + _message(b"1"))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not taker.taken
    writer.is_busy = False
    writer.tell()
    assert await _until(taker, 2) < 10


async def test_what_those_who_wait_ask_for_is_marked_as_patient(clock: _Clock) -> None:
    turns, writer, seen = Turns(), _Writer(), list[bool]()
    writer.is_busy = False
    turns.give_way_to(writer)
    await _hear_somebody(turns, clock)

    class _Asking(_Taker):
        def take_message(self, message: bytes) -> Iterator[float]:
            seen.append(writer.is_patient)
            return super().take_message(message)

    taker = _Asking()
    intake = _intake(taker, turns)
    intake.received(_REQUEST + _message(b"1"))
    await _until(taker, 2)
    clock.at_s += 1
    intake.received(_message(b"2"))
    assert (seen, writer.is_patient) == ([True, False], False)


async def test_a_writer_that_is_always_busy_starves_nobody(clock: _Clock) -> None:
    turns, taker, writer = Turns(), _Taker(), _Writer()
    turns.give_way_to(writer)
    await _hear_somebody(turns, clock)
    _intake(taker, turns).received(_REQUEST + _message(b" ".join([_DEAR] * 20)))
    for _ in range(1_000):
        await asyncio.sleep(0.001)
        if len(taker.taken) == 21:
            break
    assert taker.taken == [_REQUEST] + [_DEAR] * 20


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


def test_what_was_used_is_remembered_for_a_while_only() -> None:
    """Who said much for an hour is to stand with the others soon after."""
    usage = Usage(share=0.02)
    usage.charge(1_000, now=100)
    assert not usage.is_modest(105)
    assert usage.is_modest(100 + REMEMBERED_S)
