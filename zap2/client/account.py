"""What a profile remembers of its relay, inside the vault."""

from __future__ import annotations

from typing import Final

from zap2.address import RelayAddress
from zap2.client.vault_thread import VaultThread
from zap2.errors import VaultDamaged
from zap2.vault.store import Store

_RELAY: Final = "relay-address"
_TOKEN: Final = "relay-token"  # noqa: S105 (the name of a setting)
_TICKET: Final = "relay-ticket"
_INVITE: Final = "relay-invite"
_PIN: Final = "relay-pin"
_IS_PIN_NEEDED: Final = "relay-is-pin-needed"
_HAS_PIN: Final = "relay-has-pin"
_IS_UNLISTED: Final = "relay-is-unlisted"
_YES: Final = b"yes"


class RelayAccount:
    """The relay's address with its pinned key, the connection token, a registration that is not finished, and what
    the relay was asked to keep of the account: it does not tell that again.

    Use it in the thread that owns the store, inside a transaction where it writes.
    """

    def __init__(self, store: Store) -> None:
        self._settings = store.settings

    @property
    def address(self) -> RelayAddress:
        """The relay of this profile.

        Raises:
            VaultDamaged: none was ever set.
        """
        text = self._settings.get_text(_RELAY)
        if not text:
            raise VaultDamaged("The vault names no relay.")
        return RelayAddress.parse(text)

    @address.setter
    def address(self, address: RelayAddress) -> None:
        self._settings.put_text(_RELAY, str(address))

    @property
    def token(self) -> bytes | None:
        """The connection token of the last link."""
        return self._settings.get(_TOKEN)

    @token.setter
    def token(self, token: bytes | None) -> None:
        self._put(_TOKEN, token)

    @property
    def ticket(self) -> bytes | None:
        """The ticket of a registration that was begun; None once the relay confirmed it."""
        return self._settings.get(_TICKET)

    @ticket.setter
    def ticket(self, ticket: bytes | None) -> None:
        self._put(_TICKET, ticket)

    @property
    def invite(self) -> str | None:
        """The invite for a registration that was begun, as the person wrote it."""
        return self._settings.get_text(_INVITE) or None

    @invite.setter
    def invite(self, invite: str | None) -> None:
        self._put(_INVITE, None if invite is None else invite.encode())

    @property
    def pin(self) -> str | None:
        """The PIN that the person gave for a registration that was begun, to take the number over."""
        return self._settings.get_text(_PIN) or None

    @pin.setter
    def pin(self, pin: str | None) -> None:
        self._put(_PIN, None if pin is None else pin.encode())

    @property
    def is_pin_needed(self) -> bool:
        """Whether the relay asked for a PIN, and `pin` holds none that it has not refused."""
        return self._settings.get(_IS_PIN_NEEDED) is not None

    @is_pin_needed.setter
    def is_pin_needed(self, is_needed: bool) -> None:
        self._put(_IS_PIN_NEEDED, _YES if is_needed else None)

    @property
    def has_pin(self) -> bool:
        """Whether the relay took a registration PIN from this profile and keeps it."""
        return self._settings.get(_HAS_PIN) is not None

    @has_pin.setter
    def has_pin(self, has_pin: bool) -> None:
        self._put(_HAS_PIN, _YES if has_pin else None)

    @property
    def is_listed(self) -> bool:
        """Whether others find the account by its number; at first they do."""
        return self._settings.get(_IS_UNLISTED) is None

    @is_listed.setter
    def is_listed(self, is_listed: bool) -> None:
        self._put(_IS_UNLISTED, None if is_listed else _YES)

    def _put(self, name: str, value: bytes | None) -> None:
        if value is None:
            self._settings.remove(name)
        else:
            self._settings.put(name, value)


class VaultTokens:
    """The connection token as the relay's link wants it: `zap2.client.relay.login.TokenStore`."""

    def __init__(self, store: Store, thread: VaultThread) -> None:
        self._store = store
        self._thread = thread

    async def load(self) -> bytes | None:
        """Give the token that was saved last."""
        return await self._thread.run(lambda: RelayAccount(self._store).token)

    async def save(self, token: bytes | None) -> None:
        """Keep a token in place of the one before; None forgets it."""

        def work() -> None:
            with self._store.transaction():
                RelayAccount(self._store).token = token

        await self._thread.run(work)

    async def pin(self, fingerprint: str) -> None:
        """Keep the key of a relay whose address had none."""

        def work() -> None:
            with self._store.transaction():
                account = RelayAccount(self._store)
                account.address = account.address.with_fingerprint(fingerprint)

        await self._thread.run(work)
