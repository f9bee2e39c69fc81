"""Contents: bounds that callers rely on, and reprs that tell nothing."""

from __future__ import annotations

import pytest

from zap2.errors import InvalidMessage, Malformed, TooLarge
from zap2.wire.content import (
    MAX_CONTENT_SIZE_B,
    MAX_NAME_CHARS,
    MAX_RECEIPT_IDS,
    MAX_TEXT_B,
    Delivery,
    DeliveryWanted,
    Opening,
    Part,
    Profile,
    Receipt,
    ReceiptKind,
    Text,
    Void,
    check_text,
    decode_content,
    encode_content,
)

ID = b"i" * 16


def test_the_longest_text_fits_beside_a_profile_and_a_full_receipt() -> None:
    """A first message with the longest text, name and receipts, and all that rides along, is never refused."""
    parts: list[Part] = [
        Opening(2**53 - 1, ID + ID, 2**53 - 1),
        *[Void(2**53 - 2, 2**53 - 1)] * 4,
        Delivery(ID + ID, 1),
        DeliveryWanted(),
        Profile("\U0001f600" * MAX_NAME_CHARS, "+491511234567890"),
        Text(ID, 2**53 - 1, 2**53 - 1, "x" * MAX_TEXT_B),
        Receipt(ReceiptKind.READ, (ID,) * MAX_RECEIPT_IDS),
    ]
    encoded = encode_content(parts)
    assert len(encoded) <= MAX_CONTENT_SIZE_B
    assert decode_content(encoded) == tuple(parts)


@pytest.mark.parametrize("text", ["", " ", "\n\t ", "​".replace("​", " ")])
def test_a_text_without_a_letter_is_refused(text: str) -> None:
    with pytest.raises(InvalidMessage):
        check_text(text)


def test_a_text_is_measured_in_bytes_not_characters() -> None:
    check_text("x" * MAX_TEXT_B)
    with pytest.raises(InvalidMessage, match="60,003 bytes"):
        check_text("€" * 20_001)
    with pytest.raises(InvalidMessage):
        check_text("\ud800")


def test_a_received_text_over_the_limit_in_bytes_is_refused() -> None:
    oversized = encode_content([Text(ID, 0, 0, "€" * 20_001)])
    with pytest.raises(TooLarge):
        decode_content(oversized)


@pytest.mark.parametrize(
    "number", ["4915112345678", "+", "+0123456789", "+49 1511", "+491511234567\n", "+1234567890123456"]
)
def test_a_claimed_number_is_e164_or_nothing(number: str) -> None:
    encoded = encode_content([Profile("Bo", "+4915112345678")])
    tampered = encoded.replace(b"\xae+4915112345678", bytes([0xA0 | len(number)]) + number.encode())
    with pytest.raises(Malformed):
        decode_content(tampered)


def test_no_parts_or_too_many_are_no_content() -> None:
    with pytest.raises(TooLarge):
        encode_content([])
    with pytest.raises(TooLarge):
        encode_content([Profile("", "")] * 17)
    with pytest.raises(Malformed):
        decode_content(b"\x90")
    with pytest.raises(TooLarge):
        decode_content(bytes(MAX_CONTENT_SIZE_B + 1))


def test_reprs_tell_nothing() -> None:
    """A content in a log or an error must not tell what was said or by whom."""
    shown = repr(Text(ID, 7, 1, "secret words")) + repr(Profile("Bo Secret", "+4915112345678"))
    shown += repr(Delivery(b"secret".ljust(32), 1))
    assert "ecret" not in shown
    assert "4915" not in shown
