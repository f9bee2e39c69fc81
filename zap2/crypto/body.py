"""The body of a message: ChaCha20-Poly1305 under a key that is used once.

The header's random nonce enters the key. So two messages that a rolled-back state sends from the same position of
a chain share neither key nor key stream.
"""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from zap2.crypto.primitives import KEY_B, hkdf_expand_sha256
from zap2.errors import AuthenticationFailed

TAG_B: Final = 16

_INFO: Final = b"Zap2 v1 message"
_KEY_AND_IV_B: Final = KEY_B + 12


def seal_body(message_key: bytes, nonce: bytes, frame: bytes, associated_data: bytes) -> bytes:
    """Encrypt a frame; the result is 16 bytes longer.

    Args:
        message_key: from the ratchet, 32 bytes, for this message alone.
        nonce: the header's, 12 bytes.
        frame: content and padding.
        associated_data: TH ‖ eh.
    """
    material = hkdf_expand_sha256(message_key, _INFO + nonce, _KEY_AND_IV_B)
    return ChaCha20Poly1305(material[:KEY_B]).encrypt(material[KEY_B:], frame, associated_data)


def open_body(message_key: bytes, nonce: bytes, body: bytes, associated_data: bytes) -> bytes:
    """Decrypt what `seal_body` gave.

    Raises:
        AuthenticationFailed: the body was changed, or belongs to another header or session.
    """
    material = hkdf_expand_sha256(message_key, _INFO + nonce, _KEY_AND_IV_B)
    try:
        return ChaCha20Poly1305(material[:KEY_B]).decrypt(material[KEY_B:], body, associated_data)
    except InvalidTag:
        raise AuthenticationFailed from None
