"""`zap2 signup`: a first run without a screen. What can be refused here is refused before anything is sent."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import Final

from zap2.address import RelayAddress
from zap2.cli import passphrase, stdin
from zap2.cli.arguments import add_profile_option
from zap2.cli.console import complain, say, warn
from zap2.cli.pins import read_pin
from zap2.cli.places import profile_folder
from zap2.cli.running import run_async
from zap2.cli.session import add_connect_option, settle, wait_until_online
from zap2.client.admission import check_invite
from zap2.client.agent import Agent
from zap2.client.api import VerificationView
from zap2.client.signup import ProfileSignup
from zap2.engine.account import check_name
from zap2.errors import CodeNeeded, Refused, Unreachable, UsageError, VaultError, Zap2Error
from zap2.phone import format_number, parse_number
from zap2.vault.profile import ProfileFolder

_WRONG_CODE: Final = "wrong-code"
_PROOF_EXPIRED: Final = "ticket-invalid"
_ROOM_B: Final = 1024 * 1024
"""Less than this is too little for a vault that has just been made."""

_OPTIONS: Final = {
    "invite-needed": "Ask the relay's host for an invite, and give it with --invite CODE. To move a number that has an"
    " account here you need one too, and its registration PIN.",
    "pin-needed": "If the number is yours, write the PIN that you set for it into a file: --pin-file FILE.",
    "resend-too-soon": "The code that was sent is good: give it with --code CODE.",
}
"""What helps here against a refusal, by its code."""

_NOT_PUBLISHED: Final = (
    "The profile is set up, and others can write to you as soon as it has been online: open it again."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `zap2 signup`."""
    add_profile_option(parser)
    parser.add_argument(
        "--relay", metavar="ADDRESS", required=True, help="the relay's address, as its host gave it"
    )
    parser.add_argument(
        "--phone", metavar="NUMBER", required=True, help="your phone number, with country code"
    )
    parser.add_argument("--name", metavar="NAME", required=True, help="the name that your contacts see")
    parser.add_argument("--code", metavar="CODE", help="the code that an earlier run asked for")
    parser.add_argument("--invite", metavar="CODE", help="the host's invite, where the relay asks for one")
    parser.add_argument(
        "--pin-file",
        metavar="FILE",
        type=Path,
        help="a file with the registration PIN of the account that has the number, to take it over",
    )
    add_connect_option(parser)


def run(arguments: argparse.Namespace) -> int:
    """Set a profile up, and give 0 once others can write to it."""
    number = parse_number(arguments.phone)
    check_name(arguments.name)
    RelayAddress.parse(arguments.relay)
    folder = profile_folder(arguments)
    read = passphrase.read_passphrase if folder.exists else passphrase.read_new_passphrase
    return run_async(_sign_up(arguments, folder, number, read(arguments)))


async def _sign_up(arguments: argparse.Namespace, folder: ProfileFolder, number: str, secret: str) -> int:
    invite = None if arguments.invite is None else check_invite(arguments.invite)
    pin = read_pin(arguments.pin_file) if arguments.pin_file else None
    signup = ProfileSignup(folder)
    await signup.look_back(secret)
    try:
        relay = await signup.connect(arguments.relay)
        if not relay.is_pinned:
            warn(
                f"the relay's key is taken on trust; ask its host whether its fingerprint is {relay.fingerprint}"
            )
        # A code is good once: what was refused after it, for an invite or a PIN, needs no other one.
        is_proved = signup.take_up(number)
        if not is_proved:
            await _prove(signup, number, arguments.code, invite)
        try:
            agent = await signup.create(arguments.name, secret, invite=invite, pin=pin)
        except Refused as error:
            if not is_proved or error.code != _PROOF_EXPIRED:
                raise
            await _prove(signup, number, arguments.code, invite)
            agent = await signup.create(arguments.name, secret, invite=invite, pin=pin)
    except Refused as error:
        raise Refused(
            error.code, str(error), error.retry_after_s, _OPTIONS.get(error.code, error.hint)
        ) from None
    finally:
        await signup.close()
    try:
        try:
            await _go_online(agent, arguments.connect_timeout)
        except Zap2Error as error:
            raise why_unpublished(error, folder.path) from None
        say(f"Signed up: {agent.me.name}, {format_number(agent.me.number)}, at {agent.me.relay}")
        if signup.notice is not None:
            say(signup.notice.text)
    finally:
        await agent.close()
    return 0


async def _prove(signup: ProfileSignup, number: str, code: str | None, invite: str | None) -> None:
    """Prove the number with a code that is there, or have one sent and ask for it. Raises CodeNeeded, Refused."""
    if code is not None:
        signup.expect_code(number)
        await signup.check_code(code)
        return
    started = await signup.request_code(number, invite=invite)
    if started.is_needed:
        await _ask_for_code(signup, started)


async def _ask_for_code(signup: ProfileSignup, started: VerificationView) -> None:
    """Ask for the code until it is right.

    Raises:
        CodeNeeded: standard input ended before there was a code, or is not text.
        Refused: the code is wrong and there is no other, or the relay takes no more.
    """
    number, minutes = format_number(started.number), round(started.expires_in_s / 60)
    if started.method == "log":
        warn(f"the code for {number} is in the relay's log; ask its host (it is good for {minutes} minutes)")
    else:
        warn(f"a code was sent to {number} (it is good for {minutes} minutes)")
    refusal: Refused | None = None
    _prompt()
    async for code in stdin.lines():
        try:
            await signup.check_code(_read(code))
        except Refused as error:
            if error.code != _WRONG_CODE:
                raise
            refusal = error
        else:
            return
        if sys.stdin.isatty():
            complain(refusal)
            _prompt()
    if refusal is not None:
        raise refusal
    raise CodeNeeded(f"A code for {number} was issued, and nothing is set up before it is given.")


def _read(line: stdin.Line) -> str:
    try:
        return line.text().strip()
    except UsageError as error:
        raise CodeNeeded(str(error)) from None


def _prompt() -> None:
    if sys.stdin.isatty():
        sys.stderr.write("Code: ")
        sys.stderr.flush()


def why_unpublished(error: Zap2Error, folder: Path) -> Zap2Error:
    """Give the reason why the keys did not go out: the disk where it is full, else what was noticed."""
    if shutil.disk_usage(folder).free >= _ROOM_B:
        return error
    return VaultError(
        f"The disk of {folder} is full.",
        "The profile exists: make room and use it, for example with `zap2 receive`, and it completes itself.",
    )


async def _go_online(agent: Agent, timeout_s: float) -> None:
    """Publish the keys that others need to write to this account. Raises Unreachable, NotTrusted."""
    await wait_until_online(agent, timeout_s, _NOT_PUBLISHED)
    if not await settle(agent):
        raise Unreachable("The relay did not take this account's keys yet.", _NOT_PUBLISHED)
