"""What heals when a delivery token was forgotten or comes late, and what waited while somebody was blocked."""

from __future__ import annotations

from tests.sim.quiet import DAY_MS, Quiet, history, last_is_sealed, talking, token_of
from tests.sim.world import SMALL
from zap2.engine import inputs, repair
from zap2.engine.effects import FetchKeys
from zap2.ids import conversation_with


def _exchange(world: Quiet, text: str) -> None:
    world.say(world.ann, world.ben, f"{text} ben")
    world.settle(5)
    world.say(world.ben, world.ann, f"{text} ann")
    world.settle(5)


def test_a_token_that_was_refused_wrongly_is_asked_for_and_comes_again() -> None:
    """Guards against one refusal, true or false, costing sealed sending for good: its owner cannot know of it."""
    world, ann, ben = talking()
    hash_of_ben, world.relay.accounts[ben.uid].token_hash = world.relay.accounts[ben.uid].token_hash, None
    world.say(ann, ben, "refused, then by name")
    world.settle(3)
    assert token_of(ann, ben) is None
    world.relay.accounts[ben.uid].token_hash = hash_of_ben
    _exchange(world, "again")
    assert token_of(ann, ben) is not None
    _exchange(world, "sealed")
    assert last_is_sealed(ann, ben) is True


def test_a_late_message_with_an_old_token_does_not_replace_the_new_one() -> None:
    """Guards the order of tokens: by when they were made, not by when they come."""
    world, ann, ben = talking(people=3)
    carl = list(world.people.values())[2]
    world.give(ann, inputs.AddContact(carl.uid, carl.number))
    world.give(carl, inputs.AddContact(ann.uid, ann.number))
    world.say(ann, carl, "hello carl")
    world.settle(5)
    world.give(ann, inputs.Repair(ben.uid))
    while ann.requests:
        world._process_one(ann)
    world.say(ann, ben, "with the old token")
    while ann.requests:
        world._process_one(ann)
    mailbox = world.relay.accounts[ben.uid].mailbox
    held_back = list(mailbox)
    mailbox.clear()
    old = token_of(ben, ann)
    world.give(ann, inputs.Block(carl.uid))
    world.settle(5)
    new = token_of(ben, ann)
    assert new not in (None, old)
    mailbox.extend(held_back)
    world.settle(5)
    assert any(row.text == "with the old token" for row in history(ben, ann))
    assert token_of(ben, ann) == new


def test_a_token_made_after_the_clock_was_put_back_counts_as_later() -> None:
    world, ann, ben = talking(people=3)
    carl = list(world.people.values())[2]
    world.give(ann, inputs.AddContact(carl.uid, carl.number))
    world.give(carl, inputs.AddContact(ann.uid, ann.number))
    world.say(ann, carl, "hello carl")
    world.settle(5)
    before = token_of(ben, ann)
    assert before is not None
    world.now_ms -= 400 * DAY_MS
    world.give(ann, inputs.Block(carl.uid))
    world.settle(5)
    assert token_of(ben, ann) not in (None, before)
    world.say(ben, ann, "still sealed")
    world.settle(5)
    assert last_is_sealed(ben, ann) is True


def test_what_was_said_while_somebody_was_blocked_is_not_waited_for_afterwards() -> None:
    """Guards the line that says what has not arrived: our own device threw that away."""
    world, ann, ben = talking()
    world.give(ann, inputs.Block(ben.uid))
    for number in range(3):
        world.say(ben, ann, f"into the void {number}")
        world.settle(3)
    world.give(ann, inputs.Accept(ben.uid))
    world.say(ben, ann, "and now?")
    world.settle(3)
    shown = [row for row in history(ann, ben) if not row.is_mine]
    assert [row.text for row in shown] == ["from ben", "and now?"]
    conversation = conversation_with(ben.uid)
    assert not any(ann.store.messages.is_missing(conversation, ben.uid, n) for n in range(shown[-1].sequence))
    world.now_ms += DAY_MS
    world.settle(3)
    contact = ann.store.contacts.get(ben.uid)
    assert contact is not None
    assert contact.session_state == repair.FINE, "no repair for a gap that is none"


def test_a_repair_that_a_block_interrupted_goes_on_after_it() -> None:
    """Guards against a session that is said to be repaired for as long as the link stays open, with nobody at it."""
    world, ann, ben = talking()
    world.give(ann, inputs.Repair(ben.uid))
    ann.requests.clear()
    world.give(ann, inputs.KeysNotFetched(ben.uid, inputs.Failure("internal", is_final=False)))
    world.give(ann, inputs.Block(ben.uid))
    world.settle(2)
    world.now_ms += DAY_MS
    world.settle(2)
    assert not any(isinstance(request, FetchKeys) for request in ann.requests)
    world.give(ann, inputs.Accept(ben.uid))
    world.settle(5)
    world.say(ben, ann, "on the new session")
    world.settle(5)
    contact = ann.store.contacts.get(ben.uid)
    assert contact is not None
    assert contact.session_state == repair.REPAIRED


def test_somebody_who_gives_wrong_tokens_is_not_believed_for_an_hour() -> None:
    """Guards our address at the relay, which counts wrong tokens: others' right ones would be held back with them."""
    world, ann, ben = talking()
    contact = ann.store.contacts.get(ben.uid)
    assert contact is not None
    for number in range(20):
        with ann.store.transaction():
            ann.store.contacts.set_delivery_token(
                ben.uid, bytes([number]) * 32, contact.delivery_token_made_at_ms
            )
        world.say(ann, ben, f"number {number}")
        world.settle(1)
    refused = [way for way in world.relay.ways if not way.is_let_in]
    assert len(refused) == SMALL.refused_tokens_at_most
    world.now_ms += SMALL.upkeep_every_ms
    world.settle(3)
    for text in ("refused once more", "asked for", "sealed"):
        _exchange(world, text)
    assert last_is_sealed(ann, ben) is True
