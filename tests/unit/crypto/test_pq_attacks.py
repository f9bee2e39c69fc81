"""What forged epochs and hostile records do: a documented error or nothing, and always a bounded state."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.crypto_world import NOW_S, as_valid_peer, confirmed, pq_of, seeded, unchanged
from zap2.crypto import Session
from zap2.crypto.pq_record import FROM_ENCAPSULATOR, FROM_OWNER, PqRecord
from zap2.crypto.pq_state import Answering, Collecting, Due, Offering
from zap2.errors import AuthenticationFailed, InvalidKey, InvalidPadding


def _pass(sender: Session, receiver: Session) -> tuple[Session, Session]:
    sender, payload = sender.encrypt(bytes(80), rng=seeded(sender.encode().hex()), now_s=NOW_S)
    receiver, _ = receiver.decrypt(payload, now_s=NOW_S)
    return sender, receiver


@cache
def _until(state: type, *, is_turn_owed: bool = True) -> tuple[Session, Session]:
    """Give a sender in a state of the ratchet whose next message begins a chain, or does not, and the receiver."""
    sides = list(confirmed("until")[:2])
    for number in range(40):
        sender, receiver = number % 2, 1 - number % 2
        if isinstance(pq_of(sides[sender]), state) and number > 8:
            if is_turn_owed:
                return sides[sender], sides[receiver]
            return _pass(sides[sender], sides[receiver])
        sides[sender], sides[receiver] = _pass(sides[sender], sides[receiver])
    raise AssertionError(state)


@pytest.mark.parametrize("state", [Due, Offering, Collecting, Answering])
@pytest.mark.parametrize("offset", [-1, 1, 2, 2**31])
def test_header_with_an_epoch_that_was_never_agreed_is_refused(state: type, offset: int) -> None:
    """A new chain stands on the root's epoch, or on the next one if that was answered; nothing is tried otherwise."""
    sender, receiver = _until(state)
    root = pq_of(sender).epoch - 1
    payload = as_valid_peer(sender, seeded("forged"), pq_epoch=root + offset)
    with unchanged(receiver), pytest.raises(AuthenticationFailed):
        receiver.decrypt(payload, now_s=NOW_S)
    assert receiver.decrypt(sender.encrypt(b"on", rng=seeded("on"), now_s=NOW_S)[1], now_s=NOW_S)[1] == b"on"


@pytest.mark.parametrize("offset", [-1, 1, 2])
def test_header_with_another_epoch_than_its_chain_is_refused(offset: int) -> None:
    """All messages of a chain say the same epoch, also late ones of an old chain."""
    sender, receiver = _until(Collecting, is_turn_owed=False)
    root = pq_of(sender).epoch - 1
    late = as_valid_peer(sender, seeded("late"), pq_epoch=root + offset)
    with unchanged(receiver), pytest.raises(AuthenticationFailed, match="than its chain"):
        receiver.decrypt(late, now_s=NOW_S)
    sender, _ = sender.encrypt(b"lost", rng=seeded("lost"), now_s=NOW_S)
    receiver, sender = _pass(receiver, sender)
    sender, receiver = _pass(sender, receiver)
    with unchanged(receiver), pytest.raises(AuthenticationFailed, match="than its chain"):
        receiver.decrypt(late, now_s=NOW_S)


def test_fold_by_one_side_only_is_noticed() -> None:
    """Said and not mixed in, mixed in and not said, or another secret: the body does not open, and nothing changed."""
    owner, other = _until(Due)
    due = pq_of(owner)
    assert isinstance(due, Due)
    for extra, said in ((b"", due.epoch), (due.secret, due.epoch - 1), (bytes(32), due.epoch)):
        payload = as_valid_peer(owner, seeded("one-sided"), extra=extra, pq_epoch=said)
        with unchanged(other), pytest.raises(AuthenticationFailed):
            other.decrypt(payload, now_s=NOW_S)
    honest = as_valid_peer(owner, seeded("both"), extra=due.secret, pq_epoch=due.epoch)
    assert other.decrypt(honest, now_s=NOW_S)[0].pq_epoch.receiving == due.epoch


def test_changed_message_of_a_chain_with_an_epoch_leaves_the_epoch_in_flight() -> None:
    """The state was consulted, the body failed: the genuine message still folds."""
    owner, other = _until(Due)
    owner, payload = owner.encrypt(b"fold", rng=seeded("fold"), now_s=NOW_S)
    changed = payload[:-1] + bytes([payload[-1] ^ 1])
    with unchanged(other), pytest.raises(AuthenticationFailed):
        other.decrypt(changed, now_s=NOW_S)
    folded, content = other.decrypt(payload, now_s=NOW_S)
    assert content == b"fold"
    assert folded.pq_epoch.receiving == owner.pq_epoch.sending


