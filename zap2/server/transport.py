"""One WebSocket connection of the relay: the Sans-I/O protocol of `websockets` under an asyncio.Protocol.

The asyncio layer of `websockets` costs more processor time and memory than everything else that the relay does
with a message, so this file does what the relay needs of it and no more: the handshake (subprotocol required, no
compression, no browsers), messages in and out, the closing handshake, pings, and bounds on everything.

Theory of operation. Whole binary messages are taken from the bytes that arrive by `zap2.server.intake`, when it is this
connection's turn; everything else comes from there a whole frame at a time and goes through `ServerProtocol`, whose
events are handled at once. Frames that the session
says go into an outbox; the first one in a turn of the event loop schedules a flush, so all that was said in one turn
leaves as few WebSocket messages in one write. When the socket's buffer is full, reading stops too, so a peer that does
not read cannot make the relay produce more. There are no timers here: `tick` is called about once a second by the
relay and cuts what is too slow, too silent or not open in time.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol, cast

from websockets.frames import Frame as WebSocketFrame
from websockets.frames import Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from zap2.server.framing import binary_frame
from zap2.server.intake import Intake
from zap2.server.source import source_of
from zap2.server.turns import Turns
from zap2.wire.codec import pack_messages
from zap2.wire.fields import MAX_MESSAGE_SIZE_B, SUBPROTOCOL, CloseCode
from zap2.wire.frames import Frame

_log = logging.getLogger("zap2.relay")
# The library writes a line for each connection; the relay says itself what a host needs to know.
_library_log = logging.getLogger("zap2.relay.websockets")
_library_log.setLevel(logging.CRITICAL)

_MAX_FRAGMENTS: Final = 64
_MAX_ODD_FRAMES: Final = 1_000
"""Control frames and fragments between two ticks: the library takes far longer for one than its bytes take to send."""
_NO_STEPS: Final[Iterator[float]] = iter(())
_SUBPROTOCOLS: Final = (Subprotocol(SUBPROTOCOL),)


class Session(Protocol):
    """What a connection tells; every call comes in the event loop's thread."""

    def message_received(self, message: bytes) -> Iterator[float]:
        """Handle one binary message, at most 256 KiB, step by step; see `zap2.server.intake`."""

    def writable(self) -> None:
        """Go on sending: the peer reads again."""

    def closed(self) -> None:
        """The connection is gone; nothing more will be sent."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a connection may take, in seconds."""

    handshake_s: float = 10.0
    """From the TCP connection to the WebSocket handshake."""
    hello_s: float = 10.0
    """From the WebSocket handshake to ClientHello: cut it with code 4005."""
    login_s: float = 3_600.0
    """From the WebSocket handshake to the log-in, in which a person signs up: cut it with code 4005."""
    ping_after_s: float = 25.0
    """Without a byte from the peer: ask whether it is there."""
    silent_s: float = 60.0
    """Without a byte from the peer: cut it with code 4005."""
    slow_reader_s: float = 20.0
    """With a full write buffer: cut it with code 4004."""
    close_s: float = 3.0
    """From the closing handshake's start to its end, after which the socket is dropped."""
    write_buffer_b: int = 256 * 1024


