"""Any text gives E.164 or a documented refusal; what was accepted once is accepted again, for every region."""

from __future__ import annotations

import re

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zap2.errors import InvalidPhoneNumber
from zap2.phone import example_number, format_number, parse_number

_REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)
_NEARLY = st.text(st.sampled_from("+0123456789 -()./٣７x;=ー\u200e"), max_size=24)
_PLAUSIBLE = st.builds(
    "+{}{}".format, st.sampled_from(["1", "7", "33", "49", "54", "52", "225"]), st.integers(0, 10**12)
)


@given(st.one_of(st.text(max_size=80), _NEARLY, _PLAUSIBLE), st.one_of(st.none(), st.sampled_from(_REGIONS)))
def test_any_text_is_a_number_or_refused_with_an_example(text: str, region: str | None) -> None:
    try:
        number = parse_number(text, region)
    except InvalidPhoneNumber as refusal:
        reason, hint = str(refusal), refusal.hint
        number = None
    if number is None:
        assert reason
        assert "for example +" in hint
    else:
        assert re.fullmatch(r"\+[1-9][0-9]{3,14}", number)
        assert parse_number(number) == number
        assert parse_number(format_number(number)) == number


@pytest.mark.parametrize("region", _REGIONS)
def test_every_region_has_an_example_that_is_read_with_and_without_its_country_code(region: str) -> None:
    example = example_number(region)
    number = parse_number(example)
    assert format_number(number) == example
    national = phonenumbers.format_number(phonenumbers.parse(number), phonenumbers.PhoneNumberFormat.NATIONAL)
    assert parse_number(national, region) == number
