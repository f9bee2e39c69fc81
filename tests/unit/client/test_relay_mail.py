"""What goes over an open link: deliveries in their window, and requests that are answered or fail."""

from __future__ import annotations

import asyncio

import pytest

from tests.kit.accounts import (
    admit_and_hold,
    delivery,
    longest,
    make_transport,
)
from tests.kit.links import WAIT_S, running
from tests.kit.scripted_relay import Peer, scripted_relay
from zap2.client.transport import Arrived, LinkConnecting, LinkDown, LinkUp, Outcome, StockLow
from zap2.errors import Refused, Unreachable
from zap2.ids import EnvelopeId, Uid
from zap2.wire import frames as f

_SOMEBODY = Uid(b"s" * 32)


# ----------------------------------------------------------------------------------------------- deliveries


async def test_deliveries_of_one_message_arrive_together_and_after_link_up() -> None:
    async def deliver(peer: Peer) -> None:
        await peer.greet()
        login = await peer.read(f.Authenticate)
        # In the very message that lets the client in.
        await peer.say(f.LoggedIn(login.rid, b"t" * 32, 900, 0, 0, -1, 0), delivery(1), delivery(2))
        await peer.say(delivery(3))
        await peer.hold()

    async with scripted_relay(deliver) as relay, running(make_transport(relay)) as reports:
        assert len((await reports.next(Arrived)).deliveries) == 2
        (third,) = (await reports.next(Arrived)).deliveries
        assert (third.envelope, len(third.payload)) == ((3).to_bytes(16, "big"), 512)
        assert [type(event) for event in reports.all] == [LinkConnecting, LinkUp, Arrived, Arrived]


async def test_acknowledging_names_the_relays_numbers_and_only_those_of_this_connection() -> None:
    acks: list[tuple[int, ...]] = []
    done = asyncio.Event()

    async def break_off(peer: Peer) -> None:
        await peer.admit()
        await peer.say(delivery(7))
        await peer.close(1001)

    async def note_acks(peer: Peer) -> None:
        await peer.admit()
        await peer.say(delivery(7), delivery(9))
        acks.append((await peer.read(f.Ack)).seqs)
        done.set()
        await peer.hold()

    async with scripted_relay(break_off, note_acks) as relay:
        transport = make_transport(relay)
        async with running(transport) as reports:
            (old,) = await reports.deliveries(1)
            await reports.next(LinkDown)
            again, other = await reports.deliveries(2)
            assert again.envelope == old.envelope
            # The old token must not acknowledge what came again under the same number.
            await transport.acknowledge([old.token])
            await transport.acknowledge([other.token, again.token, again.token])
            await asyncio.wait_for(done.wait(), WAIT_S)
    assert acks == [(9, 7)]


async def test_a_relay_that_ignores_its_window_is_disconnected() -> None:
    async def flood(peer: Peer) -> None:
        await peer.admit()
        for seq in range(1, 65):
            await peer.say(delivery(seq))
        await peer.say(delivery(65))
        await peer.hold()

    async with scripted_relay(flood, admit_and_hold) as relay, running(make_transport(relay)) as reports:
        arrived = await reports.deliveries(64)
        down = await reports.next(LinkDown)
        assert "more than it may" in down.reason
        assert len(arrived) == sum(len(e.deliveries) for e in reports.all if isinstance(e, Arrived)) == 64


async def test_what_is_in_flight_and_comes_again_on_the_same_connection_is_not_news() -> None:
    async def stutter(peer: Peer) -> None:
        await peer.admit()
        await peer.say(delivery(1))
        await peer.say(*(delivery(1) for _ in range(64)))
        await peer.say(delivery(1), delivery(2))
        await peer.hold()

    async with scripted_relay(stutter) as relay, running(make_transport(relay)) as reports:
        assert [d.envelope[-1] for d in await reports.deliveries(2)] == [1, 2]


async def test_acknowledged_deliveries_make_room_in_the_window() -> None:
    async def deliver(peer: Peer) -> None:
        await peer.admit()
        await peer.say(*(delivery(seq) for seq in range(1, 65)))
        await peer.read(f.Ack)
        await peer.say(delivery(65))
        await peer.hold()

    async with scripted_relay(deliver) as relay:
        transport = make_transport(relay)
        async with running(transport) as reports:
            first = await reports.deliveries(64)
            await transport.acknowledge([first[0].token])
            (last,) = await reports.deliveries(1)
            assert last.envelope == (65).to_bytes(16, "big")


