"""Group commit: the work of all connections, done by one writer thread in shared transactions.

Theory of operation. The event loop gathers what is to be done. A batch goes to the writer at once when the last one
is longer ago than the window, and otherwise when the window is over; while a batch is being committed the next
one gathers. The writer runs a batch in one transaction and commits it; only then do the results go back, in the
order in which the work was asked for. So an answer means that the work is on disk, at the price of one
`fsync` a batch. Work refuses by returning a value; an exception undoes the whole batch and fails all of it, for
nothing may be half done. Work that was asked for in patience starts no window for other work: a batch that has nothing
else in it delays none.

Mail, which is most of the work, comes in groups: one call for all of a batch's deposits costs less than one call
for each. And mail may be *pending*: told of in one batch and finished in a later one (`zap2.server.store.mail`). As
long as something is pending, batches go on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar, TypeVarTuple

_Args = TypeVarTuple("_Args")
_T = TypeVar("_T")
Tell = Callable[[Any], None]
Call = tuple[Callable[..., None], tuple[Any, ...]]
"""What is to be called in the event loop after the commit."""

_log = logging.getLogger("zap2.relay")
ENOUGH: Final = 32
"""Work that is worth a commit; what can wait comes with the next batch, lest this one take long for everybody."""

MUCH: Final = 128
"""Work for which whoever comes next would wait too long."""


def _tell_nobody() -> None:
    """Nobody waits for the writer."""


class StoreFailed(Exception):
    """The database could not do it: nothing of the batch was stored. The log says why."""


class Pending(Protocol):
    """Work that may be finished in a later batch; all of it is called in the writer's thread."""

    def due_in_s(self) -> float | None:
        """Give when the next batch should come; None when nothing waits. Between batches the event loop asks."""

    def finish(self, is_last: bool) -> list[Call]:
        """Write what is due, before the commit of each batch; all of it when no further batch is sure to come."""

    def drop(self) -> list[Tell]:
        """Forget everything, after a rollback; gives who is to be told that it failed."""


class NothingPending:
    """Finishes all work in its own batch."""

    def due_in_s(self) -> float | None:
        return None

    def finish(self, is_last: bool) -> list[Call]:
        return []

    def drop(self) -> list[Tell]:
        return []


@dataclass(slots=True)
class _Group:
    """Items that one call works on. `tell` has those who wait for one of them each."""

    work: Callable[[Any], list[Call]]
    items: list[Any]
    tell: list[Tell]

    def do(self) -> list[Call]:
        return self.work(self.items)


@dataclass(slots=True)
class _Single:
    """One call with one result."""

    work: Callable[..., Any]
    args: tuple[Any, ...]
    tell: list[Tell]

    def do(self) -> list[Call]:
        result = self.work(*self.args)
        return [(done, (result,)) for done in self.tell]


_Batch = Sequence[_Group | _Single]


