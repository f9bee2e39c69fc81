"""What a relay keeps its things in, as its options say: SQLite alone, or PostgreSQL and Redis for several relays.

asyncpg and redis-py are loaded only where an option asks for them.
"""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from zap2.errors import UsageError
from zap2.ids import RandomBytes
from zap2.server import datadir
from zap2.server.hub import Hub
from zap2.server.keys import RelayKeys
from zap2.server.options import RelayOptions
from zap2.server.services import Limiter
from zap2.server.shared.memory_tokens import MemoryTokens
from zap2.server.store.members_port import MemberStore
from zap2.server.store.port import RelayStore, TokenStore
from zap2.server.store.sqlite import SqliteStore
from zap2.server.turns import Writer

if TYPE_CHECKING:
    from zap2.server.shared.redis_link import RedisLink

_POSTGRES: Final = ("postgresql", "postgres")
_REDIS: Final = ("redis", "rediss", "unix")
_NAME_SIZE_B: Final = 16
_PATIENCE_S: Final = 10.0
_OF_ONE_CONNECTION: Final = frozenset(
    {"handshakes_per_source", "sends_per_account", "send_bytes_per_account"}
)
"""Buckets that each relay keeps alone: a device has one connection, and these are taken from with every message."""


class AnyStore(RelayStore, MemberStore, TokenStore, Protocol):
    """What a store does."""


@dataclass(slots=True)
class Backends:
    """Where a relay keeps its things. Close the store first, then these."""

    store: AnyStore
    writer: Writer
    """Who does what the store is asked for."""
    tokens: TokenStore
    hub: Hub
    redis_is_up: Callable[[], bool] | None = None
    """Whether Redis answers; None where there is none."""
    _closers: list[Callable[[], Awaitable[None]]] = field(default_factory=list)

    async def close(self) -> None:
        """Close everything but the store, the last opened first."""
        while self._closers:
            await self._closers.pop()()


def check(options: RelayOptions) -> None:
    """Make sure that the store and the tokens that the options name exist, and that their packages are here.

    Raises:
        UsageError: they do not, or are not.
    """
    scheme = _scheme(options.store)
    if options.store != "sqlite" and scheme not in _POSTGRES:
        raise UsageError(
            "--store names nothing that this version can use.",
            "It takes sqlite (the default: in the folder of --data) or postgresql://user@host:port/database.",
        )
    if _keeps_tokens_in_redis(options):
        pass
    elif options.tokens not in ("store", "memory") and (options.tokens, options.store) != (
        "sqlite",
        "sqlite",
    ):
        raise UsageError(
            "--tokens names nothing that this version can use.",
            "It takes store (the default: where --store keeps all else), memory or redis://host:port/0.",
        )
    if options.keys_dir is not None and not options.shares_store:
        raise UsageError(
            "--keys is for relays that share a store.",
            "Give --store postgresql://… too; a relay alone has its keys in the folder of --data.",
        )
    _load(options)


async def reach(options: RelayOptions) -> None:
    """Make sure that what the options name can be reached, after `check` and before anything is made on the disk.

    Raises:
        UsageError: it cannot be.
    """
    if _keeps_tokens_in_redis(options):
        from zap2.server.shared.redis_link import RedisLink

        link = RedisLink(options.tokens, "")
        try:
            await link.open()
        finally:
            await link.close()
    if options.shares_store:
        from zap2.server.store.postgres.store import reach as reach_postgres

        await (await reach_postgres(options.store)).close(timeout=_PATIENCE_S)


async def open_backends(
    options: RelayOptions,
    keys: RelayKeys,
    limiter: Limiter,
    now_ms: Callable[[], int],
    rng: RandomBytes,
) -> Backends:
    """Open what the options name, after `check`.

    Raises:
        UsageError: it cannot be reached or used.
    """
    link = await _open_redis(options, keys)
    closers: list[Callable[[], Awaitable[None]]] = [link.close] if link is not None else []
    try:
        backends = await _open_store(options, keys, link, rng)
    except BaseException:
        for close in closers:
            await close()
        raise
    backends._closers[:0] = closers
    if link is not None:
        from zap2.server.shared.redis_limits import RedisLimits
        from zap2.server.shared.redis_tokens import RedisTokens

        backends.tokens = RedisTokens(link, now_ms)
        backends.redis_is_up = lambda: link.is_up
        limits = RedisLimits(link, keys.bucket_name, now_ms)
        for kind, buckets in vars(limiter).items():
            if kind not in _OF_ONE_CONNECTION:
                limits.follow(kind, buckets)
        limits.open()
        backends._closers.append(limits.close)
    elif options.tokens == "memory":
        backends.tokens = MemoryTokens(now_ms)
    return backends


async def _open_store(
    options: RelayOptions, keys: RelayKeys, link: RedisLink | None, rng: RandomBytes
) -> Backends:
    limits = options.limits
    if not options.shares_store:
        alone = SqliteStore(
            options.data_dir / datadir.DATABASE_FILE if options.data_dir is not None else None,
            window_s=options.commit_window_s,
            max_messages=limits.mailbox_messages,
            max_size_b=limits.mailbox_size_b,
            retention_s=limits.retention_s,
        )
        await alone.open()
        return Backends(alone, alone.writer, alone, Hub())

    from functools import partial

    from zap2.server.shared.hub import SharedHub
    from zap2.server.shared.neighbours import Neighbours
    from zap2.server.shared.postgres_line import PostgresLine
    from zap2.server.shared.signals import Line
    from zap2.server.store.postgres.store import PostgresStore, connect

    name = rng(_NAME_SIZE_B)
    lines: list[Line] = [PostgresLine(partial(connect, options.store), name)]
    if link is not None:
        from zap2.server.shared.redis_line import RedisLine

        lines.insert(0, RedisLine(link, name))
    shared = PostgresStore(
        options.store,
        keys=keys.name,
        max_messages=limits.mailbox_messages,
        max_size_b=limits.mailbox_size_b,
        retention_s=limits.retention_s,
    )
    neighbours = Neighbours(lines, shared.last_seqs)
    hub = SharedHub(neighbours.say)
    shared.deposited = hub.deposited
    await shared.open()
    await neighbours.open(hub)
    return Backends(shared, shared.writer, shared, hub, _closers=[neighbours.close])


async def _open_redis(options: RelayOptions, keys: RelayKeys) -> RedisLink | None:
    if not _keeps_tokens_in_redis(options):
        return None
    from zap2.server.shared.redis_link import RedisLink

    link = RedisLink(options.tokens, keys.fingerprint)
    try:
        await link.open()
    except BaseException:
        await link.close()
        raise
    return link


def _load(options: RelayOptions) -> None:
    try:
        if options.shares_store:
            importlib.import_module("asyncpg")
        if _keeps_tokens_in_redis(options):
            importlib.import_module("redis")
    except ModuleNotFoundError as error:
        option = "--store" if error.name == "asyncpg" else "--tokens"
        raise UsageError(
            f"{option} needs the package {error.name}, which is not installed.",
            "Install it from its checkout with: pip install '.[server]'",
        ) from None


def _keeps_tokens_in_redis(options: RelayOptions) -> bool:
    return _scheme(options.tokens) in _REDIS


def _scheme(url: str) -> str:
    scheme, separator, _ = url.partition("://")
    return scheme if separator else ""
