"""The common case of WebSocket frames agrees with the library, and all else is left to it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from zap2.server.framing import binary_frame, binary_message, frame_size_b

_LIMIT_B = 262_144
_lengths = st.one_of(
    st.integers(0, 200), st.sampled_from([125, 126, 127, 65_535, 65_536, _LIMIT_B, _LIMIT_B + 1])
)
_opcodes = st.sampled_from([Opcode.BINARY, Opcode.TEXT, Opcode.CONT])


@given(_lengths)
def test_what_the_relay_writes_is_what_the_library_would_write(length_b: int) -> None:
    message = bytes(length_b)
    assert binary_frame(message) == Frame(Opcode.BINARY, message).serialize(mask=False)


@given(_lengths, _opcodes, st.booleans(), st.booleans(), st.binary(max_size=20))
def test_only_whole_masked_binary_messages_are_taken(
    length_b: int, opcode: Opcode, is_final: bool, is_masked: bool, after: bytes
) -> None:
    data = bytes(n % 251 for n in range(length_b))
    frame = Frame(opcode, data, fin=is_final).serialize(mask=is_masked)
    buffer = b"before" + frame + after
    size_b = frame_size_b(buffer, 6)
    assert size_b == len(frame)
    message = binary_message(buffer, 6, size_b, _LIMIT_B)
    if opcode is Opcode.BINARY and is_final and is_masked and 0 < length_b <= _LIMIT_B:
        assert message == data
    else:
        assert message is None


@given(_lengths, st.integers(0, 14))
def test_the_size_is_never_promised_too_large(length_b: int, known_b: int) -> None:
    """A reader waits for as much as it is told; it must come to an end with the frame."""
    frame = Frame(Opcode.BINARY, bytes(length_b)).serialize(mask=True)
    assert known_b < frame_size_b(frame[:known_b], 0) <= len(frame) or known_b >= 14 or known_b >= len(frame)


def test_a_length_in_a_longer_form_than_needed_is_left_to_the_library() -> None:
    for head in (b"\x82\xfe\x00\x05", b"\x82\xff" + (5).to_bytes(8, "big")):
        frame = head + b"mask" + b"12345"
        assert frame_size_b(frame, 0) == len(frame)
        assert binary_message(frame, 0, len(frame), _LIMIT_B) is None


def test_reserved_bits_are_left_to_the_library() -> None:
    frame = bytearray(Frame(Opcode.BINARY, b"12345").serialize(mask=True))
    assert binary_message(frame, 0, len(frame), _LIMIT_B) == b"12345"
    frame[0] |= 0x40
    assert binary_message(frame, 0, len(frame), _LIMIT_B) is None
