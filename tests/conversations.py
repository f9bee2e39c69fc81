"""Seeded conversations of two parties over a network that loses, delays and reorders."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final, NamedTuple

CONVERSATIONS: Final = 50
"""How many of them each interop test has, in each role."""

STEPS: Final = 40
"""Turns in one conversation; in each, somebody writes 1 to 5 messages."""

Send = Callable[[bytes], bytes]
Receive = Callable[[bytes], bytes]


class Traffic(NamedTuple):
    """What became of the messages of some conversations; `late` ones were overtaken by another."""

    read: int = 0
    late: int = 0
    lost: int = 0

    def __add__(self, other: object) -> Traffic:
        assert isinstance(other, Traffic)
        return Traffic(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))

    def check(self) -> None:
        """Check that there was enough of everything in `CONVERSATIONS` conversations for the test to mean something."""
        assert self.read > CONVERSATIONS * STEPS / 2
        assert self.late > CONVERSATIONS
        assert self.lost > CONVERSATIONS


def converse(seed: int, send: tuple[Send, Send], receive: tuple[Receive, Receive]) -> Traffic:
    """Let two sides talk; side 0 begins. Everything that arrives is read as it was written."""
    dice = random.Random(seed)
    first = dice.randbytes(10)
    assert receive[1](send[0](first)) == first
    under_way: tuple[list[tuple[bytes, bytes]], list[tuple[bytes, bytes]]] = ([], [])
    read = late = lost = 0
    for _ in range(STEPS):
        side = dice.randrange(2)
        for _ in range(dice.choice((1, 1, 2, 5))):
            content = dice.randbytes(dice.randrange(300))
            payload = send[side](content)
            if dice.random() > 0.1:
                under_way[side].append((content, payload))
            else:
                lost += 1
        while under_way[side] and dice.random() < 0.8:
            at = 0 if dice.random() < 0.6 else dice.randrange(len(under_way[side]))
            content, payload = under_way[side].pop(at)
            assert receive[1 - side](payload) == content
            read += 1
            late += at > 0
    return Traffic(read, late, lost)
