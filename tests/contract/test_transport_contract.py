"""What the port `Transport` promises, asked of the relay over loopback and of the transport in memory."""

from __future__ import annotations

import asyncio
import os

import pytest

from tests.kit.links import WAIT_S
from tests.kit.transports import (
    EXPIRY_S,
    NOBODY,
    MemoryWorld,
    Person,
    World,
    an_envelope,
    numbers_of,
)
from zap2.client.transport import Arrived, Delivery, LinkDown, LinkUp
from zap2.errors import Refused, Unreachable


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
            await way.send(an_envelope(number), ben.uid, bytes(512), EXPIRY_S)
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
            await way.fetch(NOBODY)
        assert refused.value.code == "not-found"
        with pytest.raises(Refused) as refused:
            await way.fetch(ben.uid)
        assert refused.value.code == "no-prekeys"
        with pytest.raises(Refused) as refused:
            await way.send(an_envelope(1), NOBODY, bytes(512), EXPIRY_S)
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
        await way.send(an_envelope(1), ben.uid, payloads[0], EXPIRY_S)
        async with ben.online() as (_, reports):
            (first,) = await reports.deliveries(1)
            await way.send(an_envelope(2), ben.uid, payloads[1], EXPIRY_S)
            (second,) = await reports.deliveries(1)
    assert [first.payload, second.payload] == payloads
    assert numbers_of([first, second]) == [1, 2]
    assert first.token != second.token


async def test_sending_twice_delivers_once(ada: Person, ben: Person) -> None:
    async with ada.online() as (way, _), ben.online() as (_, reports):
        for number in (1, 1, 2):
            await way.send(an_envelope(number), ben.uid, bytes(512), EXPIRY_S)
        assert numbers_of(await reports.deliveries(2)) == [1, 2]


async def test_an_acknowledged_envelope_that_is_sent_again_stays_away(ada: Person, ben: Person) -> None:
    async with ada.online() as (way, _), ben.online() as (other, reports):
        await way.send(an_envelope(1), ben.uid, bytes(512), EXPIRY_S)
        (first,) = await reports.deliveries(1)
        await other.acknowledge([first.token])
        for number in (1, 2):
            await way.send(an_envelope(number), ben.uid, bytes(512), EXPIRY_S)
        assert numbers_of(await reports.deliveries(1)) == [2]


async def test_calls_in_order_are_delivered_in_order_beyond_any_window(ada: Person, ben: Person) -> None:
    async with ada.online() as (way, _), ben.online() as (other, reports):
        sending = asyncio.gather(
            *(way.send(an_envelope(n), ben.uid, bytes(512), EXPIRY_S) for n in range(1, 301))
        )
        arrived: list[Delivery] = []
        while len(arrived) < 300:
            deliveries = (await reports.next(Arrived)).deliveries
            arrived += deliveries
            await other.acknowledge([delivery.token for delivery in reversed(deliveries)])
        await asyncio.wait_for(sending, WAIT_S)
    assert numbers_of(arrived) == list(range(1, 301))


async def test_an_envelope_comes_again_until_it_is_acknowledged(ada: Person, ben: Person) -> None:
    async with ada.online() as (way, _):
        for number in (1, 2, 3):
            await way.send(an_envelope(number), ben.uid, bytes(512), EXPIRY_S)
    async with ben.online() as (_, reports):
        assert numbers_of(await reports.deliveries(3)) == [1, 2, 3]
    async with ben.online() as (way, reports):
        again = await reports.deliveries(3)
        assert numbers_of(again) == [1, 2, 3]
        await way.acknowledge([again[1].token])
    async with ben.online() as (way, reports):
        rest = await reports.deliveries(2)
        assert numbers_of(rest) == [1, 3]
        await way.acknowledge([delivery.token for delivery in rest])
    async with ben.online() as (way, reports), ada.online() as (other, _):
        await other.send(an_envelope(4), ben.uid, bytes(512), EXPIRY_S)
        assert numbers_of(await reports.deliveries(1)) == [4]


async def test_tokens_that_mean_nothing_acknowledge_nothing(ada: Person, ben: Person) -> None:
    async with ada.online() as (way, _):
        await way.send(an_envelope(1), ben.uid, bytes(512), EXPIRY_S)
    async with ben.online() as (way, reports):
        (first,) = await reports.deliveries(1)
        await way.acknowledge([first.token + 1000])
    await way.acknowledge([first.token])
    async with ben.online() as (_, reports):
        assert numbers_of(await reports.deliveries(1)) == [1]


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
        await way.send(an_envelope(1), ada.uid, bytes(512), EXPIRY_S)
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
                    await way.send(an_envelope(number), ben.uid, bytes(512), EXPIRY_S)
                    break
                except Unreachable:
                    await reports.next(LinkUp)
        arrived: list[int] = []
        while set(arrived) != set(range(1, 101)):
            deliveries = (await mail.next(Arrived)).deliveries
            arrived += numbers_of(list(deliveries))
            await other.acknowledge([delivery.token for delivery in deliveries])
        assert any(isinstance(event, LinkDown) for event in reports.all)
        assert len(arrived) > 100
        assert arrived != sorted(arrived)
