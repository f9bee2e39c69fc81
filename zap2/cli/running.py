"""Running a command's coroutine: signals end it in order, so that vaults are closed."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Coroutine
from typing import Any, Final

_ENDING: Final = tuple(
    number for name in ("SIGTERM", "SIGHUP") if (number := getattr(signal, name, None)) is not None
)


def run_async(work: Coroutine[Any, Any, int]) -> int:
    """Run a command in an event loop of its own and give its exit code.

    SIGTERM and a terminal that closes (SIGHUP) end it as Ctrl+C does: it is cancelled and cleans up. A command that
    has a better answer takes them with `stopped_by_signals`.
    """
    ended_by: int | None = None

    async def guarded() -> int:
        task = asyncio.current_task()

        def terminate(number: int) -> None:
            nonlocal ended_by
            if ended_by is None and task is not None:
                task.cancel()
            ended_by = number

        for number in filter(_is_heeded, _ENDING):
            with contextlib.suppress(NotImplementedError):  # Windows has no such handlers.
                asyncio.get_running_loop().add_signal_handler(number, terminate, number)
        return await work

    try:
        code = asyncio.run(guarded())
    except asyncio.CancelledError:
        if ended_by is not None:
            return 128 + ended_by
        raise
    # What draws on the screen ends in peace when it is cancelled.
    return code if ended_by is None else 128 + ended_by


def stopped_by_signals() -> asyncio.Event:
    """Give an event that SIGINT, SIGTERM and SIGHUP set from now on, in place of ending the command."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, *filter(_is_heeded, _ENDING)):
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, stopped.set)
    return stopped


def _is_heeded(number: signal.Signals) -> bool:
    # Under nohup a closed terminal is to be ignored.
    return signal.getsignal(number) is not signal.SIG_IGN
