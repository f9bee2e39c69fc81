"""Opening a WebSocket: TLS is checked, nobody is followed, and who is no relay is told from one that is away."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from websockets.asyncio.server import serve

from tests.kit.certificates import Authority
from tests.kit.scripted_relay import Peer, scripted_relay
from zap2.address import RelayAddress
from zap2.client.relay.dialing import Patience, drop, open_websocket
from zap2.errors import ProtocolViolation, Unreachable, UsageError

_PATIENCE = Patience(connect_s=5.0)


@asynccontextmanager
async def _server(answer: bytes | None, reads_until: bytes = b"\r\n\r\n") -> AsyncIterator[RelayAddress]:
    """A TCP server that answers anything with the same bytes and closes; with None it says nothing and waits."""
    is_over = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if answer is None:
            await is_over.wait()
        elif answer:
            await reader.readuntil(reads_until)
            writer.write(answer)
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        yield RelayAddress("127.0.0.1", server.sockets[0].getsockname()[1], is_encrypted=False)
        is_over.set()


async def _hold(peer: Peer) -> None:
    await peer.hold()


async def test_a_port_where_nobody_listens_is_unreachable() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = RelayAddress("127.0.0.1", free.getsockname()[1], is_encrypted=False)
        with pytest.raises(Unreachable, match="Nobody listens at"):
            await open_websocket(address, _PATIENCE)


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", ProtocolViolation, "HTTP status 404"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ProtocolViolation, "HTTP status 200"),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", Unreachable, "no more connections"),
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n", Unreachable, "does not reach its relay"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", ProtocolViolation, "is not a Zap2 relay"),
        (b"", Unreachable, "closed before the relay answered"),
    ],
)
async def test_what_is_no_relay_is_told_from_one_that_is_away(
    answer: bytes, kind: type[Exception], words: str
) -> None:
    async with _server(answer) as address:
        with pytest.raises(kind, match=words):
            await open_websocket(address, _PATIENCE)


async def test_silence_ends_at_the_time_out() -> None:
    async with _server(None) as address:
        with pytest.raises(Unreachable, match="did not answer in time"):
            await open_websocket(address, Patience(connect_s=0.1))


async def test_a_redirect_is_not_followed() -> None:
    async with scripted_relay(_hold) as elsewhere:
        location = elsewhere.unpinned.url.encode()
        answer = b"HTTP/1.1 302 Found\r\nLocation: " + location + b"\r\nContent-Length: 0\r\n\r\n"
        async with _server(answer) as address:
            with pytest.raises(ProtocolViolation, match="HTTP status 302"):
                await open_websocket(address, _PATIENCE)
        assert not elsewhere.peers


async def test_a_websocket_server_without_the_subprotocol_is_no_relay() -> None:
    async with serve(lambda websocket: websocket.wait_closed(), "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        with pytest.raises(ProtocolViolation, match="does not speak this version"):
            await open_websocket(RelayAddress("127.0.0.1", port, is_encrypted=False), _PATIENCE)


async def test_encryption_works_with_a_known_authority_and_ignores_proxies_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    authority = Authority(tmp_path)
    async with scripted_relay(_hold, tls=authority.serve_as("localhost")) as relay:
        websocket = await open_websocket(relay.address, _PATIENCE, authority.file)
        assert websocket.request is not None
        assert "User-Agent" not in websocket.request.headers
        assert "Sec-WebSocket-Extensions" not in websocket.request.headers
        await drop(websocket)


@pytest.mark.parametrize(
    ("name", "days", "is_known", "words"),
    [
        ("localhost", 1, False, "nobody whom this machine knows"),
        ("elsewhere.example", 1, True, "is for another name"),
        ("localhost", -1, True, "has expired"),
    ],
)
async def test_a_wrong_certificate_is_refused_with_the_reason(
    tmp_path: Path, name: str, days: int, is_known: bool, words: str
) -> None:
    authority = Authority(tmp_path)
    async with scripted_relay(_hold, tls=authority.serve_as(name, days=days)) as relay:
        with pytest.raises(Unreachable, match=words):
            await open_websocket(relay.address, _PATIENCE, authority.file if is_known else None)
        assert not relay.peers


async def test_an_encrypted_address_of_a_relay_without_encryption_says_so() -> None:
    async with _server(b"HTTP/1.1 400 Bad Request\r\n\r\n", reads_until=b"\x16\x03\x01") as address:
        encrypted = RelayAddress("127.0.0.1", address.port)
        with pytest.raises(Unreachable, match="no encrypted connection"):
            await open_websocket(encrypted, _PATIENCE)


async def test_an_unreadable_file_of_certificates_is_the_users_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        await open_websocket(RelayAddress("localhost", 1), _PATIENCE, tmp_path / "absent.pem")
