"""A profile opened for one command, and waiting for what it needs: the link, or an empty outbox."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final

from zap2.cli import passphrase
from zap2.cli.arguments import seconds
from zap2.cli.console import warn
from zap2.cli.places import profile_folder
from zap2.client.agent import Agent
from zap2.client.api import Event, LinkChanged, LinkState, LinkView
from zap2.client.entrance import ProfileEntrance
from zap2.client.offline import unlock_offline
from zap2.client.relay.login import remedy_of_refusal
from zap2.errors import NoProfile, NotTrusted, Refused, Unreachable, VaultDamaged
from zap2.vault.profile import DATABASE_NAME, KEYFILE_NAME, ProfileFolder

CONNECT_TIMEOUT_S: Final = 5.0
_SETTLE_TIMEOUT_S: Final = 5.0
_LOOK_AGAIN_S: Final = 0.03


def add_connect_option(parser: argparse.ArgumentParser) -> None:
    """Declare how long a command tries to reach the relay."""
    parser.add_argument(
        "--connect-timeout",
        metavar="S",
        type=seconds,
        default=CONNECT_TIMEOUT_S,
        help="seconds after which the relay counts as unreachable (default: %(default)g)",
    )


@asynccontextmanager
async def open_profile(arguments: argparse.Namespace) -> AsyncIterator[Agent]:
    """Unlock the profile that the arguments name and connect; what was queued earlier goes out meanwhile.

    Raises:
        NoProfile, WrongPassphrase, VaultDamaged, VaultTooNew, ProfileInUse.
        UsageError: the passphrase cannot be read.
    """
    folder = profile_folder(arguments)
    _require(folder)
    entrance = ProfileEntrance(folder)
    agent = await entrance.unlock(passphrase.read_passphrase(arguments))
    try:
        if entrance.notice is not None:
            warn(entrance.notice.text)
        yield agent
    finally:
        await agent.close()


@asynccontextmanager
async def open_profile_offline(arguments: argparse.Namespace) -> AsyncIterator[Agent]:
    """Unlock the profile that the arguments name, for a command that asks nobody but the vault.

    Raises:
        As `open_profile`.
    """
    folder = profile_folder(arguments)
    _require(folder)
    agent = await unlock_offline(folder, passphrase.read_passphrase(arguments))
    try:
        yield agent
    finally:
        await agent.close()


@asynccontextmanager
async def following(
    agent: Agent, consume: Callable[[AsyncIterator[Event]], Coroutine[Any, Any, None]]
) -> AsyncIterator[None]:
    """Subscribe and hand the events to `consume` for the length of the context."""
    async with agent.events() as events:
        task = asyncio.create_task(consume(events))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def wait_until_online(agent: Agent, timeout_s: float, hint: str = "") -> None:
    """Wait for the link; the first try that fails ends the wait.

    Args:
        hint: what it means for the person when the relay cannot be reached.

    Raises:
        Unreachable: the relay did not answer, or not in time.
        NotTrusted: the relay proved another key than the pinned one.
        Refused: the relay does not want this account.
    """
    try:
        async with asyncio.timeout(timeout_s), agent.events() as events:
            if _is_up(agent.link, hint):
                return
            async for event in events:
                if isinstance(event, LinkChanged) and _is_up(event.link, hint):
                    return
    except TimeoutError:
        raise Unreachable(f"The relay did not answer within {timeout_s:g} seconds.", hint) from None
    raise Unreachable("", hint)


async def settle(agent: Agent, timeout_s: float = _SETTLE_TIMEOUT_S) -> bool:
    """Wait until nothing is left to go out: messages, receipts, prekeys. Give whether that is so in time."""
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + timeout_s
    while await agent.count_outgoing():
        if agent.link.state is not LinkState.ONLINE or loop.time() >= give_up_at:
            return False
        await asyncio.sleep(_LOOK_AGAIN_S)
    return True


def _require(folder: ProfileFolder) -> None:
    if folder.exists:
        return
    if folder.keyfile.exists():
        raise VaultDamaged(
            f"This profile has its {KEYFILE_NAME} and no {DATABASE_NAME}.",
            f"Put {DATABASE_NAME} back from a backup. If it was never set up to the end, sign up again.",
        )
    raise NoProfile(f"There is no profile called {folder.name}.")


def _joined(*hints: str) -> str:
    return " ".join(filter(None, map(str.strip, hints)))


def _is_up(link: LinkView, hint: str) -> bool:
    match link.state:
        case LinkState.ONLINE:
            return True
        case LinkState.NOT_TRUSTED:
            raise NotTrusted(link.detail, _joined(hint, NotTrusted.default_hint))
        case LinkState.OFFLINE if link.refused:
            raise Refused(link.refused, link.detail, hint=_joined(hint, remedy_of_refusal(link.refused)))
        case LinkState.OFFLINE if link.detail:
            raise Unreachable(link.detail, hint)
        case _:
            return False
