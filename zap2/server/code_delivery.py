"""How a verification code travels to the person."""

from __future__ import annotations

import logging
from typing import Protocol

_log = logging.getLogger("zap2.relay")


class CodeDelivery(Protocol):
    """A way to bring a code to whoever has a phone number."""

    async def deliver(self, number: str, code: str, ttl_s: int) -> None:
        """Bring `code` to `number` (E.164)."""


class LogDelivery:
    """Writes the code to the relay's log: the host tells it to the person."""

    async def deliver(self, number: str, code: str, ttl_s: int) -> None:
        # The last two digits let a host tell two people apart, and are not the number.
        _log.info(
            "verification code %s for the number ending in %s (valid %d minutes)",
            code,
            number[-2:],
            ttl_s // 60,
        )
