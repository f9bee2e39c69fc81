"""The second way to a relay: a connection that never logs in, for envelopes whose sender it need not know.

Each receiver has a connection of their own: a relay that learns who sends one envelope of it learns of no other
receiver. It is opened when an envelope goes this way, serves for ten minutes at most and for one without use, and
carries nothing but `SendSealed`: whoever reads along at the relay sees an envelope come to a mailbox from a
connection that never said whose it is. TLS sessions are not resumed, and nothing of the logged-in connection is sent
on it.

A connection may break under an envelope. That is sent once more on a fresh one with the same id, which the relay
recognises, and again as long as answers came before the break: a network that drops often is no failure. Whatever
else goes wrong is `sealed-unavailable`, and the caller takes the logged-in way. No envelope waits for longer than
eight seconds, connecting included, and after a failed try the next ones are refused at once for a while, so that
nobody waits for a relay that has no such way.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from zap2.client.relay.connection import RelayConnection
from zap2.engine.policy import SEND_WINDOW
from zap2.errors import ProtocolViolation, Refused, TransportError, Unreachable, Zap2Error
from zap2.ids import Uid
from zap2.wire.frames import SendSealed, Sent

_log = logging.getLogger(__name__)

UNAVAILABLE: Final = "sealed-unavailable"
"""The code of a refusal that says: nothing is wrong with the envelope, send it the other way."""

IDLE_S: Final = 60.0
RENEW_AFTER_S: Final = 600.0
TEND_EVERY_S: Final = 5.0
SEND_WITHIN_S: Final = 8.0

MAX_RECEIVERS: Final = SEND_WINDOW
"""How many receivers have a connection at once: as many as the engine has envelopes under way."""

_FIRST_PAUSE_S: Final = 5.0
_LONGEST_PAUSE_S: Final = 300.0


@dataclass(slots=True)
class _Open:
    connection: RelayConnection
    opened_at_s: float
    used_at_s: float
    users: int = 0
    has_answered: bool = False


class _Pause:
    """How long nobody tries, for all receivers; envelopes that fail together are one failure."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._length_s = 0.0
        self._not_before_s = float("-inf")

    @property
    def is_on(self) -> bool:
        return self._now_s() < self._not_before_s

    def begin(self) -> None:
        """Ask no more for a while, each time a longer one."""
        if not self.is_on:
            self._length_s = min(max(self._length_s * 2, _FIRST_PAUSE_S), _LONGEST_PAUSE_S)
            self._not_before_s = self._now_s() + self._length_s

    def reset(self) -> None:
        """Let the next pause be a short one: something went well."""
        self._length_s = 0.0


