"""An agent without a way to others, for a front-end that only wants to look into the vault."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from typing import NoReturn

from zap2.client.account import RelayAccount
from zap2.client.agent import Agent
from zap2.client.opening import now_ms, open_vault
from zap2.client.transport import Outcome, PublishedKeys, TransportEvent
from zap2.engine.engine import Engine
from zap2.errors import Unreachable
from zap2.ids import EnvelopeId, Uid
from zap2.vault.profile import ProfileFolder


class NoTransport:
    """A `zap2.client.transport.Transport` without a link: asks nobody, and answers for nobody."""

    async def run(self, report: Callable[[TransportEvent], None]) -> None:
        """Wait to be cancelled."""
        await asyncio.Event().wait()

    def hurry(self) -> None:
        """Do nothing: there is no link to open."""

    async def publish(
        self, signed_set: bytes | None, one_time: Sequence[bytes], withdraw_below: int = 0
    ) -> int:
        """Raise Unreachable."""
        _refuse()

    async def fetch(self, uid: Uid) -> PublishedKeys:
        """Raise Unreachable."""
        _refuse()

    async def look_up(self, number: str) -> Uid:
        """Raise Unreachable."""
        _refuse()

    async def set_delivery_token(self, token_hash: bytes | None) -> None:
        """Raise Unreachable."""
        _refuse()

    async def send(
        self,
        envelope: EnvelopeId,
        to: Uid,
        payload: bytes,
        expires_in_s: int,
        delivery_token: bytes | None = None,
    ) -> Outcome:
        """Raise Unreachable."""
        _refuse()

    async def acknowledge(self, tokens: Sequence[int]) -> None:
        """Do nothing: nothing ever arrives."""

    async def set_pin(self, pin: str | None) -> None:
        """Raise Unreachable."""
        _refuse()

    async def set_listed(self, listed: bool) -> None:
        """Raise Unreachable."""
        _refuse()


def _refuse() -> NoReturn:
    raise Unreachable("This command does not connect to the relay.")


async def unlock_offline(folder: ProfileFolder, passphrase: str) -> Agent:
    """Open a profile's vault without connecting; what would go out stays queued.

    Raises:
        NoProfile, ProfileInUse, WrongPassphrase, VaultDamaged, VaultTooNew.
    """
    vault = await open_vault(folder, passphrase)
    try:
        engine, address = await vault.thread.run(
            lambda: (Engine(vault.store, os.urandom), RelayAccount(vault.store).address)
        )
        agent = Agent(
            engine,
            NoTransport(),
            thread=vault.thread,
            relay=str(address),
            now_ms=now_ms,
            on_closed=folder.unlock,
        )
        await agent.start()
    except BaseException:
        await vault.close()
        raise
    return agent
