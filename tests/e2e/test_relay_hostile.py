"""Hostile bytes cost a connection at most, never the relay; and what the relay keeps tells little."""

from __future__ import annotations

import asyncio
import os
import random
from functools import partial
from pathlib import Path

import msgspec
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidMessage
from websockets.typing import Subprotocol

from tests.relay_client import NUMBERS, Person, connected, logged_in, new_person
from tests.relay_host import RelayHost, relay_host
from zap2.server.limits import Limits
from zap2.server.transport import Patience
from zap2.wire import frames as f
from zap2.wire.codec import encode_message
from zap2.wire.fields import MAX_MESSAGE_SIZE_B, SUBPROTOCOL, CloseCode


async def _still_works(host: RelayHost, person: Person) -> None:
    async with logged_in(host.port, person) as client:
        assert isinstance(await client.mail_to(person), f.Sent)


@pytest.mark.parametrize(
    ("garbage", "code"),
    [
        (b"", CloseCode.MALFORMED),
        (b"\xc1", CloseCode.MALFORMED),
        (b"\x90", CloseCode.MALFORMED),
        (os.urandom(5000), CloseCode.MALFORMED),
        (b"\x91" * 100_000, CloseCode.MALFORMED),
        (msgspec.msgpack.encode([[99, 1]]), CloseCode.MALFORMED),
        (msgspec.msgpack.encode([[64, 1]]), CloseCode.MALFORMED),
        (msgspec.msgpack.encode([[4, 0]]), CloseCode.MALFORMED),
        (msgspec.msgpack.encode([[4, 1]] * 65), CloseCode.MALFORMED),
        (encode_message([f.ClientHello(bytes(32))]), CloseCode.OUT_OF_TURN),
        (bytes(MAX_MESSAGE_SIZE_B + 1), CloseCode.MESSAGE_TOO_BIG),
        ("text", CloseCode.UNSUPPORTED),
    ],
)
async def test_garbage_costs_its_connection(garbage: bytes | str, code: CloseCode) -> None:
    async with relay_host() as host:
        person = await new_person(host.port, NUMBERS[0])
        async with connected(host.port) as before_login, logged_in(host.port, person) as after_login:
            for client in (before_login, after_login):
                await client.send_raw(garbage)
                assert await client.closed() == code
        await _still_works(host, person)


async def test_a_request_before_the_hello_ends_the_connection() -> None:
    async with relay_host() as host:
        uri = f"ws://127.0.0.1:{host.port}"
        async with connect(uri, subprotocols=[Subprotocol(SUBPROTOCOL)]) as socket:
            await socket.send(encode_message([f.RenewToken(1)]))
            await asyncio.wait_for(socket.wait_closed(), 10)
            assert socket.close_code == CloseCode.OUT_OF_TURN


async def test_a_rid_in_use_ends_the_connection() -> None:
    async with relay_host() as host:
        person = await new_person(host.port, NUMBERS[0])
        async with logged_in(host.port, person) as client:
            await client.send(f.Lookup(77, NUMBERS[0]), f.Lookup(77, NUMBERS[0]))
            assert await client.closed() == CloseCode.OUT_OF_TURN


async def test_damaged_frames_of_every_kind_never_hurt_the_relay(caplog: pytest.LogCaptureFixture) -> None:
    """Flips bytes in valid messages, before and after log-in, from a fixed seed."""
    dice = random.Random(4)
    async with relay_host() as host:
        person = await new_person(host.port, NUMBERS[0])
        samples: list[f.Frame] = [
            f.ClientHello(bytes(32)),
            f.Authenticate(1, bytes(65), 1, bytes(64)),
            f.Resume(2, bytes(32)),
            f.RenewToken(3),
            f.StartVerification(5, NUMBERS[1]),
            f.CheckCode(6, NUMBERS[1], "123456"),
            f.Register(7, bytes(32), bytes(65), bytes(64), 1, bytes(64)),
            f.Publish(8, bytes(2900), (bytes(1668),)),
            f.Fetch(9, person.uid, 1, True),
            f.Lookup(10, NUMBERS[0]),
            f.Send(11, bytes(16), person.uid, 1, 60, bytes(512)),
            f.Ack((1, 2, 3)),
            f.SetDeliveryToken(12, bytes(32)),
            f.SendSealed(13, bytes(32), bytes(16), person.uid, 1, 60, bytes(512)),
        ]
        for round_ in range(60):
            async with connected(host.port) as client:
                if round_ % 2:
                    await client.log_in(person)
                for _ in range(10):
                    message = bytearray(encode_message(dice.sample(samples, 3)))
                    for _ in range(dice.randint(0, 3)):
                        message[dice.randrange(len(message))] = dice.randrange(256)
                    try:
                        await client.send_raw(bytes(message))
                    except ConnectionClosed:
                        break
                await client.abandon()
        host.clock.advance(3600)
        await _still_works(host, person)
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


