"""What the scripted world keeps of an account, how it refuses, and how it remembers what it was asked."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

from zap2.client.api import MembershipView
from zap2.errors import Zap2Error


@dataclass
class StageAccount:
    """The part of the scripted client that knows of no conversation."""

    refusals: dict[str, Zap2Error | Exception] = field(default_factory=dict)
    calls: list[tuple[object, ...]] = field(default_factory=list)
    preferences: dict[str, str] = field(default_factory=dict)
    gates: dict[str, asyncio.Event] = field(default_factory=dict)
    membership_view: MembershipView = field(default_factory=lambda: MembershipView(False, True))

    def called(self, method: str) -> list[tuple[object, ...]]:
        """Calls of one method, without its name."""
        return [call[1:] for call in self.calls if call[0] == method]

    async def _enter(self, method: str, *arguments: object) -> None:
        self.calls.append((method, *arguments))
        if method in self.gates:
            await self.gates[method].wait()
        if method in self.refusals:
            raise self.refusals[method]

    async def preference(self, name: str) -> str:
        """Give a value of the front-end."""
        await self._enter("preference", name)
        return self.preferences.get(name, "")

    async def set_preference(self, name: str, value: str) -> None:
        """Keep a value of the front-end."""
        await self._enter("set_preference", name, value)
        self.preferences[name] = value

    async def membership(self) -> MembershipView:
        """What the relay was asked to keep."""
        await self._enter("membership")
        return self.membership_view

    async def set_pin(self, pin: str | None) -> MembershipView:
        """Keep or remove a PIN."""
        await self._enter("set_pin", pin)
        self.membership_view = replace(self.membership_view, has_pin=pin is not None)
        return self.membership_view

    async def set_listed(self, *, is_listed: bool) -> MembershipView:
        """Be found or not."""
        await self._enter("set_listed", is_listed)
        self.membership_view = replace(self.membership_view, is_listed=is_listed)
        return self.membership_view
