"""Publishing and fetching prekeys over real sockets."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.relay_client import NUMBERS, FrameClient, Person, connected, logged_in, new_person
from tests.relay_host import RelayHost, relay_host
from zap2.crypto.identity import Identity, IdentityKeys
from zap2.crypto.prekeys import OneTimePrekey, OneTimePrekeySecrets, SignedPrekeySecrets, SignedPrekeySet
from zap2.server.limits import Limits, Rate
from zap2.wire import frames as f
from zap2.wire.fields import ErrorCode


def _set(host: RelayHost, keys: IdentityKeys, sid: int) -> SignedPrekeySet:
    now_s = host.clock.at_ms // 1000
    return SignedPrekeySecrets.generate(keys, sid=sid, now_s=now_s, rng=os.urandom).public


def _pairs(keys: IdentityKeys, oids: Sequence[int]) -> tuple[bytes, ...]:
    return tuple(OneTimePrekeySecrets.generate(keys, oid=oid, rng=os.urandom).public.encode() for oid in oids)


async def _publish(client: FrameClient, signed_set: bytes | None, pairs: tuple[bytes, ...]) -> f.Answer:
    return await client.ask(lambda rid: f.Publish(rid, signed_set, pairs))


async def _fetch(client: FrameClient, person: Person, with_pair: bool = True) -> f.Bundle:
    return await client.get(f.Bundle, lambda rid: f.Fetch(rid, person.uid, 1, with_pair))


async def test_what_is_fetched_is_what_its_owner_published_and_a_pair_goes_out_once() -> None:
    async with relay_host() as host:
        owner, reader = await new_person(host.port, NUMBERS[0]), await new_person(host.port, NUMBERS[1])
        signed_set, pairs = _set(host, owner.keys, 7).encode(), _pairs(owner.keys, [0, 1])
        async with logged_in(host.port, owner) as client:
            assert await _publish(client, signed_set, pairs) == f.Published(2, 2, 7, 1)
        async with logged_in(host.port, reader) as client:
            bundles = [await _fetch(client, owner) for _ in range(3)]
            assert [bundle.pair for bundle in bundles] == [*pairs, None]
            identity = Identity.parse(bundles[0].document, bundles[0].document_signature)
            assert identity.uid == owner.uid
            now_s = host.clock.at_ms // 1000
            SignedPrekeySet.decode(bundles[0].signed_set).check(identity, now_s=now_s, lowest_sid=7)
            assert bundles[0].pair is not None
            OneTimePrekey.decode(bundles[0].pair).check(identity)
        async with connected(host.port) as client:
            state = await client.log_in(owner)
            assert (state.stock, state.highest_sid, state.highest_oid) == (0, 7, 1)


async def test_a_set_never_goes_back_and_an_oid_is_never_used_again() -> None:
    async with relay_host() as host:
        owner = await new_person(host.port, NUMBERS[0])
        async with logged_in(host.port, owner) as client:
            await _publish(client, _set(host, owner.keys, 7).encode(), _pairs(owner.keys, [5]))
            error = await _publish(client, _set(host, owner.keys, 6).encode(), ())
            assert isinstance(error, f.Error)
            assert error.code == ErrorCode.BAD_REQUEST
            await _fetch(client, owner)
            assert await _publish(client, None, _pairs(owner.keys, [4, 5, 6])) == f.Published(5, 1, 7, 6)


async def test_prekeys_that_are_not_their_owners_are_refused() -> None:
    async with relay_host() as host:
        owner, other = await new_person(host.port, NUMBERS[0]), Person()
        good, foreign = _set(host, owner.keys, 1), _set(host, other.keys, 1)
        expired = SignedPrekeySecrets.generate(owner.keys, sid=2, now_s=1_000, rng=os.urandom).public
        pair = _pairs(owner.keys, [1])[0]
        bad: list[tuple[bytes | None, tuple[bytes, ...]]] = [
            (foreign.encode(), ()),
            (replace(good, sid=2).encode(), ()),
            (expired.encode(), ()),
            (b"short", ()),
            (None, _pairs(other.keys, [1])),
            (None, (pair[:-1] + bytes([pair[-1] ^ 1]),)),
            (good.encode(), (pair[:100],)),
        ]
        async with logged_in(host.port, owner) as client:
            for signed_set, pairs in bad:
                error = await _publish(client, signed_set, pairs)
                assert isinstance(error, f.Error)
                assert error.code == ErrorCode.BAD_SIGNATURE
            error = await _publish(client, None, (pair, pair))
            assert isinstance(error, f.Error)
            assert error.code == ErrorCode.BAD_REQUEST
            assert await _publish(client, good.encode(), (pair,)) == f.Published(10, 1, 1, 1)


async def test_the_owner_is_told_when_few_pairs_are_left() -> None:
    async with relay_host() as host:
        owner, reader = await new_person(host.port, NUMBERS[0]), await new_person(host.port, NUMBERS[1])
        async with logged_in(host.port, owner) as client, logged_in(host.port, reader) as stranger:
            await _publish(client, _set(host, owner.keys, 1).encode(), _pairs(owner.keys, range(31)))
            await _fetch(stranger, owner)  # 30 left
            await _fetch(stranger, owner)
            assert await client.next_pushed() == f.StockLow(29)
            assert client.pushed.empty()


async def test_somebody_who_fetches_again_and_again_gets_no_more_pairs() -> None:
    """One requester cannot use up another's stock; a session can still be set up without a pair."""
    limits = Limits(pairs_per_account_and_target=Rate(2, 0.1), fetches_per_account=Rate(4, 0.1))
    async with relay_host(limits=limits) as host:
        owner, drainer = await new_person(host.port, NUMBERS[0]), await new_person(host.port, NUMBERS[1])
        reader = await new_person(host.port, NUMBERS[2])
        async with logged_in(host.port, owner) as client:
            await _publish(client, _set(host, owner.keys, 1).encode(), _pairs(owner.keys, range(4)))
        async with logged_in(host.port, drainer) as client:
            got = [(await _fetch(client, owner)).pair is not None for _ in range(4)]
            assert got == [True, True, False, False]
            error = await client.refused(lambda rid: f.Fetch(rid, owner.uid, 1, False))
            assert error.code == ErrorCode.RATE_LIMITED
        async with logged_in(host.port, reader) as client:
            assert (await _fetch(client, owner)).pair is not None


async def test_many_requesters_together_cannot_drain_one_target_at_once() -> None:
    async with relay_host(limits=Limits(pairs_per_target=Rate(1, 0.1))) as host:
        owner = await new_person(host.port, NUMBERS[0])
        readers = [await new_person(host.port, number) for number in NUMBERS[1:3]]
        async with logged_in(host.port, owner) as client:
            await _publish(client, _set(host, owner.keys, 1).encode(), _pairs(owner.keys, range(4)))
        got = []
        for reader in readers:
            async with logged_in(host.port, reader) as client:
                got.append((await _fetch(client, owner)).pair is not None)
        assert got == [True, False]


@pytest.mark.parametrize("device", [1, 2])
async def test_there_is_nothing_to_fetch_of_nobody(device: int) -> None:
    async with relay_host() as host:
        reader = await new_person(host.port, NUMBERS[0])
        async with logged_in(host.port, reader) as client:
            error = await client.refused(lambda rid: f.Fetch(rid, os.urandom(32), device, True))
            assert error.code == ErrorCode.NOT_FOUND
            error = await client.refused(lambda rid: f.Fetch(rid, reader.uid, 1, True))
            assert error.code == ErrorCode.NO_PREKEYS
