"""The safety number: libsignal's published vector, and what two people see."""

from __future__ import annotations

import base64
import hashlib

import pytest

from tests.crypto_world import new_person
from zap2.crypto import safety_number
from zap2.crypto.safety_number import digits_of, fingerprint
from zap2.errors import InvalidKey


def test_libsignal_vector() -> None:
    """libsignal, rust/protocol/src/fingerprint.rs: Alice and Bob, version 1 of the displayable fingerprint."""
    alice = bytes.fromhex("0506863bc66d02b40d27b8d49ca7c09e9239236f9d7d25d6fcca5ce13c7064d868")
    bob = bytes.fromhex("05f781b6fb32fed9ba1cf2de978d4d5da28dc34046ae814402b5c0dbd96fda907b")
    sides = [digits_of(fingerprint(alice, b"+14152222222")), digits_of(fingerprint(bob, b"+14153333333"))]
    assert "".join(sorted(sides)) == "300354477692869396892869876765458257569162576843440918079131"


def test_both_people_see_the_same() -> None:
    """60 digits and a QR text in the alphanumeric set of QR codes, whoever computes."""
    alice, bob = new_person(1).keys.document, new_person(2).keys.document
    number = safety_number(alice, bob)
    assert number == safety_number(bob, alice)
    assert len(number.digits) == 60
    assert number.digits.isdigit()
    assert set(number.qr_text) <= set("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:")


def test_it_is_of_the_whole_document_and_its_hash() -> None:
    """The page's formula: each side's key is the document of 65 bytes, its stable id the document's SHA-256."""
    sides = []
    for person in (1, 2):
        document = new_person(person).keys.document
        digest = b"\x00\x00" + document + hashlib.sha256(document).digest()
        for _ in range(5200):
            digest = hashlib.sha512(digest + document).digest()
        sides.append(digest)
    number = safety_number(new_person(1).keys.document, new_person(2).keys.document)
    assert number.digits == "".join(sorted(digits_of(side) for side in sides))
    prefixes = b"".join(sorted(side[:32] for side in sides))
    assert number.qr_text.endswith(base64.b32encode(prefixes).decode().rstrip("="))


@pytest.mark.parametrize("at", [0, 5, 40, 64])
def test_any_byte_of_a_document_changes_it(at: int) -> None:
    """Both keys are covered."""
    alice, bob = new_person(1).keys.document, bytearray(new_person(2).keys.document)
    before = safety_number(alice, bytes(bob))
    bob[at] ^= 1
    after = safety_number(alice, bytes(bob))
    assert after.digits != before.digits
    assert after.qr_text != before.qr_text


def test_other_lengths_are_refused() -> None:
    """Only whole documents are compared."""
    with pytest.raises(InvalidKey):
        safety_number(bytes(65), bytes(64))
