"""The agent: what was committed goes out, whatever happens to the caller, the disk or the transport meanwhile."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from tests.kit.memory_transport import MemoryNetwork, MemoryTransport
from zap2.client.agent import Agent
from zap2.client.api import LinkState, MessageState
from zap2.client.opening import now_ms
from zap2.client.transport import Outcome
from zap2.client.vault_thread import VaultThread
from zap2.engine.account import create_identity, set_profile
from zap2.engine.engine import Engine
from zap2.errors import NotTrusted, VaultError
from zap2.ids import EnvelopeId, Uid, conversation_with
from zap2.vault.container import memory_database
from zap2.vault.store import Store

LIMIT_S = 20.0


@asynccontextmanager
async def an_agent(
    network: MemoryNetwork, number: str, transport: type[MemoryTransport] = MemoryTransport
) -> AsyncIterator[Agent]:
    thread = VaultThread()

    def make() -> Engine:
        store = Store(memory_database())
        with store.transaction():
            create_identity(store, os.urandom)
            set_profile(store, name=number[-3:], number=number)
        return Engine(store, os.urandom)

    engine = await thread.run(make)
    keys = engine.keys
    network.register(keys.uid, number, keys.document, keys.document_signature)
    agent = Agent(engine, transport(network, keys.uid), thread=thread, relay="memory", now_ms=now_ms)
    await agent.start()
    try:
        await until(lambda: is_online(agent))
        yield agent
    finally:
        await agent.close()


async def is_online(agent: Agent) -> bool:
    return agent.link.state is LinkState.ONLINE


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(LIMIT_S):
        while True:
            if await condition():
                return
            await asyncio.sleep(0.01)


async def befriended(ann: Agent, ben: Agent) -> None:
    await ann.add_contact(ben.me.number)
    await ben.add_contact(ann.me.number)


async def states(agent: Agent, peer: Uid) -> Sequence[MessageState | None]:
    return [message.state for message in await agent.messages(conversation_with(peer)) if message.is_mine]


async def test_a_caller_that_is_cancelled_does_not_take_its_message_along() -> None:
    """A screen that goes away while its message is being stored: the message still goes out."""
    network = MemoryNetwork(random.Random(1))
    async with an_agent(network, "+4915112345001") as ann, an_agent(network, "+4915112345002") as ben:
        await befriended(ann, ben)
        for number in range(20):
            sending = asyncio.create_task(ann.send_text(conversation_with(ben.me.uid), f"{number}"))
            for _ in range(number % 4):
                await asyncio.sleep(0)
            sending.cancel()
        await ann.send_text(conversation_with(ben.me.uid), "last")

        async def all_delivered() -> bool:
            found = await states(ann, ben.me.uid)
            return bool(found) and all(state is MessageState.DELIVERED for state in found)

        await until(all_delivered)


async def test_a_disk_that_fails_for_a_while_loses_no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full when mail arrives: it is stored and acknowledged once there is room again."""
    monkeypatch.setattr("zap2.client.reports._VAULT_RETRY_S", 0.05)
    network = MemoryNetwork(random.Random(2))
    async with an_agent(network, "+4915112345001") as ann, an_agent(network, "+4915112345002") as ben:
        await befriended(ann, ben)
        handle_all = ben._engine.handle_all
        failures = iter(range(5))

        def full_disk(*arguments: object) -> object:
            if next(failures, None) is not None:
                raise VaultError("The disk is full.")
            return handle_all(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(ben._engine, "handle_all", full_disk)
        await ann.send_text(conversation_with(ben.me.uid), "hello")

        async def is_delivered() -> bool:
            return await states(ann, ben.me.uid) == [MessageState.DELIVERED]

        await until(is_delivered)
        assert next(failures, None) is None


class Stumbling(MemoryTransport):
    """Fails its first sends with something that no transport should raise."""

    stumbles = 3

    async def send(
        self,
        envelope: EnvelopeId,
        to: Uid,
        payload: bytes,
        expires_in_s: int,
        delivery_token: bytes | None = None,
    ) -> Outcome:
        if self.stumbles:
            self.stumbles -= 1
            raise RuntimeError("a fault in the transport")
        return await super().send(envelope, to, payload, expires_in_s, delivery_token)


async def test_a_fault_inside_the_transport_keeps_no_envelope_under_way() -> None:
    network = MemoryNetwork(random.Random(3))
    async with (
        an_agent(network, "+4915112345001", Stumbling) as ann,
        an_agent(network, "+4915112345002") as ben,
    ):
        await befriended(ann, ben)
        await ann.send_text(conversation_with(ben.me.uid), "hello")

        async def is_delivered() -> bool:
            return await states(ann, ben.me.uid) == [MessageState.DELIVERED]

        await until(is_delivered)


async def test_only_what_was_shown_counts_as_read() -> None:
    network = MemoryNetwork(random.Random(4))
    async with an_agent(network, "+4915112345001") as ann, an_agent(network, "+4915112345002") as ben:
        await befriended(ann, ben)
        here = conversation_with(ann.me.uid)
        for text in ("one", "two", "three"):
            await ann.send_text(conversation_with(ben.me.uid), text)

        async def have_arrived() -> bool:
            return len(await ben.unread()) == 3

        await until(have_arrived)
        one, _, three = await ben.unread()
        await ben.mark_these_read(here, [one.id, three.id])
        assert [message.text for message in await ben.unread()] == ["two"]


async def test_a_number_that_belongs_to_another_account_now_names_nobody() -> None:
    """Guards `send --to NUMBER`: it would go to the account that lost the number, and say that all is well."""
    network = MemoryNetwork(random.Random(5))
    async with an_agent(network, "+4915112345001") as ann, an_agent(network, "+4915112345002") as ben:
        await befriended(ann, ben)
        known = await ann.contact_by_number(ben.me.number)
        assert known is not None

        def move() -> None:
            store = ann._engine.store
            with store.transaction():
                store.contacts.set_moved(ben.me.uid, has_moved=True)

        await ann._thread.run(move)
        with pytest.raises(NotTrusted, match="another account"):
            await ann.contact_by_number(ben.me.number)
        await ann.accept(ben.me.uid)
        assert await ann.contact_by_number(ben.me.number) is None
