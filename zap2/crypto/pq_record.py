"""What the post-quantum ratchet says in the padding of a frame (docs/protocol.md, "Post-quantum ratchet").

record = type (1) ‖ epoch (u32) ‖ first (1) ‖ count (1) ‖ have (5) ‖ units (32 bytes each)

`units` are the parts `first` to `first + count - 1` of what the sender wants to hand over; bit i of the number
`have` says that the sender holds part i of what the receiver hands over, which acknowledges it.
"""

from __future__ import annotations

import struct
from typing import Final

import msgspec

from zap2.crypto.primitives import MLKEM768_CIPHERTEXT_B, MLKEM768_PUBLIC_B
from zap2.errors import InvalidPadding

UNIT_B: Final = 32

FROM_OWNER: Final = 1
"""Type of a record from the owner of the epoch's encapsulation key: its units are of the key."""

FROM_ENCAPSULATOR: Final = 2
"""Type of a record from the other side: its units are of the ciphertext."""

KEY_UNITS: Final = MLKEM768_PUBLIC_B // UNIT_B
"""37 units of an encapsulation key."""

CIPHERTEXT_UNITS: Final = MLKEM768_CIPHERTEXT_B // UNIT_B
"""34 units of a ciphertext."""

_HEAD: Final = struct.Struct(">BIBBBI")
RECORD_HEAD_B: Final = _HEAD.size
_HAVE_LOW_BITS: Final = 32
_HAVE_LOW: Final = 2**_HAVE_LOW_BITS - 1

# For each type: how many units its sender hands over, and how many it receives.
_UNITS: Final = {FROM_OWNER: (KEY_UNITS, CIPHERTEXT_UNITS), FROM_ENCAPSULATOR: (CIPHERTEXT_UNITS, KEY_UNITS)}


class PqRecord(msgspec.Struct, frozen=True, gc=False):
    """One record.

    Args:
        kind: `FROM_OWNER` or `FROM_ENCAPSULATOR`.
        epoch: the epoch in flight, from 1 on.
        first: index of the first unit; 0 without units.
        have: bit i is set if the sender holds unit i of what it receives.
        units: whole units, 32 bytes each; may be empty.
    """

    kind: int
    epoch: int
    first: int
    have: int
    units: bytes

    def encode(self) -> bytes:
        """Write the record: 12 bytes and its units."""
        have = self.have
        head = _HEAD.pack(
            self.kind,
            self.epoch,
            self.first,
            len(self.units) // UNIT_B,
            have >> _HAVE_LOW_BITS,
            have & _HAVE_LOW,
        )
        return head + self.units

    @classmethod
    def decode(cls, encoded: bytes) -> PqRecord:
        """Read a record of a frame that authenticated.

        Raises:
            InvalidPadding: unknown type, epoch 0, another length than its count says, or units that do not exist.
        """
        if len(encoded) < RECORD_HEAD_B:
            raise InvalidPadding("A post-quantum record is cut off.")
        kind, epoch, first, count, have_high, have_low = _HEAD.unpack_from(encoded)
        have = have_high << _HAVE_LOW_BITS | have_low
        handed_over, received = _UNITS.get(kind, (0, 0))
        if (
            not handed_over
            or epoch == 0
            or first + count > handed_over
            or (first and not count)
            or have >> received
            or len(encoded) != RECORD_HEAD_B + count * UNIT_B
        ):
            raise InvalidPadding("A post-quantum record is not valid.")
        return cls(kind, epoch, first, have, encoded[RECORD_HEAD_B:])
