"""The header keys that may open what comes on a session, as the cipher's objects (Double Ratchet rev. 3, section 4).

An object is dearer to make than to use once. So they are kept beside a state, and given on to the next one.
"""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

from zap2.crypto.header import Header, open_header
from zap2.crypto.ratchet_state import RatchetState


class ReceivingKeys:
    """The header keys of one state; `live` ones, of the peer's current and next chain, open nearly everything.

    Both collections are by raw key. `transcript_hash` is what the headers are bound to.
    """

    __slots__ = ("_blocks", "_next", "_old", "_old_chains", "live", "transcript_hash")

    def __init__(
        self, ratchet: RatchetState, transcript_hash: bytes, before: ReceivingKeys | None = None
    ) -> None:
        """Collect the keys of a state, with the objects that are there from one before."""
        self.transcript_hash: Final = transcript_hash
        known: dict[bytes, AESGCM] = {} if before is None else before.live
        self._next: Final = ratchet.next_receiving_header_key
        raw = [self._next] if ratchet.receiving is None else [ratchet.receiving.header_key, self._next]
        self.live: Final[dict[bytes, AESGCM]] = {key: known.get(key) or AESGCM(key) for key in raw}
        self._old_chains: Final = ratchet.old
        self._old: dict[bytes, AESGCM] | None = None
        self._blocks: list[tuple[CipherContext, AESGCM]] | None = None

    @property
    def blocks(self) -> list[tuple[CipherContext, AESGCM]]:
        """The live ones with the block cipher under each, which tells sooner that a key does not fit."""
        if self._blocks is None:
            # A single block, of GCM's counter: what ECB is bad for, two equal blocks of text, does not come up.
            self._blocks = [(Cipher(AES(raw), ECB()).encryptor(), key) for raw, key in self.live.items()]  # noqa: S305
        return self._blocks

    @property
    def old(self) -> dict[bytes, AESGCM]:
        """Those of earlier chains, the latest first."""
        if self._old is None:
            self._old = {chain.header_key: AESGCM(chain.header_key) for chain in reversed(self._old_chains)}
        return self._old

    def after(self, ratchet: RatchetState) -> ReceivingKeys:
        """Give the keys of a later state, which are these as long as no chain came or went."""
        if ratchet.next_receiving_header_key is self._next and ratchet.old is self._old_chains:
            return self
        return ReceivingKeys(ratchet, self.transcript_hash, self)

    def open(self, sealed_header: bytes) -> tuple[bytes, Header] | None:
        """Try all keys on 73 bytes; gives the one that opens them, raw, and the header, or None."""
        opened = open_header(self.live, sealed_header, self.transcript_hash)
        return opened or open_header(self.old, sealed_header, self.transcript_hash)
