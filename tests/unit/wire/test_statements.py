"""The signed byte strings are what docs/protocol-relay.md says, and none can be taken for another."""

from __future__ import annotations

import hashlib

from zap2.wire.statements import (
    delivery_token_hash,
    greeting_statement,
    login_statement,
    lp,
    register_statement,
    relay_fingerprint,
)

_A, _B, _C = bytes([1]) * 32, bytes([2]) * 32, bytes([3]) * 32


def test_lp_puts_the_length_before_each_part() -> None:
    assert lp(b"ab", b"", b"c") == b"\0\0\0\2ab" + b"\0\0\0\0" + b"\0\0\0\1c"


def test_lp_keeps_parts_apart() -> None:
    assert lp(b"ab", b"c") != lp(b"a", b"bc")


def test_statements_spell_out_their_parts() -> None:
    assert greeting_statement(_A, _B, _C) == lp(b"Zap2 v1 relay greeting", _A, _B, _C)
    assert login_statement(_A, _B, _C, 1) == lp(b"Zap2 v1 relay login", _A, _B, _C, b"\0\0\0\1")
    assert register_statement(_A, _B, _C, bytes(65)) == lp(b"Zap2 v1 register", _A, _B, _C, bytes(65))


def test_a_delivery_token_is_hashed_under_a_label_of_its_own() -> None:
    assert delivery_token_hash(_A) == hashlib.sha256(lp(b"Zap2 v1 delivery token", _A)).digest()


def test_the_fingerprint_is_32_base32_characters() -> None:
    # base32(SHA-256 of 32 zero bytes, first 20 bytes), computed with coreutils.
    assert relay_fingerprint(bytes(32)) == "mzuhvlpymk6xo3epygfy5h4oeaejofef"
