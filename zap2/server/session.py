"""The machine behind one connection: which frames it may say when, and what each of them starts.

    AWAITING_HELLO ──ClientHello──▶ GREETED ──Authenticate | Resume──▶ AUTHENTICATED
          │                           │                                     │
          └───────────────────────────┴──── close, from either side ────────┴──▶ CLOSING

The greeting proves the relay's key before the client says anything of itself. Requests of one connection are
worked on side by side and may be answered in another order. What a state does not allow is refused with
`unauthenticated` where logging in helps, and closes the connection where it cannot be a mistake of order. A token
that expires or is revoked ends the connection; the client comes back and logs in with its key.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Protocol

from zap2.errors import Refused, WireError
from zap2.ids import Uid
from zap2.server.handlers import directory, login, mail, pins, sealed, signup
from zap2.server.mailbox import Delivery
from zap2.server.services import Peer, Services, login_of
from zap2.server.store.commits import StoreFailed
from zap2.server.store.port import Envelope
from zap2.wire import frames as f
from zap2.wire.codec import decode_client_message
from zap2.wire.fields import CloseCode, ErrorCode
from zap2.wire.statements import greeting_statement

_log = logging.getLogger("zap2.relay")
_CHALLENGE_SIZE_B: Final = 32
_DEPOSIT_S: Final = 0.000_01
"""What the store's writer takes for an envelope."""
_REQUEST_S: Final = 0.000_2
"""What a task and the store take for any other request."""


class State(Enum):
    """How far a connection is."""

    AWAITING_HELLO = "awaiting hello"
    GREETED = "greeted"
    AUTHENTICATED = "authenticated"
    CLOSING = "closing"


class Connection(Protocol):
    """The transport, as the session sees it."""

    source: str

    @property
    def is_writable(self) -> bool:
        """Whether the peer reads what it is sent."""

    def send(self, frame: f.Frame) -> None:
        """Send a frame soon."""

    def close(self, code: CloseCode, reason: str = "") -> None:
        """Send what was said, then close."""


_Handler = Callable[[Services, Peer, Any], Awaitable[f.Answer]]


@dataclass(frozen=True, slots=True)
class _Rule:
    """In which state a request is allowed, and who handles it."""

    state: State
    handle: _Handler


# Send, SendSealed and Ack, which come with every message, are handled without a task and stand in `Session`.
_RULES: Final[Mapping[type[f.Frame], _Rule]] = {
    f.StartVerification: _Rule(State.GREETED, signup.start_verification),
    f.CheckCode: _Rule(State.GREETED, signup.check_code),
    f.Register: _Rule(State.GREETED, signup.register),
    f.Authenticate: _Rule(State.GREETED, login.authenticate),
    f.Resume: _Rule(State.GREETED, login.resume),
    f.RenewToken: _Rule(State.AUTHENTICATED, login.renew_token),
    f.RevokeTokens: _Rule(State.AUTHENTICATED, login.revoke_tokens),
    f.Publish: _Rule(State.AUTHENTICATED, directory.publish),
    f.Fetch: _Rule(State.AUTHENTICATED, directory.fetch),
    f.Lookup: _Rule(State.AUTHENTICATED, directory.lookup),
    f.SetPin: _Rule(State.AUTHENTICATED, pins.set_pin),
    f.SetListed: _Rule(State.AUTHENTICATED, pins.set_listed),
    f.SetDeliveryToken: _Rule(State.AUTHENTICATED, sealed.set_delivery_token),
}


