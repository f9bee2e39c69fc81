"""The door to one profile: unlocking a vault that is there, or signing up for a new one."""

from __future__ import annotations

import os

from zap2.client.agent import Agent
from zap2.client.api import Notice
from zap2.client.opening import open_vault
from zap2.client.signup import ProfileSignup, finish_registration
from zap2.ids import RandomBytes
from zap2.vault.profile import ProfileFolder


class ProfileEntrance:
    """The door to one profile as `zap2.client.api.Entrance`.

    Args:
        folder: where the profile lives, or will live.
        rng: for keys and nonces.
    """

    def __init__(self, folder: ProfileFolder, rng: RandomBytes = os.urandom) -> None:
        self._folder = folder
        self._rng = rng
        self._notice: Notice | None = None

    @property
    def profile(self) -> str:
        """The profile's name."""
        return self._folder.name

    @property
    def exists(self) -> bool:
        """Whether there is a vault to unlock; otherwise sign up."""
        return self._folder.exists

    @property
    def notice(self) -> Notice | None:
        """What the person should know of a sign-up that unlocking finished."""
        return self._notice

    async def unlock(self, passphrase: str) -> Agent:
        """Open the vault and start the client; finishes a signup that was interrupted."""
        vault = await open_vault(self._folder, passphrase)
        try:
            self._notice = await finish_registration(vault, self._rng)
            return await vault.start_agent(self._rng)
        except BaseException:
            await vault.close()
            raise

    def signup(self) -> ProfileSignup:
        """Begin a first run."""
        return ProfileSignup(self._folder, self._rng)
