"""Running a transport in a test, and waiting for what it reports."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

from zap2.client.transport import Arrived, Delivery, Transport, TransportEvent

_EventT = TypeVar("_EventT", bound=TransportEvent)

WAIT_S = 10.0
"""After this long a test gives up waiting."""


class Reports:
    """What a transport reported, in order."""

    def __init__(self) -> None:
        self.all: list[TransportEvent] = []
        self.on_event: Callable[[TransportEvent], None] = lambda _: None
        self._unread: asyncio.Queue[TransportEvent] = asyncio.Queue()

    def __call__(self, event: TransportEvent) -> None:
        """Take a report."""
        self.all.append(event)
        self._unread.put_nowait(event)
        self.on_event(event)

    async def next(self, kind: type[_EventT]) -> _EventT:
        """Wait for the next report of a kind; the others before it are passed over."""
        async with asyncio.timeout(WAIT_S):
            while True:
                event = await self._unread.get()
                if isinstance(event, kind):
                    return event

    async def deliveries(self, count: int) -> list[Delivery]:
        """Wait for a number of deliveries, in as many reports as they come."""
        arrived: list[Delivery] = []
        while len(arrived) < count:
            arrived += (await self.next(Arrived)).deliveries
        return arrived


@asynccontextmanager
async def running(transport: Transport) -> AsyncIterator[Reports]:
    """Run a transport for the length of the context."""
    reports = Reports()
    task = asyncio.create_task(transport.run(reports))
    try:
        yield reports
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something that another task brings about is so, and has no event of its own."""
    step_s = 0.005
    for _ in range(int(WAIT_S / step_s)):
        if condition():
            return
        await asyncio.sleep(step_s)
    raise TimeoutError("what was waited for did not come")


class MemoryTokens:
    """A token store in memory."""

    def __init__(self, token: bytes | None = None) -> None:
        self.token = token
        self._saved: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def load(self) -> bytes | None:
        """Give the token."""
        return self.token

    async def save(self, token: bytes | None) -> None:
        """Keep the token."""
        self.token = token
        self._saved.put_nowait(token)

    async def next_saved(self) -> bytes | None:
        """Wait for the next token that is saved."""
        return await asyncio.wait_for(self._saved.get(), WAIT_S)
