"""Finding the session of a payload that names none, among many."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.crypto_world import NOW_S, confirmed
from zap2.crypto import Session, find_session, trial
from zap2.crypto.header import NONCE_B, Header, seal_header


def _strangers(count: int) -> list[Session]:
    return [confirmed(seed)[1] for seed in range(100, 100 + count)]


@pytest.mark.parametrize("previous_count", [0, 1, 0x00FF_FFFF, 0x0100_0000, 0xFFFF_FFFF])
def test_a_session_is_found_whatever_the_headers_counters_are(previous_count: int) -> None:
    """Guards the full trial behind the quick look, which knows only chains of fewer than 2^24 messages."""
    _, at_bob, rng = confirmed()
    strangers = _strangers(3)
    keys = at_bob.receiving_keys
    for key in keys.live.values():
        header = Header(bytes(range(32)), previous_count, 7, 0)
        payload = seal_header(key, rng(NONCE_B), header, keys.transcript_hash).ljust(512, b"\x00")
        assert find_session([*strangers, at_bob], payload) is at_bob
        assert find_session(strangers, payload) is None


def test_sessions_that_do_not_fit_are_passed_over_by_the_quick_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards the speed among hundreds: hardly any key is tried in full before the one that fits."""
    at_alice, at_bob, rng = confirmed()
    _, payload = at_alice.encrypt(b"hello", rng=rng, now_s=NOW_S)
    fits = trial._fits
    tried: list[AESGCM] = []

    def counted(key: AESGCM, nonce: bytes, encrypted: bytes, session: Session) -> bool:
        tried.append(key)
        return fits(key, nonce, encrypted, session)

    monkeypatch.setattr(trial, "_fits", counted)
    assert find_session([*_strangers(20), at_bob], payload) is at_bob
    assert len(tried) < 8
