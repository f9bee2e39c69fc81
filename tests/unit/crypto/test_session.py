"""Sessions: delivery in any order, bounds, and what forged, repeated and rolled-back messages do."""

from __future__ import annotations

import random

import pytest

from tests.crypto_world import NOW_S, as_peer, confirmed, new_person, send_many, set_up, state_of, unchanged
from zap2.crypto import PAYLOAD_SIZES_B, Session, find_session
from zap2.crypto.header import Header
from zap2.crypto.primitives import X25519KeyPair
from zap2.errors import (
    AuthenticationFailed,
    CryptoError,
    DuplicateMessage,
    InvalidKey,
    InvalidPadding,
    Malformed,
    Zap2Error,
)


@pytest.mark.parametrize("seed", range(5))
def test_messages_arrive_in_any_order_and_some_never(seed: int) -> None:
    """Two people, loss, reordering, and each state through the vault's bytes."""
    dice = random.Random(seed)
    sides = list(confirmed(seed)[:2])
    under_way: list[list[tuple[bytes, bytes]]] = [[], []]
    for _ in range(120):
        side = dice.randrange(2)
        content = dice.randbytes(dice.choice((0, 20, 600)))
        sides[side], payload = sides[side].encrypt(content, rng=dice.randbytes, now_s=NOW_S)
        if dice.random() < 0.85:
            under_way[side].append((content, payload))
        while under_way[side] and dice.random() < 0.5:
            content, payload = under_way[side].pop(dice.randrange(len(under_way[side])))
            sides[1 - side] = Session.decode(sides[1 - side].encode())
            assert find_session([sides[1 - side]], payload)
            sides[1 - side], read = sides[1 - side].decrypt(payload, now_s=NOW_S)
            assert read == content


