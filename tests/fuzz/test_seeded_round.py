"""A seeded round of mutated envelopes against `Session.decrypt` and `open_setup`, the same in every run.

`ZAP2_FUZZ_ROUNDS` sets how many; a million for a long night.
"""

from __future__ import annotations

import os
import random

import pytest

from tests.crypto_world import NOW_S, confirmed, new_person, set_up
from zap2.crypto import PAYLOAD_SIZES_B, Session, open_setup
from zap2.errors import CryptoError, WireError

ROUNDS = int(os.environ.get("ZAP2_FUZZ_ROUNDS", "4000"))


def _mutated(payload: bytes, dice: random.Random) -> bytes:
    """Change a genuine envelope somewhere, or make one up; never gives the genuine one."""
    kind = dice.randrange(5)
    if kind == 0:
        return dice.randbytes(dice.choice((0, 1, 73, 511, *PAYLOAD_SIZES_B[:4])))
    if kind == 1:
        return payload[: dice.randrange(len(payload))]
    if kind == 2:
        return payload + dice.randbytes(dice.choice((1, len(payload))))
    if kind == 3:
        return payload[:1] + dice.randbytes(len(payload) - 1)
    changed = bytearray(payload)
    changed[dice.randrange(len(changed))] ^= dice.randrange(1, 256)
    return bytes(changed)


@pytest.mark.parametrize("seed", range(2))
def test_no_mutated_envelope_is_read_or_changes_a_session(seed: int) -> None:
    """Only documented errors, no change of state, and the genuine envelope is read at the end."""
    dice = random.Random(seed)
    at_alice, at_bob, rng = confirmed(f"fuzz {seed}")
    sender, payload = at_alice.encrypt(b"genuine", rng=rng, now_s=NOW_S)
    _, later = sender.encrypt(b"later", rng=rng, now_s=NOW_S)
    before = at_bob.encode()
    for _ in range(ROUNDS):
        envelope = _mutated(dice.choice((payload, later)), dice)
        with pytest.raises((CryptoError, WireError)):
            at_bob.decrypt(envelope, now_s=NOW_S)
    assert at_bob.encode() == before
    assert Session.decode(before).decrypt(payload, now_s=NOW_S)[1] == b"genuine"


def test_no_mutated_set_up_opens() -> None:
    """Only documented errors from a sealed set-up that was changed anywhere."""
    dice = random.Random("set-up")
    alice, bob = new_person("fuzz a"), new_person("fuzz b")
    at_alice, _ = set_up(alice, bob)
    _, payload = at_alice.encrypt(b"sealed", rng=alice.rng, now_s=NOW_S)
    for _ in range(ROUNDS // 4):
        with pytest.raises((CryptoError, WireError)):
            open_setup(_mutated(payload, dice), {3: bob.signed}, bob.keys.uid)
