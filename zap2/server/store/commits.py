"""Group commit: the work of all connections, done by one writer thread in shared transactions.

Theory of operation. The event loop gathers what is to be done. A batch goes to the writer at once when the last one
is longer ago than the window, and otherwise when the window is over; while a batch is being committed the next
one gathers. The writer runs a batch in one transaction and commits it; only then do the results go back, in the
order in which the work was asked for. So an answer means that the work is on disk, at the price of one
`fsync` a batch. Work refuses by returning a value; an exception undoes the whole batch and fails all of it, for
nothing may be half done.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable
from typing import Any, TypeVar, TypeVarTuple

_Args = TypeVarTuple("_Args")
_T = TypeVar("_T")
_Item = tuple[Callable[[Any], None], Callable[..., Any], tuple[Any, ...]]

_log = logging.getLogger("zap2.relay")


class StoreFailed(Exception):
    """The database could not do it: nothing of the batch was stored. The log says why."""


class GroupCommit:
    """The writer thread of one SQLite database.

    Args:
        connect: opens the database; called in the writer's thread.
        window_s: the least time between the starts of two batches.
        undone: called in the writer's thread after a batch was rolled back, to drop what was cached.
    """

    def __init__(
        self,
        connect: Callable[[], sqlite3.Connection],
        window_s: float,
        undone: Callable[[], None],
    ) -> None:
        self._connect = connect
        self._window_s = window_s
        self._undone = undone
        self._batches: queue.SimpleQueue[list[_Item] | None] = queue.SimpleQueue()
        self._gathered: list[_Item] = []
        self._timer: asyncio.Handle | None = None
        self._is_busy = False
        self._flushed_at = 0.0
        self._is_closed = False
        self._thread: threading.Thread | None = None
        self._idle = asyncio.Event()
        self._idle.set()

    async def start(self) -> None:
        """Start the writer and open the database; what `connect` raises is raised here."""
        self._loop = asyncio.get_running_loop()
        opened: asyncio.Future[None] = self._loop.create_future()
        self._thread = threading.Thread(
            target=self._write, args=(opened,), name="zap2-relay-store", daemon=True
        )
        self._thread.start()
        await opened

    async def close(self) -> None:
        """Do what was asked for, commit it, close the database. Later work fails."""
        if self._thread is None:
            return
        self._is_closed = True
        await self._idle.wait()
        self._batches.put(None)
        await asyncio.to_thread(self._thread.join)
        self._thread = None

    def call(self, work: Callable[[*_Args], _T], *args: *_Args) -> asyncio.Future[_T]:
        """Have `work` done in the writer's thread; the future has its result once that is durable."""
        future: asyncio.Future[_T] = self._loop.create_future()

        def done(result: _T | Exception) -> None:
            if future.cancelled():
                return
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)

        self.submit(done, work, *args)
        return future

    def submit(self, done: Callable[[Any], None], work: Callable[[*_Args], Any], *args: *_Args) -> None:
        """As `call`, with a function that gets the result or the exception instead of a future."""
        if self._is_closed:
            self._loop.call_soon(done, StoreFailed("The relay's store is closed."))
            return
        self._gathered.append((done, work, args))
        self._idle.clear()
        if not self._is_busy and self._timer is None:
            self._schedule()

    def _schedule(self) -> None:
        wait_s = self._flushed_at + self._window_s - self._loop.time()
        if wait_s > 0:
            self._timer = self._loop.call_later(wait_s, self._flush)
        else:
            self._timer = self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._timer = None
        self._is_busy = True
        self._flushed_at = self._loop.time()
        batch, self._gathered = self._gathered, []
        self._batches.put(batch)

    def _finished(self, batch: list[_Item], results: list[Any]) -> None:
        self._is_busy = False
        for (done, _, _), result in zip(batch, results, strict=True):
            try:
                done(result)
            except Exception:
                _log.exception("an answer of the store could not be handled")
        if self._gathered:
            if self._timer is None:
                self._schedule()
        else:
            self._idle.set()

    # ------------------------------------------------------------------------------- in the writer's thread

    def _write(self, opened: asyncio.Future[None]) -> None:
        try:
            connection = self._connect()
        except Exception as error:
            self._loop.call_soon_threadsafe(opened.set_exception, error)
            return
        self._loop.call_soon_threadsafe(opened.set_result, None)
        try:
            while (batch := self._batches.get()) is not None:
                results = self._commit(connection, batch)
                self._loop.call_soon_threadsafe(self._finished, batch, results)
        finally:
            connection.close()

    def _commit(self, connection: sqlite3.Connection, batch: list[_Item]) -> list[Any]:
        try:
            connection.execute("BEGIN IMMEDIATE")
            results = [work(*args) for _, work, args in batch]
            connection.execute("COMMIT")
        except Exception as error:
            # Values that were bound to a statement do not occur in SQLite's messages.
            _log.error("the store failed: %s: %s", type(error).__name__, error)
            with contextlib.suppress(
                sqlite3.Error
            ):  # SQLite may have rolled back by itself, as on a full disk.
                connection.execute("ROLLBACK")
            self._undone()
            return [StoreFailed("The relay could not store this.")] * len(batch)
        return results
