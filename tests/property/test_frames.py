"""Any bytes into the frame decoders give frames or a documented error; what is encoded comes back."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zap2.errors import Malformed, TooLarge
from zap2.wire import frames as f
from zap2.wire.codec import decode_client_message, decode_relay_message, encode_message, pack_messages
from zap2.wire.fields import MAX_FRAMES, MAX_MESSAGE_SIZE_B, PAYLOAD_SIZES_B

_rids = st.integers(1, 2**32 - 1)
_u32 = st.integers(0, 2**32 - 1)
_u63 = st.integers(0, 2**63 - 1)
_b16 = st.binary(min_size=16, max_size=16)
_b32 = st.binary(min_size=32, max_size=32)
_b64 = st.binary(min_size=64, max_size=64)
_documents = st.binary(min_size=65, max_size=65)
_numbers = st.text(min_size=1, max_size=64)
_pins = st.text(min_size=4, max_size=64)
_payloads = st.sampled_from(sorted(PAYLOAD_SIZES_B)).map(bytes)
_sets = st.binary(min_size=1, max_size=64)

client_frames = st.one_of(
    st.builds(f.ClientHello, _b32),
    st.builds(f.Authenticate, _rids, _documents, _rids, _b64),
    st.builds(f.Resume, _rids, _b32),
    st.builds(f.RenewToken, _rids),
    st.builds(f.RevokeTokens, _rids),
    st.builds(f.StartVerification, _rids, _numbers, st.none() | _numbers),
    st.builds(f.CheckCode, _rids, _numbers, st.text(min_size=1, max_size=16)),
    st.builds(
        f.Register, _rids, _b32, _documents, _b64, _rids, _b64, st.none() | _numbers, st.none() | _pins
    ),
    st.builds(f.SetPin, _rids, st.none() | _pins),
    st.builds(f.SetListed, _rids, st.booleans()),
    st.builds(f.SetDeliveryToken, _rids, st.none() | _b32),
    st.builds(f.SendSealed, _rids, _b32, _b16, _b32, _rids, st.integers(1, 2_592_000), _payloads),
    st.builds(f.Publish, _rids, st.none() | _sets, st.lists(_sets, max_size=3).map(tuple), _u32),
    st.builds(f.Fetch, _rids, _b32, _rids, st.booleans()),
    st.builds(f.Lookup, _rids, _numbers),
    st.builds(f.Send, _rids, _b16, _b32, _rids, st.integers(1, 2_592_000), _payloads),
    st.builds(f.Ack, st.lists(_u63, min_size=1, max_size=256).map(tuple)),
)
relay_frames = st.one_of(
    st.builds(f.LoggedIn, _rids, _b32, _u32, _u32, _u32, st.integers(-1, 2**32 - 1), _u63, st.none() | _b32),
    st.builds(f.VerificationStarted, _rids, _numbers, st.just("log"), _u32, _u32, st.none() | _b32),
    st.builds(f.Bundle, _rids, _documents, _b64, _sets, st.none() | _sets),
    st.builds(f.Sent, _rids, st.sampled_from(["direct", "stored"]), _u63),
    st.builds(f.Deliver, _u63, _b16, _u63, _payloads),
    st.builds(f.Draining, st.floats(0, 86400)),
    st.builds(f.Error, _rids, st.just("internal"), st.text(max_size=500), st.none() | st.floats(0, 1000)),
)
_msgpack_values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=20)
    | st.binary(max_size=80),
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=30,
)


def _decode_all(message: bytes) -> None:
    for decode in (decode_client_message, decode_relay_message):
        try:
            frames = decode(message)
        except (Malformed, TooLarge):
            continue
        assert 1 <= len(frames) <= MAX_FRAMES


@given(st.binary(max_size=2000))
def test_any_bytes_give_frames_or_a_documented_error(message: bytes) -> None:
    _decode_all(message)


@given(_msgpack_values)
def test_any_messagepack_gives_frames_or_a_documented_error(value: Any) -> None:
    _decode_all(msgspec.msgpack.encode(value))


@given(st.lists(client_frames, min_size=1, max_size=5), st.data())
def test_a_damaged_message_gives_frames_or_a_documented_error(
    frames: list[f.Frame], data: st.DataObject
) -> None:
    message = bytearray(encode_message(frames))
    for _ in range(data.draw(st.integers(1, 4))):
        message[data.draw(st.integers(0, len(message) - 1))] = data.draw(st.integers(0, 255))
    _decode_all(bytes(message))
    _decode_all(bytes(message[: data.draw(st.integers(0, len(message)))]))


@given(st.lists(client_frames, min_size=1, max_size=MAX_FRAMES // 16))
def test_frames_of_a_client_come_back(frames: list[f.Frame]) -> None:
    assert decode_client_message(encode_message(frames)) == frames


@given(st.lists(relay_frames, min_size=1, max_size=MAX_FRAMES // 16))
def test_frames_of_a_relay_come_back(frames: list[f.Frame]) -> None:
    assert decode_relay_message(encode_message(frames)) == frames


@given(st.lists(relay_frames, max_size=200))
def test_packing_keeps_order_and_bounds(frames: list[f.Frame]) -> None:
    messages = pack_messages(frames)
    assert [frame for message in messages for frame in decode_relay_message(message)] == frames
    assert all(len(message) <= MAX_MESSAGE_SIZE_B for message in messages)


def test_large_frames_are_packed_into_messages_within_the_size() -> None:
    frames = [f.Deliver(seq, bytes(16), 0, bytes(65536)) for seq in range(64)]
    messages = pack_messages(frames)
    assert max(map(len, messages)) <= MAX_MESSAGE_SIZE_B
    assert [frame for message in messages for frame in decode_relay_message(message)] == frames


def test_the_largest_frame_fits_one_message() -> None:
    publish = f.Publish(1, bytes(4096), (bytes(2048),) * 100)
    assert decode_client_message(encode_message([publish])) == [publish]


@pytest.mark.parametrize(
    "value",
    [
        [],
        [[13, [1]]] * 65,
        [[1, bytes(31)]],
        [[1, bytes(32), 0]],  # a field too many
        [[1]],  # a field too few
        [[12, 1, bytes(16), bytes(32), 1, 60, bytes(1000)]],  # not a size of the set
        [[12, 0, bytes(16), bytes(32), 1, 60, bytes(1024)]],  # rid 0
        [[12, 1, bytes(16), bytes(32), 0, 60, bytes(1024)]],  # device 0
        [[12, 1, bytes(16), bytes(32), 1, 0, bytes(1024)]],  # expired at once
        [[17, 1, bytes(32), bytes(16), bytes(32), 1, 60, bytes(1000)]],  # not a size of the set
        [[17, 1, bytes(31), bytes(16), bytes(32), 1, 60, bytes(1024)]],  # half a token
        [[17, 1, bytes(32), bytes(16), bytes(32), 1, 2_592_001, bytes(1024)]],  # kept for too long
        [[16, 1, bytes(33)]],
        [[9, 1, None, [], -1]],
        [[13, []]],
        [[13, [-1]]],
        [[13, list(range(257))]],
        [[9, 1, None, [bytes(1)] * 101]],
        [[64, bytes(32), bytes(32), "open", "log", bytes(64)]],  # a relay's frame from a client
        [[99]],
    ],
)
def test_what_is_out_of_bounds_is_malformed(value: Any) -> None:
    with pytest.raises(Malformed):
        decode_client_message(msgspec.msgpack.encode(value))


@pytest.mark.parametrize("seconds", [math.nan, math.inf, -1.0, 1e9])
def test_an_impossible_wait_is_malformed(seconds: float) -> None:
    with pytest.raises(Malformed):
        decode_relay_message(msgspec.msgpack.encode([[78, 1, "rate-limited", "", seconds]]))


def test_an_oversized_message_is_told_apart() -> None:
    with pytest.raises(TooLarge):
        decode_client_message(bytes(MAX_MESSAGE_SIZE_B + 1))
    with pytest.raises(TooLarge):
        encode_message([])


def test_text_that_is_not_utf8_is_malformed() -> None:
    with pytest.raises(Malformed):
        decode_client_message(b"\x91\x93\x0b\x01\xa2\xff\xfe")


def test_a_frame_never_shows_what_it_carries() -> None:
    """Reprs end up in logs and tracebacks: they hold numbers and nothing that a person or a secret is in."""
    for frame in (
        f.CheckCode(7, "+4915123456789", "123456"),
        f.Resume(7, b"s" * 32),
        f.Register(7, b"s" * 32, bytes(65), bytes(64), 1, bytes(64), "invite-ssss", "123456"),
        f.StartVerification(7, "+4915123456789", "invite-ssss"),
        f.SetPin(7, "123456"),
        f.VerificationStarted(7, "+4915123456789", "log", 600, 30, b"s" * 32),
        f.Send(7, b"s" * 16, b"s" * 32, 1, 60, b"s" * 512),
        f.SendSealed(7, b"s" * 32, b"s" * 16, b"s" * 32, 1, 60, b"s" * 512),
        f.SetDeliveryToken(7, b"s" * 32),
        f.LoggedIn(7, b"s" * 32, 900, 0, 0, -1, 0, b"s" * 32),
    ):
        shown = repr(frame)
        assert shown.startswith(f"{type(frame).__name__}(rid=7")
        assert "ssss" not in shown
        assert "4915" not in shown
        assert "123456" not in shown
