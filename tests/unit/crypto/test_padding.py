"""Frames: exact boundaries, and zeros that are checked."""

from __future__ import annotations

import pytest

from zap2.crypto.padding import PAYLOAD_SIZES_B, build_frame, choose_size_b, parse_frame
from zap2.errors import InvalidPadding


def test_frame_layout_is_the_documented_one() -> None:
    """Content length, record length, content, record, zeros."""
    assert build_frame(b"abc", b"pq", 16) == bytes.fromhex("00000003 0002 616263 7071") + bytes(5)


def test_content_and_record_come_back() -> None:
    """With and without a record, and when nothing is left to pad."""
    for content, record, size_b in ((b"", b"", 6), (b"a" * 10, b"b" * 20, 36), (b"a", b"", 100)):
        assert parse_frame(build_frame(content, record, size_b)) == (content, record)


def test_what_does_not_fit_is_refused() -> None:
    """Neither too long a frame nor one beyond the largest size."""
    with pytest.raises(InvalidPadding):
        build_frame(b"abc", b"", 8)
    with pytest.raises(InvalidPadding):
        choose_size_b(65537, PAYLOAD_SIZES_B)
    assert choose_size_b(65536, PAYLOAD_SIZES_B) == 65536
    assert choose_size_b(513, PAYLOAD_SIZES_B) == 1024
    assert choose_size_b(0, PAYLOAD_SIZES_B) == 512


@pytest.mark.parametrize("at", [9, 12, 15])
def test_padding_that_is_not_zero_is_refused(at: int) -> None:
    """Nothing can be hidden in the padding."""
    frame = bytearray(build_frame(b"abc", b"", 16))
    frame[at] = 1
    with pytest.raises(InvalidPadding):
        parse_frame(bytes(frame))


@pytest.mark.parametrize("frame", ["", "0000000000", "000000010000", "0000000000ff", "ffffffffffff00"])
def test_lengths_beyond_the_frame_are_refused(frame: str) -> None:
    """Short frames and lengths that point outside."""
    with pytest.raises(InvalidPadding):
        parse_frame(bytes.fromhex(frame))
