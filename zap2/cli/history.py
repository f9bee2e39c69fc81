"""`zap2 history`: messages from the vault; asks nobody and marks nothing as read."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Final

from zap2.cli.arguments import add_profile_option, count
from zap2.cli.console import say, warn
from zap2.cli.records import People, to_json
from zap2.cli.running import run_async
from zap2.cli.session import open_profile_offline
from zap2.cli.who import find_contact
from zap2.client.agent import Agent
from zap2.client.api import MessageView
from zap2.ids import ConversationId, conversation_with

_LIMIT: Final = 100
_PAGE: Final = 500


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `zap2 history`."""
    add_profile_option(parser)
    parser.add_argument("--with", metavar="WHO", dest="who", help="only the conversation with this person")
    parser.add_argument("--json", action="store_true", help="print each message as a JSON object")
    parser.add_argument(
        "--limit", metavar="N", type=count, default=_LIMIT, help="the newest N (default: %(default)s)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the newest messages, oldest of them first."""
    return run_async(_history(arguments))


async def _history(arguments: argparse.Namespace) -> int:
    async with open_profile_offline(arguments) as agent:
        if arguments.who is not None:
            conversations = [conversation_with(await find_contact(agent, arguments.who))]
        else:
            conversations = [line.id for line in await agent.conversations()]
        messages = await _newest(agent, conversations, arguments.limit)
        people = People(agent.me, await agent.contacts())
        if not messages:
            warn("no messages yet")
        for message in messages:
            say(to_json(people.record(message)) if arguments.json else people.line(message))
    return 0


async def _newest(agent: Agent, conversations: Sequence[ConversationId], limit: int) -> Sequence[MessageView]:
    found: list[MessageView] = []
    for conversation in conversations:
        found += await _page_back(agent, conversation, limit)
    if len(conversations) > 1:
        # Positions order one conversation; between several, the time of arrival is all there is.
        found.sort(key=lambda message: message.received_at_ms)
    return found[-limit:]


async def _page_back(agent: Agent, conversation: ConversationId, limit: int) -> list[MessageView]:
    found: list[MessageView] = []
    before: int | None = None
    while len(found) < limit:
        page = await agent.messages(conversation, before=before, limit=min(_PAGE, limit - len(found)))
        if not page:
            break
        found = [*page, *found]
        before = page[0].position
    return found
