"""What the relay keeps of the account at the person's wish: a registration PIN, and whether its number is found."""

from __future__ import annotations

from zap2.client.account import RelayAccount
from zap2.client.admission import check_pin
from zap2.client.api import MembershipView
from zap2.client.transport import Transport
from zap2.client.vault_thread import VaultThread
from zap2.vault.store import Store


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
            return MembershipView(account.has_pin, account.is_listed)

        return await self._thread.run(read)

    async def set_pin(self, pin: str | None) -> MembershipView:
        """Set the registration PIN, or remove it with None. Raises UsageError, Refused, Unreachable."""
        await self._transport.set_pin(None if pin is None else check_pin(pin))

        def note() -> None:
            with self._store.transaction():
                RelayAccount(self._store).has_pin = pin is not None

        await self._thread.run(note)
        return await self.view()

    async def set_listed(self, *, is_listed: bool) -> MembershipView:
        """Choose whether others find the account by its number. Raises Refused, Unreachable."""
        await self._transport.set_listed(is_listed)

        def note() -> None:
            with self._store.transaction():
                RelayAccount(self._store).is_listed = is_listed

        await self._thread.run(note)
        return await self.view()
