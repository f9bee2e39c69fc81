"""The primitives that the protocol is made of, with the checks that the library leaves to its callers.

Everything comes from `cryptography` or the standard library. Foreign exceptions become errors of Zap2 here and
nowhere else. Randomness is passed in, with two exceptions that the library forces: ML-KEM encapsulation and HPKE
draw their own from the operating system.
"""

from __future__ import annotations

import struct
from typing import Final

from cryptography.exceptions import InvalidSignature as _LibraryInvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mlkem import (
    MLKEM768PrivateKey,
    MLKEM768PublicKey,
    MLKEM1024PrivateKey,
    MLKEM1024PublicKey,
)
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

from zap2.errors import InvalidKey, InvalidSignature
from zap2.ids import RandomBytes

KEY_B: Final = 32
"""Bytes of an X25519 or Ed25519 key, of a chain key, a header key and a message key."""

SIGNATURE_B: Final = 64
MLKEM_SEED_B: Final = 64
MLKEM768_PUBLIC_B: Final = 1184
MLKEM768_CIPHERTEXT_B: Final = 1088
MLKEM1024_PUBLIC_B: Final = 1568
MLKEM1024_CIPHERTEXT_B: Final = 1568

_SHA256: Final = hashes.SHA256()
_LENGTH: Final = struct.Struct(">I")
_FIELD_PRIME: Final = 2**255 - 19
_SIGN_BIT: Final = 1 << 255

# The u-coordinates below the prime of all points of order 1, 2, 4 and 8 on the curve and its twist (RFC 7748,
# section 6.1 leaves the check to the protocol).
_LOW_ORDER_U: Final = frozenset(
    {
        0,
        1,
        _FIELD_PRIME - 1,
        325606250916557431795983626356110631294008115727848805560023387167927233504,
        39382357235489614581723060781553021112529911719440698176882885853963445705823,
    }
)

# The y-coordinates below the prime of the eight points of small order on edwards25519. With such a key one fixed
# signature verifies many messages, or all.
_SMALL_ORDER_Y: Final = frozenset(
    {
        0,
        1,
        _FIELD_PRIME - 1,
        2707385501144840649318225287225658788936804267575313519463743609750303402022,
        _FIELD_PRIME - 2707385501144840649318225287225658788936804267575313519463743609750303402022,
    }
)


def lp(*parts: bytes) -> bytes:
    """Join parts, each after its length as 4 bytes, big-endian, so that no two lists give the same bytes."""
    return b"".join([_LENGTH.pack(len(part)) + part for part in parts])


def hkdf_sha256(*, salt: bytes, ikm: bytes, info: bytes, length_b: int) -> bytes:
    """Derive keys by extract and expand (RFC 5869, section 2)."""
    return HKDF(_SHA256, length_b, salt, info).derive(ikm)


def hkdf_expand_sha256(key: bytes, info: bytes, length_b: int) -> bytes:
    """Derive keys from a key that is uniform already (RFC 5869, section 2.3)."""
    return HKDFExpand(_SHA256, length_b, info).derive(key)


def hmac_sha256_pair(key: bytes, first: bytes, second: bytes) -> tuple[bytes, bytes]:
    """Compute HMAC-SHA256 (RFC 2104) of two messages under one key, which is scheduled once for both."""
    of_first = HMAC(key, _SHA256)
    of_second = of_first.copy()
    of_first.update(first)
    of_second.update(second)
    return of_first.finalize(), of_second.finalize()


def parse_x25519(public: bytes) -> X25519PublicKey:
    """Read an X25519 public key that somebody else made.

    Raises:
        InvalidKey: not 32 bytes, not the one canonical encoding of its value, or a point of small order.
    """
    if len(public) != KEY_B:
        raise InvalidKey("An X25519 key must have 32 bytes.")
    u = int.from_bytes(public, "little")
    if u >= _FIELD_PRIME:
        raise InvalidKey("An X25519 key is not canonical.")
    if u in _LOW_ORDER_U:
        raise InvalidKey("An X25519 key has small order.")
    return X25519PublicKey.from_public_bytes(public)


def exchange_x25519(private: X25519PrivateKey, public: X25519PublicKey) -> bytes:
    """Agree on 32 bytes.

    Raises:
        InvalidKey: the result would be all zeros, so the other key contributes nothing.
    """
    try:
        return private.exchange(public)
    except ValueError:
        raise InvalidKey("An X25519 agreement gave all zeros.") from None


class X25519KeyPair:
    """An X25519 key pair; the library's object, which is as dear to build as an agreement, is made when needed."""

    __slots__ = ("_key", "private", "public")

    def __init__(self, private: bytes, public: bytes | None = None) -> None:
        """Take a private key of 32 bytes and, where it is known, its public key.

        Raises:
            InvalidKey: a key does not have 32 bytes.
        """
        if len(private) != KEY_B or (public is not None and len(public) != KEY_B):
            raise InvalidKey("An X25519 key must have 32 bytes.")
        self.private = private
        self._key: X25519PrivateKey | None = None
        self.public = public if public is not None else self.key.public_key().public_bytes_raw()

    @classmethod
    def generate(cls, rng: RandomBytes) -> X25519KeyPair:
        """Make a new key pair from 32 random bytes."""
        return cls(rng(KEY_B))

    @property
    def key(self) -> X25519PrivateKey:
        """The library's private key object."""
        if self._key is None:
            self._key = X25519PrivateKey.from_private_bytes(self.private)
        return self._key

    def agree(self, public: bytes) -> bytes:
        """Agree on 32 bytes with somebody's public key.

        Raises:
            InvalidKey: as `parse_x25519` and `exchange_x25519`.
        """
        return exchange_x25519(self.key, parse_x25519(public))

    def __repr__(self) -> str:
        return "X25519KeyPair(<secret>)"


