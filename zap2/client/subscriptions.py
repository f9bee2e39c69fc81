"""Handing events to several listeners."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from zap2.client.api import Event


class Subscriptions:
    """Every listener gets every event from its subscription on, in order."""

    def __init__(self) -> None:
        self._queues: set[asyncio.Queue[Event | None]] = set()

    def publish(self, event: Event) -> None:
        """Hand an event to all listeners."""
        for queue in self._queues:
            queue.put_nowait(event)

    def close(self) -> None:
        """End all iterations after what was published so far."""
        for queue in self._queues:
            queue.put_nowait(None)

    @asynccontextmanager
    async def listen(self) -> AsyncIterator[AsyncIterator[Event]]:
        """Subscribe for the length of the context."""
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        self._queues.add(queue)
        try:
            yield _iterate(queue)
        finally:
            self._queues.discard(queue)


async def _iterate(queue: asyncio.Queue[Event | None]) -> AsyncIterator[Event]:
    while (event := await queue.get()) is not None:
        yield event
