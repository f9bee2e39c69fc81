"""What forged and hostile messages cost: nothing, or a bounded amount."""

from __future__ import annotations

import random

import pytest

from tests.crypto_world import NOW_S, as_peer, confirmed, send_many, state_of, unchanged
from zap2.crypto import primitives, ratchet
from zap2.crypto.header import Header
from zap2.crypto.primitives import X25519KeyPair
from zap2.crypto.ratchet import DoubleRatchet, RatchetLabels
from zap2.errors import AuthenticationFailed, CryptoError, DuplicateMessage, TooManySkipped

DAY_S = 86_400


@pytest.fixture
def hmac_calls(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """Count the HMACs of the ratchet, which still compute."""
    calls: list[None] = []
    genuine = primitives.hmac_sha256_pair

    def counting(key: bytes, first: bytes, second: bytes) -> tuple[bytes, bytes]:
        calls.append(None)
        return genuine(key, first, second)

    monkeypatch.setattr(ratchet, "hmac_sha256_pair", counting)
    return calls


def test_forged_headers_cost_no_hmac(hmac_calls: list[None]) -> None:
    """Counters are authenticated first: a stranger's huge counters derive nothing."""
    _, at_bob, rng = confirmed()
    state = state_of(at_bob)
    assert state.receiving is not None
    hmac_calls.clear()
    for header in (Header(state.receiving.public, 0, 2**32 - 1, 0), Header(rng(32), 2**32 - 1, 2**32 - 1, 0)):
        with unchanged(at_bob), pytest.raises(AuthenticationFailed):
            at_bob.decrypt(as_peer(at_bob, header, rng(32)), now_s=NOW_S)
    assert not hmac_calls


@pytest.mark.parametrize(("previous", "number"), [(0, 1001), (0, 2**32 - 1), (2**32 - 1, 0), (1002, 0)])
def test_huge_counters_of_the_peer_cost_no_hmac_either(
    previous: int, number: int, hmac_calls: list[None]
) -> None:
    """A peer with true keys gets past the header and is stopped by the bounds, before the first key is derived."""
    _, at_bob, rng = confirmed()
    at_bob, _ = at_bob.encrypt(b"", rng=rng, now_s=NOW_S)
    state = state_of(at_bob)
    header = Header(X25519KeyPair.generate(rng).public, previous, number, 0)
    payload = as_peer(at_bob, header, state.next_receiving_header_key)
    hmac_calls.clear()
    with unchanged(at_bob), pytest.raises(TooManySkipped):
        at_bob.decrypt(payload, now_s=NOW_S)
    assert not hmac_calls


@pytest.mark.parametrize("is_chain_known", [False, True])
def test_gap_of_a_thousand_is_read_and_one_more_is_refused(is_chain_known: bool) -> None:
    """The bound is exact, at the beginning of a chain and within it."""
    at_alice, at_bob, rng = confirmed()
    if is_chain_known:
        at_alice, payload = at_alice.encrypt(b"", rng=rng, now_s=NOW_S)
        at_bob, _ = at_bob.decrypt(payload, now_s=NOW_S)
    at_alice, payloads = send_many(at_alice, 1002, rng)
    with unchanged(at_bob), pytest.raises(TooManySkipped):
        at_bob.decrypt(payloads[1001], now_s=NOW_S)
    at_bob, content = at_bob.decrypt(payloads[1000], now_s=NOW_S)
    assert content == b"1000"
    assert len(state_of(at_bob).skipped) == 1000
    assert at_bob.decrypt(payloads[0], now_s=NOW_S)[1] == b"0"
    assert at_bob.decrypt(payloads[999], now_s=NOW_S)[1] == b"999"


def test_skipped_keys_and_old_chains_stay_within_their_bounds() -> None:
    """A peer who skips on and on: at most 2000 keys and 5 old chains, the oldest first out, the newest readable."""
    at_alice, at_bob, rng = confirmed()
    lost: list[list[bytes]] = []
    for _ in range(9):
        at_alice, payloads = send_many(at_alice, 500, rng)
        lost.append(payloads[:-1])
        at_bob, _ = at_bob.decrypt(payloads[-1], now_s=NOW_S)
        at_bob, answer = at_bob.encrypt(b"", rng=rng, now_s=NOW_S)
        at_alice, _ = at_alice.decrypt(answer, now_s=NOW_S)
        state = state_of(at_bob)
        assert len(state.skipped) <= 2000
        assert len(state.old) <= 5
    assert len(state_of(at_bob).skipped) == 2000
    assert len(at_bob.encode()) < 100_000
    assert at_bob.decrypt(lost[-1][0], now_s=NOW_S)[1] == b"0"
    assert at_bob.decrypt(lost[-4][498], now_s=NOW_S)[1] == b"498"
    with pytest.raises(DuplicateMessage):
        at_bob.decrypt(lost[-5][0], now_s=NOW_S)
    with pytest.raises(AuthenticationFailed):
        at_bob.decrypt(lost[0][0], now_s=NOW_S)


def test_hostile_messages_of_a_valid_peer_stay_within_the_bounds() -> None:
    """100,000 positions claimed by somebody who holds the keys: the state stays small, no bound is crossed."""
    core = DoubleRatchet(RatchetLabels())
    dice = random.Random(1)
    prekey = X25519KeyPair.generate(dice.randbytes)
    keys = [dice.randbytes(32) for _ in range(3)]
    victim = core.start_responder(
        root_key=keys[0], peer_header_key=keys[1], next_header_key=keys[2], own=prekey
    )
    hostile_keys = [X25519KeyPair.generate(dice.randbytes).public for _ in range(40)]
    at, number, claimed = 0, 0, 0
    while claimed < 100_000:
        kind = dice.random()
        if kind < 0.02:
            at, number = (at + 1) % len(hostile_keys), 0
            if victim.peer is not None:
                victim = core.send(victim, rng=dice.randbytes).state
        number += dice.choice((1, 2, 50, 400, 5000)) if kind < 0.9 else -dice.randrange(number + 1)
        header = Header(hostile_keys[at], dice.randrange(1500), number, 0)
        claimed += 100
        try:
            victim, _ = core.receive(victim, header, now_s=NOW_S + claimed // 100)
        except CryptoError:
            number = max(0, number - 5000)
        assert len(victim.skipped) <= 2000
        assert len(victim.old) <= 5
    assert len(victim.skipped) > 1000


def test_skipped_keys_expire_after_thirty_days() -> None:
    """A key of a lost message does not lie in the vault for ever."""
    at_alice, at_bob, rng = confirmed()
    at_alice, payloads = send_many(at_alice, 3, rng)
    at_bob, _ = at_bob.decrypt(payloads[1], now_s=NOW_S)
    assert len(state_of(at_bob).skipped) == 1
    kept, _ = at_bob.decrypt(payloads[2], now_s=NOW_S + 30 * DAY_S - 1)
    assert len(state_of(kept).skipped) == 1
    dropped, _ = at_bob.decrypt(payloads[2], now_s=NOW_S + 30 * DAY_S)
    assert not state_of(dropped).skipped
    sent, _ = at_bob.encrypt(b"", rng=rng, now_s=NOW_S + 30 * DAY_S)
    assert not state_of(sent).skipped
