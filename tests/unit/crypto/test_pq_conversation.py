"""Epochs in conversations: how soon they complete, through loss, silence and the vault, and at which sizes."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from tests.crypto_world import NOW_S, confirmed, new_person, pq_of, seeded, set_up, state_of
from zap2.crypto import PAYLOAD_SIZES_B, Session, accept, initiate, open_setup, pq_ratchet
from zap2.crypto.pq_state import Answering, Collecting, Due, Idle, Offering, PqState
from zap2.crypto.session_state import SessionState

TEXT = bytes(80)


def _pass(sender: Session, receiver: Session, content: bytes = TEXT) -> tuple[Session, Session]:
    """Let one message arrive."""
    sender, payload = sender.encrypt(content, rng=seeded(sender.encode().hex()), now_s=NOW_S)
    receiver, read = receiver.decrypt(payload, now_s=NOW_S)
    assert read == content
    return sender, receiver


def _with(session: Session, pq: PqState | None) -> Session:
    """Give the same session with another post-quantum ratchet, or with none."""
    state = session._state
    return Session(
        SessionState(state.version, state.origin, state.is_confirmed, state.pending, state.ratchet, pq)
    )


def _without(session: Session) -> Session:
    return _with(session, None)


def test_ping_pong_completes_an_epoch_every_fifteen_messages() -> None:
    """With texts of 80 bytes, in the smallest payloads only, through the vault after each message."""
    sides = list(confirmed()[:2])
    rng, sizes, folds = seeded("ping-pong"), set(), []
    for number in range(150):
        sender, receiver = number % 2, 1 - number % 2
        before = sides[sender].pq_epoch.sending
        sides[sender], payload = sides[sender].encrypt(TEXT, rng=rng, now_s=NOW_S)
        sizes.add(len(payload))
        if sides[sender].pq_epoch.sending > before:
            folds.append(number)
        sides[receiver], _ = sides[receiver].decrypt(payload, now_s=NOW_S)
        sides = [Session.decode(side.encode()) for side in sides]
    assert sizes == {512}
    assert len(folds) >= 9
    assert {later - earlier for earlier, later in pairwise(folds)} <= {15, 17}
    assert sides[0].pq_epoch.sending == sides[1].pq_epoch.receiving >= 9


@pytest.mark.parametrize("loss", [0.05, 0.15, 0.3])
@pytest.mark.parametrize("seed", range(4))
def test_epochs_complete_under_loss_and_reordering(loss: float, seed: int) -> None:
    """Guards: units are acknowledged and repeated. With 5 to 30 % lost, what arrives is read and epochs go on."""
    dice = random.Random(f"{seed} {loss}")
    sides = list(confirmed(seed)[:2])
    bare = [_without(side) for side in sides]
    under_way: list[list[tuple[bytes, bytes]]] = [[], []]
    delivered = 0
    for _ in range(400):
        side = dice.randrange(2)
        for _ in range(dice.choice((1, 1, 2, 4))):
            content = dice.randbytes(dice.choice((0, 40, 80, 300)))
            sides[side], payload = sides[side].encrypt(content, rng=dice.randbytes, now_s=NOW_S)
            assert len(payload) == len(bare[side].encrypt(content, rng=dice.randbytes, now_s=NOW_S)[1])
            if dice.random() >= loss:
                under_way[side].append((content, payload))
        while under_way[1 - side] and dice.random() < 0.7:
            at = 0 if dice.random() < 0.7 else dice.randrange(len(under_way[1 - side]))
            content, payload = under_way[1 - side].pop(at)
            if dice.random() < 0.2:
                sides[side] = Session.decode(sides[side].encode())
            sides[side], read = sides[side].decrypt(payload, now_s=NOW_S)
            assert read == content
            delivered += 1
        assert abs(pq_of(sides[0]).epoch - pq_of(sides[1]).epoch) <= 1
    assert delivered > 300
    assert min(side.pq_epoch.sending for side in sides) >= 3


def test_one_sided_chat_waits_and_then_completes() -> None:
    """Nobody answers for long: nothing grows, nothing is lifted, and the first answers complete the epoch."""
    at_alice, at_bob, rng = confirmed()
    for _ in range(300):
        at_alice, payload = at_alice.encrypt(TEXT, rng=rng, now_s=NOW_S)
        assert len(payload) == 512
        at_bob, _ = at_bob.decrypt(payload, now_s=NOW_S)
        assert len(at_alice.encode()) < 1000
        assert len(at_bob.encode()) < 2000
    assert isinstance(pq_of(at_alice), Offering)
    assert isinstance(pq_of(at_bob), Answering)
    for _ in range(4):
        assert at_alice.pq_epoch == (0, 0)
        at_bob, at_alice = _pass(at_bob, at_alice)
    assert isinstance(pq_of(at_alice), Due)
    at_alice, at_bob = _pass(at_alice, at_bob)
    assert at_alice.pq_epoch == (1, 0)
    assert at_bob.pq_epoch == (1, 1)


def test_first_message_carries_most_of_the_first_key() -> None:
    """The slack of a sealed set-up is used, and repetitions of it carry the rest."""
    alice, bob = new_person(1), new_person(2)
    at_alice = initiate(alice.keys, bob.bundle(), now_s=NOW_S, rng=alice.rng)
    payloads = []
    for _ in range(2):
        at_alice, payload = at_alice.encrypt(TEXT, rng=alice.rng, now_s=NOW_S)
        assert len(payload) == 4096
        payloads.append(payload)
    setups = [open_setup(payload, {3: bob.signed}, bob.keys.uid) for payload in payloads]
    at_bob = accept(bob.keys, setups[0], bob.signed, bob.pair)
    at_bob, _ = at_bob.decrypt(setups[0].message, now_s=NOW_S)
    collecting = pq_of(at_bob)
    assert isinstance(collecting, Collecting)
    assert collecting.have.bit_count() == 32
    at_bob, _ = at_bob.decrypt(setups[1].message, now_s=NOW_S)
    assert isinstance(pq_of(at_bob), Answering)
    for _ in range(4):
        at_bob, at_alice = _pass(at_bob, at_alice)
    assert isinstance(pq_of(at_alice), Due)


def test_full_set_up_carries_nothing_and_is_never_lifted() -> None:
    """A content that fills the seal leaves the key to later messages."""
    alice, bob = new_person(1), new_person(2)
    at_alice = initiate(alice.keys, bob.bundle(), now_s=NOW_S, rng=alice.rng)
    for _ in range(25):
        at_alice, payload = at_alice.encrypt(bytes(1126), rng=alice.rng, now_s=NOW_S)
        assert len(payload) == 4096


@pytest.mark.parametrize("content_b", [0, 80, 350, 380, 405, 417, 600, 929, 4001])
def test_sizes_are_those_of_a_session_without_it_but_for_the_documented_lift(content_b: int) -> None:
    """One message in 21 is lifted by one size, and only where 20 had no room for the key."""
    session, _, rng = confirmed()
    with_ratchet, without = _with(session, pq_ratchet.start(is_initiator=True)), _without(session)
    sizes = []
    for _ in range(63):
        with_ratchet, payload = with_ratchet.encrypt(bytes(content_b), rng=rng, now_s=NOW_S)
        without, plain = without.encrypt(bytes(content_b), rng=rng, now_s=NOW_S)
        sizes.append((len(payload), len(plain)))
    lifted = [number for number, (ours, plain) in enumerate(sizes) if ours != plain]
    room_b = sizes[0][1] - 95 - content_b
    in_each = max(0, (room_b - 12) // 32)
    if 20 * in_each >= 37:
        assert lifted == []
        return
    ours_b, plain_b = sizes[20]
    assert PAYLOAD_SIZES_B.index(ours_b) == PAYLOAD_SIZES_B.index(plain_b) + 1
    is_all_carried = 19 * in_each + (room_b + ours_b - plain_b - 12) // 32 >= 37
    assert lifted == ([20, 60] if is_all_carried else [20, 40, 60])


def test_full_messages_complete_epochs_through_lifts() -> None:
    """Texts that leave no room at all: slower, and nothing but the lifted messages carries units."""
    sides = list(confirmed()[:2])
    for number in range(260):
        sides[number % 2], sides[1 - number % 2] = _pass(sides[number % 2], sides[1 - number % 2], bytes(417))
    assert sides[0].pq_epoch.sending >= 1


def test_largest_message_is_not_lifted() -> None:
    """There is no size beyond 65536 bytes."""
    session, _, rng = confirmed()
    for _ in range(22):
        session, payload = session.encrypt(bytes(65536 - 95), rng=rng, now_s=NOW_S)
        assert len(payload) == 65536


def _before_fold() -> tuple[Session, Session]:
    """Give both sides when the first one's next message begins a chain with epoch 1."""
    sides = list(confirmed()[:2])
    turn = 0
    while not (isinstance(pq_of(sides[turn]), Due) and state_of(sides[turn]).sending is None):
        sides[turn], sides[1 - turn] = _pass(sides[turn], sides[1 - turn])
        turn = 1 - turn
    return sides[turn], sides[1 - turn]


