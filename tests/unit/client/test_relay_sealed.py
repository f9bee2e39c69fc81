"""The connection for sealed envelopes: that it names nobody, when it opens and closes, and that nobody waits for it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.kit.accounts import PATIENCE, admit_and_hold, make_transport
from tests.kit.links import running
from tests.kit.scripted_relay import Peer, Script, ScriptedRelay, scripted_relay
from tests.kit.transports import EXPIRY_S, an_envelope
from zap2.client.relay.connection import RelayConnection, open_connection
from zap2.client.relay.sealed import (
    IDLE_S,
    MAX_RECEIVERS,
    RENEW_AFTER_S,
    SEND_WITHIN_S,
    UNAVAILABLE,
    SealedWay,
    SealedWays,
)
from zap2.client.transport import LinkUp, Transport
from zap2.errors import Refused
from zap2.ids import Uid
from zap2.wire import frames as f

_BEN, _TOKEN = Uid(b"b" * 32), b"t" * 32


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        """Give the time."""
        return self.now_s


async def take_sealed(peer: Peer) -> None:
    """Greet, and take every envelope that comes; a log-in would fail the test."""
    await peer.greet()
    while True:
        sealed = await peer.read(f.SendSealed)
        await peer.say(f.Sent(sealed.rid, "stored", 0))


async def break_off(peer: Peer) -> None:
    """Greet, take an envelope, and break without an answer."""
    await peer.greet()
    await peer.read(f.SendSealed)
    await peer.close(1011)


@asynccontextmanager
async def a_way(
    relay: ScriptedRelay, clock: Callable[[], float], within_s: float = SEND_WITHIN_S
) -> AsyncIterator[SealedWay]:
    async def dial() -> RelayConnection:
        return await open_connection(relay.address, rng=os.urandom, on_news=lambda _: None, patience=PATIENCE)

    way = SealedWay(dial, clock, within_s)
    try:
        yield way
    finally:
        await way.close()


def an_envelope_frame(rid: int) -> f.SendSealed:
    return f.SendSealed(rid, _TOKEN, an_envelope(7), _BEN, 1, EXPIRY_S, bytes(512))


async def send(way: Transport, number: int = 1, token: bytes | None = _TOKEN) -> None:
    await way.send(an_envelope(number), _BEN, bytes(512), EXPIRY_S, token)


async def test_the_second_connection_says_nothing_but_hello_and_sealed_envelopes() -> None:
    """Nothing on it names the account: no log-in, no token of a log-in, no acknowledgement."""
    async with scripted_relay(admit_and_hold, take_sealed) as relay:
        transport = make_transport(relay)
        async with running(transport) as reports:
            await reports.next(LinkUp)
            assert len(relay.peers) == 1, "it is opened when it is needed"
            await asyncio.gather(*(send(transport, number) for number in range(1, 6)))
            assert len(relay.peers) == 2
            said = [frame for message in relay.peers[1].messages for frame in message]
    assert [type(frame) for frame in said] == [f.ClientHello] + [f.SendSealed] * 5
    assert not any(isinstance(frame, f.SendSealed) for m in relay.peers[0].messages for frame in m)


async def test_an_envelope_whose_answer_was_lost_goes_once_more_with_the_same_id() -> None:
    async with scripted_relay(break_off, take_sealed) as relay, a_way(relay, Clock()) as way:
        sent = await way.send(an_envelope_frame)
        assert (sent.outcome, sent.position) == ("stored", 0)
        first, second = [peer.messages[-1][0] for peer in relay.peers]
    assert isinstance(first, f.SendSealed)
    assert isinstance(second, f.SendSealed)
    assert first.envelope_id == second.envelope_id


async def test_lost_twice_it_is_left_to_the_other_way() -> None:
    async with scripted_relay(break_off) as relay, a_way(relay, Clock()) as way:
        with pytest.raises(Refused) as refused:
            await way.send(an_envelope_frame)
        assert (refused.value.code, len(relay.peers)) == (UNAVAILABLE, 2)


async def test_a_relay_without_such_a_way_is_not_asked_for_each_envelope() -> None:
    """After a failure the next envelopes take the other way at once; later, and later still, it is tried again."""

    async def hang_up(peer: Peer) -> None:
        await peer.close(1013)

    clock = Clock()
    async with scripted_relay(hang_up) as relay, a_way(relay, clock) as way:
        tries = []
        for _ in range(3):
            for _ in range(10):
                with pytest.raises(Refused) as refused:
                    await way.send(an_envelope_frame)
                assert refused.value.code == UNAVAILABLE
            tries.append(len(relay.peers))
            clock.now_s += 6
        assert tries == [1, 2, 2]


async def test_envelopes_that_come_together_wait_for_one_failure_only() -> None:
    async def hang_up(peer: Peer) -> None:
        await peer.close(1013)

    async with scripted_relay(hang_up) as relay, a_way(relay, Clock()) as way:
        results = await asyncio.gather(
            *(way.send(an_envelope_frame) for _ in range(10)), return_exceptions=True
        )
        assert all(isinstance(result, Refused) for result in results)
        assert len(relay.peers) == 1


@pytest.mark.parametrize("greets", [True, False])
async def test_a_relay_that_hangs_holds_no_envelope_up_and_many_at_once_are_one_failure(greets: bool) -> None:
    """Guards the bound on all of it: neither a slow greeting nor a lost answer adds up to what a command waits."""

    async def hang(peer: Peer) -> None:
        if greets:
            await peer.greet()
        await peer.hold()

    clock = Clock()
    async with scripted_relay(hang, take_sealed) as relay, a_way(relay, clock, within_s=0.3) as way:
        async with asyncio.timeout(5):
            results = await asyncio.gather(
                *(way.send(an_envelope_frame) for _ in range(20)), return_exceptions=True
            )
        assert {getattr(result, "code", result) for result in results} == {UNAVAILABLE}
        assert len(relay.peers) == 1
        clock.now_s += 6
        assert (await way.send(an_envelope_frame)).outcome == "stored", "the pause is the first one's"


async def test_the_relays_own_refusal_is_passed_on() -> None:
    async def refuse(peer: Peer) -> None:
        await peer.greet()
        sealed = await peer.read(f.SendSealed)
        await peer.say(f.Error(sealed.rid, "delivery-refused", "no", None))
        await peer.hold()

    async with scripted_relay(refuse) as relay, a_way(relay, Clock()) as way:
        with pytest.raises(Refused) as refused:
            await way.send(an_envelope_frame)
        assert (refused.value.code, len(relay.peers)) == ("delivery-refused", 1)


@pytest.mark.parametrize(("wait_s", "is_closed"), [(IDLE_S - 1, False), (IDLE_S, True)])
async def test_it_closes_after_a_minute_without_use(wait_s: float, is_closed: bool) -> None:
    clock, gone = Clock(), asyncio.Event()

    async def note_the_end(peer: Peer) -> None:
        try:
            await take_sealed(peer)
        finally:
            gone.set()

    async with scripted_relay(note_the_end) as relay, a_way(relay, clock) as way:
        await way.send(an_envelope_frame)
        clock.now_s += wait_s
        await way.tend()
        if is_closed:
            await asyncio.wait_for(gone.wait(), 5)
        assert gone.is_set() == is_closed
        await way.send(an_envelope_frame)
        assert len(relay.peers) == 1 + is_closed


async def test_it_is_renewed_after_ten_minutes_of_use() -> None:
    clock = Clock()
    async with scripted_relay(take_sealed) as relay, a_way(relay, clock) as way:
        peers = []
        for _ in range(int(RENEW_AFTER_S // 30) + 1):
            await way.send(an_envelope_frame)
            await way.tend()
            peers.append(len(relay.peers))
            clock.now_s += 30
        assert peers == [1] * int(RENEW_AFTER_S // 30) + [2]


async def test_an_envelope_under_way_is_not_cut_off_by_its_connections_end() -> None:
    clock, may_answer, was_read = Clock(), asyncio.Event(), asyncio.Event()

    async def answer_late(peer: Peer) -> None:
        await peer.greet()
        sealed = await peer.read(f.SendSealed)
        was_read.set()
        await may_answer.wait()
        await peer.say(f.Sent(sealed.rid, "stored", 0))
        await peer.hold()

    async with scripted_relay(answer_late) as relay, a_way(relay, clock) as way:
        sending = asyncio.create_task(way.send(an_envelope_frame))
        await asyncio.wait_for(was_read.wait(), 5)
        clock.now_s += RENEW_AFTER_S
        await way.tend()
        may_answer.set()
        assert (await sending).outcome == "stored"
        assert len(relay.peers) == 1


def another_key(script: Script) -> Script:
    """Greet as a relay that cannot prove the pinned key, after which nothing may come."""

    async def greet_falsely(peer: Peer) -> None:
        hello = await peer.read(f.ClientHello)
        await peer.say(peer.greeting(hello, signer=Ed25519PrivateKey.generate()))
        await script(peer)

    return greet_falsely


async def test_without_the_pinned_key_nothing_is_sent_over_it() -> None:
    async with scripted_relay(admit_and_hold, another_key(Peer.hold)) as relay:
        transport = make_transport(relay)
        async with running(transport) as reports:
            await reports.next(LinkUp)
            with pytest.raises(Refused) as refused:
                await send(transport)
            assert refused.value.code == UNAVAILABLE
            assert [len(message) for message in relay.peers[1].messages] == [1], "a hello and nothing more"
            assert transport.address.fingerprint == relay.fingerprint


async def test_each_receiver_has_a_connection_of_their_own() -> None:
    """Who sends one envelope of a connection tells a relay of no other receiver."""
    async with scripted_relay(admit_and_hold, take_sealed) as relay:
        transport = make_transport(relay)
        async with running(transport) as reports:
            await reports.next(LinkUp)
            for receiver in (b"b", b"c", b"b"):
                to = Uid(receiver * 32)
                await transport.send(an_envelope(ord(receiver)), to, bytes(512), EXPIRY_S, _TOKEN)
            frames = [[frame for message in peer.messages for frame in message] for peer in relay.peers[1:]]
    receivers = [{frame.uid for frame in said if isinstance(frame, f.SendSealed)} for said in frames]
    assert receivers == [{b"b" * 32}, {b"c" * 32}]


async def test_closing_is_final_for_an_envelope_under_way() -> None:
    was_read = asyncio.Event()

    async def hang(peer: Peer) -> None:
        await peer.greet()
        await peer.read(f.SendSealed)
        was_read.set()
        await peer.hold()

    async with scripted_relay(hang) as relay, a_way(relay, Clock()) as way:
        sending = asyncio.create_task(way.send(an_envelope_frame))
        await asyncio.wait_for(was_read.wait(), 5)
        await way.close()
        with pytest.raises(Refused):
            await sending
        assert len(relay.peers) == 1


async def test_connections_that_break_after_answers_are_no_failure() -> None:
    async def answer_one(peer: Peer) -> None:
        await peer.greet()
        sealed = await peer.read(f.SendSealed)
        await peer.say(f.Sent(sealed.rid, "stored", 0))
        await peer.close(1011)

    async with scripted_relay(answer_one) as relay, a_way(relay, Clock()) as way:
        results = await asyncio.gather(*(way.send(an_envelope_frame) for _ in range(8)))
        assert [result.outcome for result in results] == ["stored"] * 8


async def test_the_receiver_used_longest_ago_makes_room() -> None:
    async with scripted_relay(take_sealed) as relay:

        async def dial() -> RelayConnection:
            return await open_connection(
                relay.address, rng=os.urandom, on_news=lambda _: None, patience=PATIENCE
            )

        ways = SealedWays(dial, Clock())
        for number in [*range(MAX_RECEIVERS), 0, MAX_RECEIVERS, 0, 1]:
            await ways.send(Uid(bytes([number]) * 32), an_envelope_frame)
        assert len(relay.peers) == MAX_RECEIVERS + 2, "the second one made room, and came again"
        await ways.close()
