"""A short round of the fuzzers, the same in every run: every decoder, and everything that receives.

`ZAP2_FUZZ_ROUNDS` sets how many inputs a target gets. `make fuzz` looks further, guided by coverage, and
`python -m tests.fuzz envelopes` counts to a million.
"""

from __future__ import annotations

import os
import random

import pytest

from tests.fuzz.envelopes import ATTACKS
from tests.fuzz.mutation import crossed, mutated
from tests.fuzz.receiving import EngineUnderAttack, SessionUnderAttack, SetupUnderAttack, envelope_of
from tests.fuzz.relay_answers import KeysUnderAttack, keys_of
from tests.fuzz.targets import TARGETS

ROUNDS = int(os.environ.get("ZAP2_FUZZ_ROUNDS", "150"))
ENVELOPES = 20 * ROUNDS


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_bears_its_seeds_and_what_is_made_of_them(name: str) -> None:
    """Nothing but documented errors, and what is accepted comes back (each target's `check`)."""
    dice, target = random.Random(name), TARGETS[name]
    seeds = target.seeds()
    for seed in seeds:
        target.check(seed)
    for _ in range(ROUNDS):
        given = mutated(dice.choice(seeds), dice)
        target.check(given)
        target.check(crossed(dice.choice(seeds), given, dice))


@pytest.mark.parametrize("name", ATTACKS)
def test_no_envelope_of_a_stranger_is_read_or_changes_anything(name: str) -> None:
    """Only documented errors, no change of state, and the genuine envelopes are read at the end."""
    sizes_b = ATTACKS[name](ENVELOPES, 1)
    assert sizes_b.total() == ENVELOPES
    assert max(sizes_b.values()) < ENVELOPES


@pytest.mark.parametrize("name", ATTACKS)
def test_the_fuzzers_would_notice(name: str) -> None:
    """A genuine envelope where a mutated one is expected is read or changes the state, so that the check fails."""
    if name == "engine":
        engine = EngineUnderAttack()
        with pytest.raises(AssertionError):
            engine.check([engine.genuine[0]])
        return
    attacked = SessionUnderAttack(0) if name == "session" else SetupUnderAttack(0)
    with pytest.raises(AssertionError):
        attacked.check(attacked.genuine[0])


def test_recipes_reach_every_genuine_envelope_and_raw_bytes() -> None:
    """What a guided fuzzer changes is small: a byte says which envelope, three an edit."""
    genuine = [b"a" * 512, b"b" * 1024]
    assert envelope_of(b"", genuine) is None
    assert envelope_of(b"\x01\x00\x02\x01", genuine) == b"bbc" + b"b" * 1021
    assert envelope_of(b"\x01\x00\x02\x00", genuine) == b"bb"
    assert envelope_of(b"\x02\x00xyz", genuine) == b"xyz" + bytes(509)


def test_keys_that_a_relay_changed_lock_nothing() -> None:
    """After all of the changed ones, the genuine ones send the text; keeping the pair back is no fault."""
    attacked, dice = KeysUnderAttack(), random.Random("keys")
    assert keys_of(b"", attacked.genuine) is None
    refused = 0
    for _ in range(ROUNDS):
        fetched = keys_of(dice.randbytes(4 * dice.randrange(1, 5)), attacked.genuine)
        if fetched is not None:
            attacked.check(fetched)
            refused += 1
    assert refused > ROUNDS / 2
    attacked.check_alive()
