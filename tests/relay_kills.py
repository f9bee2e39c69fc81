"""A relay that dies at random moments under load, and what its people have in the end.

Two pairs: the receiver of one is always there, that of the other comes back now and then. Senders do as the protocol
says: what was not answered is sent again, unchanged and first. Each envelope's id says who sent it as which one, so
that in the end every sent message must have been received, in its sender's order; one that was answered and never
received is *lost*.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from websockets.exceptions import ConnectionClosed

from tests.kit.engines import new_database, start_postgres
from tests.relay_client import NUMBERS, FrameClient, Person, logged_in, new_person
from tests.relay_process import RelayProcess, relay_process
from zap2.wire import frames as f

_IN_FLIGHT = 16
_MAX_IN_MAILBOX = 8_000


@dataclass
class _Pair:
    """A sender and a receiver, and what each of them knows."""

    number: int
    sender: Person
    receiver: Person
    is_always_there: bool
    next_number: int = 0
    open: dict[int, None] = field(default_factory=dict)
    answered: set[int] = field(default_factory=set)
    received: list[int] = field(default_factory=list)
    seen: set[int] = field(default_factory=set)
    acknowledged: set[int] = field(default_factory=set)
    came_again: int = 0
    direct: int = 0
    last: int | None = None
    has_last: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, client: FrameClient) -> None:
        """Keep sends in flight until the connection dies: first those that have no answer yet."""
        again = list(self.open)
        room = asyncio.Semaphore(_IN_FLIGHT)
        tasks: set[asyncio.Task[None]] = set()
        with contextlib.suppress(ConnectionClosed, ConnectionError):
            while not any(task.done() and task.exception() for task in tasks):
                await room.acquire()
                number = again.pop(0) if again else self.next_number
                if number == self.next_number:
                    if (
                        not self.is_always_there
                        and len(self.open | dict.fromkeys(self.answered)) - len(self.seen) > _MAX_IN_MAILBOX
                    ):
                        break
                    self.next_number += 1
                self.open[number] = None
                tasks.add(asyncio.create_task(self._send_one(client, number, room)))
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _send_one(self, client: FrameClient, number: int, room: asyncio.Semaphore) -> None:
        try:
            name = self.number.to_bytes(8, "big") + number.to_bytes(8, "big")
            answer = await client.mail_to(self.receiver, number.to_bytes(4, "big") * 256, name)
            if isinstance(answer, f.Sent):
                self.direct += answer.outcome == "direct"
                self.answered.add(number)
                self.open.pop(number, None)
        finally:
            room.release()

    async def receive(self, client: FrameClient) -> None:
        """Take and acknowledge what comes, until the connection dies."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                mail = [await client.mail.get()]
                while not client.mail.empty():
                    mail.append(client.mail.get_nowait())
                for deliver in mail:
                    number = int.from_bytes(deliver.envelope_id[8:], "big")
                    self.came_again += number in self.acknowledged
                    if number not in self.seen:
                        self.seen.add(number)
                        self.received.append(number)
                if self.last in self.seen:
                    self.has_last.set()
                await client.send(f.Ack(tuple(deliver.seq for deliver in mail)))
                self.acknowledged.update(int.from_bytes(deliver.envelope_id[8:], "big") for deliver in mail)


@dataclass
class Toll:
    """What it came to."""

    rounds: int = 0
    sent: int = 0
    answered: int = 0
    direct: int = 0
    lost: int = 0
    out_of_order: int = 0
    came_again: int = 0
    """Deliveries of what had been acknowledged on an earlier connection: allowed, and dropped by the receiver."""


class Disk(Protocol):
    """Where a relay's data is, and how it dies."""

    @property
    def data_dir(self) -> Path:
        """The folder; it may be another one after each death."""
        ...

    @property
    def store(self) -> str:
        """What keeps the mail."""
        ...

    async def kill(self, relay: RelayProcess) -> None:
        """End the relay as this kind of death does."""
        ...


class Folder:
    """An ordinary folder; the relay dies by SIGKILL, and the system keeps what it had written."""

    store = "sqlite"

    def __init__(self, folder: Path) -> None:
        self.data_dir = folder

    async def kill(self, relay: RelayProcess) -> None:
        await relay.kill()


class Database:
    """A PostgreSQL of its own; the relay dies by SIGKILL, and at every third death the database just before it."""

    def __init__(self, folder: Path) -> None:
        self.data_dir = folder
        self._server = start_postgres()
        self.store = new_database(self._server)
        self._deaths = 0

    async def kill(self, relay: RelayProcess) -> None:
        self._deaths += 1
        is_also_gone = self._deaths % 3 == 0
        if is_also_gone:
            await asyncio.to_thread(self._server.stop)
        await relay.kill()
        if is_also_gone:
            await asyncio.to_thread(self._server.start)


