"""What must not happen although somebody asks for it: false keys, steps back, messages to accounts that moved."""

from __future__ import annotations

import pytest

from tests.sim.person import Person
from tests.sim.quiet import Quiet, history, states
from zap2.engine import inputs
from zap2.engine.effects import AlertCode, FetchKeys
from zap2.engine.inputs import Failure, KeysFetched
from zap2.errors import NotTrusted
from zap2.ids import conversation_with
from zap2.wire.content import Receipt, ReceiptKind, encode_content


def _keys_of(world: Quiet, person: Person, asked_for: Person) -> KeysFetched:
    """Give what a relay would hand out that puts one account in the place of another, whole and truly signed."""
    account = world.relay.accounts[person.uid]
    return KeysFetched(
        asked_for.uid,
        account.document,
        account.document_signature,
        account.signed_set,
        account.pairs[0][1],
    )


def test_another_accounts_true_keys_are_not_taken_for_a_uid() -> None:
    """Guards the hash: everything that the relay hands out is genuine, and Carl's. Nothing is encrypted to Carl."""
    world = Quiet(people=3)
    ann, ben, carl = world.people.values()
    world.give(ann, inputs.AddContact(ben.uid, ben.number))
    world.say(ann, ben, "for your eyes only")
    assert any(isinstance(request, FetchKeys) for request in ann.requests)
    ann.requests.clear()
    world.give(ann, _keys_of(world, carl, ben))
    assert [alert.code for alert in ann.alerts] == [AlertCode.FALSE_KEYS]
    assert not ann.store.sessions.all()
    assert not ann.requests
    assert states(ann, ben) == ["queued"]


def test_a_receipt_that_comes_late_does_not_take_a_message_back() -> None:
    """That it was read overtakes that it was delivered: what was read stays read."""
    world = Quiet()
    world.befriend()
    ann, ben = world.ann, world.ben
    world.say(ann, ben, "hello")
    world.settle()
    (row,) = history(ben, ann)
    world.give(ben, inputs.MarkTheseRead(conversation_with(ann.uid), (row.id,)))
    world.settle()
    assert states(ann, ben) == ["read"]
    entry = ben.engine.sessions.for_sending(ann.uid)
    assert entry is not None
    content = encode_content([Receipt(ReceiptKind.DELIVERED, (row.id,))])
    _, payload = entry.session.encrypt(content, rng=world.rng.randbytes, now_s=world.now_ms // 1000)
    world.give(ann, inputs.EnvelopesArrived((inputs.ArrivedEnvelope(1, payload),)))
    assert states(ann, ben) == ["read"]


def test_a_failed_message_is_not_tried_again_for_a_verified_contact_that_moved() -> None:
    """Guards the second way to send: what failed before the number moved is held back as what is new."""
    world = Quiet(people=3)
    ann, ben, _ = world.people.values()
    world.befriend()
    world.give(ann, inputs.SetVerified(ben.uid, is_verified=True))
    world.say(ann, ben, "hello")
    ann.requests.clear()
    world.give(ann, inputs.KeysNotFetched(ben.uid, Failure("not-found", is_final=True)))
    (row,) = history(ann, ben)
    assert row.state == "failed"
    with ann.store.transaction():
        ann.store.contacts.set_moved(ben.uid, has_moved=True)
    with pytest.raises(NotTrusted):
        world.give(ann, inputs.Retry(conversation_with(ben.uid), row.id))
    assert states(ann, ben) == ["failed"]


def test_receipts_that_are_owed_to_somebody_who_is_blocked_are_not_sent() -> None:
    """They would tell that the message was read, and when; not even after the block ends."""
    world = Quiet()
    world.befriend()
    ann, ben = world.ann, world.ben
    world.say(ann, ben, "first")
    world.settle()
    world.say(ben, ann, "answer")
    world.settle()
    world.go_offline(ben)
    (row, *_) = history(ben, ann)
    world.give(ben, inputs.MarkTheseRead(conversation_with(ann.uid), (row.id,)))
    world.give(ben, inputs.Block(ann.uid))
    world.give(ben, inputs.Accept(ann.uid))
    world.go_online(ben)
    world.settle()
    assert states(ann, ben) == ["delivered"]


def test_a_gap_is_waited_for_before_it_is_asked_for() -> None:
    """Ten minutes: mail that is merely late makes nobody set a session up anew."""
    world = Quiet()
    world.befriend()
    ann, ben = world.ann, world.ben
    world.say(ann, ben, "hello")
    world.settle()
    world.say(ben, ann, "hello back")
    world.settle()
    world.go_offline(ben)
    world.say(ann, ben, "late")
    world.settle(2)
    world.relay.accounts[ben.uid].mailbox.clear()
    world.say(ann, ben, "in time")
    world.settle(2)
    world.go_online(ben)
    world.settle(2)
    noticed_ms = world.now_ms
    for minutes, repairs in ((1, 0), (8, 0), (11, 1)):
        world.now_ms = noticed_ms + minutes * 60_000
        world.give(ben, inputs.TimePassed())
        assert ben.store.contacts.count_repairs(ann.uid, 0) == repairs, minutes
