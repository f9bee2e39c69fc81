"""What everything that keeps connection tokens must do: memory, SQLite, PostgreSQL, Redis."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest

from tests.contract.relay_stores import NOW_MS, STORES, uid
from tests.kit.engines import redis_url
from tests.relay_host import Clock
from zap2.server.shared.memory_tokens import MemoryTokens
from zap2.server.shared.redis_link import RedisLink
from zap2.server.shared.redis_tokens import RedisTokens
from zap2.server.store.port import TokenOwner, TokenStore

_OWNER = TokenOwner(uid(1), 1, NOW_MS + 1000)
_HOUR_MS = 3_600 * 1000


@dataclass
class Kept:
    """Tokens, and a way to let time pass for them."""

    tokens: TokenStore
    come_to: Callable[[int], Awaitable[None]]


@asynccontextmanager
async def _in_memory(folder: Path) -> AsyncIterator[Kept]:
    clock = Clock(NOW_MS)

    async def come_to(now_ms: int) -> None:
        clock.at_ms = now_ms

    yield Kept(MemoryTokens(clock), come_to)


@asynccontextmanager
async def _in_a_store(name: str, folder: Path) -> AsyncIterator[Kept]:
    store = STORES[name](folder)

    async def come_to(now_ms: int) -> None:
        for _ in range(61):
            await store.sweep(now_ms)

    await store.open()
    yield Kept(store, come_to)
    await store.close()


@asynccontextmanager
async def _in_redis(folder: Path) -> AsyncIterator[Kept]:
    clock = Clock(NOW_MS)
    link = RedisLink(redis_url(), os.urandom(8).hex())

    async def come_to(now_ms: int) -> None:
        # Redis has its own clock: what a token has left is shortened by the time that is to have passed.
        passed_ms, clock.at_ms = now_ms - clock.at_ms, now_ms
        await link.run(
            "for _, key in ipairs(redis.call('KEYS', ARGV[1])) do"
            " local left = redis.call('PTTL', key) - ARGV[2]"
            " if left > 0 then redis.call('PEXPIRE', key, left) else redis.call('DEL', key) end end",
            [],
            [link.prefix + b"*", passed_ms],
        )

    yield Kept(RedisTokens(link, clock), come_to)
    await link.close()


_KINDS: dict[str, Callable[[Path], AbstractAsyncContextManager[Kept]]] = {
    "memory": _in_memory,
    "sqlite": partial(_in_a_store, "file"),
    "postgres": partial(_in_a_store, "postgres"),
    "redis": _in_redis,
}


@pytest.fixture(params=_KINDS)
async def kept(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Kept]:
    async with _KINDS[request.param](tmp_path) as kept:
        yield kept


async def test_tokens_are_found_and_dropped(kept: Kept) -> None:
    tokens = kept.tokens
    await tokens.put_token(b"a", _OWNER)
    assert await tokens.find_token(b"a") == _OWNER
    assert await tokens.find_token(b"b") is None
    await tokens.drop_token(b"a")
    await tokens.drop_token(b"a")
    assert await tokens.find_token(b"a") is None


async def test_all_tokens_of_an_account_become_void_and_no_others(kept: Kept) -> None:
    tokens = kept.tokens
    await tokens.put_token(b"c", _OWNER)
    await tokens.put_token(b"d", replace(_OWNER, device=2))
    await tokens.put_token(b"e", replace(_OWNER, uid=uid(2)))
    await tokens.drop_tokens(uid(1))
    assert [await tokens.find_token(t) is not None for t in (b"c", b"d", b"e")] == [False, False, True]
    await tokens.drop_tokens(uid(1))


async def test_only_the_newest_tokens_of_a_device_are_kept(kept: Kept) -> None:
    tokens = kept.tokens
    await tokens.put_token(b"other device", replace(_OWNER, device=2))
    for number in range(20):
        await tokens.put_token(b"%d" % number, replace(_OWNER, expires_at_ms=NOW_MS + 1 + number))
    found = [number for number in range(20) if await tokens.find_token(b"%d" % number)]
    assert found == list(range(12, 20))
    assert await tokens.find_token(b"other device") is not None


async def test_a_token_is_told_apart_for_an_hour_after_it_expired_and_then_forgotten(kept: Kept) -> None:
    tokens = kept.tokens
    await tokens.put_token(b"a", _OWNER)
    await kept.come_to(NOW_MS + _HOUR_MS)
    assert await tokens.find_token(b"a") == _OWNER
    await kept.come_to(NOW_MS + _HOUR_MS + 1001)
    assert await tokens.find_token(b"a") is None
    await tokens.put_token(b"b", replace(_OWNER, expires_at_ms=NOW_MS + 2 * _HOUR_MS))
    await tokens.drop_tokens(uid(1))
    assert await tokens.find_token(b"b") is None


async def test_redis_forgets_a_token_by_itself(tmp_path: Path) -> None:
    """Nobody sweeps there: without a life of its own every token would stay for ever."""
    link = RedisLink(redis_url(), os.urandom(8).hex())
    tokens = RedisTokens(link, lambda: NOW_MS + _HOUR_MS)
    await tokens.put_token(b"a", replace(_OWNER, expires_at_ms=NOW_MS + 20))
    for _ in range(2_000):
        if not await link.run("return redis.call('KEYS', ARGV[1])", [], [link.prefix + b"*"]):
            break
        await asyncio.sleep(0.005)
    assert await tokens.find_token(b"a") is None
    await link.close()
