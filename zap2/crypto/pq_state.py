"""The states of the post-quantum ratchet as data: immutable, compact in MessagePack, and silent about their secrets.

Their table, and what moves one into the next, is in `zap2.crypto.pq_ratchet`. Of each state it is known whether it is
one of the epoch's owner, and how far handing over has come, which is None where nothing is handed over.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, TypeAlias

from msgspec import Meta

from zap2.crypto.pq_record import CIPHERTEXT_UNITS, KEY_UNITS
from zap2.crypto.primitives import MLKEM768_CIPHERTEXT_B, MLKEM768_PUBLIC_B, MLKEM768KeyPair
from zap2.crypto.ratchet_state import Key, SecretStruct

LIFT_AFTER: Final = 20
"""Own messages in which a transfer must have found room for what is missing; else the next one is made larger."""

Epoch: TypeAlias = Annotated[int, Meta(ge=1, lt=2**32)]
Bitmap: TypeAlias = Annotated[int, Meta(ge=0, lt=2**40)]


class Transfer(SecretStruct, frozen=True):
    """How far handing over has come.

    Args:
        peer_has: bit i is set once the peer acknowledged unit i.
        cursor: index of the unit to go on with.
        waited: own messages since the transfer began, or since the last 20 of them.
        carried: units that these messages carried.
    """

    peer_has: Bitmap
    cursor: Annotated[int, Meta(ge=0, lt=KEY_UNITS)]
    waited: Annotated[int, Meta(ge=0, le=LIFT_AFTER)]
    carried: Annotated[int, Meta(ge=0, le=LIFT_AFTER * KEY_UNITS)]


class Idle(SecretStruct, frozen=True, tag=1):
    """The epoch's key is ours to make; the next message makes it."""

    is_owner: ClassVar[bool] = True
    transfer: ClassVar[None] = None

    epoch: Epoch


class Offering(SecretStruct, frozen=True, tag=2):
    """Our key goes out unit by unit.

    Args:
        epoch: in flight.
        key: the key pair of this epoch.
        transfer: of the encapsulation key.
        received: the ciphertext as far as it came, with zeros where units are missing.
        have: bit i is set if unit i of it is there.
    """

    is_owner: ClassVar[bool] = True

    epoch: Epoch
    key: MLKEM768KeyPair
    transfer: Transfer
    received: Annotated[bytes, Meta(max_length=MLKEM768_CIPHERTEXT_B)]
    have: Bitmap


class Due(SecretStruct, frozen=True, tag=3):
    """The ciphertext is complete; our next sending half-step mixes the secret in.

    Args:
        epoch: in flight.
        secret: pq, 32 bytes.
    """

    is_owner: ClassVar[bool] = True
    transfer: ClassVar[None] = None

    epoch: Epoch
    secret: Key


class Collecting(SecretStruct, frozen=True, tag=4):
    """The peer's key comes in unit by unit.

    Args:
        epoch: in flight.
        received: the encapsulation key as far as it came, with zeros where units are missing.
        have: bit i is set if unit i of it is there.
    """

    is_owner: ClassVar[bool] = False
    transfer: ClassVar[None] = None

    epoch: Epoch
    received: Annotated[bytes, Meta(max_length=MLKEM768_PUBLIC_B)]
    have: Bitmap


class Answering(SecretStruct, frozen=True, tag=5):
    """Our ciphertext goes out unit by unit, until a chain of the peer's says the epoch.

    Args:
        epoch: in flight.
        secret: pq, 32 bytes.
        ciphertext: 1088 bytes.
        transfer: of the ciphertext.
    """

    is_owner: ClassVar[bool] = False

    epoch: Epoch
    secret: Key
    ciphertext: Annotated[bytes, Meta(min_length=MLKEM768_CIPHERTEXT_B, max_length=MLKEM768_CIPHERTEXT_B)]
    transfer: Transfer


PqState: TypeAlias = Idle | Offering | Due | Collecting | Answering

ALL_KEY_UNITS: Final = (1 << KEY_UNITS) - 1
ALL_CIPHERTEXT_UNITS: Final = (1 << CIPHERTEXT_UNITS) - 1