class WebSocketConnection(asyncio.Protocol):
    """A connection, from accept to close.

    Args:
        admit: asked when the connection is made, and once more when its source is known if that is later; a
            connection that is not admitted is dropped.
        open_session: called once the handshake is done; gives whom to tell.
        gone: called once when the connection is gone, whether or not it was ever open.
        patience: the times after which it is cut.
        turns: whose input is handled when; shared by all connections. Without it all input is handled at once.
        trust_forwarded: take the source from a proxy's X-Forwarded-For (its last element).
    """

    __slots__ = (
        "_admit",
        "_close_by",
        "_fragments",
        "_gone",
        "_heard_at",
        "_intake",
        "_is_flush_due",
        "_loop",
        "_made_at",
        "_odd_frames",
        "_open_session",
        "_outbox",
        "_patience",
        "_paused_at",
        "_pinged_at",
        "_session",
        "_transport",
        "_trust_forwarded",
        "_websocket",
        "source",
    )

    def __init__(
        self,
        admit: Callable[[WebSocketConnection], bool],
        open_session: Callable[[WebSocketConnection], Session],
        gone: Callable[[WebSocketConnection], None],
        patience: Patience,
        trust_forwarded: bool = False,
        turns: Turns | None = None,
    ) -> None:
        self.source = ""
        self._admit = admit
        self._open_session = open_session
        self._gone = gone
        self._patience = patience
        self._trust_forwarded = trust_forwarded
        self._loop = asyncio.get_running_loop()
        self._websocket = ServerProtocol(
            origins=[None],
            subprotocols=_SUBPROTOCOLS,
            max_size=MAX_MESSAGE_SIZE_B,
            logger=_library_log,
        )
        self._session: Session | None = None
        self._transport: asyncio.Transport | None = None
        self._outbox: list[Frame] = []
        self._is_flush_due = False
        self._fragments: list[bytes] = []
        self._odd_frames = 0
        self._intake = Intake(self, turns)
        self._made_at = self._heard_at = self._pinged_at = self._loop.time()
        self._paused_at: float | None = None
        self._close_by: float | None = None

    # ------------------------------------------------------------------------------------ for the session

    @property
    def is_writable(self) -> bool:
        """Whether the peer reads what it is sent; hold back what can wait when it does not."""
        return self._paused_at is None and self._websocket.state is State.OPEN

    def send(self, frame: Frame) -> None:
        """Send a frame with this turn's flush. After the closing has begun it is dropped."""
        if self._websocket.state is not State.OPEN:
            return
        self._outbox.append(frame)
        if not self._is_flush_due:
            self._is_flush_due = True
            self._loop.call_soon(self._flush)

    def close(self, code: CloseCode, reason: str = "") -> None:
        """Send what was said, then begin the closing handshake. Closing twice does nothing."""
        if self._websocket.state is State.OPEN:
            self._flush()
            self._websocket.send_close(int(code), reason)
            self._write_out()
        elif self._websocket.state is State.CONNECTING:
            self.abort()
        self._expect_close()

    def abort(self) -> None:
        """Drop the socket at once."""
        if self._transport is not None:
            self._transport.abort()

    def tick(self, now: float) -> None:
        """Cut the connection if it is too slow or too silent. `now` is the event loop's time."""
        self._odd_frames = 0
        if self._close_by is not None:
            if now > self._close_by:
                self.abort()
            return
        if self._websocket.state is State.CONNECTING:
            if now - self._made_at > self._patience.handshake_s:
                self.abort()
            return
        if self._paused_at is not None:
            if now - self._paused_at > self._patience.slow_reader_s:
                self.close(CloseCode.SLOW_READER, "too slow in reading")
            return
        if self._intake.is_waiting:
            # What it said waits to be handled, and nothing more may be read before that: the silence is not the peer's.
            self._heard_at = now
        silent_s = now - self._heard_at
        if silent_s > self._patience.silent_s:
            self.close(CloseCode.SILENT, "no sign of life")
        elif silent_s > self._patience.ping_after_s and self._pinged_at <= self._heard_at:
            self._pinged_at = now
            self._websocket.send_ping(b"")
            self._write_out()

    # --------------------------------------------------------------------------------------- from asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have asyncio's methods without being its subclasses.
        self._transport = socket = cast("asyncio.Transport", transport)
        socket.set_write_buffer_limits(high=self._patience.write_buffer_b)
        if not self._trust_forwarded:
            self._is_from(_peer_of(socket))
        if not self._admit(self):
            socket.abort()

    def go_over_to(self, transport: asyncio.Transport) -> None:
        """Go on over another transport: TLS over the one with which the connection was made."""
        self._transport = transport
        transport.set_write_buffer_limits(high=self._patience.write_buffer_b)

    def data_received(self, data: bytes) -> None:
        self._heard_at = self._loop.time()
        self._intake.received(data)

    def eof_received(self) -> bool:
        # Where the socket can stay open on this side, all that came before is handled first.
        return self._intake.ended() and self._transport is not None and self._transport.can_write_eof()

    def pause_writing(self) -> None:
        self._paused_at = self._loop.time()
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._paused_at = None
        # The time in which reading was paused is not the peer's silence.
        self._heard_at = self._loop.time()
        if self._transport is not None and not self._transport.is_closing():
            if not self._intake.is_held:
                self._transport.resume_reading()
            if self._session is not None:
                self._session.writable()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._outbox.clear()
        self._fragments.clear()
        self._intake.drop()
        session, self._session = self._session, None
        try:
            self._websocket.receive_eof()
            self._websocket.data_to_send()
            if session is not None:
                session.closed()
        finally:
            # The relay ends when all are gone.
            self._gone(self)

    # ------------------------------------------------------------------------------------- from the intake

    def take_bytes(self, data: bytes) -> Iterator[float]:
        websocket = self._websocket
        websocket.receive_data(data)
        message: bytes | None = None
        for event in websocket.events_received():
            if self._close_by is not None:
                break
            if isinstance(event, WebSocketFrame):
                # The bytes are one frame, so no second message can be in them.
                message = self._take_frame(event)
            elif isinstance(event, Request):
                self._shake_hands(event)
        self._write_out()
        if websocket.close_expected():
            self._expect_close()
        if message is None or self._session is None:
            return _NO_STEPS
        return self._session.message_received(message)

    def take_end(self) -> None:
        self._websocket.receive_eof()
        self._write_out()
        if self._transport is not None:
            self._transport.close()

    def hold(self, is_held: bool) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if is_held:
            self._transport.pause_reading()
        elif self._paused_at is None:
            self._transport.resume_reading()

    def failed(self) -> None:
        # Whatever a peer sends costs its own connection at most.
        _log.exception("a connection failed inside the relay and was closed")
        self.close(CloseCode.INTERNAL, "internal error")
        self._write_out()

    # ------------------------------------------------------------------------------------------ internals

    def _is_from(self, source: str) -> None:
        self.source = source
        self._intake.comes_from(source)

    def _shake_hands(self, request: Request) -> None:
        websocket = self._websocket
        if websocket.eof_sent:
            # What came behind the request breaks the rules, and the library has given up on the connection.
            self.abort()
            return
        if self._trust_forwarded and self._transport is not None:
            forwarded = request.headers.get_all("X-Forwarded-For")
            last = source_of(forwarded[-1].rpartition(",")[2]) if forwarded else ""
            self._is_from(last or _peer_of(self._transport))
            if not self._admit(self):
                websocket.send_response(websocket.reject(503, "Too many connections.\n"))
                return
        websocket.send_response(websocket.accept(request))
        if websocket.state is State.OPEN:
            self._session = self._open_session(self)
            self._intake.take_message = self._session.message_received

    def _take_frame(self, frame: WebSocketFrame) -> bytes | None:
        """Take a frame; give the message that is whole with it."""
        opcode = frame.opcode
        self._odd_frames += 1
        if self._odd_frames > _MAX_ODD_FRAMES:
            self.close(CloseCode.FLOOD, "too many control frames or fragments")
        elif opcode is Opcode.BINARY and frame.fin:
            return bytes(frame.data)
        elif opcode is Opcode.TEXT:
            self.close(CloseCode.UNSUPPORTED, "binary messages only")
        elif opcode is Opcode.BINARY or opcode is Opcode.CONT:
            self._fragments.append(bytes(frame.data))
            self._intake.has_fragments = not frame.fin
            if len(self._fragments) > _MAX_FRAGMENTS:
                self.close(CloseCode.POLICY, "too many fragments")
            elif frame.fin:
                message = b"".join(self._fragments)
                self._fragments.clear()
                return message
        return None

    def _flush(self) -> None:
        self._is_flush_due = False
        if self._outbox and self._websocket.state is State.OPEN:
            frames, self._outbox = self._outbox, []
            transport = self._transport
            if transport is not None and not transport.is_closing():
                messages = pack_messages(frames)
                if len(messages) == 1:
                    transport.write(binary_frame(messages[0]))
                else:
                    transport.write(b"".join(map(binary_frame, messages)))

    def _write_out(self) -> None:
        writes = self._websocket.data_to_send()
        transport = self._transport
        if not writes or transport is None or transport.is_closing():
            return
        ends = writes[-1] == b""
        data = writes[0] if len(writes) == 1 else b"".join(writes)
        if data:
            transport.write(data)
        if ends:
            # A half-closed socket lets the peer read the reason before it is gone; TLS cannot do that.
            if transport.can_write_eof():
                with contextlib.suppress(OSError):  # The peer may have reset the connection.
                    transport.write_eof()
                self._expect_close()
            else:
                transport.close()

    def _expect_close(self) -> None:
        self._intake.is_deaf = True
        if self._close_by is None:
            self._close_by = self._loop.time() + self._patience.close_s


def _peer_of(transport: asyncio.Transport) -> str:
    peer = transport.get_extra_info("peername")
    return source_of(str(peer[0])) if peer else "unknown"
