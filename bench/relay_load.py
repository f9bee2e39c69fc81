"""Pairs of clients under load, for a relay and for the floors beside it: the same shape of traffic for each.

Every sender keeps a number of messages in flight. A relay's receiver acknowledges what came in one message with one
Ack; the receivers of the floors answer in the same shape, one short answer for each message.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from bench.relay_server import ServerProcess
from tests.relay_client import FrameClient, Person
from zap2.wire import frames as f
from zap2.wire.codec import decode_relay_message, encode_message
from zap2.wire.fields import SUBPROTOCOL

PAYLOAD = bytes(1024)
_ANSWER = b"ack"
_decode_parts: Callable[[bytes], list[bytes]] = msgspec.msgpack.Decoder(list[bytes]).decode
_encode_parts = msgspec.msgpack.Encoder().encode


@dataclass
class Cost:
    """What a round came to."""

    cpu_us: float
    """The server's processor time a message."""
    loop_us: float
    """Of it, that of the event loop's thread."""
    rate: float
    """Messages a second."""


class Load:
    """One pair under load, until it is stopping; counts what was delivered."""

    def __init__(self, in_flight: int) -> None:
        self.in_flight = in_flight
        self.delivered = 0
        self.is_stopping = False


async def frames_of(socket: ClientConnection) -> list[f.RelayFrame]:
    """Receive one message of a relay."""
    return decode_relay_message(await _received(socket))


async def _received(socket: ClientConnection) -> bytes:
    message = await socket.recv()
    assert isinstance(message, bytes)
    return message


async def open_socket(
    port: int, person: Person, waits: bool = True, source: str = "127.0.0.1"
) -> ClientConnection:
    """Connect and log in; the answer to the log-in is read here unless mail may come with it."""
    socket = await connect(
        f"ws://127.0.0.1:{port}",
        subprotocols=[Subprotocol(SUBPROTOCOL)],
        compression=None,
        local_addr=(source, 0),
    )
    client = FrameClient(socket)
    await client.greet_only()
    await socket.send(encode_message([client.authentication(1, person)]))
    if waits:
        assert isinstance((await frames_of(socket))[0], f.LoggedIn)
    return socket


async def load_relay(server: ServerProcess, people: list[Person], in_flight: int, run_s: float) -> Cost:
    """Have every second person send to the next one, each pair from an address of its own."""
    sockets = [
        await open_socket(server.port, person, source=f"127.0.3.{1 + n // 2 % 250}")
        for n, person in enumerate(people)
    ]

    async def send(n: int, load: Load) -> None:
        rid = 0

        async def some(count: int) -> None:
            nonlocal rid
            to = people[2 * n + 1].uid
            sends = [f.Send(rid + k, os.urandom(16), to, 1, 3600, PAYLOAD) for k in range(1, count + 1)]
            rid += count
            await sockets[2 * n].send(encode_message(sends))

        async def answers() -> int:
            answers = await frames_of(sockets[2 * n])
            assert all(isinstance(answer, f.Sent) for answer in answers), answers
            return len(answers)

        await _keep_in_flight(load, some, answers)

    async def receive(n: int, load: Load) -> None:
        async for message in sockets[2 * n + 1]:
            assert isinstance(message, bytes)
            seqs = tuple(frame.seq for frame in decode_relay_message(message) if isinstance(frame, f.Deliver))
            if seqs:
                await sockets[2 * n + 1].send(encode_message([f.Ack(seqs)]))
                load.delivered += len(seqs)

    return await _run(server, sockets, in_flight, run_s, send, receive)


async def load_floor(
    server: ServerProcess, pairs: int, in_flight: int, run_s: float, in_batches: bool
) -> Cost:
    """Have pairs send to each other through a server that knows no more than who is a pair."""
    uri = f"ws://127.0.0.1:{server.port}"
    sockets = [await connect(f"{uri}/{n // 2}", compression=None) for n in range(2 * pairs)]

    async def put(socket: ClientConnection, part: bytes, count: int) -> None:
        if in_batches:
            await socket.send(_encode_parts([part] * count))
        else:
            for _ in range(count):
                await socket.send(part)

    async def send(n: int, load: Load) -> None:
        async def some(count: int) -> None:
            await put(sockets[2 * n], PAYLOAD, count)

        async def answers() -> int:
            message = await _received(sockets[2 * n])
            return len(_decode_parts(message)) if in_batches else 1

        await _keep_in_flight(load, some, answers)

    async def receive(n: int, load: Load) -> None:
        async for message in sockets[2 * n + 1]:
            assert isinstance(message, bytes)
            count = len(_decode_parts(message)) if in_batches else 1
            await put(sockets[2 * n + 1], _ANSWER, count)
            load.delivered += count

    return await _run(server, sockets, in_flight, run_s, send, receive)


async def _keep_in_flight(
    load: Load, some: Callable[[int], Awaitable[None]], answers: Callable[[], Awaitable[int]]
) -> None:
    unanswered = 0
    while True:
        room = 0 if load.is_stopping else load.in_flight - unanswered
        if room:
            await some(room)
            unanswered += room
        if not unanswered:
            return
        unanswered -= await answers()


async def _run(
    server: ServerProcess,
    sockets: list[ClientConnection],
    in_flight: int,
    run_s: float,
    send: Callable[[int, Load], Coroutine[Any, Any, None]],
    receive: Callable[[int, Load], Coroutine[Any, Any, None]],
) -> Cost:
    loads = [Load(in_flight) for _ in range(len(sockets) // 2)]
    receivers = [asyncio.create_task(receive(n, load)) for n, load in enumerate(loads)]
    senders = [asyncio.create_task(send(n, load)) for n, load in enumerate(loads)]
    await asyncio.sleep(0.5)
    cpu_s, loop_s, at_s = server.cpu_s(), server.loop_cpu_s(), time.perf_counter()
    delivered = sum(load.delivered for load in loads)
    await asyncio.sleep(run_s)
    cpu_s, loop_s = server.cpu_s() - cpu_s, server.loop_cpu_s() - loop_s
    messages = sum(load.delivered for load in loads) - delivered
    took_s = time.perf_counter() - at_s
    for load in loads:
        load.is_stopping = True
    await asyncio.gather(*senders)
    for socket in sockets:
        await socket.close()
    await asyncio.gather(*receivers)
    return Cost(cpu_s / messages * 1e6, loop_s / messages * 1e6, messages / took_s)


async def drain(
    server: ServerProcess, sender: Person, receiver: Person, messages: int
) -> tuple[float, float]:
    """Fill a mailbox, empty it; give messages a second, and microseconds of the server's time a message."""
    socket = await open_socket(server.port, sender)
    for start in range(0, messages, 50):
        sends = [f.Send(start + n + 1, os.urandom(16), receiver.uid, 1, 3600, PAYLOAD) for n in range(50)]
        await socket.send(encode_message(sends))
        answers = 0
        while answers < len(sends):
            answers += sum(isinstance(frame, f.Sent) for frame in await frames_of(socket))
    await socket.close()
    cpu_s, at_s = server.cpu_s(), time.perf_counter()
    socket = await open_socket(server.port, receiver, waits=False)
    received = 0
    while received < messages:
        seqs = tuple(frame.seq for frame in await frames_of(socket) if isinstance(frame, f.Deliver))
        if seqs:
            await socket.send(encode_message([f.Ack(seqs)]))
            received += len(seqs)
    await (await socket.ping())  # The relay has read the last Ack.
    took_s, cpu_s = time.perf_counter() - at_s, server.cpu_s() - cpu_s
    await socket.close()
    return messages / took_s, cpu_s / messages * 1e6
