"""Our own signed prekey sets in memory: their private keys are dear to expand, and every set-up needs them."""

from __future__ import annotations

from collections.abc import Iterable

from zap2.crypto import SignedPrekeySecrets
from zap2.vault.rows import SignedPrekeyRow


class SignedSets:
    """The sets that the store held last, decoded; what the store says decides, so a rollback needs no word of it."""

    def __init__(self) -> None:
        self._decoded: dict[bytes, SignedPrekeySecrets] = {}

    def decode(self, rows: Iterable[SignedPrekeyRow]) -> dict[int, SignedPrekeySecrets]:
        """Give the sets of some rows by `sid`, those of the last call without decoding them again.

        Args:
            rows: all that the store has now; what is not among them is forgotten.

        Raises:
            InvalidKey: a row holds other bytes.
        """
        known = self._decoded
        self._decoded = {
            row.secrets: known.get(row.secrets) or SignedPrekeySecrets.decode(row.secrets) for row in rows
        }
        return {secrets.public.sid: secrets for secrets in self._decoded.values()}
