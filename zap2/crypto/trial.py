"""Finding the session of an envelope, which names none: by trial of header keys (docs/protocol.md, "Headers").

Nothing that is cheaper tells beforehand which key fits: an encrypted header looks random to whoever lacks its key.
"""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.exceptions import InvalidTag

from zap2.crypto.header import SEALED_HEADER_B, split_header
from zap2.crypto.session import Session, is_ratchet_message


def find_session(sessions: Sequence[Session], payload: bytes) -> Session | None:
    """Find the session that a payload belongs to, which then is to `decrypt` it; None if no header key fits.

    The current and next header keys of all sessions are tried before those of earlier chains of any. So what comes
    in order costs two trials a session at most, of a microsecond or two each, and what is late a few more.

    Args:
        sessions: the likeliest first.
        payload: as it came; any bytes.
    """
    if not is_ratchet_message(payload):
        return None
    nonce, encrypted = split_header(payload[:SEALED_HEADER_B])
    for is_live in (True, False):
        for session in sessions:
            keys = session.receiving_keys
            transcript_hash = keys.transcript_hash
            # As `open_header`, which would cost its call and its slices for each of hundreds of sessions.
            for key in (keys.live if is_live else keys.old).values():
                try:
                    key.decrypt(nonce, encrypted, transcript_hash)
                except InvalidTag:
                    continue
                return session
    return None