async def test_connections_are_bounded_in_number() -> None:
    async with relay_host(limits=Limits(connections=3)) as host:
        async with connected(host.port), connected(host.port), connected(host.port):
            with pytest.raises((ConnectionError, InvalidMessage)):
                async with connected(host.port):
                    pass
        await _until_empty(host)
        async with connected(host.port):
            pass


async def test_connections_of_one_source_are_bounded() -> None:
    limits = Limits(connections_per_source=2)
    async with relay_host(limits=limits) as host, connected(host.port), connected(host.port):
        with pytest.raises((ConnectionError, InvalidMessage)):
            async with connected(host.port):
                pass


async def test_a_silent_socket_is_dropped_by_the_running_relay() -> None:
    async with relay_host(patience=Patience(handshake_s=0.05)) as host:
        _, writer = await asyncio.open_connection("127.0.0.1", host.port)
        await _until_empty(host, at_least_once=True)
        writer.close()


async def test_who_never_says_hello_or_never_logs_in_is_cut() -> None:
    async with relay_host() as host, connected(host.port) as greeted:
        uri = f"ws://127.0.0.1:{host.port}"
        async with connect(uri, subprotocols=[Subprotocol(SUBPROTOCOL)]) as mute:
            host.clock.advance(11)
            await asyncio.wait_for(mute.wait_closed(), 10)
            assert mute.close_code == CloseCode.SILENT
        await greeted.ask(f.RenewToken)  # still there
        host.clock.advance(3600)
        assert await greeted.closed() == CloseCode.SILENT


async def _until_empty(host: RelayHost, at_least_once: bool = False) -> None:
    for _ in range(2_000):
        if at_least_once and host.relay.connection_count:
            at_least_once = False
        elif not at_least_once and not host.relay.connection_count:
            return
        await asyncio.sleep(0.005)
    raise TimeoutError("the connections never went")


async def test_the_data_folder_holds_no_clear_number_no_token_and_no_sender(tmp_path: Path) -> None:
    async with relay_host(tmp_path / "data", verify="log") as host:
        people = []
        for number in NUMBERS[:2]:
            person = Person()
            async with connected(host.port) as client:
                await client.ask(partial(_start, number))
                ticket = await client.get(f.Ticket, partial(_check, number, host.codes.sent[-1][1]))
                await client.register(person, ticket.ticket)
                people.append(person)
        ada, bob = people
        async with logged_in(host.port, ada) as client:
            await client.mail_to(bob)
        kept = b"".join(path.read_bytes() for path in (tmp_path / "data").iterdir() if path.is_file())
        assert len(kept) > 10_000
        assert bob.uid in kept  # what is looked for is found when it is there
        for number in NUMBERS[:2]:
            for form in (number, number[1:], number[3:], number[5:]):
                assert form.encode() not in kept
        assert ada.token not in kept
        for _, code in host.codes.sent:
            assert code.encode() not in kept


def _start(number: str, rid: int) -> f.StartVerification:
    return f.StartVerification(rid, number)


def _check(number: str, code: str, rid: int) -> f.CheckCode:
    return f.CheckCode(rid, number, code)


async def test_the_data_folder_is_private(tmp_path: Path) -> None:
    async with relay_host(tmp_path / "data") as host:
        await new_person(host.port, NUMBERS[0])
        folder = tmp_path / "data"
        assert folder.stat().st_mode & 0o777 == 0o700
        modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
        assert {"relay.key", "hashing.key", "relay.sqlite3", "relay.sqlite3-wal"} <= set(modes)
        assert set(modes.values()) == {0o600}


async def test_what_requests_cost_later_is_told_step_by_step() -> None:
    """It counts towards the connection's share of the relay's time, though others do that work."""
    async with relay_host() as host:
        person = await new_person(host.port, NUMBERS[0])
        async with logged_in(host.port, person):
            sessions = [one for one in host.relay._connections.values() if one and one.uid == person.uid]
            send = f.Send(101, bytes(16), person.uid, 1, 60, bytes(512))
            look = f.Lookup(102, NUMBERS[0])
            message = encode_message([send, look, f.Ack((1,))])
            sent, looked, acknowledged = sessions[0].message_received(message)
    assert 0 == acknowledged < sent < looked < 0.001
