"""The post-quantum ratchet alone: what it mixes in, and what it sends when."""

from __future__ import annotations

import hashlib

import pytest

from tests.crypto_world import seeded
from zap2.crypto import pq_ratchet
from zap2.crypto.pq_record import FROM_ENCAPSULATOR, FROM_OWNER, PqRecord
from zap2.crypto.pq_state import Answering, Collecting, Due, Idle, Offering, PqState
from zap2.crypto.primitives import mlkem768_from_seed
from zap2.errors import AuthenticationFailed, InvalidKey, InvalidPadding

ROOM_B = 331  # of a text of 80 bytes in 512 bytes, less the frame's 6 bytes
ALL_ROOM_B = 2000
RNG = seeded("pq")


def _hand_over(sender: PqState, receiver: PqState, room_b: int = ALL_ROOM_B) -> tuple[PqState, PqState]:
    """Let one message of the sender's arrive."""
    sender, record = pq_ratchet.write(sender, room_b, rng=RNG)
    if record:
        receiver = pq_ratchet.read(receiver, record, chain_epoch=sender.epoch - 1)
    return sender, receiver


def _answered() -> tuple[PqState, PqState]:
    """Give an owner who is due and the encapsulator who has answered, in epoch 1."""
    owner, other = pq_ratchet.start(is_initiator=True), pq_ratchet.start(is_initiator=False)
    owner, other = _hand_over(owner, other)
    other, owner = _hand_over(other, owner)
    assert isinstance(owner, Due)
    assert isinstance(other, Answering)
    return owner, other


def test_secret_is_the_documented_hash_on_both_sides() -> None:
    """SHA-256 of label, epoch, key, ciphertext and shared secret, computed here from what was seen on the wire."""
    seed = seeded("seed")(64)
    owner, other = pq_ratchet.start(is_initiator=True), pq_ratchet.start(is_initiator=False)
    owner, offer = pq_ratchet.write(owner, ALL_ROOM_B, rng=seeded("seed"))
    other = pq_ratchet.read(other, offer, chain_epoch=0)
    other, answer = pq_ratchet.write(other, ALL_ROOM_B, rng=RNG)
    owner = pq_ratchet.read(owner, answer, chain_epoch=0)
    private = mlkem768_from_seed(seed)
    key, ciphertext = PqRecord.decode(offer).units, PqRecord.decode(answer).units
    assert key == private.public_key().public_bytes_raw()
    shared = private.decapsulate(ciphertext)
    expected = hashlib.sha256(b"Zap2 v1 pq epoch\x00\x00\x00\x01" + key + ciphertext + shared).digest()
    after_owner, mixed_by_owner = pq_ratchet.begin_chain(owner)
    after_other, mixed_by_other = pq_ratchet.follow_chain(other, 1)
    assert mixed_by_owner == mixed_by_other == expected
    assert isinstance(after_owner, Collecting)
    assert isinstance(after_other, Idle)
    assert (after_owner.epoch, after_other.epoch) == (2, 2)


def test_roles_swap_with_each_epoch() -> None:
    """The initiator owns the key of odd epochs, the responder that of even ones."""
    sides: list[PqState] = [pq_ratchet.start(is_initiator=True), pq_ratchet.start(is_initiator=False)]
    for epoch in range(1, 6):
        owner, other = 1 - epoch % 2, epoch % 2
        sides[owner], sides[other] = _hand_over(sides[owner], sides[other])
        assert isinstance(sides[owner], Offering)
        sides[other], sides[owner] = _hand_over(sides[other], sides[owner])
        sides[owner], ours = pq_ratchet.begin_chain(sides[owner])
        sides[other], theirs = pq_ratchet.follow_chain(sides[other], epoch)
        assert ours == theirs != b""


def test_only_a_due_epoch_folds_and_only_once() -> None:
    """Chains in between mix nothing in."""
    owner, other = _answered()
    begun, secret = pq_ratchet.begin_chain(owner)
    assert len(secret) == 32
    for state in (begun, other, pq_ratchet.start(is_initiator=True), pq_ratchet.start(is_initiator=False)):
        assert pq_ratchet.begin_chain(state) == (state, b"")
        assert pq_ratchet.follow_chain(state, state.epoch - 1) == (state, b"")


def test_epoch_that_was_not_answered_is_refused() -> None:
    """Neither the one in flight before the ciphertext exists, nor its owner's, nor past or far ones."""
    owner, other = _answered()
    begun, _ = pq_ratchet.begin_chain(owner)
    for state, epochs in (
        (pq_ratchet.start(is_initiator=False), (1, 2, 2**32 - 1)),
        (pq_ratchet.start(is_initiator=True), (1, 2)),
        (owner, (1, 2)),
        (other, (2, 2**32 - 1)),
        (begun, (0, 2, 3)),
    ):
        for epoch in epochs:
            with pytest.raises(AuthenticationFailed):
                pq_ratchet.follow_chain(state, epoch)


