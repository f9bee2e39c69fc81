"""A hint how hard a passphrase is to guess. Pure, and only a hint: nothing is refused because of it."""

from __future__ import annotations

import math
from enum import IntEnum
from itertools import pairwise
from typing import Final

_COMMON: Final = (
    *("password", "passwort", "passphrase", "qwerty", "qwertz", "asdf", "letmein", "iloveyou", "welcome"),
    *("admin", "dragon", "monkey", "zap2", "secret", "abc", "login", "master", "sunshine"),
)
_ROWS: Final = (
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890",
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "qwertzuiop",
)


class Strength(IntEnum):
    """How long a thief of the disk would need."""

    NONE = 0
    WEAK = 1
    FAIR = 2
    GOOD = 3
    STRONG = 4


def guess_bits(text: str) -> float:
    """Estimate the entropy in bits, low where the text is common words, runs or repeats."""
    if not text:
        return 0.0
    folded = text.lower()
    discount = 0
    for word in _COMMON:
        if word in folded:
            discount += len(word) - 1
    novel = 1
    for before, now in pairwise(folded):
        is_run = any(before + now in row or now + before in row for row in _ROWS)
        novel += 0 if before == now or is_run else 1
    words = [word for word in text.split() if len(word) > 2]
    if len(words) >= 4:
        return min(12.0 * len(set(words)), 128.0)
    kinds = (
        (26, any(c.islower() for c in text)),
        (26, any(c.isupper() for c in text)),
        (10, any(c.isdigit() for c in text)),
        (33, any(not c.isalnum() for c in text)),
    )
    alphabet = sum(size for size, used in kinds if used) or 26
    length = min(max(1, min(novel, len(text) - discount)), 2 * len(set(folded)))
    return length * math.log2(alphabet) * 0.75


def strength(text: str) -> Strength:
    """Grade a passphrase."""
    if not text:
        return Strength.NONE
    bits = guess_bits(text)
    for grade, least in ((Strength.STRONG, 60), (Strength.GOOD, 44), (Strength.FAIR, 30)):
        if bits >= least:
            return grade
    return Strength.WEAK


def strength_words(text: str) -> str:
    """Say the grade and how to do better."""
    match strength(text):
        case Strength.NONE:
            return "Four or more random words are strong and easy to keep in mind."
        case Strength.WEAK:
            return "■□□□ weak: quickly guessed by whoever copies your disk. Add words."
        case Strength.FAIR:
            return "■■□□ fair: one or two words more would make it good."
        case Strength.GOOD:
            return "■■■□ good."
        case Strength.STRONG:
            return "■■■■ strong."
