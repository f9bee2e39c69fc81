"""One relay's access to Redis: everything goes through scripts, and an outage costs nobody more than one wait."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from zap2.errors import UsageError

_log = logging.getLogger("zap2.relay")
_TIMEOUT_S: Final = 2.0
_PAUSE_S: Final = 1.0
_LOST: Final = (RedisError, OSError, TimeoutError, asyncio.TimeoutError)


class RedisGone(Exception):
    """Redis cannot be reached now."""


class RedisLink:
    """A pool of connections to one Redis.

    After a failure nothing is tried for a second, so that a Redis which does not answer does not hold up every
    log-in for as long as a connection takes to fail.

    Args:
        url: `redis://`, `rediss://` or `unix://`, as redis-py takes it.
        prefix: what all names of this relay begin with. In braces, so that a cluster keeps them together.
    """

    def __init__(self, url: str, prefix: str) -> None:
        self.prefix = f"zap2:{{{prefix}}}:".encode()
        self._retry_at = 0.0
        # Until it was reached once, whoever opens it says what is wrong.
        self._is_down = True
        self._was_reached = False
        try:
            self._redis: Redis = Redis.from_url(
                url,
                socket_timeout=_TIMEOUT_S,
                socket_connect_timeout=_TIMEOUT_S,
                health_check_interval=5,
                # Once more at once: a connection in the pool may have died with a Redis that is back already.
                retry=Retry(NoBackoff(), 1),
            )
        except ValueError:
            # The error's text may repeat what stands in the URL.
            raise UsageError(
                "The URL of --tokens is not one of Redis.", "It looks like redis://user:password@host:6379/0."
            ) from None

    async def open(self) -> None:
        """Reach Redis once.

        Raises:
            UsageError: it cannot be reached. When that happens later, the relay goes on without.
        """
        try:
            await self.run("return 1", [], [])
        except RedisGone as error:
            raise UsageError(
                f"The Redis of --tokens cannot be reached: {type(error.__cause__).__name__}.",
                "Check the URL (redis://user:password@host:6379/0), and that Redis runs and lets you in.",
            ) from None

    async def close(self) -> None:
        """Close all connections."""
        await self._redis.aclose()

    async def run(self, script: str, keys: Sequence[bytes], arguments: Sequence[bytes | int | float]) -> Any:
        """Run a Lua script; `keys` get the prefix.

        Raises:
            RedisGone: it did not work, or did not a moment ago.
        """
        (result,) = await self.run_all(script, [(keys, arguments)])
        return result

    async def run_all(
        self, script: str, calls: Sequence[tuple[Sequence[bytes], Sequence[bytes | int | float]]]
    ) -> Sequence[Any]:
        """As `run`, several times in one round trip."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._retry_at:
            raise RedisGone
        try:
            prepared = self._redis.register_script(script)
            async with self._redis.pipeline(transaction=False) as pipeline:
                for keys, arguments in calls:
                    await prepared([self.prefix + key for key in keys], list(arguments), client=pipeline)
                results: Sequence[Any] = await pipeline.execute()
        except _LOST as error:
            self.failed(error)
            raise RedisGone from error
        self.answered()
        return results

    @property
    def is_up(self) -> bool:
        """Whether Redis answered when it was last asked."""
        return not self._is_down

    def answered(self) -> None:
        """Take note that Redis can be reached."""
        self._retry_at = 0.0
        if self._is_down and self._was_reached:
            _log.info("Redis answers again")
        self._is_down = False
        self._was_reached = True

    def failed(self, error: BaseException) -> None:
        """Take note that Redis did not answer."""
        self._retry_at = asyncio.get_running_loop().time() + _PAUSE_S
        if not self._is_down:
            self._is_down = True
            _log.warning(
                "Redis cannot be reached (%s): clients log in with their keys, limits count for each relay",
                type(error).__name__,
            )

    def listener(self) -> PubSub:
        """Give a connection to listen on."""
        return self._redis.pubsub()
