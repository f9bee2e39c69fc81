"""From relay to relay through PostgreSQL's own notifications: every relay hears every word.

PostgreSQL lets only one transaction with a notification commit at a time, so these are sent on a connection of their
own and never in a transaction with mail.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import asyncpg

from zap2.server.shared.signals import LineDown, Listener, LoggedOut, Signal, decode, encode
from zap2.server.tasks import end

_CHANNEL: Final = "zap2_relays"
_BEAT_S: Final = 2.0
_RECONNECT_EVERY_S: Final = 0.25
_LOST: Final = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)


class PostgresLine:
    """A `Line` through PostgreSQL.

    Args:
        connect: gives a fresh connection to the store's database.
        name: 16 random bytes, this relay's while it runs.
    """

    def __init__(self, connect: Callable[[], Awaitable[Any]], name: bytes) -> None:
        self._connect = connect
        self._name = name
        self._connection: Any = None
        self._task: asyncio.Task[None] | None = None

    @property
    def is_listening(self) -> bool:
        """Whether what others say on this line is heard."""
        return self._connection is not None

    async def open(self, listener: Listener) -> None:
        self._task = asyncio.get_running_loop().create_task(self._listen(listener))

    async def close(self) -> None:
        await end(self._task)

    async def say(self, signals: Sequence[Signal]) -> None:
        # Where everybody hears everything, nobody needs to know that somebody went.
        words = [
            base64.b64encode(encode(self._name, signal)).decode()
            for signal in signals
            if not isinstance(signal, LoggedOut)
        ]
        if not words:
            return
        if self._connection is None:
            raise LineDown
        try:
            await self._connection.execute(
                "SELECT pg_notify($1, word) FROM unnest($2::text[]) AS word", _CHANNEL, words
            )
        except _LOST as error:
            raise LineDown from error

    async def _listen(self, listener: Listener) -> None:
        def hear(_connection: object, _pid: int, _channel: str, payload: str) -> None:
            try:
                heard = decode(base64.b64decode(payload, validate=True))
            except binascii.Error:
                return
            if heard is not None and heard[0] != self._name:
                listener.heard(heard[1])

        while True:
            connection: Any = None
            try:
                connection = await self._connect()
                await connection.add_listener(_CHANNEL, hear)
                self._connection = connection
                listener.missed()
                while True:
                    await asyncio.sleep(_BEAT_S)
                    await connection.execute("SELECT 1")
            except _LOST:
                await asyncio.sleep(_RECONNECT_EVERY_S)
            finally:
                self._connection = None
                if connection is not None:
                    connection.terminate()
