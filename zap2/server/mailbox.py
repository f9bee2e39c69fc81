"""Delivery of one mailbox over one connection: in order, at least once, a bounded window in flight.

Theory of operation. A delivery is either *caught up* (everything in the mailbox is in flight, and what is committed
next can be sent at once from memory) or *behind* (the store has more than was read). It starts behind. While it is
behind and there is room in the window, it reads; a read that comes back with less than was asked for means that it
has caught up. That is exact because the store calls back in the order in which it worked: an envelope that arrives
while a read is under way was committed before it and is in its result. When there is no room for an arrival, or
the peer does not read, it falls behind again and leaves the rest in the store.

Where several relays share the store, an envelope that is committed here may have one before it that was committed
elsewhere. Then only the very next seq is sent from memory, anything else makes the delivery fall behind; and so
does a word from another relay that it has put something into this mailbox.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, Protocol

from zap2.server.store.port import Envelope, RelayStore
from zap2.wire.frames import Deliver, Frame

_log = logging.getLogger("zap2.relay")
_WINDOW_B: Final = 1024 * 1024
"""Payload in flight beyond which nothing more is sent before an Ack."""


class Outlet(Protocol):
    """Where deliveries go."""

    @property
    def is_writable(self) -> bool:
        """Whether the peer reads what it is sent."""

    def send(self, frame: Frame) -> None:
        """Send a frame soon."""


class Delivery:
    """What one connection has been sent of its mailbox.

    Args:
        outlet: the connection.
        store: where the mailbox is.
        mailbox: its name there.
        window: envelopes that may be unacknowledged.
        now_ms: the clock, for envelopes that expire while they wait.
        is_shared: whether other relays put envelopes into the same mailbox.
    """

    __slots__ = (
        "_in_flight",
        "_in_flight_b",
        "_is_caught_up",
        "_is_over",
        "_is_reading",
        "_is_shared",
        "_last_seq",
        "_mailbox",
        "_now_ms",
        "_outlet",
        "_store",
        "_was_woken",
        "_window",
    )

    def __init__(
        self,
        outlet: Outlet,
        store: RelayStore,
        mailbox: int,
        window: int,
        now_ms: Callable[[], int],
        is_shared: bool = False,
    ) -> None:
        self._outlet = outlet
        self._store = store
        self._mailbox = mailbox
        self._window = window
        self._now_ms = now_ms
        self._is_shared = is_shared
        self._was_woken = False
        self._in_flight: dict[int, int] = {}
        self._in_flight_b = 0
        self._last_seq = 0
        self._is_caught_up = False
        self._is_reading = False
        self._is_over = False

    def arrived(self, envelope: Envelope) -> None:
        """Deliver an envelope that was just committed, if it is its turn."""
        if self._is_caught_up and (not self._is_shared or envelope.seq == self._last_seq + 1):
            self._is_caught_up = self._deliver(envelope)
        else:
            self._is_caught_up = False
            self.pump()

    def woken(self) -> None:
        """Read what another relay may have put into the mailbox."""
        self._is_caught_up = False
        # A read that is under way may have looked before the other relay's commit.
        self._was_woken = self._is_reading
        self.pump()

    def acknowledged(self, seqs: Sequence[int]) -> None:
        """Forget what the peer has committed. Seqs that are not in flight here are ignored."""
        known = [seq for seq in seqs if seq in self._in_flight]
        if known:
            for seq in known:
                self._in_flight_b -= self._in_flight.pop(seq, 0)
            self._store.discard(self._mailbox, known)
        self.pump()

    def pump(self) -> None:
        """Read on, if there is more to read and room for it."""
        if self._is_caught_up or self._is_reading or self._is_over or not self._outlet.is_writable:
            return
        room = self._window - len(self._in_flight)
        # Half a window at a time: a read for every single Ack would cost more than the mail.
        if room * 2 >= self._window and self._in_flight_b * 2 <= _WINDOW_B:
            self._is_reading = True
            done = partial(self._was_read, room)
            self._store.read_mail(self._mailbox, self._last_seq, room, self._now_ms(), done)

    def end(self) -> None:
        """Deliver nothing more; what was not acknowledged stays in the mailbox."""
        self._is_over = True
        self._is_caught_up = False

    def _was_read(self, limit: int, result: list[Envelope] | Exception) -> None:
        self._is_reading = False
        if self._is_over:
            return
        if isinstance(result, Exception):
            _log.error("a mailbox could not be read; its device will come back for it")
            return
        all_delivered = all(self._deliver(envelope) for envelope in result)
        self._is_caught_up = all_delivered and len(result) < limit and not self._was_woken
        self._was_woken = False
        self.pump()

    def _deliver(self, envelope: Envelope) -> bool:
        if (
            len(self._in_flight) >= self._window
            or self._in_flight_b >= _WINDOW_B
            or not self._outlet.is_writable
        ):
            return False
        self._in_flight[envelope.seq] = len(envelope.payload)
        self._in_flight_b += len(envelope.payload)
        self._last_seq = envelope.seq
        self._outlet.send(
            Deliver(envelope.seq, envelope.envelope_id, envelope.received_at_ms, envelope.payload)
        )
        return True
