"""WebSocket messages to frames and back: each message is one MessagePack array of 1 to 64 frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta

from zap2.errors import Malformed, TooLarge
from zap2.wire.fields import MAX_FRAMES, MAX_MESSAGE_SIZE_B
from zap2.wire.frames import ClientFrame, Frame, RelayFrame

_T = TypeVar("_T")

_encoder: Final = msgspec.msgpack.Encoder()
_client_decoder: Final = msgspec.msgpack.Decoder(
    Annotated[list[ClientFrame], Meta(min_length=1, max_length=MAX_FRAMES)]
)
_relay_decoder: Final = msgspec.msgpack.Decoder(
    Annotated[list[RelayFrame], Meta(min_length=1, max_length=MAX_FRAMES)]
)


def encode_message(frames: Sequence[Frame]) -> bytes:
    """Encode 1 to 64 frames of one side as one WebSocket message.

    Use `pack_messages` for any number of frames.

    Raises:
        TooLarge: no frame at all, more than 64, or more than 256 KiB together.
    """
    message = _encoder.encode(frames)
    if not 1 <= len(frames) <= MAX_FRAMES or len(message) > MAX_MESSAGE_SIZE_B:
        raise TooLarge("These frames do not fit into one message.")
    return message


def pack_messages(frames: Sequence[Frame]) -> list[bytes]:
    """Encode any number of frames as few WebSocket messages, in their order.

    Every single frame fits: the largest one, a full Publish, takes less than 210 KB.
    """
    if not frames:
        return []
    if len(frames) == 1:
        return [encode_message(frames)]
    if len(frames) <= MAX_FRAMES:
        message = _encoder.encode(frames)
        if len(message) <= MAX_MESSAGE_SIZE_B:
            return [message]
    half = min(MAX_FRAMES, (len(frames) + 1) // 2)
    return pack_messages(frames[:half]) + pack_messages(frames[half:])


def decode_client_message(message: bytes) -> list[ClientFrame]:
    """Decode what a client sent.

    Raises:
        TooLarge: more than 256 KiB.
        Malformed: anything else that is not 1 to 64 frames of a client within their bounds.
    """
    return _decode(_client_decoder, message)


def decode_relay_message(message: bytes) -> list[RelayFrame]:
    """Decode what a relay sent.

    Raises:
        TooLarge: more than 256 KiB.
        Malformed: anything else that is not 1 to 64 frames of a relay within their bounds.
    """
    return _decode(_relay_decoder, message)


def _decode(decoder: msgspec.msgpack.Decoder[list[_T]], message: bytes) -> list[_T]:
    if len(message) > MAX_MESSAGE_SIZE_B:
        raise TooLarge("A message is larger than the protocol allows.")
    try:
        return decoder.decode(message)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        # The cause would quote what was sent, so it goes no further.
        raise Malformed("A message does not consist of frames of this protocol.") from (
            None if isinstance(error, UnicodeDecodeError) else error
        )
