"""The key agreement between somebody who writes first and somebody who may be away (PQXDH rev. 1, section 3).

Stage one is Signal's formula with our own label: pure functions over key objects. Stage two binds both identities
and every byte of every prekey through the transcript hash. With an empty KEM secret stage one is X3DH, which is
how other people's X3DH is run against it in tests; the protocol itself never passes an empty one.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, field
from typing import Final

from zap2.crypto.identity import Identity
from zap2.crypto.prekeys import OneTimePrekey, SignedPrekeySet
from zap2.crypto.primitives import KEY_B, X25519KeyPair, hkdf_sha256, lp

SUITE: Final = b"X25519 ML-KEM-1024 SHA-256"

_INFO: Final = b"Zap2 v1 PQXDH X25519 ML-KEM-1024 SHA-256"
_TRANSCRIPT_LABEL: Final = b"Zap2 v1 transcript"
_KEYS_INFO: Final = b"Zap2 v1 session keys"
_SALT: Final = b"\x00" * 32
_FILL: Final = b"\xff" * 32
_U32: Final = struct.Struct(">I")


def agree_initiator(
    *,
    identity: X25519KeyPair,
    ephemeral: X25519KeyPair,
    peer_identity: bytes,
    peer_signed_prekey: bytes,
    peer_one_time: bytes | None,
    kem_secret: bytes,
    info: bytes = _INFO,
) -> bytes:
    """Compute the secret SK0 (32 bytes) of the side that writes first.

    Args:
        identity: own X25519 identity key.
        ephemeral: made for this agreement alone.
        peer_identity: the other side's X25519 identity key.
        peer_signed_prekey: the other side's signed prekey.
        peer_one_time: the X25519 part of the one-time pair, or None without one.
        kem_secret: what ML-KEM-1024 encapsulated; empty gives X3DH.
        info: the label.

    Raises:
        InvalidKey: a key of the other side must not be used.
    """
    parts = [
        identity.agree(peer_signed_prekey),
        ephemeral.agree(peer_identity),
        ephemeral.agree(peer_signed_prekey),
    ]
    if peer_one_time is not None:
        parts.append(ephemeral.agree(peer_one_time))
    return _first_stage(parts, kem_secret, info)


def agree_responder(
    *,
    identity: X25519KeyPair,
    signed_prekey: X25519KeyPair,
    one_time: X25519KeyPair | None,
    peer_identity: bytes,
    peer_ephemeral: bytes,
    kem_secret: bytes,
    info: bytes = _INFO,
) -> bytes:
    """Compute the secret SK0 (32 bytes) of the side that was written to.

    Args:
        identity: own X25519 identity key.
        signed_prekey: own, which the other side used.
        one_time: own, which the other side used, or None without one.
        peer_identity: the other side's X25519 identity key.
        peer_ephemeral: the other side's ephemeral key.
        kem_secret: what ML-KEM-1024 decapsulated; empty gives X3DH.
        info: the label.

    Raises:
        InvalidKey: a key of the other side must not be used.
    """
    parts = [
        signed_prekey.agree(peer_identity),
        identity.agree(peer_ephemeral),
        signed_prekey.agree(peer_ephemeral),
    ]
    if one_time is not None:
        parts.append(one_time.agree(peer_ephemeral))
    return _first_stage(parts, kem_secret, info)


@dataclass(frozen=True, slots=True)
class Transcript:
    """All public inputs of a set-up.

    Args:
        initiator: who writes first.
        responder: who is written to.
        signed_set: the responder's.
        one_time: the responder's one-time pair, or None without one.
        ephemeral: the initiator's ephemeral key, 32 bytes.
        kem_ciphertext: 1568 bytes.
    """

    initiator: Identity
    responder: Identity
    signed_set: SignedPrekeySet
    one_time: OneTimePrekey | None
    ephemeral: bytes
    kem_ciphertext: bytes

    def hash(self) -> bytes:
        """Compute the transcript hash TH, 32 bytes: associated data of every header and body of the session."""
        pair = self.one_time
        fields = lp(
            _TRANSCRIPT_LABEL,
            SUITE,
            self.initiator.document,
            self.responder.document,
            self.initiator.uid,
            self.responder.uid,
            _U32.pack(self.signed_set.sid),
            self.signed_set.signed_prekey,
            self.signed_set.last_resort,
            self.signed_set.seal,
            b"" if pair is None else _U32.pack(pair.oid),
            b"" if pair is None else pair.agreement_key,
            b"" if pair is None else pair.kem_key,
            self.ephemeral,
            self.kem_ciphertext,
        )
        return hashlib.sha256(fields).digest()


def session_id(transcript_hash: bytes) -> bytes:
    """Name a session: SHA-256 of its transcript hash, 32 bytes; it may be known to anybody."""
    return hashlib.sha256(transcript_hash).digest()


@dataclass(frozen=True, slots=True)
class SessionKeys:
    """What the ratchet starts from, 32 bytes each.

    Args:
        root_key: RK.
        initiator_header_key: HK_A, of the initiator's first sending chain.
        responder_next_header_key: NHK_B, of the responder's first sending chain.
    """

    root_key: bytes = field(repr=False)
    initiator_header_key: bytes = field(repr=False)
    responder_next_header_key: bytes = field(repr=False)


def derive_session_keys(secret: bytes, transcript_hash: bytes) -> SessionKeys:
    """Bind SK0 (32 bytes) to the transcript hash (32 bytes) and derive the session's first keys."""
    keys = hkdf_sha256(salt=transcript_hash, ikm=secret, info=_KEYS_INFO, length_b=3 * KEY_B)
    return SessionKeys(keys[:KEY_B], keys[KEY_B : 2 * KEY_B], keys[2 * KEY_B :])


def _first_stage(agreements: list[bytes], kem_secret: bytes, info: bytes) -> bytes:
    ikm = _FILL + b"".join(agreements) + kem_secret
    return hkdf_sha256(salt=_SALT, ikm=ikm, info=info, length_b=KEY_B)
