"""Whose connections count together: a source is an IPv4 address or an IPv6 /64, however it is written."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zap2.server.source import source_of


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
    if address.version == 6 and int(address) >> 64:
        assert source_of(str(address)) == source_of(str(other))
        assert source_of(str(address)) != source_of(str(ipaddress.IPv6Address(int(address) ^ 1 << 64)))


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_one_source_whichever_socket_sees_it(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    assert source_of(f"::ffff:{address}") == source_of(str(address)) == str(address)


@given(st.text())
def test_whatever_a_proxy_writes_is_a_short_source(text: str) -> None:
    assert len(source_of(text)) <= 64
