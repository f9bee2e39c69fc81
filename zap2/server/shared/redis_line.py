"""From relay to relay through Redis: a word goes to the relay that has the device, and to no other.

A hash says which relay has the connection of which mailbox's device. A relay listens on a channel of its own and on
one of all. Looking up and publishing are one script, so of two log-ins of one device at two relays one is the later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from zap2.server.shared.redis_link import RedisGone, RedisLink
from zap2.server.shared.signals import (
    LineDown,
    Listener,
    LoggedIn,
    LoggedOut,
    MailCame,
    Signal,
    StockIsLow,
    decode,
    encode,
)
from zap2.server.tasks import end

_BEAT_S: Final = 2.0
_SILENT_BEATS: Final = 3
"""Beats without an answer after which the connection counts as lost."""
_RECONNECT_EVERY_S: Final = 0.25
_PRESENCE: Final = b"presence"
_CHUNK: Final = 1_000

_LOG_IN: Final = """
local at = redis.call('HGET', KEYS[1], ARGV[4])
redis.call('HSET', KEYS[1], ARGV[4], ARGV[2])
if at and at ~= ARGV[2] then redis.call('PUBLISH', ARGV[1] .. at, ARGV[3]) end
"""
_LOG_OUT: Final = """
if redis.call('HGET', KEYS[1], ARGV[4]) == ARGV[2] then redis.call('HDEL', KEYS[1], ARGV[4]) end
"""
_TELL: Final = """
local told = {}
for position = 4, #ARGV do
  local at = redis.call('HGET', KEYS[1], ARGV[position])
  if at and at ~= ARGV[2] and not told[at] then
    told[at] = true
    redis.call('PUBLISH', ARGV[1] .. at, ARGV[3])
  end
end
"""
_TELL_ALL: Final = "redis.call('PUBLISH', ARGV[1] .. 'all', ARGV[3])"
# After Redis was gone. A device that is somewhere else by now stays there.
_RETURN: Final = """
for position = 4, #ARGV do redis.call('HSETNX', KEYS[1], ARGV[position], ARGV[2]) end
"""


class RedisLine:
    """A `Line` through Redis.

    Args:
        link: the access to Redis.
        name: 16 random bytes, this relay's while it runs.
    """

    def __init__(self, link: RedisLink, name: bytes) -> None:
        self._link = link
        self._name = name
        self._channels = link.prefix + b"relay:"
        self._is_listening = False
        self._task: asyncio.Task[None] | None = None

    @property
    def is_listening(self) -> bool:
        """Whether what others say on this line is heard."""
        return self._is_listening

    async def open(self, listener: Listener) -> None:
        self._task = asyncio.get_running_loop().create_task(self._listen(listener))

    async def close(self) -> None:
        await end(self._task)

    async def say(self, signals: Sequence[Signal]) -> None:
        try:
            for signal in signals:
                await self._say(signal)
        except RedisGone as error:
            raise LineDown from error

    async def _say(self, signal: Signal) -> None:
        if isinstance(signal, LoggedIn):
            await self._run(_LOG_IN, signal, [signal.mailbox])
        elif isinstance(signal, LoggedOut):
            await self._run(_LOG_OUT, signal, [signal.mailbox])
        elif isinstance(signal, MailCame):
            await self._run(_TELL, signal, signal.mailboxes)
        elif isinstance(signal, StockIsLow):
            await self._run(_TELL, signal, [signal.mailbox])
        else:
            await self._run(_TELL_ALL, signal, [])

    async def _run(self, script: str, signal: Signal, mailboxes: Sequence[int]) -> None:
        message = encode(self._name, signal)
        await self._link.run(script, [_PRESENCE], [self._channels, self._name, message, *mailboxes])

    async def _listen(self, listener: Listener) -> None:
        while True:
            try:
                async with self._link.listener() as pubsub:
                    await self._listen_on(pubsub, listener)
            except (RedisError, OSError, TimeoutError) as error:
                self._link.failed(error)
            except RedisGone:
                pass  # The link has noted it.
            finally:
                self._is_listening = False
            await asyncio.sleep(_RECONNECT_EVERY_S)

    async def _listen_on(self, pubsub: PubSub, listener: Listener) -> None:
        await pubsub.subscribe(self._channels + self._name, self._channels + b"all")
        silent = 0
        confirmed = 0
        while silent < _SILENT_BEATS:
            message = await pubsub.get_message(timeout=_BEAT_S)
            if message is None:
                silent += 1
                await pubsub.ping()
                continue
            silent = 0
            if message["type"] == "subscribe":
                # Both channels; and again both whenever redis-py has connected anew by itself.
                confirmed += 1
                if confirmed % 2 == 0:
                    self._link.answered()
                    await self._return(listener)
            elif message["type"] == "message":
                self._hear(message["data"], listener)
        raise TimeoutError

    async def _return(self, listener: Listener) -> None:
        here = listener.mailboxes()
        for start in range(0, len(here), _CHUNK):
            arguments: list[bytes | int] = [self._channels, self._name, b"", *here[start : start + _CHUNK]]
            await self._link.run(_RETURN, [_PRESENCE], arguments)
        self._is_listening = True
        listener.missed()

    def _hear(self, data: bytes, listener: Listener) -> None:
        heard = decode(data)
        if heard is not None and heard[0] != self._name:
            listener.heard(heard[1])