class Session:
    """One client, from its hello to its end.

    Args:
        services: what all sessions share.
        connection: where frames go.
    """

    __slots__ = (
        "_connection",
        "_delivery",
        "_open_rids",
        "_opened_at_ms",
        "_peer",
        "_refusals",
        "_services",
        "_state",
    )

    def __init__(self, services: Services, connection: Connection) -> None:
        self._services = services
        self._connection = connection
        self._peer = Peer(connection.source)
        self._state = State.AWAITING_HELLO
        self._opened_at_ms = services.now_ms()
        self._open_rids: set[int] = set()
        self._refusals = 0
        self._delivery: Delivery | None = None

    # --------------------------------------------------------------------------------- from the connection

    def message_received(self, message: bytes) -> Iterator[float]:
        try:
            frames = decode_client_message(message)
        except WireError as error:
            self.cut(CloseCode.MALFORMED, str(error))
            return
        for frame in frames:
            if self._state is State.CLOSING:
                return
            if isinstance(frame, f.Send):
                self._take_send(frame, self._services.now_ms())
                yield _DEPOSIT_S
            elif isinstance(frame, f.SendSealed):
                self._take_sealed(frame, self._services.now_ms())
                yield _DEPOSIT_S
            elif isinstance(frame, f.Ack):
                self._take_ack(frame)
                yield 0.0
            else:
                self._take(frame)
                yield _REQUEST_S

    def writable(self) -> None:
        if self._delivery is not None:
            self._delivery.pump()

    def closed(self) -> None:
        self._state = State.CLOSING
        if self._delivery is not None and self._peer.login is not None:
            self._delivery.end()
            self._services.hub.detach(self._peer.login.mailbox, self)

    # --------------------------------------------------------------------------------- from hub and relay

    @property
    def uid(self) -> Uid:
        """Whose connection this is; empty before log-in."""
        return self._peer.login.uid if self._peer.login else Uid(b"")

    @property
    def address(self) -> tuple[Uid, int]:
        """Whose connection this is, and which of their devices; device 0 before log-in."""
        return self.uid, self._peer.login.device if self._peer.login else 0

    def arrived(self, envelope: Envelope) -> None:
        if self._delivery is not None:
            self._delivery.arrived(envelope)

    def woken(self) -> None:
        if self._delivery is not None:
            self._delivery.woken()

    def tell(self, frame: f.Frame) -> None:
        self._connection.send(frame)

    def cut(self, code: CloseCode, reason: str) -> None:
        if self._delivery is not None:
            self._delivery.end()
        self._state = State.CLOSING
        self._connection.close(code, reason)

    def tick(self) -> None:
        """Cut a connection that does not log in, or whose token is no longer good."""
        if self._state is State.AUTHENTICATED:
            login = self._peer.login
            # One that is being revoked has an answer to come before the end.
            if login is not None and login.expires_at_ms <= self._services.now_ms():
                self.cut(CloseCode.TOKEN_EXPIRED, "the token expired")
        elif self._state is not State.CLOSING:
            patience = self._services.options.patience
            allowed_s = patience.hello_s if self._state is State.AWAITING_HELLO else patience.login_s
            if self._services.now_ms() - self._opened_at_ms > allowed_s * 1000:
                self.cut(CloseCode.SILENT, "no hello or log-in in time")

    # ------------------------------------------------------------------------------------------ the machine

    def _take_send(self, frame: f.Send, now_ms: int) -> None:
        rid, login = frame.rid, self._peer.login
        services, open_rids = self._services, self._open_rids
        # What `_opens` looks at, in short, because this comes with every message.
        if (
            self._state is State.AUTHENTICATED
            and login is not None
            and not login.is_over(now_ms)
            and not services.is_draining
            and rid not in open_rids
            and len(open_rids) < services.options.limits.open_requests
        ):
            open_rids.add(rid)
        elif not self._opens(rid, State.AUTHENTICATED):
            return
        try:
            mail.send(services, login_of(self._peer), frame, now_ms, self._answer)
        except Refused as refusal:
            self._refuse(rid, refusal)

    def _take_sealed(self, frame: f.SendSealed, now_ms: int) -> None:
        if self._opens(frame.rid, State.GREETED):
            try:
                sealed.send_sealed(self._services, self._peer.source, frame, now_ms, self._answer)
            except Refused as refusal:
                self._refuse(frame.rid, refusal)

    def _take_ack(self, frame: f.Ack) -> None:
        if self._delivery is not None:
            self._delivery.acknowledged(frame.seqs)
        else:
            self.cut(CloseCode.OUT_OF_TURN, "an Ack before log-in")

    def _take(self, frame: f.ClientHello | f.Request) -> None:
        if isinstance(frame, f.ClientHello):
            self._greet(frame)
        else:
            rule = _RULES[type(frame)]
            if self._opens(frame.rid, rule.state):
                self._services.start(self._handle(rule.handle, frame))

    def _greet(self, hello: f.ClientHello) -> None:
        if self._state is not State.AWAITING_HELLO:
            self.cut(CloseCode.OUT_OF_TURN, "a second ClientHello")
            return
        services = self._services
        challenge = self._peer.challenge = services.rng(_CHALLENGE_SIZE_B)
        relay_key = services.keys.relay_key
        signature = services.keys.sign(greeting_statement(hello.nonce, challenge, relay_key))
        options = services.options
        self._connection.send(
            f.Greeting(relay_key, challenge, options.registration, options.verify, signature)
        )
        self._state = State.GREETED

    def _opens(self, rid: int, state: State) -> bool:
        """Whether a request may go on; otherwise it was answered, or the connection closed."""
        if self._state is State.AWAITING_HELLO:
            self.cut(CloseCode.OUT_OF_TURN, "a request before ClientHello")
        elif rid in self._open_rids:
            self.cut(CloseCode.OUT_OF_TURN, "a rid that is in use")
        elif self._services.is_draining:
            wait_s = self._services.options.reconnect_after_s
            self._connection.send(f.Error(rid, ErrorCode.DRAINING, "The relay is stopping.", wait_s))
        elif self._state is not state:
            if state is State.AUTHENTICATED:
                refusal = f.Error(rid, ErrorCode.UNAUTHENTICATED, "Log in first.", None)
            else:
                refusal = f.Error(rid, ErrorCode.BAD_REQUEST, "This connection has logged in already.", None)
            self._connection.send(refusal)
        elif state is State.AUTHENTICATED and self._is_over():
            self._connection.send(f.Error(rid, ErrorCode.TOKEN_EXPIRED, "The token has expired.", None))
            self.tick()
        elif len(self._open_rids) >= self._services.options.limits.open_requests:
            self._refuse(
                rid, Refused(ErrorCode.RATE_LIMITED, "Too many open requests on this connection.", 1)
            )
        else:
            self._open_rids.add(rid)
            return True
        return False

    def _is_over(self) -> bool:
        login = self._peer.login
        return login is None or login.is_over(self._services.now_ms())

    async def _handle(self, handle: _Handler, frame: f.Request) -> None:
        try:
            answer = await handle(self._services, self._peer, frame)
        except Refused as refusal:
            self._refuse(frame.rid, refusal)
        except Exception as error:
            # A fault of the relay in one request is that request's alone.
            if not isinstance(error, StoreFailed):
                _log.exception("a request failed inside the relay")
            self._refuse(frame.rid, Refused(ErrorCode.INTERNAL, "The relay could not do this.", 5))
        else:
            self._answer(answer)
            if isinstance(answer, f.LoggedIn):
                self._log_in()
        if isinstance(frame, f.RevokeTokens):
            self.cut(CloseCode.TOKEN_EXPIRED, "the tokens were revoked")

    def _log_in(self) -> None:
        login = self._peer.login
        # Two log-ins may have been under way, or the connection gone meanwhile.
        if self._state is not State.GREETED or login is None:
            return
        self._state = State.AUTHENTICATED
        services = self._services
        services.counts.logins += 1
        self._delivery = Delivery(
            self._connection,
            services.store,
            login.mailbox,
            services.options.limits.window,
            services.now_ms,
            services.options.shares_store,
        )
        services.hub.attach(login.mailbox, self)
        self._delivery.pump()

    def _answer(self, answer: f.Answer) -> None:
        self._open_rids.discard(answer.rid)
        self._refusals = 0
        if isinstance(answer, f.Error):
            self._services.counts.refusals[answer.code] += 1
        self._connection.send(answer)

    def _refuse(self, rid: int, refusal: Refused) -> None:
        self._open_rids.discard(rid)
        self._services.counts.refusals[refusal.code] += 1
        self._connection.send(f.Error(rid, refusal.code, str(refusal), refusal.retry_after_s))
        self._refusals += 1
        if self._refusals > self._services.options.limits.refusals_before_cut:
            self.cut(CloseCode.FLOOD, "too many refused requests")
