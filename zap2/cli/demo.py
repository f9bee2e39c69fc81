"""`zap2 demo`: a relay and two people in this process; one is the person at the keyboard, and nothing is kept."""

from __future__ import annotations

import argparse
import asyncio
import secrets
from contextlib import AsyncExitStack
from typing import Final

from zap2.cli.console import say
from zap2.cli.hosting import HostedRelay
from zap2.cli.robin import Robin
from zap2.cli.running import run_async
from zap2.cli.session import CONNECT_TIMEOUT_S, settle, wait_until_online
from zap2.cli.terminal import require_terminal
from zap2.client.agent import Agent
from zap2.client.api import Client, Signup
from zap2.client.signup import ProfileSignup
from zap2.errors import UsageError
from zap2.ids import conversation_with
from zap2.server.options import RelayOptions
from zap2.tui.app import run_app_async

# Numbers that are kept for fiction in North America: 555-0100 to 555-0199.
_YOUR_NUMBER: Final = "+12025550142"
_ROBINS_NUMBER: Final = "+12025550117"
_INTRO: Final = (
    "A demo: the relay, Robin and you are one process; the encryption is real."
    " Ctrl+Q ends it and leaves nothing."
)
_GOODBYE: Final = (
    "Nothing was kept. Next: `zap2 serve` on a host, `zap2 chat` for you and your friends (or both at once:"
    " `zap2 chat --serve`)."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `zap2 demo`: none of its own."""
    parser.epilog = _INTRO


def run(arguments: argparse.Namespace) -> int:
    """Run the demo until the person quits."""
    require_terminal("zap2 demo")
    with HostedRelay(RelayOptions(port=0, data_dir=None, verify="none")) as address:
        code = run_async(_demo(address))
    say(_GOODBYE)
    return code


async def _demo(address: str) -> int:
    async with AsyncExitStack() as stack:
        robin, you = await asyncio.gather(
            _sign_up(address, _ROBINS_NUMBER, "Robin"), _sign_up(address, _YOUR_NUMBER, "You")
        )
        stack.push_async_callback(robin.close)
        stack.push_async_callback(you.close)
        await you.add_contact(_ROBINS_NUMBER)
        friend = (await robin.add_contact(_YOUR_NUMBER)).uid
        life = asyncio.create_task(Robin(robin, conversation_with(friend)).live())
        try:
            return await run_app_async(_OpenDoor(), opened=you, intro=_INTRO)
        finally:
            life.cancel()
            await asyncio.gather(life, return_exceptions=True)


async def _sign_up(address: str, number: str, name: str) -> Agent:
    signup = ProfileSignup(folder=None)
    try:
        await signup.connect(address)
        await signup.request_code(number)
        agent = await signup.create(name, secrets.token_urlsafe())
    finally:
        await signup.close()
    await wait_until_online(agent, CONNECT_TIMEOUT_S)
    await settle(agent)
    return agent


class _OpenDoor:
    """The door to a profile that is open already and exists nowhere else."""

    profile = "demo"
    exists = True
    notice = None

    async def unlock(self, passphrase: str) -> Client:
        """Refuse: there is nothing to unlock."""
        raise UsageError("The demo has no vault to unlock.")

    def signup(self) -> Signup:
        """Refuse: the demo's people are signed up."""
        raise UsageError("The demo makes no profiles.")
