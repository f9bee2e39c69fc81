"""The relay as one object: `zap2 serve` runs it alone, a chat or a test inside its own process."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import time
from operator import itemgetter
from types import TracebackType
from typing import TYPE_CHECKING, Final

from filelock import FileLock

from zap2.address import RelayAddress
from zap2.errors import UsageError
from zap2.ids import RandomBytes
from zap2.server import datadir
from zap2.server.admin_socket import AdminSocket
from zap2.server.backends import Backends, check, open_backends, reach
from zap2.server.code_delivery import CodeDelivery
from zap2.server.code_ways import delivery_of
from zap2.server.door import TlsDoor
from zap2.server.keys import check_shared, load_keys
from zap2.server.operator import Operator
from zap2.server.options import RelayOptions
from zap2.server.services import Clock, Limiter, Services
from zap2.server.session import Session
from zap2.server.store.commits import StoreFailed
from zap2.server.tasks import end
from zap2.server.tls import Certificate
from zap2.server.transport import WebSocketConnection
from zap2.server.turns import Turns
from zap2.wire.fields import CloseCode
from zap2.wire.frames import Draining

if TYPE_CHECKING:
    from zap2.server.watch import Watch

_log = logging.getLogger("zap2.relay")
# Inside somebody else's process the relay writes nowhere unless that process says where.
_log.addHandler(logging.NullHandler())
_TICK_S: Final = 0.5
_TICKED_AT_ONCE: Final = 100
_BACKLOG: Final = 1_024
_MAX_SPREAD_S: Final = 300.0


def _wall_clock_ms() -> int:
    return time.time_ns() // 1_000_000


def _watch_on(port: int) -> Watch:
    # Loaded here: a relay inside a chat is not watched.
    from zap2.server.watch import Watch

    return Watch(port)


class Relay:
    """A relay. Use it as an async context manager, or call `start` and, in the end, `stop`.

    Args:
        options: what the host chose.
        now_ms: the clock; the system's by default.
        rng: the source of randomness; the system's by default.
        code_delivery: how codes travel; to the log by default.
    """

    def __init__(
        self,
        options: RelayOptions,
        *,
        now_ms: Clock = _wall_clock_ms,
        rng: RandomBytes = os.urandom,
        code_delivery: CodeDelivery | None = None,
    ) -> None:
        self._options = options
        self._now_ms = now_ms
        self._rng = rng
        self._code_delivery = code_delivery or delivery_of(options)
        self._connections: dict[WebSocketConnection, Session | None] = {}
        self._per_source: dict[str, int] = {}
        self._all_gone = asyncio.Event()
        self._all_gone.set()
        self._certificate: Certificate | None = None
        self._lock: FileLock | None = None
        self._backends: Backends | None = None
        self._services: Services
        self._operator: Operator
        self._server: asyncio.Server | None = None
        self._ticker: asyncio.Task[None] | None = None
        self._admin: AdminSocket | None = None
        self._watch: Watch | None = None
        self._leaving: asyncio.Task[None] | None = None
        self.stop_asked = asyncio.Event()
        """Set when it is to be stopped: by `drain`, once all connections are gone. Whoever runs it waits for that."""

    # ------------------------------------------------------------------------------------------ start and stop

    async def start(self) -> None:
        """Open what is kept and listen.

        Raises:
            UsageError: the port is in use, the data folder or the certificate cannot be used.
        """
        options = self._options
        if (options.tls_cert is None) != (options.tls_key is None):
            raise UsageError("--tls-cert and --tls-key belong together; only one of them was given.")
        try:
            if options.tls_cert is not None and options.tls_key is not None:
                self._certificate = Certificate(options.tls_cert, options.tls_key)
            # First of all, so that a port in use leaves no keys behind that nobody was meant to have.
            server = await self._bind()
            if options.metrics_port is not None:
                self._watch = _watch_on(options.metrics_port)
            check(options)
            if options.keys_dir is not None:
                check_shared(options.keys_dir)
            await reach(options)
            if options.data_dir is not None:
                self._lock = datadir.claim(options.data_dir)
            await self._open()
            await server.start_serving()
            if self._watch is not None:
                await self._watch.start(self._services)
        except BaseException:
            await self.stop()
            raise
        if options.data_dir is not None:
            self._admin = AdminSocket(options.data_dir, self._operator, self.drain)
            await self._admin.start()
        self._ticker = asyncio.get_running_loop().create_task(self._tick())
        _log.info("listening on %s, port %d", options.host, self.port)

    async def stop(self) -> None:
        """Tell the clients, commit everything, close. Does nothing when the relay is stopped already."""
        if self._server is not None:
            self._server.close()
        await end(self._ticker)
        await end(self._leaving)
        self._ticker = self._leaving = None
        if self._admin is not None:
            await self._admin.stop()
            self._admin = None
        if hasattr(self, "_services"):
            self._services.is_leaving = self._services.is_draining = True
            for session in self._connections.values():
                if session is not None:
                    session.tell(Draining(self._return_after_s()))
            await self._services.finish()
            # Answers to what was still being committed go out before the connections close.
            await self._services.store.close()
        await self._close_connections()
        if self._backends is not None:
            await self._backends.close()
            self._backends = None
        if self._watch is not None:
            await self._watch.stop()
            self._watch = None
        self._server = None
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def drain(self, over_s: float) -> None:
        """Take no new connections and close the present ones one after another; then `stop_asked` is set.

        Args:
            over_s: how long to take; each client is sent away at its own moment in it.
        """
        if self._leaving is None:
            self._services.is_leaving = True
            self._leaving = asyncio.get_running_loop().create_task(self._leave(over_s))

    async def __aenter__(self) -> Relay:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    # --------------------------------------------------------------------------------------------- what it is

    @property
    def port(self) -> int:
        """The port that it listens on; also right when the options said 0."""
        if self._server is None or not self._server.sockets:
            return self._options.port
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def fingerprint(self) -> str:
        """The fingerprint of its key, as it stands in its address. Known once it has started."""
        return self._services.keys.fingerprint

    @property
    def address(self) -> RelayAddress:
        """Its address as seen from its own host: what an embedding process hands out on the loopback.

        Raises:
            InvalidAddress: it listens beyond the loopback without TLS, so only its proxy has an address.
        """
        host = "localhost" if self._options.listens_everywhere else self._options.host
        return RelayAddress(host, self.port, self._options.has_tls, self.fingerprint)

    @property
    def operator(self) -> Operator:
        """What a host can ask of it. Known once it has started."""
        return self._operator

    @property
    def metrics_port(self) -> int:
        """The port of /healthz, /readyz and /metrics; 0 where there is none."""
        return self._watch.port if self._watch is not None else 0

    @property
    def connection_count(self) -> int:
        """How many connections there are now, logged in or not."""
        return len(self._connections)

    @property
    def online_count(self) -> int:
        """How many devices are logged in now."""
        return len(self._services.hub)

    # ---------------------------------------------------------------------------------------------- internals

    async def _open(self) -> None:
        options = self._options
        keys = load_keys(options.data_dir, self._rng, options.keys_dir)
        limiter = Limiter(options.limits)
        backends = self._backends = await open_backends(options, keys, limiter, self._now_ms, self._rng)
        self._services = Services(
            options,
            backends.store,
            backends.store,
            backends.tokens,
            keys,
            self._code_delivery,
            backends.hub,
            limiter,
            self._now_ms,
            self._rng,
            backends.redis_is_up,
        )
        self._operator = Operator(self._services)
        self._turns.give_way_to(backends.writer)

    async def _bind(self) -> asyncio.Server:
        """Take the port; connections come once the server starts serving."""
        self._turns = Turns()
        options = self._options
        try:
            self._server = server = await asyncio.get_running_loop().create_server(
                self._make_connection,
                options.host,
                options.port,
                backlog=_BACKLOG,
                start_serving=False,
            )
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise UsageError(
                    f"Port {options.port} on {options.host} is in use.",
                    "Stop what uses it, or choose another one with --port.",
                ) from error
            raise UsageError(
                f"The relay cannot listen on {options.host}, port {options.port}: {error.strerror or error}."
            ) from error
        return server

    def _make_connection(self) -> asyncio.Protocol:
        options = self._options
        connection = WebSocketConnection(
            self._admit,
            self._open_session,
            self._gone,
            options.patience,
            options.trust_forwarded,
            self._turns,
        )
        if self._certificate is None:
            return connection
        return TlsDoor(connection, self._certificate.context, options.patience.handshake_s)

    def _admit(self, connection: WebSocketConnection) -> bool:
        """Count a connection, and its source when that is known; or give False, and count neither."""
        limits, services = self._options.limits, self._services
        is_new, source = connection not in self._connections, connection.source
        here = self._per_source.get(source, 0)
        if (
            services.is_leaving
            or (is_new and len(self._connections) >= limits.connections)
            or here >= limits.connections_per_source
            or (source and services.limiter.handshakes_per_source.take(source, self._now_ms()))
        ):
            services.counts.turned_away += 1
            connection.source = ""
            return False
        if source:
            services.counts.handshakes += 1
            self._per_source[source] = here + 1
        if is_new:
            self._connections[connection] = None
            services.counts.connections = len(self._connections)
            self._all_gone.clear()
        return True

    def _open_session(self, connection: WebSocketConnection) -> Session:
        session = self._connections[connection] = Session(self._services, connection)
        return session

    def _gone(self, connection: WebSocketConnection) -> None:
        if connection not in self._connections:
            return  # It was never admitted.
        del self._connections[connection]
        self._services.counts.connections = len(self._connections)
        if not self._connections:
            self._all_gone.set()
        if connection.source:
            left = self._per_source[connection.source] - 1
            if left:
                self._per_source[connection.source] = left
            else:
                del self._per_source[connection.source]

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due_at = loop.time() + _TICK_S
            await asyncio.sleep(_TICK_S)
            now = loop.time()
            self._services.counts.loop_lag_s = max(0.0, now - due_at)
            for number, connection in enumerate(list(self._connections)):
                if number % _TICKED_AT_ONCE == 0:
                    await asyncio.sleep(0)  # Thousands of them would keep everybody waiting.
                if connection in self._connections:
                    connection.tick(now)
                    if session := self._connections[connection]:
                        session.tick()
            if self._certificate is not None:
                self._certificate.reload_if_changed()
            asked_at = loop.time()
            with contextlib.suppress(StoreFailed):  # The store has logged it.
                await self._services.store.sweep(self._now_ms())
            self._services.counts.store_s = loop.time() - asked_at

    def _return_after_s(self) -> float:
        """Choose when one client is to come back: together they come at `returns_per_s`."""
        options = self._options
        spread_s = min(_MAX_SPREAD_S, len(self._connections) / options.returns_per_s)
        return round(options.reconnect_after_s + spread_s * self._share(), 3)

    def _share(self) -> float:
        return int.from_bytes(self._rng(4), "big") / 2**32

    async def _leave(self, over_s: float) -> None:
        loop = asyncio.get_running_loop()
        start = loop.time()
        plan = sorted(((self._share(), connection) for connection in self._connections), key=itemgetter(0))
        try:
            for share, connection in plan:
                await asyncio.sleep(max(0.0, start + share * over_s - loop.time()))
                session = self._connections.get(connection)
                if session is not None:
                    session.tell(Draining(self._options.reconnect_after_s))
                connection.close(CloseCode.GOING_AWAY, "the relay is stopping")
        finally:
            self.stop_asked.set()

    async def _close_connections(self) -> None:
        for connection in list(self._connections):
            connection.close(CloseCode.GOING_AWAY, "the relay is stopping")
        if not await self._are_soon_gone():
            for connection in list(self._connections):
                connection.abort()
            if not await self._are_soon_gone():
                _log.error("%d connections did not close", len(self._connections))

    async def _are_soon_gone(self) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._options.patience.close_s):
                await self._all_gone.wait()
        return self._all_gone.is_set()
