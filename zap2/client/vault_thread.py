"""The one thread in which a vault is opened, used and closed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from zap2.vault.container import mapped_errors

_T = TypeVar("_T")


class VaultThread:
    """Runs work one piece after the other, away from the event loop; `close` it at the end."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="zap2-vault")

    async def run(self, work: Callable[[], _T]) -> _T:
        """Run one piece of work and give its result.

        Raises:
            VaultDamaged, VaultError: the database or its disk failed.
        """

        def guarded() -> _T:
            with mapped_errors():
                return work()

        return await asyncio.get_running_loop().run_in_executor(self._pool, guarded)

    def close(self) -> None:
        """Let the running piece finish and end the thread."""
        self._pool.shutdown(wait=True)
