"""What people say to each other: the typed contents inside encrypted messages.

A content is a MessagePack array of 1 to 16 parts; a part is an array that begins with its tag. One encrypted
message may thus carry a text together with a profile and receipts. Fields are positional and bounded; unknown
tags and extra fields are refused. `docs/protocol.md`, "Contents", is the reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Annotated, Final

import msgspec

from zap2.errors import InvalidMessage, Malformed, TooLarge

MAX_TEXT_B: Final = 60_000
"""UTF-8 bytes of one text; with a profile beside it, it fits the largest message of any session state."""

MAX_CONTENT_SIZE_B: Final = 62_000
MAX_PARTS: Final = 16
MAX_RECEIPT_IDS: Final = 64
MAX_NAME_CHARS: Final = 64
DELIVERY_TOKEN_SIZE_B: Final = 32

_Id = Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]
_AtMs = Annotated[int, msgspec.Meta(ge=0, lt=2**53)]
_Sequence = Annotated[int, msgspec.Meta(ge=0, lt=2**53)]


class ReceiptKind(IntEnum):
    """What a receipt says of a message."""

    DELIVERED = 1
    """It is stored on the receiving device."""
    READ = 2
    """It was on the reader's screen."""


class _Part(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Base of all parts; on the wire an array that begins with the tag."""


class Text(_Part, frozen=True, tag=1):
    """A message for the person.

    `sequence` counts the author's messages of this conversation from 0, so that readers can keep their order.
    """

    id: _Id
    sequence: _Sequence
    sent_at_ms: _AtMs
    text: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_TEXT_B)]

    def __repr__(self) -> str:
        return f"Text(sequence={self.sequence})"


class Receipt(_Part, frozen=True, tag=2):
    """The other side stored or read these messages."""

    kind: ReceiptKind
    ids: Annotated[tuple[_Id, ...], msgspec.Meta(min_length=1, max_length=MAX_RECEIPT_IDS)]


class Profile(_Part, frozen=True, tag=3):
    """How the sender wants to be called, and the number they claim (E.164, or empty)."""

    name: Annotated[str, msgspec.Meta(max_length=MAX_NAME_CHARS)]
    number: Annotated[str, msgspec.Meta(pattern=r"^(\+[1-9][0-9]{6,14})?\Z", max_length=16)]

    def __repr__(self) -> str:
        return "Profile()"


class Opening(_Part, frozen=True, tag=4):
    """What the side that set a session up says of it, in every message until the other side has answered.

    `made_at_ms` is the sender's clock at the set-up: of two set-ups by one side, the later one counts. A repair names
    the session that it replaces in `replaces` (zeros when the sender knows of none); None for an ordinary set-up.
    `received` is the sequence of the first of the reader's texts that the sender is missing.
    """

    made_at_ms: _AtMs
    replaces: Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)] | None
    received: _Sequence


class Delivery(_Part, frozen=True, tag=5):
    """What lets the reader put envelopes into the sender's mailbox over a connection that never logged in.

    Of two tokens the one that was made later counts, whichever arrives last.
    """

    token: Annotated[bytes, msgspec.Meta(min_length=DELIVERY_TOKEN_SIZE_B, max_length=DELIVERY_TOKEN_SIZE_B)]
    made_at_ms: _AtMs

    def __repr__(self) -> str:
        return "Delivery()"


class Void(_Part, frozen=True, tag=6):
    """Sequences of the sender's, from `first` up to and not including `end`, whose texts nobody is to wait for."""

    first: _Sequence
    end: _Sequence


class DeliveryWanted(_Part, frozen=True, tag=7):
    """The reader's token is not here any more, and is asked for: the relay refused the last one."""


Part = Text | Receipt | Profile | Opening | Delivery | Void | DeliveryWanted
_Parts = Annotated[tuple[Part, ...], msgspec.Meta(min_length=1, max_length=MAX_PARTS)]

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Parts)


def check_text(text: str) -> None:
    """Say whether a text can be sent, before anything is stored.

    Raises:
        InvalidMessage: empty or only white space, over `MAX_TEXT_B` bytes of UTF-8, or not Unicode text.
    """
    if not text.strip():
        raise InvalidMessage("An empty message is not sent.", "Write something first.")
    try:
        size_b = len(text.encode())
    except UnicodeEncodeError:
        raise InvalidMessage("The message holds bytes that are no text.", "Send text in UTF-8.") from None
    if size_b > MAX_TEXT_B:
        raise InvalidMessage(
            f"The message has {size_b:,} bytes; a message holds {MAX_TEXT_B:,} at most.",
            "Shorten it, or send it in several messages.",
        )


def encode_content(parts: Sequence[Part]) -> bytes:
    """Encode 1 to 16 parts; encrypt the result.

    Raises:
        TooLarge: more parts or bytes than one content may have.
    """
    encoded = _encoder.encode(tuple(parts))
    if not 1 <= len(parts) <= MAX_PARTS or len(encoded) > MAX_CONTENT_SIZE_B:
        raise TooLarge("This does not fit one message.")
    return encoded


def decode_content(content: bytes) -> tuple[Part, ...]:
    """Decode what `encode_content` made, from a peer who may be hostile.

    The strings inside are not sanitised yet.

    Raises:
        Malformed: the bytes are no content of this protocol.
        TooLarge: more bytes than a content may have.
    """
    if len(content) > MAX_CONTENT_SIZE_B:
        raise TooLarge("A received content is larger than the protocol allows.")
    try:
        parts = _decoder.decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise Malformed("A received content is not one of this protocol.") from None
    for part in parts:
        if isinstance(part, Text) and len(part.text.encode()) > MAX_TEXT_B:
            raise TooLarge("A received text is longer than the protocol allows.")
    return parts
