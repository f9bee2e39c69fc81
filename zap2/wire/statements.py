"""The exact bytes that are signed or hashed between client and relay, and the fingerprint of a relay's key.

Every statement starts with a label of its own, and every part is preceded by its length, so that a signature
over one, or a hash of one, never passes for that of another.
"""

from __future__ import annotations

import base64
import hashlib
import struct
from typing import Final

FINGERPRINT_LENGTH: Final = 32

_GREETING: Final = b"Zap2 v1 relay greeting"
_LOGIN: Final = b"Zap2 v1 relay login"
_REGISTER: Final = b"Zap2 v1 register"
_DELIVERY_TOKEN: Final = b"Zap2 v1 delivery token"


def lp(*parts: bytes) -> bytes:
    """Join parts, each after its length as 4 bytes, big-endian."""
    return b"".join(struct.pack(">I", len(part)) + part for part in parts)


def greeting_statement(client_nonce: bytes, challenge: bytes, relay_key: bytes) -> bytes:
    """What a relay signs in its Greeting (parts of 32 bytes): that it holds the key, now, for this client."""
    return lp(_GREETING, client_nonce, challenge, relay_key)


def login_statement(relay_key: bytes, challenge: bytes, uid: bytes, device: int) -> bytes:
    """What a device signs to Authenticate: this relay, this connection's challenge, this address."""
    return lp(_LOGIN, relay_key, challenge, uid, struct.pack(">I", device))


def register_statement(relay_key: bytes, challenge: bytes, ticket: bytes, document: bytes) -> bytes:
    """What a new account signs to Register: the holder of the key claims the number behind the ticket."""
    return lp(_REGISTER, relay_key, challenge, ticket, document)


def delivery_token_hash(token: bytes) -> bytes:
    """Hash a delivery token (32 random bytes) into what its owner leaves at the relay: 32 bytes."""
    return hashlib.sha256(lp(_DELIVERY_TOKEN, token)).digest()


def relay_fingerprint(relay_key: bytes) -> str:
    """Name a relay's Ed25519 key (32 bytes) as it stands in addresses: 32 lower-case base32 characters."""
    return base64.b32encode(hashlib.sha256(relay_key).digest()[:20]).decode("ascii").lower()
