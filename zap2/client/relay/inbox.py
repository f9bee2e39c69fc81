"""What a relay delivers over one connection and has not been acknowledged: bounded by the relay's window."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from zap2.client.relay.connection import News
from zap2.client.transport import Arrived, Delivery, NumberLost, StockLow, TransportEvent
from zap2.errors import ProtocolViolation
from zap2.ids import EnvelopeId
from zap2.wire import frames as f
from zap2.wire.fields import DELIVERY_WINDOW


class Inbox:
    """Gives deliveries tokens that no other connection's have, and reports them once the link is up.

    A relay numbers envelopes by mailbox, so the same seq comes again on the next connection; what was delivered on
    an earlier one must not be acknowledged by it.

    Args:
        tokens: a source of numbers, the same one for all connections.
        report: takes the events.
    """

    def __init__(self, tokens: Iterator[int], report: Callable[[TransportEvent], None]) -> None:
        self._tokens = tokens
        self._report = report
        self._seq_of: dict[int, int] = {}
        self._in_flight: set[int] = set()
        self._early: list[TransportEvent] | None = []
        self._has_told_stock = False
        self._has_told_loss = False
        self.reconnect_after_s: float | None = None
        """What the relay asked for when it began to stop."""

    def take(self, frames: Sequence[News]) -> None:
        """Take what came in one message.

        Raises:
            ProtocolViolation: the relay exceeds its window.
        """
        arrived: list[Delivery] = []
        for frame in frames:
            match frame:
                case f.Deliver():
                    self._admit(frame, arrived)
                case f.StockLow():
                    self._take_stock(frame.stock)
                case f.NumberLost():
                    self._take_loss()
                case f.Draining():
                    self.reconnect_after_s = frame.reconnect_after_s
        if arrived:
            self._tell(Arrived(tuple(arrived)))

    def open(self) -> None:
        """Report from now on, beginning with what came before."""
        early, self._early = self._early or [], None
        for event in early:
            self._report(event)

    def redeem(self, tokens: Sequence[int]) -> list[int]:
        """Give the seqs to acknowledge for tokens; those of other connections have none here."""
        seqs = [self._seq_of.pop(token) for token in tokens if token in self._seq_of]
        self._in_flight.difference_update(seqs)
        return seqs

    def published(self) -> None:
        """Prekeys were published: the next notice of a low stock is news again."""
        self._has_told_stock = False

    def _admit(self, frame: f.Deliver, arrived: list[Delivery]) -> None:
        if frame.seq in self._in_flight:
            return
        if len(self._in_flight) >= DELIVERY_WINDOW:
            raise ProtocolViolation("The relay delivered more than it may before an acknowledgement.")
        token = next(self._tokens)
        self._in_flight.add(frame.seq)
        self._seq_of[token] = frame.seq
        arrived.append(Delivery(token, EnvelopeId(frame.envelope_id), frame.payload, frame.seq))

    def _take_stock(self, stock: int) -> None:
        # Once until we publish: a relay that repeats itself must not fill anybody's queue.
        if not self._has_told_stock:
            self._has_told_stock = True
            self._tell(StockLow(stock))

    def _take_loss(self) -> None:
        # The relay repeats it as long as the connection stands.
        if not self._has_told_loss:
            self._has_told_loss = True
            self._tell(NumberLost())

    def _tell(self, event: TransportEvent) -> None:
        if self._early is None:
            self._report(event)
        else:
            self._early.append(event)
