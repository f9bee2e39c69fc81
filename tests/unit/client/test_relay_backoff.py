"""The waits between tries grow, stay bounded, and are random all the way down to nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zap2.client.relay.backoff import Backoff


def test_ceilings_double_from_half_a_second_to_a_minute_and_begin_again() -> None:
    backoff = Backoff(lambda: 1.0)
    assert [backoff.next_wait_s() for _ in range(9)] == [0.5, 1, 2, 4, 8, 16, 32, 60, 60]
    backoff.reset()
    assert backoff.next_wait_s() == 0.5


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_every_wait_is_the_random_part_of_its_ceiling(parts: list[float]) -> None:
    source: Iterator[float] = iter(parts)
    backoff, ceilings = Backoff(lambda: next(source)), Backoff(lambda: 1.0)
    for part in parts:
        assert backoff.next_wait_s() == pytest.approx(part * ceilings.next_wait_s())


def test_a_wait_that_was_asked_for_is_never_cut_short() -> None:
    assert Backoff(lambda: 0.0).spread_s(8) == 8
    assert Backoff(lambda: 1.0).spread_s(8) == 12
