"""Running a command's coroutine: signals end it in order, so that vaults are closed."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Coroutine
from typing import Any, Final

_EXIT_TERMINATED: Final = 128 + signal.SIGTERM


def run_async(work: Coroutine[Any, Any, int]) -> int:
    """Run a command in an event loop of its own and give its exit code.

    SIGTERM ends it as Ctrl+C does: it is cancelled and cleans up. A command that has a better answer to both
    takes them with `stopped_by_signals`.
    """
    was_terminated = False

    async def guarded() -> int:
        task = asyncio.current_task()

        def terminate() -> None:
            nonlocal was_terminated
            was_terminated = True
            if task is not None:
                task.cancel()

        with contextlib.suppress(NotImplementedError):  # Windows has no such handlers.
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, terminate)
        return await work

    try:
        return asyncio.run(guarded())
    except asyncio.CancelledError:
        if was_terminated:
            return _EXIT_TERMINATED
        raise


def stopped_by_signals() -> asyncio.Event:
    """Give an event that SIGINT and SIGTERM set from now on, in place of ending the command."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, stopped.set)
    return stopped
