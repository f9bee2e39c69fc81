"""Numbers in the forms that people write, and the reason and the example that each wrong one gets."""

from __future__ import annotations

import re

import pytest

from zap2.errors import InvalidPhoneNumber
from zap2.phone import example_number, format_number, parse_number, region_of


@pytest.mark.parametrize(
    ("text", "region", "e164"),
    [
        ("+49 1512 3456789", None, "+4915123456789"),
        ("+49 (0) 1512 / 345 67-89", None, "+4915123456789"),
        ("tel:+49-1512-3456789", None, "+4915123456789"),
        ("＋４９　１５１２－３４５６７８９", None, "+4915123456789"),
        ("\u202a+49 1512 3456789\u202c", None, "+4915123456789"),
        ("+٤٩١٥١٢٣٤٥٦٧٨٩", None, "+4915123456789"),
        ("01512 3456789", "DE", "+4915123456789"),
        ("00 49 1512 3456789", "de", "+4915123456789"),
        ("011 49 1512 3456789", "US", "+4915123456789"),
        ("+49 1512 3456789", "US", "+4915123456789"),
        ("(201) 555-0123", "US", "+12015550123"),
        ("+39 06 6982 1234", None, "+390669821234"),
        ("  +44.7400.123456\n", None, "+447400123456"),
    ],
)
def test_usual_forms_are_read(text: str, region: str | None, e164: str) -> None:
    assert parse_number(text, region) == e164


@pytest.mark.parametrize(
    ("text", "region", "reason", "example"),
    [
        ("", None, "empty", "+49"),
        ("  \u200e ", "US", "empty", "+1"),
        ("Ann", None, "letters", "+49"),
        ("1-800-FLOWERS", "US", "letters", "+1"),
        ("+49 1512 345678O", None, "letters", "+49"),
        ("+49 1512 3456789 ext 5", None, "letters", "+49"),
        ("*#06#", "DE", "characters", "+49"),
        ("+49\x1b[1512\x07", None, "characters", "+49"),
        ("+49+1512", None, "characters", "+49"),
        ("+", None, "no digits", "+49"),
        ("()-", "FR", "no digits", "+33"),
        ("01512 3456789", None, "no country code", "+49"),
        ("0049 1512 3456789", None, "+ instead of 00", "+49"),
        ("+999 1512 3456789", None, "not assigned", "+49"),
        ("+0 1512 3456789", None, "not assigned", "+49"),
        ("+44 7", None, "too short", "+44"),
        ("+1 201 555 012", None, "too short", "+1"),
        ("+33 6 12 34 56 78 90 12", None, "too long", "+33"),
        ("+33612345678" + "9" * 30, None, "too long", "+33"),
        ("1" * 65, "DE", "too long", "+49"),
        ("555 0123", "US", "area code", "+1"),
        ("+1 999 999 9999", None, "No such number", "+1"),
        ("+33 0 00 00 00 00", "US", "+33", "+33"),
        ("+49 1512 3456789", "XX", "default region", "DE"),
    ],
)
def test_a_wrong_number_gets_its_reason_and_an_example_that_fits(
    text: str, region: str | None, reason: str, example: str
) -> None:
    with pytest.raises(InvalidPhoneNumber) as caught:
        parse_number(text, region)
    assert reason in str(caught.value)
    assert example in caught.value.hint


@pytest.mark.parametrize("text", ["+44 7", "Ann", "+999 123456789", "+1 999 999 9999", "+81 1", "+800 1"])
def test_the_example_in_the_hint_is_itself_accepted(text: str) -> None:
    with pytest.raises(InvalidPhoneNumber) as caught:
        parse_number(text)
    number = re.search(r"\+[\d -]+\d", caught.value.hint)
    assert number is not None
    parse_number(number.group())


def test_the_error_never_repeats_what_was_typed() -> None:
    """The words go to a terminal, and the number of somebody else does not belong into a log."""
    with pytest.raises(InvalidPhoneNumber) as caught:
        parse_number("+49 1512 \x1b]0;x\x07 345")
    assert "\x1b" not in str(caught.value) + caught.value.hint


def test_a_number_tells_its_region() -> None:
    assert region_of("+4915123456789") == "DE"
    assert region_of("+12015550123") == "US"
    assert region_of("+80012345678") is None
    assert region_of("+999123") is None
    assert region_of("no number") is None


def test_a_number_is_written_for_people() -> None:
    assert format_number("+4915123456789") == "+49 1512 3456789"
    assert format_number("+12015550123") == "+1 201-555-0123"
    assert format_number("unknown") == "unknown"


def test_an_example_is_in_the_region_that_was_asked_for() -> None:
    assert example_number("FR").startswith("+33")
    assert example_number().startswith("+49")
