"""Mailboxes over real sockets: order, acknowledgement, redelivery, idempotency, bounds, limits."""

from __future__ import annotations

import asyncio
import os

from tests.relay_client import NUMBERS, FrameClient, Person, connected, logged_in, new_person
from tests.relay_host import RelayHost, relay_host
from zap2.server.limits import Limits, Rate
from zap2.wire import frames as f
from zap2.wire.fields import CloseCode, ErrorCode


async def _two(host: RelayHost) -> tuple[Person, Person]:
    return await new_person(host.port, NUMBERS[0]), await new_person(host.port, NUMBERS[1])


def _payload(number: int) -> bytes:
    return number.to_bytes(4, "big") * 128


def _number(deliver: f.Deliver) -> int:
    return int.from_bytes(deliver.payload[:4], "big")


async def _settled(client: FrameClient) -> None:
    """Wait until the relay has worked on everything that this connection sent before."""
    await client.ask(f.RenewToken)


async def test_mail_waits_in_order_until_its_receiver_comes() -> None:
    async with relay_host() as host:
        ada, bob = await _two(host)
        async with logged_in(host.port, ada) as client:
            answers = [await client.mail_to(bob, _payload(n)) for n in range(10)]
        assert [a.position for a in answers if isinstance(a, f.Sent)] == list(range(1, 11))
        assert {a.outcome for a in answers if isinstance(a, f.Sent)} == {"stored"}
        async with logged_in(host.port, bob) as client:
            mail = [await client.next_mail() for _ in range(10)]
        assert [_number(deliver) for deliver in mail] == list(range(10))
        assert [deliver.seq for deliver in mail] == sorted({deliver.seq for deliver in mail})
        assert mail[0].received_at_ms == host.clock.at_ms


async def test_mail_to_somebody_online_arrives_at_once() -> None:
    async with relay_host() as host:
        ada, bob = await _two(host)
        async with logged_in(host.port, bob) as receiver, logged_in(host.port, ada) as sender:
            envelope_id = os.urandom(16)
            await sender.mail_to(bob, _payload(7), envelope_id)
            deliver = await receiver.next_mail()
            assert (_number(deliver), deliver.envelope_id) == (7, envelope_id)


async def test_what_is_not_acknowledged_comes_again_and_what_is_does_not() -> None:
    async with relay_host() as host:
        ada, bob = await _two(host)
        async with logged_in(host.port, ada) as client:
            for n in range(5):
                await client.mail_to(bob, _payload(n))
        async with logged_in(host.port, bob) as client:
            mail = [await client.next_mail() for _ in range(5)]
            await client.send(f.Ack((mail[0].seq, mail[1].seq, mail[3].seq)))
            await _settled(client)
        async with logged_in(host.port, bob) as client:
            again = [await client.next_mail() for _ in range(2)]
            assert [_number(deliver) for deliver in again] == [2, 4]
            assert [deliver.seq for deliver in again] == [mail[2].seq, mail[4].seq]
            await client.send(f.Ack(tuple(deliver.seq for deliver in again)))
            await _settled(client)
        async with logged_in(host.port, bob) as client:
            await client.mail_to(bob, _payload(9))
            assert _number(await client.next_mail()) == 9


async def test_acknowledging_what_was_not_delivered_does_nothing() -> None:
    """Neither to one's own mailbox nor, with a seq beyond all bounds, to a neighbour's."""
    async with relay_host(limits=Limits(window=1)) as host:
        _, bob = await _two(host)
        eve = await new_person(host.port, NUMBERS[2])
        async with logged_in(host.port, bob) as client:
            for n in (1, 2):
                await client.mail_to(bob, _payload(n))
                await client.mail_to(eve, _payload(n))
            first = await client.next_mail()
            await client.send(f.Ack((first.seq + 1, 2**40 + 1, 2**40 + 2, 2**62)))
            await client.ask(f.RenewToken)
        for person in (bob, eve):
            async with logged_in(host.port, person) as client:
                for n in (1, 2):
                    deliver = await client.next_mail()
                    assert _number(deliver) == n
                    await client.send(f.Ack((deliver.seq,)))


