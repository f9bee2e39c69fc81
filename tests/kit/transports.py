"""Ways between people for the contract of `Transport`: in one process, and at a relay on loopback."""

from __future__ import annotations

import os
import random
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

from tests.kit.links import MemoryTokens, Reports, running
from tests.kit.memory_transport import MemoryNetwork, MemoryTransport
from zap2.client.relay.link import RelayTransport
from zap2.client.relay.registration import RegistrationClient
from zap2.client.transport import Delivery, LinkUp, Transport
from zap2.crypto import (
    IdentityKeys,
    OneTimePrekey,
    OneTimePrekeySecrets,
    SignedPrekeySecrets,
    SignedPrekeySet,
)
from zap2.ids import EnvelopeId, Uid
from zap2.server.relay import Relay

NOBODY = Uid(b"n" * 32)
EXPIRY_S = 3600


class World(Protocol):
    """A way between people, whatever it is made of."""

    async def register(self, keys: IdentityKeys, number: str) -> None:
        """Open an account."""
        ...

    def transport(self, keys: IdentityKeys) -> Transport:
        """Make a transport of an account."""
        ...


class MemoryWorld:
    """People in one process."""

    def __init__(self) -> None:
        self.network = MemoryNetwork(random.Random(1))

    async def register(self, keys: IdentityKeys, number: str) -> None:
        """Open an account."""
        self.network.register(keys.uid, number, keys.document, keys.document_signature)

    def transport(self, keys: IdentityKeys) -> MemoryTransport:
        """Make a transport of an account."""
        return MemoryTransport(
            self.network,
            keys.uid,
            lambda encoded: SignedPrekeySet.decode(encoded).sid,
            lambda encoded: OneTimePrekey.decode(encoded).oid,
        )


class RelayWorld:
    """People at a relay on loopback."""

    def __init__(self, relay: Relay) -> None:
        self._address = relay.address
        self._tokens: dict[Uid, MemoryTokens] = {}

    async def register(self, keys: IdentityKeys, number: str) -> None:
        """Open an account."""
        async with RegistrationClient(self._address, rng=os.urandom) as registration:
            started = await registration.start_verification(number)
            assert started.ticket is not None
            await registration.register(keys, started.ticket)

    def transport(self, keys: IdentityKeys) -> RelayTransport:
        """Make a transport of an account."""
        tokens = self._tokens.setdefault(keys.uid, MemoryTokens())
        return RelayTransport(self._address, keys, tokens=tokens, rng=os.urandom)


class Person:
    """Somebody with an account."""

    def __init__(self, world: World, number: str) -> None:
        self.keys = IdentityKeys.generate(os.urandom)
        self.number = number
        self._world = world

    @property
    def uid(self) -> Uid:
        """Their address."""
        return self.keys.uid

    async def register(self) -> None:
        """Open the account."""
        await self._world.register(self.keys, self.number)

    def online(self) -> AbstractAsyncContextManager[tuple[Transport, Reports]]:
        """Be connected for the length of the context, each time with a new transport."""
        return _online(self._world.transport(self.keys))

    def signed_set(self, sid: int) -> bytes:
        """Make a public signed prekey set."""
        secrets = SignedPrekeySecrets.generate(self.keys, sid=sid, now_s=int(time.time()), rng=os.urandom)
        return secrets.public.encode()

    def pairs(self, *oids: int) -> list[bytes]:
        """Make public one-time pairs."""
        return [
            OneTimePrekeySecrets.generate(self.keys, oid=oid, rng=os.urandom).public.encode() for oid in oids
        ]


@asynccontextmanager
async def _online(transport: Transport) -> AsyncIterator[tuple[Transport, Reports]]:
    async with running(transport) as reports:
        await reports.next(LinkUp)
        yield transport, reports


def an_envelope(n: int) -> EnvelopeId:
    """Give the id of the n-th envelope of a test."""
    return EnvelopeId(n.to_bytes(16, "big"))


def numbers_of(deliveries: list[Delivery]) -> list[int]:
    """Give the numbers of the envelopes that arrived."""
    return [int.from_bytes(delivery.envelope, "big") for delivery in deliveries]
