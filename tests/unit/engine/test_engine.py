"""What the engine decides, one named case each, in a world without faults."""

from __future__ import annotations

import pytest

from tests.sim.quiet import DAY_MS, Quiet, history, states
from tests.sim.relay import Malice
from zap2.engine import inputs
from zap2.engine.effects import AlertCode, SendEnvelope
from zap2.engine.sealing import ACCOUNT_GONE, BLOCKED
from zap2.errors import InvalidMessage, NotTrusted, UnknownConversation
from zap2.ids import Uid, conversation_with
from zap2.wire.content import Receipt, ReceiptKind, encode_content


def test_a_message_goes_through_every_state_to_read() -> None:
    world = Quiet()
    world.befriend()
    ann, ben = world.ann, world.ben
    world.go_offline(ben)
    world.say(ann, ben, "hello")
    assert states(ann, ben) == ["queued"]
    world.settle()
    assert states(ann, ben) == ["sent"]
    world.go_online(ben)
    world.settle()
    assert states(ann, ben) == ["delivered"]
    world.give(ben, inputs.MarkTheseRead(conversation_with(ann.uid), (history(ben, ann)[-1].id,)))
    world.settle()
    assert states(ann, ben) == ["read"]


def test_a_first_chat_uses_up_one_pair_of_the_receiver_and_none_of_the_sender() -> None:
    world = Quiet()
    before = {p.name: p.store.prekeys.count_one_time() for p in world.people.values()}
    world.befriend()
    world.say(world.ann, world.ben, "hello")
    world.settle()
    world.say(world.ben, world.ann, "hello back")
    world.settle()
    assert world.ben.store.prekeys.count_one_time() == before["p1"] - 1
    assert world.ann.store.prekeys.count_one_time() == before["p0"]


def test_pairs_are_made_anew_before_they_run_out_and_never_with_an_old_id() -> None:
    world = Quiet(people=8)
    reader = world.ben
    everybody = [p for p in world.people.values() if p is not reader]
    for person in everybody:
        world.give(person, inputs.AddContact(reader.uid, reader.number))
        world.say(person, reader, "hello")
        world.settle(4)
        assert world.relay.accounts[reader.uid].pairs, "somebody would have found no pair"
    assert len(reader.store.sessions.all()) == len(everybody)
    oids = [oid for oid, _ in reader.store.prekeys.unpublished_one_time(100)]
    assert oids == []
    assert reader.store.settings.get_number("next-oid") > 6


def test_the_signed_set_rotates_weekly_and_old_ones_go_after_their_grace() -> None:
    world = Quiet()
    ben = world.ben
    assert [row.sid for row in ben.store.prekeys.signed_sets()] == [1]
    world.now_ms += 7 * DAY_MS
    world.give(ben, inputs.TimePassed())
    world.settle(3)
    assert [row.sid for row in ben.store.prekeys.signed_sets()] == [2, 1]
    assert world.relay.accounts[ben.uid].sid == 2
    world.now_ms += 31 * DAY_MS
    world.give(ben, inputs.TimePassed())
    world.settle(3)
    assert 1 not in [row.sid for row in ben.store.prekeys.signed_sets()]


def test_both_sides_writing_first_at_once_settle_on_one_session() -> None:
    """Each side has a session of its own making in flight; afterwards both send on the same one."""
    world = Quiet()
    world.befriend()
    ann, ben = world.ann, world.ben
    for _ in range(3):
        world.say(ann, ben, "from ann")
        world.say(ben, ann, "from ben")
    world.settle()
    world.say(ann, ben, "after")
    world.say(ben, ann, "after")
    world.settle()
    senders = [next(s.id for s in p.store.sessions.all() if not s.is_receive_only) for p in (ann, ben)]
    assert senders[0] == senders[1]
    assert len(history(ann, ben)) == len(history(ben, ann)) == 8
    assert set(states(ann, ben)) == set(states(ben, ann)) == {"delivered"}


def test_a_strangers_message_is_a_request_without_any_sign_to_them() -> None:
    world = Quiet()
    ann, ben = world.ann, world.ben
    world.give(ann, inputs.AddContact(ben.uid, ben.number))
    world.say(ann, ben, "do you know me?")
    world.settle()
    contact = ben.store.contacts.get(ann.uid)
    assert contact is not None
    assert contact.state == "request"
    assert contact.number == ann.number, "the claimed number was checked with the directory"
    world.give(ben, inputs.MarkTheseRead(conversation_with(ann.uid), (history(ben, ann)[-1].id,)))
    world.settle()
    assert states(ann, ben) == ["sent"], "no receipt before the request is accepted"
    world.give(ben, inputs.Accept(ann.uid))
    world.settle()
    assert states(ann, ben) == ["read"]


