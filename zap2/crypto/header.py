"""The header of a message and its encryption (Double Ratchet rev. 3, section 4).

eh = 0x01 ‖ nonce(12) ‖ AES-256-GCM(header key, nonce, header, AD = TH): 73 bytes that show an outsider neither
keys nor counters. Opening one authenticates the counters before any key is derived from them.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_B: Final = 12
MESSAGE_TYPE: Final = b"\x01"
SEALED_HEADER_B: Final = 73

_FIELDS: Final = struct.Struct(">32sIII")
_NONCE_END: Final = 1 + NONCE_B


class Header(msgspec.Struct, frozen=True, gc=False):
    """What the peer needs to find a message's key.

    Args:
        ratchet_key: the sender's X25519 ratchet key, 32 bytes.
        previous_count: messages on the sender's chain before this one (PN).
        number: position on the chain, from 0 (N).
        pq_epoch: the post-quantum epoch folded into the chain, 0 for none.
    """

    ratchet_key: bytes
    previous_count: int
    number: int
    pq_epoch: int


def seal_header(key: AESGCM, nonce: bytes, header: Header, transcript_hash: bytes) -> bytes:
    """Encrypt a header into 73 bytes; `nonce` is 12 fresh random bytes that also enter the message's key."""
    fields = _FIELDS.pack(header.ratchet_key, header.previous_count, header.number, header.pq_epoch)
    return MESSAGE_TYPE + nonce + key.encrypt(nonce, fields, transcript_hash)


def open_header(
    keys: Mapping[bytes, AESGCM], sealed: bytes, transcript_hash: bytes
) -> tuple[bytes, Header] | None:
    """Try some header keys on 73 bytes; gives the one that opens them, raw, and the header, or None."""
    nonce, encrypted = split_header(sealed)
    for raw, key in keys.items():
        try:
            fields = key.decrypt(nonce, encrypted, transcript_hash)
        except InvalidTag:
            continue
        return raw, Header(*_FIELDS.unpack(fields))
    return None


def split_header(sealed: bytes) -> tuple[bytes, bytes]:
    """Give the nonce of an encrypted header, 12 bytes, and its ciphertext, 60 bytes."""
    return sealed[1:_NONCE_END], sealed[_NONCE_END:]
