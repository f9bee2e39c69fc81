"""Attacks on the beginning of sessions, tried on whole engines: replayed, outdated, colliding and forged set-ups."""

from __future__ import annotations

from copy import deepcopy
from itertools import permutations

import pytest

from tests.sim.faults import FusedConnection
from tests.sim.person import Person
from tests.sim.quiet import DAY_MS, Quiet, states, texts
from zap2.crypto import Identity, IdentityKeys, PrekeyBundle, SignedPrekeySet, initiate, is_sealed_setup
from zap2.engine import inputs
from zap2.engine.effects import AlertCode
from zap2.vault.container import memory_database
from zap2.vault.sql import Connection
from zap2.wire.content import Opening, Text, encode_content


def _arrive(world: Quiet, person: Person, *payloads: bytes) -> None:
    arrived = tuple(inputs.ArrivedEnvelope(1, payload) for payload in payloads)
    world.give(person, inputs.EnvelopesArrived(arrived))


def _sending_id(person: Person) -> bytes:
    (sending,) = [row.id for row in person.store.sessions.all() if not row.is_receive_only]
    return sending


def _in_mailbox(world: Quiet, person: Person) -> list[bytes]:
    return [mail.payload for mail in world.relay.accounts[person.uid].mailbox]


# ------------------------------------------------------------------------------------------------------ replay


@pytest.mark.parametrize("with_pair", [True, False])
@pytest.mark.parametrize("is_session_gone", [False, True])
def test_a_replayed_setup_is_refused(with_pair: bool, is_session_gone: bool) -> None:
    """Guards: the hash of a set-up that was taken up is remembered as long as its signed set, pair or no pair.

    The same bytes come again, and bytes of the same set-up that never came before; also after the session ended.
    """
    world = Quiet()
    world.befriend()
    ann, ben = world.ann, world.ben
    if not with_pair:
        world.relay.accounts[ben.uid].pairs.clear()
    world.go_offline(ben)
    world.say(ann, ben, "first")
    world.say(ann, ben, "second")
    world.settle(3)
    first, second = _in_mailbox(world, ben)
    assert is_sealed_setup(first)
    assert is_sealed_setup(second)
    assert ann.engine.sessions.for_sending(ben.uid) is not None
    assert ann.store.sessions.all()
    world.relay.accounts[ben.uid].mailbox.clear()
    _arrive(world, ben, first)
    before = [row.id for row in ben.store.sessions.all()]
    assert len(before) == 1
    if is_session_gone:
        with ben.store.transaction():
            ben.store.sessions.remove(before[0])
            ben.store.sessions.forget_envelopes_before(world.now_ms + DAY_MS)
        ben.engine = type(ben.engine)(ben.store, world.rng.randbytes)
        before = []
        _arrive(world, ben, second)
        assert texts(ben, ann) == ["first"]
    _arrive(world, ben, first, first)
    assert [row.id for row in ben.store.sessions.all()] == before
    assert texts(ben, ann) == ["first"]
    assert ben.store.contacts.count_repairs(ann.uid, 0) == 0


def test_a_pair_that_the_relay_hands_out_twice_begins_one_session() -> None:
    """Guards: a pair is gone in the transaction of the first message that it decrypted."""
    world = Quiet(people=3)
    ann, ben, carl = world.people.values()
    pairs = list(world.relay.accounts[ben.uid].pairs)
    for person in (ann, carl):
        world.relay.accounts[ben.uid].pairs[:] = pairs
        world.give(person, inputs.AddContact(ben.uid, ben.number))
        world.say(person, ben, f"from {person.name}")
        world.settle(3)
    assert texts(ben, ann) == ["from p0"]
    assert ben.store.contacts.get(carl.uid) is None
    assert len(ben.store.sessions.all()) == 1


# ------------------------------------------------------------------------------------------------ signed sets


