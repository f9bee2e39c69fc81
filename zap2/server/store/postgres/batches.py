"""Group commit on PostgreSQL: the work of all connections, in shared transactions on one database connection.

Theory of operation. What is asked for while one batch is with the database is the next batch. A batch is one
transaction; its results go back after the commit, in the order in which the work was asked for. Neighbours of one kind
are given to the database together. Work refuses by returning a value; an exception undoes the whole batch.

What became of a batch that failed decides what happens next:

    before COMMIT, another transaction was in the way      nothing was done: again
    before COMMIT, the connection was lost                 nothing was done: connect, again, until patience ends
    at COMMIT, the connection was lost                     nobody knows: fail; whoever asks again finds out
    anything else                                          fail
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import asyncpg

from zap2.server.store.commits import ENOUGH, MUCH, StoreFailed

_log = logging.getLogger("zap2.relay")
_MAX_BATCH: Final = 512
_TRIES: Final = 5
_RECONNECT_EVERY_S: Final = 0.1
_IN_THE_WAY: Final = (
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    # Another relay inserted the same row between the look and the insert; the next look sees it.
    asyncpg.UniqueViolationError,
)
_LOST: Final = (OSError, TimeoutError, asyncpg.PostgresConnectionError, asyncpg.OperatorInterventionError)

Connection = Any
"""An asyncpg connection; the package has no types."""
Work = Callable[[Connection, Sequence[Any]], Awaitable[Sequence[Any]]]
"""Does a run of neighbours of one kind: takes their arguments, gives their results."""


@dataclass(frozen=True, slots=True)
class Item:
    """One call. `goes_first`: before everything else of its batch that does not."""

    done: Callable[[Any], None]
    work: Work
    argument: Any
    goes_first: bool = False


class Batches:
    """The one who writes to a database.

    Args:
        connect: gives a fresh connection.
        prepare: runs first in each transaction, and is given the batch.
        committed: is given the results of each batch after its callbacks.
        patience_s: how long work waits for a database that cannot be reached.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[Connection]],
        prepare: Callable[[Connection, Sequence[Item]], Awaitable[None]],
        committed: Callable[[Sequence[Any]], None],
        patience_s: float,
    ) -> None:
        self._connect = connect
        self._prepare = prepare
        self._committed = committed
        self._patience_s = patience_s
        self._gathered: list[Item] = []
        self._tell_idle: Callable[[], None] | None = None
        self.is_patient = False
        """Whether what is asked for can wait. It makes no difference here: a batch begins when the last one ends."""
        self._has_work = asyncio.Event()
        self._is_closed = False
        self._connection: Connection | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def is_busy(self) -> bool:
        """Whether enough has gathered for the next batch. What the database does takes no time of this process."""
        return len(self._gathered) >= ENOUGH

    @property
    def is_swamped(self) -> bool:
        """Whether so much has gathered that whoever comes next would wait for long."""
        return len(self._gathered) >= MUCH

    def when_idle(self, tell: Callable[[], None]) -> None:
        """Call this after each batch."""
        self._tell_idle = tell

    async def start(self, connection: Connection) -> None:
        """Start to work, on this connection to begin with."""
        self._connection = connection
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Do what was asked for, then close the connection. Later work fails."""
        self._is_closed = True
        self._has_work.set()
        if self._task is not None:
            await self._task
            self._task = None

    def submit(
        self, done: Callable[[Any], None], work: Work, argument: Any, goes_first: bool = False
    ) -> None:
        """Have work done; `done` gets the result, or the exception, in the event loop's thread."""
        if self._is_closed:
            asyncio.get_running_loop().call_soon(done, StoreFailed("The relay's store is closed."))
            return
        self._gathered.append(Item(done, work, argument, goes_first))
        self._has_work.set()

    def call(self, work: Work, argument: Any) -> asyncio.Future[Any]:
        """Have work done; the future has its result once that is durable."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def done(result: Any) -> None:
            if future.cancelled():
                return
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)

        self.submit(done, work, argument)
        return future

    async def _run(self) -> None:
        while True:
            await self._has_work.wait()
            if not self._gathered:
                break  # closed
            batch, self._gathered = self._gathered[:_MAX_BATCH], self._gathered[_MAX_BATCH:]
            if not self._gathered and not self._is_closed:
                self._has_work.clear()
            results = await self._do(batch)
            for item, result in zip(batch, results, strict=True):
                try:
                    item.done(result)
                except Exception:
                    _log.exception("an answer of the store could not be handled")
            # Whoever follows must not end this task: all that is asked for later would wait for ever.
            try:
                self._committed(results)
            except Exception:
                _log.exception("what was stored could not be told to others")
            try:
                if self._tell_idle is not None:
                    self._tell_idle()
            except Exception:
                _log.exception("those who wait for the store could not be told to go on")
        if self._connection is not None:
            with contextlib.suppress(Exception):  # Then it is dropped; all that was asked for is done.
                await self._connection.close(timeout=5)
            self._connection = None

    async def _do(self, batch: Sequence[Item]) -> Sequence[Any]:
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + self._patience_s
        tries = 0
        while True:
            is_committing = False
            try:
                connection = self._connection = self._connection or await self._connect()
                await connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
                await self._prepare(connection, batch)
                results = await _work_through(connection, batch)
                is_committing = True
                await connection.execute("COMMIT")
            except Exception as error:
                is_lost = await self._undo(error)
                tries += 1
                if not is_committing and isinstance(error, _IN_THE_WAY) and tries < _TRIES:
                    continue
                if not is_committing and is_lost and loop.time() < give_up_at and not self._is_closed:
                    await asyncio.sleep(_RECONNECT_EVERY_S)
                    continue
                # Values that were bound to a statement are in an error's detail, which is not logged.
                _log.error("the store failed: %s", type(error).__name__)
                return [StoreFailed("The relay could not store this.")] * len(batch)
            return results

    async def _undo(self, error: Exception) -> bool:
        """Roll back; tell whether the connection was lost, which rolls back too."""
        connection = self._connection
        if connection is None:
            return isinstance(error, (*_LOST, asyncpg.PostgresError))  # It could not even be made.
        if not isinstance(error, _LOST) and not connection.is_closed():
            with contextlib.suppress(Exception):
                await connection.execute("ROLLBACK")
                return False
        connection.terminate()
        self._connection = None
        return True


async def _work_through(connection: Connection, batch: Sequence[Item]) -> Sequence[Any]:
    results: list[Any] = [None] * len(batch)
    order = sorted(range(len(batch)), key=lambda position: not batch[position].goes_first)
    start = 0
    while start < len(order):
        work = batch[order[start]].work
        end = start + 1
        while end < len(order) and batch[order[end]].work == work:
            end += 1
        run = order[start:end]
        for position, result in zip(
            run, await work(connection, [batch[position].argument for position in run]), strict=True
        ):
            results[position] = result
        start = end
    return results
