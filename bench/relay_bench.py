"""The relay's own processor time for a delivered durable message (`python -m bench.relay_bench`).

50 pairs, 8 messages of 1 KiB in flight each: sent, committed with `synchronous=FULL`, answered, delivered and
acknowledged. The relay is a process of its own, and its processor time is the operating system's accounting of
that process, so the load generator does not enter. Beside it, in the same run and under the same load, servers that
only forward (`bench.relay_floors`): with the asyncio layer of `websockets`, with its Sans-I/O protocol, and with that
and several messages in one; and one with the asyncio layer that stores what it forwards (`bench.relay_durable_floor`).
Rounds alternate; the ratios are what to compare between machines. `--store` takes a `postgresql://` URL of an empty
database and measures a second relay on it.

Then: how many messages a second one receiver drains from a full mailbox and acknowledges, with a client that does
nothing else (the relay's processor time beside it); and the memory of an idle connection, of a relay that has done
nothing yet but warmed up.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import tempfile
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from bench.relay_load import Cost, drain, load_floor, load_relay
from bench.relay_people import published_person
from bench.relay_server import ServerProcess, relay_server, split_cores
from tests.relay_client import NUMBERS, Person, connected, logged_in

_RELAY = "relay, durable (FULL)"
_POSTGRESQL = "relay on PostgreSQL"
_FORWARDING = "bare websockets, forwarding"


async def _idle_cost_kib(server: ServerProcess, people: list[Person], connections: int) -> float:
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


async def _compare(chosen: argparse.Namespace) -> None:
    pairs, in_flight, run_s = chosen.pairs, chosen.in_flight, chosen.seconds
    numbers = NUMBERS[: 2 * pairs]
    rounds: dict[str, Callable[[], Awaitable[Cost]]] = {}
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=Path.cwd())))

        def started(server: ServerProcess) -> ServerProcess:
            stack.callback(server.stop)
            return server

        relay = started(relay_server(folder / "sqlite"))
        floors = {
            kind: started(ServerProcess("bench.relay_floors", kind))
            for kind in ("forwarding", "sans-io", "batches")
        }
        floors["durable"] = started(ServerProcess("bench.relay_durable_floor", str(folder / "floor.sqlite3")))
        servers = [relay, *floors.values()]
        if chosen.store:
            servers.append(started(relay_server(folder / "shared", "--store", chosen.store)))
        split_cores(*servers)
        people = [await published_person(relay.port, number) for number in numbers]
        cost_kib = await _idle_cost_kib(relay, people, chosen.idle)
        rounds[_RELAY] = partial(load_relay, relay, people, in_flight, run_s)
        if chosen.store:
            shared = servers[-1]
            others = [await published_person(shared.port, number) for number in numbers]
            rounds[_POSTGRESQL] = partial(load_relay, shared, others, in_flight, run_s)
        rounds[_FORWARDING] = partial(load_floor, floors["forwarding"], pairs, in_flight, run_s, False)
        rounds["bare websockets, durable (FULL)"] = partial(
            load_floor, floors["durable"], pairs, in_flight, run_s, False
        )
        rounds["Sans-I/O, forwarding"] = partial(
            load_floor, floors["sans-io"], pairs, in_flight, run_s, False
        )
        rounds["Sans-I/O, several in a message"] = partial(
            load_floor, floors["batches"], pairs, in_flight, run_s, True
        )
        results: dict[str, list[Cost]] = {name: [] for name in rounds}
        for _ in range(chosen.rounds):
            for name, measure in rounds.items():
                results[name].append(await measure())
        drains = [await drain(relay, people[0], people[1], chosen.drained) for _ in range(chosen.rounds)]
    _report(chosen, results)
    rate, cost_us = (statistics.median(values) for values in zip(*drains, strict=True))
    print(f"{f'draining {chosen.drained} messages':32} {cost_us:8.1f} {'':8} {rate:9.0f}")
    print(f"{'idle connection':32} {cost_kib:8.1f} KiB  ({chosen.idle} of them, {2 * pairs} logged in)")


def _report(chosen: argparse.Namespace, results: dict[str, list[Cost]]) -> None:
    print(
        f"{chosen.pairs} pairs, {chosen.in_flight} in flight, 1 KiB, "
        f"median of {chosen.rounds} rounds of {chosen.seconds:g} s"
    )
    print(f"{'':32} {'us/msg':>8} {'in loop':>8} {'msg/s':>9} {'of bare':>8}")
    bare_us = statistics.median(cost.cpu_us for cost in results[_FORWARDING])
    for name, costs in results.items():
        cpu_us, loop_us, rate = (
            statistics.median(values)
            for values in zip(*((cost.cpu_us, cost.loop_us, cost.rate) for cost in costs), strict=True)
        )
        print(f"{name:32} {cpu_us:8.1f} {loop_us:8.1f} {rate:9.0f} {cpu_us / bare_us:8.2f}")


def main() -> None:
    """Run it all."""
    import uvloop

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--pairs", type=int, default=50)
    parser.add_argument("--in-flight", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--idle", type=int, default=1_000)
    parser.add_argument("--drained", type=int, default=10_000)
    parser.add_argument("--store", help="a postgresql:// URL: measure a relay on it too")
    uvloop.run(_compare(parser.parse_args()))


if __name__ == "__main__":
    main()
