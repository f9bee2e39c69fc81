"""One connection to a relay whose key was checked: requests and their answers, and what comes unasked.

Theory of operation. Frames that are said go into an outbox; a writer task takes all of it at once, so what is said
in one turn of the event loop leaves in as few WebSocket messages as possible, in order. A reader task matches
answers with requests by rid and hands the other frames of a message, together, to `on_news`. Whatever ends the
connection - the relay, the network, a frame that makes no sense, an answer that does not come - ends it once: the
first reason is kept, every open request fails with it, and nothing more is sent or taken in.

An answer that comes after its caller gave up is dropped. Everything is bounded: open requests by a gate, what is
unasked by `on_news`, which raises when it is too much.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar, cast

import msgspec
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from zap2.address import RelayAddress
from zap2.client.relay.dialing import Patience, drop, open_websocket
from zap2.client.relay.failures import of_closing
from zap2.client.relay.greeting import check_greeting, make_hello
from zap2.client.relay.refusals import of_error_frame
from zap2.errors import ProtocolViolation, Refused, TransportError, Unreachable, WireError, Zap2Error
from zap2.ids import RandomBytes
from zap2.wire.codec import decode_client_message, decode_relay_message, encode_message, pack_messages
from zap2.wire.fields import CloseCode
from zap2.wire.frames import (
    Ack,
    Answer,
    ClientFrame,
    Deliver,
    Draining,
    Error,
    Frame,
    Greeting,
    NumberLost,
    Request,
    StockLow,
)

_log = logging.getLogger(__name__)

News = Deliver | StockLow | Draining | NumberLost
"""What a relay says unasked."""

_MAX_OPEN_REQUESTS: Final = 256
_MAX_RID: Final = 0xFFFF_FFFF

_AnswerT = TypeVar("_AnswerT", bound=Answer)


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a connection is over. `close_code` is the relay's, when it named one."""

    error: Zap2Error
    close_code: int | None = None


@dataclass(frozen=True, slots=True)
class _Open:
    """A request that has no answer yet."""

    expected: type[Frame]
    answer: asyncio.Future[Answer | TransportError]


class RelayConnection:
    """A connection over which the relay has proved its key; made by `open_connection`, ended by `close`.

    Args:
        websocket: open, and past the greeting.
        greeting: what the relay said.
        fingerprint: of the relay's key.
        patience: `answer_s` bounds each request.
        on_news: takes what comes unasked, the frames of one message at a time. It must not block; a
            ProtocolViolation that it raises ends the connection.
    """

    def __init__(
        self,
        websocket: ClientConnection,
        greeting: Greeting,
        fingerprint: str,
        *,
        patience: Patience,
        on_news: Callable[[Sequence[News]], None],
    ) -> None:
        self.greeting = greeting
        self.fingerprint = fingerprint
        self._websocket = websocket
        self._patience = patience
        self._on_news = on_news
        self._requests: dict[int, _Open] = {}
        self._gate = asyncio.Semaphore(_MAX_OPEN_REQUESTS)
        self._last_rid = 0
        self._outbox: list[ClientFrame] = []
        self._last_words: list[Ack] = []
        self._has_outgoing = asyncio.Event()
        self._over_by: TransportError | None = None
        self._ended: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self._closing: asyncio.Task[None] | None = None
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._write())]

    async def request(self, make: Callable[[int], Request], expected: type[_AnswerT]) -> _AnswerT:
        """Ask, and give the answer. Requests go out in the order of the calls.

        Args:
            make: makes the frame for a rid.
            expected: which answer belongs to it.

        Raises:
            Refused: the relay said no; or `bad-request`, and nothing was sent, when the frame breaks a bound.
            Unreachable: the connection is over, broke, or there was no answer in time.
            ProtocolViolation: the relay's answer makes no sense; the connection is over.
        """
        await self._gate.acquire()
        try:
            self._check_open()
            rid = self._free_rid()
            frame = _checked(make, rid)
        except BaseException:
            self._gate.release()
            raise
        answer: asyncio.Future[Answer | TransportError] = asyncio.get_running_loop().create_future()
        self._requests[rid] = _Open(expected, answer)
        self._say(frame)
        try:
            async with asyncio.timeout(self._patience.answer_s):
                outcome = await answer
        except TimeoutError:
            error = Unreachable("The relay did not answer a request in time.")
            self._end(error)
            raise error from None
        if isinstance(outcome, TransportError):
            raise outcome
        # `_take_answer` lets no other kind through.
        return cast("_AnswerT", outcome)

    def acknowledge(self, seqs: Sequence[int]) -> None:
        """Send an Ack (of 1 to 256 seqs). Raises Unreachable or ProtocolViolation when the connection is over."""
        self._check_open()
        self._say(Ack(tuple(seqs)))

    async def wait_ended(self) -> Ending:
        """Wait until the connection is over, and say why."""
        return await asyncio.shield(self._ended)

    @property
    def is_over(self) -> bool:
        """Whether nothing can be asked any more."""
        return self._ended.done()

    async def close(self) -> None:
        """End the connection politely: Acks that are still here go out first. Takes a few seconds at most."""
        self._last_words = [frame for frame in self._outbox if isinstance(frame, Ack)]
        self._end(Unreachable("The connection was closed."))
        if self._closing is not None:
            await self._closing

    # ------------------------------------------------------------------------------------------ internals

    def _check_open(self) -> None:
        if self._over_by is not None:
            raise _again(self._over_by)

    def _free_rid(self) -> int:
        # The gate leaves most of the range free.
        while True:
            self._last_rid = self._last_rid % _MAX_RID + 1
            if self._last_rid not in self._requests:
                return self._last_rid

    def _say(self, frame: ClientFrame) -> None:
        self._outbox.append(frame)
        self._has_outgoing.set()

    async def _write(self) -> None:
        try:
            while True:
                await self._has_outgoing.wait()
                self._has_outgoing.clear()
                frames, self._outbox = self._outbox, []
                for message in pack_messages(frames):
                    await self._websocket.send(message)
        except ConnectionClosed as error:
            self._end_closed(error)
        except Exception as error:
            self._end_by_fault(error)

    async def _read(self) -> None:
        try:
            while not self._ended.done():
                self._take_message(await self._websocket.recv())
        except ConnectionClosed as error:
            self._end_closed(error)
        except ProtocolViolation as error:
            self._end(error)
        except Exception as error:
            self._end_by_fault(error)

    def _take_message(self, message: bytes | str) -> None:
        if isinstance(message, str):
            raise ProtocolViolation("The relay sent text where only binary messages belong.")
        try:
            frames = decode_relay_message(message)
        except WireError:
            raise ProtocolViolation("The relay sent something that is not of this protocol.") from None
        news: list[News] = []
        for frame in frames:
            if isinstance(frame, News):
                news.append(frame)
            elif isinstance(frame, Greeting):
                raise ProtocolViolation("The relay greeted twice.")
            else:
                self._take_answer(frame)
        if news:
            self._on_news(news)

    def _take_answer(self, frame: Answer) -> None:
        request = self._requests.get(frame.rid)
        if request is None:
            raise ProtocolViolation("The relay answered a request that was not made.")
        outcome: Answer | TransportError
        if isinstance(frame, Error):
            outcome = of_error_frame(frame)
        elif isinstance(frame, request.expected):
            outcome = frame
        else:
            # It stays open, and so fails with the connection.
            raise ProtocolViolation("The relay gave an answer to another question than the one it was asked.")
        del self._requests[frame.rid]
        self._gate.release()
        if not request.answer.done():
            request.answer.set_result(outcome)

    def _end_closed(self, error: ConnectionClosed) -> None:
        self._end(of_closing(error), error.rcvd.code if error.rcvd is not None else None)

    def _end_by_fault(self, error: Exception) -> None:
        # The type only: its words could hold what a frame says.
        _log.error("a connection to the relay ended by a fault of ours: %s", type(error).__name__)
        self._end(Unreachable("A fault in Zap2 ended the connection to the relay."))

    def _end(self, error: TransportError, close_code: int | None = None) -> None:
        if self._ended.done():
            return
        self._over_by = error
        self._ended.set_result(Ending(error, close_code))
        requests = list(self._requests.values())
        self._requests.clear()
        self._outbox.clear()
        for request in requests:
            self._gate.release()
            if not request.answer.done():
                request.answer.set_result(_again(error))
        code = CloseCode.PROTOCOL_ERROR if isinstance(error, ProtocolViolation) else CloseCode.NORMAL
        self._closing = asyncio.create_task(self._close_websocket(code))

    async def _close_websocket(self, code: CloseCode) -> None:
        for task in self._tasks:
            task.cancel()
        # A task that is cancelled while it sends leaves the socket in order: the library has it all in its buffer.
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(ConnectionClosed, TimeoutError):
            async with asyncio.timeout(self._patience.close_s):
                for message in pack_messages(self._last_words):
                    await self._websocket.send(message)
        await self._websocket.close(code)


