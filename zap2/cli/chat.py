"""`zap2 chat`: the messenger on the screen, with a relay inside it if wanted."""

from __future__ import annotations

import argparse
from contextlib import AbstractContextManager, ExitStack
from typing import Final

from zap2.address import RelayAddress
from zap2.cli import arguments as reading
from zap2.cli import passphrase
from zap2.cli.places import hosted_relay_data_dir, profile_folder
from zap2.cli.running import run_async
from zap2.cli.terminal import require_terminal
from zap2.client.entrance import ProfileEntrance
from zap2.errors import UsageError
from zap2.tui.app import run_app_async

_DEFAULT_PORT: Final = 8765


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `zap2 chat`."""
    reading.add_profile_option(parser)
    parser.add_argument("--relay", metavar="ADDRESS", help="the relay that the first-run wizard offers")
    parser.add_argument(
        "--serve", action="store_true", help="host a relay inside this chat, for as long as it runs"
    )
    parser.add_argument(
        "--host",
        metavar="ADDRESS",
        default="127.0.0.1",
        help="with --serve: where to listen (default: %(default)s)",
    )
    parser.add_argument(
        "--port",
        metavar="N",
        type=reading.port,
        default=_DEFAULT_PORT,
        help="with --serve: the port to listen on (default: %(default)s)",
    )
    parser.add_argument(
        "--verify",
        choices=["log", "none"],
        default="none",
        help="with --serve: how a phone number is proved (default: %(default)s)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the messenger until the person quits."""
    if arguments.relay is not None:
        if arguments.serve:
            raise UsageError("--serve brings a relay of its own; --relay names another one.")
        RelayAddress.parse(arguments.relay)
    folder = profile_folder(arguments)
    require_terminal("zap2 chat")
    entrance = ProfileEntrance(folder)
    secret = (
        passphrase.read_passphrase(arguments) if passphrase.is_given(arguments) and entrance.exists else None
    )
    with ExitStack() as stack:
        hosting = None
        if arguments.serve:
            hosting = stack.enter_context(_relay_of(arguments))
        return run_async(_chat(entrance, secret, hosting or arguments.relay, hosting))


async def _chat(
    entrance: ProfileEntrance, secret: str | None, default_relay: str | None, hosting: str | None
) -> int:
    opened = None if secret is None else await entrance.unlock(secret)
    return await run_app_async(entrance, default_relay=default_relay, hosting=hosting, opened=opened)


def _relay_of(arguments: argparse.Namespace) -> AbstractContextManager[str]:
    # Loaded here, so that a chat without a relay of its own is on the screen sooner.
    from zap2.cli.hosting import HostedRelay
    from zap2.server.options import RelayOptions

    return HostedRelay(
        RelayOptions(
            host=arguments.host,
            port=arguments.port,
            data_dir=hosted_relay_data_dir(arguments),
            verify=arguments.verify,
        )
    )
