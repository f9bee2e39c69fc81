"""Group commit: order, durability before the answer, and that a failure fails all of its batch."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from zap2.errors import UsageError
from zap2.server.store.commits import ENOUGH, MUCH, Call, GroupCommit, StoreFailed
from zap2.server.store.schema import VERSION, connect, migrate


def _make(
    path: Path, undone: list[str], window_s: float = 0.002
) -> tuple[GroupCommit, list[sqlite3.Connection]]:
    opened: list[sqlite3.Connection] = []

    def open_it() -> sqlite3.Connection:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE IF NOT EXISTS t (n INTEGER PRIMARY KEY)")
        opened.append(connection)
        return connection

    return GroupCommit(open_it, window_s, lambda: undone.append("undone")), opened


def _rows(path: Path) -> list[int]:
    with sqlite3.connect(path) as other:
        rows = [n for (n,) in other.execute("SELECT n FROM t ORDER BY n")]
    other.close()
    return rows


async def test_an_answer_means_that_another_process_can_see_it(tmp_path: Path) -> None:
    commits, opened = _make(tmp_path / "db", [])
    await commits.start()
    await commits.call(lambda: opened[0].execute("INSERT INTO t VALUES (1)"))
    assert _rows(tmp_path / "db") == [1]
    await commits.close()


async def test_results_come_in_the_order_of_the_calls_and_in_few_batches(tmp_path: Path) -> None:
    commits, opened = _make(tmp_path / "db", [])
    await commits.start()
    got: list[int] = []
    transactions: set[int] = set()

    def insert(n: int) -> int:
        opened[0].execute("INSERT INTO t VALUES (?)", (n,))
        return n

    opened[0].set_trace_callback(lambda sql: transactions.add(len(got)) if sql == "COMMIT" else None)
    for n in range(200):
        commits.submit(got.append, insert, n)
    assert await commits.call(insert, 200) == 200
    assert got == list(range(200))
    assert len(transactions) <= 3
    await commits.close()


async def test_a_failure_undoes_its_batch_and_the_next_one_works(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    undone: list[str] = []
    commits, opened = _make(tmp_path / "db", undone)
    await commits.start()
    first = commits.call(lambda: opened[0].execute("INSERT INTO t VALUES (1)"))
    second = commits.call(lambda: opened[0].execute("INSERT INTO t VALUES (1)"))
    for future in (first, second):
        with pytest.raises(StoreFailed):
            await future
    assert undone == ["undone"]
    assert "the store failed" in caplog.text
    await commits.call(lambda: opened[0].execute("INSERT INTO t VALUES (2)"))
    assert _rows(tmp_path / "db") == [2]
    await commits.close()


async def test_closing_does_what_was_asked_for_first(tmp_path: Path) -> None:
    commits, opened = _make(tmp_path / "db", [])
    await commits.start()

    def insert(n: int) -> None:
        opened[0].execute("INSERT INTO t VALUES (?)", (n,))

    futures = [commits.call(insert, n) for n in range(50)]
    await commits.close()
    assert all(future.done() for future in futures)
    assert _rows(tmp_path / "db") == list(range(50))
    with pytest.raises(StoreFailed):
        await commits.call(dict)


async def test_what_opening_raises_is_raised_by_start() -> None:
    def refuse() -> sqlite3.Connection:
        raise UsageError("no")

    commits = GroupCommit(refuse, 0, lambda: None)
    with pytest.raises(UsageError):
        await commits.start()
    await asyncio.wait_for(commits.close(), 5)


def test_the_database_is_as_durable_as_promised(tmp_path: Path) -> None:
    connection = connect(str(tmp_path / "db"))
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
    assert connection.execute("PRAGMA user_version").fetchone() == (VERSION,)
    migrate(connection)  # nothing left to do
    connection.close()


async def test_it_tells_when_it_works_and_when_it_has_finished(tmp_path: Path) -> None:
    commits, _ = _make(tmp_path / "db", [])
    await commits.start()
    told: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    commits.when_idle(lambda: told.set_result(commits.is_busy))
    seen = commits.call(lambda: commits.is_busy)
    assert not commits.is_busy
    assert await seen
    assert not await told
    await commits.close()


async def test_it_is_busy_too_when_enough_has_gathered(tmp_path: Path) -> None:
    commits, _ = _make(tmp_path / "db", [])
    await commits.start()

    def work(items: list[int]) -> list[Call]:
        return []

    for number in range(16):
        commits.join(lambda result: None, work, number)
    last = [commits.call(lambda: None) for _ in range(15)]
    seen = [commits.is_busy]
    last.append(commits.call(lambda: None))
    seen += [commits.is_busy, commits.is_swamped]
    last += [commits.call(lambda: None) for _ in range(MUCH - ENOUGH)]
    seen.append(commits.is_swamped)
    await asyncio.gather(*last)
    seen += [commits.is_busy, commits.is_swamped]
    assert seen == [False, True, False, True, False, False]
    await commits.close()


async def test_what_can_wait_delays_nothing_else(tmp_path: Path) -> None:
    """A flood that has a batch with every window would make everybody wait for the next one."""
    commits, _ = _make(tmp_path / "db", [], window_s=3600)
    await commits.start()
    commits.is_patient = True
    await commits.call(lambda: None)
    patient = commits.call(lambda: None)
    await asyncio.sleep(0.05)
    assert not patient.done()
    commits.is_patient = False
    await commits.call(lambda: None)
    assert patient.done()
    urgent = commits.call(lambda: None)
    await asyncio.sleep(0.05)
    assert not urgent.done()
    await commits.close()
    assert urgent.done()


@pytest.mark.parametrize("is_patient", [False, True])
async def test_discards_wait_for_what_they_are_worth(tmp_path: Path, is_patient: bool) -> None:
    commits, _ = _make(tmp_path / "db", [], window_s=3600)
    await commits.start()
    discarded: list[int] = []

    def discard(items: list[int]) -> list[Call]:
        discarded.extend(items)
        return []

    commits.is_patient = True
    await commits.call(lambda: None)
    commits.is_patient = is_patient
    commits.join_ahead(discard, 1)
    await asyncio.sleep(0.05)
    assert discarded == ([] if is_patient else [1])
    await commits.close()
    assert discarded == [1]
