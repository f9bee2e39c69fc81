"""A first run: reach a relay, prove a number, make a vault, register.

Order matters. The vault with its identity is written before the account is registered, and the registration's
ticket is kept in it, so that a crash or a broken relay between the two costs a repetition and never the account.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from typing import Final

from zap2.address import RelayAddress
from zap2.client.account import RelayAccount
from zap2.client.agent import Agent
from zap2.client.api import Notice, RelayView, VerificationView
from zap2.client.opening import Fill, OpenVault, create_vault, open_vault
from zap2.client.relay.registration import Outcome, RegistrationClient
from zap2.client.words import signed_up_unheard_notice, takeover_notice
from zap2.crypto import IdentityKeys
from zap2.engine import account
from zap2.errors import (
    NotTrusted,
    OtherRelayKey,
    ProfileExists,
    Refused,
    SignupUnfinished,
    TransportError,
    UsageError,
)
from zap2.ids import RandomBytes
from zap2.phone import parse_number
from zap2.vault.keyfile import rewrap
from zap2.vault.profile import ProfileFolder
from zap2.vault.store import Store

_WHY_UNFINISHED: Final = {
    "ticket-invalid": "The proof of the number has expired.",
    "invite-needed": "The invite has expired, or was used by somebody else.",
    "wrong-pin": "Another account has the number, and the PIN that was given is not its registration PIN.",
    "pin-needed": "Another account has the number, and its registration PIN is needed.",
    "registration-closed": "The relay takes no new accounts.",
}
_PIN_MISSING: Final = ("pin-needed", "wrong-pin")
_MAYBE_DONE: Final = ("ticket-invalid", "number-registered")
"""What a relay says, too, to somebody whom it registered, once the proof of the number has expired."""


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
    """

    def __init__(self, folder: ProfileFolder | None, rng: RandomBytes = os.urandom) -> None:
        self._folder = folder
        self._rng = rng
        self._progress = _Progress()
        self._earlier = _Progress()
        self._made_with: str | None = None
        self._registration: RegistrationClient | None = None
        self._notice: Notice | None = None

    @property
    def notice(self) -> Notice | None:
        """What the person should know of how the account came to its number."""
        return self._notice

    async def connect(self, address: str) -> RelayView:
        """Reach a relay and check its key."""
        parsed = RelayAddress.parse(address)
        await self.close()
        registration = RegistrationClient(parsed, rng=self._rng)
        try:
            relay = await registration.connect()
        except OtherRelayKey:
            raise NotTrusted(
                "The relay has another key than the one in the address.",
                "Check the address for typing errors, and ask the relay's host for it.",
            ) from None
        self._registration = registration
        self._progress = _Progress(RelayAddress.parse(relay.address))
        return relay

    async def request_code(self, number: str, *, invite: str | None = None) -> VerificationView:
        """Check a number and have a code sent to it."""
        e164 = parse_number(number)
        started = await self._connected().start_verification(e164, invite=invite)
        self._progress.number = started.view.number
        self._progress.ticket = started.ticket
        return started.view

    def expect_code(self, number: str) -> str:
        """Go on with a code that was requested earlier for a number; gives that as E.164. Raises InvalidPhoneNumber."""
        self._progress.number = parse_number(number)
        return self._progress.number

    async def look_back(self, passphrase: str) -> None:
        """Look what an earlier run left in the profile, which is not finished; `take_up` goes on with it.

        Raises:
            ProfileExists: it is finished.
            WrongPassphrase, VaultDamaged, VaultTooNew, ProfileInUse.
        """
        if self._folder is None or not self._folder.exists:
            return
        vault = await open_vault(self._folder, passphrase)

        def read() -> _Progress:
            relay = RelayAccount(vault.store)
            return _Progress(relay.address, account.number(vault.store), relay.ticket)

        try:
            if await vault.is_registered():
                raise ProfileExists
            self._earlier = await vault.thread.run(read)
        finally:
            await vault.close()

    def take_up(self, number: str) -> bool:
        """Say whether an earlier run has proved this number to this relay; then `create` is next.

        The relay takes the proof for half an hour, and refuses it as `ticket-invalid` after that. Raises
        InvalidPhoneNumber.
        """
        earlier, number = self._earlier, parse_number(number)
        if (earlier.address, earlier.number) != (self._progress.address, number):
            return False
        self._progress.number, self._progress.ticket = number, earlier.ticket
        return True

    async def check_code(self, code: str) -> None:
        """Prove possession of the number."""
        if self._progress.number is None:
            raise UsageError("There is no number to prove yet.")
        self._progress.ticket = await self._connected().check_code(self._progress.number, code.strip())

    async def create(
        self, name: str, passphrase: str, *, invite: str | None = None, pin: str | None = None
    ) -> Agent:
        """Write the vault, then register, then open the client."""
        name = account.check_name(name)
        progress = self._progress
        if progress.address is None or progress.number is None or progress.ticket is None:
            raise UsageError("The number has not been proved yet.")
        address, number, ticket = progress.address, progress.number, progress.ticket
        is_repeated = False

        def remember(store: Store) -> None:
            nonlocal is_repeated
            account.set_profile(store, name=name, number=number)
            relay = RelayAccount(store)
            is_repeated = relay.ticket == ticket
            if not is_repeated:
                relay.is_pin_needed, relay.pin = False, None
            if pin is not None:
                relay.pin = pin
            relay.address, relay.ticket, relay.invite = address, ticket, invite

        vault = await self._make_vault(passphrase, remember)
        try:
            self._notice = await register(vault, self._connected(), is_repeated=is_repeated)
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

    async def _make_vault(self, passphrase: str, remember: Fill) -> OpenVault:
        """Make a vault with the account, or take up one whose registration was not finished."""

        def fill(store: Store) -> None:
            if self._folder is not None:
                self._folder.set_unfinished(True)
            account.create_identity(store, self._rng)
            remember(store)

        if self._folder is None or not self._folder.exists:
            vault = await create_vault(self._folder, passphrase, fill, self._rng)
            self._made_with = passphrase
            return vault
        if self._made_with is not None and self._made_with != passphrase:
            # Whoever was refused, went back and chose another passphrase means that one.
            await asyncio.to_thread(rewrap, self._folder.keyfile, self._made_with, passphrase, self._rng)
            self._made_with = passphrase
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


