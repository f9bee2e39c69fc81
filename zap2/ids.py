"""Names of things, each parsed once at the edge.

A uid is the self-certifying address of an account: SHA-256 of its identity document (docs/protocol.md, "Identity").
"""

from __future__ import annotations

import base64
import binascii
import uuid
from collections.abc import Callable
from typing import Final, NewType

from zap2.errors import InvalidAddress

Uid = NewType("Uid", bytes)
"""32 bytes; SHA-256 of an identity document."""

MessageId = NewType("MessageId", bytes)
"""16 bytes; random, chosen by the author of a message, seen by its readers only."""

EnvelopeId = NewType("EnvelopeId", bytes)
"""16 bytes; random, chosen by the sender of an envelope, seen by the transport."""

ConversationId = NewType("ConversationId", str)
"""`uid:<base32>` for a person (one's own uid is the note to oneself); groups will be `group:<base32>`."""

RandomBytes = Callable[[int], bytes]
"""A source of randomness: given n, gives n unpredictable bytes. `os.urandom` outside tests."""

UID_SIZE_B: Final = 32
ID_SIZE_B: Final = 16


def format_uid(uid: Uid) -> str:
    """Write a uid as 52 lower-case base32 characters."""
    return base64.b32encode(uid).decode("ascii").rstrip("=").lower()


def parse_uid(text: str) -> Uid:
    """Read what `format_uid` wrote.

    Raises:
        InvalidAddress: `text` is not 52 base32 characters.
    """
    try:
        uid = base64.b32decode(text.upper() + "=" * (-len(text) % 8))
    except (binascii.Error, ValueError):
        uid = b""
    if len(uid) != UID_SIZE_B or format_uid(Uid(uid)) != text.lower():
        raise InvalidAddress("This is not a Zap2 account address.")
    return Uid(uid)


def format_message_id(message_id: MessageId) -> str:
    """Write a message id in the usual form of a UUID."""
    return str(uuid.UUID(bytes=bytes(message_id)))


def conversation_with(uid: Uid) -> ConversationId:
    """Name the conversation with one person."""
    return ConversationId(f"uid:{format_uid(uid)}")


def peer_of(conversation: ConversationId) -> Uid:
    """Give the person of a two-person conversation.

    Raises:
        InvalidAddress: the conversation is not one with a single person.
    """
    kind, _, name = conversation.partition(":")
    if kind != "uid":
        raise InvalidAddress("This conversation is not with one person.")
    return parse_uid(name)
