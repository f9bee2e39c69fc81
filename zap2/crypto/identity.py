"""Who a device is: two independent keys, one document, one address (docs/protocol.md, "Identity").

The document is `0x01 ‖ Ed25519 public ‖ X25519 public` (65 bytes), signed by its own Ed25519 key; the uid is the
SHA-256 of the document. So nobody, a relay included, can put other keys behind a uid.
"""

from __future__ import annotations

import hashlib
import hmac
from functools import cached_property
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from zap2.crypto.primitives import (
    KEY_B,
    SIGNATURE_B,
    X25519KeyPair,
    ed25519_from_seed,
    lp,
    parse_ed25519,
    parse_x25519,
    verify_ed25519,
)
from zap2.errors import InvalidKey, InvalidSignature
from zap2.ids import RandomBytes, Uid

DOCUMENT_B: Final = 65

_VERSION: Final = b"\x01"
_LABEL: Final = b"Zap2 v1 identity"


class Identity:
    """The public side of a device: its document and the document's signature.

    Make one with `parse`, which checks everything. Two are equal when their documents are.
    """

    def __init__(self, document: bytes, document_signature: bytes) -> None:
        """Take a document that was checked before, for example one from the vault; `parse` those of others."""
        self.document: Final = document
        self.document_signature: Final = document_signature

    @classmethod
    def parse(cls, document: bytes, signature: bytes) -> Identity:
        """Read and check what somebody presents as their identity.

        Compare the result's `uid` with the one you expect.

        Args:
            document: 65 bytes.
            signature: 64 bytes, of the document by its own Ed25519 key.

        Raises:
            InvalidKey: wrong length or version, or a key that is not canonical or of small order.
            InvalidSignature: the document is not signed by its own key.
        """
        if len(document) != DOCUMENT_B or document[:1] != _VERSION:
            raise InvalidKey("An identity document must have 65 bytes and version 1.")
        identity = cls(document, signature)
        parse_x25519(identity.agreement_key)
        identity.verify(lp(_LABEL, document), signature)
        return identity

    @cached_property
    def uid(self) -> Uid:
        """The account's address: SHA-256 of the document."""
        return Uid(hashlib.sha256(self.document).digest())

    @property
    def signing_key(self) -> bytes:
        """The Ed25519 public key, 32 bytes."""
        return self.document[1 : 1 + KEY_B]

    @property
    def agreement_key(self) -> bytes:
        """The X25519 public key, 32 bytes."""
        return self.document[1 + KEY_B :]

    def verify(self, message: bytes, signature: bytes) -> None:
        """Check that this identity signed a message, which must begin with a label of its own.

        Raises:
            InvalidKey: the identity's key is not canonical or of small order.
            InvalidSignature: it did not.
        """
        if len(signature) != SIGNATURE_B:
            raise InvalidSignature("A signature must have 64 bytes.")
        verify_ed25519(self._verifier, message, signature)

    @cached_property
    def _verifier(self) -> Ed25519PublicKey:
        return parse_ed25519(self.signing_key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Identity) and hmac.compare_digest(self.document, other.document)

    def __hash__(self) -> int:
        return hash(self.document)

    def __repr__(self) -> str:
        return f"Identity(uid={self.uid.hex()})"


class IdentityKeys:
    """The secret side of one's own device."""

    __slots__ = ("_signer", "_signing_seed", "agreement", "identity")

    def __init__(self, signing_seed: bytes, agreement_private: bytes) -> None:
        """Take an Ed25519 seed and an X25519 private key, 32 bytes each.

        Raises:
            InvalidKey: one has another length.
        """
        self._signing_seed = signing_seed
        self._signer = ed25519_from_seed(signing_seed)
        self.agreement: Final = X25519KeyPair(agreement_private)
        document = _VERSION + self._signer.public_key().public_bytes_raw() + self.agreement.public
        self.identity: Final = Identity(document, self._signer.sign(lp(_LABEL, document)))

    @classmethod
    def generate(cls, rng: RandomBytes) -> IdentityKeys:
        """Make the keys of a new account; store `encode()` before the uid is told to anybody."""
        return cls(rng(KEY_B), rng(KEY_B))

    @property
    def document(self) -> bytes:
        """The identity document, 65 bytes."""
        return self.identity.document

    @property
    def document_signature(self) -> bytes:
        """The document's signature by its own key, 64 bytes."""
        return self.identity.document_signature

    @property
    def uid(self) -> Uid:
        """The account's address."""
        return self.identity.uid

    def sign(self, message: bytes) -> bytes:
        """Sign a statement about oneself, which must be `lp` of a label of its own and its fields.

        Never a message, a peer or a transcript: what two people say stays deniable.
        """
        return self._signer.sign(message)

    def encode(self) -> bytes:
        """Write the secret keys as 65 bytes for the vault."""
        return _VERSION + self._signing_seed + self.agreement.private

    @classmethod
    def decode(cls, encoded: bytes) -> IdentityKeys:
        """Read what `encode` wrote.

        Raises:
            InvalidKey: these are other bytes.
        """
        if len(encoded) != 1 + 2 * KEY_B or encoded[:1] != _VERSION:
            raise InvalidKey("These are not the keys of an identity.")
        return cls(encoded[1 : 1 + KEY_B], encoded[1 + KEY_B :])

    def __repr__(self) -> str:
        return f"IdentityKeys(uid={self.uid.hex()}, <secret>)"
