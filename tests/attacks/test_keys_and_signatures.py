"""Attacks with public keys that must not be used, and with signatures that were made for something else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from tests.crypto_world import NOW_S, Person, as_peer, as_valid_peer, confirmed, new_person, seeded, state_of
from tests.kit.bad_keys import BAD_ED25519, BAD_X25519
from zap2.crypto import Identity, accept, initiate, open_setup
from zap2.crypto.header import Header
from zap2.crypto.pq_record import FROM_OWNER, PqRecord
from zap2.crypto.primitives import lp, verify_ed25519
from zap2.crypto.sealed import SetupFields, seal_setup
from zap2.errors import InvalidKey
from zap2.wire.statements import greeting_statement, login_statement, register_statement

_UNREDUCED_768, _UNREDUCED_1024 = b"\xff" * 1184, b"\xff" * 1568


@cache
def _bob() -> Person:
    return new_person("bob")


def _document_of(key: bytes, *, is_signing_key: bool) -> None:
    keys = _bob().keys
    document = b"\x01" + key + keys.document[33:] if is_signing_key else keys.document[:33] + key
    Identity.parse(document, keys.sign(lp(b"Zap2 v1 identity", document)))


def _set_with(**changes: Any) -> None:
    """Check a set that its owner really signed."""
    bob = _bob()
    changed = replace(bob.signed.public, **changes)
    signature = bob.keys.sign(changed._statement(bob.keys.document))
    replace(changed, signature=signature).check(bob.identity, now_s=NOW_S, lowest_sid=0)


def _pair_with(**changes: Any) -> None:
    """Check a pair that its owner really signed."""
    bob = _bob()
    changed = replace(bob.pair.public, **changes)
    signature = bob.keys.sign(changed._statement(bob.keys.document))
    replace(changed, signature=signature).check(bob.identity)


@cache
def _genuine_setup() -> tuple[SetupFields, bytes]:
    alice, bob = new_person("alice"), _bob()
    session = initiate(alice.keys, bob.bundle(), now_s=NOW_S, rng=alice.rng)
    _, payload = session.encrypt(b"hello", rng=alice.rng, now_s=NOW_S)
    setup = open_setup(payload, {3: bob.signed}, bob.keys.uid)
    return setup.fields, setup.message


def _setup_with_ephemeral(key: bytes) -> None:
    bob, (fields, message) = _bob(), _genuine_setup()
    signed = bob.signed.public
    payload = seal_setup(
        replace(fields, ephemeral=key).encode(),
        message,
        sid=signed.sid,
        seal=signed.seal,
        set_digest=signed.digest,
        uid=bob.keys.uid,
    )
    accept(bob.keys, open_setup(payload, {3: bob.signed}, bob.keys.uid), bob.signed, bob.pair)


def _header_with(key: bytes) -> None:
    _, at_bob, rng = confirmed("header")
    at_bob, _ = at_bob.encrypt(b"", rng=rng, now_s=NOW_S)
    payload = as_peer(at_bob, Header(key, 0, 0, 0), state_of(at_bob).next_receiving_header_key)
    at_bob.decrypt(payload, now_s=NOW_S)


def _epoch_with(key: bytes) -> None:
    at_alice, at_bob, _ = confirmed("epoch")
    record = PqRecord(FROM_OWNER, 1, 0, 0, key).encode()
    at_bob.decrypt(as_valid_peer(at_alice, seeded("epoch"), record=record), now_s=NOW_S)


def _seal(kem: bytes | None = None, agreement: bytes | None = None) -> bytes:
    genuine = _bob().signed.public.seal
    return (kem or genuine[:1184]) + (agreement or genuine[1184:])


_FIELDS: dict[str, tuple[Callable[[bytes], None], list[bytes]]] = {
    "identity Ed25519": (lambda key: _document_of(key, is_signing_key=True), BAD_ED25519),
    "identity X25519": (lambda key: _document_of(key, is_signing_key=False), BAD_X25519),
    "SPK": (lambda key: _set_with(signed_prekey=key), BAD_X25519),
    "LRK": (lambda key: _set_with(last_resort=key), [_UNREDUCED_1024]),
    "SEAL X25519": (lambda key: _set_with(seal=_seal(agreement=key)), BAD_X25519),
    "SEAL ML-KEM": (lambda key: _set_with(seal=_seal(kem=key)), [_UNREDUCED_768]),
    "OPK": (lambda key: _pair_with(agreement_key=key), BAD_X25519),
    "OKEM": (lambda key: _pair_with(kem_key=key), [_UNREDUCED_1024]),
    "EK": (_setup_with_ephemeral, BAD_X25519),
    "ratchet key": (_header_with, BAD_X25519),
    "epoch key": (_epoch_with, [_UNREDUCED_768]),
}


@pytest.mark.parametrize("field", sorted(_FIELDS))
def test_a_bad_key_is_refused_in_every_field(field: str) -> None:
    """Guards: each key that somebody else made goes through its check before anything is computed with it.

    All points of small order, all kinds of second encodings, ML-KEM coefficients that are not reduced; in fields that
    are signed the owner's signature is true, so that nothing but the check refuses them.
    """
    use, bad_keys = _FIELDS[field]
    for key in bad_keys:
        with pytest.raises(InvalidKey):
            use(key)


def _first_part(statement: bytes) -> bytes:
    return statement[4 : 4 + int.from_bytes(statement[:4], "big")]


def test_no_two_structures_are_signed_under_one_label(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards: what a signature is checked against begins with the length and the label of one structure.

    With `lp` in front of every part, two different first parts are two different byte strings, whatever follows: so a
    signature of one structure never verifies as another, also when an attacker chooses every other field.
    """
    checked: list[bytes] = []

    def recording(public: Any, message: bytes, signature: bytes) -> None:
        checked.append(message)
        verify_ed25519(public, message, signature)

    monkeypatch.setattr("zap2.crypto.identity.verify_ed25519", recording)
    bob, some = new_person("bob"), bytes(32)
    bob.signed.public.check(bob.identity, now_s=NOW_S, lowest_sid=0)
    bob.pair.public.check(bob.identity)
    checked.append(login_statement(some, some, bob.keys.uid, 1))
    checked.append(register_statement(some, some, some, bob.keys.document))
    checked.append(greeting_statement(some, some, some))
    assert [_first_part(statement) for statement in checked] == [
        b"Zap2 v1 identity",
        b"Zap2 v1 signed prekey set",
        b"Zap2 v1 one-time prekey pair",
        b"Zap2 v1 relay login",
        b"Zap2 v1 register",
        b"Zap2 v1 relay greeting",
    ]
