"""`zap2 profile`: what is set up on this machine, and what the relay keeps of an account at its owner's wish."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from zap2.cli.arguments import add_profile_option
from zap2.cli.console import say, warn
from zap2.cli.pins import read_new_pin
from zap2.cli.places import config_dir, profile_folder, profile_names
from zap2.cli.records import to_json
from zap2.cli.running import run_async
from zap2.cli.session import add_connect_option, open_profile, open_profile_offline, wait_until_online
from zap2.client.words import AFTER_THE_NUMBER, number_lost_words
from zap2.errors import UsageError
from zap2.ids import format_uid
from zap2.phone import format_number
from zap2.vault.profile import ProfileFolder

_FINISH: Final = "the relay has no such account yet; `zap2 signup` or `zap2 chat` with this --profile goes on"
_UNCHANGED: Final = "Nothing was changed: the relay has to be told."
_ACTIONS: Final = """\
actions:
  list           the names of the profiles on this machine (default)
  show           one profile, which needs its passphrase
  pin            set the registration PIN, which lets you, and nobody else, take your number to a new
                 profile or device. It is asked for, or read from --pin-file; --remove takes it away
  listed yes|no  whether others at the relay find you by your number
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `zap2 profile`."""
    parser.epilog = _ACTIONS
    parser.add_argument(
        "action",
        metavar="ACTION",
        nargs="?",
        choices=["list", "show", "pin", "listed"],
        default="list",
        help="what to do, see below",
    )
    parser.add_argument("answer", metavar="yes|no", nargs="?", choices=["yes", "no"], help="with listed")
    add_profile_option(parser)
    parser.add_argument("--json", action="store_true", help="print JSON objects")
    parser.add_argument("--pin-file", metavar="FILE", type=Path, help="with pin: a file with the new PIN")
    parser.add_argument("--remove", action="store_true", help="with pin: have none from now on")
    add_connect_option(parser)


def run(arguments: argparse.Namespace) -> int:
    """List, show, or tell the relay."""
    _check(arguments)
    match arguments.action:
        case "show":
            return run_async(_show(arguments))
        case "pin":
            pin = None if arguments.remove else read_new_pin(arguments.pin_file)
            return run_async(_set_pin(arguments, pin))
        case "listed":
            return run_async(_set_listed(arguments, is_listed=arguments.answer == "yes"))
        case _:
            return _list(arguments)


def _check(arguments: argparse.Namespace) -> None:
    """Refuse what does not go together. Raises UsageError."""
    if (arguments.action == "listed") != (arguments.answer is not None):
        raise UsageError("`profile listed` is answered with yes or no.", "Like this: zap2 profile listed no")
    if arguments.action != "pin" and (arguments.remove or arguments.pin_file is not None):
        raise UsageError("--pin-file and --remove belong to `profile pin`.")
    if arguments.remove and arguments.pin_file is not None:
        raise UsageError("--pin-file and --remove exclude each other.")


def _list(arguments: argparse.Namespace) -> int:
    names = profile_names(arguments)
    if not names:
        warn("no profiles yet; `zap2 chat` sets one up")
    for name in names:
        is_finished = not ProfileFolder(config_dir(arguments), name).is_unfinished
        say(to_json({"profile": name, "finished": is_finished}) if arguments.json else name)
        if not is_finished:
            warn(f"the sign-up of {name} is not finished: {_FINISH}")
    return 0


async def _show(arguments: argparse.Namespace) -> int:
    folder = profile_folder(arguments)
    async with open_profile_offline(arguments) as agent:
        me, membership = agent.me, await agent.membership()
        record: dict[str, object] = {
            "profile": arguments.profile,
            "name": me.name,
            "number": me.number,
            "uid": format_uid(me.uid),
            "relay": me.relay,
            "folder": str(folder.path),
            "pin": membership.has_pin,
            "listed": membership.is_listed,
            "number_lost": not me.has_number,
            "finished": not folder.is_unfinished,
        }
        if arguments.json:
            say(to_json(record))
        else:
            lost = "" if me.has_number else " (belongs to another account now)"
            record["number"] = format_number(me.number) + lost
            del record["number_lost"]
            record["pin"] = "set" if membership.has_pin else "none"
            record["listed"] = "yes" if membership.is_listed else "no"
            record["finished"] = f"no: {_FINISH}" if folder.is_unfinished else "yes"
            for label, value in record.items():
                say(f"{label:<8} {value}")
        if not me.has_number:
            warn(f"{number_lost_words(me)} {AFTER_THE_NUMBER}")
    return 0


async def _set_pin(arguments: argparse.Namespace, pin: str | None) -> int:
    async with open_profile(arguments) as agent:
        await wait_until_online(agent, arguments.connect_timeout, _UNCHANGED)
        number = format_number(agent.me.number)
        if (await agent.set_pin(pin)).has_pin:
            say(f"The relay has the PIN. Keep it: you need it to move {number} to a new device or profile.")
        else:
            say(
                f"There is no PIN any more. While you are active, nobody can take {number} over, you included."
            )
    return 0


async def _set_listed(arguments: argparse.Namespace, *, is_listed: bool) -> int:
    async with open_profile(arguments) as agent:
        await wait_until_online(agent, arguments.connect_timeout, _UNCHANGED)
        number = format_number(agent.me.number)
        if (await agent.set_listed(is_listed=is_listed)).is_listed:
            say(f"Others at your relay find you by {number}.")
        else:
            say(
                f"Nobody finds you by {number} any more. Whom you write to, and who knows you already, still can."
            )
    return 0
