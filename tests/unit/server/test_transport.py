"""The relay's own WebSocket layer, against the ordinary client of `websockets` and against raw sockets."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin, Subprotocol

from zap2.server.transport import Patience, WebSocketConnection
from zap2.wire.codec import decode_relay_message
from zap2.wire.fields import MAX_MESSAGE_SIZE_B, SUBPROTOCOL, CloseCode
from zap2.wire.frames import Deliver, StockLow

_ZAP2 = Subprotocol(SUBPROTOCOL)


@dataclass
class _Recorder:
    """A session that remembers what it was told, and answers by `on_message`."""

    connection: WebSocketConnection
    messages: list[bytes] = field(default_factory=list)
    is_closed: bool = False
    was_writable_again: bool = False
    on_message: Callable[[_Recorder, bytes], None] = lambda recorder, message: None

    def message_received(self, message: bytes) -> Iterator[float]:
        self.messages.append(message)
        self.on_message(self, message)
        return iter(())

    def writable(self) -> None:
        self.was_writable_again = True

    def closed(self) -> None:
        self.is_closed = True


@dataclass
class _Host:
    port: int
    sessions: list[_Recorder]
    connections: set[WebSocketConnection]

    @property
    def uri(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    def tick(self, ahead_s: float = 0.0) -> None:
        for connection in list(self.connections):
            connection.tick(asyncio.get_running_loop().time() + ahead_s)


@asynccontextmanager
async def _host(
    on_message: Callable[[_Recorder, bytes], None] = lambda recorder, message: None,
    patience: Patience | None = None,
    admit: Callable[[WebSocketConnection], bool] = lambda connection: True,
    trust_forwarded: bool = False,
) -> AsyncIterator[_Host]:
    sessions: list[_Recorder] = []
    connections: set[WebSocketConnection] = set()

    def open_session(connection: WebSocketConnection) -> _Recorder:
        sessions.append(_Recorder(connection, on_message=on_message))
        return sessions[-1]

    def make() -> WebSocketConnection:
        connection = WebSocketConnection(
            admit, open_session, connections.discard, patience or Patience(), trust_forwarded
        )
        connections.add(connection)
        return connection

    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0)
    try:
        yield _Host(server.sockets[0].getsockname()[1], sessions, connections)
    finally:
        server.close()
        for connection in list(connections):
            connection.abort()
        await _until(lambda: not connections)


async def _until(condition: Callable[[], bool]) -> None:
    for _ in range(2_000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise TimeoutError("the condition never came true")


def _connect(host: _Host) -> connect:
    return connect(host.uri, subprotocols=[_ZAP2], compression=None, max_size=None)


async def _close_code(client: ClientConnection) -> int | None:
    async with asyncio.timeout(10):
        await client.wait_closed()
    return client.close_code


async def test_messages_go_both_ways() -> None:
    def answer(session: _Recorder, message: bytes) -> None:
        session.connection.send(StockLow(len(message)))

    async with _host(answer) as host, _connect(host) as client:
        assert client.subprotocol == SUBPROTOCOL
        await client.send(b"12345")
        message = await client.recv()
        assert isinstance(message, bytes)
        assert decode_relay_message(message) == [StockLow(5)]


async def test_frames_of_one_turn_share_a_message() -> None:
    """Several frames in one WebSocket message are worth a factor of two in processor time."""

    def answer(session: _Recorder, message: bytes) -> None:
        for stock in range(10):
            session.connection.send(StockLow(stock))

    async with _host(answer) as host, _connect(host) as client:
        await client.send(b"?")
        message = await client.recv()
        assert isinstance(message, bytes)
        assert len(decode_relay_message(message)) == 10


@pytest.mark.parametrize("subprotocols", [None, [Subprotocol("zap2.v0")]])
async def test_without_the_subprotocol_the_handshake_fails(subprotocols: list[Subprotocol] | None) -> None:
    async with _host() as host:
        with pytest.raises(InvalidStatus) as caught:
            await connect(host.uri, subprotocols=subprotocols)
        assert caught.value.response.status_code == 400
        await _until(lambda: not host.connections)


async def test_a_browser_is_refused() -> None:
    """A page in somebody's browser could otherwise talk to a relay on their loopback."""
    async with _host() as host:
        with pytest.raises(InvalidStatus) as caught:
            await connect(host.uri, subprotocols=[_ZAP2], origin=Origin("https://example.org"))
        assert caught.value.response.status_code == 403


async def test_compression_is_declined() -> None:
    async with _host() as host, connect(host.uri, subprotocols=[_ZAP2], compression="deflate") as client:
        assert client.protocol.extensions == []


