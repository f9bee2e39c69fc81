"""Two people in each kind of world that a transport may connect."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.kit.transports import MemoryWorld, Person, RelayWorld, World
from zap2.server.options import RelayOptions
from zap2.server.relay import Relay


@pytest.fixture(params=["memory", "relay"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """Each kind of world in turn."""
    if request.param == "memory":
        yield MemoryWorld()
        return
    async with Relay(RelayOptions(port=0, verify="none")) as relay:
        yield RelayWorld(relay)


@pytest.fixture
async def ada(world: World) -> Person:
    """Somebody."""
    person = Person(world, "+4915123456000")
    await person.register()
    return person


@pytest.fixture
async def ben(world: World) -> Person:
    """Somebody else."""
    person = Person(world, "+4915123456001")
    await person.register()
    return person
