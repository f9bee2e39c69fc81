"""Whose connections count together: an IPv4 address, however it is written and whatever translated it, or a /64."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zap2.server.source import source_of

_FOR_IPV4 = [ipaddress.ip_network(known) for known in ("64:ff9b::/47", "2002::/16", "2001::/32")]


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("203.0.113.7", "203.0.113.7"),
        (" 203.0.113.7", "203.0.113.7"),
        ("203.0.113.7:50123", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("::ffff:cb00:7107", "203.0.113.7"),
        ("[::ffff:203.0.113.7]:50123", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::", "2001:db8:1:2::/64"),
        ("[2001:db8:1:2::9]:443", "2001:db8:1:2::/64"),
        ("64:ff9b::203.0.113.7", "203.0.113.7"),
        ("[64:ff9b::cb00:7107]:50123", "203.0.113.7"),
        ("64:ff9b:0:0:1::203.0.113.7", "64:ff9b::/64"),  # beside the /96
        ("64:ff9b:1::203.0.113.7", "64:ff9b:1::cb00:7107"),
        ("64:ff9b:1:cb00:71:700::", "64:ff9b:1:cb00:71:700::"),
        ("64:ff9b:2::203.0.113.7", "64:ff9b:2::/64"),
        ("2002:cb00:7107::1", "203.0.113.7"),
        ("2002:cb00:7107:ffff::1", "203.0.113.7"),
        ("2001:0:4136:e378:8000:63bf:34ff:8ef8", "203.0.113.7"),
        ("2001:0:c000:201:0:ffff:34ff:8ef8", "203.0.113.7"),  # another server
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        ("", ""),
        ("unknown", "unknown"),
    ],
)
def test_every_way_of_writing_an_address_gives_its_source(address: str, source: str) -> None:
    assert source_of(address) == source


@given(st.ip_addresses(v=6), st.integers(0, 2**64 - 1))
def test_all_addresses_of_a_network_are_one_source(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, host: int
) -> None:
    """Nobody gets fresh limits by taking another address of the /64 that a provider gives each customer."""
    other = ipaddress.IPv6Address(int(address) >> 64 << 64 | host)
    if address.version == 6 and int(address) >> 64 and not any(address in known for known in _FOR_IPV4):
        assert source_of(str(address)) == source_of(str(other))
        assert source_of(str(address)) != source_of(str(ipaddress.IPv6Address(int(address) ^ 1 << 64)))


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_one_source_whichever_socket_sees_it(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    first, last = int(address) >> 16, int(address) & 0xFFFF
    for written in (f"{address}", f"::ffff:{address}", f"64:ff9b::{address}", f"2002:{first:x}:{last:x}::9"):
        assert source_of(written) == str(address)


@given(st.text())
def test_whatever_a_proxy_writes_is_a_short_source(text: str) -> None:
    assert len(source_of(text)) <= 64
