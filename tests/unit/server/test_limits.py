"""Token buckets: what they allow, how they refill, and that they stay small."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zap2.server.limits import Buckets, Rate

_DAY_MS: Final = 24 * 3600 * 1000


def test_a_burst_is_allowed_and_then_the_rate() -> None:
    buckets = Buckets(Rate(3, 2), 10)
    assert [buckets.take("a", 0) for _ in range(4)] == [0, 0, 0, 0.5]
    assert buckets.take("a", 499) > 0
    assert buckets.take("a", 500) == 0
    assert buckets.take("b", 500) == 0


def test_amounts_count() -> None:
    buckets = Buckets(Rate(100, 10), 10)
    assert buckets.take("a", 0, 80) == 0
    assert buckets.take("a", 0, 30) == 1.0
    assert buckets.take("a", 0, 20) == 0


def test_asking_what_is_missing_takes_nothing() -> None:
    buckets = Buckets(Rate(2, 0.5), 10)
    assert [buckets.missing_s("a", 0) for _ in range(5)] == [0] * 5
    assert buckets.take("a", 0, 2) == 0
    assert buckets.missing_s("a", 0) == 2
    assert buckets.missing_s("a", 0, 2) == 4
    assert buckets.missing_s("a", 2_000) == 0
    assert buckets.take("a", 2_000) == 0


def test_what_is_given_back_was_never_taken() -> None:
    buckets = Buckets(Rate(2, 0.001), 10)
    for _ in range(10):
        assert buckets.take("a", 0) == 0
        buckets.give_back("a", 0)
    assert len(buckets) == 0  # a full bucket takes no room
    buckets.give_back("a", 0, 5)
    assert [buckets.take("a", 0) > 0 for _ in range(3)] == [False, False, True]


def test_what_is_held_is_free_for_nobody_else_until_it_is_let_go() -> None:
    buckets, heard = Buckets(Rate(3, 0.5), 10), list[object]()
    buckets.taken = lambda key, amount: heard.append(key)
    assert [buckets.hold("a", 0) for _ in range(5)] == [0, 0, 0, 2, 2]
    assert buckets.hold("b", 0) == 0
    buckets.let_go("a")
    assert [buckets.hold("a", 0) for _ in range(2)] == [0, 2]
    assert heard == []  # nothing was taken


def test_what_is_held_can_be_taken() -> None:
    """However many are held when they turn out to count: that is what they were held for."""
    buckets = Buckets(Rate(4, 0.5), 10)
    assert buckets.take("a", 0) == 0
    assert [buckets.hold("a", 0) for _ in range(4)] == [0, 0, 0, 2]
    for _ in range(3):
        buckets.let_go("a")
        assert buckets.take("a", 0) == 0
    assert buckets.hold("a", 0) == 2
    assert buckets.hold("a", 2_000) == 0


def test_whoever_follows_hears_of_both() -> None:
    buckets, heard = Buckets(Rate(2, 1), 10), list[tuple[object, float]]()
    buckets.taken = lambda key, amount: heard.append((key, amount))
    buckets.take("a", 0)
    buckets.give_back("a", 0)
    assert heard == [("a", 1), ("a", -1)]


def test_a_clock_that_goes_back_gives_nothing_and_takes_nothing() -> None:
    buckets = Buckets(Rate(1, 1), 10)
    assert buckets.take("a", 10_000) == 0
    assert buckets.take("a", 0) == 1.0


@pytest.mark.parametrize("ask", [Buckets.take, Buckets.missing_s, Buckets.hold])
def test_a_clock_that_was_ahead_puts_nothing_off_for_longer_than_a_bucket_takes(
    ask: Callable[[Buckets, str, int], float],
) -> None:
    """Guards sources that were counted while the clock was a day ahead: whichever way they ask, each heals alike."""
    buckets = Buckets(Rate(10, 1), 10)
    assert buckets.take("a", _DAY_MS) == 0
    waits = [ask(buckets, "a", now_ms) for now_ms in (0, 250, 1_000)]
    assert waits == [1, 0.75, 0]
    assert buckets.missing_s("a", 10_000, 9) == 0


@pytest.mark.parametrize("change", [Buckets.give_back, Buckets.settle])
def test_a_clock_that_was_ahead_is_forgotten_by_what_is_heard_too(
    change: Callable[[Buckets, str, int, float], None],
) -> None:
    buckets = Buckets(Rate(10, 1), 10)
    assert buckets.take("a", _DAY_MS) == 0
    change(buckets, "a", 0, 1)
    assert buckets.missing_s("a", 10_000, 10) == 0


def test_memory_is_bounded_and_the_least_used_goes_first() -> None:
    buckets = Buckets(Rate(2, 0.001), 100)
    buckets.take("victim", 0)
    buckets.take("victim", 0)
    for number in range(99):
        buckets.take(number, 0)
    assert buckets.take("victim", 0) > 0
    for number in range(99, 10_000):
        buckets.take(number, 0)
        assert len(buckets) <= 100


def test_full_buckets_take_no_room() -> None:
    buckets = Buckets(Rate(1, 1), 100)
    buckets.take("a", 0)
    buckets.take("a", 100)
    assert len(buckets) == 1


@given(st.lists(st.tuples(st.integers(0, 5_000), st.integers(1, 5)), max_size=60))
def test_never_more_than_burst_and_rate_allow(steps: list[tuple[int, int]]) -> None:
    buckets, now_ms, taken = Buckets(Rate(10, 3), 10), 0, 0
    for wait_ms, amount in steps:
        now_ms += wait_ms
        wait_s = buckets.take("a", now_ms, amount)
        taken += 0 if wait_s else amount
        assert wait_s >= 0
        assert taken <= 10 + 3 * now_ms / 1000 + 1e-6
