"""Very many random and mutated envelopes, counted: no exception but documented errors, no change of state.

python -m tests.fuzz envelopes --count 1000000
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import islice, repeat
from typing import Final

from tests.fuzz.mutation import mutated_envelope
from tests.fuzz.receiving import EngineUnderAttack, SessionUnderAttack, SetupUnderAttack

BATCH: Final = 64
"""Envelopes that the engine gets at once: what a relay leaves unacknowledged on one connection."""

Attack = Callable[[int, int], Counter[int]]


def _envelopes(
    genuine: list[bytes], dice: random.Random, count: int, sizes_b: Counter[int]
) -> Iterable[bytes]:
    for _ in repeat(None, count):
        envelope = mutated_envelope(genuine, dice)
        sizes_b[len(envelope)] += 1
        yield envelope


def attack_session(count: int, seed: int) -> Counter[int]:
    """Try envelopes on a session in mid-conversation, then read the genuine ones; gives how many of each size."""
    attacked, sizes_b = SessionUnderAttack(seed), Counter[int]()
    for envelope in _envelopes(attacked.genuine, random.Random(seed), count, sizes_b):
        attacked.check(envelope)
    attacked.check_alive()
    return sizes_b


def attack_set_up(count: int, seed: int) -> Counter[int]:
    """As `attack_session`, on `open_setup`."""
    attacked, sizes_b = SetupUnderAttack(seed), Counter[int]()
    for envelope in _envelopes(attacked.genuine, random.Random(seed), count, sizes_b):
        attacked.check(envelope)
    attacked.check_alive()
    return sizes_b


def attack_engine(count: int, seed: int) -> Counter[int]:
    """As `attack_session`, on the engine with its vault, in batches."""
    attacked, sizes_b = EngineUnderAttack(), Counter[int]()
    envelopes = iter(_envelopes(attacked.genuine, random.Random(seed), count, sizes_b))
    while batch := list(islice(envelopes, BATCH)):
        attacked.check(batch)
    attacked.check_alive()
    return sizes_b


ATTACKS: Final[dict[str, Attack]] = {
    "session": attack_session,
    "set-up": attack_set_up,
    "engine": attack_engine,
}
