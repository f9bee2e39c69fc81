"""A relay that does what a test tells it, over real WebSockets on loopback: right, wrong, or nothing at all."""

from __future__ import annotations

import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from zap2.address import RelayAddress
from zap2.wire.codec import decode_client_message, encode_message
from zap2.wire.fields import SUBPROTOCOL
from zap2.wire.frames import Authenticate, ClientFrame, ClientHello, Greeting, LoggedIn, RelayFrame, Resume
from zap2.wire.statements import greeting_statement, relay_fingerprint

_FrameT = TypeVar("_FrameT", bound=ClientFrame)


class Peer:
    """One client at a scripted relay."""

    def __init__(self, websocket: ServerConnection, key: Ed25519PrivateKey, index: int) -> None:
        self.websocket = websocket
        self.index = index
        """How many connections came before this one."""
        self.challenge = os.urandom(32)
        self.messages: list[list[ClientFrame]] = []
        """Every WebSocket message that was read so far."""
        self._key = key
        self._unread: list[ClientFrame] = []

    async def read_any(self) -> ClientFrame:
        """Read the next frame."""
        while not self._unread:
            message = await self.websocket.recv()
            assert isinstance(message, bytes)
            frames = decode_client_message(message)
            self.messages.append(frames)
            self._unread = list(frames)
        return self._unread.pop(0)

    async def read(self, kind: type[_FrameT]) -> _FrameT:
        """Read the next frame, which must be of a kind."""
        frame = await self.read_any()
        assert isinstance(frame, kind), f"expected {kind.__name__}, got {type(frame).__name__}"
        return frame

    async def say(self, *frames: RelayFrame) -> None:
        """Send frames in one message."""
        await self.websocket.send(encode_message(frames))

    def greeting(self, hello: ClientHello, *, signer: Ed25519PrivateKey | None = None) -> Greeting:
        """Make a greeting; with another signer its signature is wrong."""
        public = self._key.public_key().public_bytes_raw()
        statement = greeting_statement(hello.nonce, self.challenge, public)
        signature = (signer or self._key).sign(statement)
        return Greeting(public, self.challenge, "open", "log", signature)

    async def greet(self) -> None:
        """Read the hello and answer it rightly."""
        await self.say(self.greeting(await self.read(ClientHello)))

    async def admit(self, token: bytes = b"t" * 32, expires_in_s: int = 900) -> Authenticate | Resume:
        """Greet and let in whoever comes; gives how they logged in."""
        await self.greet()
        login = await self.read_any()
        assert isinstance(login, Authenticate | Resume)
        await self.say(LoggedIn(login.rid, token, expires_in_s, 100, 3, 99, 0))
        return login

    async def hold(self) -> None:
        """Read and say nothing until the client goes away."""
        async for _ in self.websocket:
            pass

    async def close(self, code: int = 1000) -> None:
        """Close with a code."""
        await self.websocket.close(code)


Script = Callable[[Peer], Awaitable[None]]


class ScriptedRelay:
    """A running scripted relay; made by `scripted_relay`."""

    def __init__(self, scripts: Sequence[Script]) -> None:
        self.key = Ed25519PrivateKey.generate()
        self.peers: list[Peer] = []
        self.port = 0
        self.is_encrypted = False
        self._scripts = scripts
        self._faults: list[BaseException] = []

    @property
    def fingerprint(self) -> str:
        """Of the relay's key."""
        return relay_fingerprint(self.key.public_key().public_bytes_raw())

    @property
    def unpinned(self) -> RelayAddress:
        """The address without the key."""
        return RelayAddress("localhost" if self.is_encrypted else "127.0.0.1", self.port, self.is_encrypted)

    @property
    def address(self) -> RelayAddress:
        """The address."""
        return self.unpinned.with_fingerprint(self.fingerprint)

    async def serve_one(self, websocket: ServerConnection) -> None:
        """Run the script of one connection; the last script serves all that come after."""
        peer = Peer(websocket, self.key, len(self.peers))
        self.peers.append(peer)
        try:
            await self._scripts[min(peer.index, len(self._scripts) - 1)](peer)
        except ConnectionClosed:
            pass
        except Exception as fault:
            self._faults.append(fault)

    def check(self) -> None:
        """Fail when a script failed."""
        if self._faults:
            raise self._faults[0]


@asynccontextmanager
async def scripted_relay(*scripts: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[ScriptedRelay]:
    """Run a relay whose n-th connection follows the n-th script."""
    relay = ScriptedRelay(scripts)
    relay.is_encrypted = tls is not None
    async with serve(
        relay.serve_one,
        "127.0.0.1",
        0,
        subprotocols=[Subprotocol(SUBPROTOCOL)],
        compression=None,
        close_timeout=1,
        ssl=tls,
    ) as server:
        relay.port = next(iter(server.sockets)).getsockname()[1]
        yield relay
    relay.check()
