"""What a host can ask of a running relay; `zap2 admin` reaches it through the socket in the data folder."""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass
from typing import Any, Final

from zap2.errors import InvalidAddress, InvalidPhoneNumber, UsageError
from zap2.ids import Uid, format_uid, parse_uid
from zap2.phone import parse_number
from zap2.server.services import Services
from zap2.wire.fields import CloseCode

_INVITE_SIZE_B: Final = 10
_INVITE_GROUP: Final = 4
_NOBODY: Final = -1
MAX_INVITES: Final = 100
MAX_LISTED: Final = 1_000


@dataclass(frozen=True, slots=True)
class Listed:
    """One account in a host's list."""

    uid: str
    active_day: int
    """The last day on which it logged in, in days since 1970."""
    is_online: bool
    is_listed: bool
    is_blocked: bool
    has_pin: bool
    envelopes: int
    size_b: int
    has_number: bool


class Operator:
    """Invites, blocks, quotas and figures.

    Args:
        services: what the relay's handlers share.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._started_at = time.monotonic()

    async def invites(self, count: int, ttl_s: int) -> list[str]:
        """Make invites, each good for one account within `ttl_s`."""
        services, made = self._services, []
        for _ in range(min(count, MAX_INVITES)):
            text = base64.b32encode(services.rng(_INVITE_SIZE_B)).decode().lower()
            invite = "-".join(text[at : at + _INVITE_GROUP] for at in range(0, len(text), _INVITE_GROUP))
            expires_at_ms = services.now_ms() + ttl_s * 1000
            await services.members.put_invite(services.keys.invite_hash(invite), expires_at_ms)
            made.append(invite)
        return made

    async def block(self, who: str) -> str:
        """Shut an account out: its connection ends, its tokens are void, nobody finds it. Gives its uid.

        Raises:
            UsageError: there is no such account here.
        """
        uid = await self._uid(who)
        services = self._services
        if not await services.members.set_blocked(uid, True):
            raise _no_such_account()
        # First: voiding tokens fails without Redis, and a token of somebody blocked is refused in any case.
        services.hub.cut_account(uid, CloseCode.BLOCKED, "the host has blocked this account", but=_NOBODY)
        await services.tokens.drop_tokens(uid)
        return format_uid(uid)

    async def unblock(self, who: str) -> str:
        """Let an account in again. Gives its uid.

        Raises:
            UsageError: there is no such account here.
        """
        uid = await self._uid(who)
        if not await self._services.members.set_blocked(uid, False):
            raise _no_such_account()
        return format_uid(uid)

    async def quota(self, who: str, max_messages: int | None, max_size_b: int | None) -> str:
        """Give an account's mailbox bounds of its own, or (None) the relay's. Gives its uid.

        Raises:
            UsageError: there is no such account here.
        """
        uid = await self._uid(who)
        if not await self._services.members.set_quota(uid, max_messages, max_size_b):
            raise _no_such_account()
        return format_uid(uid)

    async def stats(self) -> dict[str, Any]:
        """Count what there is."""
        services = self._services
        totals = await services.members.totals(services.now_ms())
        return {
            "up_s": round(time.monotonic() - self._started_at),
            "connections": services.counts.connections,
            "online": len(services.hub),
            "accounts": totals.accounts,
            "blocked": totals.blocked,
            "envelopes": totals.envelopes,
            "envelopes_b": totals.size_b,
            "invites": totals.invites,
            "accepted": services.hub.accepted,
            "refused": dict(services.counts.refusals),
            "store_s": round(services.counts.store_s, 6),
            "loop_lag_s": round(services.counts.loop_lag_s, 6),
            "is_draining": services.is_leaving,
        }

    async def accounts(self, after: str, limit: int) -> list[Listed]:
        """List accounts by uid, those after one of them (empty: from the first)."""
        start = Uid(b"") if not after else await self._uid(after)
        uses = await self._services.members.member_uses(start, min(limit, MAX_LISTED))
        online = self._services.hub.online_uids()
        return [
            Listed(
                format_uid(use.member.uid),
                use.member.active_day,
                use.member.uid in online,
                use.member.is_listed,
                use.member.is_blocked,
                use.member.has_pin,
                use.envelopes,
                use.size_b,
                use.member.has_number,
            )
            for use in uses
        ]

    async def _uid(self, who: str) -> Uid:
        try:
            return parse_uid(who)
        except InvalidAddress:
            pass
        services = self._services
        try:
            number = parse_number(who, services.options.default_region)
        except InvalidPhoneNumber:
            raise UsageError("This is neither a uid nor a phone number.") from None
        owner = await services.members.number_owner(services.keys.number_key(number))
        if owner is None:
            raise _no_such_account()
        return owner.uid


def _no_such_account() -> UsageError:
    return UsageError("This relay has no such account.")