class SealedWay:
    """Sends envelopes for one receiver without a log-in; call `tend` now and then, and `close` at the end, once.

    Args:
        dial: opens a connection over which the relay has proved the pinned key.
        now_s: a clock that never goes back.
        within_s: how long one envelope may take, in the time of the event loop.
        pause: after failures, shared with other receivers' ways.
    """

    def __init__(
        self,
        dial: Callable[[], Awaitable[RelayConnection]],
        now_s: Callable[[], float],
        within_s: float = SEND_WITHIN_S,
        pause: _Pause | None = None,
    ) -> None:
        self._dial = dial
        self._now_s = now_s
        self._within_s = within_s
        self._dialing = asyncio.Lock()
        self._current: _Open | None = None
        self._leaving: list[_Open] = []
        self._pause = pause or _Pause(now_s)
        self._is_closed = False
        self.senders = 0
        """How many are about to send or do; its owner counts them."""

    @property
    def is_open(self) -> bool:
        """Whether there is a connection."""
        return self._current is not None or bool(self._leaving)

    async def send(self, make: Callable[[int], SendSealed]) -> Sent:
        """Send one envelope; returns when it is safe at the relay.

        Args:
            make: makes the frame for a rid; a repetition is made with the same envelope id.

        Raises:
            Refused: by the relay, or `sealed-unavailable`.
        """
        try:
            async with asyncio.timeout(self._within_s):
                sent = await self._try(make)
        except TimeoutError:
            _log.info("a sealed envelope got no answer in time")
            if self._current is not None:
                self._leave(self._current)
            sent = None
        if sent is None:
            self._pause.begin()
            raise _unavailable()
        self._pause.reset()
        return sent

    async def _try(self, make: Callable[[int], SendSealed]) -> Sent | None:
        silent = 0
        while silent < 2:
            way = await self._open()
            way.users += 1
            try:
                sent = await way.connection.request(make, Sent)
                way.has_answered = True
                return sent
            except Refused:
                # It may go on by name: what else went over this connection is not to be tied to that any further.
                self._leave(way)
                raise
            except (Unreachable, ProtocolViolation) as error:
                _log.info("a sealed envelope got no answer: %s", error.code)
                self._leave(way)
                silent += not way.has_answered
            finally:
                way.users -= 1
                way.used_at_s = self._now_s()
        return None

    async def tend(self) -> None:
        """Close connections that served their time and have no answer open."""
        now_s = self._now_s()
        way = self._current
        if way is not None and (
            way.connection.is_over
            or now_s - way.opened_at_s >= RENEW_AFTER_S
            or (not way.users and now_s - way.used_at_s >= IDLE_S)
        ):
            self._leave(way)
        done = [way for way in self._leaving if not way.users]
        self._leaving = [way for way in self._leaving if way.users]
        for way in done:
            await way.connection.close()

    async def close(self) -> None:
        """Close whatever is open, for good; requests without an answer fail."""
        self._is_closed = True
        if self._current is not None:
            self._leave(self._current)
        leaving, self._leaving = self._leaving, []
        for way in leaving:
            await way.connection.close()

    async def _open(self) -> _Open:
        async with self._dialing:
            way, now_s = self._current, self._now_s()
            if way is not None:
                if not way.connection.is_over and now_s - way.opened_at_s < RENEW_AFTER_S:
                    return way
                self._leave(way)
            self._check_open()
            if self._pause.is_on:
                raise _unavailable()
            try:
                connection = await self._dial()
            except Zap2Error as error:
                _log.info("no connection for sealed envelopes: %s", error.code)
                self._pause.begin()
                raise _unavailable() from None
            try:
                self._check_open()
            except Refused:
                await connection.close()
                raise
            self._current = _Open(connection, self._now_s(), self._now_s())
            return self._current

    def _check_open(self) -> None:
        if self._is_closed:
            raise _unavailable()

    def _leave(self, way: _Open) -> None:
        if way is self._current:
            self._current = None
            self._leaving.append(way)


class SealedWays:
    """A `SealedWay` for each receiver, the one used longest ago making room; see there for the arguments."""

    def __init__(
        self,
        dial: Callable[[], Awaitable[RelayConnection]],
        now_s: Callable[[], float],
        within_s: float = SEND_WITHIN_S,
    ) -> None:
        self._dial = dial
        self._now_s = now_s
        self._within_s = within_s
        self._pause = _Pause(now_s)
        self._ways: dict[Uid, SealedWay] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._is_closed = False

    async def send(self, to: Uid, make: Callable[[int], SendSealed]) -> Sent:
        """Send one envelope, as `SealedWay.send`; refused where too many other receivers are being sent to."""
        way = self._way_to(to)
        way.senders += 1
        try:
            return await way.send(make)
        finally:
            way.senders -= 1

    async def tend(self) -> None:
        """Close connections that served their time."""
        for to, way in list(self._ways.items()):
            await way.tend()
            if not way.senders and not way.is_open and self._ways.get(to) is way:
                del self._ways[to]

    async def keep_tending(self) -> None:
        """Tend every few seconds until cancelled."""
        while True:
            await asyncio.sleep(TEND_EVERY_S)
            await self.tend()

    async def close(self) -> None:
        """Close all of them, for good."""
        self._is_closed = True
        for way in self._ways.values():
            self._retire(way)
        self._ways.clear()
        await asyncio.gather(*self._closing, return_exceptions=True)

    def _way_to(self, to: Uid) -> SealedWay:
        if self._is_closed:
            raise _unavailable()
        way = self._ways.pop(to, None)
        if way is None:
            if len(self._ways) >= MAX_RECEIVERS:
                idle = next((uid for uid, other in self._ways.items() if not other.senders), None)
                if idle is None:
                    raise _unavailable()
                self._retire(self._ways.pop(idle))
            way = SealedWay(self._dial, self._now_s, self._within_s, self._pause)
        self._ways[to] = way  # In the order of use.
        return way

    def _retire(self, way: SealedWay) -> None:
        task = asyncio.create_task(way.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


def _unavailable() -> TransportError:
    return Refused(UNAVAILABLE, "There is no connection to the relay that does not name this account.")
