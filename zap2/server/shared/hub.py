"""Who is connected to this relay, where others serve the same mailboxes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from zap2.ids import Uid
from zap2.server.hub import Hub, OnlineDevice
from zap2.server.shared.signals import (
    MAX_MAILBOXES,
    Cut,
    LoggedIn,
    LoggedOut,
    MailCame,
    NumberWasLost,
    Signal,
    StockIsLow,
)
from zap2.server.store.port import Deposited
from zap2.wire.fields import CloseCode


class SharedHub(Hub):
    """A hub that tells the other relays what concerns them, and does what they ask.

    Args:
        say: tells the other relays; does not wait and does not fail.
    """

    def __init__(self, say: Callable[[Signal], None]) -> None:
        super().__init__()
        self._say = say

    def attach(self, mailbox: int, device: OnlineDevice) -> None:
        """Take note of a device here; the other relays cut an older connection of it."""
        super().attach(mailbox, device)
        self._say(LoggedIn(mailbox))

    def detach(self, mailbox: int, device: OnlineDevice) -> None:
        """Forget a connection here and elsewhere, unless a newer one has taken its place."""
        if self._online.get(mailbox) is device:
            super().detach(mailbox, device)
            self._say(LoggedOut(mailbox))

    def cut_account(self, uid: Uid, code: CloseCode, reason: str, but: int) -> None:
        """Cut an account's connections here and at the other relays."""
        super().cut_account(uid, code, reason, but)
        self._say(Cut(uid, code, reason, but))

    def tell_stock(self, mailbox: int, stock: int) -> None:
        """Tell a device, wherever it is connected, that few of its one-time pairs are left."""
        if mailbox in self._online:
            super().tell_stock(mailbox, stock)
        else:
            self._say(StockIsLow(mailbox, stock))

    def tell_number_lost(self, uid: Uid) -> None:
        """Tell an account's devices, wherever they are connected, that another account has its number now."""
        super().tell_number_lost(uid)
        self._say(NumberWasLost(uid))

    def deposited(self, results: Sequence[Deposited]) -> None:
        """Wake those who have mail, here and elsewhere; an envelope that was new here has been delivered by now."""
        away: set[int] = set()
        for result in results:
            device = self._online.get(result.mailbox)
            if device is None:
                away.add(result.mailbox)
            elif result.envelope is None:
                device.woken()
        ordered = sorted(away)
        for start in range(0, len(ordered), MAX_MAILBOXES):
            self._say(MailCame(tuple(ordered[start : start + MAX_MAILBOXES])))

    # -------------------------------------------------------------------------------- from the other relays

    def heard(self, signal: Signal) -> None:
        """Do what another relay's word means here."""
        if isinstance(signal, MailCame):
            for mailbox in signal.mailboxes:
                self.wake(mailbox)
        elif isinstance(signal, LoggedIn):
            # Out of the hub at once: what comes while the connection closes is the other relay's to deliver.
            if device := self._online.pop(signal.mailbox, None):
                device.cut(CloseCode.REPLACED, "this device logged in on another connection")
                # What came here between that log-in and this word went to the older connection.
                self._say(MailCame((signal.mailbox,)))
        elif isinstance(signal, Cut):
            super().cut_account(Uid(signal.uid), CloseCode(signal.code), signal.reason, signal.but)
        elif isinstance(signal, StockIsLow):
            super().tell_stock(signal.mailbox, signal.stock)
        elif isinstance(signal, NumberWasLost):
            super().tell_number_lost(Uid(signal.uid))

    def missed(self) -> None:
        """Look into all mailboxes: a word about one may have been missed."""
        for mailbox in list(self._online):
            self.wake(mailbox)

    def wake(self, mailbox: int) -> None:
        """Have a device's connection look into its mailbox, if it is here."""
        if device := self._online.get(mailbox):
            device.woken()

    def mailboxes(self) -> Sequence[int]:
        """Give the mailboxes whose devices are here."""
        return list(self._online)
