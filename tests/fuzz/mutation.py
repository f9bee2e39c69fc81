"""Inputs that are nearly genuine: the changes that a relay, a line or a disk could make to bytes."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Final

from zap2.crypto import PAYLOAD_SIZES_B

_EDGES: Final = (b"\x00", b"\x01", b"\x7f", b"\x80", b"\xff", b"\xff" * 4, bytes(4), bytes(32), b"\xff" * 32)
_RANDOM_SIZES_B: Final = (0, 1, 2, 12, 32, 73, 89, 511, *PAYLOAD_SIZES_B[:4])


def mutated(genuine: bytes, dice: random.Random) -> bytes:
    """Change genuine bytes, or make some up; never gives the genuine ones."""
    while True:
        given = dice.choice(_CHANGES)(genuine, dice)
        if given != genuine:
            return given


def crossed(one: bytes, other: bytes, dice: random.Random) -> bytes:
    """Put the beginning of one before the rest of the other."""
    at = dice.randrange(min(len(one), len(other)) + 1)
    return one[:at] + other[at:]


def mutated_envelope(genuine: Sequence[bytes], dice: random.Random) -> bytes:
    """Give an envelope that is none of the genuine ones, most often one of the sizes that a relay takes."""
    while True:
        one = dice.choice(genuine)
        given = crossed(one, dice.choice(genuine), dice) if dice.random() < 0.1 else mutated(one, dice)
        if given not in genuine:
            return given


def _flip_bits(data: bytes, dice: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(dice.choice((1, 1, 1, 2, 8)) if changed else 0):
        changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
    return bytes(changed)


def _flip_early(data: bytes, dice: random.Random) -> bytes:
    """Change where types, counters, lengths and keys stand."""
    changed = bytearray(data)
    if changed:
        changed[dice.randrange(min(len(changed), 90))] ^= dice.randrange(1, 256)
    return bytes(changed)


def _overwrite(data: bytes, dice: random.Random) -> bytes:
    edge = dice.choice(_EDGES)
    at = dice.randrange(max(1, len(data) - len(edge) + 1))
    return data[:at] + edge + data[at + len(edge) :]


def _cut(data: bytes, dice: random.Random) -> bytes:
    return data[: dice.randrange(len(data) + 1)]


def _lengthen(data: bytes, dice: random.Random) -> bytes:
    return data + dice.randbytes(dice.choice((1, 16, len(data))))


def _drop_inside(data: bytes, dice: random.Random) -> bytes:
    at = dice.randrange(len(data) + 1)
    return data[:at] + data[at + dice.choice((1, 2, 32)) :]


def _repeat_inside(data: bytes, dice: random.Random) -> bytes:
    at = dice.randrange(len(data) + 1)
    return data[:at] + data[max(0, at - dice.choice((1, 4, 32))) : at] * dice.choice((1, 2, 64)) + data[at:]


def _keep_first_byte(data: bytes, dice: random.Random) -> bytes:
    return data[:1] + dice.randbytes(max(0, len(data) - 1))


def _make_up(_: bytes, dice: random.Random) -> bytes:
    return dice.randbytes(dice.choice(_RANDOM_SIZES_B))


_CHANGES: Final[tuple[Callable[[bytes, random.Random], bytes], ...]] = (
    *(_flip_bits,) * 4,
    *(_flip_early,) * 4,
    *(_overwrite,) * 2,
    _cut,
    _lengthen,
    _drop_inside,
    _repeat_inside,
    _keep_first_byte,
    _make_up,
)