def test_a_lower_sid_than_one_used_before_is_refused() -> None:
    """Guards: the highest `sid` of a contact is remembered with the session that it began."""
    world = Quiet()
    ann, ben = world.ann, world.ben
    account = world.relay.accounts[ben.uid]
    old_set = account.signed_set
    world.now_ms += 7 * DAY_MS
    world.settle(3)
    assert account.sid == 2
    world.befriend()
    world.say(ann, ben, "on the second set")
    world.settle(3)
    account.signed_set = old_set
    world.give(ann, inputs.Repair(ben.uid))
    before = _sending_id(ann)
    world.settle(3)
    assert _sending_id(ann) == before
    assert [alert.code for alert in ann.alerts] == [AlertCode.FALSE_KEYS]


def test_an_expired_set_is_refused() -> None:
    """Guards: whoever writes first compares `expires` with its own clock, however the relay presents the set."""
    world = Quiet()
    ann, ben = world.ann, world.ben
    account = world.relay.accounts[ben.uid]
    old_set = account.signed_set
    expires_ms = SignedPrekeySet.decode(old_set).expires_s * 1000
    world.befriend()
    world.now_ms = expires_ms
    world.settle(3)
    account.signed_set = old_set
    world.say(ann, ben, "too late")
    world.settle(2)
    assert states(ann, ben) == ["queued"]
    assert AlertCode.FALSE_KEYS in [alert.code for alert in ann.alerts]
    assert ann.store.sessions.all() == []


# ------------------------------------------------------------------------------------------------- collision

_EVENTS = ("ann writes", "ben writes", "ann 0", "ann 1", "ben 0", "ben 1")
"""What can happen once both have written first: each writes again, and reads the other's two messages."""


def _interleavings() -> list[tuple[str, ...]]:
    return [
        order
        for order in permutations(_EVENTS)
        if order.index("ann writes") < order.index("ben 1")
        and order.index("ben writes") < order.index("ann 1")
    ]


def _collision() -> tuple[Quiet, Connection, Connection]:
    """Let both write first at once: two sessions, neither of which the other side knows yet."""
    world = Quiet()
    world.befriend()
    for person, other in ((world.ann, world.ben), (world.ben, world.ann)):
        world.say(person, other, f"{person.name} 0")
    for person in (world.ann, world.ben):
        while person.requests:
            world.give(person, world.relay.answer(person.uid, person.requests.popleft()))
    return world, world.snapshot(world.ann), world.snapshot(world.ben)


def _copy(snapshot: Connection) -> Connection:
    copy = memory_database()
    FusedConnection(snapshot).backup(copy)
    return copy


@pytest.mark.parametrize("part", range(4))
def test_simultaneous_setup_converges_in_every_interleaving(part: int) -> None:
    """Guards: both send on the session with the smaller id, whatever arrived first, and receive on both.

    Two messages each, of which the second may be written before or after the other side's came: all 180 orders of
    writing and reading, also those that turn the order of a sender's messages round. Whose session wins is random;
    exchanging the names gives the other half of the cases. The orders are shared out among four cases.
    """
    world, of_ann, of_ben = _collision()
    ann, ben = world.ann, world.ben
    payloads = {person.name: _in_mailbox(world, other) for person, other in ((ann, ben), (ben, ann))}
    winner = min(_sending_id(ann), _sending_id(ben))
    at_relay = world.relay.accounts
    orders = _interleavings()
    assert len(orders) == 180
    for order in orders[part::4]:
        world.relay.accounts = deepcopy(at_relay)
        for person, snapshot in ((ann, of_ann), (ben, of_ben)):
            world.relay.accounts[person.uid].mailbox.clear()
            world.roll_back(person, _copy(snapshot))
            person.answers.clear()
        sent = {name: list(first) for name, first in payloads.items()}
        for event in order:
            name, what = event.split()
            person, other = (ann, ben) if name == "ann" else (ben, ann)
            if what == "writes":
                world.say(person, other, f"{person.name} 1")
                *_, newest = person.store.outbox.due(world.now_ms, 10)
                sent[person.name].append(newest.payload)
            else:
                _arrive(world, person, sent[other.name][int(what)])
        for person in (ann, ben):
            world.go_online(person)
        world.settle(2)
        world.say(ann, ben, "p0 2")
        world.say(ben, ann, "p1 2")
        world.settle(4)
        assert _sending_id(ann) == _sending_id(ben) == winner, order
        assert texts(ben, ann) == ["p0 0", "p0 1", "p0 2"], order
        assert texts(ann, ben) == ["p1 0", "p1 1", "p1 2"], order
        assert set(states(ann, ben) + states(ben, ann)) == {"delivered"}, order