def test_forged_ciphertext_ends_in_a_chain_that_does_not_open() -> None:
    """A peer who answers with garbage is the one who cannot read on; the owner learns nothing wrong and stays whole."""
    other, owner = _until(Collecting, is_turn_owed=False)
    owner, other = _pass(owner, other)
    epoch = pq_of(owner).epoch
    assert isinstance(pq_of(owner), Offering)
    record = PqRecord(FROM_ENCAPSULATOR, epoch, 0, 0, bytes(1088)).encode()
    owner, _ = owner.decrypt(as_valid_peer(other, seeded("garbage"), record=record), now_s=NOW_S)
    assert isinstance(pq_of(owner), Due)
    owner, payload = owner.encrypt(b"folded", rng=seeded("folded"), now_s=NOW_S)
    assert owner.pq_epoch.sending == epoch
    with unchanged(other), pytest.raises(AuthenticationFailed):
        other.decrypt(payload, now_s=NOW_S)


def test_hostile_key_is_refused_with_its_message() -> None:
    """A key that is not reduced costs the peer the message that completes it, each time, and nothing else."""
    sender, receiver = _until(Offering)
    epoch = pq_of(receiver).epoch
    record = PqRecord(FROM_OWNER, epoch, 0, 0, b"\xff" * 1184).encode()
    payload = as_valid_peer(sender, seeded("hostile"), record=record)
    with unchanged(receiver), pytest.raises(InvalidKey):
        receiver.decrypt(payload, now_s=NOW_S)
    _, payload = sender.encrypt(b"on", rng=seeded("on"), now_s=NOW_S)
    assert receiver.decrypt(payload, now_s=NOW_S)[1] == b"on"


_RECORDS = st.one_of(
    st.binary(min_size=1, max_size=1200),
    st.builds(
        lambda kind, epoch, first, have, units: PqRecord(
            kind, epoch, first, have, bytes(32 * units)
        ).encode(),
        st.integers(0, 3),
        st.integers(0, 6),
        st.integers(0, 40),
        st.integers(0, 2**37 - 1),
        st.integers(0, 37),
    ),
)


@pytest.mark.parametrize("state", [Due, Offering, Collecting, Answering])
@given(record=_RECORDS)
@settings(max_examples=60, deadline=None)
def test_any_record_of_a_valid_peer_is_bounded_and_harmless(state: type, record: bytes) -> None:
    """Whatever the record: the content or a documented error, a small state, and the honest message still reads."""
    sender, receiver = _until(state)
    honest = sender.encrypt(b"honest", rng=seeded("honest"), now_s=NOW_S)[1]
    before = receiver.encode()
    due = pq_of(sender)
    extra, said = (due.secret, due.epoch) if isinstance(due, Due) else (b"", due.epoch - 1)
    payload = as_valid_peer(sender, seeded("any"), record=record, extra=extra, pq_epoch=said)
    try:
        after, content = receiver.decrypt(payload, now_s=NOW_S)
    except (InvalidPadding, InvalidKey):
        pass
    else:
        assert content == b"x"
        assert len(after.encode()) < 3000
        assert Session.decode(after.encode()).encode() == after.encode()
        after.encrypt(bytes(417), rng=seeded("after"), now_s=NOW_S)
    assert receiver.encode() == before
    assert receiver.decrypt(honest, now_s=NOW_S)[1] == b"honest"


def test_flood_of_records_leaves_a_small_state() -> None:
    """A peer whose every message brings other units fills no memory."""
    sender, receiver = _until(Offering, is_turn_owed=False)
    rng, epoch = seeded("flood"), pq_of(receiver).epoch
    for number in range(1000):
        record = PqRecord(FROM_OWNER, epoch, number % 36, 0, rng(32)).encode()
        payload = as_valid_peer(sender, rng, record=record)
        sender, _ = sender.encrypt(b"", rng=rng, now_s=NOW_S)
        receiver, _ = receiver.decrypt(payload, now_s=NOW_S)
        assert len(receiver.encode()) < 3000


def test_session_without_the_ratchet_refuses_every_epoch() -> None:
    """The core that other people's ratchets are run against stays at epoch 0."""
    sender, receiver = _until(Due)
    state = receiver._state
    bare = Session(
        type(state)(state.version, state.origin, state.is_confirmed, state.pending, state.ratchet, None)
    )
    due = pq_of(sender)
    assert isinstance(due, Due)
    payload = as_valid_peer(sender, seeded("bare"), pq_epoch=due.epoch)
    with unchanged(bare), pytest.raises(AuthenticationFailed, match="has none"):
        bare.decrypt(payload, now_s=NOW_S)
