"""The first exchange on a connection: the relay proves its key before it learns anything about this client."""

from __future__ import annotations

import hmac
from typing import Final

from zap2.crypto.primitives import parse_ed25519, verify_ed25519
from zap2.errors import CryptoError, NotTrusted, OtherRelayKey
from zap2.ids import RandomBytes
from zap2.wire.frames import ClientHello, Greeting
from zap2.wire.statements import greeting_statement, relay_fingerprint

_NONCE_SIZE_B: Final = 32


def make_hello(rng: RandomBytes) -> ClientHello:
    """Make the first frame of a connection."""
    return ClientHello(rng(_NONCE_SIZE_B))


def check_greeting(hello: ClientHello, greeting: Greeting, pinned: str | None) -> str:
    """Check that the relay holds the key that it shows, and that this is the right one; gives its fingerprint.

    Args:
        hello: what was sent on this very connection.
        greeting: the answer.
        pinned: the fingerprint that is expected; None takes any key, and the caller pins it.

    Raises:
        NotTrusted: another key, or no proof of it. Send nothing more.
    """
    fingerprint = relay_fingerprint(greeting.relay_key)
    if pinned is not None and not hmac.compare_digest(fingerprint, pinned):
        raise OtherRelayKey
    statement = greeting_statement(hello.nonce, greeting.challenge, greeting.relay_key)
    try:
        verify_ed25519(parse_ed25519(greeting.relay_key), statement, greeting.signature)
    except CryptoError:
        raise NotTrusted("The relay could not prove that its key is its own.") from None
    return fingerprint
