"""Carrying the engine's requests to a transport and its answers back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final

from zap2.client.transport import Transport
from zap2.engine import inputs
from zap2.engine.effects import (
    Acknowledge,
    Effect,
    FetchKeys,
    LookUpNumber,
    PublishKeys,
    SendEnvelope,
    SetDeliveryToken,
)
from zap2.engine.inputs import Failure, Input
from zap2.errors import Refused, TransportError

_log = logging.getLogger(__name__)
_FINAL_CODES: Final = frozenset({"not-found", "too-large", "bad-request"})


class Courier:
    """Runs each request as a task; every one of them ends in exactly one report.

    Args:
        transport: where requests go.
        report: takes the answers, as inputs of the engine.
    """

    def __init__(self, transport: Transport, report: Callable[[Input], None]) -> None:
        self._transport = transport
        self._report = report
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_closed = False

    def carry_out(self, effects: Sequence[Effect]) -> None:
        """Start what effects ask of a transport, in their order; the others are not this object's business."""
        if self._is_closed:
            return
        tokens: list[int] = []
        for effect in effects:
            match effect:
                case SendEnvelope():
                    self._start(self._send(effect))
                case FetchKeys():
                    self._start(self._fetch(effect))
                case PublishKeys():
                    self._start(self._publish(effect))
                case SetDeliveryToken():
                    self._start(self._set_delivery_token(effect))
                case LookUpNumber():
                    self._start(self._look_up(effect))
                case Acknowledge():
                    tokens.append(effect.token)
                case _:
                    pass
        if tokens:
            self._start(self._acknowledge(tokens))

    async def close(self) -> None:
        """Give up what is under way, and start nothing more; the outbox still holds it."""
        self._is_closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, request: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(request)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send(self, effect: SendEnvelope) -> None:
        try:
            await self._transport.send(
                effect.envelope, effect.to, effect.payload, effect.expires_in_s, effect.delivery_token
            )
        except Exception as error:
            self._report(inputs.SendAnswered(effect.envelope, _failure(error), effect.delivery_token))
        else:
            self._report(inputs.SendAnswered(effect.envelope, None, effect.delivery_token))

    async def _fetch(self, effect: FetchKeys) -> None:
        try:
            keys = await self._transport.fetch(effect.uid)
        except Exception as error:
            self._report(inputs.KeysNotFetched(effect.uid, _failure(error)))
        else:
            self._report(
                inputs.KeysFetched(
                    effect.uid, keys.document, keys.document_signature, keys.signed_set, keys.one_time
                )
            )

    async def _publish(self, effect: PublishKeys) -> None:
        try:
            stock = await self._transport.publish(effect.signed_set, effect.one_time, effect.withdraw_below)
        except Exception as error:
            self._report(inputs.KeysNotPublished(_failure(error)))
        else:
            self._report(inputs.KeysPublished(effect.sid, effect.oids, stock, effect.withdraw_below))

    async def _set_delivery_token(self, effect: SetDeliveryToken) -> None:
        try:
            await self._transport.set_delivery_token(effect.token_hash)
        except Exception as error:
            self._report(inputs.DeliveryTokenNotSet(_failure(error)))
        else:
            self._report(inputs.DeliveryTokenSet(effect.token_hash))

    async def _look_up(self, effect: LookUpNumber) -> None:
        try:
            uid = await self._transport.look_up(effect.number)
        except Exception as error:
            if isinstance(error, Refused) and error.code == "not-found":
                self._report(inputs.NumberLookedUp(effect.number, None))
            else:
                self._report(inputs.NumberNotLookedUp(effect.number))
        else:
            self._report(inputs.NumberLookedUp(effect.number, uid))

    async def _acknowledge(self, tokens: Sequence[int]) -> None:
        try:
            await self._transport.acknowledge(tokens)
        except TransportError:
            # The link is gone: the envelopes come again and are recognised.
            return


def _failure(error: Exception) -> Failure:
    """Say why a request failed. Whatever it was, the engine must hear of it: it counts what is under way."""
    if not isinstance(error, TransportError):
        _log.error("a request to the transport failed: %s", type(error).__name__)
        return Failure("internal", is_final=False)
    if isinstance(error, Refused):
        retry_after_ms = None if error.retry_after_s is None else int(error.retry_after_s * 1000)
        return Failure(error.code, error.code in _FINAL_CODES and retry_after_ms is None, retry_after_ms)
    return Failure(error.code, is_final=False)
