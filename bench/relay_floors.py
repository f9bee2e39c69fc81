"""Servers that do less than a relay, to see what its work costs: nothing is stored, checked or addressed.

Two connections with the same path are a pair, and each is sent what the other one says. Three ways to do that:

- `forwarding`: the asyncio server of `websockets`, one message after another.
- `sans-io`: the Sans-I/O protocol of `websockets` under an `asyncio.Protocol`, one message after another.
- `batches`: as `sans-io`; a message is a MessagePack array, its parts are decoded, passed on one by one, and those of
  one turn of the event loop leave as one message in one write. That is a relay's way, without the relay.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable
from typing import cast

import msgspec
from websockets.asyncio.server import ServerConnection, serve
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

_waiting: dict[str, _Bare] = {}
_decode: Callable[[bytes], list[bytes]] = msgspec.msgpack.Decoder(list[bytes]).decode
_encode = msgspec.msgpack.Encoder().encode


class _Bare(asyncio.Protocol):
    """One connection; passes messages on as they are."""

    def __init__(self) -> None:
        self.websocket = ServerProtocol(max_size=1 << 20)
        self.peer: _Bare | None = None
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self.websocket.receive_data(data)
        for event in self.websocket.events_received():
            if isinstance(event, Request):
                self.websocket.send_response(self.websocket.accept(event))
                other = _waiting.pop(event.path, None)
                if other is None:
                    _waiting[event.path] = self
                else:
                    self.peer, other.peer = other, self
            elif isinstance(event, Frame) and event.opcode is Opcode.BINARY and self.peer is not None:
                self.take(bytes(event.data), self.peer)
        self.write_out()

    def take(self, message: bytes, peer: _Bare) -> None:
        """Pass a message on."""
        peer.websocket.send_binary(message)
        peer.write_out()

    def write_out(self) -> None:
        """Write what the protocol has to say."""
        data = b"".join(self.websocket.data_to_send())
        if data:
            self.transport.write(data)
        if self.websocket.close_expected():
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.peer = None


class _Batches(_Bare):
    """Passes the parts of messages on, those of one turn together."""

    def __init__(self) -> None:
        super().__init__()
        self.outbox: list[bytes] = []

    def take(self, message: bytes, peer: _Bare) -> None:
        assert isinstance(peer, _Batches)
        for part in _decode(message):
            peer.say(part)

    def say(self, part: bytes) -> None:
        """Send a part with this turn's message."""
        if not self.outbox:
            asyncio.get_running_loop().call_soon(self.flush)
        self.outbox.append(part)

    def flush(self) -> None:
        """Send what was said in this turn."""
        if self.websocket.state is State.OPEN:
            self.websocket.send_binary(_encode(self.outbox))
            self.write_out()
        self.outbox.clear()


async def _serve_sans_io(protocol: type[_Bare]) -> None:
    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


async def _serve_forwarding() -> None:
    waiting: dict[str, ServerConnection] = {}
    peers: dict[ServerConnection, ServerConnection] = {}

    async def handle(connection: ServerConnection) -> None:
        assert connection.request is not None
        other = waiting.pop(connection.request.path, None)
        if other is None:
            waiting[connection.request.path] = connection
        else:
            peers[connection], peers[other] = other, connection
        async for message in connection:
            await peers[connection].send(message)

    async with serve(handle, "127.0.0.1", 0, compression=None) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.to_thread(sys.stdin.read)


def main() -> None:
    """Run one of the servers."""
    import uvloop

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("kind", choices=["forwarding", "sans-io", "batches"])
    kind = parser.parse_args().kind
    if kind == "forwarding":
        uvloop.run(_serve_forwarding())
    else:
        uvloop.run(_serve_sans_io(_Bare if kind == "sans-io" else _Batches))


if __name__ == "__main__":
    main()
