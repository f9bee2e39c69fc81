"""The keys that others take from a relay in order to write first (docs/protocol.md, "Prekeys").

Lifetimes of a signed set. A set is made every 7 days. It stays valid for 30 days after the next one was due, so
that somebody who has been away for weeks can still be written to by strangers. Its secrets are deleted 30 days
after the next set was made: a relay hands out the newest set only and keeps an envelope for 30 days, so by then
everything that was encrypted to the older one has arrived. Whoever uses the set must have seen no higher `sid`
and must find it unexpired; the owner opens whatever it still has the secrets for.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM1024PublicKey
from cryptography.hazmat.primitives.hpke import MLKEM768X25519PrivateKey, MLKEM768X25519PublicKey

from zap2.crypto.identity import DOCUMENT_B, Identity, IdentityKeys
from zap2.crypto.primitives import (
    KEY_B,
    MLKEM768_PUBLIC_B,
    MLKEM1024_PUBLIC_B,
    MLKEM_SEED_B,
    SIGNATURE_B,
    X25519KeyPair,
    lp,
    mlkem768_from_seed,
    mlkem1024_from_seed,
    parse_mlkem768,
    parse_mlkem1024,
    parse_x25519,
)
from zap2.errors import InvalidKey, PrekeyRefused
from zap2.ids import RandomBytes

_DAY_S: Final = 86_400

SIGNED_PREKEY_ROTATION_S: Final = 7 * _DAY_S
"""Age at which a signed set is replaced by a new one."""

SIGNED_PREKEY_KEPT_S: Final = 30 * _DAY_S
"""How long a set's secrets are kept, counted from the making of the *next* set."""

SIGNED_PREKEY_VALID_S: Final = SIGNED_PREKEY_ROTATION_S + SIGNED_PREKEY_KEPT_S
"""From `created` to `expires`: the rotation, and 30 days for an owner who is away when it is due."""

_SET_LABEL: Final = b"Zap2 v1 signed prekey set"
_PAIR_LABEL: Final = b"Zap2 v1 one-time prekey pair"
_SET_HEAD: Final = struct.Struct(">IQQ")
_OID: Final = struct.Struct(">I")
_SEAL_B: Final = MLKEM768_PUBLIC_B + KEY_B
_MAX_ID: Final = 2**32 - 1

SIGNED_PREKEY_SET_B: Final = _SET_HEAD.size + KEY_B + MLKEM1024_PUBLIC_B + _SEAL_B + SIGNATURE_B
"""2900 bytes."""

ONE_TIME_PREKEY_B: Final = _OID.size + KEY_B + MLKEM1024_PUBLIC_B + SIGNATURE_B
"""1668 bytes."""

_SET_SECRETS_B: Final = DOCUMENT_B + SIGNED_PREKEY_SET_B + 2 * KEY_B + 2 * MLKEM_SEED_B
_PAIR_SECRETS_B: Final = ONE_TIME_PREKEY_B + KEY_B + MLKEM_SEED_B