async def test_a_low_stock_is_told_once_until_prekeys_are_published() -> None:
    async def tell(peer: Peer) -> None:
        await peer.admit()
        await peer.say(f.StockLow(20), f.StockLow(19))
        request = await peer.read(f.Publish)
        await peer.say(f.Published(request.rid, 100, 3, 99))
        request = await peer.read(f.Publish)
        await peer.say(f.Published(request.rid, 100, 3, 99), f.StockLow(18))
        await peer.say(delivery(1))
        await peer.hold()

    async with scripted_relay(tell) as relay:
        transport = make_transport(relay)
        async with running(transport) as reports:
            await reports.next(StockLow)
            await transport.publish(b"set", [])
            await transport.publish(b"set", [])
            await reports.next(Arrived)
            assert [e.stock for e in reports.all if isinstance(e, StockLow)] == [20, 18]


# ------------------------------------------------------------------------------------------------- requests


async def test_requests_without_a_link_failat_once_with_the_reason() -> None:
    async with scripted_relay(admit_and_hold) as relay:
        address = relay.address
    transport = make_transport(address, jitter=longest)
    with pytest.raises(Unreachable, match="not open yet"):
        await transport.look_up("+4915123456000")
    async with running(transport) as reports:
        await reports.next(LinkDown)
        with pytest.raises(Unreachable, match="Nobody listens"):
            await transport.send(EnvelopeId(bytes(16)), _SOMEBODY, bytes(512), 60)
        await transport.acknowledge([1])


async def test_requests_under_way_fail_when_the_link_breaks() -> None:
    async def break_off(peer: Peer) -> None:
        await peer.admit()
        await peer.read(f.Send)
        await peer.read(f.Send)
        peer.websocket.transport.abort()

    async with scripted_relay(break_off, admit_and_hold) as relay:
        transport = make_transport(relay)
        async with running(transport) as reports:
            await reports.next(LinkUp)
            failures = await asyncio.gather(
                *(transport.send(EnvelopeId(bytes([n]) * 16), _SOMEBODY, bytes(512), 60) for n in (1, 2)),
                return_exceptions=True,
            )
            assert [type(failure) for failure in failures] == [Unreachable] * 2
            await reports.next(LinkUp)


async def test_sends_of_one_turn_leave_in_one_message_in_order_and_are_pipelined() -> None:
    async def take_all_then_answer(peer: Peer) -> None:
        await peer.admit()
        sends = [await peer.read(f.Send) for _ in range(10)]
        assert [send.envelope_id[0] for send in sends] == list(range(10))
        assert all(send.expires_in_s == 30 * 24 * 3600 for send in sends)
        await peer.say(*(f.Sent(s.rid, "direct" if s.envelope_id[0] % 2 else "stored", 1) for s in sends))
        await peer.hold()

    async with scripted_relay(take_all_then_answer) as relay:
        transport = make_transport(relay)
        async with running(transport) as reports:
            await reports.next(LinkUp)
            outcomes = await asyncio.gather(
                *(
                    transport.send(EnvelopeId(bytes([n]) * 16), _SOMEBODY, bytes(512), 10**9)
                    for n in range(10)
                )
            )
            assert outcomes == [Outcome.STORED, Outcome.DIRECT] * 5
        assert len(relay.peers[0].messages) == 3


async def test_publishing_more_pairs_than_one_request_holds_takes_several() -> None:
    seen: list[tuple[bytes | None, int]] = []

    async def publish(peer: Peer) -> None:
        await peer.admit()
        for _ in range(3):
            request = await peer.read(f.Publish)
            seen.append((request.signed_set, len(request.pairs)))
            await peer.say(f.Published(request.rid, sum(n for _, n in seen), 1, 0))
        await peer.hold()

    async with scripted_relay(publish) as relay:
        transport = make_transport(relay)
        async with running(transport) as reports:
            await reports.next(LinkUp)
            assert await transport.publish(b"set", [b"pair"] * 230) == 230
    assert seen == [(b"set", 100), (None, 100), (None, 30)]


async def test_a_refused_request_leaves_the_link_up() -> None:
    async def refuse(peer: Peer) -> None:
        await peer.admit()
        request = await peer.read(f.Fetch)
        await peer.say(f.Error(request.rid, "no-prekeys", "none", 60.0))
        request = await peer.read(f.Fetch)
        await peer.say(f.Bundle(request.rid, bytes(65), bytes(64), b"set", None))
        await peer.hold()

    async with scripted_relay(refuse) as relay:
        transport = make_transport(relay)
        async with running(transport) as reports:
            await reports.next(LinkUp)
            with pytest.raises(Refused) as refused:
                await transport.fetch(_SOMEBODY)
            assert (refused.value.code, refused.value.retry_after_s) == ("no-prekeys", 60.0)
            keys = await transport.fetch(_SOMEBODY)
            assert (keys.document, keys.signed_set, keys.one_time) == (bytes(65), b"set", None)