def test_all_payload_sizes_are_in_the_fixed_set() -> None:
    """Guards: the choice of a size. Whatever the content's length, only fixed ones appear, the smallest."""
    session, _, rng = confirmed()
    for size_b in PAYLOAD_SIZES_B:
        for content_b in (size_b - 95, size_b - 96, size_b // 2):
            _, payload = session.encrypt(bytes(content_b), rng=rng, now_s=NOW_S)
            assert len(payload) in PAYLOAD_SIZES_B
            assert len(payload) == min(size for size in PAYLOAD_SIZES_B if size >= content_b + 95)
    with pytest.raises(InvalidPadding):
        session.encrypt(bytes(65536 - 94), rng=rng, now_s=NOW_S)


def test_message_read_twice_is_a_duplicate() -> None:
    """In the current chain, among skipped keys and in an old chain; the state stays."""
    at_alice, at_bob, rng = confirmed()
    at_alice, payloads = send_many(at_alice, 3, rng)
    at_bob, _ = at_bob.decrypt(payloads[2], now_s=NOW_S)
    at_bob, _ = at_bob.decrypt(payloads[0], now_s=NOW_S)
    at_bob, answer = at_bob.encrypt(b"", rng=rng, now_s=NOW_S)
    later, _ = at_alice.decrypt(answer, now_s=NOW_S)
    _, payload = later.encrypt(b"", rng=rng, now_s=NOW_S)
    turned, _ = at_bob.decrypt(payload, now_s=NOW_S)
    for session in (at_bob, turned):
        for number in (0, 2):
            with unchanged(session), pytest.raises(DuplicateMessage):
                session.decrypt(payloads[number], now_s=NOW_S)
    assert turned.decrypt(payloads[1], now_s=NOW_S)[1] == b"1"


@pytest.mark.parametrize("at", [1, 12, 13, 40, 72, 73, 200, 511])
def test_changed_byte_fails_and_leaves_the_state(at: int) -> None:
    """Nonce, header, tag and body are authenticated; a failure costs the session nothing."""
    at_alice, at_bob, rng = confirmed()
    _, payload = at_alice.encrypt(b"genuine", rng=rng, now_s=NOW_S)
    changed = bytearray(payload)
    changed[at] ^= 1
    with unchanged(at_bob), pytest.raises(AuthenticationFailed):
        at_bob.decrypt(bytes(changed), now_s=NOW_S)
    assert at_bob.decrypt(payload, now_s=NOW_S)[1] == b"genuine"


def test_other_sizes_and_types_are_malformed() -> None:
    """Only the fixed sizes and the type byte of a ratchet message get as far as a key."""
    at_alice, at_bob, rng = confirmed()
    _, payload = at_alice.encrypt(b"", rng=rng, now_s=NOW_S)
    for wrong in (
        b"",
        payload[:-1],
        payload + b"\x00",
        b"\x02" + payload[1:],
        b"\x00" + payload[1:],
        payload[:73],
    ):
        with pytest.raises(Malformed):
            at_bob.decrypt(wrong, now_s=NOW_S)


def test_only_the_right_session_recognises_a_payload() -> None:
    """The trial of header keys finds the session, and no other takes the message."""
    at_alice, at_bob, rng = confirmed(1)
    other, _, _ = confirmed(2)
    _, payload = at_alice.encrypt(b"", rng=rng, now_s=NOW_S)
    assert find_session([at_bob], payload)
    assert not find_session([other], payload)
    assert not find_session([at_alice], payload)
    assert not find_session([at_bob], b"")
    assert not find_session([at_bob], b"\x01" + bytes(30))


def test_keys_of_live_chains_are_tried_before_those_of_earlier_ones() -> None:
    """Where a key is an earlier chain's in the first session and the current one's in the last, the last is found."""
    at_alice, before, rng = confirmed()
    at_alice, payload = at_alice.encrypt(b"", rng=rng, now_s=NOW_S)
    _, late = at_alice.encrypt(b"", rng=rng, now_s=NOW_S)
    before, _ = before.decrypt(payload, now_s=NOW_S)
    after = before
    for _ in range(2):
        after, payload = after.encrypt(b"", rng=rng, now_s=NOW_S)
        at_alice, _ = at_alice.decrypt(payload, now_s=NOW_S)
        at_alice, payload = at_alice.encrypt(b"", rng=rng, now_s=NOW_S)
        after, _ = after.decrypt(payload, now_s=NOW_S)
    assert find_session([after], late) is after
    assert find_session([after, before], late) is before


def test_a_late_message_tells_the_epoch_of_its_own_chain() -> None:
    """The chain of a message that comes late may stand on fewer epochs than the current one."""
    at_alice, at_bob, rng = confirmed()
    for _ in range(40):
        at_alice, late = at_alice.encrypt(b"late", rng=rng, now_s=NOW_S)
        at_alice, payload = at_alice.encrypt(b"", rng=rng, now_s=NOW_S)
        at_bob, _ = at_bob.decrypt(payload, now_s=NOW_S)
        epoch = at_bob.pq_epoch.receiving
        assert at_bob.pq_epoch_of(late) == at_bob.pq_epoch_of(payload) == epoch
        at_bob, payload = at_bob.encrypt(b"", rng=rng, now_s=NOW_S)
        at_alice, _ = at_alice.decrypt(payload, now_s=NOW_S)
        at_alice, payload = at_alice.encrypt(b"", rng=rng, now_s=NOW_S)
        at_bob, _ = at_bob.decrypt(payload, now_s=NOW_S)
        if at_bob.pq_epoch.receiving > epoch:
            break
    assert at_bob.pq_epoch.receiving == at_bob.pq_epoch_of(payload) == epoch + 1
    at_bob, content = at_bob.decrypt(late, now_s=NOW_S)
    assert (content, at_bob.pq_epoch_of(late)) == (b"late", epoch)
    with pytest.raises(AuthenticationFailed):
        at_bob.pq_epoch_of(bytes(512))


@pytest.mark.parametrize("is_turn_owed", [True, False])
def test_rolled_back_state_shares_no_key_stream_and_is_noticed(is_turn_owed: bool) -> None:
    """Guards: the nonce enters the key, so two messages of one position share nothing; the second is noticed."""
    at_alice, at_bob, rng = confirmed()
    if not is_turn_owed:
        at_alice, payload = at_alice.encrypt(b"", rng=rng, now_s=NOW_S)
        at_bob, _ = at_bob.decrypt(payload, now_s=NOW_S)
    _, first = at_alice.encrypt(bytes(400), rng=rng, now_s=NOW_S)
    _, second = at_alice.encrypt(bytes(400), rng=rng, now_s=NOW_S)
    same = sum(a == b for a, b in zip(first[73:], second[73:], strict=True))
    assert same < 20
    after, _ = at_bob.decrypt(first, now_s=NOW_S)
    with unchanged(after), pytest.raises(DuplicateMessage):
        after.decrypt(second, now_s=NOW_S)


def test_header_key_of_one_chain_does_not_serve_another() -> None:
    """A peer cannot mix: each header key goes with its own ratchet key, and a new key with none that was used."""
    at_alice, at_bob, rng = confirmed()
    for _ in range(2):
        at_alice, payload = at_alice.encrypt(b"", rng=rng, now_s=NOW_S)
        at_bob, _ = at_bob.decrypt(payload, now_s=NOW_S)
        at_bob, payload = at_bob.encrypt(b"", rng=rng, now_s=NOW_S)
        at_alice, _ = at_alice.decrypt(payload, now_s=NOW_S)
    state = state_of(at_bob)
    assert state.receiving is not None
    current, old, fresh = state.receiving, state.old[-1], X25519KeyPair.generate(rng).public
    mixed: list[tuple[bytes, bytes, type[CryptoError]]] = [
        (current.header_key, fresh, DuplicateMessage),
        (current.header_key, old.public, DuplicateMessage),
        (old.header_key, current.public, DuplicateMessage),
        (old.header_key, fresh, DuplicateMessage),
        (state.next_receiving_header_key, current.public, AuthenticationFailed),
        (state.next_receiving_header_key, old.public, AuthenticationFailed),
    ]
    for header_key, public, error in mixed:
        payload = as_peer(at_bob, Header(public, 0, 5, 0), header_key)
        with unchanged(at_bob), pytest.raises(error, match=r"begun twice|used ratchet key"):
            at_bob.decrypt(payload, now_s=NOW_S)


def test_new_ratchet_key_before_ours_was_answered_is_refused() -> None:
    """The peer cannot honestly turn twice while our half of the step is owed."""
    at_alice, at_bob, rng = confirmed()
    _, payload = at_alice.encrypt(b"", rng=rng, now_s=NOW_S)
    at_bob, _ = at_bob.decrypt(payload, now_s=NOW_S)
    state = state_of(at_bob)
    assert state.sending is None
    header = Header(X25519KeyPair.generate(rng).public, 0, 0, 0)
    payload = as_peer(at_bob, header, state.next_receiving_header_key)
    with unchanged(at_bob), pytest.raises(AuthenticationFailed, match="before the last one"):
        at_bob.decrypt(payload, now_s=NOW_S)


@pytest.mark.parametrize(
    "key", [bytes(32), b"\x01" + bytes(31), b"\xed" + b"\xff" * 30 + b"\x7f", bytes(31) + b"\x80"]
)
def test_bad_ratchet_key_is_refused(key: bytes) -> None:
    """Low order, not reduced, top bit set: also inside an authenticated header."""
    _, at_bob, rng = confirmed()
    at_bob, _ = at_bob.encrypt(b"", rng=rng, now_s=NOW_S)
    payload = as_peer(at_bob, Header(key, 0, 0, 0), state_of(at_bob).next_receiving_header_key)
    with unchanged(at_bob), pytest.raises(InvalidKey):
        at_bob.decrypt(payload, now_s=NOW_S)


def test_unknown_epoch_is_refused() -> None:
    """A header may not name an epoch that was never agreed."""
    _, at_bob, rng = confirmed()
    at_bob, _ = at_bob.encrypt(b"", rng=rng, now_s=NOW_S)
    header = Header(X25519KeyPair.generate(rng).public, 0, 0, 1)
    payload = as_peer(at_bob, header, state_of(at_bob).next_receiving_header_key)
    with unchanged(at_bob), pytest.raises(AuthenticationFailed, match="epoch"):
        at_bob.decrypt(payload, now_s=NOW_S)


def test_sending_half_step_waits_for_the_next_send() -> None:
    """After reading, no new ratchet key exists yet; a send makes one, and the next send keeps it."""
    at_alice, at_bob, rng = confirmed()
    _, payload = at_alice.encrypt(b"", rng=rng, now_s=NOW_S)
    before = state_of(at_bob).own
    at_bob, _ = at_bob.decrypt(payload, now_s=NOW_S)
    assert state_of(at_bob).own is before
    first, _ = at_bob.encrypt(b"", rng=rng, now_s=NOW_S)
    second, _ = first.encrypt(b"", rng=rng, now_s=NOW_S)
    assert state_of(first).own is not before
    assert state_of(second).own is state_of(first).own


def test_old_keys_do_not_open_later_messages() -> None:
    """Healing: who copied a state reads nothing more after both sides have turned."""
    at_alice, at_bob, rng = confirmed()
    stolen = at_bob
    for _ in range(2):
        at_alice, payload = at_alice.encrypt(b"", rng=rng, now_s=NOW_S)
        at_bob, _ = at_bob.decrypt(payload, now_s=NOW_S)
        at_bob, payload = at_bob.encrypt(b"", rng=rng, now_s=NOW_S)
        at_alice, _ = at_alice.decrypt(payload, now_s=NOW_S)
    _, payload = at_alice.encrypt(b"secret again", rng=rng, now_s=NOW_S)
    assert not find_session([stolen], payload)
    with pytest.raises(AuthenticationFailed):
        stolen.decrypt(payload, now_s=NOW_S)


def test_read_keys_are_gone() -> None:
    """Forward secrecy: the state after a message does not open that message again, whatever is tried."""
    at_alice, at_bob, rng = confirmed()
    _, payload = at_alice.encrypt(b"read once", rng=rng, now_s=NOW_S)
    after, _ = at_bob.decrypt(payload, now_s=NOW_S)
    with pytest.raises(Zap2Error):
        Session.decode(after.encode()).decrypt(payload, now_s=NOW_S)


def test_encoding_is_compact_and_exact() -> None:
    """A session without gaps takes less than two kilobytes, and its bytes come back as they were."""
    at_alice, at_bob, _ = confirmed()
    for session in (at_alice, at_bob):
        encoded = session.encode()
        assert len(encoded) < 2000
        assert Session.decode(encoded).encode() == encoded


@pytest.mark.parametrize("encoded", [b"", b"\x90", b"\xc0", bytes(100)])
def test_other_bytes_are_no_session(encoded: bytes) -> None:
    """Damage in the vault is a documented error."""
    with pytest.raises(Malformed):
        Session.decode(encoded)


def test_repr_shows_no_key() -> None:
    """Neither a session nor its parts print keys."""
    at_alice, _ = set_up(new_person(1), new_person(2))
    state = at_alice._state
    shown = (
        repr(at_alice) + repr(state) + repr(state.ratchet) + repr(state.pending) + repr(state.ratchet.sending)
    )
    assert state.ratchet.sending is not None
    for key in (state.ratchet.root_key, state.ratchet.sending.key, state.ratchet.next_sending_header_key):
        assert repr(key)[2:-1] not in shown
        assert key.hex() not in shown
    assert "<secret>" in shown
