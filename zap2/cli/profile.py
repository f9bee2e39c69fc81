"""`zap2 profile`: what is set up on this machine."""

from __future__ import annotations

import argparse

from zap2.cli.arguments import add_profile_option
from zap2.cli.console import say, warn
from zap2.cli.places import profile_folder, profile_names
from zap2.cli.records import to_json
from zap2.cli.running import run_async
from zap2.cli.session import open_profile_offline
from zap2.ids import format_uid
from zap2.phone import format_number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `zap2 profile`."""
    parser.add_argument(
        "action",
        nargs="?",
        choices=["list", "show"],
        default="list",
        help="list the names (default), or show one profile, which needs its passphrase",
    )
    add_profile_option(parser)
    parser.add_argument("--json", action="store_true", help="print JSON objects")


def run(arguments: argparse.Namespace) -> int:
    """List or show."""
    if arguments.action == "show":
        return run_async(_show(arguments))
    names = profile_names(arguments)
    if not names:
        warn("no profiles yet; `zap2 chat` sets one up")
    for name in names:
        say(to_json({"profile": name}) if arguments.json else name)
    return 0


async def _show(arguments: argparse.Namespace) -> int:
    folder = profile_folder(arguments)
    async with open_profile_offline(arguments) as agent:
        me = agent.me
        record = {
            "profile": arguments.profile,
            "name": me.name,
            "number": me.number,
            "uid": format_uid(me.uid),
            "relay": me.relay,
            "folder": str(folder.path),
        }
        if arguments.json:
            say(to_json(record))
        else:
            record["number"] = format_number(me.number)
            for label, value in record.items():
                say(f"{label:<8} {value}")
    return 0