def test_chain_with_an_epoch_is_read_from_any_of_its_messages() -> None:
    """Skipped messages of a chain that carries an epoch, and of the chain before it, are read later."""
    owner, other = _before_fold()
    rng = seeded("skipped")
    other, late = other.encrypt(b"late", rng=rng, now_s=NOW_S)
    payloads = []
    for number in range(4):
        owner, payload = owner.encrypt(b"%d" % number, rng=rng, now_s=NOW_S)
        payloads.append(payload)
    for number in (3, 0, 2, 1):
        other, read = other.decrypt(payloads[number], now_s=NOW_S)
        other = Session.decode(other.encode())
        assert read == b"%d" % number
        assert other.pq_epoch.receiving == 1
    owner, read = owner.decrypt(late, now_s=NOW_S)
    assert read == b"late"
    other, owner = _pass(other, owner)
    assert owner.pq_epoch == other.pq_epoch == (1, 1)


def test_chain_with_an_epoch_may_come_before_the_acknowledgement_of_the_ciphertext() -> None:
    """The fold itself says that the ciphertext arrived."""
    owner, other = _before_fold()
    answering = pq_of(other)
    assert isinstance(answering, Answering)
    assert answering.transfer.peer_has.bit_count() < 34
    _, other = _pass(owner, other)
    assert isinstance(pq_of(other), Idle)