@dataclass(frozen=True)
class SignedPrekeySet:
    """The public part of a signed set. After `decode`, call `check` before anything is done with it.

    Args:
        sid: number of the set, u32, strictly increasing.
        created_s: Unix time.
        expires_s: Unix time from which nobody may begin a session with it.
        signed_prekey: X25519, 32 bytes; also the owner's first ratchet key.
        last_resort: ML-KEM-1024, 1568 bytes; serves when there is no one-time pair.
        seal: ML-KEM-768 ‖ X25519, 1216 bytes; the first message is sealed to it.
        signature: 64 bytes, by the owner's identity.
    """

    sid: int
    created_s: int
    expires_s: int
    signed_prekey: bytes
    last_resort: bytes
    seal: bytes
    signature: bytes

    def encode(self) -> bytes:
        """Write the set as 2900 bytes."""
        head = _SET_HEAD.pack(self.sid, self.created_s, self.expires_s)
        return head + self.signed_prekey + self.last_resort + self.seal + self.signature

    @classmethod
    def decode(cls, encoded: bytes) -> SignedPrekeySet:
        """Split a set into its fields; call `check` next.

        Raises:
            InvalidKey: wrong length.
        """
        if len(encoded) != SIGNED_PREKEY_SET_B:
            raise InvalidKey(f"A signed prekey set must have {SIGNED_PREKEY_SET_B} bytes.")
        sizes = (KEY_B, MLKEM1024_PUBLIC_B, _SEAL_B, SIGNATURE_B)
        return cls(*_SET_HEAD.unpack_from(encoded), *_split(encoded[_SET_HEAD.size :], sizes))

    def check(self, identity: Identity, *, now_s: int, lowest_sid: int) -> None:
        """Check that the set is its owner's and may be used now; afterwards remember its `sid` as the lowest.

        Args:
            identity: the owner, whose uid was compared with the expected one.
            now_s: Unix time.
            lowest_sid: the highest `sid` seen from this owner before; 0 if none.

        Raises:
            InvalidSignature: the owner did not sign it.
            InvalidKey: one of its keys must not be used.
            PrekeyRefused: it has expired, or a newer one was seen.
        """
        identity.verify(self._statement(identity.document), self.signature)
        if self.sid < lowest_sid:
            raise PrekeyRefused("A newer signed prekey set of this person was seen before.")
        if not self.created_s < self.expires_s or now_s >= self.expires_s:
            raise PrekeyRefused("This signed prekey set has expired.")
        parse_x25519(self.signed_prekey)
        parse_seal(self.seal)
        _ = self.last_resort_key

    @cached_property
    def last_resort_key(self) -> MLKEM1024PublicKey:
        """The last-resort key as the library's object.

        Raises:
            InvalidKey: it must not be used.
        """
        return parse_mlkem1024(self.last_resort)

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of the encoded set, 32 bytes."""
        return hashlib.sha256(self.encode()).digest()

    def _statement(self, document: bytes) -> bytes:
        head = _SET_HEAD.pack(self.sid, self.created_s, self.expires_s)
        return lp(_SET_LABEL, document, head, self.signed_prekey, self.last_resort, self.seal)


@dataclass(frozen=True)
class SignedPrekeySecrets:
    """One's own signed set with its private keys.

    Args:
        document: the owner's identity document, 65 bytes.
        public: the set that others fetch.
        signed_prekey: its X25519 key pair.
        last_resort_seed: of ML-KEM-1024, 64 bytes.
        seal_seed: of ML-KEM-768, 64 bytes.
        seal_private: X25519, 32 bytes.
    """

    document: bytes
    public: SignedPrekeySet
    signed_prekey: X25519KeyPair = field(repr=False)
    last_resort_seed: bytes = field(repr=False)
    seal_seed: bytes = field(repr=False)
    seal_private: bytes = field(repr=False)

    @classmethod
    def generate(cls, keys: IdentityKeys, *, sid: int, now_s: int, rng: RandomBytes) -> SignedPrekeySecrets:
        """Make a set; store it before its public part is published.

        Args:
            keys: the owner.
            sid: higher than every one before, also those made before a backup was restored; below 2**32.
            now_s: Unix time; the set expires 37 days later.
            rng: for all keys.
        """
        signed_prekey = X25519KeyPair.generate(rng)
        last_resort_seed, seal_seed, seal = rng(MLKEM_SEED_B), rng(MLKEM_SEED_B), X25519KeyPair.generate(rng)
        unsigned = SignedPrekeySet(
            sid,
            now_s,
            now_s + SIGNED_PREKEY_VALID_S,
            signed_prekey.public,
            mlkem1024_from_seed(last_resort_seed).public_key().public_bytes_raw(),
            mlkem768_from_seed(seal_seed).public_key().public_bytes_raw() + seal.public,
            b"",
        )
        signature = keys.sign(unsigned._statement(keys.document))
        public = SignedPrekeySet.decode(unsigned.encode() + signature)
        return cls(keys.document, public, signed_prekey, last_resort_seed, seal_seed, seal.private)

    @cached_property
    def seal_key(self) -> MLKEM768X25519PrivateKey:
        """The key that opens sealed first messages."""
        kem = mlkem768_from_seed(self.seal_seed)
        return MLKEM768X25519PrivateKey(kem, X25519KeyPair(self.seal_private).key)

    def encode(self) -> bytes:
        """Write document, public and secret parts for the vault."""
        secrets = (self.signed_prekey.private, self.last_resort_seed, self.seal_seed, self.seal_private)
        return self.document + self.public.encode() + b"".join(secrets)

    @classmethod
    def decode(cls, encoded: bytes) -> SignedPrekeySecrets:
        """Read what `encode` wrote.

        Raises:
            InvalidKey: these are other bytes.
        """
        if len(encoded) != _SET_SECRETS_B:
            raise InvalidKey("These are not the secrets of a signed prekey set.")
        sizes = (DOCUMENT_B, SIGNED_PREKEY_SET_B, KEY_B, MLKEM_SEED_B, MLKEM_SEED_B, KEY_B)
        document, public, signed_prekey, last_resort, seal_seed, seal_private = _split(encoded, sizes)
        signed_set = SignedPrekeySet.decode(public)
        pair = X25519KeyPair(signed_prekey, signed_set.signed_prekey)
        return cls(document, signed_set, pair, last_resort, seal_seed, seal_private)


@dataclass(frozen=True)
class OneTimePrekey:
    """The public part of a one-time pair. After `decode`, call `check` before anything is done with it.

    Args:
        oid: number of the pair, u32, never used again.
        agreement_key: X25519, 32 bytes.
        kem_key: ML-KEM-1024, 1568 bytes.
        signature: 64 bytes, by the owner's identity.
    """

    oid: int
    agreement_key: bytes
    kem_key: bytes
    signature: bytes

    def encode(self) -> bytes:
        """Write the pair as 1668 bytes."""
        return _OID.pack(self.oid) + self.agreement_key + self.kem_key + self.signature

    @classmethod
    def decode(cls, encoded: bytes) -> OneTimePrekey:
        """Split a pair into its fields; call `check` next.

        Raises:
            InvalidKey: wrong length.
        """
        if len(encoded) != ONE_TIME_PREKEY_B:
            raise InvalidKey(f"A one-time prekey pair must have {ONE_TIME_PREKEY_B} bytes.")
        sizes = (KEY_B, MLKEM1024_PUBLIC_B, SIGNATURE_B)
        return cls(*_OID.unpack_from(encoded), *_split(encoded[_OID.size :], sizes))

    def check(self, identity: Identity) -> None:
        """Check that the pair is its owner's.

        Raises:
            InvalidSignature: the owner did not sign it.
            InvalidKey: one of its keys must not be used.
        """
        identity.verify(self._statement(identity.document), self.signature)
        parse_x25519(self.agreement_key)
        _ = self.encapsulation_key

    @cached_property
    def encapsulation_key(self) -> MLKEM1024PublicKey:
        """The ML-KEM key as the library's object.

        Raises:
            InvalidKey: it must not be used.
        """
        return parse_mlkem1024(self.kem_key)

    def _statement(self, document: bytes) -> bytes:
        return lp(_PAIR_LABEL, document, _OID.pack(self.oid), self.agreement_key, self.kem_key)


@dataclass(frozen=True)
class OneTimePrekeySecrets:
    """One's own one-time pair with its private keys.

    Args:
        public: the pair that one person fetches.
        agreement: its X25519 key pair.
        kem_seed: of ML-KEM-1024, 64 bytes.
    """

    public: OneTimePrekey
    agreement: X25519KeyPair = field(repr=False)
    kem_seed: bytes = field(repr=False)

    @classmethod
    def generate(cls, keys: IdentityKeys, *, oid: int, rng: RandomBytes) -> OneTimePrekeySecrets:
        """Make a pair; store it before its public part is published.

        Args:
            keys: the owner.
            oid: never used before, also not before a backup was restored; below 2**32.
            rng: for both keys.
        """
        agreement, kem_seed = X25519KeyPair.generate(rng), rng(MLKEM_SEED_B)
        kem_key = mlkem1024_from_seed(kem_seed).public_key().public_bytes_raw()
        unsigned = OneTimePrekey(oid, agreement.public, kem_key, b"")
        signature = keys.sign(unsigned._statement(keys.document))
        return cls(OneTimePrekey(oid, agreement.public, kem_key, signature), agreement, kem_seed)

    def encode(self) -> bytes:
        """Write public and secret parts for the vault."""
        return self.public.encode() + self.agreement.private + self.kem_seed

    @classmethod
    def decode(cls, encoded: bytes) -> OneTimePrekeySecrets:
        """Read what `encode` wrote.

        Raises:
            InvalidKey: these are other bytes.
        """
        if len(encoded) != _PAIR_SECRETS_B:
            raise InvalidKey("These are not the secrets of a one-time prekey pair.")
        public, private, kem_seed = _split(encoded, (ONE_TIME_PREKEY_B, KEY_B, MLKEM_SEED_B))
        pair = OneTimePrekey.decode(public)
        return cls(pair, X25519KeyPair(private, pair.agreement_key), kem_seed)


@dataclass(frozen=True, slots=True)
class PrekeyBundle:
    """All that is needed to write first to somebody; every part was checked by its `check`."""

    identity: Identity
    signed_set: SignedPrekeySet
    one_time: OneTimePrekey | None


def parse_seal(seal: bytes) -> MLKEM768X25519PublicKey:
    """Read the hybrid key that first messages are sealed to, 1216 bytes.

    Raises:
        InvalidKey: wrong length, or one of its parts must not be used.
    """
    kem, agreement = seal[:MLKEM768_PUBLIC_B], seal[MLKEM768_PUBLIC_B:]
    return MLKEM768X25519PublicKey(parse_mlkem768(kem), parse_x25519(agreement))


def _split(encoded: bytes, sizes: tuple[int, ...]) -> list[bytes]:
    parts, start = [], 0
    for size_b in sizes:
        parts.append(encoded[start : start + size_b])
        start += size_b
    return parts