async def test_a_fragmented_message_arrives_whole() -> None:
    async with _host() as host, _connect(host) as client:
        await client.send([b"ab", b"", b"cd"])
        await _until(lambda: bool(host.sessions[0].messages))
        assert host.sessions[0].messages == [b"abcd"]


async def test_endless_fragments_are_cut() -> None:
    """Fragments without content stay below every size limit, so their number is bounded too."""
    async with _host() as host, _connect(host) as client:
        with contextlib.suppress(ConnectionClosed):
            await client.send([b""] * 1000)
        assert await _close_code(client) == CloseCode.POLICY
        assert host.sessions[0].messages == []


async def test_a_message_beyond_the_size_is_cut() -> None:
    async with _host() as host, _connect(host) as client:
        await client.send(bytes(MAX_MESSAGE_SIZE_B))
        await _until(lambda: len(host.sessions[0].messages) == 1)
        with contextlib.suppress(ConnectionClosed):
            await client.send(bytes(MAX_MESSAGE_SIZE_B + 1))
        assert await _close_code(client) == CloseCode.MESSAGE_TOO_BIG
        assert len(host.sessions[0].messages) == 1


async def test_fragments_beyond_the_size_are_cut() -> None:
    async with _host() as host, _connect(host) as client:
        with contextlib.suppress(ConnectionClosed):
            await client.send([bytes(100_000)] * 3)
        assert await _close_code(client) == CloseCode.MESSAGE_TOO_BIG


async def test_text_is_refused() -> None:
    async with _host() as host, _connect(host) as client:
        await client.send("hello")
        assert await _close_code(client) == CloseCode.UNSUPPORTED


async def test_the_client_may_close() -> None:
    async with _host() as host:
        async with _connect(host) as client:
            await client.send(b"last words")
        assert client.close_code == CloseCode.NORMAL
        await _until(lambda: not host.connections)
        assert host.sessions[0].messages == [b"last words"]
        assert host.sessions[0].is_closed


async def test_what_was_said_before_closing_arrives() -> None:
    def answer(session: _Recorder, message: bytes) -> None:
        session.connection.send(StockLow(7))
        session.connection.close(CloseCode.GOING_AWAY, "bye")
        session.connection.send(StockLow(8))

    async with _host(answer) as host, _connect(host) as client:
        await client.send(b"?")
        message = await client.recv()
        assert isinstance(message, bytes)
        assert decode_relay_message(message) == [StockLow(7)]
        assert await _close_code(client) == CloseCode.GOING_AWAY
        assert client.close_reason == "bye"
        await _until(lambda: not host.connections)


async def test_nothing_is_heard_after_closing() -> None:
    def answer(session: _Recorder, message: bytes) -> None:
        session.connection.close(CloseCode.POLICY)

    async with _host(answer) as host, _connect(host) as client:
        writer = client.transport
        frame = b"\x82\x81\0\0\0\0x"
        writer.write(frame * 3)
        assert await _close_code(client) == CloseCode.POLICY
        assert host.sessions[0].messages == [b"x"]


async def test_a_failing_session_costs_its_connection_only(caplog: pytest.LogCaptureFixture) -> None:
    def fail(session: _Recorder, message: bytes) -> None:
        if message == b"fail":
            raise RuntimeError("a fault")

    async with _host(fail) as host, _connect(host) as one, _connect(host) as two:
        await one.send(b"fail")
        assert await _close_code(one) == CloseCode.INTERNAL
        await two.send(b"fine")
        await _until(lambda: host.sessions[1].messages == [b"fine"])
    assert "a connection failed inside the relay" in caplog.text


async def test_pings_are_answered_and_a_silent_peer_is_pinged_then_cut() -> None:
    patience = Patience(ping_after_s=10, silent_s=20)
    async with _host(patience=patience) as host, _connect(host) as client:
        await (await client.ping())
        host.tick(ahead_s=15)  # asks; the client's pong is a sign of life
        await asyncio.sleep(0.05)
        assert len(host.connections) == 1
        host.tick(ahead_s=25)
        assert await _close_code(client) == CloseCode.SILENT


async def test_a_flood_of_control_frames_is_cut() -> None:
    async with _host() as host, _connect(host) as client:
        for number in range(1_500):
            if number == 900:
                await (await client.ping())  # All of them were handled.
                host.tick()
            client.transport.write(b"\x8a\x80" + bytes(4))
        await (await client.ping())  # 900 between two ticks are borne, and so are 600 after them.
        for _ in range(1_000):
            client.transport.write(b"\x8a\x80" + bytes(4))
        assert await _close_code(client) == CloseCode.FLOOD


