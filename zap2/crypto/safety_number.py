"""The safety number: what two people compare to know that nobody stands between them.

libsignal's numeric fingerprint (version 0, 5200 iterations of SHA-512) over the whole identity document and the
uid, so that both keys are covered.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import Final

from zap2.crypto.identity import DOCUMENT_B
from zap2.errors import InvalidKey

_VERSION: Final = b"\x00\x00"
_ITERATIONS: Final = 5200
_CHUNK_B: Final = 5
_CHUNKS: Final = 6
_PREFIX_B: Final = 32
_QR_SCHEME: Final = "ZAP2:SAFETY:1:"


@dataclass(frozen=True, slots=True)
class SafetyNumber:
    """The same on both sides.

    Args:
        digits: 60 digits, for reading aloud in groups of five.
        qr_text: the same comparison for a camera, in the characters that QR codes hold most tightly.
    """

    digits: str
    qr_text: str


def safety_number(own_document: bytes, peer_document: bytes) -> SafetyNumber:
    """Compute the safety number of two identity documents, in either order; takes some milliseconds.

    Raises:
        InvalidKey: a document does not have 65 bytes.
    """
    if len(own_document) != DOCUMENT_B or len(peer_document) != DOCUMENT_B:
        raise InvalidKey("An identity document must have 65 bytes.")
    fingerprints = [_document_fingerprint(document) for document in (own_document, peer_document)]
    prefixes = b"".join(sorted(fingerprint[:_PREFIX_B] for fingerprint in fingerprints))
    qr_text = _QR_SCHEME + base64.b32encode(prefixes).decode("ascii").rstrip("=")
    return SafetyNumber("".join(sorted(map(digits_of, fingerprints))), qr_text)


def fingerprint(key: bytes, stable_id: bytes) -> bytes:
    """Compute one side's fingerprint, 64 bytes, of which the first 30 become digits."""
    digest = _VERSION + key + stable_id
    for _ in range(_ITERATIONS):
        digest = hashlib.sha512(digest + key).digest()
    return digest


def digits_of(side: bytes) -> str:
    """Write one side's fingerprint as 30 digits."""
    chunks = (side[at : at + _CHUNK_B] for at in range(0, _CHUNKS * _CHUNK_B, _CHUNK_B))
    return "".join(f"{int.from_bytes(chunk, 'big') % 100_000:05d}" for chunk in chunks)


def _document_fingerprint(document: bytes) -> bytes:
    return fingerprint(document, hashlib.sha256(document).digest())
