"""Keeping in touch with the other relays of a store, by the best line that works, and without any if need be.

Theory of operation. What is said goes out on the first line that takes it: Redis, where there is one, then
PostgreSQL. All lines are listened to at all times, so relays need not agree on one. A line that comes back makes this
relay look into all mailboxes once. While the best line is not heard, and seldom otherwise, the relay asks
the store in one query which of the mailboxes of its devices have something new: this alone would deliver everything,
only later.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from zap2.server.shared.hub import SharedHub
from zap2.server.shared.signals import Line, LineDown, Signal
from zap2.server.store.commits import StoreFailed
from zap2.server.tasks import end

_log = logging.getLogger("zap2.relay")
_POLL_S: Final = 1.0
_POLLED_ANYWAY: Final = 15
"""In so many polls there is one although all is well."""
_MAX_WAITING: Final = 10_000


class Neighbours:
    """What one relay knows of the others. Make it, give its `say` to the hub, then `open` it with that hub.

    Args:
        lines: the best one first.
        last_seqs: asks the store for the newest seqs of mailboxes.
    """

    def __init__(
        self, lines: Sequence[Line], last_seqs: Callable[[Sequence[int]], Awaitable[dict[int, int]]]
    ) -> None:
        self._lines = lines
        self._last_seqs = last_seqs
        self._waiting: list[Signal] = []
        self._has_waiting = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self, hub: SharedHub) -> None:
        """Listen, speak and poll from now on."""
        for line in self._lines:
            await line.open(hub)
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._speak()), loop.create_task(self._poll(hub))]

    async def close(self) -> None:
        """Say what is still to be said, then nothing more."""
        for task in self._tasks:
            await end(task)
        await self._tell()
        for line in self._lines:
            await line.close()

    def say(self, signal: Signal) -> None:
        """Tell the other relays soon. What is too much is dropped: polling makes up for it."""
        if len(self._waiting) < _MAX_WAITING:
            self._waiting.append(signal)
            self._has_waiting.set()

    async def _speak(self) -> None:
        while True:
            await self._has_waiting.wait()
            self._has_waiting.clear()
            await self._tell()

    async def _tell(self) -> None:
        signals, self._waiting = self._waiting, []
        for line in self._lines:
            try:
                await line.say(signals)
                break
            except LineDown:
                continue
            except Exception:
                _log.exception("the other relays could not be told")

    async def _poll(self, hub: SharedHub) -> None:
        seen: dict[int, int] = {}
        rounds = 0
        while True:
            await asyncio.sleep(_POLL_S)
            rounds += 1
            here = hub.mailboxes()
            if not here or (self._lines[0].is_listening and rounds % _POLLED_ANYWAY):
                continue
            try:
                newest = await self._last_seqs(here)
            except StoreFailed:  # The store has logged it.
                continue
            for mailbox, seq in newest.items():
                if seen.get(mailbox) != seq:
                    hub.wake(mailbox)
            seen = newest
