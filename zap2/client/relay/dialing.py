"""Opening a WebSocket to a relay, and nothing more: TLS, subprotocol, bounds and patience.

Proxies named in the environment are not used. A variable that was set for browsing must neither send a
messenger's traffic through somebody else nor break it; a proxy would have to be asked for by its own option.
Redirects are not followed either: the address says where the relay is.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException
from websockets.typing import Subprotocol

from zap2.address import RelayAddress
from zap2.client.relay.failures import of_dialing
from zap2.errors import ProtocolViolation, UsageError
from zap2.wire.fields import MAX_MESSAGE_SIZE_B, SUBPROTOCOL

_HAPPY_EYEBALLS_DELAY_S: Final = 0.25
"""RFC 8305, section 8: how long the first address has before the next one is tried beside it."""

# At its debug level the library writes frames out in hexadecimal: tokens and codes among them.
_library_log: Final = logging.getLogger("zap2.client.relay.websockets")
_library_log.setLevel(logging.CRITICAL)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a relay may take, in seconds."""

    connect_s: float = 15.0
    """From the look-up of its name to the end of the WebSocket handshake."""
    answer_s: float = 30.0
    """For its greeting, and for the answer to any request."""
    ping_every_s: float = 20.0
    pong_s: float = 20.0
    """For the answer to a ping; after it the connection counts as dead."""
    close_s: float = 2.0


class _Connect(connect):
    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


async def open_websocket(
    address: RelayAddress, patience: Patience, extra_ca: Path | None = None
) -> ClientConnection:
    """Connect to a relay's address; the caller closes the connection.

    Args:
        address: where to.
        patience: `connect_s` bounds all of it.
        extra_ca: a PEM file with certificates to trust beside the system's; for encrypted addresses only.

    Raises:
        Unreachable: nobody answers there, or the certificate is not good.
        ProtocolViolation: somebody answers who is no Zap2 relay.
        UsageError: `extra_ca` cannot be read.
    """
    options: dict[str, Any] = {}
    if address.is_encrypted:
        options["ssl"] = await asyncio.to_thread(_tls_context, extra_ca)
    if _has_several_addresses(address.host) and isinstance(asyncio.get_running_loop(), asyncio.BaseEventLoop):
        # Other event loops do not know this argument, and a single address has nothing to race against: a try that
        # is cancelled in asyncio's race can leave its socket open.
        options["happy_eyeballs_delay"] = _HAPPY_EYEBALLS_DELAY_S
    try:
        websocket = await _Connect(
            address.url,
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            compression=None,
            user_agent_header=None,
            proxy=None,
            open_timeout=patience.connect_s,
            ping_interval=patience.ping_every_s,
            ping_timeout=patience.pong_s,
            close_timeout=patience.close_s,
            max_size=MAX_MESSAGE_SIZE_B,
            logger=_library_log,
            **options,
        )
    except (OSError, WebSocketException) as error:
        raise of_dialing(error, address) from error
    if websocket.subprotocol != SUBPROTOCOL:
        await drop(websocket)
        raise ProtocolViolation(
            f"What answers at {address.host} does not speak this version of Zap2's protocol.",
            "Check the address; perhaps Zap2 has to be upgraded, here or there.",
        )
    return websocket


async def drop(websocket: ClientConnection) -> None:
    """End a connection without a word."""
    websocket.transport.abort()
    await websocket.wait_closed()


def _has_several_addresses(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return True
    return False


def _tls_context(extra_ca: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if extra_ca is not None:
        try:
            context.load_verify_locations(cafile=extra_ca)
        except (OSError, ssl.SSLError) as error:
            raise UsageError(f"The certificates in {extra_ca} cannot be read.") from error
    return context
