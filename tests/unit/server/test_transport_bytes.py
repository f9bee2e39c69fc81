"""However a client's bytes are cut into segments, the relay hears the same messages."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator

import pytest
from websockets.frames import Frame, Opcode

from zap2.server.transport import Patience, Session, WebSocketConnection
from zap2.server.turns import Turns
from zap2.wire.fields import MAX_MESSAGE_SIZE_B, SUBPROTOCOL, CloseCode

_HANDSHAKE = (
    "GET / HTTP/1.1\r\nHost: relay\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    f"Sec-WebSocket-Key: {base64.b64encode(bytes(16)).decode()}\r\nSec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n"
).encode()
_MESSAGES = [b"1", b"2" * 125, b"3" * 126, b"4" * 70_000, b"5" * MAX_MESSAGE_SIZE_B, b"6"]


class _Recorder:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []

    def message_received(self, message: bytes) -> Iterator[float]:
        self.messages.append(message)
        return iter(())

    def writable(self) -> None:
        pass

    def closed(self) -> None:
        pass


class _Wire(asyncio.Transport):
    """A socket of which only what is written matters."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_over = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def is_closing(self) -> bool:
        return self.is_over

    def pause_reading(self) -> None:
        """All that is to come has come."""

    def resume_reading(self) -> None:
        """All that is to come has come."""

    def can_write_eof(self) -> bool:
        return False

    def abort(self) -> None:
        self.is_over = True

    def close(self) -> None:
        self.is_over = True


def _frame(data: bytes, opcode: Opcode = Opcode.BINARY, fin: bool = True) -> bytes:
    return Frame(opcode, data, fin=fin).serialize(mask=True)


def _hear(segments: list[bytes]) -> tuple[_Recorder, _Wire]:
    recorder, wire = _Recorder(), _Wire()

    def open_session(_: WebSocketConnection) -> Session:
        return recorder

    connection = WebSocketConnection(lambda _: True, open_session, lambda _: None, Patience())
    connection.connection_made(wire)
    for segment in segments:
        connection.data_received(segment)
    return recorder, wire


def _cut(data: bytes, size_b: int) -> list[bytes]:
    return [data[at : at + size_b] for at in range(0, len(data), size_b)]


@pytest.mark.parametrize("size_b", [1, 2, 3, 7, 1_000, 65_536, 10_000_000])
async def test_messages_arrive_whole_however_they_are_cut(size_b: int) -> None:
    messages = [message for message in _MESSAGES if size_b > 100 or len(message) < 1_000]
    recorder, _ = _hear([_HANDSHAKE, *_cut(b"".join(map(_frame, messages)), size_b)])
    assert recorder.messages == messages


@pytest.mark.parametrize("size_b", [1, 5, 10_000_000])
async def test_also_when_the_first_ones_come_with_the_handshake(size_b: int) -> None:
    frames = b"".join(map(_frame, _MESSAGES[:3]))
    recorder, _ = _hear(_cut(_HANDSHAKE + frames, size_b))
    assert recorder.messages == _MESSAGES[:3]


@pytest.mark.parametrize("size_b", [1, 4, 10_000_000])
async def test_pings_and_fragments_in_between_keep_their_place(size_b: int) -> None:
    data = (
        _frame(b"one")
        + _frame(b"tw", fin=False)
        + _frame(b"?", Opcode.PING)
        + _frame(b"o", Opcode.CONT)
        + _frame(b"three")
    )
    recorder, wire = _hear([_HANDSHAKE, *_cut(data, size_b)])
    assert recorder.messages == [b"one", b"two", b"three"]
    assert wire.written.endswith(Frame(Opcode.PONG, b"?").serialize(mask=False))


@pytest.mark.parametrize(
    "bad",
    [
        Frame(Opcode.BINARY, b"not masked").serialize(mask=False),
        _frame(b"begun", fin=False) + _frame(b"and not ended"),
        bytes([_frame(b"reserved")[0] | 0x40]) + _frame(b"reserved")[1:],
        b"\x83\x80mask",
    ],
    ids=["not masked", "fragments", "reserved bit", "unknown opcode"],
)
async def test_what_breaks_the_rules_is_not_heard_and_ends_the_connection(bad: bytes) -> None:
    recorder, wire = _hear([_HANDSHAKE, _frame(b"good") + bad + _frame(b"too late")])
    assert recorder.messages == [b"good"]
    assert int(CloseCode.PROTOCOL_ERROR).to_bytes(2, "big") in wire.written


async def test_a_size_beyond_all_bounds_is_refused_before_it_is_sent() -> None:
    """Otherwise a client could make the relay wait for, and keep, as much as it announces."""
    recorder, wire = _hear([_HANDSHAKE, b"\x82\xff" + (1 << 40).to_bytes(8, "big") + b"mask"])
    assert recorder.messages == []
    assert int(CloseCode.MESSAGE_TOO_BIG).to_bytes(2, "big") in wire.written


async def test_what_the_relay_has_yet_to_handle_is_not_the_peers_silence() -> None:
    recorder, wire = _Recorder(), _Wire()
    connection = WebSocketConnection(
        lambda _: True, lambda _: recorder, lambda _: None, Patience(silent_s=60), turns=Turns()
    )
    connection.connection_made(wire)
    now = asyncio.get_running_loop().time()
    connection.data_received(_HANDSHAKE)
    for _ in range(10):
        await asyncio.sleep(0)
    connection.data_received(_frame(bytes(1_000)) * 200)
    connection.tick(now + 61)
    connection.tick(now + 122)
    assert not wire.is_over
    for _ in range(10_000):
        await asyncio.sleep(0)
        if len(recorder.messages) == 200:
            break
    assert int(CloseCode.SILENT).to_bytes(2, "big") not in wire.written
    connection.tick(now + 150)  # asks
    connection.tick(now + 183)
    assert int(CloseCode.SILENT).to_bytes(2, "big") in wire.written
