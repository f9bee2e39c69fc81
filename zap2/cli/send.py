"""`zap2 send`: one message, or every line of standard input, until the relay has it or the other person does."""

from __future__ import annotations

import argparse
import os
from typing import Final

from zap2.cli import stdin
from zap2.cli.arguments import add_profile_option, seconds
from zap2.cli.console import say, warn
from zap2.cli.records import People, to_json
from zap2.cli.running import run_async
from zap2.cli.session import add_connect_option, following, open_profile, wait_until_online
from zap2.cli.watching import Watch
from zap2.cli.who import find_known
from zap2.client.agent import Agent
from zap2.client.api import MessageState, MessageView
from zap2.errors import NothingQueued, Unreachable, UsageError
from zap2.ids import ConversationId, conversation_with
from zap2.wire.content import check_text

_WAIT_S: Final = 30.0
_STANDARD_INPUT: Final = "-"
_EXIT_NOT_ALL: Final = 1
_STATES: Final = {"sent": MessageState.SENT, "delivered": MessageState.DELIVERED, "read": MessageState.READ}
_NOTHING_QUEUED: Final = (
    "Nothing was queued: this number is no contact yet, and only the relay knows whose it is. "
    "Send it again when the relay can be reached."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `zap2 send`."""
    add_profile_option(parser)
    parser.add_argument("--to", metavar="WHO", required=True, help="a phone number, or the name of a contact")
    parser.add_argument(
        "text",
        metavar="TEXT",
        nargs="?",
        help="the message; standard input without it, or with -. One that begins with a hyphen stands after --",
    )
    parser.add_argument(
        "--lines",
        action="store_true",
        help="every line of standard input is a message; one that cannot be sent is named, and the exit code is 1",
    )
    parser.add_argument(
        "--wait",
        metavar="STATE",
        choices=list(_STATES),
        default="sent",
        help="return once it is `sent` (safe at the relay, the default), `delivered` or `read`",
    )
    parser.add_argument(
        "--timeout",
        metavar="S",
        type=seconds,
        default=_WAIT_S,
        help="seconds to wait for that (default: %(default)g)",
    )
    parser.add_argument("--json", action="store_true", help="print each message as a JSON object")
    add_connect_option(parser)


def run(arguments: argparse.Namespace) -> int:
    """Send, and give 0 once everything is where `--wait` wants it."""
    if not arguments.to.strip():
        raise UsageError("--to names nobody.", "Give a phone number, or the name of a contact.")
    if arguments.text == _STANDARD_INPUT:
        arguments.text = None
    if not arguments.lines:
        # Before anything is opened or asked: what cannot be sent should say so at once.
        text = stdin.read_text() if arguments.text is None else _argument(arguments.text)
        check_text(text)
        return run_async(_send(arguments, text))
    if arguments.text is not None:
        raise UsageError("--lines reads standard input, and there is a TEXT too.")
    return run_async(_send(arguments, None))


async def _send(arguments: argparse.Namespace, text: str | None) -> int:
    """Send one text, or, without it, the lines of standard input."""
    async with open_profile(arguments) as agent:
        conversation = await _find(agent, arguments)
        people = People(agent.me, await agent.contacts())

        def show(message: MessageView) -> None:
            if arguments.json:
                say(to_json(people.record(message)))

        watch = Watch(conversation, _STATES[arguments.wait], show)
        try:
            async with following(agent, watch.consume):
                if text is not None:
                    watch.add(await agent.send_text(conversation, text))
                    unsent = 0
                else:
                    unsent = await _send_lines(agent, conversation, watch)
                await watch.wait(
                    agent, connect_timeout_s=arguments.connect_timeout, timeout_s=arguments.timeout
                )
        finally:
            for message in watch.waiting:
                show(message)
    return _EXIT_NOT_ALL if unsent else 0


async def _send_lines(agent: Agent, conversation: ConversationId, watch: Watch) -> int:
    """Send lines as they come, name those that cannot be sent, and give how many these were."""
    unsent = 0
    async for line in stdin.lines():
        try:
            watch.add(await agent.send_text(conversation, line.text()))
        except UsageError as error:
            unsent += 1
            warn(f"line {line.number} was not sent: {error}")
    return unsent


async def _find(agent: Agent, arguments: argparse.Namespace) -> ConversationId:
    uid = await find_known(agent, arguments.to)
    if uid is None:
        try:
            await wait_until_online(agent, arguments.connect_timeout, _NOTHING_QUEUED)
            uid = (await agent.add_contact(arguments.to)).uid
        except Unreachable as error:
            # A script that is told "unreachable" counts on a text that goes out later.
            raise NothingQueued(str(error), _NOTHING_QUEUED) from None
    elif uid == agent.me.uid:
        await agent.open_note()
    return conversation_with(uid)


def _argument(text: str) -> str:
    # Bytes of an argument that are not UTF-8 come as lone surrogates.
    try:
        os.fsencode(text).decode()
    except UnicodeDecodeError:
        raise UsageError("The TEXT is not UTF-8.") from None
    return text
