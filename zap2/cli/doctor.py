"""`zap2 doctor`: each line says what was checked and how it is."""

from __future__ import annotations

import argparse
import os
import platform
import stat
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Final

from zap2 import __version__
from zap2.address import RelayAddress
from zap2.cli import passphrase
from zap2.cli.arguments import add_profile_option
from zap2.cli.console import say
from zap2.cli.places import config_dir, profile_folder
from zap2.cli.running import run_async
from zap2.cli.session import add_connect_option, open_profile, wait_until_online
from zap2.client.signup import ProfileSignup
from zap2.errors import Zap2Error

_PACKAGES: Final = ("cryptography", "sqlcipher3", "websockets", "textual", "phonenumbers", "msgspec")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `zap2 doctor`."""
    add_profile_option(parser)
    parser.add_argument("--relay", metavar="ADDRESS", help="check the way to this relay, without a profile")
    add_connect_option(parser)


def run(arguments: argparse.Namespace) -> int:
    """Check everything; the exit code is that of the first trouble, 0 without any."""
    checks = _Checks()
    checks.good("version", f"zap2 {__version__}, Python {platform.python_version()}, {platform.system()}")
    for package in _PACKAGES:
        _check_package(checks, package)
    _check_folder(checks, config_dir(arguments), "config folder")
    if arguments.relay is not None:
        run_async(_check_relay(checks, arguments.relay))
    else:
        _check_profile(checks, arguments)
    return checks.code


class _Checks:
    """Prints checks as they are made and keeps the first trouble's code."""

    def __init__(self) -> None:
        self.code = 0

    def good(self, what: str, words: str) -> None:
        say(f"ok       {what}: {words}")

    def bad(self, what: str, words: str, code: int = 1) -> None:
        say(f"TROUBLE  {what}: {words}")
        self.code = self.code or code

    def note(self, what: str, words: str) -> None:
        say(f"note     {what}: {words}")

    def failed(self, what: str, error: Zap2Error) -> None:
        self.bad(what, " ".join(filter(None, (str(error), error.hint))), error.exit_code)


def _check_package(checks: _Checks, package: str) -> None:
    try:
        checks.good("package", f"{package} {metadata.version(package)}")
    except metadata.PackageNotFoundError:
        checks.bad("package", f"{package} is missing; install Zap2 again")


def _check_folder(checks: _Checks, folder: Path, what: str) -> None:
    if not folder.exists():
        checks.note(what, f"{folder} is not there yet")
        return
    open_to_others = [
        path for path in _private_paths(folder) if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    ]
    if os.name == "posix" and open_to_others:
        checks.bad(
            what, f"others can look into {open_to_others[0]}; `chmod -R go= {open_to_others[0]}` closes it"
        )
    else:
        checks.good(what, f"{folder}, closed to others")


def _private_paths(folder: Path) -> Iterator[Path]:
    """Give what has to be closed; what lies deeper in a closed folder is closed with it."""
    yield folder
    for pattern in ("profiles", "profiles/*", "profiles/*/vault.*", "relay"):
        yield from folder.glob(pattern)


def _check_profile(checks: _Checks, arguments: argparse.Namespace) -> None:
    folder = profile_folder(arguments)
    if not folder.exists and not folder.keyfile.exists():
        checks.note("profile", f"{arguments.profile} is not set up yet; `zap2 chat` does that")
        return
    checks.good("profile", f"{arguments.profile} is in {folder.path}")
    if not passphrase.is_given(arguments):
        checks.note("vault", "not opened; with --passphrase-file it is checked too, and so is the relay")
        return
    run_async(_check_vault(checks, arguments))


async def _check_vault(checks: _Checks, arguments: argparse.Namespace) -> int:
    try:
        async with open_profile(arguments) as agent:
            checks.good("vault", "opens with this passphrase")
            waiting = await agent.count_outgoing()
            checks.good(
                "outbox", f"{waiting} messages, receipts or keys wait for the relay" if waiting else "empty"
            )
            try:
                await wait_until_online(agent, arguments.connect_timeout, " ")
                checks.good("relay", f"{agent.me.relay} answers, has the pinned key and knows this account")
            except Zap2Error as error:
                checks.failed("relay", error)
    except Zap2Error as error:
        checks.failed("vault", error)
    return 0


async def _check_relay(checks: _Checks, address: str) -> int:
    signup = ProfileSignup(folder=None)
    try:
        relay = await signup.connect(str(RelayAddress.parse(address)))
        checks.good("relay", f"{relay.address} answers; registration {relay.registration}")
        if not relay.is_pinned:
            checks.note("relay", f"its key's fingerprint is {relay.fingerprint}; its host can confirm it")
    except Zap2Error as error:
        checks.failed("relay", error)
    finally:
        await signup.close()
    return 0
