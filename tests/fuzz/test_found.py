"""What fuzzing found once: each input as small as it could be made."""

from __future__ import annotations

import logging

import pytest

from tests.crypto_world import confirmed, state_of
from tests.fuzz.relay_feed import HANDSHAKE, feed
from zap2.crypto import Session
from zap2.errors import Malformed
from zap2.server.shared import signals


def test_a_session_whose_key_pair_became_text_is_malformed() -> None:
    """A text that is not UTF-8 in the place of bytes raised UnicodeDecodeError, which no caller expects."""
    at_alice, _, _ = confirmed("found")
    own = state_of(at_alice).own
    assert own is not None
    pair = own.private + own.public
    encoded = at_alice.encode()
    assert b"\xc4\x40" + pair in encoded
    with pytest.raises(Malformed):
        Session.decode(encoded.replace(b"\xc4\x40" + pair, b"\xd9\x40" + b"\xff" * 64))


def test_a_signal_with_broken_text_is_none() -> None:
    """It ended the listener to the other relays."""
    encoded = signals.encode(bytes(16), signals.Cut(bytes(32), 4002, "words", 7))
    assert b"words" in encoded
    assert signals.decode(encoded.replace(b"words", b"\xff\xfe\xfd\xfc\xfb")) is None


def test_bytes_behind_a_refused_handshake_do_not_fail_inside_the_relay(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Anybody could fill the relay's log with tracebacks."""
    with caplog.at_level(logging.ERROR):
        messages, _ = feed([HANDSHAKE.replace(b"13\r\n", b"8\r\n") + b"\xff\xff"])
    assert not messages
    assert not caplog.records
