"""Thousands of idle connections (`python -m bench.relay_idle`): what each costs in memory, and all in processor time.

Every one is logged in as a person of its own, and answers the relay's pings. They live in a process of their own, of
low priority, and come from several addresses of the loopback; the relay has the limits of `zap2 serve`. Before they
come, and while they are there, a pair measures how long messages take.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import uvloop
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from bench.relay_load import frames_of
from bench.relay_probe import Latency, probing
from bench.relay_server import ChildProcess, ServerProcess, raise_file_limit, relay_server, split_cores
from tests.relay_client import FrameClient, Person, connected, new_person
from zap2.wire import frames as f
from zap2.wire.fields import SUBPROTOCOL

_AT_ONCE: Final = 10
_SOURCES: Final = 20
"""Addresses that they come from: the limits of sign-ups are per source."""
_SPARE_FILES: Final = 300


def number(n: int) -> str:
    """Give the n-th valid number of a country's mobile range."""
    return f"+49151{23456000 + n}"


async def arrive(port: int, n: int, person: Person) -> ClientConnection:
    """Connect, make an account and log in."""
    socket = await connect(
        f"ws://127.0.0.1:{port}",
        subprotocols=[Subprotocol(SUBPROTOCOL)],
        compression=None,
        ping_interval=None,
        open_timeout=60,
        local_addr=(f"127.0.1.{1 + n % _SOURCES}", 0),
    )
    client = FrameClient(socket)
    await client.greet_only()
    await client.send(f.StartVerification(1, number(n)))
    (started,) = await frames_of(socket)
    assert isinstance(started, f.VerificationStarted), started
    assert started.ticket is not None
    await client.send(client.registration(2, person, started.ticket))
    (registered,) = await frames_of(socket)
    assert isinstance(registered, f.Registered), registered
    await client.send(client.authentication(3, person))
    assert isinstance((await frames_of(socket))[0], f.LoggedIn)
    return socket


async def _crowd(port: int, count: int) -> None:
    """Be many people who do nothing, until standard input ends."""
    os.nice(10)
    arriving = iter(range(10, 10 + count))

    async def some() -> list[ClientConnection]:
        return [await arrive(port, n, Person()) for n in arriving]

    sockets = [
        socket for these in await asyncio.gather(*(some() for _ in range(_AT_ONCE))) for socket in these
    ]
    print(len(sockets), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    there = sum(socket.close_code is None for socket in sockets)
    print(there, flush=True)
    for socket in sockets:
        socket.transport.abort()


async def _measure(connections: int, seconds: float) -> None:
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        relay = relay_server(Path(folder) / "data", "--usual-limits")
        split_cores(relay)
        try:
            await _with_crowd(relay, connections, seconds)
        finally:
            relay.stop()


async def _with_crowd(relay: ServerProcess, connections: int, seconds: float) -> None:
    people = [await new_person(relay.port, number(n)) for n in range(2)]
    for _ in range(50):
        async with connected(relay.port):
            pass
    async with probing(relay.port, *people) as probe:
        quiet = await probe.measure(5)
        before_kib = relay.rss_kib()
        at_s = time.perf_counter()
        crowd = await asyncio.to_thread(
            ChildProcess, "bench.relay_idle", "--crowd", str(relay.port), str(connections)
        )
        took_s = time.perf_counter() - at_s
        after_kib, files = relay.rss_kib(), relay.open_files()
        cpu_s, at_s = relay.cpu_s(), time.perf_counter()
        await asyncio.sleep(seconds)
        cpu_share = (relay.cpu_s() - cpu_s) / (time.perf_counter() - at_s)
        later_kib = relay.rss_kib()
        crowded = await probe.measure(5)
        there = int(await asyncio.to_thread(crowd.stop))
        await asyncio.sleep(5)
        print(
            f"{crowd.number} connections logged in, each after its sign-up, in {took_s:.0f} s; {files} open files"
        )
        print(f"{there} still there after {seconds:.0f} s")
        print(
            f"memory: {before_kib / 1024:.1f} MiB before, {after_kib / 1024:.1f} with them, "
            f"{later_kib / 1024:.1f} {seconds:.0f} s later; {(later_kib - before_kib) / crowd.number:.1f} KiB each"
        )
        print(f"processor time of the relay, pings included: {cpu_share * 100:.1f} % of one core")
        _print_latency("without them", quiet)
        _print_latency("with them", crowded)
        print(f"open files after they went: {relay.open_files()}")
    if there < connections:
        raise SystemExit(1)


def _print_latency(when: str, latency: Latency) -> None:
    (delivered, answered), (late_delivered, late_answered) = latency.typical(), latency.late()
    print(
        f"{when + ':':14} delivered in {delivered:.2f} ms (95 %: {late_delivered:.2f}), "
        f"answered in {answered:.2f} ms (95 %: {late_answered:.2f})"
    )


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--connections", type=int, default=5_000)
    parser.add_argument("--seconds", type=float, default=60, help="how long they stay")
    parser.add_argument("--crowd", type=int, nargs=2, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    raise_file_limit((chosen.crowd[1] if chosen.crowd else chosen.connections) + _SPARE_FILES)
    if chosen.crowd:
        uvloop.run(_crowd(*chosen.crowd))
    else:
        uvloop.run(_measure(chosen.connections, chosen.seconds))


if __name__ == "__main__":
    main()
