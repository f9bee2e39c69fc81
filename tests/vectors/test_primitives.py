"""Published vectors through the very functions that the protocol calls.

RFC 7748, RFC 8032, RFC 5869, RFC 4231, RFC 9106, RFC 9180, NIST's SHA-2, GCM and ML-KEM vectors, OpenSSL's
ChaCha20-Poly1305 and the HPKE post-quantum draft's, all as the PyPI package `cryptography-vectors` carries them.
libsignal's fingerprint vector is in tests/unit/crypto/test_safety_number.py, Wycheproof beside this file.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator
from typing import IO, Any

import cryptography_vectors
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.bindings._rust import openssl as rust_openssl
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, MLKEM768X25519PrivateKey, Suite
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from zap2.crypto.primitives import (
    X25519KeyPair,
    decapsulate_mlkem1024,
    ed25519_from_seed,
    hkdf_expand_sha256,
    hkdf_sha256,
    hmac_sha256_pair,
    mlkem768_from_seed,
    mlkem1024_from_seed,
    parse_ed25519,
    parse_mlkem768,
    parse_mlkem1024,
    verify_ed25519,
)
from zap2.errors import InvalidKey, InvalidSignature

Record = dict[str, str]


def _open(path: str) -> IO[Any]:
    opened: IO[Any] = cryptography_vectors.open_vector_file(path, "r")
    return opened


def _records(path: str, last_field: str) -> Iterator[Record]:
    """Read `name = value` lines; a record ends with its last field (or with FAIL)."""
    record: Record = {}
    with _open(path) as lines:
        for line in lines:
            name, separator, value = line.partition("=")
            name = name.strip().lower()
            if separator and not line.startswith(("#", "[")):
                record[name] = value.strip()
            if name in (last_field, "fail"):
                yield {"fail": "", **record} if name == "fail" else record
                record = {}


def _blocks(path: str) -> Iterator[Record]:
    """Read `name = value` lines; an empty line ends a record."""
    with _open(path) as file:
        for block in file.read().split("\n\n"):
            pairs = [line.partition("=") for line in block.splitlines() if not line.startswith("#")]
            yield {name.strip().lower(): value.strip() for name, separator, value in pairs if separator}


def _bytes(record: Record, name: str) -> bytes:
    return bytes.fromhex(record.get(name, ""))


def test_x25519_rfc_7748() -> None:
    """Section 5.2, both tests, and the thousandfold iteration; canonical inputs through our own key pair."""
    counted = 0
    for record in _records("asymmetric/X25519/rfc7748.txt", "output_u"):
        public = _bytes(record, "input_u")
        pair = X25519KeyPair(_bytes(record, "input_scalar"))
        if public[31] & 0x80:
            # The RFC masks the top bit, so this is a second encoding of a key; the protocol takes the first only.
            with pytest.raises(InvalidKey):
                pair.agree(public)
            public = public[:31] + bytes([public[31] & 0x7F])
        assert pair.agree(public) == _bytes(record, "output_u")
        counted += 1
    scalar = point = b"\x09" + bytes(31)
    for _ in range(1000):
        scalar, point = X25519KeyPair(scalar).agree(bytes([*point[:31], point[31] & 0x7F])), scalar
    assert scalar.hex() == "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51"
    assert counted >= 2


def test_x25519_rfc_7748_key_pairs() -> None:
    """Section 6.1: public keys and shared secret of Alice and Bob."""
    alice = X25519KeyPair(bytes.fromhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"))
    bob = X25519KeyPair(bytes.fromhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"))
    assert alice.public.hex() == "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"
    assert bob.public.hex() == "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"
    shared = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"
    assert alice.agree(bob.public).hex() == bob.agree(alice.public).hex() == shared


def test_ed25519_rfc_8032_and_beyond() -> None:
    """The reference vectors, of which lines 1, 2, 3 and 1024 are RFC 8032, section 7.1: sign, verify, and refuse a
    changed bit.
    """
    with _open("asymmetric/Ed25519/sign.input") as file:
        lines = [[bytes.fromhex(part) for part in line.split(":")[:4]] for line in file]
    assert [len(lines[at][2]) for at in (0, 1, 2, 1023)] == [0, 1, 2, 1023]
    assert lines[0][1].hex() == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    assert lines[1023][1].hex() == "278117fc144c72340f67d0f2316e8386ceffbf2b2428c9c51fef7c597f1d426e"
    for secret, public, message, signed in [*lines[:3], *lines[3::4]]:
        signature = signed[:64]
        assert ed25519_from_seed(secret[:32]).sign(message) == signature
        key = parse_ed25519(public)
        verify_ed25519(key, message, signature)
        with pytest.raises(InvalidSignature):
            verify_ed25519(key, message + b"\x00", signature)
        with pytest.raises(InvalidSignature):
            verify_ed25519(key, message, signature[:-1] + bytes([signature[-1] ^ 1]))


def test_hkdf_rfc_5869() -> None:
    """Appendix A with SHA-256: whole, and the expanding half alone."""
    records = list(_records("KDF/rfc-5869-HKDF-SHA256.txt", "okm"))
    assert len(records) == 3
    for record in records:
        info, okm = _bytes(record, "info"), _bytes(record, "okm")
        salt, ikm = _bytes(record, "salt"), _bytes(record, "ikm")
        assert hkdf_sha256(salt=salt, ikm=ikm, info=info, length_b=len(okm)) == okm
        assert hkdf_expand_sha256(_bytes(record, "prk"), info, len(okm)) == okm


def test_hmac_rfc_4231() -> None:
    """All cases with SHA-256."""
    records = list(_records("HMAC/rfc-4231-sha256.txt", "md"))
    assert len(records) >= 5
    for record in records:
        expected = _bytes(record, "md")
        message = _bytes(record, "msg")
        computed = hmac_sha256_pair(_bytes(record, "key"), message, message)
        assert [mac[: len(expected)] for mac in computed] == [expected, expected]


def test_aes_256_gcm_nist() -> None:
    """Header encryption's cipher: 96-bit nonces and whole tags, good and forged."""
    opened = refused = 0
    for record in _records("ciphers/AES/GCM/gcmDecrypt256.rsp", "pt"):
        nonce, tag = _bytes(record, "iv"), _bytes(record, "tag")
        if len(nonce) != 12 or len(tag) != 16:
            continue
        key = AESGCM(_bytes(record, "key"))
        sealed, associated_data = _bytes(record, "ct") + tag, _bytes(record, "aad")
        if "fail" in record:
            refused += 1
            with pytest.raises(InvalidTag):
                key.decrypt(nonce, sealed, associated_data)
        else:
            opened += 1
            plaintext = _bytes(record, "pt")
            assert key.decrypt(nonce, sealed, associated_data) == plaintext
            assert key.encrypt(nonce, plaintext, associated_data) == sealed
    assert opened > 100
    assert refused > 100


