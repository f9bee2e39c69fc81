"""Keys that must be refused, wherever they may stand; and signatures that must not mean something else."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

from tests.crypto_world import NOW_S, Person, new_person, seeded
from tests.kit.bad_keys import BAD_ED25519, BAD_X25519, LOW_ORDER_U, encode_number
from zap2.crypto import (
    Identity,
    IdentityKeys,
    OneTimePrekey,
    OneTimePrekeySecrets,
    SignedPrekeySecrets,
    SignedPrekeySet,
)
from zap2.crypto.primitives import (
    X25519KeyPair,
    exchange_x25519,
    lp,
    parse_ed25519,
    parse_x25519,
)
from zap2.errors import InvalidKey, InvalidSignature, PrekeyRefused


def test_low_order_points_really_contribute_nothing() -> None:
    """The list is right: the library itself gives all zeros for each of them, and we turn that into our error."""
    own = X25519KeyPair.generate(seeded(1))
    assert len(LOW_ORDER_U) == 5
    for u in LOW_ORDER_U:
        with pytest.raises(InvalidKey):
            exchange_x25519(own.key, X25519PublicKey.from_public_bytes(encode_number(u)))


@pytest.mark.parametrize("key", [*BAD_X25519, b"", bytes(31), bytes(33)], ids=lambda key: key.hex()[:12])
def test_bad_x25519_key_is_refused(key: bytes) -> None:
    """Low order and second encodings of the same key are refused before any agreement."""
    with pytest.raises(InvalidKey):
        parse_x25519(key)


@pytest.mark.parametrize("key", [*BAD_ED25519, b"", bytes(31), bytes(33)], ids=lambda key: key.hex()[:12])
def test_bad_ed25519_key_is_refused(key: bytes) -> None:
    """Keys of small order, under which one signature verifies many messages, are refused."""
    with pytest.raises(InvalidKey):
        parse_ed25519(key)


def test_library_accepts_the_forgery_that_we_refuse() -> None:
    """With the identity point as key one fixed signature verifies any message: the reason for our own check."""
    key, forged = encode_number(1), encode_number(1) + bytes(32)
    for message in (b"one", b"two"):
        Ed25519PublicKey.from_public_bytes(key).verify(forged, message)
    with pytest.raises(InvalidKey):
        Identity(b"\x01" + key + new_person(1).keys.document[33:], bytes(64)).verify(b"one", forged)


@pytest.mark.parametrize("key", BAD_ED25519, ids=lambda key: key.hex()[:12])
def test_bad_signing_key_in_a_document_is_refused(key: bytes) -> None:
    """A document whose Ed25519 key must not be used is refused whatever its signature is."""
    with pytest.raises(InvalidKey):
        Identity.parse(b"\x01" + key + new_person(1).keys.document[33:], encode_number(1) + bytes(32))


@pytest.mark.parametrize("key", BAD_X25519, ids=lambda key: key.hex()[:12])
def test_bad_agreement_key_in_a_document_is_refused_although_signed(key: bytes) -> None:
    """The owner's own signature does not make a bad X25519 key good."""
    keys = new_person(1).keys
    document = keys.document[:33] + key
    with pytest.raises(InvalidKey):
        Identity.parse(document, keys.sign(lp(b"Zap2 v1 identity", document)))


@pytest.mark.parametrize("version", [0, 2])
def test_a_document_of_another_version_is_refused_although_signed(version: int) -> None:
    """Nothing is negotiated: what its owner signs as another version is no identity here."""
    keys = new_person(1).keys
    document = bytes([version]) + keys.document[1:]
    with pytest.raises(InvalidKey):
        Identity.parse(document, keys.sign(lp(b"Zap2 v1 identity", document)))


@pytest.mark.parametrize("size_b", [0, 63, 65, 128])
def test_a_signature_of_another_length_is_refused(size_b: int) -> None:
    """With our own error, whatever the library makes of it."""
    keys = new_person(1).keys
    with pytest.raises(InvalidSignature, match="64 bytes"):
        Identity.parse(keys.document, (keys.document_signature * 2)[:size_b])


