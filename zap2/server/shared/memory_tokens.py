"""Connection tokens in the relay's memory: a restart makes clients log in with their keys."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from zap2.ids import Uid
from zap2.server.store.port import TokenOwner

_TOKENS_PER_DEVICE: Final = 8
_GRACE_MS: Final = 3_600 * 1000
"""How long an expired token is told apart from an unknown one."""


class MemoryTokens:
    """A `TokenStore` of one process.

    Args:
        now_ms: the clock by which tokens are forgotten.
    """

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        # By account, each in the order in which its tokens expire.
        self._by_account: dict[Uid, list[bytes]] = {}
        self._owners: OrderedDict[bytes, TokenOwner] = OrderedDict()

    async def put_token(self, token_hash: bytes, owner: TokenOwner) -> None:
        self._forget_old()
        self._owners[token_hash] = owner
        own = self._by_account.setdefault(owner.uid, [])
        own.append(token_hash)
        own.sort(key=lambda one: self._owners[one].expires_at_ms)
        of_device = [one for one in own if self._owners[one].device == owner.device]
        for surplus in of_device[:-_TOKENS_PER_DEVICE]:
            self._drop(surplus)

    async def find_token(self, token_hash: bytes) -> TokenOwner | None:
        self._forget_old()
        return self._owners.get(token_hash)

    async def drop_token(self, token_hash: bytes) -> None:
        self._drop(token_hash)

    async def drop_tokens(self, uid: Uid) -> None:
        for token_hash in self._by_account.pop(uid, []):
            del self._owners[token_hash]

    def _forget_old(self) -> None:
        # All tokens of a relay have the same life, so the oldest stand first.
        over_ms = self._now_ms() - _GRACE_MS
        while self._owners:
            token_hash = next(iter(self._owners))
            if self._owners[token_hash].expires_at_ms > over_ms:
                return
            self._drop(token_hash)

    def _drop(self, token_hash: bytes) -> None:
        if owner := self._owners.pop(token_hash, None):
            own = self._by_account[owner.uid]
            own.remove(token_hash)
            if not own:
                del self._by_account[owner.uid]
