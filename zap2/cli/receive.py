"""`zap2 receive`: what nobody has read yet, oldest first; read receipts follow what really was written."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Final

from zap2.cli.arguments import add_profile_option, seconds
from zap2.cli.console import say, warn
from zap2.cli.records import People, to_json
from zap2.cli.running import run_async, stopped_by_signals
from zap2.cli.session import add_connect_option, following, open_profile, settle, wait_until_online
from zap2.client.agent import Agent
from zap2.client.api import Event, LinkChanged, LinkState, MessageAdded, MessageView
from zap2.ids import ConversationId, MessageId

_QUIET_S: Final = 0.6
_PRINTED_BEFORE: Final = "What had arrived earlier is printed; what waits at the relay comes another time."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `zap2 receive`."""
    parser.description = (
        "Print unread messages. What is printed counts as read; authors whom you accepted are told."
    )
    add_profile_option(parser)
    parser.add_argument("--json", action="store_true", help="print each message as a JSON object")
    parser.add_argument("--follow", action="store_true", help="go on until interrupted")
    parser.add_argument(
        "--timeout",
        metavar="S",
        type=seconds,
        default=0.0,
        help="seconds to wait for a message where none is waiting (default: do not wait)",
    )
    add_connect_option(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print unread messages; 0 also when there were none."""
    return run_async(_receive(arguments))


async def _receive(arguments: argparse.Namespace) -> int:
    async with open_profile(arguments) as agent:
        arrivals = _Arrivals(tells_link=arguments.follow)
        async with following(agent, arrivals.consume):
            if arguments.follow:
                await _follow(agent, arrivals, as_json=arguments.json)
            else:
                await _drain(agent, arrivals, arguments)
        await settle(agent)
    return 0


async def _drain(agent: Agent, arrivals: _Arrivals, arguments: argparse.Namespace) -> None:
    try:
        await wait_until_online(agent, arguments.connect_timeout, _PRINTED_BEFORE)
        await arrivals.wait_until_quiet(_QUIET_S)
        if not await agent.unread(1) and await arrivals.wait(arguments.timeout):
            await arrivals.wait_until_quiet(_QUIET_S)
    finally:
        await _print_unread(agent, as_json=arguments.json)


async def _follow(agent: Agent, arrivals: _Arrivals, *, as_json: bool) -> None:
    stopped = asyncio.create_task(stopped_by_signals().wait())
    try:
        while not stopped.done():
            arrivals.clear()
            await _print_unread(agent, as_json=as_json)
            arrived = asyncio.create_task(arrivals.wait(None))
            await asyncio.wait([arrived, stopped], return_when=asyncio.FIRST_COMPLETED)
            arrived.cancel()
    finally:
        stopped.cancel()


async def _print_unread(agent: Agent, *, as_json: bool) -> None:
    while messages := await agent.unread():
        people = People(agent.me, await agent.contacts())
        written = 0
        try:
            for message in messages:
                say(to_json(people.record(message)) if as_json else people.line(message))
                written += 1
        finally:
            for conversation, shown in _by_conversation(messages[:written]).items():
                await agent.mark_these_read(conversation, shown)


def _by_conversation(messages: Sequence[MessageView]) -> dict[ConversationId, list[MessageId]]:
    shown: dict[ConversationId, list[MessageId]] = {}
    for message in messages:
        shown.setdefault(message.conversation, []).append(message.id)
    return shown


class _Arrivals:
    """Notices that something arrives."""

    def __init__(self, *, tells_link: bool) -> None:
        self._happened = asyncio.Event()
        self._message_came = asyncio.Event()
        self._tells_link = tells_link
        self._was_online = True

    async def consume(self, events: AsyncIterator[Event]) -> None:
        """Take in events until they end."""
        async for event in events:
            self._happened.set()
            if isinstance(event, MessageAdded) and not event.message.is_mine:
                self._message_came.set()
            elif isinstance(event, LinkChanged) and self._tells_link:
                self._tell(event)

    def clear(self) -> None:
        """Forget what came so far."""
        self._message_came.clear()

    async def wait(self, timeout_s: float | None) -> bool:
        """Wait for a message; give whether one came in time."""
        try:
            async with asyncio.timeout(timeout_s):
                return await self._message_came.wait()
        except TimeoutError:
            return False

    async def wait_until_quiet(self, quiet_s: float) -> None:
        """Wait until nothing has happened for a while."""
        while True:
            self._happened.clear()
            try:
                async with asyncio.timeout(quiet_s):
                    await self._happened.wait()
            except TimeoutError:
                return

    def _tell(self, event: LinkChanged) -> None:
        if event.link.state is LinkState.ONLINE:
            if not self._was_online:
                warn("connected again")
            self._was_online = True
        elif event.link.detail and self._was_online:
            warn(f"{event.link.detail} Trying again.")
            self._was_online = False
