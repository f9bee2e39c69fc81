"""One pair that sends a message every few milliseconds: how long delivery and answer take, whatever else goes on."""

from __future__ import annotations

import asyncio
import contextlib
import os
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from bench.relay_load import PAYLOAD, open_socket
from tests.relay_client import Person
from zap2.wire import frames as f
from zap2.wire.codec import decode_relay_message, encode_message

_EVERY_S: Final = 0.01
_SETTLE_S: Final = 0.3


@dataclass
class Latency:
    """Times in milliseconds, of all messages of a while."""

    delivered_ms: list[float] = field(default_factory=list)
    answered_ms: list[float] = field(default_factory=list)

    def typical(self) -> tuple[float, float]:
        """Give the medians of delivery and answer."""
        return statistics.median(self.delivered_ms), statistics.median(self.answered_ms)

    def late(self) -> tuple[float, float]:
        """Give the 95th percentiles of delivery and answer."""
        return _percentile_95(self.delivered_ms), _percentile_95(self.answered_ms)


def _percentile_95(times_ms: list[float]) -> float:
    return statistics.quantiles(times_ms, n=20)[18]


class Probe:
    """A connected pair; `measure` as often as there is something to measure.

    Args:
        sending: a connection that has logged in.
        receiving: another one.
        to: whose that is.
    """

    def __init__(self, sending: ClientConnection, receiving: ClientConnection, to: Person) -> None:
        self._sending, self._receiving, self._to = sending, receiving, to
        self._sent_at: dict[bytes, float] = {}
        self._rids: dict[int, float] = {}
        self._rid = 0
        self._latency = Latency()
        self._all_came = asyncio.Event()

    async def measure(self, seconds: float) -> Latency:
        """Send at an even pace, whether or not answers come, then wait for all of them.

        Raises:
            TimeoutError: a message or an answer never came.
        """
        latency = self._latency = Latency()
        sent = 0
        start = time.perf_counter()
        while (due := start + sent * _EVERY_S) < start + seconds:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            self._rid += 1
            self._all_came.clear()
            name = os.urandom(16)
            self._sent_at[name] = self._rids[self._rid] = time.perf_counter()
            send = f.Send(self._rid, name, self._to.uid, 1, 3600, PAYLOAD)
            await self._sending.send(encode_message([send]))
            sent += 1
        async with asyncio.timeout(30):
            await self._all_came.wait()
        return latency

    async def receive(self) -> None:
        """Take and acknowledge what comes, until the connection is closed."""
        with contextlib.suppress(ConnectionClosed):
            async for message in self._receiving:
                assert isinstance(message, bytes)
                now = time.perf_counter()
                mail = [frame for frame in decode_relay_message(message) if isinstance(frame, f.Deliver)]
                await self._receiving.send(encode_message([f.Ack(tuple(frame.seq for frame in mail))]))
                for frame in mail:
                    self._latency.delivered_ms.append((now - self._sent_at.pop(frame.envelope_id)) * 1000)
                self._note()

    async def answers(self) -> None:
        """Take the answers, until the connection is closed."""
        with contextlib.suppress(ConnectionClosed):
            async for message in self._sending:
                assert isinstance(message, bytes)
                now = time.perf_counter()
                for frame in decode_relay_message(message):
                    assert isinstance(frame, f.Sent), frame
                    self._latency.answered_ms.append((now - self._rids.pop(frame.rid)) * 1000)
                self._note()

    def _note(self) -> None:
        if not self._sent_at and not self._rids:
            self._all_came.set()


@asynccontextmanager
async def probing(port: int, sender: Person, receiver: Person) -> AsyncIterator[Probe]:
    """Connect a pair."""
    sending, receiving = await open_socket(port, sender), await open_socket(port, receiver)
    probe = Probe(sending, receiving, receiver)
    tasks = [asyncio.create_task(probe.receive()), asyncio.create_task(probe.answers())]
    await asyncio.sleep(_SETTLE_S)
    try:
        yield probe
    finally:
        await sending.close()
        await receiving.close()
        await asyncio.gather(*tasks)