# ----------------------------------------------------------------------------------------------------- reset


def _bundle(world: Quiet, person: Person) -> PrekeyBundle:
    account = world.relay.accounts[person.uid]
    identity = Identity.parse(account.document, account.document_signature)
    return PrekeyBundle(identity, SignedPrekeySet.decode(account.signed_set), None)


def _posing(world: Quiet, victim: Person) -> IdentityKeys:
    """Make keys that show another account's true document; of its private keys they have none."""
    keys = IdentityKeys.generate(world.rng.randbytes)
    genuine = world.relay.accounts[victim.uid]
    forged = object.__new__(IdentityKeys)
    for name in IdentityKeys.__slots__:
        object.__setattr__(forged, name, getattr(keys, name))
    object.__setattr__(forged, "identity", Identity(genuine.document, genuine.document_signature))
    assert forged.uid == victim.uid
    return forged


def test_a_reset_without_the_identity_keys_is_impossible() -> None:
    """Guards: the first agreement of a set-up takes the identity key of whoever the document names.

    The relay knows Ann's document and Ben's prekeys, and writes a set-up as Ann that takes the session's place.
    """
    world = Quiet()
    world.befriend()
    ann, ben = world.ann, world.ben
    for _ in range(2):
        world.say(ann, ben, "from ann")
        world.say(ben, ann, "from ben")
        world.settle(3)
    before, count = _sending_id(ben), len(texts(ben, ann))
    now_s = world.now_ms // 1000
    text = Text(bytes(16), 2, world.now_ms, "forged")
    for keys, is_genuine in ((_posing(world, ann), False), (ann.engine.keys, True)):
        session = initiate(keys, _bundle(world, ben), now_s=now_s, rng=world.rng.randbytes)
        content = encode_content([Opening(world.now_ms, before, 0), text])
        _, payload = session.encrypt(content, rng=world.rng.randbytes, now_s=now_s)
        _arrive(world, ben, payload)
        # The same by whoever holds Ann's keys is a repair: what is refused above is the forgery alone.
        assert (_sending_id(ben) != before) == is_genuine
        assert len(texts(ben, ann)) == count + is_genuine
        assert (AlertCode.REPAIRED in [alert.code for alert in ben.alerts]) == is_genuine


def test_a_reset_inside_a_session_does_nothing() -> None:
    """Guards: an Opening counts when its set-up is taken up, and nowhere else."""
    world = Quiet()
    world.befriend()
    ann, ben = world.ann, world.ben
    world.say(ann, ben, "hello")
    world.settle(3)
    world.say(ben, ann, "hello")
    world.settle()
    entry = ann.engine.sessions.for_sending(ben.uid)
    assert entry is not None
    content = encode_content([Opening(world.now_ms, entry.session.session_id, 0)])
    _, payload = entry.session.encrypt(content, rng=world.rng.randbytes, now_s=world.now_ms // 1000)
    before = [row.id for row in ben.store.sessions.all()], ben.store.contacts.get(ann.uid)
    repairs = ben.store.contacts.count_repairs(ann.uid, 0, is_own=False)
    _arrive(world, ben, payload)
    assert ([row.id for row in ben.store.sessions.all()], ben.store.contacts.get(ann.uid)) == before
    assert ben.store.contacts.count_repairs(ann.uid, 0, is_own=False) == repairs
    assert ben.store.outbox.count() == 0
    assert ben.alerts == []
