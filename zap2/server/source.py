"""Whose connections count together: the address that a connection comes from, as limits know it.

Whoever has one IPv6 address usually has the whole /64 that it is in (RFC 6177, section 2; RFC 4291, section 2.5.4),
so limits by address alone would be no limits. Such a network counts as one source, as an IPv4 address does.
"""

from __future__ import annotations

import ipaddress
from typing import Final

_NETWORK_BITS: Final = 64
_MAX_LENGTH: Final = 64


def source_of(address: str) -> str:
    """Name the source that an address belongs to.

    Args:
        address: an IP address as the system or a proxy wrote it, perhaps with a zone or a port.

    Returns:
        An IPv4 address; the /64 of an IPv6 address; for what is none of them, its first 64 characters.
    """
    text = address.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        parsed = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return text[:_MAX_LENGTH]
    if isinstance(parsed, ipaddress.IPv6Address):
        # A socket that listens for both kinds shows IPv4 peers like this (RFC 4291, section 2.5.5.2).
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, _NETWORK_BITS), strict=False))
    return str(parsed)
