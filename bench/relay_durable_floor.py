"""A bare server that stores what it forwards: what a relay is measured against beside `bench.relay_floors`.

The asyncio server of `websockets` over uvloop. Two connections with the same path are a pair. What one says is written
to SQLite (`synchronous=FULL`, one commit for everybody about every 2 ms, by one thread), then the other is sent it; an
answer, which is short, deletes the oldest row that it can be for, and is passed on after that. No accounts, no limits,
no repetitions, nothing encrypted, one message at a time.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import queue
import sqlite3
import sys
import threading
from collections import deque
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

_WINDOW_S: Final = 0.002
_ANSWER_B: Final = 100


@dataclass
class _Batch:
    """What is committed together, and what is sent after that."""

    rows: list[tuple[int, bytes]] = field(default_factory=list)
    gone: list[tuple[int]] = field(default_factory=list)
    out: list[tuple[ServerConnection, bytes]] = field(default_factory=list)


class _Store:
    """The writer's thread and what has gathered for it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._loop = asyncio.get_running_loop()
        self._gathered = _Batch()
        self._batches: queue.SimpleQueue[_Batch | None] = queue.SimpleQueue()
        self._is_due = False
        self._sending: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._write)
        self._thread.start()

    def gather(self) -> _Batch:
        """Give the batch to put something into now."""
        if not self._is_due:
            self._is_due = True
            self._loop.call_later(_WINDOW_S, self._flush)
        return self._gathered

    async def close(self) -> None:
        """End the thread."""
        self._batches.put(None)
        await asyncio.to_thread(self._thread.join)

    def _flush(self) -> None:
        self._is_due = False
        self._batches.put(self._gathered)
        self._gathered = _Batch()

    def _write(self) -> None:
        database = sqlite3.connect(self._path, isolation_level=None)
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
        database.execute("CREATE TABLE message (id INTEGER PRIMARY KEY, payload BLOB NOT NULL) STRICT")
        while (batch := self._batches.get()) is not None:
            database.execute("BEGIN IMMEDIATE")
            database.executemany("INSERT INTO message VALUES (?, ?)", batch.rows)
            database.executemany("DELETE FROM message WHERE id = ?", batch.gone)
            database.execute("COMMIT")
            self._loop.call_soon_threadsafe(self._committed, batch)
        database.close()

    def _committed(self, batch: _Batch) -> None:
        task = self._loop.create_task(_send_all(batch.out))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)


async def _send_all(out: list[tuple[ServerConnection, bytes]]) -> None:
    for connection, message in out:
        with contextlib.suppress(ConnectionClosed):
            await connection.send(message)


async def _serve(path: Path) -> None:
    waiting: dict[str, ServerConnection] = {}
    peers: dict[ServerConnection, ServerConnection] = {}
    stored: dict[ServerConnection, deque[int]] = {}
    ids = count(1)
    store = _Store(path)

    async def handle(connection: ServerConnection) -> None:
        assert connection.request is not None
        stored[connection] = deque()
        other = waiting.pop(connection.request.path, None)
        if other is None:
            waiting[connection.request.path] = connection
        else:
            peers[connection], peers[other] = other, connection
        async for message in connection:
            assert isinstance(message, bytes)
            peer, batch = peers[connection], store.gather()
            if len(message) > _ANSWER_B:
                number = next(ids)
                batch.rows.append((number, message))
                stored[peer].append(number)
            else:
                batch.gone.append((stored[connection].popleft(),))
            batch.out.append((peer, message))

    async with serve(handle, "127.0.0.1", 0, compression=None) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.to_thread(sys.stdin.read)
    await store.close()


def main() -> None:
    """Run it until standard input ends."""
    import uvloop

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("database", type=Path, help="a file that is not there yet")
    uvloop.run(_serve(parser.parse_args().database))


if __name__ == "__main__":
    main()
