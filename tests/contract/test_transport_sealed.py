"""What the port `Transport` promises of sends that do not name the sender, and of withdrawn prekeys."""

from __future__ import annotations

import os

import pytest

from tests.kit.transports import EXPIRY_S, NOBODY, Person, World, an_envelope, numbers_of
from zap2.client.transport import LinkUp
from zap2.errors import Refused, Unreachable
from zap2.wire.statements import delivery_token_hash

TOKEN, OTHER = b"t" * 32, b"o" * 32


async def test_who_has_the_token_gets_an_envelope_in_once_however_often_it_is_sent(
    ada: Person, ben: Person
) -> None:
    payload = os.urandom(1024)
    async with ada.online() as (way, _), ben.online() as (other, reports):
        await other.set_delivery_token(delivery_token_hash(TOKEN))
        for number in (1, 1, 2):
            await way.send(an_envelope(number), ben.uid, payload, EXPIRY_S, TOKEN)
        first, second = await reports.deliveries(2)
        assert numbers_of([first, second]) == [1, 2]
        assert first.payload == second.payload == payload


async def test_who_has_not_is_refused_and_learns_not_why(ada: Person, ben: Person) -> None:
    """No such account, no token set, another token, a renewed one, none any more: all the same to the sender."""
    async with ada.online() as (way, _), ben.online() as (other, _):

        async def refusal(uid: bytes, token: bytes) -> tuple[str, str, float | None]:
            with pytest.raises(Refused) as refused:
                await way.send(an_envelope(1), type(ben.uid)(uid), bytes(512), EXPIRY_S, token)
            return refused.value.code, str(refused.value), refused.value.retry_after_s

        refusals = {await refusal(NOBODY, TOKEN), await refusal(ben.uid, TOKEN)}
        await other.set_delivery_token(delivery_token_hash(OTHER))
        refusals.add(await refusal(ben.uid, TOKEN))
        await other.set_delivery_token(delivery_token_hash(TOKEN))
        refusals.add(await refusal(ben.uid, OTHER))
        await other.set_delivery_token(None)
        refusals.add(await refusal(ben.uid, TOKEN))
        assert len(refusals) == 1
        assert refusals.pop()[::2] == ("delivery-refused", None)


async def test_a_refused_envelope_may_be_sent_without_the_token(ada: Person, ben: Person) -> None:
    async with ada.online() as (way, _), ben.online() as (_, reports):
        with pytest.raises(Refused):
            await way.send(an_envelope(1), ben.uid, bytes(512), EXPIRY_S, TOKEN)
        await way.send(an_envelope(1), ben.uid, bytes(512), EXPIRY_S)
        assert numbers_of(await reports.deliveries(1)) == [1]


async def test_link_up_says_which_token_lets_others_in(ada: Person) -> None:
    async with ada.online() as (way, reports):
        assert [event.delivery_token_hash for event in reports.all if isinstance(event, LinkUp)] == [None]
        await way.set_delivery_token(delivery_token_hash(TOKEN))
    async with ada.online() as (_, reports):
        (up,) = [event for event in reports.all if isinstance(event, LinkUp)]
        assert up.delivery_token_hash == delivery_token_hash(TOKEN)


async def test_without_a_link_there_is_no_sealed_way_either(world: World, ada: Person) -> None:
    way = world.transport(ada.keys)
    with pytest.raises(Unreachable):
        await way.set_delivery_token(None)
    with pytest.raises(Unreachable):
        await way.send(an_envelope(1), ada.uid, bytes(512), EXPIRY_S, TOKEN)


async def test_withdrawn_pairs_are_handed_out_to_nobody(ada: Person, ben: Person) -> None:
    """Before the new ones are added, and with nothing beside it too."""
    pairs = ada.pairs(1, 2, 3, 4, 5)
    async with ada.online() as (way, _), ben.online() as (other, _):
        await way.publish(ada.signed_set(1), pairs[:3])
        assert await way.publish(None, pairs[3:4], 3) == 2
        assert (await other.fetch(ada.uid)).one_time == pairs[2]
        assert await way.publish(None, [], 5) == 0
        assert (await other.fetch(ada.uid)).one_time is None
        assert await way.publish(None, pairs, 5) == 1
        assert (await other.fetch(ada.uid)).one_time == pairs[4]
