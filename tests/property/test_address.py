"""Any text gives a relay address or a documented refusal; writing and reading an address gives the same one."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from zap2.address import RelayAddress, is_loopback
from zap2.errors import InvalidAddress

_FINGERPRINT = st.text("abcdefghijklmnopqrstuvwxyz234567", min_size=32, max_size=32)
_PART = st.sampled_from(
    (
        *(
            "zap2",
            "+",
            "ws",
            "wss",
            "://",
            ":",
            "/",
            "@",
            "[",
            "]",
            "::1",
            "localhost",
            "127.0.0.1",
            "1",
            "443",
        ),
        *("a" * 32, ".", "-", "%", "?", "#", "\\", "\x00", " ", "xn--a", "0x1", "é", "٣"),
    )
)
_TEXT = st.one_of(st.text(max_size=80), st.lists(_PART, max_size=10).map("".join))
_NAME = st.from_regex("[a-z0-9_]([a-z0-9_-]{0,6}[a-z0-9_])?(\\.[a-z]{1,8}){0,3}", fullmatch=True)
_HOST = st.one_of(_NAME, st.ip_addresses().map(str), st.just("localhost"))


@given(_TEXT)
def test_any_text_is_an_address_or_refused(text: str) -> None:
    try:
        address = RelayAddress.parse(text)
    except InvalidAddress:
        return
    assert RelayAddress.parse(str(address)) == address
    assert address.is_encrypted or is_loopback(address.host)


@given(_HOST, st.integers(1, 65535), st.booleans(), st.one_of(st.none(), _FINGERPRINT))
def test_what_is_written_is_read_back(
    host: str, port: int, is_encrypted: bool, fingerprint: str | None
) -> None:
    try:
        address = RelayAddress(host, port, is_encrypted or not is_loopback(host), fingerprint)
    except InvalidAddress:
        assert re.search(
            r"(^|\.)([0-9]+|0x[0-9a-f]*)$", host
        )  # a name that resolvers take for an IPv4 address
        return
    assert RelayAddress.parse(str(address)) == address
    assert RelayAddress.parse(address.url) == RelayAddress(host, port, address.is_encrypted)