def test_chacha20_poly1305_openssl() -> None:
    """The body's cipher, RFC 8439's vector among them, good and forged."""
    opened = refused = 0
    for record in _blocks("ciphers/ChaCha20Poly1305/openssl.txt"):
        nonce, tag = _bytes(record, "iv"), _bytes(record, "tag")
        if len(nonce) != 12 or len(tag) != 16:
            continue
        key = ChaCha20Poly1305(_bytes(record, "key"))
        sealed, associated_data = _bytes(record, "ciphertext") + tag, _bytes(record, "aad")
        if "result" in record:
            refused += 1
            with pytest.raises(InvalidTag):
                key.decrypt(nonce, sealed, associated_data)
        else:
            opened += 1
            plaintext = _bytes(record, "plaintext")
            assert key.encrypt(nonce, plaintext, associated_data) == sealed
            assert key.decrypt(nonce, sealed, associated_data) == plaintext
    assert opened > 2
    assert refused > 0


def test_ml_kem_known_answers() -> None:
    """Key generation from seeds and decapsulation, both sizes (encapsulation's randomness cannot be set)."""
    records = itertools.islice(_records("asymmetric/MLKEM/kat_MLKEM_1024.rsp", "ss"), 100)
    for record in records:
        private = mlkem1024_from_seed(_bytes(record, "d") + _bytes(record, "z"))
        public = _bytes(record, "pk")
        assert private.public_key().public_bytes_raw() == public
        assert parse_mlkem1024(public).public_bytes_raw() == public
        assert decapsulate_mlkem1024(private, _bytes(record, "ct")) == _bytes(record, "ss")
    for record in itertools.islice(_records("asymmetric/MLKEM/kat_MLKEM_768.rsp", "ss"), 100):
        smaller = mlkem768_from_seed(_bytes(record, "d") + _bytes(record, "z"))
        public = _bytes(record, "pk")
        assert smaller.public_key().public_bytes_raw() == public
        assert parse_mlkem768(public).public_bytes_raw() == public
        assert smaller.decapsulate(_bytes(record, "ct")) == _bytes(record, "ss")