class GroupCommit:
    """The writer thread of one SQLite database.

    Args:
        connect: opens the database; called in the writer's thread.
        window_s: the least time between the starts of two batches.
        undone: called in the writer's thread after a batch was rolled back, to drop what was cached.
        pending: work that may be finished in a later batch.
    """

    def __init__(
        self,
        connect: Callable[[], sqlite3.Connection],
        window_s: float,
        undone: Callable[[], None],
        pending: Pending | None = None,
    ) -> None:
        self._connect = connect
        self._window_s = window_s
        self._undone = undone
        self._pending = pending or NothingPending()
        self._batches: queue.SimpleQueue[tuple[_Batch, bool] | None] = queue.SimpleQueue()
        self._gathered: list[_Group | _Single] = []
        self._gathered_count = 0
        self._ahead: _Group | None = None
        self._timer: asyncio.Handle | None = None
        self._can_hurry = False
        self._is_busy = False
        self._is_urgent = False
        self._flushed_at = self._urgent_at = -math.inf
        self.is_patient = False
        """Set while what is asked for can wait for what others ask for."""
        self._is_closed = False
        self._thread: threading.Thread | None = None
        self._tell_idle: Callable[[], None] = _tell_nobody
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

    @property
    def is_busy(self) -> bool:
        """Whether a batch is with the writer, or enough has gathered for the next one."""
        return self._is_busy or self._gathered_count >= ENOUGH

    @property
    def is_swamped(self) -> bool:
        """Whether so much has gathered that whoever comes next would wait for long."""
        return self._gathered_count >= MUCH

    def when_idle(self, tell: Callable[[], None]) -> None:
        """Call this in the event loop each time the writer has finished a batch."""
        self._tell_idle = tell

    async def close(self) -> None:
        """Do what was asked for, commit it, close the database. Later work fails."""
        if self._thread is None:
            return
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._schedule()
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

    def submit(self, done: Tell, work: Callable[[*_Args], Any], *args: *_Args) -> None:
        """As `call`, with a function that gets the result or the exception instead of a future."""
        if self._is_closed:
            self._loop.call_soon(done, StoreFailed("The relay's store is closed."))
            return
        self._gathered.append(_Single(work, args, [done]))
        self._gathered_count += 1
        self._wake()

    def join(self, done: Tell, work: Callable[[list[_T]], list[Call]], item: _T) -> None:
        """Have `work` done with `item` and its neighbours of the same work together; it gives whom to tell what.

        Always give the same object as `work`. On failure `done` gets the exception.
        """
        if self._is_closed:
            self._loop.call_soon(done, StoreFailed("The relay's store is closed."))
            return
        gathered = self._gathered
        if gathered and isinstance(last := gathered[-1], _Group) and last.work is work:
            last.items.append(item)
            last.tell.append(done)
        else:
            gathered.append(_Group(work, [item], [done]))
        self._gathered_count += 1
        self._wake()

    def join_ahead(self, work: Callable[[list[_T]], list[Call]], item: _T) -> None:
        """Have `work` done with all its items of a batch together and before the rest of it; nobody is told.

        For one kind of work only. After `close` it is dropped.
        """
        if self._is_closed:
            return
        if self._ahead is None:
            self._ahead = _Group(work, [item], [])
        else:
            self._ahead.items.append(item)
        self._wake()

    def _wake(self) -> None:
        self._idle.clear()
        becomes_urgent = not (self.is_patient or self._is_urgent)
        if becomes_urgent:
            self._is_urgent = True
        if self._timer is not None and (becomes_urgent or self._can_hurry):
            self._timer.cancel()
            self._timer = None
        if not self._is_busy and self._timer is None:
            self._schedule()

    def _schedule(self, due_in_s: float = 0.0) -> None:
        self._can_hurry = due_in_s > self._window_s
        last_at = self._urgent_at if self._is_urgent else self._flushed_at
        wait_s = max(due_in_s, last_at + self._window_s - self._loop.time())
        if wait_s > 0 and not self._is_closed:
            self._timer = self._loop.call_later(wait_s, self._flush)
        else:
            self._timer = self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._timer = None
        self._is_busy = True
        self._flushed_at = self._loop.time()
        if self._is_urgent:
            self._urgent_at = self._flushed_at
            self._is_urgent = False
        batch, self._gathered, self._gathered_count = self._gathered, [], 0
        if self._ahead is not None:
            batch.insert(0, self._ahead)
            self._ahead = None
        self._batches.put((batch, self._is_closed))

    def _finished(self, calls: list[Call]) -> None:
        self._is_busy = False
        for call, args in [*calls, (self._tell_idle, ())]:
            try:
                call(*args)
            except Exception:
                _log.exception("an answer of the store could not be handled")
        if self._gathered or self._ahead is not None:
            if self._timer is None:
                self._schedule()
        elif (due_in_s := self._pending.due_in_s()) is not None:
            self._schedule(due_in_s)
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
                calls = self._commit(connection, *batch)
                self._loop.call_soon_threadsafe(self._finished, calls)
        finally:
            connection.close()

    def _commit(self, connection: sqlite3.Connection, batch: _Batch, is_last: bool) -> list[Call]:
        calls: list[Call] = []
        try:
            connection.execute("BEGIN IMMEDIATE")
            for part in batch:
                calls += part.do()
            calls += self._pending.finish(is_last)
            connection.execute("COMMIT")
        except Exception as error:
            # Values that were bound to a statement do not occur in SQLite's messages.
            _log.error("the store failed: %s: %s", type(error).__name__, error)
            # SQLite may have rolled back by itself, as on a full disk.
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            tell = [told for part in batch for told in part.tell]
            # Whoever asked in this batch may be pending already.
            ids = {id(told) for told in tell}
            tell += [told for told in self._pending.drop() if id(told) not in ids]
            self._undone()
            return [(told, (StoreFailed("The relay could not store this."),)) for told in tell]
        return calls