def test_answering_a_request_accepts_it() -> None:
    world = Quiet()
    ann, ben = world.ann, world.ben
    world.give(ann, inputs.AddContact(ben.uid, ben.number))
    world.say(ann, ben, "hello?")
    world.settle()
    world.say(ben, ann, "hello!")
    world.settle()
    contact = ben.store.contacts.get(ann.uid)
    assert contact is not None
    assert contact.state == "accepted"
    assert states(ann, ben) == ["delivered"]


def test_what_a_blocked_person_sends_is_not_stored_and_not_confirmed() -> None:
    world = Quiet()
    world.befriend()
    world.say(world.ann, world.ben, "before")
    world.settle()
    world.give(world.ben, inputs.Block(world.ann.uid))
    world.say(world.ann, world.ben, "after")
    world.settle()
    assert [row.text for row in history(world.ben, world.ann)] == ["before"]
    assert states(world.ann, world.ben) == ["delivered", "sent"]
    with pytest.raises(InvalidMessage):
        world.say(world.ben, world.ann, "you are blocked")


def test_what_waits_for_a_person_who_is_blocked_does_not_go_out() -> None:
    """A text without a session, and texts that are encrypted already: all fail and say why, and stay failed."""
    world = Quiet(people=3)
    ann, ben, carl = world.people.values()
    world.befriend()
    world.say(ann, ben, "before")
    world.settle()
    world.go_offline(ann)
    world.give(ann, inputs.AddContact(carl.uid, carl.number))
    world.say(ann, ben, "sealed and not sent")
    world.say(ann, carl, "not even sealed")
    for other in (ben, carl):
        world.give(ann, inputs.Block(other.uid))
        row = history(ann, other)[-1]
        assert (row.state, row.failure) == ("failed", BLOCKED)
    world.go_online(ann)
    world.settle()
    assert [row.text for row in history(ben, ann)] == ["before"]
    assert history(carl, ann) == []
    with pytest.raises(InvalidMessage):
        world.give(ann, inputs.Retry(conversation_with(ben.uid), history(ann, ben)[-1].id))
    for other in (ben, carl):
        world.give(ann, inputs.Accept(other.uid))
        world.give(ann, inputs.Retry(conversation_with(other.uid), history(ann, other)[-1].id))
    world.settle()
    assert [row.text for row in history(ben, ann)] == ["before", "sealed and not sent"]
    assert [row.text for row in history(carl, ann)] == ["not even sealed"]


def test_a_session_with_a_blocked_person_is_not_repaired() -> None:
    world = Quiet()
    world.befriend()
    ann, ben = world.ann, world.ben
    world.say(ann, ben, "hello")
    world.settle()
    world.go_offline(ann)
    world.give(ann, inputs.Repair(ben.uid))
    world.give(ann, inputs.Block(ben.uid))
    world.relay.ways.clear()
    world.go_online(ann)
    world.settle()
    assert world.relay.ways == []


def test_a_number_that_somebody_claims_falsely_is_not_shown_as_theirs() -> None:
    world = Quiet(people=3)
    ann, ben, carl = world.people.values()
    world.befriend()
    with ann.store.transaction():
        ann.store.settings.put_text("number", carl.number)
    world.say(ann, ben, "I am Carl")
    world.settle()
    contact = ben.store.contacts.get(ann.uid)
    assert contact is not None
    assert contact.number == ann.number
    assert AlertCode.FALSE_NUMBER in [alert.code for alert in ben.alerts]


def test_a_stranger_costs_one_look_up_and_raises_no_alert() -> None:
    """Somebody who was not accepted claims number after number: the directory is asked once, nobody is alarmed."""
    world = Quiet(people=3)
    ann, ben, _ = world.people.values()
    world.give(ann, inputs.AddContact(ben.uid, ben.number))
    for number in range(10):
        with ann.store.transaction():
            ann.store.settings.put_text("number", f"+49151123450{number:02d}")
        world.say(ann, ben, f"claim {number}")
        world.settle(2)
    contact = ben.store.contacts.get(ann.uid)
    assert contact is not None
    assert contact.claim_count == 1
    assert ben.alerts == []


