"""Two relays over one PostgreSQL and one Redis are one relay to their users, and stay it when one of these is gone."""

from __future__ import annotations

import asyncio
import os
import time
import urllib.request
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed

from tests.kit.engines import empty_database, new_database, redis_url, start_postgres, start_redis
from tests.relay_client import NUMBERS, FrameClient, Person, connected, logged_in, new_person
from tests.relay_cluster import relay_cluster
from tests.relay_process import relay_process
from zap2.errors import UsageError
from zap2.server.limits import Limits, Rate
from zap2.server.options import RelayOptions
from zap2.server.relay import Relay
from zap2.wire import frames as f
from zap2.wire.fields import CloseCode, ErrorCode


async def _pass_on(sender: FrameClient, receiver: FrameClient, to: Person, name: bytes) -> None:
    """Send a message and see it delivered as the next one."""
    assert isinstance(await sender.mail_to(to, envelope_id=name), f.Sent)
    delivery = await receiver.next_mail()
    assert delivery.envelope_id == name
    await receiver.send(f.Ack((delivery.seq,)))


async def _median_s(sender: FrameClient, receiver: FrameClient, to: Person) -> float:
    """Give the median time of a message's way."""
    times: list[float] = []
    for number in range(15):
        start = time.perf_counter()
        await _pass_on(sender, receiver, to, bytes([number]) * 16)
        times.append(time.perf_counter() - start)
    return sorted(times)[len(times) // 2]


@pytest.mark.parametrize("has_redis", [True, False])
async def test_a_message_reaches_a_client_of_the_other_relay_at_once(tmp_path: Path, has_redis: bool) -> None:
    """Through Redis, and through PostgreSQL's notifications where there is none; polling would take a second."""
    async with relay_cluster(tmp_path, tokens=redis_url() if has_redis else "store") as cluster:
        here, there = cluster.ports
        alice, bob = await new_person(here, NUMBERS[0]), await new_person(there, NUMBERS[1])
        async with logged_in(here, alice) as sender, logged_in(there, bob) as receiver:
            median_s = await _median_s(sender, receiver, bob)
            assert median_s < 0.25, f"{median_s * 1000:.1f} ms"


async def test_mail_from_two_relays_comes_in_order_and_once(tmp_path: Path) -> None:
    async with relay_cluster(tmp_path, tokens=redis_url()) as cluster:
        here, there = cluster.ports
        alice, bob, carol = [await new_person(here, NUMBERS[n]) for n in range(3)]
        async with (
            logged_in(here, alice) as near,
            logged_in(there, bob) as far,
            logged_in(here, carol) as receiver,
        ):
            asked = [
                client.mail_to(carol, envelope_id=bytes([kind]) + number.to_bytes(15, "big"))
                for number in range(60)
                for kind, client in ((1, near), (2, far))
            ]
            answers = asyncio.gather(*asked)
            deliveries = []
            for _ in asked:
                deliveries.append(await receiver.next_mail())
                await receiver.send(f.Ack((deliveries[-1].seq,)))
            assert all(isinstance(answer, f.Sent) for answer in await answers)
            assert [d.seq for d in deliveries] == sorted({d.seq for d in deliveries})
            assert len({d.envelope_id for d in deliveries}) == len(asked)


async def test_a_device_has_one_connection_whichever_relay_it_is_at(tmp_path: Path) -> None:
    async with relay_cluster(tmp_path, tokens=redis_url()) as cluster:
        here, there = cluster.ports
        alice, bob = await new_person(here, NUMBERS[0]), await new_person(here, NUMBERS[1])
        async with logged_in(here, bob) as older, connected(there) as newer:
            answer = await newer.get(f.LoggedIn, lambda rid: f.Resume(rid, bob.token))
            assert answer.token == bob.token
            assert await older.closed() == CloseCode.REPLACED
            async with logged_in(here, alice) as sender:
                await _pass_on(sender, newer, bob, bytes(16))


@pytest.mark.parametrize("has_redis", [True, False])
async def test_who_lost_a_number_hears_of_it_at_the_other_relay(tmp_path: Path, has_redis: bool) -> None:
    """At once, not only at the next log-in; and whoever has the number now hears nothing."""
    async with relay_cluster(tmp_path, tokens=redis_url() if has_redis else "store") as cluster:
        here, there = cluster.ports
        old, new = await new_person(there, NUMBERS[0]), Person()
        async with logged_in(there, old) as loser, connected(here) as client:
            await loser.get(f.Done, lambda rid: f.SetPin(rid, "4711"))
            started = await client.get(
                f.VerificationStarted, lambda rid: f.StartVerification(rid, NUMBERS[0])
            )
            ticket = started.ticket
            assert ticket is not None
            await client.get(f.Registered, lambda rid: client.registration(rid, new, ticket, pin="4711"))
            assert await loser.next_pushed() == f.NumberLost()
        async with logged_in(here, new) as winner:
            await winner.get(f.TokenIssued, f.RenewToken)
            assert winner.pushed.empty()


async def test_a_limit_holds_over_both_relays(tmp_path: Path) -> None:
    limits = Limits(lookups_per_account=Rate(10, 0.001))
    async with relay_cluster(tmp_path, tokens=redis_url(), limits=limits) as cluster:
        here, there = cluster.ports
        alice = await new_person(here, NUMBERS[0])
        async with logged_in(here, alice) as client:
            for _ in range(10):
                await client.get(f.Found, lambda rid: f.Lookup(rid, NUMBERS[0]))
            refused = await client.refused(lambda rid: f.Lookup(rid, NUMBERS[0]))
            assert refused.code == ErrorCode.RATE_LIMITED
        async with logged_in(there, alice) as client:
            answers = [await client.ask(lambda rid: f.Lookup(rid, NUMBERS[0])) for _ in range(20)]
            found = sum(isinstance(answer, f.Found) for answer in answers)
            # What goes through before the first answer of Redis, and no more.
            assert found < 5


async def test_redis_may_go_and_come_back(tmp_path: Path) -> None:
    """Mail goes on, log-ins with the key go on; a token is no longer found. After it, all is as before."""
    redis = start_redis()
    async with relay_cluster(tmp_path, tokens=redis.url) as cluster:
        here, there = cluster.ports
        alice, bob = await new_person(here, NUMBERS[0]), await new_person(there, NUMBERS[1])
        async with logged_in(here, alice) as sender, logged_in(there, bob) as receiver:
            await _median_s(sender, receiver, bob)
            redis.stop()
            for number in range(20):
                await _pass_on(sender, receiver, bob, bytes([100 + number]) * 16)
            async with connected(here) as client:
                refused = await client.refused(lambda rid: f.Resume(rid, alice.token))
                assert refused.code == ErrorCode.TOKEN_UNKNOWN
                await client.log_in(alice)
        redis.start()
        async with logged_in(here, alice) as sender, logged_in(there, bob) as receiver:
            for number in range(60):
                await _pass_on(sender, receiver, bob, bytes([150 + number]) * 16)
            # A token of the time after it serves again, as soon as Redis is asked again.
            for _ in range(400):
                async with connected(there) as client:
                    await client.log_in(bob)
                    answer = None
                async with connected(here) as client:
                    answer = await client.ask(lambda rid: f.Resume(rid, bob.token))
                    if isinstance(answer, f.LoggedIn):
                        break
            assert isinstance(answer, f.LoggedIn)
    redis.stop()


async def test_without_redis_relays_stay_ready_and_say_that_they_are_degraded(tmp_path: Path) -> None:
    """All relays lose it at once; if that made them unready, nobody would be served although mail still flows."""
    redis = start_redis()
    async with relay_cluster(tmp_path, tokens=redis.url, metrics_port=0) as cluster:
        ports = [relay.metrics_port for relay in cluster.relays]
        assert await _both(ports, "/readyz", "ok") == [200, 200]
        assert await _both(ports, "/metrics", "zap2_redis_up 1.0") == [200, 200]
        redis.stop()
        assert await _both(ports, "/readyz", "ok, degraded: Redis does not answer") == [200, 200]
        assert await _both(ports, "/metrics", "zap2_redis_up 0.0") == [200, 200]
        redis.start()
        assert await _both(ports, "/readyz", "ok") == [200, 200]
    redis.stop()


async def _both(ports: list[int], path: str, line: str) -> list[int]:
    """Ask until the answers have a line; give their statuses."""
    for _ in range(600):
        answers = [await asyncio.to_thread(_get, port, path) for port in ports]
        if all(line in text.splitlines() for _, text in answers):
            return [status for status, _ in answers]
        await asyncio.sleep(0.05)
    raise TimeoutError(f"never said {line!r}: {answers}")


def _get(port: int, path: str) -> tuple[int, str]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        return answer.status, answer.read().decode()


async def test_postgresql_may_restart_and_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    server = start_postgres()
    async with relay_cluster(tmp_path, store=new_database(server), tokens=redis_url()) as cluster:
        here, there = cluster.ports
        alice, bob = await new_person(here, NUMBERS[0]), await new_person(there, NUMBERS[1])
        names = [os.urandom(16) for _ in range(60)]
        safe: set[bytes] = set()
        async with logged_in(here, alice) as sender, logged_in(there, bob) as receiver:

            async def send() -> None:
                for name in names:
                    for _ in range(400):
                        if isinstance(await sender.mail_to(bob, envelope_id=name), f.Sent):
                            safe.add(name)
                            break
                        await asyncio.sleep(0.05)

            sending = asyncio.create_task(send())
            got = [await receiver.next_mail() for _ in range(10)]
            await receiver.send(f.Ack(tuple(d.seq for d in got)))
            await asyncio.to_thread(server.stop)
            await asyncio.to_thread(server.start)
            while len(got) < len(names):
                got.append(await receiver.next_mail())
                await receiver.send(f.Ack((got[-1].seq,)))
            await sending
        assert [d.envelope_id for d in got] == names
        assert safe == set(names)
    server.stop()


async def test_one_relay_is_killed_in_mid_traffic_and_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    """Its clients go on at the other one, with what they had no answer for; a token of the dead relay is good there."""
    store, tokens = empty_database(), redis_url()
    keys_dir = tmp_path / "keys"
    async with (
        relay_process(tmp_path / "dying", store=store, tokens=tokens, keys_dir=keys_dir) as dying,
        relay_process(tmp_path / "staying", store=store, tokens=tokens, keys_dir=keys_dir) as staying,
    ):
        alice, bob = await new_person(dying.port, NUMBERS[0]), await new_person(dying.port, NUMBERS[1])
        names = [os.urandom(16) for _ in range(80)]
        safe: set[bytes] = set()

        async def send(port: int, some: list[bytes]) -> None:
            async with connected(port) as client:
                if alice.token:
                    await client.get(f.LoggedIn, lambda rid: f.Resume(rid, alice.token))
                else:
                    await client.log_in(alice)
                for name in some:
                    if isinstance(await client.mail_to(bob, envelope_id=name), f.Sent):
                        safe.add(name)
                        if len(safe) == 30:
                            await dying.kill()

        async with logged_in(staying.port, bob) as receiver:
            with pytest.raises((ConnectionError, ConnectionClosed)):
                await send(dying.port, names)
            assert 30 <= len(safe) < len(names)
            await send(staying.port, [name for name in names if name not in safe])
            got: list[f.Deliver] = []
            while len(got) < len(names):
                got.append(await receiver.next_mail())
                await receiver.send(f.Ack((got[-1].seq,)))
        assert safe == set(names)
        assert [d.envelope_id for d in got] == names
        assert staying.process.returncode is None


async def test_a_relay_with_other_keys_is_refused(tmp_path: Path) -> None:
    """It would find no number, and its address would be another one."""
    async with relay_cluster(tmp_path, count=1) as cluster:
        store = cluster.relays[0]._options.store
        stranger = Relay(RelayOptions(port=0, data_dir=tmp_path / "stranger", store=store))
        with pytest.raises(UsageError, match="other keys"):
            await stranger.start()
