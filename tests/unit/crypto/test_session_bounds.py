"""What forged and hostile messages cost: nothing, or a bounded amount."""

from __future__ import annotations

import gc
import random
import tracemalloc

import msgspec
import pytest

from tests.crypto_world import NOW_S, as_peer, confirmed, send_many, state_of, unchanged
from zap2.crypto import primitives, ratchet
from zap2.crypto.header import Header
from zap2.crypto.primitives import X25519KeyPair
from zap2.crypto.ratchet import DoubleRatchet, RatchetLabels
from zap2.crypto.ratchet_state import CHAIN_SHIFT
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
    """Guards: counters are authenticated first; a stranger's huge counters derive nothing."""
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
    """Guards: a peer with true keys passes the header and is stopped by the bounds before a key is derived."""
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


@pytest.mark.parametrize("lost_each_time", [3, 500])
def test_what_is_lost_at_the_end_of_chains_stays_within_the_bounds_too(lost_each_time: int) -> None:
    """Guards the bounds where a chain begins with its first message: no key there comes from a gap within a chain.

    The keys of a chain go with the chain, also while there are far fewer than 2000.
    """
    at_alice, at_bob, rng = confirmed()
    for _ in range(9):
        at_alice, payloads = send_many(at_alice, 1 + lost_each_time, rng)
        at_bob, _ = at_bob.decrypt(payloads[0], now_s=NOW_S)
        state = state_of(at_bob)
        assert state.receiving is not None
        assert len(state.skipped) <= 2000
        assert len(state.old) <= 5
        kept = {chain.number for chain in state.old} | {state.receiving.number}
        assert {index >> CHAIN_SHIFT for index in state.skipped} <= kept
        at_bob, answer = at_bob.encrypt(b"", rng=rng, now_s=NOW_S)
        at_alice, _ = at_alice.decrypt(answer, now_s=NOW_S)
    assert len(state_of(at_bob).skipped) == min(2000, 5 * lost_each_time)


def test_hostile_messages_of_a_valid_peer_stay_within_the_bounds(hmac_calls: list[None]) -> None:
    """Guards: the bounds on what one message may cost and on what a state may keep.

    100,000 messages of somebody who holds the keys: gaps, repetitions, counters beyond all bounds, new ratchet keys.
    The work for each, the state after each and the memory in use are bounded, and the peer can still be read.
    """
    core = DoubleRatchet(RatchetLabels())
    dice = random.Random(1)
    keys = [dice.randbytes(32) for _ in range(3)]
    victim = core.start_responder(
        root_key=keys[0],
        peer_header_key=keys[1],
        next_header_key=keys[2],
        own=X25519KeyPair.generate(dice.randbytes),
    )
    public, number, most_hmacs, most_kept, refused = b"", 0, 0, 0, 0
    for message in range(100_000):
        kind = dice.random()
        if kind < 0.002 or not public:
            public, number = X25519KeyPair.generate(dice.randbytes).public, 0
            if victim.peer is not None:
                victim = core.send(victim, rng=dice.randbytes).state
        if kind < 0.7:
            position = number
        elif kind < 0.95:
            position = number + dice.choice((-500, -2, 1001, 2**31))
        else:
            position = number + (999 if kind > 0.9995 else dice.choice((1, 2, 3, 50)))
        header = Header(public, dice.choice((0, 50, 700, 1400, 50_000)), max(0, position), 0)
        hmac_calls.clear()
        try:
            victim, _ = core.receive(victim, header, now_s=NOW_S + message)
            number = max(number, position + 1)
        except CryptoError:
            refused += 1
        # A gap at the end of one chain and one in the next: each of them is bounded.
        assert len(hmac_calls) <= 2 * 1000 + 2
        most_hmacs = max(most_hmacs, len(hmac_calls))
        most_kept = max(most_kept, len(victim.skipped))
        assert len(victim.old) <= 5
        if message == 98_000:
            gc.collect()
            tracemalloc.start()
    gc.collect()
    in_use_b, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert in_use_b < 2_000_000
    assert most_hmacs > 999
    assert most_kept == 2000
    assert 5_000 < refused < 40_000
    assert len(msgspec.msgpack.encode(victim, enc_hook=lambda pair: pair.private)) < 100_000
    core.receive(victim, Header(public, 0, number, 0), now_s=NOW_S + 100_000)


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


def test_skipped_keys_expire_when_a_chain_begins() -> None:
    """A peer who only ever begins chains, each with its first message, keeps no key alive beyond 30 days."""
    at_alice, at_bob, rng = confirmed()
    at_alice, payloads = send_many(at_alice, 2, rng)
    at_bob, _ = at_bob.decrypt(payloads[1], now_s=NOW_S)
    at_bob, answer = at_bob.encrypt(b"", rng=rng, now_s=NOW_S)
    at_alice, _ = at_alice.decrypt(answer, now_s=NOW_S)
    at_alice, payload = at_alice.encrypt(b"", rng=rng, now_s=NOW_S)
    kept, _ = at_bob.decrypt(payload, now_s=NOW_S + 30 * DAY_S - 1)
    assert len(state_of(kept).skipped) == 1
    dropped, _ = at_bob.decrypt(payload, now_s=NOW_S + 30 * DAY_S)
    assert not state_of(dropped).skipped


def test_chains_that_ended_thirty_days_ago_are_forgotten() -> None:
    """An old chain's header key would recognise messages for ever, although none of its keys is left."""
    at_alice, at_bob, rng = confirmed()
    for age_days in (0, 1):
        at_alice, payload = at_alice.encrypt(b"", rng=rng, now_s=NOW_S)
        at_bob, _ = at_bob.decrypt(payload, now_s=NOW_S + age_days * DAY_S)
        at_bob, answer = at_bob.encrypt(b"", rng=rng, now_s=NOW_S)
        at_alice, _ = at_alice.decrypt(answer, now_s=NOW_S)
    closed = [chain.closed_at_s for chain in state_of(at_bob).old]
    assert closed == [NOW_S, NOW_S + DAY_S]
    at_bob, _ = at_bob.encrypt(b"", rng=rng, now_s=NOW_S + 30 * DAY_S)
    assert [chain.closed_at_s for chain in state_of(at_bob).old] == [NOW_S + DAY_S]
