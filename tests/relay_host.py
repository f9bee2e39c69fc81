"""A relay inside the test's process, with a clock that the test sets and a place where codes arrive."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zap2.server.limits import Limits
from zap2.server.options import RelayOptions
from zap2.server.relay import Relay
from zap2.server.transport import Patience


@dataclass
class Clock:
    """A clock that moves when told to."""

    at_ms: int = 1_700_000_000_000

    def __call__(self) -> int:
        return self.at_ms

    def advance(self, seconds: float) -> None:
        self.at_ms += int(seconds * 1000)


@dataclass
class Codes:
    """Takes codes instead of a telephone."""

    sent: list[tuple[str, str]] = field(default_factory=list)

    async def deliver(self, number: str, code: str, ttl_s: int) -> None:
        self.sent.append((number, code))


@dataclass
class RelayHost:
    """A running relay and what the test holds of it."""

    relay: Relay
    clock: Clock
    codes: Codes

    @property
    def port(self) -> int:
        return self.relay.port


@asynccontextmanager
async def relay_host(
    data_dir: Path | None = None,
    limits: Limits | None = None,
    patience: Patience | None = None,
    **options: Any,
) -> AsyncIterator[RelayHost]:
    """Run a relay on a free port; it asks for no proof of numbers unless told to."""
    chosen = RelayOptions(
        **{
            "port": 0,
            "data_dir": data_dir,
            "verify": "none",
            "limits": limits or Limits(),
            "patience": patience or Patience(),
            **options,
        }
    )
    clock, codes = Clock(), Codes()
    async with Relay(chosen, now_ms=clock, code_delivery=codes) as relay:
        yield RelayHost(relay, clock, codes)
