"""Whose connections count together: the address that a connection comes from, as limits know it.

Whoever has one IPv6 address usually has the whole /64 that it is in (RFC 6177, section 2; RFC 4291, section 2.5.4),
so limits by address alone would be no limits. Such a network counts as one source, as an IPv4 address does.

An IPv6 address that stands for an IPv4 address counts as that one: all that a translator before the relay shows
would be one source else, and one tunnel's end tens of thousands.

    ::ffff:0:0/96     IPv4-mapped: a socket for both kinds shows IPv4 peers like this (RFC 4291, section 2.5.5.2)
    64:ff9b::/96      NAT64 (RFC 6052, section 2.1)
    64:ff9b:1::/48    NAT64 inside a network, which chose where the IPv4 address stands (RFC 8215): no two of them
                      are one machine's, so each address is a source
    2002::/16         6to4: who has one IPv4 address has 65,536 networks (RFC 3056, section 2)
    2001::/32         Teredo: answers go to the client's IPv4 address, whichever server it names (RFC 4380, section 4)
"""

from __future__ import annotations

import ipaddress
from typing import Final

_NETWORK_BITS: Final = 64
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_LOCAL_NAT64: Final = ipaddress.IPv6Network("64:ff9b:1::/48")
_MAX_LENGTH: Final = 64


def source_of(address: str) -> str:
    """Name the source that an address belongs to.

    Args:
        address: an IP address as the system or a proxy wrote it, perhaps with a zone or a port.

    Returns:
        An IPv4 address; the /64 of an IPv6 address that stands for none; for what is no address, its first 64
        characters.
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
    return _source_of_ipv6(parsed) if isinstance(parsed, ipaddress.IPv6Address) else str(parsed)


def _source_of_ipv6(address: ipaddress.IPv6Address) -> str:
    if address in _LOCAL_NAT64:
        return str(address)
    translated = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF) if address in _NAT64 else None
    tunnelled = address.teredo[1] if address.teredo is not None else address.sixtofour
    if (embedded := address.ipv4_mapped or translated or tunnelled) is not None:
        return str(embedded)
    return str(ipaddress.ip_network((address, _NETWORK_BITS), strict=False))
