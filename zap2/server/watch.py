"""What a host's monitoring asks: `/healthz`, `/readyz` and `/metrics` over HTTP on a loopback port of their own.

`/healthz` is 200 while the event loop turns; `/readyz` is 200 while the relay takes connections and its store answers,
503 otherwise, so that a load balancer leaves it in peace; `/metrics` is Prometheus' text format. A Redis that is
gone degrades a relay and loses no mail, and would do so to all relays at once: it is told, and nothing becomes unready.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Iterable
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from zap2.errors import UsageError
from zap2.server.services import Services
from zap2.server.store.commits import StoreFailed

_LOOPBACK: Final = "127.0.0.1"
_PATIENCE_S: Final = 5.0
_STORE_PATIENCE_S: Final = 2.0
_MAX_HEAD_B: Final = 8 * 1024
_WORDS: Final = {200: "OK", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}
_DEGRADED: Final = b"ok, degraded: Redis does not answer\n"
_PLAIN: Final = "text/plain; charset=utf-8"


class _Figures(Collector):
    """Reads the relay's figures when they are asked for; counting costs the mail nothing else."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def collect(self) -> Iterable[Metric]:
        services = self._services
        counts = services.counts
        yield GaugeMetricFamily("zap2_connections", "Connections now.", value=counts.connections)
        yield GaugeMetricFamily("zap2_online", "Devices that are logged in now.", value=len(services.hub))
        yield GaugeMetricFamily("zap2_leaving", "1 while the relay stops.", value=int(services.is_leaving))
        yield GaugeMetricFamily(
            "zap2_uncommitted_bytes", "Payload that waits for its commit.", value=services.hub.uncommitted_b
        )
        yield GaugeMetricFamily(
            "zap2_store_seconds", "Time of the store's last round, commit included.", value=counts.store_s
        )
        yield GaugeMetricFamily(
            "zap2_loop_lag_seconds", "Lateness of the event loop's last tick.", value=counts.loop_lag_s
        )
        yield CounterMetricFamily("zap2_envelopes", "Envelopes stored.", value=services.hub.accepted)
        yield CounterMetricFamily("zap2_handshakes", "Connections admitted.", value=counts.handshakes)
        yield CounterMetricFamily("zap2_turned_away", "Connections not admitted.", value=counts.turned_away)
        yield CounterMetricFamily("zap2_logins", "Log-ins.", value=counts.logins)
        if services.redis_is_up is not None:
            is_up = int(services.redis_is_up())
            yield GaugeMetricFamily("zap2_redis_up", "1 while Redis answers.", value=is_up)
        yield CounterMetricFamily("zap2_sealed", "Sealed envelopes taken.", value=counts.sealed)
        refusals = CounterMetricFamily("zap2_refusals", "Refused requests.", labels=["code"])
        for code, count in counts.refusals.items():
            refusals.add_metric([code], count)
        yield refusals


class Watch:
    """The HTTP server for monitoring. It has its port from the beginning and answers once it is started.

    Args:
        port: of the loopback; 0 takes a free one.

    Raises:
        UsageError: the port is in use.
    """

    def __init__(self, port: int) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._services: Services
        self._server: asyncio.Server | None = None
        try:
            self._listening = socket.create_server((_LOOPBACK, port))
        except OSError as error:
            reason = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be used: {error.strerror}"
            raise UsageError(
                f"The port {port} for monitoring {reason}.", "Choose another one with --metrics-port."
            ) from error
        self.port: int = self._listening.getsockname()[1]
        """The port that it listens on."""

    async def start(self, services: Services) -> None:
        """Answer from what the relay's handlers share."""
        self._services = services
        self._registry.register(_Figures(services))
        self._server = await asyncio.start_server(self._serve, sock=self._listening, limit=_MAX_HEAD_B)

    async def stop(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self._listening.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                head = await reader.readuntil(b"\r\n\r\n")
                method, path, *_ = [*head.split(b"\r\n", 1)[0].decode("latin-1").split(" "), "", ""]
                status, kind, body = await self._answer(method, path.partition("?")[0])
                writer.write(
                    f"HTTP/1.1 {status} {_WORDS[status]}\r\nContent-Type: {kind}\r\n"
                    f"Content-Length: {len(body)}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n".encode()
                    + (body if method == "GET" else b"")
                )
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # It went away, or is no HTTP.
        finally:
            writer.close()

    async def _answer(self, method: str, path: str) -> tuple[int, str, bytes]:
        if method not in ("GET", "HEAD"):
            return 405, _PLAIN, b"only GET\n"
        if path == "/healthz":
            return 200, _PLAIN, b"ok\n"
        if path == "/readyz":
            problem = await self._problem()
            if problem:
                return 503, _PLAIN, f"{problem}\n".encode()
            is_degraded = self._services.redis_is_up is not None and not self._services.redis_is_up()
            return 200, _PLAIN, _DEGRADED if is_degraded else b"ok\n"
        if path == "/metrics":
            return 200, CONTENT_TYPE_LATEST, generate_latest(self._registry)
        return 404, _PLAIN, b"/healthz, /readyz or /metrics\n"

    async def _problem(self) -> str:
        if self._services.is_leaving:
            return "the relay is stopping"
        with contextlib.suppress(StoreFailed, TimeoutError, OSError):
            async with asyncio.timeout(_STORE_PATIENCE_S):
                # A number that nobody has: what counts is that the store answers.
                await self._services.store.find_number(b"")
            return ""
        return "the store does not answer"
