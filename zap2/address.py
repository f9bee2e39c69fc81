"""The address of a relay, as people hand it out and type it in.

    zap2://fingerprint@host[:port]       TLS, the relay's key is pinned; port 443 when none is given
    zap2+ws://fingerprint@host[:port]    without TLS, loopback only, pinned; port 8765 when none is given
    wss://host[:port]                    TLS, the key is pinned at first use; port 443
    ws://host[:port]                     without TLS, loopback only, pinned at first use; port 80

`zap2://` stands for 443 because an address that is handed out without a port is one behind a public name; the relay
of one's own machine (`zap2+ws://`) listens at 8765 unless told otherwise. A `ws` URL that carries a fingerprint is
the `zap2` address with the same meaning; a `zap2` address without one is refused, so that losing the fingerprint on
the way never turns pinning off in silence.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, replace
from typing import Final

from zap2.errors import InvalidAddress

MAX_ADDRESS_CHARS: Final = 512
DEFAULT_RELAY_PORT: Final = 8765
FINGERPRINT_CHARS: Final = 32
"""base32 of the first 20 bytes of a SHA-256."""

_TLS_PORT: Final = 443
# scheme: (TLS, must carry a fingerprint, default port)
_SCHEMES: Final = {
    "zap2": (True, True, _TLS_PORT),
    "zap2+ws": (False, True, DEFAULT_RELAY_PORT),
    "wss": (True, False, _TLS_PORT),
    "ws": (False, False, 80),
}
_FINGERPRINT: Final = re.compile(f"[a-z2-7]{{{FINGERPRINT_CHARS}}}")
_HOST_LABEL: Final = re.compile("[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER_LABEL: Final = re.compile("[0-9]+|0x[0-9a-f]*")
_PORT: Final = re.compile("[0-9]{1,5}")
_MAX_HOST_CHARS: Final = 253


@dataclass(frozen=True, slots=True)
class RelayAddress:
    """Where a relay is and which key it has; made by `parse`, or from parts that are canonical already.

    Args:
        host: a lower-case name, an IPv4 address, or an IPv6 address without brackets.
        port: 1 to 65535.
        is_encrypted: whether the connection uses TLS; only loopback hosts may go without.
        fingerprint: of the relay's key, 32 lower-case base32 characters; None pins at first use.

    Raises:
        InvalidAddress: a part is not of that form.
    """

    host: str
    port: int
    is_encrypted: bool = True
    fingerprint: str | None = None

    def __post_init__(self) -> None:
        if _canonical_host(self.host) != self.host:
            raise InvalidAddress("The host of a relay address is not in its canonical form.")
        if not 1 <= self.port <= 65535:
            raise InvalidAddress("The port of a relay address lies between 1 and 65535.")
        if self.fingerprint is not None and not _FINGERPRINT.fullmatch(self.fingerprint):
            raise InvalidAddress(f"A relay's fingerprint has {FINGERPRINT_CHARS} letters a-z and digits 2-7.")
        if not self.is_encrypted and not is_loopback(self.host):
            raise InvalidAddress(
                "Without TLS a relay can only be reached on this machine (localhost).",
                "Use its zap2:// or wss:// address; a proxy in front of the relay can give it TLS.",
            )

    @classmethod
    def parse(cls, text: str) -> RelayAddress:
        """Read an address that a person typed or pasted; white space around it does not matter.

        Raises:
            InvalidAddress: with the reason.
        """
        text = text.strip()
        if not text:
            raise InvalidAddress("The relay's address is empty.")
        if len(text) > MAX_ADDRESS_CHARS:
            raise InvalidAddress("This is too long for a relay's address.")
        if not text.isascii() or not text.isprintable() or " " in text:
            raise InvalidAddress(
                "A relay's address has no spaces, control characters or letters beyond a-z.",
                "Write a host name with other letters in its xn-- form.",
            )
        scheme, separator, rest = text.partition("://")
        scheme = scheme.lower()
        if not separator or scheme not in _SCHEMES:
            raise InvalidAddress("A relay's address begins with zap2://, zap2+ws://, wss:// or ws://.")
        is_encrypted, must_be_pinned, default_port = _SCHEMES[scheme]
        rest = rest.removesuffix("/")
        if any(char in rest for char in "/?#\\"):
            raise InvalidAddress("A relay's address ends after its host and port.")
        user, separator, host_and_port = rest.rpartition("@")
        fingerprint = user.lower() if separator else None
        if fingerprint is None and must_be_pinned:
            raise InvalidAddress(
                f"A {scheme}:// address carries the fingerprint of the relay's key before an @.",
                "Ask the host for the whole address, or use wss:// to trust the key seen first.",
            )
        host, port = _split_port(host_and_port, default_port)
        return cls(host, port, is_encrypted, fingerprint)

    @property
    def url(self) -> str:
        """The URL that a WebSocket client connects to."""
        return f"{'wss' if self.is_encrypted else 'ws'}://{self._authority}:{self.port}/"

    def with_fingerprint(self, fingerprint: str) -> RelayAddress:
        """Give this address with the relay's key pinned. Raises InvalidAddress."""
        return replace(self, fingerprint=fingerprint)

    def __str__(self) -> str:
        port = "" if self.is_encrypted and self.port == _TLS_PORT else f":{self.port}"
        websocket_scheme, zap2_scheme = ("wss", "zap2") if self.is_encrypted else ("ws", "zap2+ws")
        if self.fingerprint is None:
            return f"{websocket_scheme}://{self._authority}{port}"
        return f"{zap2_scheme}://{self.fingerprint}@{self._authority}{port}"

    @property
    def _authority(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host


def is_loopback(host: str) -> bool:
    """Say whether a host, as `RelayAddress` has it, can only be this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _split_port(text: str, default_port: int) -> tuple[str, int]:
    if text.startswith("["):
        host, bracket, after = text[1:].partition("]")
        if not bracket or ":" not in host or (after and not after.startswith(":")):
            raise InvalidAddress("An IPv6 address stands in brackets: wss://[2001:db8::1]:443.")
        port = after[1:]
        has_port = bool(after)
    else:
        if text.count(":") > 1:
            raise InvalidAddress("An IPv6 address stands in brackets: wss://[2001:db8::1]:443.")
        host, colon, port = text.partition(":")
        has_port = bool(colon)
    if has_port and not _PORT.fullmatch(port):
        raise InvalidAddress("The port of a relay address lies between 1 and 65535.")
    return _canonical_host(host), int(port) if has_port else default_port


def _canonical_host(host: str) -> str:
    if ":" in host:
        try:
            address = ipaddress.IPv6Address(host)
        except ValueError:
            raise InvalidAddress("This is not an IPv6 address.") from None
        if address.scope_id is not None:
            raise InvalidAddress("An IPv6 address with a zone (%) cannot be a relay's.")
        return address.compressed
    host = host.lower().removesuffix(".")
    labels = host.split(".")
    if len(host) > _MAX_HOST_CHARS or not all(_HOST_LABEL.fullmatch(label) for label in labels):
        raise InvalidAddress("The host of a relay address is a name or an IP address.")
    if _NUMBER_LABEL.fullmatch(labels[-1]):
        # Resolvers read "127.1" and "0x7f000001" as IPv4 addresses: only the usual form is let through.
        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError:
            raise InvalidAddress("This is not an IPv4 address.") from None
    return host
