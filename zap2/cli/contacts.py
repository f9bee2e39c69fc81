"""`zap2 contacts`: who is known, and what one wants to hear from them."""

from __future__ import annotations

import argparse
from typing import Final

from zap2.cli.arguments import add_profile_option
from zap2.cli.console import say, warn
from zap2.cli.records import contact_line, contact_record, to_json
from zap2.cli.running import run_async
from zap2.cli.session import (
    add_connect_option,
    open_profile,
    open_profile_offline,
    settle,
    wait_until_online,
)
from zap2.cli.who import find_contact
from zap2.client.agent import Agent
from zap2.client.api import ContactView
from zap2.client.views import MAX_TITLE_CHARS
from zap2.errors import UsageError

_NOT_ADDED: Final = "Nobody was added: only the relay knows whose number it is."
_ARGUMENTS_OF: Final = {
    "list": (),
    "add": ("NUMBER",),
    "accept": ("WHO",),
    "block": ("WHO",),
    "rename": ("WHO", "NEW-NAME"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `zap2 contacts`."""
    parser.usage = "\n  ".join(
        ["", *(" ".join(["zap2 contacts", action, *needs]) for action, needs in _ARGUMENTS_OF.items())]
    )
    parser.add_argument(
        "action", nargs="?", choices=list(_ARGUMENTS_OF), default="list", help="what to do (default: list)"
    )
    parser.add_argument(
        "words",
        metavar="WHO",
        nargs="*",
        help="a phone number or a contact's name; with rename, the new name too",
    )
    add_profile_option(parser)
    parser.add_argument("--json", action="store_true", help="print each contact as a JSON object")
    parser.add_argument("--name", metavar="NAME", default="", help="with add: what you call them")
    add_connect_option(parser)


def run(arguments: argparse.Namespace) -> int:
    """Do what the action says, and print whom it concerns."""
    needed = _ARGUMENTS_OF[arguments.action]
    if len(arguments.words) != len(needed):
        shown = " ".join(["zap2 contacts", arguments.action, *needed])
        raise UsageError(f"`contacts {arguments.action}` {_words(len(needed))}.", f"Like this: {shown}")
    if arguments.name and arguments.action != "add":
        raise UsageError("--name belongs to `contacts add`.", "`zap2 contacts rename WHO NEW-NAME` renames.")
    name = arguments.words[1] if arguments.action == "rename" else arguments.name
    if len(name) > MAX_TITLE_CHARS or not name.isprintable():
        raise UsageError(f"A name is one line of at most {MAX_TITLE_CHARS} printable characters.")
    if arguments.action == "list":
        return run_async(_list(arguments))
    return run_async(_change(arguments))


async def _list(arguments: argparse.Namespace) -> int:
    async with open_profile_offline(arguments) as agent:
        contacts = await agent.contacts()
        for contact in contacts:
            _show(contact, arguments)
        if not contacts:
            warn("no contacts yet; `zap2 contacts add NUMBER` adds somebody")
    return 0


def _words(count: int) -> str:
    return ("takes nothing more", "needs one word", "needs two words")[count]


async def _change(arguments: argparse.Namespace) -> int:
    async with open_profile(arguments) as agent:
        _show(await _changed(agent, arguments), arguments)
        # Accepting somebody sends them the receipts that were held back.
        await settle(agent)
    return 0


async def _changed(agent: Agent, arguments: argparse.Namespace) -> ContactView:
    who = arguments.words[0]
    if arguments.action == "add":
        agent.parse_number(who)
        await wait_until_online(agent, arguments.connect_timeout, _NOT_ADDED)
        return await agent.add_contact(who, arguments.name)
    uid = await find_contact(agent, who)
    if arguments.action == "accept":
        return await agent.accept(uid)
    if arguments.action == "block":
        return await agent.block(uid)
    return await agent.rename(uid, arguments.words[1])


def _show(contact: ContactView, arguments: argparse.Namespace) -> None:
    say(to_json(contact_record(contact)) if arguments.json else contact_line(contact))
