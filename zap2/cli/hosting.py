"""A relay inside this process, in a thread and an event loop of its own, so that a busy screen never holds it up."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from types import TracebackType

from zap2.server.options import RelayOptions
from zap2.server.relay import Relay


class HostedRelay:
    """A relay that runs for the length of a context.

    Args:
        options: as for `zap2 serve`; without a data folder it leaves nothing behind.
    """

    def __init__(self, options: RelayOptions) -> None:
        self._options = options
        self._started: Future[str] = Future()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="zap2-relay")

    def __enter__(self) -> str:
        """Start, and give the address to hand out.

        Raises:
            UsageError: the port is in use, or the data folder cannot be used.
        """
        self._thread.start()
        try:
            return self._started.result()
        except BaseException:
            self._end()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        if self._loop is not None and self._stop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        try:
            async with Relay(self._options) as relay:
                self._started.set_result(str(relay.address))
                await self._stop.wait()
        except BaseException as error:
            if self._started.done():
                raise
            self._started.set_exception(error)