def test_a_set_that_expires_before_it_was_made_is_refused_although_signed() -> None:
    """An owner whose clock jumped, or who plays: the set has no time in which it may be used."""
    bob = new_person(1)
    later_s = bob.signed.public.expires_s
    with pytest.raises(PrekeyRefused):
        _signed_again(bob, created_s=later_s).check(bob.identity, now_s=NOW_S, lowest_sid=0)


def _signed_again(person: Person, **changes: Any) -> SignedPrekeySet:
    changed = replace(person.signed.public, **changes)
    head = (
        changed.sid.to_bytes(4, "big")
        + changed.created_s.to_bytes(8, "big")
        + changed.expires_s.to_bytes(8, "big")
    )
    parts = head, changed.signed_prekey, changed.last_resort, changed.seal
    return replace(
        changed, signature=person.keys.sign(lp(b"Zap2 v1 signed prekey set", person.keys.document, *parts))
    )


@pytest.mark.parametrize("key", BAD_X25519, ids=lambda key: key.hex()[:12])
@pytest.mark.parametrize("field", ["signed_prekey", "seal"])
def test_bad_x25519_key_in_a_signed_set_is_refused(field: str, key: bytes) -> None:
    """Also when the owner signed it: SPK and the X25519 half of SEAL."""
    bob = new_person(1)
    value = key if field == "signed_prekey" else bob.signed.public.seal[:1184] + key
    with pytest.raises(InvalidKey):
        _signed_again(bob, **{field: value}).check(bob.identity, now_s=NOW_S, lowest_sid=0)


@pytest.mark.parametrize("field", ["last_resort", "seal"])
def test_unreduced_ml_kem_key_in_a_signed_set_is_refused(field: str) -> None:
    """FIPS 203, section 7.2: coefficients must be reduced."""
    bob = new_person(1)
    value = b"\xff" * 1568 if field == "last_resort" else b"\xff" * 1184 + bob.signed.public.seal[1184:]
    with pytest.raises(InvalidKey):
        _signed_again(bob, **{field: value}).check(bob.identity, now_s=NOW_S, lowest_sid=0)


@pytest.mark.parametrize("key", [*BAD_X25519, b"\xff" * 1568], ids=lambda key: key.hex()[:12])
def test_bad_key_in_a_one_time_pair_is_refused(key: bytes) -> None:
    """Also when the owner signed it: both keys of a pair."""
    bob = new_person(1)
    changed = (
        replace(bob.pair.public, agreement_key=key)
        if len(key) == 32
        else replace(bob.pair.public, kem_key=key)
    )
    oid = changed.oid.to_bytes(4, "big")
    parts = bob.keys.document, oid, changed.agreement_key, changed.kem_key
    signed = replace(changed, signature=bob.keys.sign(lp(b"Zap2 v1 one-time prekey pair", *parts)))
    with pytest.raises(InvalidKey):
        signed.check(bob.identity)


def test_uid_is_the_hash_of_the_document() -> None:
    """Nobody can put other keys behind a uid."""
    keys = new_person(1).keys
    assert keys.uid == hashlib.sha256(keys.document).digest()
    assert len(keys.document) == 65
    assert keys.document[0] == 1


@pytest.mark.parametrize("at", [0, 1, 33, 64])
def test_changed_document_is_refused(at: int) -> None:
    """Any byte of a document is covered by its signature or its format."""
    keys = new_person(1).keys
    document = bytearray(keys.document)
    document[at] ^= 2
    with pytest.raises((InvalidKey, InvalidSignature)):
        Identity.parse(bytes(document), keys.document_signature)


def _statements(person: Person) -> dict[str, tuple[Callable[[bytes], object], bytes]]:
    """Give each signed structure: how a signature of it is checked, and its true signature."""
    signed, pair = person.signed.public, person.pair.public
    return {
        "identity": (
            lambda signature: Identity.parse(person.keys.document, signature),
            person.keys.document_signature,
        ),
        "signed set": (
            lambda signature: replace(signed, signature=signature).check(
                person.identity, now_s=NOW_S, lowest_sid=0
            ),
            signed.signature,
        ),
        "one-time pair": (
            lambda signature: replace(pair, signature=signature).check(person.identity),
            pair.signature,
        ),
    }


