"""Delivery of one mailbox over one connection: in order, at least once, a bounded window in flight.

Theory of operation. What is to be delivered is *in flight* (sent, not acknowledged), *ahead* (read from the store or
just arrived, and waiting for room in the window) or in the store. A delivery is *caught up* when the store has nothing
that is not in flight or ahead; what comes into the mailbox then needs no reading. It starts behind. While it is behind
it reads, so that another window is ahead when the peer acknowledges; a read that comes back with less than was asked
for means that it has caught up. That is exact because the store calls back in the order in which it worked: an
envelope that arrives while a read is under way came before it and is in its result. When too much is ahead, it
falls behind again and leaves the rest in the store.

Where several relays share the store, an envelope that comes in here may have one before it that came in
elsewhere. Then only the very next seq is sent from memory, anything else makes the delivery fall behind; and so
does a word from another relay that it has put something into this mailbox.

A read that fails is tried again after a while, and counts as under way until then: what is in the mailbox is not to
wait for the next event, for there may be none.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, Protocol

from zap2.server.store.port import Envelope, RelayStore
from zap2.wire.frames import Deliver, Frame

_log = logging.getLogger("zap2.relay")
_WINDOW_B: Final = 1024 * 1024
"""Payload in flight beyond which nothing more is sent before an Ack."""
_FIRST_RETRY_S: Final = 0.25
_LAST_RETRY_S: Final = 30.0


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
        "_ahead",
        "_ahead_b",
        "_in_flight",
        "_in_flight_b",
        "_is_caught_up",
        "_is_over",
        "_is_reading",
        "_is_shared",
        "_last_read_seq",
        "_mailbox",
        "_now_ms",
        "_outlet",
        "_retry_after_s",
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
        self._ahead: list[Envelope] = []
        self._ahead_b = 0
        self._last_read_seq = 0
        self._is_caught_up = False
        self._is_reading = False
        self._is_over = False
        self._retry_after_s = _FIRST_RETRY_S

    def arrived(self, envelope: Envelope) -> None:
        """Deliver an envelope that just came into the mailbox, when it is its turn."""
        if not self._is_caught_up or (self._is_shared and envelope.seq != self._last_read_seq + 1):
            self._is_caught_up = False
            self.pump()
        elif not self._ahead and self._has_room():
            self._last_read_seq = envelope.seq
            self._deliver(envelope)
        else:
            self._is_caught_up = self._put_ahead(envelope)

    def woken(self) -> None:
        """Read what another relay may have put into the mailbox."""
        self._is_caught_up = False
        # A read that is under way may have looked before the other relay's commit.
        self._was_woken = self._is_reading
        self.pump()

    def acknowledged(self, seqs: Sequence[int]) -> None:
        """Forget what the peer has committed. Seqs that are not in flight here are ignored."""
        in_flight = self._in_flight
        known = [seq for seq in seqs if seq in in_flight]
        if known:
            for seq in known:
                self._in_flight_b -= in_flight.pop(seq, 0)
            self._store.discard(self._mailbox, known)
        if self._ahead or not self._is_caught_up:
            self.pump()

    def pump(self) -> None:
        """Deliver what is ahead, and read on, as far as there is room."""
        if self._is_over or not self._outlet.is_writable:
            return
        if self._ahead and self._has_room():
            ahead, self._ahead = self._ahead, []
            for number, envelope in enumerate(ahead):
                if not self._has_room():
                    self._ahead = ahead[number:]
                    break
                self._ahead_b -= len(envelope.payload)
                self._deliver(envelope)
        if self._is_caught_up or self._is_reading or self._ahead_b * 2 > _WINDOW_B:
            return
        room = 2 * self._window - len(self._in_flight) - len(self._ahead)
        # Half a window at a time: a read for every single Ack would cost more than the mail.
        if room * 2 >= self._window:
            self._is_reading = True
            done = partial(self._was_read, room)
            self._store.read_mail(self._mailbox, self._last_read_seq, room, self._now_ms(), done)

    def end(self) -> None:
        """Deliver nothing more; what was not acknowledged stays in the mailbox."""
        self._is_over = True
        self._is_caught_up = False
        self._ahead = []

    def _was_read(self, limit: int, result: list[Envelope] | Exception) -> None:
        if self._is_over:
            return
        if isinstance(result, Exception):
            if self._retry_after_s == _FIRST_RETRY_S:
                _log.error("a mailbox could not be read; it is tried again until it can")
            asyncio.get_running_loop().call_later(self._retry_after_s, self._read_again)
            self._retry_after_s = min(2 * self._retry_after_s, _LAST_RETRY_S)
            return
        self._is_reading = False
        self._retry_after_s = _FIRST_RETRY_S
        all_put = all(self._put_ahead(envelope) for envelope in result)
        self._is_caught_up = all_put and len(result) < limit and not self._was_woken
        self._was_woken = False
        self.pump()

    def _read_again(self) -> None:
        self._is_reading = False
        self.pump()

    def _has_room(self) -> bool:
        return (
            len(self._in_flight) < self._window and self._in_flight_b < _WINDOW_B and self._outlet.is_writable
        )

    def _put_ahead(self, envelope: Envelope) -> bool:
        """Keep an envelope for later; False when it has to stay in the store."""
        if len(self._ahead) >= 2 * self._window or self._ahead_b >= _WINDOW_B:
            return False
        self._ahead.append(envelope)
        self._ahead_b += len(envelope.payload)
        self._last_read_seq = envelope.seq
        return True

    def _deliver(self, envelope: Envelope) -> None:
        size_b = len(envelope.payload)
        self._in_flight[envelope.seq] = size_b
        self._in_flight_b += size_b
        self._outlet.send(
            Deliver(envelope.seq, envelope.envelope_id, envelope.received_at_ms, envelope.payload)
        )
