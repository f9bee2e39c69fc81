"""Robin's words about the wire are true."""

from __future__ import annotations

import re

import pytest

from tests.crypto_world import confirmed
from zap2.cli.robin import weigh
from zap2.wire.content import Text, encode_content


@pytest.mark.parametrize("length", [1, 100, 370, 380, 390, 400, 900, 5_000, 60_000])
def test_a_text_travels_in_as_many_bytes_as_robin_says(length: int) -> None:
    """Around the borders of the sizes, the number is that of a really encrypted message."""
    text = "x" * length
    session, _, rng = confirmed()
    content = encode_content([Text(bytes(16), 1, 2**40, text)])
    _, payload = session.encrypt(content, rng=rng, now_s=0)
    said = re.findall(r"exactly ([\d,]*\d)", weigh(text))
    assert said == [f"{len(payload):,}"]
