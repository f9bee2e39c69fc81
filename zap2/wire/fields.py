"""What the frames between client and relay are made of: bounds, bounded field types, and the stable codes."""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta

SUBPROTOCOL: Final = "zap2.v1"
MAX_FRAMES: Final = 64
"""Frames in one WebSocket message."""
MAX_MESSAGE_SIZE_B: Final = 256 * 1024
"""Bytes of one WebSocket message, in either direction."""
PAYLOAD_SIZES_B: Final = frozenset({512, 1024, 2048, 4096, 8192, 16384, 32768, 65536})
"""The only lengths that an envelope's payload may have."""
MAX_PAIRS_PER_PUBLISH: Final = 100
MAX_ACKS: Final = 256
DELIVERY_WINDOW: Final = 64
"""Deliveries that a relay may leave unacknowledged on one connection."""
MAX_EXPIRY_S: Final = 30 * 24 * 3600
"""The longest time that a relay keeps an envelope."""

Rid: TypeAlias = Annotated[int, Meta(ge=1, le=0xFFFF_FFFF)]
U32: TypeAlias = Annotated[int, Meta(ge=0, le=0xFFFF_FFFF)]
# MessagePack has no integers above 64 bits, so only the sign needs a bound; SQLite's integers end at 63 bits.
U63: TypeAlias = Annotated[int, Meta(ge=0, le=0x7FFF_FFFF_FFFF_FFFF)]
Device: TypeAlias = Annotated[int, Meta(ge=1, le=0xFFFF_FFFF)]
Seconds: TypeAlias = Annotated[int, Meta(ge=0, le=0xFFFF_FFFF)]
Bytes16: TypeAlias = Annotated[bytes, Meta(min_length=16, max_length=16)]
Bytes32: TypeAlias = Annotated[bytes, Meta(min_length=32, max_length=32)]
Signature: TypeAlias = Annotated[bytes, Meta(min_length=64, max_length=64)]
Document: TypeAlias = Annotated[bytes, Meta(min_length=65, max_length=65)]
EncodedSet: TypeAlias = Annotated[bytes, Meta(min_length=1, max_length=4096)]
EncodedPair: TypeAlias = Annotated[bytes, Meta(min_length=1, max_length=2048)]
Payload: TypeAlias = Annotated[bytes, Meta(min_length=512, max_length=65536)]
Number: TypeAlias = Annotated[str, Meta(min_length=1, max_length=64)]
Code: TypeAlias = Annotated[str, Meta(min_length=1, max_length=16)]
Invite: TypeAlias = Annotated[str, Meta(min_length=1, max_length=64)]
Pin: TypeAlias = Annotated[str, Meta(min_length=4, max_length=64)]
Word: TypeAlias = Annotated[str, Meta(min_length=1, max_length=40)]
Words: TypeAlias = Annotated[str, Meta(max_length=500)]


class Frame(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """Base of all frames. Its repr shows numbers only: every other field may be a secret or a person's."""

    def __repr__(self) -> str:
        shown = ((name, getattr(self, name)) for name in self.__struct_fields__)
        numbers = ", ".join(f"{name}={value}" for name, value in shown if isinstance(value, int | float))
        return f"{type(self).__name__}({numbers})"


def check_payload(payload: bytes) -> None:
    """Raise ValueError for a payload that has none of the fixed sizes."""
    if len(payload) not in PAYLOAD_SIZES_B:
        raise ValueError("a payload must have one of the fixed sizes")


class ErrorCode(StrEnum):
    """Why a request was refused. Stable; a client must bear codes that it does not know."""

    BAD_REQUEST = "bad-request"
    UNAUTHENTICATED = "unauthenticated"
    TOKEN_EXPIRED = "token-expired"  # noqa: S105 - the name of a refusal, not a token
    TOKEN_UNKNOWN = "token-unknown"  # noqa: S105 - the name of a refusal, not a token
    BAD_SIGNATURE = "bad-signature"
    INVALID_NUMBER = "invalid-number"
    WRONG_CODE = "wrong-code"
    CODE_EXPIRED = "code-expired"
    TOO_MANY_TRIES = "too-many-tries"
    RESEND_TOO_SOON = "resend-too-soon"
    NUMBER_REGISTERED = "number-registered"
    TICKET_INVALID = "ticket-invalid"
    REGISTRATION_CLOSED = "registration-closed"
    INVITE_NEEDED = "invite-needed"
    CODE_NOT_SENT = "code-not-sent"
    PIN_NEEDED = "pin-needed"
    WRONG_PIN = "wrong-pin"
    NUMBER_LOST = "number-lost"
    ACCOUNT_BLOCKED = "account-blocked"
    NOT_FOUND = "not-found"
    NO_PREKEYS = "no-prekeys"
    DELIVERY_REFUSED = "delivery-refused"
    MAILBOX_FULL = "mailbox-full"
    TOO_LARGE = "too-large"
    RATE_LIMITED = "rate-limited"
    DRAINING = "draining"
    INTERNAL = "internal"


class CloseCode(IntEnum):
    """Why the relay closed a connection. Below 4000: RFC 6455, section 7.4.1; above: this protocol's own."""

    NORMAL = 1000
    GOING_AWAY = 1001
    """The relay stops or restarts: come back after the seconds that `Draining` named."""
    PROTOCOL_ERROR = 1002
    UNSUPPORTED = 1003
    """A text message: this protocol has binary ones only."""
    POLICY = 1008
    MESSAGE_TOO_BIG = 1009
    INTERNAL = 1011
    TRY_LATER = 1013
    """Too many connections; said by a proxy, for the relay drops such a connection before it is open."""
    MALFORMED = 4000
    """A message that does not decode to frames."""
    OUT_OF_TURN = 4001
    """A frame that this state of the connection does not allow, such as a second ClientHello."""
    REPLACED = 4002
    """The same address logged in on a newer connection. Do not reconnect by yourself at once."""
    TOKEN_EXPIRED = 4003
    """The token of this connection expired without renewal, or was revoked. Log in again."""
    SLOW_READER = 4004
    """What the relay had to say was not read in time."""
    SILENT = 4005
    """No hello, no log-in, or no sign of life in time."""
    FLOOD = 4006
    """Far more requests than the limits allow, after they had been refused with `rate-limited`."""
    BLOCKED = 4007
    """The relay's host has blocked this account."""
