"""Requests that the courier carries: each is reported once, and none is begun after the end."""

from __future__ import annotations

import asyncio

from zap2.client.courier import Courier
from zap2.client.offline import NoTransport
from zap2.engine.effects import Effect, LookUpNumber
from zap2.engine.inputs import Input, NumberNotLookedUp

_ASK: list[Effect] = [LookUpNumber("+4915123456000")]


async def test_after_its_end_nothing_is_begun() -> None:
    """A step of the engine may end after the courier did: a request then would open a way that nobody closes."""
    reports = asyncio.Queue[Input]()
    courier = Courier(NoTransport(), reports.put_nowait)
    courier.carry_out(_ASK)
    assert await asyncio.wait_for(reports.get(), 10) == NumberNotLookedUp("+4915123456000")
    await courier.close()
    courier.carry_out(_ASK)
    assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    assert reports.empty()
