"""Who is connected to this relay, and what it holds in memory for all of them."""

from __future__ import annotations

from typing import Final, Protocol

from zap2.ids import Uid
from zap2.server.store.port import Envelope
from zap2.wire.fields import CloseCode
from zap2.wire.frames import Frame, NumberLost, StockLow

MAX_UNCOMMITTED_B: Final = 128 * 1024 * 1024
"""Payloads that wait for their commit, of all senders together."""


class OnlineDevice(Protocol):
    """A connection that has logged in."""

    @property
    def uid(self) -> Uid:
        """Whose it is."""

    @property
    def address(self) -> tuple[Uid, int]:
        """Whose it is, and which of their devices."""

    def arrived(self, envelope: Envelope) -> None:
        """An envelope came into this device's mailbox."""

    def woken(self) -> None:
        """Another relay may have put something into this device's mailbox."""

    def tell(self, frame: Frame) -> None:
        """Send a frame that answers no request."""

    def cut(self, code: CloseCode, reason: str) -> None:
        """Close the connection."""


class Hub:
    """The connections that have logged in, by mailbox: one a device."""

    def __init__(self) -> None:
        self._online: dict[int, OnlineDevice] = {}
        self._mailbox_of: dict[tuple[bytes, int], int] = {}
        self.uncommitted_b = 0
        self.accepted = 0
        """Envelopes that were stored, repetitions not counted, since the start."""

    def __len__(self) -> int:
        return len(self._online)

    def attach(self, mailbox: int, device: OnlineDevice) -> None:
        """Take note of a device; an older connection of it is cut."""
        older = self._online.get(mailbox)
        self._online[mailbox] = device
        self._mailbox_of[device.address] = mailbox
        if older is not None and older is not device:
            older.cut(CloseCode.REPLACED, "this device logged in on another connection")

    def detach(self, mailbox: int, device: OnlineDevice) -> None:
        """Forget a connection, unless a newer one has taken its place."""
        if self._online.get(mailbox) is device:
            del self._online[mailbox]
            self._mailbox_of.pop(device.address, None)

    def is_here(self, uid: bytes, number: int) -> bool:
        """Tell whether a device of an account is connected."""
        return (uid, number) in self._mailbox_of

    def offer(self, mailbox: int, envelope: Envelope) -> None:
        """Deliver an envelope to whoever has this mailbox, if it is its turn."""
        self.accepted += 1
        if device := self._online.get(mailbox):
            device.arrived(envelope)

    def get(self, mailbox: int) -> OnlineDevice | None:
        """Give the connection of a mailbox's device."""
        return self._online.get(mailbox)

    def tell_stock(self, mailbox: int, stock: int) -> None:
        """Tell a device that few of its one-time pairs are left, if it is online."""
        if device := self._online.get(mailbox):
            device.tell(StockLow(stock))

    def tell_number_lost(self, uid: Uid) -> None:
        """Tell an account's devices, as far as they are online, that another account has its number now."""
        for device in list(self._online.values()):
            if device.uid == uid:
                device.tell(NumberLost())

    def online_uids(self) -> set[Uid]:
        """Give whose devices are here."""
        return {device.uid for device in self._online.values()}

    def cut_account(self, uid: Uid, code: CloseCode, reason: str, but: int) -> None:
        """Close all connections of an account, but the one of mailbox `but`."""
        for mailbox, device in list(self._online.items()):
            if device.uid == uid and mailbox != but:
                device.cut(code, reason)
