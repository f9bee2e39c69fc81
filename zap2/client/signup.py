"""A first run: reach a relay, prove a number, make a vault, register.

Order matters. The vault with its identity is written before the account is registered, and the registration's
ticket is kept in it, so that a crash or a broken relay between the two costs a repetition and never the account.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from zap2.address import RelayAddress
from zap2.client.account import RelayAccount
from zap2.client.agent import Agent
from zap2.client.api import RelayView, VerificationView
from zap2.client.opening import OpenVault, create_vault, open_vault
from zap2.client.relay.registration import RegistrationClient
from zap2.engine import account
from zap2.errors import NotTrusted, OtherRelayKey, ProfileExists, Refused, TransportError, UsageError
from zap2.ids import RandomBytes
from zap2.phone import parse_number
from zap2.vault.profile import ProfileFolder
from zap2.vault.store import Store


@dataclass(slots=True)
class _Progress:
    """What the steps so far gave."""

    address: RelayAddress | None = None
    number: str | None = field(default=None, repr=False)
    ticket: bytes | None = field(default=None, repr=False)


class ProfileSignup:
    """The steps of a first run as `zap2.client.api.Signup`.

    Args:
        folder: where the profile will live; None keeps it in memory.
        rng: for keys and nonces.
        invite: the host's invite, where the relay asks for one.
        pin: the registration PIN of the account that has the number, to take it over.
    """

    def __init__(
        self,
        folder: ProfileFolder | None,
        rng: RandomBytes = os.urandom,
        *,
        invite: str | None = None,
        pin: str | None = None,
    ) -> None:
        self._folder = folder
        self._rng = rng
        self._invite = invite
        self._pin = pin
        self._progress = _Progress()
        self._registration: RegistrationClient | None = None

    async def connect(self, address: str) -> RelayView:
        """Reach a relay and check its key."""
        parsed = RelayAddress.parse(address)
        await self.close()
        registration = RegistrationClient(parsed, rng=self._rng, invite=self._invite, pin=self._pin)
        try:
            relay = await registration.connect()
        except OtherRelayKey:
            raise NotTrusted(
                "The relay has another key than the one in the address.",
                "Check the address for typing errors, and ask the relay's host for it.",
            ) from None
        self._registration = registration
        self._progress = _Progress(address=RelayAddress.parse(relay.address))
        return relay

    async def request_code(self, number: str) -> VerificationView:
        """Check a number and have a code sent to it."""
        e164 = parse_number(number)
        started = await self._connected().start_verification(e164)
        self._progress.number = started.view.number
        self._progress.ticket = started.ticket
        return started.view

    def expect_code(self, number: str) -> None:
        """Go on with a code that was requested earlier for a number. Raises InvalidPhoneNumber."""
        self._progress.number = parse_number(number)

    async def check_code(self, code: str) -> None:
        """Prove possession of the number."""
        if self._progress.number is None:
            raise UsageError("There is no number to prove yet.")
        self._progress.ticket = await self._connected().check_code(self._progress.number, code.strip())

    async def create(self, name: str, passphrase: str) -> Agent:
        """Write the vault, then register, then open the client."""
        name = account.check_name(name)
        progress = self._progress
        if progress.address is None or progress.number is None or progress.ticket is None:
            raise UsageError("The number has not been proved yet.")
        vault = await self._make_vault(name, passphrase, progress.address, progress.number, progress.ticket)
        try:
            await register(vault, self._connected())
            await self.close()
            return await vault.start_agent(self._rng)
        except BaseException:
            await vault.close()
            raise

    async def close(self) -> None:
        """Give up; forgets what was not created."""
        if self._registration is not None:
            await self._registration.close()
            self._registration = None

    def _connected(self) -> RegistrationClient:
        if self._registration is None:
            raise UsageError("No relay has been chosen yet.")
        return self._registration

    async def _make_vault(
        self, name: str, passphrase: str, address: RelayAddress, number: str, ticket: bytes
    ) -> OpenVault:
        """Make a vault with the account, or take up one whose registration was not finished."""

        def remember(store: Store) -> None:
            account.set_profile(store, name=name, number=number)
            relay = RelayAccount(store)
            relay.address = address
            relay.ticket = ticket

        def fill(store: Store) -> None:
            account.create_identity(store, self._rng)
            remember(store)

        if self._folder is None or not self._folder.exists:
            return await create_vault(self._folder, passphrase, fill, self._rng)
        vault = await open_vault(self._folder, passphrase)

        def work() -> None:
            with vault.store.transaction():
                remember(vault.store)

        try:
            if await vault.is_registered():
                raise ProfileExists
            await vault.thread.run(work)
        except BaseException:
            await vault.close()
            raise
        return vault


async def register(vault: OpenVault, registration: RegistrationClient) -> None:
    """Register the account of a vault with the ticket that it keeps, and note that it is done.

    Raises:
        Refused: the ticket is void; prove the number again.
        Unreachable: nothing is lost; do it again.
    """
    relay = RelayAccount(vault.store)
    keys, ticket = await vault.thread.run(lambda: (account.load_keys(vault.store), relay.ticket))
    if ticket is None:
        return
    await registration.register(keys, ticket)

    def note() -> None:
        with vault.store.transaction():
            relay.ticket = None

    await vault.thread.run(note)


async def finish_registration(vault: OpenVault, rng: RandomBytes = os.urandom) -> None:
    """Finish a registration that a crash or a broken relay interrupted; does nothing for a finished one.

    Raises:
        UsageError: the ticket has expired and the account was never registered: sign up again.
    """
    relay = RelayAccount(vault.store)
    address, ticket = await vault.thread.run(lambda: (relay.address, relay.ticket))
    if ticket is None:
        return
    registration = RegistrationClient(address, rng=rng)
    try:
        await registration.connect()
        await register(vault, registration)
    except Refused as error:
        if error.code != "ticket-invalid":
            raise
        raise UsageError(
            "The signup of this profile was never finished and the proof of its number has expired.",
            "Sign up again with `zap2 signup` and the same profile name and passphrase: nothing is lost.",
        ) from None
    except TransportError:
        # The relay may have registered it all the same; the link will tell.
        return
    finally:
        await registration.close()
