"""Opening and making vaults, and starting the agent of the account inside."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from zap2.client.account import RelayAccount, VaultTokens
from zap2.client.agent import Agent
from zap2.client.relay.link import RelayTransport
from zap2.client.vault_thread import VaultThread
from zap2.engine.engine import Engine
from zap2.errors import NoProfile
from zap2.ids import RandomBytes
from zap2.vault.container import create_database, memory_database, open_database
from zap2.vault.keyfile import create_keyfile, open_keyfile
from zap2.vault.profile import ProfileFolder
from zap2.vault.sql import Connection
from zap2.vault.store import Store

Fill = Callable[[Store], None]
"""Writes the account into a vault that is being made, inside its one transaction."""


def now_ms() -> int:
    """Give the time of the machine, in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


class OpenVault:
    """An open store with the thread that owns it; becomes an `Agent`, or is closed."""

    def __init__(self, store: Store, thread: VaultThread, folder: ProfileFolder | None) -> None:
        self.store = store
        self.thread = thread
        self._folder = folder

    async def is_registered(self) -> bool:
        """Say whether the relay confirmed the account in this vault."""
        return await self.thread.run(lambda: RelayAccount(self.store).ticket is None)

    async def start_agent(self, rng: RandomBytes = os.urandom, *, is_online: bool = True) -> Agent:
        """Start the agent of the account that is in this vault; it owns the vault from then on.

        Args:
            rng: for keys, ids and nonces.
            is_online: whether to open the link; without it only the vault is asked.
        """
        engine, address = await self.thread.run(
            lambda: (Engine(self.store, rng), RelayAccount(self.store).address)
        )
        tokens = VaultTokens(self.store, self.thread)
        transport = RelayTransport(address, engine.keys, tokens=tokens, rng=rng, on_pinned=tokens.pin)
        agent = Agent(
            engine,
            transport,
            thread=self.thread,
            relay=str(address),
            now_ms=now_ms,
            on_closed=self._release,
        )
        await agent.start(is_online=is_online)
        return agent

    def note_registered(self) -> None:
        """Have the profile's folder show a finished sign-up. Raises VaultError."""
        if self._folder is not None:
            self._folder.set_unfinished(False)

    async def close(self) -> None:
        """Close the store and let go of the profile."""
        await self.thread.run(self.store.close)
        self.thread.close()
        self._release()

    def _release(self) -> None:
        if self._folder is not None:
            self._folder.unlock()


async def create_vault(
    folder: ProfileFolder | None, passphrase: str, fill: Fill, rng: RandomBytes = os.urandom
) -> OpenVault:
    """Make a vault with an account in it, and open it; a crash on the way leaves no profile.

    Args:
        folder: where it will be; None for memory, gone when it is closed.
        passphrase: opens it.
        fill: writes the account.
        rng: for the vault's key.

    Raises:
        UsageError: the passphrase is empty.
        ProfileExists, ProfileInUse, VaultError.
    """

    def prepare(connection: Connection) -> None:
        store = Store(connection)
        with store.transaction():
            fill(store)

    def work() -> Store:
        if folder is None:
            connection = memory_database()
            prepare(connection)
            return Store(connection)
        folder.create()
        try:
            key = create_keyfile(folder.keyfile, passphrase, rng)
            return _store_over(create_database(folder.database, key, prepare))
        except BaseException:
            folder.unlock()
            raise

    return await _open(folder, work)


async def open_vault(folder: ProfileFolder, passphrase: str) -> OpenVault:
    """Take the profile's lock and open its vault.

    Raises:
        NoProfile, ProfileInUse, WrongPassphrase, VaultDamaged, VaultTooNew.
    """
    if not folder.exists:
        raise NoProfile

    def work() -> Store:
        folder.lock()
        try:
            return _store_over(open_database(folder.database, open_keyfile(folder.keyfile, passphrase)))
        except BaseException:
            folder.unlock()
            raise

    return await _open(folder, work)


def _store_over(connection: Connection) -> Store:
    try:
        return Store(connection)
    except BaseException:
        connection.close()
        raise


async def _open(folder: ProfileFolder | None, work: Callable[[], Store]) -> OpenVault:
    thread = VaultThread()
    try:
        return OpenVault(await thread.run(work), thread, folder)
    except BaseException:
        thread.close()
        raise
