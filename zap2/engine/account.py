"""The account inside a vault: made once, before anything is registered anywhere."""

from __future__ import annotations

from zap2.crypto import IdentityKeys
from zap2.engine.effects import OwnNumberChanged
from zap2.engine.inputs import LinkOpened, NumberLost
from zap2.engine.work import Work
from zap2.errors import UsageError, VaultDamaged
from zap2.ids import RandomBytes
from zap2.vault import settings
from zap2.vault.store import Store
from zap2.wire.content import MAX_NAME_CHARS


def check_name(name: str) -> str:
    """Give a profile name without surrounding white space.

    Raises:
        UsageError: empty, too long, or more than one line.
    """
    name = name.strip()
    if not name:
        raise UsageError("A name is needed.", "Your contacts see it beside your messages.")
    if len(name) > MAX_NAME_CHARS or not name.isprintable():
        raise UsageError(f"A name is one line of at most {MAX_NAME_CHARS} printable characters.")
    return name


def create_identity(store: Store, rng: RandomBytes) -> None:
    """Make an identity and keep it; call once, inside the transaction that makes the vault."""
    store.settings.put(settings.IDENTITY, IdentityKeys.generate(rng).encode())


def set_profile(store: Store, *, name: str, number: str) -> None:
    """Keep how one is called and reached, inside a transaction.

    Args:
        store: an open vault.
        name: what contacts see, as `check_name` gave it.
        number: E.164.
    """
    store.settings.put_text(settings.NAME, name)
    store.settings.put_text(settings.NUMBER, number)


def number(store: Store) -> str:
    """Give the number (E.164) of this vault's account; empty without one."""
    return store.settings.get_text(settings.NUMBER)


def has_number(store: Store) -> bool:
    """Say whether the number is this account's still; False once another account took it over."""
    return store.settings.get(settings.NUMBER_LOST) is None


def hear_at_opening(work: Work, opened: LinkOpened) -> None:
    """Take the other end's word on whose the number is; it may have its number back, as after a restored backup."""
    _note_number(work, is_ours=opened.has_number)


def lose_number(work: Work, _: NumberLost) -> None:
    """Note that the number is another account's."""
    _note_number(work, is_ours=False)


def _note_number(work: Work, *, is_ours: bool) -> None:
    if is_ours == has_number(work.store):
        return
    if is_ours:
        work.store.settings.remove(settings.NUMBER_LOST)
    else:
        work.store.settings.put(settings.NUMBER_LOST, b"yes")
    work.emit(OwnNumberChanged(is_ours))


def load_keys(store: Store) -> IdentityKeys:
    """Give the identity of this vault.

    Raises:
        VaultDamaged: the vault holds no account.
    """
    encoded = store.settings.get(settings.IDENTITY)
    if encoded is None:
        raise VaultDamaged("The vault holds no account.")
    return IdentityKeys.decode(encoded)
