"""The relay's own processor time for a delivered durable message (`python -m bench.relay_bench`).

50 pairs, 8 messages of 1 KiB in flight each: sent, committed with `synchronous=FULL`, answered, delivered and
acknowledged. The relay is a process of its own, and its processor time is the operating system's accounting of
that process, so the load generator does not enter. Beside it, in the same run and under the same load, a bare
`websockets` asyncio server that only forwards: each message one way and a short answer back, nothing stored and
nothing checked. Rounds alternate; the ratio is what to compare between machines.

Then: how many messages a second one receiver drains from a full mailbox and acknowledges, with a client that does
nothing else (the relay's processor time beside it); and the memory of an idle connection, of a relay that has done
nothing yet but warmed up.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from tests.relay_client import NUMBERS, FrameClient, Person, connected, logged_in, new_person
from zap2.server.limits import Limits, Rate
from zap2.server.options import RelayOptions
from zap2.server.relay import Relay
from zap2.wire import frames as f
from zap2.wire.codec import decode_relay_message, encode_message
from zap2.wire.fields import SUBPROTOCOL

_PAYLOAD = bytes(1024)
_ZAP2 = Subprotocol(SUBPROTOCOL)
_UNBOUNDED = Rate(1e9, 1e9)
_RELAY = "relay, durable (FULL)"
_FORWARDING = "bare websockets, forwarding"


class _Load:
    """One pair under load, until `stop`; counts what was delivered."""

    def __init__(self, in_flight: int) -> None:
        self.in_flight = in_flight
        self.delivered = 0
        self.is_stopping = False


async def _relay_sender(socket: ClientConnection, load: _Load, to: Person) -> None:
    rid = open_requests = 0
    while True:
        room = 0 if load.is_stopping else load.in_flight - open_requests
        if room:
            sends = []
            for _ in range(room):
                rid += 1
                sends.append(f.Send(rid, os.urandom(16), to.uid, 1, 3600, _PAYLOAD))
            open_requests += room
            await socket.send(encode_message(sends))
        if not open_requests:
            return
        message = await socket.recv()
        assert isinstance(message, bytes)
        for frame in decode_relay_message(message):
            assert isinstance(frame, f.Sent), frame
            open_requests -= 1


async def _relay_receiver(socket: ClientConnection, load: _Load) -> None:
    async for message in socket:
        assert isinstance(message, bytes)
        seqs = tuple(frame.seq for frame in decode_relay_message(message) if isinstance(frame, f.Deliver))
        if seqs:
            await socket.send(encode_message([f.Ack(seqs)]))
            load.delivered += len(seqs)


async def _forward_sender(socket: ClientConnection, load: _Load) -> None:
    open_requests = 0
    while True:
        while not load.is_stopping and open_requests < load.in_flight:
            await socket.send(_PAYLOAD)
            open_requests += 1
        if not open_requests:
            return
        await socket.recv()
        open_requests -= 1


async def _forward_receiver(socket: ClientConnection, load: _Load) -> None:
    async for _ in socket:
        await socket.send(b"ack")
        load.delivered += 1


async def _serve_relay(data_dir: Path) -> None:
    limits = Limits(
        sends_per_account=_UNBOUNDED,
        send_bytes_per_account=_UNBOUNDED,
        registrations_per_source=_UNBOUNDED,
        verifications_per_source=_UNBOUNDED,
        handshakes_per_source=_UNBOUNDED,
    )
    options = RelayOptions(port=0, data_dir=data_dir, verify="none", limits=limits)
    async with Relay(options) as relay:
        print(relay.port, flush=True)
        await asyncio.to_thread(sys.stdin.read)


async def _serve_forwarding() -> None:
    waiting: dict[str, ServerConnection] = {}
    peers: dict[ServerConnection, ServerConnection] = {}

    async def handle(connection: ServerConnection) -> None:
        assert connection.request is not None
        other = waiting.pop(connection.request.path, None)
        if other is None:
            waiting[connection.request.path] = connection
        else:
            peers[connection], peers[other] = other, connection
        async for message in connection:
            await peers[connection].send(message)

    async with serve(handle, "127.0.0.1", 0, compression=None) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.to_thread(sys.stdin.read)


class _Server:
    """A server process, its port and its processor time."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bench.relay_bench", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def cpu_s(self) -> float:
        # Fields 14 and 15, counted after the name in brackets: all threads' user and system time.
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def pin(self, cpu: int) -> None:
        """Keep all of its threads on one core."""
        for thread in Path(f"/proc/{self.process.pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), {cpu})

    def rss_kib(self) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0])

    def stop(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(20)


async def _measure(
    server: _Server, loads: list[_Load], senders: list[asyncio.Task[None]], run_s: float
) -> tuple[float, float]:
    """Give microseconds of the server's processor time a message, and messages a second."""
    await asyncio.sleep(0.5)
    cpu_s, delivered, at_s = server.cpu_s(), sum(load.delivered for load in loads), time.perf_counter()
    await asyncio.sleep(run_s)
    cpu_s, messages = server.cpu_s() - cpu_s, sum(load.delivered for load in loads) - delivered
    took_s = time.perf_counter() - at_s
    for load in loads:
        load.is_stopping = True
    await asyncio.gather(*senders)
    return cpu_s / messages * 1e6, messages / took_s


async def _load_relay(
    server: _Server, people: list[Person], in_flight: int, run_s: float
) -> tuple[float, float]:
    sockets = [await _open(server, person) for person in people]
    loads = [_Load(in_flight) for _ in range(len(people) // 2)]
    receivers = [
        asyncio.create_task(_relay_receiver(sockets[2 * n + 1], load)) for n, load in enumerate(loads)
    ]
    tasks = [
        asyncio.create_task(_relay_sender(sockets[2 * n], load, people[2 * n + 1]))
        for n, load in enumerate(loads)
    ]
    result = await _measure(server, loads, tasks, run_s)
    for socket in sockets:
        await socket.close()
    await asyncio.gather(*receivers)
    return result


async def _open(server: _Server, person: Person, waits: bool = True) -> ClientConnection:
    """Connect and log in; the answer to the log-in is read here unless mail may come with it."""
    socket = await connect(f"ws://127.0.0.1:{server.port}", subprotocols=[_ZAP2], compression=None)
    client = FrameClient(socket)
    await client.greet_only()
    await socket.send(encode_message([client.authentication(1, person)]))
    if waits:
        assert isinstance((await _frames(socket))[0], f.LoggedIn)
    return socket


async def _load_forwarding(server: _Server, pairs: int, in_flight: int, run_s: float) -> tuple[float, float]:
    sockets = [
        await connect(f"ws://127.0.0.1:{server.port}/{n // 2}", compression=None) for n in range(2 * pairs)
    ]
    loads = [_Load(in_flight) for _ in range(pairs)]
    receivers = [
        asyncio.create_task(_forward_receiver(sockets[2 * n + 1], load)) for n, load in enumerate(loads)
    ]
    tasks = [asyncio.create_task(_forward_sender(sockets[2 * n], load)) for n, load in enumerate(loads)]
    result = await _measure(server, loads, tasks, run_s)
    for socket in sockets:
        await socket.close()
    await asyncio.gather(*receivers)
    return result


async def _idle_cost_kib(server: _Server, people: list[Person], connections: int) -> float:
    """Give the memory that a connection costs; as many of them are logged in as there are people."""
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(50):
            await stack.enter_async_context(connected(server.port))
        before_kib = server.rss_kib()
        for person in people[:connections]:
            await stack.enter_async_context(logged_in(server.port, person))
        for _ in range(connections - len(people)):
            await stack.enter_async_context(connected(server.port))
        return (server.rss_kib() - before_kib) / connections


async def _drain(server: _Server, sender: Person, receiver: Person, messages: int) -> tuple[float, float]:
    """Fill a mailbox, empty it; give messages a second, and microseconds of the server's time a message."""
    socket = await _open(server, sender)
    for start in range(0, messages, 50):
        sends = [f.Send(start + n + 1, os.urandom(16), receiver.uid, 1, 3600, _PAYLOAD) for n in range(50)]
        await socket.send(encode_message(sends))
        answers = 0
        while answers < len(sends):
            answers += sum(isinstance(frame, f.Sent) for frame in await _frames(socket))
    await socket.close()
    cpu_s, at_s = server.cpu_s(), time.perf_counter()
    socket = await _open(server, receiver, waits=False)
    received = 0
    while received < messages:
        seqs = tuple(frame.seq for frame in await _frames(socket) if isinstance(frame, f.Deliver))
        if seqs:
            await socket.send(encode_message([f.Ack(seqs)]))
            received += len(seqs)
    await (await socket.ping())  # The relay has read the last Ack.
    took_s, cpu_s = time.perf_counter() - at_s, server.cpu_s() - cpu_s
    await socket.close()
    return messages / took_s, cpu_s / messages * 1e6


async def _frames(socket: ClientConnection) -> list[f.RelayFrame]:
    message = await socket.recv()
    assert isinstance(message, bytes)
    return decode_relay_message(message)


async def _compare(pairs: int, in_flight: int, rounds: int, run_s: float, idle: int, drained: int) -> None:
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        relay, forwarding = _Server("--relay", folder), _Server("--forwarding")
        first, *others = sorted(os.sched_getaffinity(0))
        if others:  # The generator on a core of its own, the servers, which take turns, on another.
            os.sched_setaffinity(0, {first})
            for server in (relay, forwarding):
                server.pin(others[-1])
        try:
            people = [await new_person(relay.port, NUMBERS[n]) for n in range(2 * pairs)]
            cost_kib = await _idle_cost_kib(relay, people, idle)
            results: dict[str, list[tuple[float, float]]] = {_RELAY: [], _FORWARDING: []}
            for _ in range(rounds):
                results[_RELAY].append(await _load_relay(relay, people, in_flight, run_s))
                results[_FORWARDING].append(await _load_forwarding(forwarding, pairs, in_flight, run_s))
            drains = [await _drain(relay, people[0], people[1], drained) for _ in range(rounds)]
        finally:
            relay.stop()
            forwarding.stop()
    print(f"{pairs} pairs, {in_flight} in flight, 1 KiB, median of {rounds} rounds of {run_s:g} s")
    cost_us: dict[str, float] = {}
    for name, values in results.items():
        cost_us[name] = statistics.median(cost for cost, _ in values)
        rate = statistics.median(rate for _, rate in values)
        print(f"{name:32} {cost_us[name]:7.1f} us/message {rate:8.0f} messages/s")
    print(f"{'ratio':32} {cost_us[_RELAY] / cost_us[_FORWARDING]:7.2f}")
    rate, cost_us_drained = (statistics.median(values) for values in zip(*drains, strict=True))
    print(f"{f'draining {drained} messages':32} {cost_us_drained:7.1f} us/message {rate:8.0f} messages/s")
    print(f"{'idle connection':32} {cost_kib:7.1f} KiB  ({idle} of them, {2 * pairs} logged in)")


def main() -> None:
    """Run a server of the benchmark, or all of it."""
    import uvloop

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--relay", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--forwarding", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--pairs", type=int, default=50)
    parser.add_argument("--in-flight", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--idle", type=int, default=1_000)
    parser.add_argument("--drained", type=int, default=10_000)
    chosen = parser.parse_args()
    if chosen.relay:
        uvloop.run(_serve_relay(chosen.relay))
    elif chosen.forwarding:
        uvloop.run(_serve_forwarding())
    else:
        uvloop.run(
            _compare(
                chosen.pairs, chosen.in_flight, chosen.rounds, chosen.seconds, chosen.idle, chosen.drained
            )
        )


if __name__ == "__main__":
    main()