@pytest.mark.parametrize("signed", ["identity", "signed set", "one-time pair"])
@pytest.mark.parametrize("checked", ["identity", "signed set", "one-time pair"])
def test_signature_of_one_structure_never_verifies_as_another(signed: str, checked: str) -> None:
    """Guards: each structure is signed as what it is; its true signature is refused as any other's."""
    statements = _statements(new_person(1))
    check, signature = statements[checked][0], statements[signed][1]
    if signed == checked:
        check(signature)
        return
    with pytest.raises(InvalidSignature):
        check(signature)


def test_prekeys_of_somebody_else_are_refused() -> None:
    """A set and a pair are bound to their owner's document."""
    alice, bob = new_person(1), new_person(2)
    with pytest.raises(InvalidSignature):
        bob.signed.public.check(alice.identity, now_s=NOW_S, lowest_sid=0)
    with pytest.raises(InvalidSignature):
        bob.pair.public.check(alice.identity)


@pytest.mark.parametrize("field", ["sid", "created_s", "expires_s"])
def test_changed_number_of_a_signed_set_is_refused(field: str) -> None:
    """A relay can neither renumber a set nor prolong its life."""
    bob = new_person(1)
    signed = bob.signed.public
    changed = {
        "sid": replace(signed, sid=signed.sid + 1),
        "created_s": replace(signed, created_s=signed.created_s - 1),
        "expires_s": replace(signed, expires_s=signed.expires_s + 1),
    }[field]
    with pytest.raises(InvalidSignature):
        changed.check(bob.identity, now_s=NOW_S, lowest_sid=0)


def test_lower_sid_is_refused_and_the_same_accepted() -> None:
    """A relay cannot go back to a set whose keys may be known by now."""
    bob = new_person(1)
    bob.signed.public.check(bob.identity, now_s=NOW_S, lowest_sid=3)
    with pytest.raises(PrekeyRefused):
        bob.signed.public.check(bob.identity, now_s=NOW_S, lowest_sid=4)


def test_set_is_refused_from_the_second_of_its_expiry() -> None:
    """37 days: 7 until the next one is due, and 30 for an owner who is away."""
    bob = new_person(1)
    expires_s = NOW_S + 37 * 86_400
    bob.signed.public.check(bob.identity, now_s=expires_s - 1, lowest_sid=0)
    with pytest.raises(PrekeyRefused):
        bob.signed.public.check(bob.identity, now_s=expires_s, lowest_sid=0)


def test_encodings_have_their_sizes_and_come_back() -> None:
    """2900 bytes a set, 1668 a pair; secrets survive the vault."""
    bob = new_person(1)
    assert len(bob.signed.public.encode()) == 2900
    assert len(bob.pair.public.encode()) == 1668
    assert SignedPrekeySet.decode(bob.signed.public.encode()) == bob.signed.public
    assert OneTimePrekey.decode(bob.pair.public.encode()) == bob.pair.public
    assert SignedPrekeySecrets.decode(bob.signed.encode()).encode() == bob.signed.encode()
    assert OneTimePrekeySecrets.decode(bob.pair.encode()).encode() == bob.pair.encode()
    again = IdentityKeys.decode(bob.keys.encode())
    assert (again.uid, again.document_signature) == (bob.keys.uid, bob.keys.document_signature)


def test_same_randomness_gives_the_same_keys() -> None:
    """All keys come from the random source that was passed in, so that a whole world can run from one seed."""
    assert new_person(5).signed.encode() == new_person(5).signed.encode()
    assert new_person(5).pair.encode() != new_person(6).pair.encode()


def test_no_repr_shows_a_secret() -> None:
    """Keys do not reach logs and tracebacks through repr."""
    bob = new_person(1)
    shown = repr(bob.keys) + repr(bob.signed) + repr(bob.pair) + repr(bob.keys.agreement)
    for secret in (
        bob.keys.encode()[1:33],
        bob.keys.agreement.private,
        bob.signed.signed_prekey.private,
        bob.signed.last_resort_seed,
        bob.signed.seal_seed,
        bob.signed.seal_private,
        bob.pair.agreement.private,
        bob.pair.kem_seed,
    ):
        assert secret.hex() not in shown
        assert repr(secret)[2:-1] not in shown