async def register(vault: OpenVault, registration: RegistrationClient, *, is_repeated: bool) -> Notice | None:
    """Register the account of a vault with the ticket, the invite and the PIN that it keeps, and note that it is done.

    Gives what the person should know of how that went.

    Args:
        vault: with an account in it.
        registration: a way to its relay.
        is_repeated: whether the relay may have done it already, an answer being lost.

    Raises:
        Refused: the ticket or the invite is void, or a PIN is needed.
        Unreachable: nothing is lost; do it again.
    """
    relay = RelayAccount(vault.store)

    def read() -> tuple[IdentityKeys, bytes | None, str | None, str | None]:
        return account.load_keys(vault.store), relay.ticket, relay.invite, relay.pin

    keys, ticket, invite, pin = await vault.thread.run(read)
    if ticket is None:
        return None

    def ask_for_pin() -> None:
        # A wrong one is tried once only: some more, and the relay takes none for a day.
        with vault.store.transaction():
            relay.is_pin_needed, relay.pin = True, None

    try:
        outcome = await registration.register(keys, ticket, invite=invite, pin=pin)
        notice = takeover_notice(has_pin=outcome.has_pin) if outcome.took_over else None
    except Refused as refused:
        if refused.code in _PIN_MISSING:
            await vault.thread.run(ask_for_pin)
        if not (is_repeated and refused.code in _MAYBE_DONE and await registration.has_account(keys)):
            raise
        outcome = Outcome()
        notice = None if pin is None else signed_up_unheard_notice()

    def note() -> None:
        # First: a crash in between leaves a ticket, which the next opening gives once more.
        vault.note_registered()
        with vault.store.transaction():
            relay.ticket = relay.invite = relay.pin = None
            relay.is_pin_needed = False
            relay.has_pin, relay.is_listed = outcome.has_pin, outcome.is_listed

    await vault.thread.run(note)
    return notice


async def finish_registration(vault: OpenVault, rng: RandomBytes = os.urandom) -> Notice | None:
    """Finish a registration that a crash or a broken relay interrupted; does nothing for a finished one.

    Gives what the person should know of how that went.

    Raises:
        SignupUnfinished: the relay wants something that only the person has: sign up again.
    """
    relay = RelayAccount(vault.store)
    address, ticket, is_pin_missing = await vault.thread.run(
        lambda: (relay.address, relay.ticket, relay.is_pin_needed and relay.pin is None)
    )
    if ticket is None:
        return None
    if is_pin_missing:
        # Without it the number might be had by now, its account being idle; the PIN would be lost with that.
        raise SignupUnfinished(_WHY_UNFINISHED["pin-needed"], relay=str(address))
    registration = RegistrationClient(address, rng=rng)
    try:
        await registration.connect()
        return await register(vault, registration, is_repeated=True)
    except Refused as error:
        if error.is_temporary:
            raise
        raise SignupUnfinished(_WHY_UNFINISHED.get(error.code, str(error)), relay=str(address)) from None
    except TransportError:
        # The relay may have registered it all the same; the link will tell.
        return None
    finally:
        await registration.close()