def test_a_number_that_moves_away_from_a_verified_contact_is_not_followed() -> None:
    world = Quiet(people=3)
    ann, ben, carl = world.people.values()
    world.befriend()
    world.give(ann, inputs.SetVerified(ben.uid, is_verified=True))
    with pytest.raises(NotTrusted):
        world.give(ann, inputs.AddContact(carl.uid, ben.number))
    assert ann.store.contacts.get(carl.uid) is None


def test_a_verified_contact_whose_number_moves_gets_nothing_until_the_person_accepts() -> None:
    """Carl signs up with Ben's number and writes: his message is shown, Ben's is held back, and nobody is renamed."""
    world = Quiet(people=3)
    ann, ben, carl = world.people.values()
    world.befriend()
    world.say(ann, ben, "hello")
    world.settle()
    world.give(ann, inputs.SetVerified(ben.uid, is_verified=True))
    world.relay.accounts[carl.uid].number = ben.number
    world.relay.accounts[ben.uid].number = "+4915199999999"
    with carl.store.transaction():
        carl.store.settings.put_text("number", ben.number)
    world.give(carl, inputs.AddContact(ann.uid, ann.number))
    world.say(carl, ann, "it is me with a new phone")
    world.settle()
    assert [row.text for row in history(ann, carl)] == ["it is me with a new phone"]
    assert AlertCode.NUMBER_MOVED in [alert.code for alert in ann.alerts]
    with pytest.raises(NotTrusted):
        world.say(ann, ben, "secret")
    assert [row.text for row in history(ann, ben)] == ["hello"]
    world.give(ann, inputs.Accept(ben.uid))
    world.say(ann, ben, "after all")
    assert states(ann, ben)[-1] == "queued"


@pytest.mark.parametrize("lie", range(4))
def test_false_keys_are_refused_and_the_message_waits(lie: int) -> None:
    """Another person's document or set, a changed set, a changed pair: nothing is sent to them, the person is told."""
    world = Quiet(people=3, malice=Malice(false_keys=1.0, which_lie=lie))
    ann, ben = world.ann, world.ben
    world.give(ann, inputs.AddContact(ben.uid, ben.number))
    world.say(ann, ben, "for your eyes only")
    world.settle(5)
    assert states(ann, ben) == ["queued"]
    assert [alert.code for alert in ann.alerts] == [AlertCode.FALSE_KEYS]
    assert not any(isinstance(request, SendEnvelope) for request in ann.requests)
    world.relay.malice = Malice()
    world.now_ms += 600_000
    world.settle(5)
    assert states(ann, ben) == ["sent"]


def test_an_older_signed_set_than_one_seen_before_is_refused() -> None:
    world = Quiet()
    world.befriend()
    ann, ben = world.ann, world.ben
    old_set = world.relay.accounts[ben.uid].signed_set
    with ann.store.transaction():
        ann.store.contacts.raise_lowest_sid(ben.uid, 2)
    assert old_set
    world.say(ann, ben, "hello")
    world.settle(3)
    assert states(ann, ben) == ["queued"]
    assert [alert.code for alert in ann.alerts] == [AlertCode.FALSE_KEYS]


def test_a_message_to_nobody_fails_with_the_reason_and_can_be_tried_again() -> None:
    world = Quiet()
    ann = world.ann
    nobody = Uid(b"n" * 32)
    world.give(ann, inputs.AddContact(nobody, None))
    conversation = conversation_with(nobody)
    world.give(ann, inputs.SendText(conversation, "hello?"))
    world.settle(3)
    (row,) = ann.store.messages.page(conversation, before=None, limit=10)
    assert (row.state, row.failure) == ("failed", ACCOUNT_GONE)
    world.give(ann, inputs.Retry(conversation, row.id))
    (row,) = ann.store.messages.page(conversation, before=None, limit=10)
    assert (row.state, row.failure) == ("queued", None)


def test_a_note_to_oneself_stays_here() -> None:
    world = Quiet()
    ann = world.ann
    own = conversation_with(ann.uid)
    world.give(ann, inputs.AddContact(ann.uid, ann.number))
    effects = world.give(ann, inputs.SendText(own, "buy milk"))
    assert not any(isinstance(effect, SendEnvelope) for effect in effects)
    (row,) = ann.store.messages.page(own, before=None, limit=10)
    assert (row.text, row.state) == ("buy milk", "read")


