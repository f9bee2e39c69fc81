"""Token buckets that hold over several relays.

Theory of operation. A relay decides by its own buckets, at once. What it took it tells Redis in the next round trip,
many keys at a time, and hears what is left there after what all relays took; it lowers its own bucket to that. So no
request waits for Redis, and together the relays exceed a limit by no more than what they let through within one
round trip. While Redis is gone, each relay goes on with its own buckets.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Callable, Hashable
from functools import partial
from typing import Final

from zap2.server.limits import Buckets
from zap2.server.shared.redis_link import RedisGone, RedisLink
from zap2.server.tasks import end

_MAX_PENDING: Final = 50_000
_CHUNK: Final = 500

# The time is Redis's own, so the relays' clocks need not agree.
_TAKE: Final = """
local amount, burst, per_s = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local kept = redis.call('HMGET', KEYS[1], 'level', 'at')
local level = burst
if kept[1] then
  level = math.min(burst, tonumber(kept[1]) + math.max(0, now - tonumber(kept[2])) * per_s / 1000)
end
level = math.min(burst, math.max(0, level - amount))
redis.call('HSET', KEYS[1], 'level', tostring(level), 'at', tostring(now))
redis.call('PEXPIRE', KEYS[1], tonumber(ARGV[4]))
return tostring(level)
"""


class RedisLimits:
    """Follows buckets of this relay and keeps them in step with those of the others.

    Args:
        link: the access to Redis.
        name_of: gives the name of a bucket in Redis, from its kind and key; it tells neither.
        now_ms: the clock of this relay's buckets.
    """

    def __init__(
        self, link: RedisLink, name_of: Callable[[str, Hashable], bytes], now_ms: Callable[[], int]
    ) -> None:
        self._link = link
        self._name_of = name_of
        self._now_ms = now_ms
        self._followed: dict[str, Buckets] = {}
        self._taken: dict[tuple[str, Hashable], float] = {}
        self._has_taken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def follow(self, kind: str, buckets: Buckets) -> None:
        """Keep the buckets of one kind in step."""
        self._followed[kind] = buckets
        buckets.taken = partial(self._note, kind)

    def open(self) -> None:
        """Start to follow."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Follow no more."""
        await end(self._task)

    def _note(self, kind: str, key: Hashable, amount: float) -> None:
        if len(self._taken) < _MAX_PENDING or (kind, key) in self._taken:
            self._taken[kind, key] = self._taken.get((kind, key), 0.0) + amount
            self._has_taken.set()

    async def _run(self) -> None:
        while True:
            await self._has_taken.wait()
            self._has_taken.clear()
            taken, self._taken = list(self._taken.items()), {}
            for start in range(0, len(taken), _CHUNK):
                with contextlib.suppress(RedisGone):
                    await self._tell(taken[start : start + _CHUNK])

    async def _tell(self, taken: list[tuple[tuple[str, Hashable], float]]) -> None:
        calls = []
        for (kind, key), amount in taken:
            rate = self._followed[kind].rate
            full_after_ms = math.ceil(rate.burst / rate.per_s * 1000) + 1000
            name = b"bucket:" + self._name_of(kind, key)
            calls.append(([name], [amount, rate.burst, rate.per_s, full_after_ms]))
        levels = await self._link.run_all(_TAKE, calls)
        for ((kind, key), _), level in zip(taken, levels, strict=True):
            left = float(level) - self._taken.get((kind, key), 0.0)
            self._followed[kind].settle(key, self._now_ms(), max(0.0, left))
