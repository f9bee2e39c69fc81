"""What a connection receives, cut into whole pieces and handled when it is the connection's turn.

A piece is the request of the handshake, then one WebSocket frame after another. Whole binary messages are taken apart
here (`zap2.server.framing`); everything else is handed on as it came, a whole frame at a time. What a message asks for
is a piece each: whoever takes it does so step by step, and tells with each step how long what it started will take.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Final, Protocol

from zap2.server.framing import binary_message, frame_size_b
from zap2.server.turns import AHEAD_S, SHARE, SLICE_S, Turns, Usage
from zap2.wire.fields import MAX_MESSAGE_SIZE_B

_MAX_HEADER_B: Final = 14
_MAX_REQUEST_B: Final = 16 * 1024
_MAX_WAITING_B: Final = 64 * 1024
_READ_S_PER_B: Final = 0.5e-9
"""What it takes to read a byte from a socket, before it is looked at."""
_OPCODE: Final = 0x0F
_CLOSE: Final = 0x8
_ALWAYS: Final = float("inf")
_NOTHING: Final[Iterator[float]] = iter(())


class Taker(Protocol):
    """The connection, as its intake sees it."""

    def take_bytes(self, data: bytes) -> Iterator[float]:
        """Take the request, or a whole frame that is no whole message; gives the steps as `take_message` does."""

    def take_end(self) -> None:
        """The peer will say nothing more."""

    def hold(self, is_held: bool) -> None:
        """Stop or go on reading from the socket."""

    def failed(self) -> None:
        """Handling raised an exception, which is being handled now."""


class _Nobody:
    """In the place of a connection that is gone, so that it and its intake do not hold each other."""

    def take_bytes(self, data: bytes) -> Iterator[float]:
        return _NOTHING

    def take_end(self) -> None:
        pass

    def hold(self, is_held: bool) -> None:
        pass

    def failed(self) -> None:
        pass


_NOBODY: Final = _Nobody()


def _drop(message: bytes) -> Iterator[float]:
    """Nobody is to be told."""
    return _NOTHING


class Intake:
    """The input of one connection.

    Args:
        taker: the connection.
        turns: shared by all connections; without it everything is handled at once.
    """

    __slots__ = (
        "_has_ended",
        "_is_framing",
        "_is_held",
        "_is_waiting",
        "_later_s",
        "_needed_b",
        "_rest",
        "_source",
        "_steps",
        "_taker",
        "_turns",
        "_usage",
        "has_fragments",
        "is_deaf",
        "take_message",
    )

    def __init__(self, taker: Taker, turns: Turns | None) -> None:
        self._taker: Taker = taker
        self._turns = turns
        self._rest: bytearray | None = None
        self._needed_b = 0
        self._steps: Iterator[float] | None = None
        self._later_s = 0.0
        # Who is new has nothing ahead: connections that come and go are not to have more than those that stay.
        self._usage = Usage(SHARE, perf_counter() + AHEAD_S)
        self._source: Usage | None = None
        self._is_framing = False
        self._is_waiting = False
        self._is_held = False
        self._has_ended = False
        # Plain attributes, for they are looked at for every message.
        self.take_message: Callable[[bytes], Iterator[float]] = _drop
        """Takes a whole binary message step by step, each step giving the seconds that are to be spent on it later."""
        self.has_fragments = False
        """Set while a message has begun that is not whole."""
        self.is_deaf = False
        """Set when messages count no longer; a closing frame does in any case."""

    @property
    def is_held(self) -> bool:
        """Whether nothing is to be read from the socket for now."""
        return self._is_held

    @property
    def is_waiting(self) -> bool:
        """Whether something was received that is not handled yet."""
        return self._is_waiting

    def comes_from(self, source: str) -> None:
        """Share with all other connections of a source from now on."""
        if self._turns is not None:
            self._source = self._turns.source(source)

    def place(self) -> tuple[bool, float]:
        """Give its place among those who wait; see `zap2.server.turns.Waiting`."""
        is_modest = self._source is None or self._source.is_modest(perf_counter())
        return not is_modest, self._usage.paid_until

    def received(self, data: bytes) -> None:
        """Handle what came, now or when it is this connection's turn."""
        turns = self._turns
        now = perf_counter()
        if turns is None:
            self._handle(data, now, _ALWAYS)
            return
        self._later_s += len(data) * _READ_S_PER_B
        if (
            not self._is_waiting
            and self._is_framing
            and self._usage.is_modest(now)
            and (self._source is None or self._source.is_modest(now))
        ):
            turns.heard_at = now
            is_left, _ = self._handle(data, now, now + SLICE_S)
            if is_left:
                self._wait(turns)
            return
        if self._rest is None:
            self._rest, self._needed_b = bytearray(data), 0
        else:
            self._rest += data
        if self._is_waiting:
            self._hold_back()
        else:
            self._wait(turns)

    def ended(self) -> bool:
        """Take note that the peer says nothing more; tell whether something waits that it said before."""
        self._has_ended = True
        if not self._is_waiting:
            self._end()
        return self._is_waiting

    def drop(self) -> None:
        """Handle nothing more, and know nobody to tell."""
        self._rest = self._steps = None
        self._is_held = self._has_ended = False
        self.take_message = _drop
        self._taker = _NOBODY

    def go_on(self, until: float) -> tuple[bool, float]:
        """Handle what was received until this time (of `perf_counter`); see `zap2.server.turns.Waiting`."""
        later_s = 0.0
        self._is_waiting = False
        if self._rest is not None or self._steps is not None:
            self._is_waiting, later_s = self._handle(b"", perf_counter(), until)
        if self._is_held and (
            not self._is_waiting or self._rest is None or len(self._rest) <= _MAX_WAITING_B
        ):
            self._is_held = False
            self._taker.hold(False)
        if self._has_ended and not self._is_waiting:
            self._end()
        return self._is_waiting, later_s

    def _wait(self, turns: Turns) -> None:
        self._is_waiting = True
        turns.wait(self)
        self._hold_back()

    def _hold_back(self) -> None:
        """Receive no more before what waits was handled, if that is much."""
        if not self._is_held and self._rest is not None and len(self._rest) > _MAX_WAITING_B:
            self._is_held = True
            self._taker.hold(True)

    def _end(self) -> None:
        rest, self._rest = self._rest, None
        if rest:
            self._go_through(self._taker.take_bytes(bytes(rest)), _ALWAYS)
        self._taker.take_end()

    def _handle(self, data: bytes, began_at: float, until: float) -> tuple[bool, float]:
        """Handle what was received; give what `go_on` gives."""
        try:
            is_left = self._cut(data, until)
        except Exception:
            self._taker.failed()
            is_left = False
        later_s, self._later_s = self._later_s, 0.0
        now = perf_counter()
        used_s = now - began_at + later_s
        self._usage.charge(used_s, now)
        if self._source is not None:
            self._source.charge(used_s, now)
        return is_left, later_s

    def _cut(self, data: bytes, until: float) -> bool:
        steps, self._steps = self._steps, None
        if steps is not None and self._go_through(steps, until):
            return True
        buffer: bytes | bytearray = data
        if self._rest is not None:
            self._rest += data
            if len(self._rest) < self._needed_b:
                return False
            buffer, self._rest = self._rest, None
        taker, at, end = self._taker, 0, len(buffer)
        if not self._is_framing:
            at = buffer.find(b"\r\n\r\n") + 4
            if at < 4:
                if end < _MAX_REQUEST_B:
                    self._rest, self._needed_b = bytearray(buffer), 0
                    return False
                at = end
            self._is_framing = True
            taker.take_bytes(bytes(buffer[:at]))
        while at < end:
            size_b = frame_size_b(buffer, at)
            if at + size_b > end and size_b <= MAX_MESSAGE_SIZE_B + _MAX_HEADER_B:
                self._rest, self._needed_b = bytearray(buffer[at:]), size_b
                return False
            is_left = False
            if not self.is_deaf:
                message = (
                    None if self.has_fragments else binary_message(buffer, at, size_b, MAX_MESSAGE_SIZE_B)
                )
                if message is None:
                    is_left = self._go_through(taker.take_bytes(bytes(buffer[at : at + size_b])), until)
                else:
                    is_left = self._go_through(self.take_message(message), until)
            elif buffer[at] & _OPCODE == _CLOSE:
                taker.take_bytes(bytes(buffer[at : at + size_b]))
            at += size_b
            if is_left or (at < end and perf_counter() + self._later_s > until):
                if at < end:
                    self._rest, self._needed_b = bytearray(buffer[at:]), 0
                return True
        return False

    def _go_through(self, steps: Iterator[float], until: float) -> bool:
        """Take step after step; False when that was all, True when the time is over and the rest is kept."""
        for later_s in steps:
            self._later_s += later_s
            if perf_counter() + self._later_s > until:
                self._steps = steps
                return True
        return False
