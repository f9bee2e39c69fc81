"""Conversations of Zap2's ratchet core, with Olm's labels, with PyPI `vodozemac`: both roles, loss, reordering.

A second implementation that shares no line, language or author with the first (`test_double_ratchet_peer.py`).
"""

from __future__ import annotations

import pytest
from vodozemac import Account, OlmDecryptionException

from tests.conversations import CONVERSATIONS, Traffic, converse
from tests.crypto_world import seeded
from tests.olm import OlmParty, VodozemacParty, vodozemac_sessions, vodozemac_set_up


def _parties(seed: int, *, we_begin: bool) -> tuple[OlmParty, VodozemacParty]:
    ours, theirs = OlmParty(seeded(f"olm {seed}")), VodozemacParty()
    if we_begin:
        ours.begin(theirs.identity_key, theirs.one_time_key)
        theirs.expect(ours.identity.public)
    else:
        theirs.begin(ours.identity.public, ours.one_time.public)
    return ours, theirs


@pytest.mark.parametrize("we_begin", [True, False])
def test_core_talks_to_vodozemac(we_begin: bool) -> None:
    """Root and chain steps, message keys, late and lost messages: what one side writes, the other reads."""
    traffic = Traffic()
    for seed in range(CONVERSATIONS):
        ours, theirs = _parties(seed, we_begin=we_begin)
        if we_begin:
            traffic += converse(seed, (ours.send, theirs.send), (ours.receive, theirs.receive))
        else:
            traffic += converse(seed, (theirs.send, ours.send), (theirs.receive, ours.receive))
    traffic.check()


def test_vodozemac_refuses_what_was_changed_and_what_comes_twice() -> None:
    """The harness proves nothing if anything passes: a changed bit and a repetition do not, and lock nothing."""
    ours, theirs = _parties(0, we_begin=True)
    theirs.receive(ours.send(b"hello"))
    ours.receive(theirs.send(b"hello back"))
    payload = ours.send(b"genuine")
    for at in (1, 5, len(payload) // 2, len(payload) - 1):
        changed = bytearray(payload)
        changed[at] ^= 1
        with pytest.raises(ValueError, match=r".+"):
            theirs.receive(bytes(changed))
    assert theirs.receive(payload) == b"genuine"
    with pytest.raises(OlmDecryptionException):
        theirs.receive(payload)


def test_what_the_bench_races_is_a_working_session() -> None:
    """Both directions of the pair, and a set-up, as bench uses them."""
    at_alice, at_bob = vodozemac_sessions()
    assert at_bob.decrypt(at_alice.encrypt(b"one")) == b"one"
    assert at_alice.decrypt(at_bob.encrypt(b"two")) == b"two"
    alice, bob = Account(), Account()
    bob.generate_one_time_keys(2)
    for one_time in bob.one_time_keys.values():
        vodozemac_set_up(alice, bob, one_time, b"hello")
