"""Frames and the fixed sizes of what is sent (docs/protocol.md, "Padding").

frame = content length (u32) ‖ pq record length (u16) ‖ content ‖ pq record ‖ zeros. The zeros are checked.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from typing import Final

from zap2.errors import InvalidPadding

PAYLOAD_SIZES_B: Final = (512, 1024, 2048, 4096, 8192, 16384, 32768, 65536)
"""The only sizes of payloads, smallest first."""

SEALED_PAYLOAD_SIZES_B: Final = PAYLOAD_SIZES_B[3:]
"""The only sizes of a payload with a sealed set-up, smallest first."""

_LENGTHS: Final = struct.Struct(">IH")
FRAME_OVERHEAD_B: Final = _LENGTHS.size


def choose_size_b(needed_b: int, sizes_b: tuple[int, ...]) -> int:
    """Choose the smallest of some sizes (ascending) that holds `needed_b` bytes.

    Raises:
        InvalidPadding: none does.
    """
    if needed_b > sizes_b[-1]:
        raise InvalidPadding(f"A content of this length needs {needed_b} bytes; {sizes_b[-1]} is the most.")
    return sizes_b[bisect_left(sizes_b, needed_b)]


def build_frame(content: bytes, pq_record: bytes, size_b: int) -> bytes:
    """Lay out a frame of exactly `size_b` bytes.

    Raises:
        InvalidPadding: content and record do not fit.
    """
    zeros_b = size_b - FRAME_OVERHEAD_B - len(content) - len(pq_record)
    if zeros_b < 0:
        raise InvalidPadding
    return b"".join((_LENGTHS.pack(len(content), len(pq_record)), content, pq_record, bytes(zeros_b)))


def parse_frame(frame: bytes) -> tuple[bytes, bytes]:
    """Split a frame that authenticated into content and pq record.

    Raises:
        InvalidPadding: the lengths do not fit, or the rest is not all zeros.
    """
    if len(frame) < FRAME_OVERHEAD_B:
        raise InvalidPadding
    content_b, record_b = _LENGTHS.unpack_from(frame)
    record_at = FRAME_OVERHEAD_B + content_b
    zeros_at = record_at + record_b
    if zeros_at > len(frame) or frame[zeros_at:] != bytes(len(frame) - zeros_at):
        raise InvalidPadding
    return frame[FRAME_OVERHEAD_B:record_at], frame[record_at:zeros_at]
