"""What one of two relays over the same PostgreSQL decides about an account, the other one keeps to."""

from __future__ import annotations

import os
import time
from functools import partial
from pathlib import Path

import pytest

from tests.kit.engines import redis_url, start_redis
from tests.relay_client import NUMBERS, Person, connected, logged_in, new_person
from tests.relay_cluster import relay_cluster
from zap2.crypto.prekeys import OneTimePrekeySecrets, SignedPrekeySecrets
from zap2.server.handlers.directory import LOW_STOCK
from zap2.server.limits import Limits, Rate
from zap2.server.store.commits import StoreFailed
from zap2.wire import frames as f
from zap2.wire.fields import CloseCode, ErrorCode
from zap2.wire.statements import delivery_token_hash

_TOKEN, _OTHER = b"t" * 32, b"o" * 32

has_redis = pytest.mark.parametrize("has_redis", [True, False])


def _tokens(has_redis: bool) -> str:
    return redis_url() if has_redis else "store"


def _code(answer: f.Answer) -> str:
    assert isinstance(answer, f.Error), answer
    return answer.code


# --------------------------------------------------------------------------------------------- sealed sending


async def test_a_new_delivery_token_counts_at_both_relays_as_soon_as_it_is_confirmed(tmp_path: Path) -> None:
    """No answer of the owner's relay is older than what the other one keeps to: renewal shuts somebody out."""
    async with relay_cluster(tmp_path) as cluster:
        here, there = cluster.ports
        owner = await new_person(here, NUMBERS[0])
        async with logged_in(here, owner) as client, connected(there) as friend:
            for _ in range(3):
                for token, void in ((_TOKEN, _OTHER), (_OTHER, _TOKEN)):
                    await client.leave_token(token)
                    assert _code(await friend.sealed_to(owner, void)) == ErrorCode.DELIVERY_REFUSED
                    assert await friend.sealed_to(owner, token) == f.Sent(friend._rid, "stored", 0)
        async with connected(there) as client:
            assert (await client.log_in(owner)).delivery_token_hash == delivery_token_hash(_OTHER)


@has_redis
async def test_sealed_mail_reaches_a_client_of_the_other_relay(tmp_path: Path, has_redis: bool) -> None:
    async with relay_cluster(tmp_path, tokens=_tokens(has_redis)) as cluster:
        here, there = cluster.ports
        owner, name = await new_person(here, NUMBERS[0]), os.urandom(16)
        async with logged_in(here, owner) as receiver, connected(there) as friend, connected(here) as again:
            await receiver.leave_token(_TOKEN)
            for sender in (friend, again):
                assert isinstance(await sender.sealed_to(owner, _TOKEN, envelope_id=name), f.Sent)
            assert (await receiver.next_mail()).envelope_id == name
            await friend.sealed_to(owner, _TOKEN, envelope_id=bytes(16))
            assert (await receiver.next_mail()).envelope_id == bytes(16)  # the repetition was not stored


async def test_who_is_blocked_at_one_relay_gets_nothing_sealed_at_the_other(tmp_path: Path) -> None:
    async with relay_cluster(tmp_path) as cluster:
        here, there = cluster.ports
        owner = await new_person(here, NUMBERS[0])
        async with logged_in(here, owner) as client:
            await client.leave_token(_TOKEN)
        async with connected(there) as friend:
            await cluster.relays[0].operator.block(NUMBERS[0])
            assert _code(await friend.sealed_to(owner, _TOKEN)) == ErrorCode.DELIVERY_REFUSED
            await cluster.relays[0].operator.unblock(NUMBERS[0])
            assert isinstance(await friend.sealed_to(owner, _TOKEN), f.Sent)


async def test_limits_of_tokens_and_of_wrong_ones_hold_over_both_relays(tmp_path: Path) -> None:
    limits = Limits(sealed_per_token=Rate(10, 0.001), wrong_tokens_per_source=Rate(10, 0.001))
    async with relay_cluster(tmp_path, tokens=redis_url(), limits=limits) as cluster:
        here, there = cluster.ports
        owner = await new_person(here, NUMBERS[0])
        async with logged_in(here, owner) as client:
            await client.leave_token(_TOKEN)
        async with connected(here) as near, connected(there) as far:
            for token in (_TOKEN, _OTHER):
                for _ in range(10):
                    assert getattr(await near.sealed_to(owner, token), "code", "") != ErrorCode.RATE_LIMITED
                assert _code(await near.sealed_to(owner, token)) == ErrorCode.RATE_LIMITED
                answers = [await far.sealed_to(owner, token) for _ in range(20)]
                through = [a for a in answers if getattr(a, "code", "") != ErrorCode.RATE_LIMITED]
                # What goes through before the first answer of Redis, and no more.
                assert len(through) < 5