def test_whoever_writes_to_a_blocked_person_is_told_to_unblock_them() -> None:
    """Guards the word of the hint: the button says Unblock."""
    world = Quiet()
    world.befriend()
    world.give(world.ann, inputs.Block(world.ben.uid))
    with pytest.raises(InvalidMessage) as refused:
        world.say(world.ann, world.ben, "hello")
    assert "Unblock them" in refused.value.hint


def test_commands_that_cannot_be_followed_change_nothing() -> None:
    world = Quiet()
    world.befriend()
    ann, ben = world.ann, world.ben
    with pytest.raises(InvalidMessage):
        world.say(ann, ben, "  ")
    with pytest.raises(UnknownConversation):
        world.give(ann, inputs.SendText(conversation_with(Uid(b"x" * 32)), "hello"))
    with pytest.raises(UnknownConversation):
        world.give(ann, inputs.Accept(Uid(b"x" * 32)))
    assert history(ann, ben) == []
    assert ann.store.outbox.count() == 0


def test_the_same_envelope_twice_is_acknowledged_twice_and_shown_once() -> None:
    world = Quiet()
    world.befriend()
    ann, ben = world.ann, world.ben
    world.go_offline(ben)
    world.say(ann, ben, "once")
    world.settle(3)
    mailbox = list(world.relay.accounts[ben.uid].mailbox)
    world.go_online(ben)
    arrived = inputs.EnvelopesArrived(tuple(inputs.ArrivedEnvelope(m.token, m.payload) for m in mailbox * 2))
    world.give(ben, arrived)
    world.give(ben, arrived)
    assert [row.text for row in history(ben, ann)] == ["once"]
    assert world.relay.accounts[ben.uid].mailbox == []
    assert ben.store.settings.get_number("dropped-envelopes") == 0, "it was recognised, not found unreadable"


def test_a_false_receipt_changes_only_messages_to_its_sender() -> None:
    """Ben confirms a message that was written to Carl: Carl's message must not look read."""
    world = Quiet(people=3)
    ann, ben, carl = world.people.values()
    world.befriend()
    world.give(ann, inputs.AddContact(carl.uid, carl.number))
    world.go_offline(carl)
    world.say(ann, carl, "to carl")
    world.say(ann, ben, "to ben")
    world.settle()
    target = history(ann, carl)[0].id
    entry = ben.engine.sessions.for_sending(ann.uid)
    assert entry is not None
    content = encode_content([Receipt(ReceiptKind.READ, (target,))])
    _, payload = entry.session.encrypt(content, rng=world.rng.randbytes, now_s=world.now_ms // 1000)
    world.give(ann, inputs.EnvelopesArrived((inputs.ArrivedEnvelope(1, payload),)))
    assert states(ann, carl) == ["sent"]


def test_nothing_that_arrives_names_its_conversation_by_itself() -> None:
    """Garbage of every size is dropped, counted and acknowledged; nothing else changes."""
    world = Quiet()
    world.befriend()
    ben = world.ben
    before = ben.store.messages.conversations()
    for size_b in (0, 1, 88, 89, 512, 4096, 65536):
        for first in (0, 1, 2):
            payload = bytes([first]) + world.rng.randbytes(size_b)
            world.give(ben, inputs.EnvelopesArrived((inputs.ArrivedEnvelope(1, payload),)))
    assert ben.store.messages.conversations() == before
    assert ben.store.settings.get_number("dropped-envelopes") == 21


def test_a_setup_that_is_replayed_makes_no_second_session() -> None:
    """The relay keeps a first message and delivers it again after the session is gone from the vault."""
    world = Quiet()
    world.befriend()
    ann, ben = world.ann, world.ben
    world.go_offline(ben)
    world.say(ann, ben, "hello")
    world.settle(3)
    payload = world.relay.accounts[ben.uid].mailbox[0].payload
    world.go_online(ben)
    world.settle(3)
    with ben.store.transaction():
        for row in ben.store.sessions.all():
            ben.store.sessions.remove(row.id)
        ben.store.sessions.forget_envelopes_before(world.now_ms + DAY_MS)
    ben.engine = type(ben.engine)(ben.store, world.rng.randbytes)
    world.give(ben, inputs.EnvelopesArrived((inputs.ArrivedEnvelope(1, payload),)))
    assert ben.store.sessions.all() == []
    assert [row.text for row in history(ben, ann)] == ["hello"]
