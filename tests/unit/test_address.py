"""Relay addresses: the four forms, their defaults, and the reason for each refusal."""

from __future__ import annotations

import pytest

from zap2.address import MAX_ADDRESS_CHARS, RelayAddress, is_loopback
from zap2.errors import InvalidAddress

FP = "abcdefghijklmnopqrstuvwxyz234567"


@pytest.mark.parametrize(
    ("text", "canonical", "url", "fingerprint"),
    [
        (f"zap2://{FP}@chat.example.org", f"zap2://{FP}@chat.example.org", "wss://chat.example.org:443/", FP),
        (f"zap2://{FP}@10.0.0.1:8765", f"zap2://{FP}@10.0.0.1:8765", "wss://10.0.0.1:8765/", FP),
        (f"zap2+ws://{FP}@localhost", f"zap2+ws://{FP}@localhost:8765", "ws://localhost:8765/", FP),
        (f"zap2+ws://{FP}@[::1]:9", f"zap2+ws://{FP}@[::1]:9", "ws://[::1]:9/", FP),
        ("wss://chat.example.org/", "wss://chat.example.org", "wss://chat.example.org:443/", None),
        ("ws://127.0.0.1", "ws://127.0.0.1:80", "ws://127.0.0.1:80/", None),
        (f"  ZAP2://{FP.upper()}@Chat.Example.ORG.:443\n", f"zap2://{FP}@chat.example.org", "", FP),
        (f"wss://{FP}@relay", f"zap2://{FP}@relay", "wss://relay:443/", FP),
        ("wss://[2001:DB8:0::1]:08443", "wss://[2001:db8::1]:8443", "wss://[2001:db8::1]:8443/", None),
        ("wss://xn--bcher-kva.example", "wss://xn--bcher-kva.example", "", None),
    ],
)
def test_every_form_is_read_into_its_canonical_one(
    text: str, canonical: str, url: str, fingerprint: str | None
) -> None:
    address = RelayAddress.parse(text)
    assert str(address) == canonical
    assert address.fingerprint == fingerprint
    assert address.is_encrypted == (canonical.startswith(("zap2:", "wss:")))
    if url:
        assert address.url == url
    assert RelayAddress.parse(str(address)) == address


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("chat.example.org", "begins with"),
        ("https://chat.example.org", "begins with"),
        (f"zap2:{FP}@host", "begins with"),
        ("zap2://chat.example.org", "carries the fingerprint"),
        ("zap2+ws://localhost", "carries the fingerprint"),
        (f"zap2+ws://{FP}@chat.example.org", "Without TLS"),
        ("ws://192.168.1.5:8765", "Without TLS"),
        ("ws://localhost.example.org", "Without TLS"),
        ("zap2://ann:secret@host", "fingerprint has"),
        ("zap2://@host", "fingerprint has"),
        (f"zap2://{FP[:-1]}@host", "fingerprint has"),
        (f"zap2://{FP[:-1]}1@host", "fingerprint has"),
        (f"zap2://{FP}@evil@host", "fingerprint has"),
        ("wss://host/path", "ends after"),
        ("wss://host//", "ends after"),
        ("wss://host?x=1", "ends after"),
        ("wss://host#x", "ends after"),
        ("wss://host\\evil", "ends after"),
        ("wss://", "host"),
        ("wss://:443", "host"),
        ("wss://a..b", "host"),
        ("wss://-a", "host"),
        ("wss://a%2eb", "host"),
        ("wss://" + "a" * 64, "host"),
        ("wss://" + "a." * 130 + "b", "host"),
        ("wss://127.1", "IPv4"),
        ("ws://0x7f000001", "IPv4"),
        ("wss://2130706433", "IPv4"),
        ("wss://1.2.3.04", "IPv4"),
        ("wss://2001:db8::1", "brackets"),
        ("wss://[2001:db8::1", "brackets"),
        ("wss://[2001:db8::1]x", "brackets"),
        ("wss://[host]", "brackets"),
        ("wss://[::1::]", "IPv6"),
        ("wss://[fe80::1%eth0]", "zone"),
        ("wss://host:", "port"),
        ("wss://host:0", "port"),
        ("wss://host:65536", "port"),
        ("wss://host:+1", "port"),
        ("wss://host:123456", "port"),
        ("wss://ho\nst", "no spaces"),
        ("wss://ho\x1bst", "no spaces"),
        ("wss://bücher.example", "no spaces"),
        ("wss://chat.еxample.org", "no spaces"),
        ("wss://" + "a" * MAX_ADDRESS_CHARS, "too long"),
    ],
)
def test_a_wrong_address_is_refused_with_its_reason(text: str, reason: str) -> None:
    with pytest.raises(InvalidAddress) as caught:
        RelayAddress.parse(text)
    assert reason in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert caught.value.hint


def test_pinning_keeps_the_place_and_the_kind_of_connection() -> None:
    assert str(RelayAddress.parse("wss://host:9").with_fingerprint(FP)) == f"zap2://{FP}@host:9"
    assert str(RelayAddress.parse("ws://localhost:9").with_fingerprint(FP)) == f"zap2+ws://{FP}@localhost:9"
    with pytest.raises(InvalidAddress):
        RelayAddress.parse("wss://host").with_fingerprint("short")


@pytest.mark.parametrize("host", ["Host", "host.", "[::1]", "::0:1", "a b", ""])
def test_parts_that_are_not_canonical_are_refused(host: str) -> None:
    with pytest.raises(InvalidAddress):
        RelayAddress(host, 443)


def test_only_this_machine_is_loopback() -> None:
    assert all(map(is_loopback, ["localhost", "127.0.0.1", "127.9.9.9", "::1"]))
    assert not any(map(is_loopback, ["example.org", "10.0.0.1", "::", "evil.localhost"]))