class LoopDisk:
    """An ext4 file system in a file; a death is a power cut, after which only what the device held is there.

    The relay is stopped, the file behind the device is copied as it is, without what the system had not written to it
    yet, and the copy takes its place. Needs root and loop devices; use it as a context manager.
    """

    store = "sqlite"

    def __init__(self, folder: Path) -> None:
        self._image, self._mount = folder / "disk", folder / "mount"
        self.data_dir = self._mount / "data"

    def __enter__(self) -> LoopDisk:
        self._mount.mkdir()
        with self._image.open("wb") as image:
            image.truncate(128 * 1024 * 1024)
        _run("mkfs.ext4", "-q", "-F", str(self._image))
        self._attach()
        return self

    def __exit__(self, *_: object) -> None:
        _run("umount", str(self._mount))

    async def kill(self, relay: RelayProcess) -> None:
        relay.process.send_signal(signal.SIGSTOP)
        copy = self._image.with_name("copy")
        await asyncio.to_thread(shutil.copyfile, self._image, copy)
        await relay.kill()
        _run("umount", str(self._mount))
        copy.replace(self._image)
        self._attach()

    def _attach(self) -> None:
        _run("mount", "-o", "loop", str(self._image), str(self._mount))


def _run(*command: str) -> None:
    subprocess.run(command, check=True)


async def die_often(disk: Disk, rounds: int, rng: random.Random, longest_s: float = 0.6) -> Toll:
    """Let a relay die `rounds` times under load, let everybody finish, and count.

    Args:
        disk: where its data is.
        rounds: deaths.
        rng: chooses the moments.
        longest_s: the most time under load before a death.
    """
    async with relay_process(disk.data_dir, store=disk.store) as relay:
        people = [await new_person(relay.port, NUMBERS[n]) for n in range(4)]
    pairs = [_Pair(n, people[2 * n], people[2 * n + 1], n == 0) for n in range(2)]
    toll = Toll(rounds)
    for number in range(rounds):
        comes_back = number % 4 == 3
        async with (
            relay_process(disk.data_dir, store=disk.store) as relay,
            _at_work(relay, pairs, comes_back),
        ):
            await asyncio.sleep(rng.uniform(0.02, longest_s))
            await disk.kill(relay)
    async with relay_process(disk.data_dir, store=disk.store) as relay:
        for pair in pairs:
            await _finish(relay, pair)
    for pair in pairs:
        toll.sent += pair.next_number
        toll.answered += len(pair.answered)
        toll.direct += pair.direct
        toll.lost += len(pair.answered - pair.seen)
        toll.out_of_order += sum(
            later < earlier for earlier, later in zip(pair.received, pair.received[1:], strict=False)
        )
        toll.came_again += pair.came_again
    return toll


@asynccontextmanager
async def _at_work(relay: RelayProcess, pairs: list[_Pair], comes_back: bool) -> AsyncIterator[None]:
    """Have everybody connected and at work; ends when the relay is dead and all have noticed."""
    async with contextlib.AsyncExitStack() as stack:
        work: list[asyncio.Task[None]] = []
        receiving: list[asyncio.Task[None]] = []
        for pair in pairs:
            client = await stack.enter_async_context(logged_in(relay.port, pair.sender))
            work.append(asyncio.create_task(pair.send(client)))
            if pair.is_always_there or comes_back:
                client = await stack.enter_async_context(logged_in(relay.port, pair.receiver))
                receiving.append(asyncio.create_task(pair.receive(client)))
        yield
        await asyncio.gather(*work)
        for task in receiving:
            task.cancel()
        await asyncio.gather(*receiving, return_exceptions=True)


async def _finish(relay: RelayProcess, pair: _Pair) -> None:
    """Send what is open, and receive until nothing is left."""
    async with logged_in(relay.port, pair.sender) as sender, logged_in(relay.port, pair.receiver) as receiver:
        receiving = asyncio.create_task(pair.receive(receiver))
        for number in list(pair.open):
            await pair._send_one(sender, number, asyncio.Semaphore())
        last = pair.last = pair.next_number
        pair.next_number += 1
        await pair._send_one(sender, last, asyncio.Semaphore())
        async with asyncio.timeout(60):
            await pair.has_last.wait()
        receiving.cancel()
        await asyncio.gather(receiving, return_exceptions=True)
