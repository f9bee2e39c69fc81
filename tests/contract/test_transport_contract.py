"""What the port `Transport` promises, asked of the relay over loopback and of the transport in memory."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

import pytest

from tests.kit.links import WAIT_S, MemoryTokens, Reports, running
from tests.kit.memory_transport import MemoryNetwork, MemoryTransport
from zap2.client.relay.link import RelayTransport
from zap2.client.relay.registration import RegistrationClient
from zap2.client.transport import Arrived, Delivery, LinkDown, LinkUp, Transport
from zap2.crypto import (
    IdentityKeys,
    OneTimePrekey,
    OneTimePrekeySecrets,
    SignedPrekeySecrets,
    SignedPrekeySet,
)
from zap2.errors import Refused, Unreachable
from zap2.ids import EnvelopeId, Uid
from zap2.server.options import RelayOptions
from zap2.server.relay import Relay

_NOBODY = Uid(b"n" * 32)
_EXPIRY_S = 3600


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


@pytest.fixture(params=["memory", "relay"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """Each kind of world in turn."""
    if request.param == "memory":
        yield MemoryWorld()
        return
    async with Relay(RelayOptions(port=0, verify="none")) as relay:
        yield RelayWorld(relay)


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


@pytest.fixture
async def ada(world: World) -> Person:
    """Somebody."""
    person = Person(world, "+4915123456000")
    await person.register()
    return person


@pytest.fixture
async def ben(world: World) -> Person:
    """Somebody else."""
    person = Person(world, "+4915123456001")
    await person.register()
    return person


def _envelope(n: int) -> EnvelopeId:
    return EnvelopeId(n.to_bytes(16, "big"))


def _numbers(deliveries: list[Delivery]) -> list[int]:
    return [int.from_bytes(delivery.envelope, "big") for delivery in deliveries]


async def test_a_published_pair_is_handed_out_once_and_the_set_always(ada: Person, ben: Person) -> None:
    signed_set, pairs = ada.signed_set(7), ada.pairs(0, 1)
    async with ada.online() as (way, _):
        assert await way.publish(signed_set, pairs) == 2
    async with ben.online() as (way, _):
        fetched = [await way.fetch(ada.uid) for _ in range(3)]
    assert all(keys.document == ada.keys.document for keys in fetched)
    assert all(keys.document_signature == ada.keys.document_signature for keys in fetched)
    assert [keys.signed_set for keys in fetched] == [signed_set] * 3
    assert [keys.one_time for keys in fetched] == [*pairs, None]


async def test_publishing_again_does_no_harm_and_revives_no_pair(ada: Person, ben: Person) -> None:
    signed_set, pairs = ada.signed_set(1), ada.pairs(0, 1)
    async with ada.online() as (way, _), ben.online() as (other, _):
        await way.publish(signed_set, pairs)
        assert (await other.fetch(ada.uid)).one_time == pairs[0]
        assert await way.publish(signed_set, pairs) == 1
        assert await way.publish(None, ada.pairs(2)) == 2
        assert (await other.fetch(ada.uid)).one_time == pairs[1]


async def test_link_up_says_what_is_published(ada: Person) -> None:
    async with ada.online() as (way, reports):
        assert LinkUp(stock=0, highest_sid=0, highest_oid=-1, acknowledged=0) in reports.all
        await way.publish(ada.signed_set(7), ada.pairs(0, 1, 2))
    async with ada.online() as (_, reports):
        assert LinkUp(stock=3, highest_sid=7, highest_oid=2, acknowledged=0) in reports.all


async def test_link_up_says_how_far_this_account_ever_acknowledged(ada: Person, ben: Person) -> None:
    """A vault that came back from a backup has a lower number of its own, and so notices that it is older."""
    async with ada.online() as (way, _), ben.online() as (other, reports):
        for number in range(3):
            await way.send(_envelope(number), ben.uid, bytes(512), _EXPIRY_S)
        first, second, third = await reports.deliveries(3)
        assert 0 < first.number < second.number < third.number
        await other.acknowledge([first.token, second.token])
        await other.look_up(ada.number)
    async with ben.online() as (other, reports):
        (up,) = [event for event in reports.all if isinstance(event, LinkUp)]
        assert up.acknowledged == second.number
        (again,) = await reports.deliveries(1)
        assert (again.number, again.envelope) == (third.number, third.envelope)
        await other.acknowledge([again.token])
        await other.look_up(ada.number)
    async with ben.online() as (_, reports):
        assert any(isinstance(event, LinkUp) and event.acknowledged == third.number for event in reports.all)


async def test_nobody_and_people_without_keys_are_refused_by_code(ada: Person, ben: Person) -> None:
    async with ada.online() as (way, _):
        with pytest.raises(Refused) as refused:
            await way.fetch(_NOBODY)
        assert refused.value.code == "not-found"
        with pytest.raises(Refused) as refused:
            await way.fetch(ben.uid)
        assert refused.value.code == "no-prekeys"
        with pytest.raises(Refused) as refused:
            await way.send(_envelope(1), _NOBODY, bytes(512), _EXPIRY_S)
        assert refused.value.code == "not-found"


async def test_a_number_leads_to_who_registered_it(ada: Person, ben: Person) -> None:
    async with ada.online() as (way, _):
        assert await way.look_up(ben.number) == ben.uid
        assert await way.look_up(ada.number) == ada.uid
        with pytest.raises(Refused) as refused:
            await way.look_up("+4915123456999")
        assert refused.value.code == "not-found"


async def test_who_does_not_want_to_be_found_is_not_until_they_do(ada: Person, ben: Person) -> None:
    async with ada.online() as (way, _), ben.online() as (other, _):
        await other.set_listed(False)
        with pytest.raises(Refused) as refused:
            await way.look_up(ben.number)
        assert refused.value.code == "not-found"
        await other.set_listed(True)
        assert await way.look_up(ben.number) == ben.uid


async def test_an_envelope_arrives_as_it_was_sent_at_once_or_later(ada: Person, ben: Person) -> None:
    payloads = [os.urandom(512), os.urandom(65536)]
    async with ada.online() as (way, _):
        await way.send(_envelope(1), ben.uid, payloads[0], _EXPIRY_S)
        async with ben.online() as (_, reports):
            (first,) = await reports.deliveries(1)
            await way.send(_envelope(2), ben.uid, payloads[1], _EXPIRY_S)
            (second,) = await reports.deliveries(1)
    assert [first.payload, second.payload] == payloads
    assert _numbers([first, second]) == [1, 2]
    assert first.token != second.token


async def test_sending_twice_delivers_once(ada: Person, ben: Person) -> None:
    async with ada.online() as (way, _), ben.online() as (_, reports):
        for number in (1, 1, 2):
            await way.send(_envelope(number), ben.uid, bytes(512), _EXPIRY_S)
        assert _numbers(await reports.deliveries(2)) == [1, 2]


async def test_an_acknowledged_envelope_that_is_sent_again_stays_away(ada: Person, ben: Person) -> None:
    async with ada.online() as (way, _), ben.online() as (other, reports):
        await way.send(_envelope(1), ben.uid, bytes(512), _EXPIRY_S)
        (first,) = await reports.deliveries(1)
        await other.acknowledge([first.token])
        for number in (1, 2):
            await way.send(_envelope(number), ben.uid, bytes(512), _EXPIRY_S)
        assert _numbers(await reports.deliveries(1)) == [2]


async def test_calls_in_order_are_delivered_in_order_beyond_any_window(ada: Person, ben: Person) -> None:
    async with ada.online() as (way, _), ben.online() as (other, reports):
        sending = asyncio.gather(
            *(way.send(_envelope(n), ben.uid, bytes(512), _EXPIRY_S) for n in range(1, 301))
        )
        arrived: list[Delivery] = []
        while len(arrived) < 300:
            deliveries = (await reports.next(Arrived)).deliveries
            arrived += deliveries
            await other.acknowledge([delivery.token for delivery in reversed(deliveries)])
        await asyncio.wait_for(sending, WAIT_S)
    assert _numbers(arrived) == list(range(1, 301))


async def test_an_envelope_comes_again_until_it_is_acknowledged(ada: Person, ben: Person) -> None:
    async with ada.online() as (way, _):
        for number in (1, 2, 3):
            await way.send(_envelope(number), ben.uid, bytes(512), _EXPIRY_S)
    async with ben.online() as (_, reports):
        assert _numbers(await reports.deliveries(3)) == [1, 2, 3]
    async with ben.online() as (way, reports):
        again = await reports.deliveries(3)
        assert _numbers(again) == [1, 2, 3]
        await way.acknowledge([again[1].token])
    async with ben.online() as (way, reports):
        rest = await reports.deliveries(2)
        assert _numbers(rest) == [1, 3]
        await way.acknowledge([delivery.token for delivery in rest])
    async with ben.online() as (way, reports), ada.online() as (other, _):
        await other.send(_envelope(4), ben.uid, bytes(512), _EXPIRY_S)
        assert _numbers(await reports.deliveries(1)) == [4]


async def test_tokens_that_mean_nothing_acknowledge_nothing(ada: Person, ben: Person) -> None:
    async with ada.online() as (way, _):
        await way.send(_envelope(1), ben.uid, bytes(512), _EXPIRY_S)
    async with ben.online() as (way, reports):
        (first,) = await reports.deliveries(1)
        await way.acknowledge([first.token + 1000])
    await way.acknowledge([first.token])
    async with ben.online() as (_, reports):
        assert _numbers(await reports.deliveries(1)) == [1]


async def test_without_a_link_requests_fail_at_once_as_unreachable(world: World, ada: Person) -> None:
    way = world.transport(ada.keys)
    with pytest.raises(Unreachable):
        await way.publish(None, [])
    with pytest.raises(Unreachable):
        await way.fetch(ada.uid)
    with pytest.raises(Unreachable):
        await way.look_up(ada.number)
    with pytest.raises(Unreachable):
        await way.set_pin("1234")
    with pytest.raises(Unreachable):
        await way.set_listed(False)
    with pytest.raises(Unreachable):
        await way.send(_envelope(1), ada.uid, bytes(512), _EXPIRY_S)
    await way.acknowledge([1])


@pytest.mark.parametrize("seed", range(5))
async def test_in_memory_faults_lose_nothing_that_was_answered_and_show_that_they_happen(seed: int) -> None:
    world = MemoryWorld()
    world.network.rng.seed(seed)
    ada, ben = Person(world, "+4915123456000"), Person(world, "+4915123456001")
    await ada.register()
    await ben.register()
    faults = world.network.faults
    async with ada.online() as (way, reports), ben.online() as (other, mail):
        faults.loss, faults.duplication, faults.reordering = 0.1, 0.3, 0.3
        for number in range(1, 101):
            while True:
                try:
                    await way.send(_envelope(number), ben.uid, bytes(512), _EXPIRY_S)
                    break
                except Unreachable:
                    await reports.next(LinkUp)
        arrived: list[int] = []
        while set(arrived) != set(range(1, 101)):
            deliveries = (await mail.next(Arrived)).deliveries
            arrived += _numbers(list(deliveries))
            await other.acknowledge([delivery.token for delivery in deliveries])
        assert any(isinstance(event, LinkDown) for event in reports.all)
        assert len(arrived) > 100
        assert arrived != sorted(arrived)
