"""Connection tokens in Redis, which forgets them by itself."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

from zap2.ids import Uid
from zap2.server.shared.redis_link import RedisGone, RedisLink
from zap2.server.store.commits import StoreFailed
from zap2.server.store.port import TokenOwner

_TOKENS_PER_DEVICE: Final = 8
_GRACE_MS: Final = 3_600 * 1000
"""How long an expired token is told apart from an unknown one."""
_OWNER: Final = struct.Struct(">32sIQ")
_DEVICE: Final = struct.Struct(">I")

# An account's set has device and hash of its tokens, by the time at which they expire.
_PUT: Final = """
local life = tonumber(ARGV[2])
redis.call('SET', KEYS[1], ARGV[1], 'PX', life)
redis.call('ZADD', KEYS[2], ARGV[4], ARGV[3])
if redis.call('PTTL', KEYS[2]) < life then redis.call('PEXPIRE', KEYS[2], life) end
local device, kept = string.sub(ARGV[3], 1, 4), 0
for _, member in ipairs(redis.call('ZREVRANGE', KEYS[2], 0, -1)) do
  if string.sub(member, 1, 4) == device then
    kept = kept + 1
    if kept > tonumber(ARGV[5]) then
      redis.call('DEL', ARGV[6] .. string.sub(member, 5))
      redis.call('ZREM', KEYS[2], member)
    end
  end
end
"""
_FIND: Final = "return redis.call('GET', KEYS[1])"
_DROP: Final = """
local owner = redis.call('GET', KEYS[1])
if owner then
  redis.call('DEL', KEYS[1])
  redis.call('ZREM', ARGV[1] .. string.sub(owner, 1, 32), string.sub(owner, 33, 36) .. ARGV[2])
end
"""
_DROP_ALL: Final = """
for _, member in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  redis.call('DEL', ARGV[1] .. string.sub(member, 5))
end
redis.call('DEL', KEYS[1])
"""


class RedisTokens:
    """A `TokenStore` in Redis.

    While Redis is gone no token is found, so clients log in with their keys; and none can be made void, which
    is the one thing that is refused, because a token would come back with Redis.

    Args:
        link: the access to Redis.
        now_ms: the clock by which tokens expire.
    """

    def __init__(self, link: RedisLink, now_ms: Callable[[], int]) -> None:
        self._link = link
        self._now_ms = now_ms
        self._tokens = link.prefix + b"token:"
        self._accounts = link.prefix + b"tokens:"

    async def put_token(self, token_hash: bytes, owner: TokenOwner) -> None:
        try:
            await self._link.run(
                _PUT,
                [b"token:" + token_hash, b"tokens:" + owner.uid],
                [
                    _OWNER.pack(owner.uid, owner.device, owner.expires_at_ms),
                    max(1, owner.expires_at_ms - self._now_ms() + _GRACE_MS),
                    _DEVICE.pack(owner.device) + token_hash,
                    owner.expires_at_ms,
                    _TOKENS_PER_DEVICE,
                    self._tokens,
                ],
            )
        except RedisGone:
            return  # The connection that got the token is logged in; only resuming with it will not work.

    async def find_token(self, token_hash: bytes) -> TokenOwner | None:
        try:
            found = await self._link.run(_FIND, [b"token:" + token_hash], [])
        except RedisGone:
            return None
        if found is None:
            return None
        uid, device, expires_at_ms = _OWNER.unpack(found)
        return TokenOwner(Uid(uid), device, expires_at_ms)

    async def drop_token(self, token_hash: bytes) -> None:
        try:
            await self._link.run(_DROP, [b"token:" + token_hash], [self._accounts, token_hash])
        except RedisGone:
            return  # It was replaced by another one, and expires on its own.

    async def drop_tokens(self, uid: Uid) -> None:
        try:
            await self._link.run(_DROP_ALL, [b"tokens:" + uid], [self._tokens])
        except RedisGone as error:
            raise StoreFailed("Tokens cannot be made void while Redis is gone.") from error