def test_missing_units_are_repeated_and_others_are_not() -> None:
    """Only what the peer has not acknowledged comes again."""
    owner, other = pq_ratchet.start(is_initiator=True), pq_ratchet.start(is_initiator=False)
    sent = []
    for _ in range(4):
        owner, record = pq_ratchet.write(owner, ROOM_B, rng=RNG)
        sent.append(record)
    assert [PqRecord.decode(record).first for record in sent] == [0, 9, 18, 27]
    for record in (sent[3], sent[0]):
        other = pq_ratchet.read(other, record, chain_epoch=0)
    other, owner = _hand_over(other, owner)
    repeated = []
    for _ in range(4):
        owner, record = pq_ratchet.write(owner, ROOM_B, rng=RNG)
        repeated.append(PqRecord.decode(record))
    indices = [range(record.first, record.first + len(record.units) // 32) for record in repeated]
    assert indices[:3] == [range(36, 37), range(9, 18), range(18, 27)]
    for again in repeated[:3]:
        other = pq_ratchet.read(other, again.encode(), chain_epoch=0)
    assert isinstance(other, Answering)


def test_unit_that_is_there_stays_as_it_came() -> None:
    """A repetition with other bytes changes nothing."""
    state = pq_ratchet.start(is_initiator=False)
    first = PqRecord(FROM_OWNER, 1, 1, 0, b"\x01" * 64)
    overlap = PqRecord(FROM_OWNER, 1, 0, 0, b"\x02" * 128)
    for record in (first, overlap, first):
        state = pq_ratchet.read(state, record.encode(), chain_epoch=0)
    assert isinstance(state, Collecting)
    assert state.received == b"\x02" * 32 + b"\x01" * 64 + b"\x02" * 32
    assert state.have == 0b1111


def test_record_of_an_earlier_epoch_is_passed_over() -> None:
    """A late record of the last epoch neither acts nor fails."""
    owner, other = _answered()
    _, late = pq_ratchet.write(other, ALL_ROOM_B, rng=RNG)
    begun, _ = pq_ratchet.begin_chain(owner)
    assert pq_ratchet.read(begun, late, chain_epoch=0) is begun


@pytest.mark.parametrize("chain_epoch", [1, 2, 2**32 - 2])
def test_record_of_another_epoch_than_its_chain_is_refused(chain_epoch: int) -> None:
    """An honest record is of the epoch after its chain's."""
    record = PqRecord(FROM_OWNER, 1, 0, 0, bytes(32)).encode()
    with pytest.raises(InvalidPadding):
        pq_ratchet.read(pq_ratchet.start(is_initiator=False), record, chain_epoch=chain_epoch)


def test_record_of_ones_own_side_is_refused() -> None:
    """The peer of an owner encapsulates, and the other way round."""
    owner, other = _answered()
    for state, kind in (
        (owner, FROM_OWNER),
        (other, FROM_ENCAPSULATOR),
        (pq_ratchet.start(is_initiator=True), FROM_OWNER),
        (pq_ratchet.start(is_initiator=False), FROM_ENCAPSULATOR),
    ):
        with pytest.raises(InvalidPadding):
            pq_ratchet.read(state, PqRecord(kind, 1, 0, 0, bytes(32)).encode(), chain_epoch=0)


def test_key_that_is_not_reduced_is_refused_when_it_is_complete() -> None:
    """FIPS 203's check runs on what was put together."""
    state = pq_ratchet.start(is_initiator=False)
    record = PqRecord(FROM_OWNER, 1, 0, 0, b"\xff" * 1184).encode()
    with pytest.raises(InvalidKey):
        pq_ratchet.read(state, record, chain_epoch=0)


def test_larger_message_is_wanted_only_after_twenty_without_room() -> None:
    """Not while the units fit, not with nothing to hand over, and once in 20 messages."""
    tight, roomy = pq_ratchet.start(is_initiator=True), pq_ratchet.start(is_initiator=True)
    lifts = []
    for number in range(63):
        lifts += [number] if pq_ratchet.wants_lift(tight, 7) else []
        assert not pq_ratchet.wants_lift(roomy, ROOM_B)
        tight, record = pq_ratchet.write(tight, 7, rng=RNG)
        assert record == b""
        roomy, _ = pq_ratchet.write(roomy, ROOM_B, rng=RNG)
    assert lifts == [20, 40, 60]
    waiting = pq_ratchet.start(is_initiator=False)
    for _ in range(30):
        waiting, _ = pq_ratchet.write(waiting, 7, rng=RNG)
        assert not pq_ratchet.wants_lift(waiting, 7)


@pytest.mark.parametrize("room_b", [0, 1, 11, 12, 43, 44, 75, 76, 331, 2000])
def test_record_never_exceeds_the_room(room_b: int) -> None:
    """In every state."""
    owner, other = _answered()
    begun, _ = pq_ratchet.begin_chain(owner)
    collecting, _ = pq_ratchet.write(pq_ratchet.start(is_initiator=True), 100, rng=RNG)
    for state in (owner, other, begun, collecting, Idle(2), Collecting(1, bytes(32), 1)):
        _, record = pq_ratchet.write(state, room_b, rng=RNG)
        assert len(record) <= room_b
        if record:
            assert PqRecord.decode(record).epoch == state.epoch


def test_states_show_no_secret() -> None:
    """Neither a secret nor a seed is printed."""
    owner, other = _answered()
    offering, _ = pq_ratchet.write(pq_ratchet.start(is_initiator=True), 100, rng=RNG)
    assert isinstance(offering, Offering)
    assert [repr(state) for state in (owner, other, offering)] == [
        "Due(<secret>)",
        "Answering(<secret>)",
        "Offering(<secret>)",
    ]
    assert repr(offering.key) == "MLKEM768KeyPair(<secret>)"
