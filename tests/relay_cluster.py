"""Several relays in the test's process over one PostgreSQL and, where asked for, one Redis."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.kit.engines import empty_database
from zap2.server.datadir import claim
from zap2.server.keys import HASHING_FILE, IDENTITY_FILE, load_keys
from zap2.server.options import RelayOptions
from zap2.server.relay import Relay


@dataclass
class Cluster:
    """Relays that are one to their users."""

    relays: list[Relay]

    @property
    def ports(self) -> list[int]:
        return [relay.port for relay in self.relays]


def share_keys(folder: Path, count: int) -> list[Path]:
    """Make data folders with the same keys, as a host copies them."""
    folders = [folder / f"relay{number}" for number in range(count)]
    for data_dir in folders:
        claim(data_dir).release()
    load_keys(folders[0], lambda size_b: bytes(range(size_b)))
    for data_dir in folders[1:]:
        for name in (IDENTITY_FILE, HASHING_FILE):
            shutil.copy(folders[0] / name, data_dir / name)
    return folders


@asynccontextmanager
async def relay_cluster(
    folder: Path, *, count: int = 2, store: str | None = None, tokens: str = "store", **options: Any
) -> AsyncIterator[Cluster]:
    """Run relays on free ports, with the system's clock; they ask for no proof of numbers."""
    store = store or empty_database()
    async with AsyncExitStack() as stack:
        relays = []
        for data_dir in share_keys(folder, count):
            chosen = RelayOptions(
                **{
                    "port": 0,
                    "data_dir": data_dir,
                    "verify": "none",
                    "store": store,
                    "tokens": tokens,
                    **options,
                }
            )
            relays.append(await stack.enter_async_context(Relay(chosen)))
        yield Cluster(relays)
