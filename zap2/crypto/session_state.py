"""What of a session goes into the vault, and its encoding (MessagePack, positional, bounded)."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from zap2.crypto.pq_state import PqState
from zap2.crypto.primitives import KEY_B, MLKEM768KeyPair, X25519KeyPair
from zap2.crypto.ratchet_state import Count, Key, RatchetState, SecretStruct
from zap2.errors import InvalidKey, Malformed

_VERSION: Final = 2


class SessionOrigin(SecretStruct, frozen=True):
    """What stays the same for the life of a session.

    Args:
        transcript_hash: TH, 32 bytes.
        setup_hash: names the set-up that made it, 32 bytes.
        peer_document: the peer's identity document, 65 bytes.
        peer_document_signature: 64 bytes.
        is_initiator: whether this side wrote first.
        has_one_time_prekey: whether a one-time pair took part.
    """

    transcript_hash: Key
    setup_hash: Key
    peer_document: Annotated[bytes, Meta(min_length=65, max_length=65)]
    peer_document_signature: Annotated[bytes, Meta(min_length=64, max_length=64)]
    is_initiator: bool
    has_one_time_prekey: bool


class PendingSetup(SecretStruct, frozen=True):
    """What an initiator needs to repeat its set-up until the responder has answered.

    Args:
        fields: `SetupFields.encode()`, 1734 bytes.
        sid: the responder's signed set.
        seal: its SEAL key, 1216 bytes.
        set_digest: its digest, 32 bytes.
    """

    fields: Annotated[bytes, Meta(min_length=1734, max_length=1734)]
    sid: Count
    seal: Annotated[bytes, Meta(min_length=1216, max_length=1216)]
    set_digest: Key


class SessionState(SecretStruct, frozen=True):
    """All of a session.

    Args:
        version: of this layout.
        origin: what stays.
        is_confirmed: whether anything of the peer's was decrypted on it.
        pending: while an initiator is unconfirmed.
        ratchet: chains, counters and keys.
        pq: the post-quantum ratchet; None where tests run the Double Ratchet without it.
    """

    version: Annotated[int, Meta(ge=_VERSION, le=_VERSION)]
    origin: SessionOrigin
    is_confirmed: bool
    pending: PendingSetup | None
    ratchet: RatchetState
    pq: PqState | None


def new_state(
    origin: SessionOrigin, ratchet: RatchetState, pending: PendingSetup | None, pq: PqState | None
) -> SessionState:
    """Put together the state of a session on which nothing was decrypted yet."""
    return SessionState(_VERSION, origin, False, pending, ratchet, pq)


def encode_state(state: SessionState) -> bytes:
    """Write a state for the vault; below 2 kB, 3 more while a set-up is repeated, 40 bytes a skipped key."""
    return _ENCODER.encode(state)


def decode_state(encoded: bytes) -> SessionState:
    """Read what `encode_state` wrote.

    Raises:
        Malformed: other bytes.
    """
    try:
        return _DECODER.decode(encoded)
    except (msgspec.MsgspecError, UnicodeDecodeError, InvalidKey, RecursionError):
        raise Malformed("This is not the state of a session.") from None


def _encode_key_pair(value: Any) -> bytes:
    if isinstance(value, X25519KeyPair):
        return value.private + value.public
    if isinstance(value, MLKEM768KeyPair):
        return value.seed
    raise NotImplementedError(f"A session holds no {type(value).__name__}.")


def _decode_key_pair(kind: type, value: Any) -> X25519KeyPair | MLKEM768KeyPair:
    if not isinstance(value, bytes):
        raise InvalidKey("A key pair must be bytes.")
    if kind is MLKEM768KeyPair:
        return MLKEM768KeyPair(value)
    return X25519KeyPair(value[:KEY_B], value[KEY_B:])


_ENCODER: Final = msgspec.msgpack.Encoder(enc_hook=_encode_key_pair)
_DECODER: Final = msgspec.msgpack.Decoder(SessionState, dec_hook=_decode_key_pair)
