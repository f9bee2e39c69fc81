"""What the transport reports, on its way into the engine: in order, several in one step, and none of it lost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from zap2.client.transport import Arrived, LinkDown, LinkUp, NumberLost, StockLow, TransportEvent
from zap2.engine import inputs
from zap2.engine.inputs import (
    ArrivedEnvelope,
    EnvelopesArrived,
    Input,
    LinkClosed,
    LinkOpened,
    StockReported,
)
from zap2.errors import VaultError

_log = logging.getLogger(__name__)

_MAX_AT_ONCE: Final = 64
_VAULT_RETRY_S: Final = 2.0

Step = Callable[[Sequence[Input]], Awaitable[object]]


def input_of(event: TransportEvent) -> Input | None:
    """Give what the engine is told of an event; None for what only a person wants to know."""
    match event:
        case LinkUp():
            return LinkOpened(
                event.stock,
                event.highest_sid,
                event.highest_oid,
                event.acknowledged,
                event.delivery_token_hash,
                event.has_number,
            )
        case LinkDown():
            return LinkClosed()
        case StockLow():
            return StockReported(event.stock)
        case NumberLost():
            return inputs.NumberLost()
        case Arrived():
            return EnvelopesArrived(
                tuple(ArrivedEnvelope(d.token, d.payload, d.number) for d in event.deliveries)
            )
        case _:
            return None


class Reports:
    """A queue of reports; `follow` hands them on until it is cancelled.

    Args:
        step: takes inputs and works them in one transaction.
        tell_trouble: takes words for the person while the vault's disk fails.
    """

    def __init__(self, step: Step, tell_trouble: Callable[[VaultError], None]) -> None:
        self._step = step
        self._tell_trouble = tell_trouble
        self._queue: asyncio.Queue[Input] = asyncio.Queue()

    def put(self, report: Input) -> None:
        """Queue a report."""
        self._queue.put_nowait(report)

    async def follow(self) -> None:
        """Hand reports on, those that wait together in one step."""
        while True:
            given = [await self._queue.get()]
            while not self._queue.empty() and len(given) < _MAX_AT_ONCE:
                given.append(self._queue.get_nowait())
            try:
                await self._step_surely(given)
            except Exception:
                await self._one_by_one(given)

    async def _step_surely(self, given: Sequence[Input]) -> None:
        """Run a step, again and again while the vault's disk fails: a report that is lost would never come again."""
        while True:
            try:
                await self._step(given)
            except VaultError as error:
                self._tell_trouble(error)
                await asyncio.sleep(_VAULT_RETRY_S)
            else:
                return

    async def _one_by_one(self, given: Sequence[Input]) -> None:
        """Do again, one at a time, what failed together, so that one bad input does not hold up the others.

        A delivery that fails here is not acknowledged: it stays where it is and comes again.
        """
        for one in given:
            parts: Sequence[Input] = [one]
            if isinstance(one, EnvelopesArrived):
                parts = [EnvelopesArrived((envelope,)) for envelope in one.envelopes]
            for part in parts:
                try:
                    await self._step_surely([part])
                except Exception as error:
                    # The type only: its words could hold what a message says.
                    _log.error("a %s could not be processed: %s", type(part).__name__, type(error).__name__)
