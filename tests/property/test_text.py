"""For any text: what `sanitize` gives is safe, bounded, and does not change when it is cleaned again."""

from __future__ import annotations

import re
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from zap2.text import MAX_MARKS, is_clean, sanitize

_NASTY = st.sampled_from(
    list(
        "a1#é क्\u0901ا漢\u3164\u1100\u1161\u11a8\u0301\u0e31\u20e3\u200c\u200d\ufe0e\ufe0f\U000e0100\U000e0041"
    )
    + list(
        "\u202e\u2066\u200e\u00ad\u2800\u2028"
        "\x85\x1b\x9b\r\n\t\ud800\ufffd\ufffc\ufffe☠🙂👍🏽‼🇩\U0001fae9\u3000\xa0"
    )
)
_ANY = st.text(st.one_of(_NASTY, st.characters()), max_size=60)
_BOUND = st.one_of(st.none(), st.integers(0, 40))
_FORBIDDEN = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff0-\ufffb"
    "\U000e0000-\U000e00ff\ud800-\udfff]"
)


@given(_ANY, _BOUND, st.booleans())
def test_a_second_pass_changes_nothing(text: str, max_chars: int | None, single_line: bool) -> None:
    once = sanitize(text, max_chars=max_chars, single_line=single_line)
    assert sanitize(once, max_chars=max_chars, single_line=single_line) == once
    assert is_clean(once, single_line=single_line)


@given(_ANY, _BOUND, st.booleans())
def test_no_character_that_steers_or_hides_is_left(
    text: str, max_chars: int | None, single_line: bool
) -> None:
    clean = sanitize(text, max_chars=max_chars, single_line=single_line)
    assert not _FORBIDDEN.search(clean)
    clean.encode("utf-8")
    if single_line:
        assert "\n" not in clean
        assert clean == clean.strip()


@given(_ANY, st.integers(0, 40), st.booleans())
def test_the_bound_holds(text: str, max_chars: int, single_line: bool) -> None:
    assert len(sanitize(text, max_chars=max_chars, single_line=single_line)) <= max_chars


@given(_ANY)
def test_runs_of_marks_are_bounded_and_have_a_base(text: str) -> None:
    run = 0
    before = "\n"
    for char in sanitize(text):
        if char in "\u200c\u200d\ufe0e\ufe0f" or char >= "\U000e0100":
            continue
        if unicodedata.category(char)[0] == "M":
            assert not before.isspace()
            run += 1
            assert run <= MAX_MARKS
        else:
            run = 0
        before = char


@given(st.text(st.characters(categories=["L", "N", "P"], max_codepoint=0x2FF), max_size=60))
def test_ordinary_words_are_never_changed(text: str) -> None:
    assert sanitize(text) == text