async def test_a_pong_is_a_sign_of_life() -> None:
    async with _host(patience=Patience(ping_after_s=0.01, silent_s=0.5)) as host, _connect(host) as client:
        for _ in range(80):
            await asyncio.sleep(0.01)
            host.tick()
        assert client.close_code is None
        assert len(host.connections) == 1


async def test_a_socket_that_never_shakes_hands_is_dropped() -> None:
    async with _host(patience=Patience(handshake_s=5)) as host:
        reader, writer = await asyncio.open_connection("127.0.0.1", host.port)
        writer.write(b"GET / HTTP/1.1\r\n")
        await _until(lambda: bool(host.connections))
        host.tick(ahead_s=4)
        assert len(host.connections) == 1
        host.tick(ahead_s=6)
        await _until(lambda: not host.connections)
        with pytest.raises(ConnectionError):
            await _read_all(reader)
        writer.close()
        assert host.sessions == []


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
        b"\0" * 100_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
        b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 10_000 + b"\r\n",
    ],
)
async def test_garbage_instead_of_a_handshake_ends_the_connection(garbage: bytes) -> None:
    async with _host() as host:
        reader, writer = await asyncio.open_connection("127.0.0.1", host.port)
        writer.write(garbage)
        writer.write_eof()
        try:
            answer = await _read_all(reader)
        except ConnectionError:
            answer = b""
        assert b"101" not in answer
        await _until(lambda: not host.connections)
        writer.close()
        assert host.sessions == []


async def test_a_reader_that_does_not_read_stops_being_read_and_is_cut() -> None:
    def flood(session: _Recorder, message: bytes) -> None:
        for seq in range(600):
            session.connection.send(Deliver(seq, bytes(16), 0, bytes(65536)))

    patience = Patience(slow_reader_s=10, close_s=1, write_buffer_b=64 * 1024)
    async with _host(flood, patience) as host, _connect(host) as client:
        client.transport.pause_reading()
        client.transport.write(b"\x82\x81\0\0\0\0x")
        await _until(lambda: bool(host.sessions) and not host.sessions[0].connection.is_writable)
        client.transport.write(b"\x82\x81\0\0\0\0y")
        await asyncio.sleep(0.05)
        assert host.sessions[0].messages == [b"x"]
        host.tick(ahead_s=9)
        assert not host.sessions[0].is_closed
        host.tick(ahead_s=11)
        host.tick(ahead_s=13)
        await _until(lambda: not host.connections)
        assert host.sessions[0].is_closed


async def test_a_slow_reader_that_reads_again_goes_on() -> None:
    def flood(session: _Recorder, message: bytes) -> None:
        for seq in range(300):
            session.connection.send(Deliver(seq, bytes(16), 0, bytes(65536)))

    async with _host(flood, Patience(write_buffer_b=64 * 1024)) as host, _connect(host) as client:
        client.transport.pause_reading()
        client.transport.write(b"\x82\x81\0\0\0\0x")
        await _until(lambda: bool(host.sessions) and not host.sessions[0].connection.is_writable)
        client.transport.resume_reading()
        seqs: list[int] = []
        while len(seqs) < 300:
            message = await client.recv()
            assert isinstance(message, bytes)
            seqs += [frame.seq for frame in decode_relay_message(message) if isinstance(frame, Deliver)]
        assert seqs == list(range(300))
        assert host.sessions[0].connection.is_writable
        assert host.sessions[0].was_writable_again


async def test_a_connection_that_is_not_admitted_is_dropped() -> None:
    async with _host(admit=lambda connection: False) as host:
        reader, writer = await asyncio.open_connection("127.0.0.1", host.port)
        with pytest.raises(ConnectionError):
            await _read_all(reader)
        writer.close()
        assert host.sessions == []


async def test_the_source_is_the_socket_unless_a_proxy_is_trusted() -> None:
    headers = {"X-Forwarded-For": "203.0.113.9, 198.51.100.7"}
    async with (
        _host() as host,
        connect(host.uri, subprotocols=[_ZAP2], additional_headers=headers),
    ):
        assert host.sessions[0].connection.source == "127.0.0.1"
    async with (
        _host(trust_forwarded=True) as host,
        connect(host.uri, subprotocols=[_ZAP2], additional_headers=headers),
    ):
        assert host.sessions[0].connection.source == "198.51.100.7"


async def test_a_trusted_proxys_client_can_be_refused() -> None:
    """By its source, which is known with the request only."""
    async with _host(admit=lambda connection: not connection.source, trust_forwarded=True) as host:
        with pytest.raises(InvalidStatus) as caught:
            await connect(host.uri, subprotocols=[_ZAP2])
        assert caught.value.response.status_code == 503


async def _read_all(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(10):
        data = await reader.read()
    if not data:
        raise ConnectionResetError("dropped")
    return data
