"""Bytes from a socket into the relay's connection: handshake, framing, and whatever breaks their rules.

Fed whole and fed in pieces, the session must hear the same messages, the relay must not fail inside, and what a
connection may keep in memory is bounded.
"""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Iterator
from typing import Final

from tests.fuzz.decoders import Target
from zap2.server.transport import Patience, Session, WebSocketConnection
from zap2.wire.fields import MAX_MESSAGE_SIZE_B, SUBPROTOCOL

HANDSHAKE: Final = (
    "GET / HTTP/1.1\r\nHost: relay\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    f"Sec-WebSocket-Key: {base64.b64encode(bytes(16)).decode()}\r\nSec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n"
).encode()


class _Heard:
    """Remembers the messages of one connection."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []

    def message_received(self, message: bytes) -> Iterator[float]:
        assert 0 <= len(message) <= MAX_MESSAGE_SIZE_B
        self.messages.append(message)
        return iter(())

    def writable(self) -> None:
        """Nothing waits to be sent."""

    def closed(self) -> None:
        """Nothing is kept for afterwards."""


class _Wire(asyncio.Transport):
    """A socket whose other end reads everything and says nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.is_over = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """There is no buffer."""

    def is_closing(self) -> bool:
        return self.is_over

    def can_write_eof(self) -> bool:
        return False

    def abort(self) -> None:
        self.is_over = True

    def close(self) -> None:
        self.is_over = True


def feed(segments: list[bytes]) -> tuple[list[bytes], bytes]:
    """Let a new connection hear some segments and the end; gives the messages and what the relay wrote."""
    log = logging.getLogger("zap2.relay")
    log.addHandler(_no_failures)
    try:
        return _loop.run_until_complete(_feed(segments))
    finally:
        log.removeHandler(_no_failures)


async def _feed(segments: list[bytes]) -> tuple[list[bytes], bytes]:
    heard, wire = _Heard(), _Wire()

    def open_session(_: WebSocketConnection) -> Session:
        return heard

    connection = WebSocketConnection(lambda _: True, open_session, lambda _: None, Patience())
    connection.connection_made(wire)
    for segment in segments:
        if not wire.is_over:
            connection.data_received(segment)
    if not wire.is_over:
        connection.eof_received()
    connection.connection_lost(None)
    return heard.messages, bytes(wire.written)


class _NoFailures(logging.Handler):
    """The relay logs what fails inside it and goes on: here that is a fault."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1] is not None:
            raise record.exc_info[1]


_loop = asyncio.new_event_loop()
_no_failures = _NoFailures(logging.ERROR)


def _check_frames(data: bytes) -> None:
    """After a handshake: whole, in pieces, and byte by byte."""
    whole, _ = feed([HANDSHAKE, data])
    step = 1 if len(data) < 200 else 1 + len(data) // 7
    pieces, _ = feed([HANDSHAKE, *(data[at : at + step] for at in range(0, len(data), step))])
    assert pieces == whole
    # What breaks the rules in the same segment as the handshake undoes it; nothing else may be heard.
    together, _ = feed([HANDSHAKE + data])
    assert whole[: len(together)] == together


def _check_handshake(data: bytes) -> None:
    """From the first byte on; without a handshake nothing is heard."""
    messages, written = feed([data])
    if messages:
        assert written.startswith(b"HTTP/1.1 101 ")


def _frame_seeds() -> list[bytes]:
    one = b"\x82\x83\x01\x02\x03\x04abc"
    return [
        one,
        one * 3,
        b"\x82\xfe\x00\x7e" + bytes(4 + 126),
        b"\x82\xff" + (1 << 40).to_bytes(8, "big") + bytes(4),
        b"\x82\xff" + (65536).to_bytes(8, "big") + bytes(4 + 65536),
        b"\x02\x81\x00\x00\x00\x00a\x89\x81\x00\x00\x00\x00?\x80\x81\x00\x00\x00\x00b",
        b"\x81\x81\x00\x00\x00\x00t",
        b"\x88\x82\x00\x00\x00\x00\x03\xe8" + one,
        b"\x88\x85\x00\x00\x00\x00\x03\xe8\xff\xfe\xfd",
        b"\x82\x03abc",
        b"\xc2\x81\x00\x00\x00\x00a",
        b"\x80\x80\x00\x00\x00\x00",
        b"\x02\x80\x00\x00\x00\x00" * 70,
        b"\x82\x80\x00\x00\x00\x00",
    ]


def _handshake_seeds() -> list[bytes]:
    return [
        HANDSHAKE,
        HANDSHAKE + b"\x82\x83\x01\x02\x03\x04abc",
        HANDSHAKE.replace(b"13\r\n", b"8\r\n"),
        HANDSHAKE.replace(SUBPROTOCOL.encode(), b"other"),
        HANDSHAKE.replace(b"Upgrade: websocket", b"Upgrade: h2c"),
        b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 300 + b"\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ]


RELAY_FEED: dict[str, Target] = {
    "frames into the relay": Target(_frame_seeds, _check_frames),
    "handshake with the relay": Target(_handshake_seeds, _check_handshake),
}
