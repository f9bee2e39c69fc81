"""How a verification code travels to the person: the port, and the way through the host's log."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol

_log = logging.getLogger("zap2.relay")
_THREADS: Final = 8
_MAX_WAITING: Final = 64


class CodeNotSent(Exception):
    """The code did not get on its way; the log says why."""


class CodeDelivery(Protocol):
    """A way to bring a code to whoever has a phone number."""

    async def deliver(self, number: str, code: str, ttl_s: int) -> None:
        """Bring `code` to `number` (E.164).

        Raises:
            CodeNotSent: it cannot be brought now.
        """


class LogDelivery:
    """Writes the code to the relay's log: the host tells it to the person."""

    async def deliver(self, number: str, code: str, ttl_s: int) -> None:
        # The last two digits let a host tell two people apart, and are not the number.
        _log.info(
            "verification code %s for the number ending in %s (valid %d minutes)",
            code,
            number[-2:],
            ttl_s // 60,
        )


class Outbox:
    """Runs calls that block in threads of their own, so many at once and no more.

    Args:
        name: what the log calls this way.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix=f"zap2-{name}")
        self._waiting = 0

    async def run(self, call: Callable[[], None]) -> None:
        """Run a call that blocks.

        Raises:
            CodeNotSent: it raised that, or too many calls wait already.
        """
        if self._waiting >= _MAX_WAITING:
            _log.error("codes are asked for faster than %s takes them", self._name)
            raise CodeNotSent
        self._waiting += 1
        try:
            await asyncio.get_running_loop().run_in_executor(self._threads, call)
        finally:
            self._waiting -= 1


def words(code: str, ttl_s: int) -> str:
    """Write the text message."""
    return f"{code} is your Zap2 code. It is good for {ttl_s // 60} minutes. Tell it to nobody."
