"""A task that is told to end does end."""

from __future__ import annotations

import asyncio
import contextlib
import logging

import pytest

from zap2.server import tasks
from zap2.server.tasks import end


async def test_a_task_that_takes_a_cancellation_for_something_else_is_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tasks, "_ASK_AGAIN_S", 0.01)
    asked = 0

    async def deaf() -> None:
        nonlocal asked
        while asked < 3:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                asked += 1

    task = asyncio.create_task(deaf())
    await asyncio.sleep(0)
    async with asyncio.timeout(20):
        await end(task)
    assert task.done()
    assert asked == 3


async def test_what_a_task_failed_of_is_logged(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("zap2.relay"), "propagate", True)

    async def failing() -> None:
        raise ValueError("of this")

    task = asyncio.create_task(failing())
    with contextlib.suppress(ValueError):
        await task
    await end(task)
    assert "of this" in caplog.text


async def test_what_is_over_or_never_was_needs_no_end() -> None:
    task = asyncio.create_task(asyncio.sleep(0))
    await task
    await end(task)
    await end(None)