# ------------------------------------------------------------------------------------------------- membership


@has_redis
async def test_revoking_tokens_at_one_relay_ends_the_connection_at_the_other(
    tmp_path: Path, has_redis: bool
) -> None:
    """Of two devices, so that the second log-in does not end the first one's connection."""
    async with relay_cluster(tmp_path, tokens=_tokens(has_redis)) as cluster:
        here, there = cluster.ports
        phone = await new_person(here, NUMBERS[0])
        laptop = Person(phone.keys, device=2)
        async with connected(there) as client:
            await client.sign_up(laptop, NUMBERS[1])  # a device more, and another number
        async with logged_in(here, phone) as near, logged_in(there, laptop) as far:
            await near.get(f.Done, f.RevokeTokens)
            assert await far.closed() == CloseCode.TOKEN_EXPIRED
            assert await near.closed() == CloseCode.TOKEN_EXPIRED
        for port in cluster.ports:
            for person in (phone, laptop):
                async with connected(port) as client:
                    refused = await client.refused(partial(f.Resume, token=person.token))
                    assert refused.code == ErrorCode.TOKEN_UNKNOWN


@has_redis
async def test_blocking_at_one_relay_ends_the_connection_at_the_other(
    tmp_path: Path, has_redis: bool
) -> None:
    async with relay_cluster(tmp_path, tokens=_tokens(has_redis)) as cluster:
        _, there = cluster.ports
        eve = await new_person(there, NUMBERS[0])
        async with logged_in(there, eve) as client:
            await cluster.relays[0].operator.block(NUMBERS[0])
            assert await client.closed() == CloseCode.BLOCKED
        for port in cluster.ports:
            async with connected(port) as client:
                refused = await client.refused(partial(client.authentication, person=eve))
                assert refused.code == ErrorCode.ACCOUNT_BLOCKED
                refused = await client.refused(partial(f.Resume, token=eve.token))
                assert refused.code in (ErrorCode.ACCOUNT_BLOCKED, ErrorCode.TOKEN_UNKNOWN)


async def test_blocking_ends_the_connection_here_also_while_redis_is_gone(tmp_path: Path) -> None:
    """Guards the order of it: the tokens cannot be voided then, and the host hears so."""
    redis = start_redis()
    async with relay_cluster(tmp_path, tokens=redis.url) as cluster:
        here = cluster.ports[0]
        eve = await new_person(here, NUMBERS[0])
        async with logged_in(here, eve) as client:
            redis.stop()
            with pytest.raises(StoreFailed):
                await cluster.relays[0].operator.block(NUMBERS[0])
            assert await client.closed() == CloseCode.BLOCKED
        async with connected(here) as client:
            refused = await client.refused(partial(client.authentication, person=eve))
            assert refused.code == ErrorCode.ACCOUNT_BLOCKED


@has_redis
async def test_the_owner_hears_of_low_stock_from_the_relay_that_did_not_hand_the_pair_out(
    tmp_path: Path, has_redis: bool
) -> None:
    async with relay_cluster(tmp_path, tokens=_tokens(has_redis)) as cluster:
        here, there = cluster.ports
        owner, reader = await new_person(here, NUMBERS[0]), await new_person(there, NUMBERS[1])
        async with logged_in(here, owner) as client, logged_in(there, reader) as stranger:
            signed_set = SignedPrekeySecrets.generate(
                owner.keys, sid=1, now_s=int(time.time()), rng=os.urandom
            )
            pairs = [
                OneTimePrekeySecrets.generate(owner.keys, oid=oid, rng=os.urandom).public.encode()
                for oid in range(LOW_STOCK)
            ]
            await client.get(
                f.Published, lambda rid: f.Publish(rid, signed_set.public.encode(), tuple(pairs))
            )
            bundle = await stranger.get(f.Bundle, lambda rid: f.Fetch(rid, owner.uid, 1, True))
            assert bundle.pair is not None
            assert await client.next_pushed() == f.StockLow(LOW_STOCK - 1)
