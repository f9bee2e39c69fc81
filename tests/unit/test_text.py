"""What `sanitize` lets through, what it shows as U+FFFD, what it drops: one example of each rule."""

from __future__ import annotations

import time

import pytest

from zap2.text import MAX_MARKS, is_clean, sanitize

FFFD = "\ufffd"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b]52;c;ZXZpbA==\x07", f"{FFFD}]52;c;ZXZpbA=={FFFD}"),
        ("\x1b[2J\x9b2J", f"{FFFD}[2J{FFFD}2J"),
        ("a\x00b\x7fc", f"a{FFFD}b{FFFD}c"),
        ("gpj.\u202eexe", f"gpj.{FFFD}exe"),
        ("\u2067x\u2069", f"{FFFD}x{FFFD}"),
        ("\ud800", FFFD),
        ("\ufffe\ufdd0", FFFD + FFFD),
        ("\ufff9a\ufffab\ufffb", f"{FFFD}a{FFFD}b{FFFD}"),
    ],
)
def test_what_steers_the_terminal_or_the_direction_is_shown_as_a_replacement(
    text: str, expected: str
) -> None:
    assert sanitize(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("pay\u200bpal", "paypal"),
        ("pay\u200cpal\u200d", "paypal"),
        ("a\u200e\u200f\u061cb", "ab"),
        ("a\u2060\ufeff\u00ad\u034fb", "ab"),
        ("a\U000e0041\U000e007fb", "ab"),
        ("\u3164\u115f\uffa0", ""),
        ("a\ufe0f\U000e0101b", "ab"),
        ("\u0301a", "a"),
        ("line\n\u0301b", "line\nb"),
        ("a\u2800b", "a b"),
        ("a\u2065\ufff0\U000e0fffb", "ab"),
        ("☠\u200d\ufffd\u200d👩", "☠\ufffd👩"),
    ],
)
def test_what_is_only_invisible_is_dropped(text: str, expected: str) -> None:
    assert sanitize(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Grüße, naïve café – “quotes” … ",
        "👨‍👩‍👧‍👦 👍🏽 🏳️‍🌈 🙂‍↔️ 1️⃣ ©️ 🇩🇪 ⌛︎",
        "می‌خواهم",  # Persian: a zero width non-joiner inside the word
        "ක්‍රම",  # Sinhala: a conjunct made by a joiner
        "র‍্য",  # Bengali: a joiner before the virama
        "葛\U000e0100飾",  # a variant of an ideograph, as names have them
        "שָׁלוֹם מַה",
        "Tiếng Việt",
        "日本語　한국어 ไทย",
        "a\n\nb",
    ],
)
def test_what_languages_and_emoji_need_stays(text: str) -> None:
    assert sanitize(text) == text
    assert is_clean(text)


def test_stacked_marks_are_bounded() -> None:
    assert sanitize("a" + "\u0301" * 500 + "b") == "a" + "\u0301" * MAX_MARKS + "b"


def test_a_joiner_does_not_restart_the_count_of_marks() -> None:
    stacked = "क" + "\u0901\u200d" * 50
    assert sum(char == "\u0901" for char in sanitize(stacked)) == MAX_MARKS


def test_line_breaks_of_all_kinds_become_newlines_and_tabs_become_spaces() -> None:
    assert sanitize("a\r\nb\rc\u2028d\u2029e\x85f\x0bg\x0ch\ti") == "a\nb\nc\nd\ne\nf\ng\nh    i"


def test_a_single_line_has_no_breaks_and_no_runs_of_white_space() -> None:
    assert sanitize("  Ann\n\t  \u3000Lee \u2028", single_line=True) == "Ann Lee"
    assert sanitize("\u200b\u3164 \u2800", single_line=True) == ""


@pytest.mark.parametrize(
    ("text", "max_chars", "expected"),
    [
        ("abcdef", 6, "abcdef"),
        ("abcdef", 4, "abc…"),
        ("abc def", 5, "abc…"),
        ("abcdef", 1, "…"),
        ("abcdef", 0, ""),
        ("ab👨‍👩‍👧cd", 6, "ab…"),
        ("abe\u0301cd", 4, "ab…"),
        ("ab👍🏽cd", 4, "ab…"),
    ],
)
def test_cutting_never_splits_a_visible_character(text: str, max_chars: int, expected: str) -> None:
    assert sanitize(text, max_chars=max_chars) == expected


def test_the_longest_hostile_text_is_cleaned_quickly() -> None:
    """64 KiB of the worst kinds take far less than a second: no rule looks back further than one character."""
    began = time.perf_counter()
    for part in ("\u0301", "👩\u200d", "\u202e", "क\u200d", "\ufe0f", "\r"):
        sanitize(part * 65_536, max_chars=60_000)
    assert time.perf_counter() - began < 5
