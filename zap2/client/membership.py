"""What the relay keeps of the account at the person's wish: a registration PIN, and whether its number is found."""

from __future__ import annotations

from zap2.client.account import RelayAccount
from zap2.client.admission import check_pin
from zap2.client.api import MembershipView
from zap2.client.transport import Transport
from zap2.client.vault_thread import VaultThread
from zap2.client.words import AFTER_THE_NUMBER
from zap2.engine import account as account_in_vault
from zap2.errors import Refused
from zap2.vault.store import Store
from zap2.wire.fields import ErrorCode


class Membership:
    """Asks the relay first and then notes it in the vault, because the relay does not tell it again.

    Args:
        store: of the open vault.
        thread: that owns the store.
        transport: the way to the relay.
    """

    def __init__(self, store: Store, thread: VaultThread, transport: Transport) -> None:
        self._store = store
        self._thread = thread
        self._transport = transport

    async def view(self) -> MembershipView:
        """Say what this profile last asked for."""

        def read() -> MembershipView:
            account = RelayAccount(self._store)
            # The PIN went over with the number, and nobody can be listed without one.
            has_number = account_in_vault.has_number(self._store)
            return MembershipView(account.has_pin and has_number, account.is_listed and has_number)

        return await self._thread.run(read)

    async def set_pin(self, pin: str | None) -> MembershipView:
        """Set the registration PIN, or remove it with None. Raises UsageError, Refused, Unreachable."""
        await self._require_number()
        await self._transport.set_pin(None if pin is None else check_pin(pin))

        def note() -> None:
            with self._store.transaction():
                RelayAccount(self._store).has_pin = pin is not None

        await self._thread.run(note)
        return await self.view()

    async def set_listed(self, *, is_listed: bool) -> MembershipView:
        """Choose whether others find the account by its number. Raises Refused, Unreachable."""
        await self._require_number()
        await self._transport.set_listed(is_listed)

        def note() -> None:
            with self._store.transaction():
                RelayAccount(self._store).is_listed = is_listed

        await self._thread.run(note)
        return await self.view()

    async def _require_number(self) -> None:
        """Refuse what concerns a number where there is none; the relay would do so too."""
        if not await self._thread.run(lambda: account_in_vault.has_number(self._store)):
            words = "Another account has taken over this account's number."
            raise Refused(ErrorCode.NUMBER_LOST, words, hint=AFTER_THE_NUMBER)
