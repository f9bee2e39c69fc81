"""Finding the session of an envelope, which names none: by trial of header keys (docs/protocol.md, "Ratchet message").

An encrypted header looks random to whoever lacks its key. Who has it need not open all of it to see that it does not
fit: the first byte of PN is 0 unless a chain had 2^24 messages, and AES-GCM encrypts it with one known block of its
key stream (NIST SP 800-38D, section 6.5). Comparing that byte costs a quarter of a trial and leaves one key in 256;
nothing is believed before the whole header authenticated, and whatever no such look finds is tried in full.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from zap2.crypto.header import SEALED_HEADER_B, split_header
from zap2.crypto.session import Session, is_ratchet_message

_PN_AT: Final = 32
"""Where PN stands in a header, at the beginning of its third block."""

_PN_COUNTER: Final = (4).to_bytes(4, "big")
"""GCM's counter of the third block: 1 is the tag's, 2 the first block's."""


def find_session(sessions: Sequence[Session], payload: bytes) -> Session | None:
    """Find the session that a payload belongs to, which then is to `decrypt` it; None if no header key fits.

    The current and next header keys of all sessions are tried before those of earlier chains of any. So what comes
    in order costs two looks a session at most, of half a microsecond or so each, and what is late, or nobody's, a full
    trial of each key.

    Args:
        sessions: the likeliest first.
        payload: as it came; any bytes.
    """
    if not is_ratchet_message(payload):
        return None
    nonce, encrypted = split_header(payload[:SEALED_HEADER_B])
    block, pn_byte = nonce + _PN_COUNTER, encrypted[_PN_AT]
    # One tight loop: every call in it would be made for each of hundreds of sessions.
    for session in sessions:
        for cipher, key in session.receiving_keys.blocks:
            if cipher.update(block)[0] == pn_byte and _fits(key, nonce, encrypted, session):
                return session
    for is_live in (True, False):
        for session in sessions:
            keys = session.receiving_keys
            for key in (keys.live if is_live else keys.old).values():
                if _fits(key, nonce, encrypted, session):
                    return session
    return None


def _fits(key: AESGCM, nonce: bytes, encrypted: bytes, session: Session) -> bool:
    try:
        key.decrypt(nonce, encrypted, session.receiving_keys.transcript_hash)
    except InvalidTag:
        return False
    return True