def test_hpke_hybrid_post_quantum_draft() -> None:
    """The seal's KEM, MLKEM768-X25519 with HKDF-SHA256, opens the draft's messages: it is the one of the draft."""
    with _open("HPKE/hpke-pq-test-vectors.json") as file:
        vectors = json.load(file)
    (vector,) = [one for one in vectors if (one["kem_id"], one["kdf_id"]) == (0x647A, 1)]
    seeds = hashlib.shake_256(bytes.fromhex(vector["skRm"])).digest(96)
    kem, agreement = mlkem768_from_seed(seeds[:64]), X25519KeyPair(seeds[64:])
    public = kem.public_key().public_bytes_raw() + agreement.public
    assert public == bytes.fromhex(vector["pkRm"])
    suite = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
    first = vector["encryptions"][0]
    opened = rust_openssl.hpke._decrypt_with_aad(
        suite,
        bytes.fromhex(vector["enc"] + first["ct"]),
        MLKEM768X25519PrivateKey(kem, agreement.key),
        bytes.fromhex(vector["info"]),
        bytes.fromhex(first["aad"]),
    )
    assert opened == bytes.fromhex(first["pt"])


def test_hpke_rfc_9180() -> None:
    """Appendix A with X25519, HKDF-SHA256 and AES-256-GCM, base mode: key schedule and AEAD are those of the seal."""
    with _open("HPKE/test-vectors.json") as file:
        vectors = json.load(file)
    names = ("mode", "kem_id", "kdf_id", "aead_id")
    (vector,) = [one for one in vectors if tuple(one[name] for name in names) == (0, 0x20, 1, 2)]
    suite = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
    key, info, first = (
        X25519KeyPair(bytes.fromhex(vector["skRm"])).key,
        bytes.fromhex(vector["info"]),
        vector["encryptions"][0],
    )
    sealed, aad = bytes.fromhex(vector["enc"] + first["ct"]), bytes.fromhex(first["aad"])
    opened = rust_openssl.hpke._decrypt_with_aad(suite, sealed, key, info, aad)
    assert opened == bytes.fromhex(first["pt"])
    with pytest.raises(InvalidTag):
        rust_openssl.hpke._decrypt_with_aad(suite, sealed, key, info + b"\x00", aad)


def test_argon2id_rfc_9106() -> None:
    """Section 5.3, which has a secret and associated data, and the command-line tool's: what wraps the vault's key."""
    counted = 0
    for record in _blocks("KDF/argon2id.txt"):
        if "output" not in record:
            continue
        output = _bytes(record, "output")
        derived = Argon2id(
            salt=_bytes(record, "salt"),
            length=int(record["length"]),
            iterations=int(record["iter"]),
            lanes=int(record["lanes"]),
            memory_cost=int(record["memcost"]),
            ad=_bytes(record, "ad") or None,
            secret=_bytes(record, "secret") or None,
        ).derive(_bytes(record, "pass"))
        assert derived == output
        counted += 1
    assert counted >= 6


@pytest.mark.parametrize("name", ["sha256", "sha512"])
def test_sha_2_nist(name: str) -> None:
    """The hashes under transcripts, addresses and safety numbers."""
    counted = 0
    for length in ("Short", "Long"):
        for record in _records(f"hashes/SHA2/{name.upper()}{length}Msg.rsp", "md"):
            message = _bytes(record, "msg")[: int(record["len"]) // 8]
            assert hashlib.new(name, message).digest() == _bytes(record, "md")
            counted += 1
    assert counted > 100
