"""The sealed set-up: a first message from which a relay does not learn who writes (docs/protocol.md, "Sealed set-up").

0x02 ‖ sid (u32) ‖ HPKE(MLKEM768-X25519, HKDF-SHA256, AES-256-GCM) to the responder's SEAL key, of: identity
document (65) ‖ its signature (64) ‖ 1 with a one-time pair, else 0 ‖ oid (u32, 0 without) ‖ ephemeral key (32) ‖
ML-KEM-1024 ciphertext (1568) ‖ ratchet message. The whole has 4096 bytes, or the next size where the content needs
it. HPKE draws its own randomness from the operating system: the library offers nothing else.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from zap2.crypto.body import TAG_B
from zap2.crypto.header import SEALED_HEADER_B
from zap2.crypto.identity import DOCUMENT_B, Identity
from zap2.crypto.padding import FRAME_OVERHEAD_B, PAYLOAD_SIZES_B, SEALED_PAYLOAD_SIZES_B
from zap2.crypto.prekeys import SignedPrekeySecrets, parse_seal
from zap2.crypto.primitives import KEY_B, MLKEM1024_CIPHERTEXT_B, SIGNATURE_B, lp
from zap2.errors import AuthenticationFailed, Malformed, PrekeyRefused
from zap2.ids import Uid

SETUP_TYPE: Final = b"\x02"

_SUITE: Final = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_LABEL: Final = b"Zap2 v1 sealed init"
_SID: Final = struct.Struct(">I")
_OUTER_B: Final = len(SETUP_TYPE) + _SID.size
_HPKE_OVERHEAD_B: Final = 1088 + KEY_B + 16
_FIELDS: Final = struct.Struct(f">{DOCUMENT_B}s{SIGNATURE_B}sBI{KEY_B}s{MLKEM1024_CIPHERTEXT_B}s")

MESSAGE_OVERHEAD_B: Final = SEALED_HEADER_B + TAG_B
"""Bytes of a ratchet message beside its frame."""

SEALED_OVERHEAD_B: Final = _OUTER_B + _HPKE_OVERHEAD_B + _FIELDS.size
"""Bytes of a sealed set-up beside the ratchet message inside."""

MESSAGE_SIZES_B: Final = frozenset(PAYLOAD_SIZES_B) | {
    size_b - SEALED_OVERHEAD_B for size_b in SEALED_PAYLOAD_SIZES_B
}
"""The sizes that a ratchet message can have, alone or inside a sealed set-up."""

MAX_CONTENT_B: Final = PAYLOAD_SIZES_B[-1] - SEALED_OVERHEAD_B - MESSAGE_OVERHEAD_B - FRAME_OVERHEAD_B
"""Bytes of content that fit one message in any state of a session."""


@dataclass(frozen=True, slots=True)
class SetupFields:
    """What the initiator repeats until the responder has answered.

    Args:
        document: the initiator's identity document, 65 bytes.
        document_signature: 64 bytes.
        oid: number of the one-time pair that was used, or None.
        ephemeral: X25519, 32 bytes.
        kem_ciphertext: ML-KEM-1024, 1568 bytes.
    """

    document: bytes
    document_signature: bytes
    oid: int | None
    ephemeral: bytes
    kem_ciphertext: bytes

    def encode(self) -> bytes:
        """Write the fields as 1734 bytes."""
        return _FIELDS.pack(
            self.document,
            self.document_signature,
            self.oid is not None,
            self.oid or 0,
            self.ephemeral,
            self.kem_ciphertext,
        )

    @classmethod
    def decode(cls, encoded: bytes) -> SetupFields:
        """Read what `encode` wrote.

        Raises:
            Malformed: other bytes.
        """
        if len(encoded) != _FIELDS.size:
            raise Malformed("The fields of a set-up have another length.")
        document, signature, has_pair, oid, ephemeral, kem_ciphertext = _FIELDS.unpack(encoded)
        if has_pair > 1 or (oid and not has_pair):
            raise Malformed("A set-up names its one-time pair in no known way.")
        return cls(document, signature, oid if has_pair else None, ephemeral, kem_ciphertext)

    @property
    def hash(self) -> bytes:
        """What names this set-up, 32 bytes: SHA-256 of ephemeral key, ciphertext and initiator's document.

        The document is in it so that nobody can present their own set-up, and so their session, as another's.
        """
        return hashlib.sha256(self.ephemeral + self.kem_ciphertext + self.document).digest()


@dataclass(frozen=True, slots=True)
class Setup:
    """An opened set-up whose sender's document was checked. Nothing is proved until `message` decrypts.

    Look for a session with the same `setup_hash` first: there the set-up is a repetition, and its `message` is for
    that session. Otherwise `accept` it, unless `setup_hash` is remembered from before.

    Args:
        identity: who claims to write.
        sid: the signed set that was used.
        oid: the one-time pair that was used, or None.
        setup_hash: names the set-up, 32 bytes; remember it as long as the signed set's secrets are kept.
        message: the ratchet message for the session.
    """

    identity: Identity
    sid: int
    oid: int | None
    setup_hash: bytes
    fields: SetupFields = field(repr=False)
    message: bytes = field(repr=False)


def is_sealed_setup(payload: bytes) -> bool:
    """Say whether a payload claims to be a sealed set-up, by its first byte."""
    return payload[:1] == SETUP_TYPE


def seal_setup(fields: bytes, message: bytes, *, sid: int, seal: bytes, set_digest: bytes, uid: Uid) -> bytes:
    """Seal encoded set-up fields and a ratchet message to a responder.

    Args:
        fields: `SetupFields.encode()`.
        message: sized so that the whole gets one of the payload sizes.
        sid: the responder's signed set.
        seal: its SEAL key, 1216 bytes.
        set_digest: its digest, 32 bytes.
        uid: the responder.
    """
    sealed = _SUITE.encrypt(fields + message, parse_seal(seal), info=_info(uid, sid, set_digest))
    return SETUP_TYPE + _SID.pack(sid) + sealed


def open_setup(payload: bytes, signed_secrets: Mapping[int, SignedPrekeySecrets], own_uid: Uid) -> Setup:
    """Open a sealed set-up and check its sender's document; changes nothing and proves nothing yet.

    Args:
        payload: as it came; any bytes.
        signed_secrets: one's own signed sets by `sid`.
        own_uid: for whom the set-up must have been sealed.

    Raises:
        Malformed: these bytes are no sealed set-up.
        PrekeyRefused: the signed set that it names is not there any more.
        AuthenticationFailed: it was not sealed to that set for this account.
        InvalidKey, InvalidSignature: the sender's document must be refused.
    """
    if not is_sealed_setup(payload) or len(payload) not in SEALED_PAYLOAD_SIZES_B:
        raise Malformed("This is not a sealed set-up.")
    (sid,) = _SID.unpack_from(payload, len(SETUP_TYPE))
    secrets = signed_secrets.get(sid)
    if secrets is None:
        raise PrekeyRefused("A set-up was sealed to a prekey set that is not kept any more.")
    info = _info(own_uid, sid, secrets.public.digest)
    try:
        opened = _SUITE.decrypt(payload[_OUTER_B:], secrets.seal_key, info=info)
    except (InvalidTag, ValueError):
        raise AuthenticationFailed from None
    fields = SetupFields.decode(opened[: _FIELDS.size])
    identity = Identity.parse(fields.document, fields.document_signature)
    return Setup(identity, sid, fields.oid, fields.hash, fields, opened[_FIELDS.size :])


def _info(uid: Uid, sid: int, set_digest: bytes) -> bytes:
    return lp(_LABEL, uid, _SID.pack(sid), set_digest)
