"""The common case of WebSocket frames, done at once: whole binary messages (RFC 6455, section 5.2).

Nearly everything that a relay reads and writes is an unfragmented binary message. Parsing those here takes a fraction
of the library's time, which is made for any byte at any moment. All else (control frames, fragments, text, whatever
breaks a rule) is left to the library, one whole frame at a time, so it alone judges.
"""

from __future__ import annotations

from typing import Final

try:
    from websockets.speedups import apply_mask
except ImportError:  # Where the library has no compiled part.
    from websockets.utils import apply_mask

_BINARY_FIN: Final = 0x82
_MASKED: Final = 0x80


def frame_size_b(buffer: bytes | bytearray, at: int) -> int:
    """Give the size of the frame that begins at `at` with its header, or how much of it tells that, at least."""
    have_b = len(buffer) - at
    if have_b < 2:
        return 2
    second = buffer[at + 1]
    length_b = second & 0x7F
    header_b = 6 if second & _MASKED else 2
    if length_b < 126:
        return header_b + length_b
    extension_b = 2 if length_b == 126 else 8
    if have_b < 2 + extension_b:
        return 2 + extension_b
    return header_b + extension_b + int.from_bytes(buffer[at + 2 : at + 2 + extension_b], "big")


def binary_message(buffer: bytes | bytearray, at: int, size_b: int, max_size_b: int) -> bytes | None:
    """Unmask the whole frame at `at`, `size_b` long with its header; None if it is not the common case."""
    second = buffer[at + 1]
    if buffer[at] != _BINARY_FIN or not second & _MASKED:
        return None
    length_b = second & 0x7F
    data_at = at + (6 if length_b < 126 else 8 if length_b == 126 else 14)
    end = at + size_b
    # A length that does not use the shortest form is for the library to judge.
    if end - data_at > max_size_b or (length_b == 126 and end - data_at < 126) or end - data_at < 1:
        return None
    if length_b == 127 and end - data_at < 65536:
        return None
    return apply_mask(bytes(buffer[data_at:end]), bytes(buffer[data_at - 4 : data_at]))


def binary_frame(message: bytes) -> bytes:
    """Give a message as a server sends it: one frame, not masked."""
    size_b = len(message)
    if size_b < 126:
        return bytes((_BINARY_FIN, size_b)) + message
    if size_b < 65536:
        return b"\x82\x7e" + size_b.to_bytes(2, "big") + message
    return b"\x82\x7f" + size_b.to_bytes(8, "big") + message
