"""What relays of one store say to each other. Every word may be lost: the store alone has what matters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, Protocol, TypeAlias

import msgspec
from msgspec import Meta

MAX_MAILBOXES: Final = 400
"""Mailboxes in one signal: a notification of PostgreSQL ends at 8,000 bytes."""


class LoggedIn(msgspec.Struct, frozen=True, array_like=True, tag=1, forbid_unknown_fields=True):
    """A device logged in at the sender: an older connection of it, elsewhere, is to be cut."""

    mailbox: int


class LoggedOut(msgspec.Struct, frozen=True, array_like=True, tag=2, forbid_unknown_fields=True):
    """A device's connection to the sender has ended."""

    mailbox: int


class MailCame(msgspec.Struct, frozen=True, array_like=True, tag=3, forbid_unknown_fields=True):
    """The sender has put something into mailboxes whose devices it does not have."""

    mailboxes: Annotated[tuple[int, ...], Meta(max_length=MAX_MAILBOXES)]


class Cut(msgspec.Struct, frozen=True, array_like=True, tag=4, forbid_unknown_fields=True):
    """All connections of an account are to be closed, but that of mailbox `but`."""

    uid: Annotated[bytes, Meta(min_length=32, max_length=32)]
    code: int
    reason: Annotated[str, Meta(max_length=100)]
    but: int


class StockIsLow(msgspec.Struct, frozen=True, array_like=True, tag=5, forbid_unknown_fields=True):
    """A device's one-time pairs are running out."""

    mailbox: int
    stock: int


class NumberWasLost(msgspec.Struct, frozen=True, array_like=True, tag=6, forbid_unknown_fields=True):
    """An account's number is another account's now, and its devices should hear of it."""

    uid: Annotated[bytes, Meta(min_length=32, max_length=32)]


Signal: TypeAlias = LoggedIn | LoggedOut | MailCame | Cut | StockIsLow | NumberWasLost


class _Message(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    sender: Annotated[bytes, Meta(min_length=16, max_length=16)]
    signal: Signal


_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(_Message)


def encode(sender: bytes, signal: Signal) -> bytes:
    """Write a signal down. `sender`: 16 bytes that name one relay while it runs."""
    return _encoder.encode(_Message(sender, signal))


def decode(data: bytes) -> tuple[bytes, Signal] | None:
    """Read sender and signal; None for what is none, as from another version of Zap2."""
    try:
        message = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return message.sender, message.signal


class Listener(Protocol):
    """Whoever hears what other relays say."""

    def heard(self, signal: Signal) -> None:
        """Another relay said something."""

    def missed(self) -> None:
        """Something may have been said that was not heard."""

    def mailboxes(self) -> Sequence[int]:
        """Give the mailboxes whose devices are here."""


class LineDown(Exception):
    """Nothing can be said on this line now."""


class Line(Protocol):
    """A way from relay to relay."""

    @property
    def is_listening(self) -> bool:
        """Whether what others say on this line is heard."""

    async def open(self, listener: Listener) -> None:
        """Start to listen, and go on until `close`, whatever happens to the other end."""

    async def close(self) -> None:
        """Listen no more."""

    async def say(self, signals: Sequence[Signal]) -> None:
        """Tell the others, in this order.

        Raises:
            LineDown: perhaps nobody was told.
        """
