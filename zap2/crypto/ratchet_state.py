"""The state of a Double Ratchet as data: immutable, compact in MessagePack, and silent about its keys.

Counters are u32, keys 32 bytes. A state never changes; a step makes a new one that shares what stayed the same.
"""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta

from zap2.crypto.primitives import X25519KeyPair

Key: TypeAlias = Annotated[bytes, Meta(min_length=32, max_length=32)]
Count: TypeAlias = Annotated[int, Meta(ge=0, lt=2**32)]
Seconds: TypeAlias = Annotated[int, Meta(ge=0, lt=2**53)]
SkippedIndex: TypeAlias = Annotated[int, Meta(ge=0, lt=2**62)]
"""Number of the receiving chain, shifted left by 32 bits, and the message's position in it."""

CHAIN_SHIFT: Final = 32


class SecretStruct(
    msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, eq=False, gc=False
):
    """Base of values that hold keys: their repr shows nothing.

    The garbage collector need not look for cycles among them: what is made whole, and never changes, is in none.
    """

    def __repr__(self) -> str:
        return f"{type(self).__name__}(<secret>)"


class SendingChain(SecretStruct, frozen=True):
    """Our chain.

    Args:
        key: chain key.
        count: messages sent on it so far, which is the next one's N.
        header_key: encrypts its headers.
        pq_epoch: the post-quantum epoch folded into it, 0 for none.
    """

    key: Key
    count: Count
    header_key: Key
    pq_epoch: Count


class ReceivingChain(SecretStruct, frozen=True):
    """The peer's current chain.

    Args:
        number: counts the peer's chains of this session from 1.
        public: the peer's ratchet key.
        key: chain key.
        count: the N that is expected next.
        header_key: opens its headers.
        pq_epoch: the post-quantum epoch folded into it, 0 for none.
    """

    number: Annotated[int, Meta(ge=1, lt=2**30)]
    public: Key
    key: Key
    count: Count
    header_key: Key
    pq_epoch: Count


class OldChain(SecretStruct, frozen=True):
    """What is left of an earlier chain of the peer: enough to read its late messages.

    Args:
        number: as in `ReceivingChain`.
        public: the peer's ratchet key of that time.
        header_key: opens its headers.
        pq_epoch: as in `ReceivingChain`.
        closed_at_s: Unix time at which the next chain began.
    """

    number: Annotated[int, Meta(ge=1, lt=2**30)]
    public: Key
    header_key: Key
    pq_epoch: Count
    closed_at_s: Seconds


class SkippedKey(SecretStruct, frozen=True):
    """The key of a message that has not come yet, and the Unix time at which it was passed over."""

    message_key: Key
    skipped_at_s: Seconds


class RatchetState(SecretStruct, frozen=True):
    """Everything that a Double Ratchet with header encryption remembers.

    Args:
        root_key: RK.
        own: our current ratchet key; None before the initiator's first message.
        peer: the peer's current ratchet key; None before the responder's first message came.
        sending: our chain; None while the sending half of a step is owed, which the next send makes up for.
        previous_count: messages on our chain before this one (PN).
        next_sending_header_key: NHK of our next chain.
        receiving: the peer's chain; None before anything came.
        next_receiving_header_key: NHK of the peer's next chain.
        old: earlier chains of the peer, oldest first.
        skipped: keys of messages that have not come yet, oldest first.
    """

    root_key: Key
    own: X25519KeyPair | None
    peer: Key | None
    sending: SendingChain | None
    previous_count: Count
    next_sending_header_key: Key
    receiving: ReceivingChain | None
    next_receiving_header_key: Key
    old: tuple[OldChain, ...]
    skipped: dict[SkippedIndex, SkippedKey]
