"""`zap2 verify`: the safety number with somebody, and what comparing it gave."""

from __future__ import annotations

import argparse
import io
from typing import Final

from zap2.cli.arguments import add_profile_option
from zap2.cli.console import say
from zap2.cli.records import to_json
from zap2.cli.running import run_async
from zap2.cli.session import open_profile_offline
from zap2.cli.who import find_contact
from zap2.client.api import SafetyNumberView
from zap2.errors import NotTrusted, UsageError
from zap2.ids import format_uid

_ANY: Final = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `zap2 verify`."""
    parser.add_argument("who", metavar="WHO", help="a phone number, or the name of a contact")
    add_profile_option(parser)
    parser.add_argument(
        "--confirm",
        metavar="DIGITS",
        nargs="?",
        const=_ANY,
        help="you compared it and it matches; DIGITS, when given, must be the safety number",
    )
    parser.add_argument("--undo", action="store_true", help="take a confirmation back")
    parser.add_argument("--qr", action="store_true", help="show a QR code as well")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Show, confirm or take back."""
    if arguments.undo and arguments.confirm is not None:
        raise UsageError("--confirm and --undo exclude each other.")
    return run_async(_verify(arguments))


async def _verify(arguments: argparse.Namespace) -> int:
    async with open_profile_offline(arguments) as agent:
        uid = await find_contact(agent, arguments.who)
        if uid == agent.me.uid:
            raise UsageError("That is yourself; there is nothing to compare.")
        number = await agent.safety_number(uid)
        if arguments.confirm is not None:
            _check(number, arguments.confirm)
            await agent.set_verified(uid, is_verified=True)
        elif arguments.undo:
            await agent.set_verified(uid, is_verified=False)
        _show(await agent.safety_number(uid), arguments)
    return 0


def _check(number: SafetyNumberView, given: str) -> None:
    digits = "".join(char for char in given if not char.isspace() and char not in "-.")
    if given == _ANY:
        return
    if len(digits) != len(number.digits) or not (digits.isascii() and digits.isdigit()):
        raise UsageError(
            "That is not a whole safety number.",
            f"It has {len(number.digits)} digits, and nothing was changed. Write all of them.",
        )
    if digits != number.digits:
        raise NotTrusted(
            f"This is not the safety number with {number.title}.",
            "Nothing was changed. If they read theirs out correctly, somebody may be in between.",
        )


def _show(number: SafetyNumberView, arguments: argparse.Namespace) -> None:
    if arguments.json:
        say(
            to_json(
                {
                    "uid": format_uid(number.peer),
                    "name": number.title,
                    "safety_number": number.digits,
                    "verified": number.is_verified,
                }
            )
        )
        return
    groups = number.groups()
    state = "verified" if number.is_verified else "not verified"
    say(f"Safety number with {number.title} ({state}):")
    for start in range(0, len(groups), 4):
        say("  " + " ".join(groups[start : start + 4]))
    if arguments.qr:
        say(_qr(number.qr_text))
    if not number.is_verified:
        say("Compare it over another channel; if both see the same: zap2 verify WHO --confirm")


def _qr(text: str) -> str:
    # Loaded here, because few ask for it.
    import segno

    drawn = io.StringIO()
    segno.make(text).terminal(drawn, compact=True, border=2)
    return drawn.getvalue().rstrip("\n")
