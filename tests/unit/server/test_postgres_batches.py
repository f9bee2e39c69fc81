"""What the writer to PostgreSQL tells those who wait for their turn."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from zap2.server.store.commits import ENOUGH, MUCH
from zap2.server.store.postgres.batches import Batches, Item


class _Connection:
    """A database that does whatever it is told."""

    async def execute(self, statement: str) -> None:
        await asyncio.sleep(0)

    def is_closed(self) -> bool:
        return False

    async def close(self, timeout: float) -> None:
        """Nothing is open."""


async def _connect() -> _Connection:
    return _Connection()


async def _prepare(connection: Any, batch: Sequence[Item]) -> None:
    """Nothing is needed first."""


async def _work(connection: Any, arguments: Sequence[Any]) -> Sequence[Any]:
    return arguments


async def test_it_is_busy_when_enough_has_gathered_and_tells_when_a_batch_is_over() -> None:
    batches = Batches(_connect, _prepare, lambda results: None, patience_s=1)
    await batches.start(await _connect())
    told: list[bool] = []
    batches.when_idle(lambda: told.append(batches.is_busy))
    calls = [batches.call(_work, number) for number in range(ENOUGH - 1)]
    seen = [batches.is_busy]
    calls.append(batches.call(_work, ENOUGH - 1))
    seen.append(batches.is_busy)
    assert seen == [False, True]
    assert not batches.is_swamped
    calls += [batches.call(_work, number) for number in range(ENOUGH, MUCH)]
    swamped = [batches.is_swamped]
    assert await asyncio.gather(*calls) == list(range(MUCH))
    assert [*swamped, batches.is_swamped] == [True, False]
    await batches.close()
    assert told == [False]


async def test_whoever_follows_and_fails_holds_up_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """Guards all later work: it waited for ever once the hub could not be told of what was stored."""

    def fail(*_: object) -> None:
        raise RuntimeError("the hub")

    batches = Batches(_connect, _prepare, fail, patience_s=1)
    batches.when_idle(fail)
    await batches.start(await _connect())
    async with asyncio.timeout(10):
        assert [await batches.call(_work, number) for number in range(3)] == [0, 1, 2]
        await batches.close()
    assert [record.message for record in caplog.records] == [
        "what was stored could not be told to others",
        "those who wait for the store could not be told to go on",
    ] * 3