async def test_at_most_a_window_is_in_flight() -> None:
    async with relay_host(limits=Limits(window=8)) as host:
        ada, bob = await _two(host)
        async with logged_in(host.port, ada) as client:
            for n in range(30):
                await client.mail_to(bob, _payload(n))
        async with logged_in(host.port, bob) as client:
            numbers: list[int] = []
            mail = [await client.next_mail() for _ in range(8)]
            await _settled(client)
            assert client.mail.empty()
            while True:
                numbers += [_number(deliver) for deliver in mail]
                await client.send(f.Ack(tuple(deliver.seq for deliver in mail)))
                if len(numbers) == 30:
                    break
                mail = [await client.next_mail()]
            assert numbers == list(range(30))


async def test_order_holds_while_mail_arrives_during_a_drain() -> None:
    """What is read from the store and what is pushed at its commit must interleave without a gap or a swap."""
    async with relay_host(limits=Limits(window=8)) as host:
        ada, bob = await _two(host)
        async with logged_in(host.port, ada) as sender:
            for n in range(100):
                await sender.mail_to(bob, _payload(n))
            async with logged_in(host.port, bob) as receiver:
                more = asyncio.create_task(_send_numbers(sender, bob, range(100, 600)))
                numbers = []
                for _ in range(600):
                    deliver = await receiver.next_mail()
                    numbers.append(_number(deliver))
                    await receiver.send(f.Ack((deliver.seq,)))
                await more
        assert numbers == list(range(600))


async def _send_numbers(sender: FrameClient, to: Person, numbers: range) -> None:
    for start in range(numbers.start, numbers.stop, 10):
        await asyncio.gather(*(sender.mail_to(to, _payload(n)) for n in range(start, start + 10)))


async def test_large_mail_is_held_back_by_size_too() -> None:
    """64 envelopes of 64 KiB would be 4 MiB in one connection's buffers."""
    async with relay_host() as host:
        ada, bob = await _two(host)
        async with logged_in(host.port, ada) as client:
            for _ in range(20):
                await client.mail_to(bob, bytes(65536))
        async with logged_in(host.port, bob) as client:
            mail = [await client.next_mail() for _ in range(16)]
            await _settled(client)
            assert client.mail.empty()
            await client.send(f.Ack(tuple(deliver.seq for deliver in mail)))
            assert len([await client.next_mail() for _ in range(4)]) == 4


async def test_a_repeated_send_is_answered_and_not_delivered_twice() -> None:
    async with relay_host() as host:
        ada, bob = await _two(host)
        name = os.urandom(16)
        async with logged_in(host.port, ada) as client:
            for _ in range(3):
                assert isinstance(await client.mail_to(bob, _payload(1), name), f.Sent)
        async with logged_in(host.port, bob) as client:
            deliver = await client.next_mail()
            await client.send(f.Ack((deliver.seq,)))
            await _settled(client)
        async with logged_in(host.port, ada) as client:
            host.clock.advance(29 * 24 * 3600)
            await client.closed()  # its token is over
        async with logged_in(host.port, ada) as client:
            assert isinstance(await client.mail_to(bob, _payload(1), name), f.Sent)
            await client.mail_to(bob, _payload(2))
        async with logged_in(host.port, bob) as client:
            assert _number(await client.next_mail()) == 2


async def test_the_same_id_of_another_sender_is_another_envelope() -> None:
    async with relay_host() as host:
        ada, bob = await _two(host)
        name = os.urandom(16)
        async with logged_in(host.port, ada) as client:
            await client.mail_to(bob, _payload(1), name)
        async with logged_in(host.port, bob) as client:
            await client.mail_to(bob, _payload(2), name)
            assert [_number(await client.next_mail()) for _ in range(2)] == [1, 2]


async def test_a_full_mailbox_is_told_to_the_sender() -> None:
    async with relay_host(limits=Limits(mailbox_messages=3)) as host:
        ada, bob = await _two(host)
        async with logged_in(host.port, ada) as client:
            for n in range(3):
                await client.mail_to(bob, _payload(n))
            error = await client.mail_to(bob, _payload(3))
            assert isinstance(error, f.Error)
            assert (error.code, error.retry_after_s) == (ErrorCode.MAILBOX_FULL, 3600)
            async with logged_in(host.port, bob) as receiver:
                await receiver.send(f.Ack(((await receiver.next_mail()).seq,)))
                await _settled(receiver)
            assert isinstance(await client.mail_to(bob, _payload(3)), f.Sent)