async def open_connection(
    address: RelayAddress,
    *,
    rng: RandomBytes,
    on_news: Callable[[Sequence[News]], None],
    patience: Patience,
    extra_ca: Path | None = None,
) -> RelayConnection:
    """Connect and have the relay prove its key; the caller ends it with `close`.

    Args:
        address: where; with a fingerprint, the relay's key must be that one.
        rng: for the nonce that the relay signs.
        on_news: as `RelayConnection` has it.
        patience: how long the relay may take.
        extra_ca: a PEM file with certificates to trust beside the system's.

    Raises:
        Unreachable, ProtocolViolation: there is no relay, or no good one.
        NotTrusted: it has another key, or cannot prove its own. Nothing was sent but a nonce.
    """
    websocket = await open_websocket(address, patience, extra_ca)
    try:
        hello = make_hello(rng)
        try:
            async with asyncio.timeout(patience.answer_s):
                await websocket.send(encode_message([hello]))
                greeting = _as_greeting(await websocket.recv())
        except TimeoutError:
            raise Unreachable("The relay did not greet in time.") from None
        except ConnectionClosed as error:
            raise of_closing(error) from error
        fingerprint = check_greeting(hello, greeting, address.fingerprint)
    except BaseException:
        await drop(websocket)
        raise
    return RelayConnection(websocket, greeting, fingerprint, patience=patience, on_news=on_news)


def _as_greeting(message: bytes | str) -> Greeting:
    try:
        frames = decode_relay_message(message) if isinstance(message, bytes) else []
    except WireError:
        frames = []
    if len(frames) != 1 or not isinstance(frames[0], Greeting):
        raise ProtocolViolation("What answers there does not greet as a Zap2 relay does.")
    return frames[0]


def _checked(make: Callable[[int], Request], rid: int) -> Request:
    """Make a request that the relay will be able to decode: one that it cannot would cost the connection."""
    try:
        frame = make(rid)
        decode_client_message(encode_message([frame]))
    except (WireError, ValueError, msgspec.MsgspecError):
        raise Refused("bad-request", "This does not fit the relay's protocol; nothing was sent.") from None
    return frame


def _again(error: TransportError) -> TransportError:
    """Give an error of the same kind, for another caller: each one gets its own traceback."""
    return type(error)(str(error), error.hint)
