"""Accounts at a scripted relay: transports whose waits a test decides, and the scripts that let them in."""

from __future__ import annotations

import os
from collections.abc import Callable

from tests.kit.links import MemoryTokens
from tests.kit.scripted_relay import Peer, Script, ScriptedRelay
from zap2.address import RelayAddress
from zap2.client.relay.dialing import Patience
from zap2.client.relay.link import RelayTransport
from zap2.crypto.identity import IdentityKeys
from zap2.wire.frames import Deliver

KEYS = IdentityKeys.generate(os.urandom)
PATIENCE = Patience(connect_s=5.0, answer_s=5.0, close_s=1.0)


def at_once() -> float:
    """No jitter: tries follow at once, or exactly when the relay asked for it."""
    return 0.0


def longest() -> float:
    """All the jitter there is: each wait is its ceiling."""
    return 1.0


def make_transport(
    relay: RelayAddress | ScriptedRelay,
    tokens: MemoryTokens | None = None,
    *,
    jitter: Callable[[], float] = at_once,
    now_s: Callable[[], float] = lambda: 0.0,
) -> RelayTransport:
    """Make a transport of the one account `KEYS`; by default its clock stands still."""
    return RelayTransport(
        relay.address if isinstance(relay, ScriptedRelay) else relay,
        KEYS,
        tokens=tokens or MemoryTokens(),
        rng=os.urandom,
        patience=PATIENCE,
        now_s=now_s,
        jitter=jitter,
    )


def delivery(seq: int) -> Deliver:
    """Make a delivery whose envelope id is its seq."""
    return Deliver(seq, seq.to_bytes(16, "big"), 0, bytes(512))


def admit_and(then: Script) -> Script:
    """Let a client in, then go on with another script."""

    async def script(peer: Peer) -> None:
        await peer.admit()
        await then(peer)

    return script


admit_and_hold = admit_and(Peer.hold)
