"""What the relay asks of a store about who may be a member: invites, PINs, idle accounts, and what a host decides.

A port of its own beside `RelayStore`, implemented by the same stores: nothing here is asked for while mail flows.
tests/contract/test_relay_store_members.py runs against each implementation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from zap2.ids import Uid
from zap2.server.store.port import TooSoon

PIN_TRIES: Final = 5
"""Wrong PINs after which an account's PIN cannot be tried for `PIN_LOCK_S`."""
PIN_LOCK_S: Final = 24 * 3600


@dataclass(frozen=True, slots=True)
class Member:
    """What a relay knows of an account beside its keys and mail."""

    uid: Uid
    active_day: int
    """The last day on which it logged in, in days since 1970."""
    is_listed: bool
    is_blocked: bool
    has_pin: bool
    has_number: bool = True
    """Whether no other account has taken its number over."""


@dataclass(frozen=True, slots=True)
class PinHash:
    """One try of an account's PIN was taken; the PIN is right if it has this hash."""

    encoded: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Totals:
    """How much a store keeps."""

    accounts: int
    blocked: int
    envelopes: int
    size_b: int
    """Bytes of payload that wait in mailboxes."""
    invites: int
    """Invites that are still good."""


@dataclass(frozen=True, slots=True)
class MemberUse:
    """An account and what its mailboxes hold, for a host's list."""

    member: Member
    envelopes: int
    size_b: int


class MemberStore(Protocol):
    """Invites, PINs, idle accounts, and what a host decides about accounts."""

    async def put_invite(self, invite_hash: bytes, expires_at_ms: int) -> None:
        """Keep an invite that serves for one registration; `RelayStore.register` uses it up."""

    async def has_invite(self, invite_hash: bytes, now_ms: int) -> bool:
        """Tell whether an invite is good, and leave it as it is."""

    async def member(self, uid: Uid) -> Member | None:
        """Give what is known of an account."""

    async def number_owner(self, number_key: bytes) -> Member | None:
        """Give the account that has a number, also one that others do not find."""

    async def ticket_owner(self, ticket_hash: bytes, now_ms: int) -> Member | None:
        """Give the account that has the number of a ticket; None also if the ticket was used or is no longer good."""

    async def mark_active(self, uid: Uid, day: int) -> None:
        """Take note that an account was used on a day."""

    async def set_listed(self, uid: Uid, is_listed: bool) -> bool:
        """Choose whether `RelayStore.find_number` finds an account; one that has no number stays as it is: False."""

    async def set_blocked(self, uid: Uid, is_blocked: bool) -> bool:
        """Block an account or let it in again; tells whether there is such an account."""

    async def set_pin(self, uid: Uid, encoded: str | None) -> bool:
        """Keep the hash of a PIN, with all tries, or remove it; an account that has no number gets none: False."""

    async def take_pin_try(self, uid: Uid, now_ms: int) -> PinHash | TooSoon | None:
        """Use up one try of an account's PIN before it is compared; None if there is no PIN."""

    async def set_quota(self, uid: Uid, max_messages: int | None, max_size_b: int | None) -> bool:
        """Give an account's mailboxes bounds of their own, or (None) the relay's; tells whether there is such one."""

    async def totals(self, now_ms: int) -> Totals:
        """Count everything; takes time that grows with what is kept."""

    async def member_uses(self, after: Uid, limit: int) -> Sequence[MemberUse]:
        """List accounts in the order of their uids, those after one of them (empty: from the first)."""
