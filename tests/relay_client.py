"""A client of the relay at the level of frames, over the ordinary WebSocket client: for tests and benchmarks.

It does what docs/protocol-relay.md says and nothing else, so it shows that the document suffices.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from zap2.crypto.identity import IdentityKeys
from zap2.wire import frames as f
from zap2.wire.codec import decode_relay_message, encode_message
from zap2.wire.fields import SUBPROTOCOL
from zap2.wire.statements import delivery_token_hash, greeting_statement, login_statement, register_statement

_A = TypeVar("_A")
NUMBERS = tuple(f"+49151{23456000 + n}" for n in range(1_000))
"""Valid numbers of a country's mobile range."""


@dataclass
class Person:
    """An identity and what it has at a relay."""

    keys: IdentityKeys = field(default_factory=lambda: IdentityKeys.generate(os.urandom))
    token: bytes = field(default=b"", repr=False)
    device: int = 1

    @property
    def uid(self) -> bytes:
        return bytes(self.keys.uid)


class FrameClient:
    """One connection, greeted. Frames that nobody asked for wait in `pushed`, deliveries in `mail`."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._rid = 0
        self._open: dict[int, asyncio.Future[f.Answer]] = {}
        self._reader: asyncio.Task[None] | None = None
        self.greeting: f.Greeting
        self.mail: asyncio.Queue[f.Deliver] = asyncio.Queue()
        self.pushed: asyncio.Queue[f.RelayFrame] = asyncio.Queue()

    async def greet(self) -> None:
        """Take the greeting, then listen in a task of its own."""
        await self.greet_only()
        self._reader = asyncio.get_running_loop().create_task(self._read())

    async def greet_only(self) -> None:
        """Take the greeting and check it; what comes after it is the caller's."""
        nonce = os.urandom(32)
        await self.send(f.ClientHello(nonce))
        message = await self._socket.recv()
        assert isinstance(message, bytes)
        (greeting,) = decode_relay_message(message)
        assert isinstance(greeting, f.Greeting)
        key = Ed25519PublicKey.from_public_bytes(greeting.relay_key)
        key.verify(greeting.signature, greeting_statement(nonce, greeting.challenge, greeting.relay_key))
        self.greeting = greeting

    async def send(self, *frames: f.Frame) -> None:
        await self._socket.send(encode_message(frames))

    async def send_raw(self, message: bytes | str) -> None:
        await self._socket.send(message)

    async def next_raw(self) -> bytes:
        """Give the next message as it came; only after `greet_only`."""
        async with asyncio.timeout(20):
            message = await self._socket.recv()
        assert isinstance(message, bytes)
        return message

    async def ask(self, make: Callable[[int], f.Request]) -> f.Answer:
        """Send a request (made of a fresh rid) and give its answer."""
        self._rid += 1
        answer: asyncio.Future[f.Answer] = asyncio.get_running_loop().create_future()
        self._open[self._rid] = answer
        await self.send(make(self._rid))
        async with asyncio.timeout(20):
            return await answer

    async def get(self, kind: type[_A], make: Callable[[int], f.Request]) -> _A:
        """As `ask`, for a request that is to be answered by a certain frame."""
        answer = await self.ask(make)
        assert isinstance(answer, kind), f"{answer!r}: {getattr(answer, 'message', '')}"
        return answer

    async def refused(self, make: Callable[[int], f.Request]) -> f.Error:
        """As `ask`, for a request that is to be refused."""
        return await self.get(f.Error, make)

    async def next_mail(self) -> f.Deliver:
        async with asyncio.timeout(20):
            return await self.mail.get()

    async def next_pushed(self) -> f.RelayFrame:
        async with asyncio.timeout(20):
            return await self.pushed.get()

    async def close(self) -> None:
        await self._socket.close()
        if self._reader is not None:
            await self._reader

    async def heard(self) -> None:
        """Wait until the relay has read everything that was sent before."""
        async with asyncio.timeout(20):
            await (await self._socket.ping())

    async def abandon(self) -> None:
        """Drop the socket without a closing handshake, as a lost network does."""
        self._socket.transport.abort()
        await self.closed()

    async def closed(self) -> int | None:
        """Wait until the relay has closed the connection, and give its code."""
        async with asyncio.timeout(20):
            await self._socket.wait_closed()
        return self._socket.close_code

    # ------------------------------------------------------------------------------------ whole conversations

    async def sign_up(self, person: Person, number: str) -> f.Registered:
        """Register with a relay that asks for no proof."""
        started = await self.get(f.VerificationStarted, lambda rid: f.StartVerification(rid, number))
        assert started.ticket is not None
        return await self.register(person, started.ticket)

    async def register(self, person: Person, ticket: bytes) -> f.Registered:
        return await self.get(f.Registered, lambda rid: self.registration(rid, person, ticket))

    def registration(
        self, rid: int, person: Person, ticket: bytes, invite: str | None = None, pin: str | None = None
    ) -> f.Register:
        document = person.keys.document
        statement = register_statement(self.greeting.relay_key, self.greeting.challenge, ticket, document)
        return f.Register(
            rid,
            ticket,
            document,
            person.keys.document_signature,
            person.device,
            person.keys.sign(statement),
            invite,
            pin,
        )

    async def log_in(self, person: Person) -> f.LoggedIn:
        logged_in = await self.get(f.LoggedIn, lambda rid: self.authentication(rid, person))
        person.token = logged_in.token
        return logged_in

    def authentication(self, rid: int, person: Person) -> f.Authenticate:
        greeting = self.greeting
        statement = login_statement(greeting.relay_key, greeting.challenge, person.uid, person.device)
        return f.Authenticate(rid, person.keys.document, person.device, person.keys.sign(statement))

    async def mail_to(
        self,
        person: Person,
        payload: bytes = bytes(1024),
        envelope_id: bytes | None = None,
        expires_in_s: int = 3600,
    ) -> f.Answer:
        name = envelope_id or os.urandom(16)
        return await self.ask(lambda rid: f.Send(rid, name, person.uid, person.device, expires_in_s, payload))

    async def sealed_to(
        self,
        person: Person,
        delivery_token: bytes,
        payload: bytes = bytes(1024),
        envelope_id: bytes | None = None,
    ) -> f.Answer:
        name = envelope_id or os.urandom(16)
        return await self.ask(
            lambda rid: f.SendSealed(rid, delivery_token, name, person.uid, person.device, 3600, payload)
        )

    async def leave_token(self, delivery_token: bytes | None) -> None:
        """Leave a delivery token's hash at the relay, or none."""
        token_hash = None if delivery_token is None else delivery_token_hash(delivery_token)
        await self.get(f.Done, lambda rid: f.SetDeliveryToken(rid, token_hash))

    async def _read(self) -> None:
        try:
            async for message in self._socket:
                assert isinstance(message, bytes)
                for frame in decode_relay_message(message):
                    self._take(frame)
        except ConnectionClosed:
            pass
        finally:
            for answer in self._open.values():
                if not answer.done():
                    answer.set_exception(ConnectionError(f"closed with {self._socket.close_code}"))
                    answer.exception()  # Nobody may be waiting for it.

    def _take(self, frame: f.RelayFrame) -> None:
        if isinstance(frame, f.Deliver):
            self.mail.put_nowait(frame)
        elif isinstance(frame, f.StockLow | f.Draining | f.NumberLost | f.Greeting):
            self.pushed.put_nowait(frame)
        elif waiting := self._open.pop(frame.rid, None):
            if not waiting.done():  # Whoever waited for it may have given up.
                waiting.set_result(frame)
        else:
            self.pushed.put_nowait(frame)


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[FrameClient]:
    """Connect to a relay on the loopback without TLS, and take its greeting."""
    uri = f"ws://127.0.0.1:{port}"
    async with connect(uri, subprotocols=[Subprotocol(SUBPROTOCOL)], compression=None) as socket:
        client = FrameClient(socket)
        await client.greet()
        try:
            yield client
        finally:
            await client.close()


@asynccontextmanager
async def logged_in(port: int, person: Person) -> AsyncIterator[FrameClient]:
    """Connect as a person who has an account."""
    async with connected(port) as client:
        await client.log_in(person)
        yield client


async def new_person(port: int, number: str) -> Person:
    """Make an account at a relay that asks for no proof."""
    person = Person()
    async with connected(port) as client:
        await client.sign_up(person, number)
    return person
