"""Floods of connections that never become one: they are counted from the first byte on, cut, and cost no memory."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import ssl
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest
import uvloop
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from tests.kit.certificates import Authority
from tests.relay_client import FrameClient, connected
from tests.relay_host import RelayHost, relay_host
from zap2.server.limits import Limits, Rate
from zap2.server.transport import Patience, WebSocketConnection
from zap2.wire.fields import SUBPROTOCOL

_QUICK = Patience(handshake_s=0.2)
_MANY = Limits(handshakes_per_source=Rate(100_000, 100_000))
_PER_WAVE = 200
_WAVES = 10
_HALF_A_REQUEST = b"GET / HTTP/1.1\r\nHost: relay\r\nUpgrade: webso"
# A TLS record that announces more than comes: the handshake waits for the rest.
_HALF_A_CLIENT_HELLO = bytes.fromhex("160301020001000bfc0303") + bytes(40)


@dataclass(eq=False)
class _Attempt:
    """What the relay's bookkeeping knows of a connection."""

    source: str


async def test_a_million_attempts_leave_nothing_behind() -> None:
    """From a million networks, each new: what is remembered of them has a bound, and the bound is reached early."""
    async with relay_host() as host:
        relay = host.relay

        def attempt(numbers: range) -> None:
            for number in numbers:
                source = f"2001:db8:{number >> 16:x}:{number & 0xFFFF:x}::/64"
                connection = cast("WebSocketConnection", _Attempt(source))
                assert relay._admit(connection)
                relay._gone(connection)

        attempt(range(100_000))
        before = sys.getallocatedblocks()
        attempt(range(100_000, 1_000_000))
        assert sys.getallocatedblocks() - before < 5_000
        assert len(relay._services.limiter.handshakes_per_source) == relay._options.limits.buckets
        assert (relay.connection_count, relay._per_source) == (0, {})


async def _wave(host: RelayHost, first_bytes: bytes, is_abandoned: bool) -> None:
    """Open connections that go no further; drop them, or wait until the relay has cut them all."""
    opened = await asyncio.gather(
        *(asyncio.open_connection("127.0.0.1", host.port) for _ in range(_PER_WAVE))
    )
    for _, writer in opened:
        writer.write(first_bytes)
    if is_abandoned:
        for _, writer in opened:
            writer.transport.abort()
    else:
        async with asyncio.timeout(20):
            for reader, _ in opened:
                with contextlib.suppress(ConnectionError):
                    while await reader.read(1024):
                        pass
        for _, writer in opened:
            writer.close()
    await _until(lambda: host.relay.connection_count == 0)


async def _until(condition: Callable[[], bool]) -> None:
    for _ in range(2_000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise TimeoutError("it never came true")


async def _flood(folder: Path, first_bytes: bytes, has_tls: bool, trust_forwarded: bool) -> None:
    Authority(folder).serve_as("localhost")
    file = folder / "localhost.pem" if has_tls else None
    async with relay_host(
        patience=_QUICK, limits=_MANY, trust_forwarded=trust_forwarded, tls_cert=file, tls_key=file
    ) as host:
        peaks_kib = []
        for number in range(_WAVES):
            await _wave(host, first_bytes, is_abandoned=number % 2 == 0)
            peaks_kib.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
        # A connection that stayed would leave 9 KiB or more, one in a TLS handshake 300 KiB or more.
        grown_kib = peaks_kib[-1] - peaks_kib[3]
        assert grown_kib < _PER_WAVE * (_WAVES - 4) * (100 if has_tls else 4), peaks_kib
        assert host.relay._per_source == {}


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
@pytest.mark.parametrize(
    ("first_bytes", "has_tls", "trust_forwarded"),
    [
        (b"", False, False),
        (_HALF_A_REQUEST, False, False),
        (_HALF_A_REQUEST, False, True),
        (_HALF_A_CLIENT_HELLO, True, False),
    ],
    ids=["silent", "half a request", "half a request by a proxy", "half a TLS handshake"],
)
def test_half_open_connections_are_cut_and_memory_stays_flat(
    tmp_path: Path,
    loop: Callable[[], asyncio.AbstractEventLoop],
    first_bytes: bytes,
    has_tls: bool,
    trust_forwarded: bool,
) -> None:
    """Two thousand each time: half of them go by themselves, half are cut by the relay."""
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(_flood(tmp_path, first_bytes, has_tls, trust_forwarded))


async def test_half_a_tls_handshake_counts_for_its_source(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    authority.serve_as("localhost")
    file = tmp_path / "localhost.pem"
    limits = Limits(connections_per_source=3)
    async with relay_host(limits=limits, tls_cert=file, tls_key=file) as host:
        opened = [await asyncio.open_connection("127.0.0.1", host.port) for _ in range(3)]
        await _until(lambda: host.relay.connection_count == 3)
        reader, refused = await asyncio.open_connection("127.0.0.1", host.port)
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(), 10) == b""
        refused.close()
        for _, writer in opened:
            writer.close()
        await _until(lambda: host.relay.connection_count == 0)
        trusting = ssl.create_default_context(cafile=str(authority.file))
        uri = f"wss://localhost:{host.port}"
        async with connect(uri, subprotocols=[Subprotocol(SUBPROTOCOL)], ssl=trusting) as socket:
            client = FrameClient(socket)
            await client.greet()
            await client.close()


async def test_a_network_counts_as_one_source_also_behind_a_proxy() -> None:
    limits = Limits(connections_per_source=1)
    async with relay_host(limits=limits, trust_forwarded=True) as host, connected(host.port):
        uri, spoken = f"ws://127.0.0.1:{host.port}", [Subprotocol(SUBPROTOCOL)]
        first = {"X-Forwarded-For": "2001:db8::1"}
        async with connect(uri, subprotocols=spoken, additional_headers=first):
            for same in ("2001:db8::2", "made-up, 2001:db8:0:0:ffff::1"):
                with pytest.raises(InvalidStatus):
                    await connect(uri, subprotocols=spoken, additional_headers={"X-Forwarded-For": same})
            another = {"X-Forwarded-For": "2001:db8:0:1::1"}
            async with connect(uri, subprotocols=spoken, additional_headers=another):
                pass
        await _until(lambda: host.relay.connection_count == 1)
        assert set(host.relay._per_source) == {"127.0.0.1"}