def test_owner_folds_at_its_next_turn_and_not_within_a_chain() -> None:
    """The ciphertext completes while the owner's chain goes on: its messages keep their epoch until the peer turns."""
    at_alice, at_bob, rng = confirmed()
    at_alice, at_bob = _pass(at_alice, at_bob)
    answers: list[bytes] = []
    for _ in range(5):
        at_bob, payload = at_bob.encrypt(TEXT, rng=rng, now_s=NOW_S)
        answers.append(payload)
    at_alice, _ = at_alice.decrypt(answers[0], now_s=NOW_S)
    at_alice, at_bob = _pass(at_alice, at_bob)
    for payload in answers[1:]:
        at_alice, _ = at_alice.decrypt(payload, now_s=NOW_S)
    assert isinstance(pq_of(at_alice), Due)
    for _ in range(2):
        at_alice, at_bob = _pass(at_alice, at_bob)
        assert at_alice.pq_epoch.sending == 0
    assert isinstance(pq_of(at_bob), Answering)
    at_bob, at_alice = _pass(at_bob, at_alice)
    at_alice, at_bob = _pass(at_alice, at_bob)
    assert (at_alice.pq_epoch.sending, at_bob.pq_epoch.receiving) == (1, 1)


def test_secret_of_a_folded_epoch_is_gone() -> None:
    """Neither side keeps what it mixed in, nor the seed that gave it."""
    owner, other = _before_fold()
    due = pq_of(owner)
    assert isinstance(due, Due)
    assert due.secret in owner.encode()
    assert due.secret in other.encode()
    owner, other = _pass(owner, other)
    assert due.secret not in owner.encode() + other.encode()


def test_root_is_another_one_than_without_the_epoch() -> None:
    """The same step with and without the secret gives unrelated keys, so that X25519 alone reads nothing."""
    owner, _ = _before_fold()
    folded, _ = owner.encrypt(TEXT, rng=seeded("same"), now_s=NOW_S)
    classical, _ = _without(owner).encrypt(TEXT, rng=seeded("same"), now_s=NOW_S)
    assert folded.pq_epoch.sending == 1
    with_epoch, without = state_of(folded), state_of(classical)
    assert with_epoch.own is not None
    assert without.own is not None
    assert with_epoch.own.public == without.own.public
    assert with_epoch.root_key != without.root_key
    assert with_epoch.next_sending_header_key != without.next_sending_header_key


def test_lost_answers_to_a_set_up_do_not_stop_the_epoch() -> None:
    """The initiator repeats its set-up while the responder's answers are lost, and both go on."""
    at_alice, at_bob = set_up(new_person(1), new_person(2))
    rng = seeded("lost answers")
    for _ in range(3):
        at_bob, _ = at_bob.encrypt(TEXT, rng=rng, now_s=NOW_S)
    for number in range(40):
        sides = (at_bob, at_alice) if number % 2 == 0 else (at_alice, at_bob)
        first, second = _pass(*sides)
        at_bob, at_alice = (first, second) if number % 2 == 0 else (second, first)
    assert at_alice.pq_epoch.sending >= 2
