"""Ending tasks that would go on for ever."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final

_log = logging.getLogger("zap2.relay")
_ASK_AGAIN_S: Final = 1.0


async def end(task: asyncio.Task[Any] | None) -> None:
    """Cancel a task and wait until it is over; None is over already.

    A library in it may take a cancellation for a failure of its own and go on; then it is asked again. What it
    raises besides is logged: nobody else would hear of it.
    """
    if task is None:
        return
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=_ASK_AGAIN_S)
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("a task of the relay had failed", exc_info=error)
