"""The first moments of a connection to a relay that speaks TLS itself.

An asyncio server with TLS tells of a connection when the TLS handshake is over, so peers that never finish it would be
neither counted nor cut. Here a connection is made, counted and timed when its socket is accepted, and then goes over
to TLS. A peer may have said something before that (uvloop reads as soon as a connection is made), which is handed on.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Any, cast

from zap2.server.transport import WebSocketConnection


class TlsDoor(asyncio.Protocol):
    """Leads one connection from its socket to TLS.

    Args:
        connection: whom it leads; it hears of its transport at once, and of data after the handshake.
        context: the relay's certificate.
        handshake_s: how long the TLS handshake may take.
    """

    def __init__(self, connection: WebSocketConnection, context: ssl.SSLContext, handshake_s: float) -> None:
        self._connection = connection
        self._context = context
        self._handshake_s = handshake_s
        self._early: list[bytes] = []
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        plain = cast("asyncio.Transport", transport)
        self._connection.connection_made(plain)
        if not plain.is_closing():
            plain.pause_reading()
            self._task = asyncio.get_running_loop().create_task(self._shake_hands(plain))

    def data_received(self, data: bytes) -> None:
        # Before TLS has taken over: the peer's first bytes. After it, until the connection has its new transport: what
        # came in one packet with the end of the handshake.
        self._early.append(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connection.connection_lost(exc)

    async def _shake_hands(self, plain: asyncio.Transport) -> None:
        loop, connection = asyncio.get_running_loop(), self._connection
        handshake = loop.create_task(
            loop.start_tls(
                plain, self, self._context, server_side=True, ssl_handshake_timeout=self._handshake_s
            )
        )
        await asyncio.sleep(0)
        # Now TLS has the socket; it is told so in the next turn, and then of what came before.
        loop.call_soon(self._hand_over, plain)
        try:
            secure = await handshake
        except OSError:  # TLS errors and time-outs are ones
            secure = None
        if secure is None or secure.is_closing():
            plain.abort()
            connection.connection_lost(None)
            return
        connection.go_over_to(secure)
        secure.set_protocol(connection)
        for data in self._early:
            connection.data_received(data)

    def _hand_over(self, plain: asyncio.Transport) -> None:
        early, self._early = b"".join(self._early), []
        if plain.get_protocol() is self:
            return  # TLS did not begin: the socket was closed meanwhile.
        # A `BufferedProtocol`, in asyncio and in uvloop; that of uvloop does not say so.
        protocol: Any = plain.get_protocol()
        while early:
            buffer = protocol.get_buffer(len(early))
            size_b = min(len(buffer), len(early))
            buffer[:size_b] = early[:size_b]
            protocol.buffer_updated(size_b)
            early = early[size_b:]
