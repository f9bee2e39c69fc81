"""A relay with people who come and go for a while (`python -m bench.relay_soak`), and its memory minute by minute.

People connect, log in with their key or with a token, send to each other, take and acknowledge some or all of their
mail, and leave properly, by dropping the socket, in mid-handshake or with nonsense. Nobody sends what the receiver's
mailbox could not hold. In the end everybody comes back and takes the rest: what was answered must be there.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import uvloop
from websockets.exceptions import ConnectionClosed

from bench.relay_idle import number
from bench.relay_server import ChildProcess, ServerProcess, raise_file_limit, relay_server, split_cores
from tests.relay_client import FrameClient, Person, connected, new_person
from zap2.wire import frames as f

_AT_ONCE: Final = 100
_MAX_UNRECEIVED: Final = 2_000
_SIZES_B: Final = (512, 1024, 1024, 1024, 4096, 16384)
_SAMPLED_EVERY_S: Final = 5.0
_WARM_AFTER: Final = 1 / 3
"""The share of the run after which memory is to be flat."""
_FLAT_KIB: Final = 4_096
"""Growth from the warm relay to the end that is not called flat any more."""


@dataclass
class _Member:
    """A person, and what their mailbox should have."""

    person: Person
    expected: set[bytes] = field(default_factory=set)
    """Ids of envelopes that were answered and not received yet."""
    received: set[bytes] = field(default_factory=set)
    """Ids that came before their sender had the answer."""
    is_busy: bool = False


@dataclass
class _Crowd:
    """Everybody, and what was done."""

    port: int
    members: list[_Member]
    dice: random.Random
    visits: int = 0
    sent: int = 0
    received: int = 0
    broken: int = 0

    async def come_and_go(self, until: float) -> None:
        """Visit the relay again and again as somebody who is not there."""
        while time.monotonic() < until:
            member = self.dice.choice(self.members)
            if member.is_busy:
                await asyncio.sleep(0.01)
                continue
            member.is_busy = True
            try:
                self.visits += 1
                if self.dice.random() < 0.1:
                    await self._break_off()
                else:
                    await self._visit(member)
            except (ConnectionClosed, OSError):  # A time-out too, on a machine that is too busy.
                self.broken += 1
            finally:
                member.is_busy = False

    async def _break_off(self) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        request = b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
        writer.write(
            request[: self.dice.randrange(len(request))] if self.dice.random() < 0.5 else os.urandom(99)
        )
        await writer.drain()
        await asyncio.sleep(self.dice.random() * 0.2)
        writer.transport.abort()

    async def _visit(self, member: _Member) -> None:
        dice = self.dice
        async with connected(self.port) as client:
            token = member.person.token
            answer = (
                await client.ask(lambda rid: f.Resume(rid, token)) if token and dice.random() < 0.5 else None
            )
            if not isinstance(answer, f.LoggedIn):
                await client.log_in(member.person)
            for _ in range(dice.randrange(12)):
                to = dice.choice(self.members)
                if len(to.expected) < _MAX_UNRECEIVED:
                    await self._send(client, to)
                await self._take(client, member)
                await asyncio.sleep(dice.random() * 0.1)
            end = dice.random()
            if end < 0.1:
                await client.send_raw(os.urandom(40))
            elif end < 0.4:
                await client.abandon()

    async def _send(self, client: FrameClient, to: _Member) -> None:
        name = os.urandom(16)
        answer = await client.mail_to(to.person, bytes(self.dice.choice(_SIZES_B)), name)
        if isinstance(answer, f.Sent):
            self.sent += 1
            if name in to.received:
                to.received.discard(name)
            else:
                to.expected.add(name)

    async def _take(self, client: FrameClient, member: _Member) -> None:
        seqs = []
        while not client.mail.empty():
            deliver = client.mail.get_nowait()
            if deliver.envelope_id in member.expected:
                member.expected.discard(deliver.envelope_id)
            else:
                member.received.add(deliver.envelope_id)
            self.received += 1
            seqs.append(deliver.seq)
        if seqs:
            await client.send(f.Ack(tuple(seqs)))

    async def finish(self) -> int:
        """Let everybody take all of their mail; give how many that were answered never came."""
        for member in self.members:
            async with connected(self.port) as client:
                await client.log_in(member.person)
                with contextlib.suppress(TimeoutError):
                    while member.expected:
                        async with asyncio.timeout(3):
                            deliver = await client.mail.get()
                        member.expected.discard(deliver.envelope_id)
                        self.received += 1
                        await client.send(f.Ack((deliver.seq,)))
        return sum(len(member.expected) for member in self.members)


async def _people(port: int, count: int, seconds: float, seed: int) -> None:
    """Be the people, in a process of their own; print the sums."""
    os.nice(10)
    members = [_Member(await new_person(port, number(n))) for n in range(count)]
    print(len(members), flush=True)
    crowd = _Crowd(port, members, random.Random(seed))
    until = time.monotonic() + seconds
    await asyncio.gather(*(crowd.come_and_go(until) for _ in range(_AT_ONCE)))
    lost = await crowd.finish()
    print(
        f"{crowd.visits} visits, {crowd.broken} of them cut short, {crowd.sent} sent, {crowd.received} received"
    )
    print(f"{lost} lost", flush=True)
    if lost:
        raise SystemExit(1)


async def _soak(chosen: argparse.Namespace) -> bool:
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        relay = relay_server(Path(folder) / "data")
        split_cores(relay)
        try:
            crowd = await asyncio.to_thread(ChildProcess, "bench.relay_soak", *_arguments(relay.port, chosen))
            samples = await _sampled(relay, chosen.minutes * 60)
            print(await asyncio.to_thread(crowd.stop), end="")
            is_whole = crowd.process.returncode == 0 and relay.is_up()
            print(f"{relay.open_files()} open files in the end")
        finally:
            relay.stop()
    by_minute = [
        statistics.median(kib for at_s, kib in samples if at_s // 60 == minute)
        for minute in range(int(samples[-1][0] // 60) + 1)
    ]
    print("memory by minute, MiB: " + " ".join(f"{kib / 1024:.1f}" for kib in by_minute))
    warm = by_minute[int(len(by_minute) * _WARM_AFTER)]
    print(f"from the warm relay to the end: {(by_minute[-1] - warm) / 1024:+.1f} MiB")
    return is_whole and by_minute[-1] - warm < _FLAT_KIB


def _arguments(port: int, chosen: argparse.Namespace) -> list[str]:
    return [
        *("--port", str(port)),
        *("--people", str(chosen.people)),
        *("--minutes", str(chosen.minutes)),
        *("--seed", str(chosen.seed)),
    ]


async def _sampled(relay: ServerProcess, seconds: float) -> list[tuple[float, int]]:
    start = time.monotonic()
    samples: list[tuple[float, int]] = []
    while (at_s := time.monotonic() - start) < seconds:
        samples.append((at_s, relay.rss_kib()))
        await asyncio.sleep(_SAMPLED_EVERY_S)
    return samples


def main() -> None:
    """Run it; fails when the relay's memory grew, or something was lost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--people", type=int, default=400)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    raise_file_limit(1_000)
    if chosen.port:
        uvloop.run(_people(chosen.port, chosen.people, chosen.minutes * 60, chosen.seed))
    elif not uvloop.run(_soak(chosen)):
        sys.exit(1)


if __name__ == "__main__":
    main()
