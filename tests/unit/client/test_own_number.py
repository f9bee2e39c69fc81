"""A client whose number became another account's: how the word comes in, and what it does from then on."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.kit.accounts import admit_and, make_transport
from tests.kit.links import running
from tests.kit.memory_transport import MemoryNetwork, MemoryTransport
from tests.kit.scripted_relay import Peer, scripted_relay
from zap2.client.agent import Agent
from zap2.client.api import MeChanged, Notice, NoticeLevel
from zap2.client.opening import now_ms
from zap2.client.transport import LinkUp, NumberLost, StockLow
from zap2.client.vault_thread import VaultThread
from zap2.engine.account import create_identity, set_profile
from zap2.engine.engine import Engine
from zap2.errors import Refused
from zap2.vault.container import memory_database
from zap2.vault.store import Store
from zap2.wire import frames as f

_NUMBER = "+4915112345001"
_PATIENCE_S = 20.0


# ------------------------------------------------------------------------------------------------- the link


@pytest.mark.parametrize("has_number", [True, False])
async def test_the_log_in_says_whether_the_number_is_ours(has_number: bool) -> None:
    async def admit(peer: Peer) -> None:
        await peer.greet()
        login = await peer.read(f.Authenticate)
        await peer.say(f.LoggedIn(login.rid, b"t" * 32, 900, 100, 3, 99, 0, None, has_number))
        await peer.hold()

    async with scripted_relay(admit) as relay, running(make_transport(relay)) as reports:
        assert (await reports.next(LinkUp)).has_number is has_number


async def test_a_relay_that_repeats_the_word_is_heard_once() -> None:
    """It says so with each renewal of the token, and must not fill anybody's queue with it."""

    async def lose(peer: Peer) -> None:
        await peer.say(f.NumberLost(), f.NumberLost())
        await peer.say(f.NumberLost(), f.StockLow(3))
        await peer.hold()

    async with scripted_relay(admit_and(lose)) as relay, running(make_transport(relay)) as reports:
        await reports.next(StockLow)
    assert reports.all.count(NumberLost()) == 1


# ------------------------------------------------------------------------------------------------ the agent


@asynccontextmanager
async def _an_agent(network: MemoryNetwork) -> AsyncIterator[Agent]:
    thread = VaultThread()

    def make() -> Engine:
        store = Store(memory_database())
        with store.transaction():
            create_identity(store, os.urandom)
            set_profile(store, name="Ann", number=_NUMBER)
        return Engine(store, os.urandom)

    engine = await thread.run(make)
    keys = engine.keys
    network.register(keys.uid, _NUMBER, keys.document, keys.document_signature)
    transport = MemoryTransport(network, keys.uid)
    agent = Agent(engine, transport, thread=thread, relay="memory", now_ms=now_ms)
    await agent.start()
    try:
        yield agent
    finally:
        await agent.close()


async def test_the_person_is_told_once_and_the_number_is_no_longer_ones_own() -> None:
    """Guards words and deeds: a notice, no PIN, no listing, and the number leads to whoever has it now."""
    network = MemoryNetwork(random.Random(1))
    async with _an_agent(network) as agent, asyncio.timeout(_PATIENCE_S):
        await agent.set_pin("4711")
        assert (await agent.add_contact(_NUMBER)).uid == agent.me.uid
        async with agent.events() as events:
            agent._hear(NumberLost())
            agent._hear(NumberLost())
            told = [event async for event in _until_notice(events)]
        (changed,) = [event for event in told if isinstance(event, MeChanged)]
        assert not changed.me.has_number
        assert agent.me == changed.me
        notice = told[-1]
        assert isinstance(notice, Notice)
        assert (notice.level, notice.code) == (NoticeLevel.SECURITY, "number-lost")
        for said in ("+49 1511 2345001", "tell the relay's host", "sign up anew"):
            assert said in notice.text
        membership = await agent.membership()
        assert (membership.has_pin, membership.is_listed) == (False, False)
        for asked in (agent.set_pin("1234"), agent.set_pin(None), agent.set_listed(is_listed=True)):
            with pytest.raises(Refused) as refused:
                await asked
            assert refused.value.code == "number-lost"
            assert "sign up anew" in refused.value.hint
        assert (await agent.contact(agent.me.uid)).number is None
        await agent.open_note()
        async with _an_agent(network) as new:
            network.accounts[agent.me.uid].number = ""
            assert (await agent.add_contact(_NUMBER)).uid == new.me.uid != agent.me.uid


async def _until_notice(events: AsyncIterator[object]) -> AsyncIterator[object]:
    async for event in events:
        yield event
        if isinstance(event, Notice):
            return
