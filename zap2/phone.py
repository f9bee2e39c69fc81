"""Phone numbers as people write them, read into E.164, and written for people again.

A number counts only when it is valid, not merely possible: possible numbers have the right length, valid ones lie
in a range that is really assigned. A wrong digit is caught here in most cases instead of at the relay, and new
ranges come with updates of phonenumbers' metadata.
"""

from __future__ import annotations

import unicodedata
from typing import Final

import phonenumbers
from phonenumbers import (
    NumberParseException,
    PhoneNumber,
    PhoneNumberFormat,
    PhoneNumberType,
    ValidationResult,
)

from zap2.errors import InvalidPhoneNumber

MAX_INPUT_CHARS: Final = 64

_USUAL_PUNCTUATION: Final = frozenset(
    " \t-.()[]/~\u00b7\u2022\u2010\u2011\u2012\u2013\u2014\u2015\u2053\u2212\u223c\u301c\u30fc"
    "\uff08\uff09\uff0d\uff0e\uff0f\uff3b\uff3d\uff5e"
)
_PLUS: Final = frozenset("+\uff0b\ufe62\u207a")
_ANY_REGION: Final = "DE"


def parse_number(text: str, default_region: str | None = None) -> str:
    """Read a phone number in any usual form and give it in E.164, for example "+4915123456789".

    Args:
        text: what a person typed or pasted; digits of any script, with the usual punctuation.
        default_region: two letters (ISO 3166), for numbers written without a country code; None refuses these.

    Raises:
        InvalidPhoneNumber: with the reason, and in the hint a number of the same region that would do.
    """
    region = _checked_region(default_region)
    digits = _dialled(text, region)
    if not digits.startswith("+") and region is None:
        message = "The number has no country code."
        if digits.startswith("00"):
            message = (
                "A number that begins with 00 does not say which country's it is; write + instead of 00."
            )
        raise InvalidPhoneNumber(message, _hint(None))
    try:
        number = phonenumbers.parse(digits, region)
    except NumberParseException as error:
        raise InvalidPhoneNumber(_words_for(error), _hint(_region_at_start(digits) or region)) from None
    _check(number, region)
    return str(phonenumbers.format_number(number, PhoneNumberFormat.E164))


def region_of(e164: str) -> str | None:
    """Give the region (two letters) of a number, or None when it has none or is not a number."""
    number = _read(e164)
    region = None if number is None else phonenumbers.region_code_for_number(number)
    return None if region == phonenumbers.REGION_CODE_FOR_NON_GEO_ENTITY else region


def format_number(e164: str) -> str:
    """Write an E.164 number for people ("+49 1512 3456789"); what is not a number comes back unchanged."""
    number = _read(e164)
    return (
        e164 if number is None else str(phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL))
    )


def example_number(region: str | None = None) -> str:
    """Give a valid number to show as an example, in the international form; of any region when there is none."""
    for kind in (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE):
        number = phonenumbers.example_number_for_type(region or _ANY_REGION, kind)
        if number is not None and phonenumbers.is_valid_number(number):
            return str(phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL))
    return example_number(None)


def _dialled(text: str, region: str | None) -> str:
    """Give the ASCII digits of what a person wrote, with a leading + if there is one."""
    # Phones put invisible direction marks around a number that is copied from their contacts.
    visible = "".join(
        char for char in text[: 2 * MAX_INPUT_CHARS] if unicodedata.category(char) != "Cf"
    ).strip()
    if visible[:4].lower() == "tel:":
        visible = visible[4:]
    if not visible:
        raise InvalidPhoneNumber("The phone number is empty.", _hint(region))
    if len(text) > 2 * MAX_INPUT_CHARS or len(visible) > MAX_INPUT_CHARS:
        raise InvalidPhoneNumber("This is too long for a phone number.", _hint(region))
    if any(char.isalpha() and char not in _USUAL_PUNCTUATION for char in visible):
        raise InvalidPhoneNumber("A phone number has digits only; this has letters.", _hint(region))
    digits = ""
    for char in visible:
        if char in _PLUS and not digits:
            digits = "+"
        elif (value := unicodedata.decimal(char, None)) is not None:
            digits += str(value)
        elif char not in _USUAL_PUNCTUATION and not char.isspace():
            raise InvalidPhoneNumber("This has characters that no phone number has.", _hint(region))
    if digits in ("", "+"):
        raise InvalidPhoneNumber("This has no digits of a phone number.", _hint(region))
    return digits


def _check(number: PhoneNumber, region: str | None) -> None:
    country = f"+{number.country_code}"
    its_region = phonenumbers.region_code_for_country_code(number.country_code or 0)
    if region is not None and number.country_code == phonenumbers.country_code_for_region(region):
        its_region = region
    hint = _hint(its_region)
    possible = phonenumbers.is_possible_number_with_reason(number)
    if possible == ValidationResult.TOO_LONG:
        raise InvalidPhoneNumber(f"The number is too long for {country}.", hint)
    if possible in (ValidationResult.TOO_SHORT, ValidationResult.INVALID_LENGTH):
        raise InvalidPhoneNumber(f"The number is too short for {country}.", hint)
    if possible == ValidationResult.IS_POSSIBLE_LOCAL_ONLY:
        raise InvalidPhoneNumber(f"The number lacks its area code for {country}.", hint)
    if not phonenumbers.is_valid_number(number):
        raise InvalidPhoneNumber(f"No such number is assigned in {country}.", hint)


def _words_for(error: NumberParseException) -> str:
    if error.error_type == NumberParseException.INVALID_COUNTRY_CODE:
        return "The number's country code is not assigned to any country."
    if error.error_type == NumberParseException.TOO_LONG:
        return "The number is too long."
    if error.error_type in (NumberParseException.TOO_SHORT_NSN, NumberParseException.TOO_SHORT_AFTER_IDD):
        return "The number is too short."
    return "This is not a phone number."


def _checked_region(region: str | None) -> str | None:
    if region is None:
        return None
    region = region.strip().upper()
    if region not in phonenumbers.SUPPORTED_REGIONS:
        raise InvalidPhoneNumber(
            "The default region is not a region that has phone numbers.",
            "A region is written with two letters, for example DE or US.",
        )
    return region


def _region_at_start(digits: str) -> str | None:
    """Give the region whose country code an international number begins with."""
    if not digits.startswith("+") or digits.startswith("+0"):
        return None
    for length in (1, 2, 3):
        code = digits[1 : 1 + length]
        if len(code) == length and int(code) in phonenumbers.COUNTRY_CODE_TO_REGION_CODE:
            return str(phonenumbers.region_code_for_country_code(int(code)))
    return None


def _hint(region: str | None) -> str:
    return f"Write it with its country code, for example {example_number(region)}."


def _read(e164: str) -> PhoneNumber | None:
    if len(e164) > MAX_INPUT_CHARS or not e164.startswith("+"):
        return None
    try:
        return phonenumbers.parse(e164)
    except NumberParseException:
        return None