def parse_ed25519(public: bytes) -> Ed25519PublicKey:
    """Read an Ed25519 public key that somebody else made.

    Raises:
        InvalidKey: not 32 bytes, not the one canonical encoding of its point, or a point of small order.
    """
    if len(public) != KEY_B:
        raise InvalidKey("An Ed25519 key must have 32 bytes.")
    y = int.from_bytes(public, "little") & (_SIGN_BIT - 1)
    if y >= _FIELD_PRIME:
        raise InvalidKey("An Ed25519 key is not canonical.")
    if y in _SMALL_ORDER_Y:
        raise InvalidKey("An Ed25519 key has small order.")
    return Ed25519PublicKey.from_public_bytes(public)


def verify_ed25519(public: Ed25519PublicKey, message: bytes, signature: bytes) -> None:
    """Check a signature (RFC 8032, section 5.1.7).

    Raises:
        InvalidSignature: it is not this key's signature of this message.
    """
    try:
        public.verify(signature, message)
    except _LibraryInvalidSignature:
        raise InvalidSignature from None


def ed25519_from_seed(seed: bytes) -> Ed25519PrivateKey:
    """Read an Ed25519 private key of 32 bytes.

    Raises:
        InvalidKey: it has another length.
    """
    if len(seed) != KEY_B:
        raise InvalidKey("An Ed25519 key must have 32 bytes.")
    return Ed25519PrivateKey.from_private_bytes(seed)


def mlkem768_from_seed(seed: bytes) -> MLKEM768PrivateKey:
    """Expand an ML-KEM-768 private key from its 64-byte seed d ‖ z (FIPS 203, section 7.1).

    Raises:
        InvalidKey: the seed has another length.
    """
    if len(seed) != MLKEM_SEED_B:
        raise InvalidKey("An ML-KEM seed must have 64 bytes.")
    return MLKEM768PrivateKey.from_seed_bytes(seed)


class MLKEM768KeyPair:
    """An ML-KEM-768 key pair, kept as its seed; the library's object, which is dear to expand, is made when needed."""

    __slots__ = ("_key", "_public", "seed")

    def __init__(self, seed: bytes) -> None:
        """Take a seed of 64 bytes.

        Raises:
            InvalidKey: it has another length.
        """
        if len(seed) != MLKEM_SEED_B:
            raise InvalidKey("An ML-KEM seed must have 64 bytes.")
        self.seed = seed
        self._key: MLKEM768PrivateKey | None = None
        self._public = b""

    @classmethod
    def generate(cls, rng: RandomBytes) -> MLKEM768KeyPair:
        """Make a new key pair from 64 random bytes."""
        return cls(rng(MLKEM_SEED_B))

    @property
    def public(self) -> bytes:
        """The encapsulation key, 1184 bytes."""
        if not self._public:
            self._public = self._private.public_key().public_bytes_raw()
        return self._public

    def decapsulate(self, ciphertext: bytes) -> bytes:
        """Open an encapsulation; a forged one of the right length gives an unrelated secret, which fails later.

        Raises:
            InvalidKey: the ciphertext does not have 1088 bytes.
        """
        try:
            return self._private.decapsulate(ciphertext)
        except ValueError:
            raise InvalidKey("An ML-KEM-768 ciphertext is not valid.") from None

    @property
    def _private(self) -> MLKEM768PrivateKey:
        if self._key is None:
            self._key = mlkem768_from_seed(self.seed)
        return self._key

    def __repr__(self) -> str:
        return "MLKEM768KeyPair(<secret>)"


def mlkem1024_from_seed(seed: bytes) -> MLKEM1024PrivateKey:
    """Expand an ML-KEM-1024 private key from its 64-byte seed d ‖ z (FIPS 203, section 7.1).

    Raises:
        InvalidKey: the seed has another length.
    """
    if len(seed) != MLKEM_SEED_B:
        raise InvalidKey("An ML-KEM seed must have 64 bytes.")
    return MLKEM1024PrivateKey.from_seed_bytes(seed)


def parse_mlkem768(public: bytes) -> MLKEM768PublicKey:
    """Read an ML-KEM-768 encapsulation key of 1184 bytes, checked as FIPS 203, section 7.2 asks.

    Raises:
        InvalidKey: wrong length, or coefficients that are not reduced.
    """
    try:
        return MLKEM768PublicKey.from_public_bytes(public)
    except ValueError:
        raise InvalidKey("An ML-KEM-768 key is not valid.") from None


def parse_mlkem1024(public: bytes) -> MLKEM1024PublicKey:
    """Read an ML-KEM-1024 encapsulation key of 1568 bytes, checked as FIPS 203, section 7.2 asks.

    Raises:
        InvalidKey: wrong length, or coefficients that are not reduced.
    """
    try:
        return MLKEM1024PublicKey.from_public_bytes(public)
    except ValueError:
        raise InvalidKey("An ML-KEM-1024 key is not valid.") from None


def decapsulate_mlkem1024(private: MLKEM1024PrivateKey, ciphertext: bytes) -> bytes:
    """Open an encapsulation; a forged one of the right length gives an unrelated secret, which fails later.

    Raises:
        InvalidKey: the ciphertext does not have 1568 bytes.
    """
    try:
        return private.decapsulate(ciphertext)
    except ValueError:
        raise InvalidKey("An ML-KEM-1024 ciphertext is not valid.") from None