async def test_mail_expires() -> None:
    async with relay_host() as host:
        ada, bob = await _two(host)
        async with logged_in(host.port, ada) as client:
            await client.mail_to(bob, _payload(1), expires_in_s=60)
            await client.mail_to(bob, _payload(2), expires_in_s=3600)
        host.clock.advance(61)
        async with logged_in(host.port, bob) as client:
            assert _number(await client.next_mail()) == 2


async def test_mail_to_nobody_is_refused() -> None:
    async with relay_host() as host:
        ada = await new_person(host.port, NUMBERS[0])
        async with logged_in(host.port, ada) as client:
            error = await client.mail_to(Person())
            assert isinstance(error, f.Error)
            assert error.code == ErrorCode.NOT_FOUND


async def test_mail_needs_a_login() -> None:
    async with relay_host() as host, connected(host.port) as client:
        error = await client.mail_to(Person())
        assert isinstance(error, f.Error)
        assert error.code == ErrorCode.UNAUTHENTICATED
        await client.send(f.Ack((1,)))
        assert await client.closed() == CloseCode.OUT_OF_TURN


async def test_a_flood_is_refused_with_a_time_and_then_cut() -> None:
    limits = Limits(sends_per_account=Rate(5, 1), refusals_before_cut=10)
    async with relay_host(limits=limits) as host:
        ada = await new_person(host.port, NUMBERS[0])
        async with logged_in(host.port, ada) as client:
            answers = [await client.mail_to(ada) for _ in range(6)]
            assert [type(answer) for answer in answers] == [f.Sent] * 5 + [f.Error]
            error = answers[-1]
            assert isinstance(error, f.Error)
            assert error.code == ErrorCode.RATE_LIMITED
            assert error.retry_after_s is not None
            host.clock.advance(error.retry_after_s)
            assert isinstance(await client.mail_to(ada), f.Sent)
            for _ in range(10):
                assert isinstance(await client.mail_to(ada), f.Error)
            await client.send(f.Send(99, os.urandom(16), ada.uid, 1, 60, bytes(512)))
            assert await client.closed() == CloseCode.FLOOD


async def test_bytes_are_limited_too() -> None:
    async with relay_host(limits=Limits(send_bytes_per_account=Rate(100_000, 1000))) as host:
        ada = await new_person(host.port, NUMBERS[0])
        async with logged_in(host.port, ada) as client:
            assert isinstance(await client.mail_to(ada, bytes(65536)), f.Sent)
            error = await client.mail_to(ada, bytes(65536))
            assert isinstance(error, f.Error)
            assert error.code == ErrorCode.RATE_LIMITED


async def test_open_requests_of_a_connection_are_bounded() -> None:
    async with relay_host(limits=Limits(open_requests=4), commit_window_s=0.5) as host:
        ada = await new_person(host.port, NUMBERS[0])
        async with logged_in(host.port, ada) as client:
            sends = [f.Send(100 + n, os.urandom(16), ada.uid, 1, 60, bytes(512)) for n in range(10)]
            await client.send(*sends)
            refused = [await client.next_pushed() for _ in range(6)]  # at once; the others wait for the store
            assert [
                (answer.rid, answer.code, answer.retry_after_s)
                for answer in refused
                if isinstance(answer, f.Error)
            ] == [(100 + n, ErrorCode.RATE_LIMITED, 1) for n in range(4, 10)]
            assert {type(await client.next_pushed()) for _ in range(4)} == {f.Sent}
            assert isinstance(await client.mail_to(ada), f.Sent)


async def test_a_relay_that_stops_answers_what_it_has_accepted() -> None:
    async with relay_host(commit_window_s=0.5) as host:
        ada = await new_person(host.port, NUMBERS[0])
        async with logged_in(host.port, ada) as client:
            await client.mail_to(ada)  # begins a window
            waiting = asyncio.create_task(client.mail_to(ada))
            await asyncio.sleep(0)
            await client.heard()
            await host.relay.stop()
            assert isinstance(await waiting, f.Sent)
            assert await client.closed() == CloseCode.GOING_AWAY
