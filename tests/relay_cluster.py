"""Several relays in the test's process over one PostgreSQL and, where asked for, one Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.kit.engines import empty_database
from zap2.server.options import RelayOptions
from zap2.server.relay import Relay


@dataclass
class Cluster:
    """Relays that are one to their users."""

    relays: list[Relay]

    @property
    def ports(self) -> list[int]:
        return [relay.port for relay in self.relays]


@asynccontextmanager
async def relay_cluster(
    folder: Path, *, count: int = 2, store: str | None = None, tokens: str = "store", **options: Any
) -> AsyncIterator[Cluster]:
    """Run relays on free ports, with the system's clock; they ask for no proof of numbers."""
    store = store or empty_database()
    async with AsyncExitStack() as stack:
        relays = []
        for number in range(count):
            chosen = RelayOptions(
                **{
                    "port": 0,
                    "data_dir": folder / f"relay{number}",
                    "keys_dir": folder / "keys",
                    "verify": "none",
                    "store": store,
                    "tokens": tokens,
                    **options,
                }
            )
            relays.append(await stack.enter_async_context(Relay(chosen)))
        yield Cluster(relays)
