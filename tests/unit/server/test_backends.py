"""The relay's backends: SQLite needs no package of the extra, and what is missing is told in words."""

from __future__ import annotations

import subprocess
import sys

import pytest

from zap2.errors import UsageError
from zap2.server.backends import check
from zap2.server.options import RelayOptions

_ALONE = """
import asyncio, sys
from zap2.server.options import RelayOptions
from zap2.server.relay import Relay

async def run():
    async with Relay(RelayOptions(port=0)):
        pass

asyncio.run(run())
raise SystemExit(not sys.modules.keys().isdisjoint({"asyncpg", "redis"}))
"""


def test_a_relay_on_sqlite_loads_neither_asyncpg_nor_redis() -> None:
    subprocess.run([sys.executable, "-c", _ALONE], check=True, timeout=60)


@pytest.mark.parametrize(
    ("option", "url", "package"),
    [
        ("store", "postgresql://user:secret@127.0.0.1/zap2", "asyncpg"),
        ("tokens", "redis://:secret@127.0.0.1/0", "redis"),
    ],
)
def test_a_missing_package_is_told_with_the_way_to_get_it(
    option: str, url: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    options = RelayOptions(store=url) if option == "store" else RelayOptions(tokens=url)
    with pytest.raises(UsageError, match=f"--{option} needs the package {package}") as refused:
        check(options)
    assert "pip install '.[server]'" in refused.value.hint
    assert "secret" not in repr(options) + str(refused.value)


@pytest.mark.parametrize(
    "options",
    [
        RelayOptions(store="mysql://host/zap2"),
        RelayOptions(store="postgresql"),
        RelayOptions(store=""),
        RelayOptions(tokens="memcached://host"),
        RelayOptions(tokens="sqlite", store="postgresql://host/zap2"),
    ],
)
def test_an_unknown_url_is_refused_before_anything_is_opened(options: RelayOptions) -> None:
    with pytest.raises(UsageError, match="names nothing"):
        check(options)
