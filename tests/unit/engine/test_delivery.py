"""Sealed sending: who gets our delivery token, which way an envelope goes, and that nothing ever waits for it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.sim.person import Person
from tests.sim.quiet import DAY_MS, Quiet, history, states, talking, token_of
from tests.sim.relay import Way
from zap2.engine import delivery, inputs
from zap2.engine.effects import SendEnvelope, SetDeliveryToken
from zap2.engine.inputs import Failure
from zap2.vault import settings
from zap2.wire.content import MAX_NAME_CHARS, MAX_TEXT_B
from zap2.wire.statements import delivery_token_hash


def own_token(person: Person) -> bytes:
    token = person.store.settings.get(settings.DELIVERY_TOKEN)
    assert token is not None
    return token


def state_of(person: Person, other: Person) -> str:
    """What a person thinks that another one holds of theirs."""
    contact = person.store.contacts.get(other.uid)
    assert contact is not None
    return contact.own_token_state


def fail_sealed(world: Quiet, code: str, retry_after_ms: int | None = None) -> Callable[[], None]:
    """Let sealed sends fail until what is given back is called."""
    answer = world.relay.answer

    def failing(sender: object, request: object) -> inputs.Input:
        if isinstance(request, SendEnvelope) and request.delivery_token is not None:
            return inputs.SendAnswered(
                request.envelope, Failure(code, False, retry_after_ms), request.delivery_token
            )
        return answer(sender, request)  # type: ignore[arg-type]

    def end() -> None:
        world.relay.answer = answer  # type: ignore[method-assign]

    world.relay.answer = failing  # type: ignore[method-assign]
    return end


def test_after_the_first_exchange_no_envelope_between_contacts_names_its_sender() -> None:
    """Texts and receipts, in both directions: the relay sees mailboxes, and nobody who writes."""
    world, *_ = talking()
    for number in range(5):
        world.say(world.ann, world.ben, f"{number}")
        world.say(world.ben, world.ann, f"{number}")
        world.settle(5)
    assert {way.to for way in world.relay.ways} == {world.ann.uid, world.ben.uid}
    assert {(way.sender, way.is_let_in) for way in world.relay.ways} == {(None, True)}
    assert states(world.ann, world.ben)[-1] == "delivered"
    assert [row.is_sealed for row in history(world.ann, world.ben) if row.is_mine][-1] is True
    assert state_of(world.ann, world.ben) == state_of(world.ben, world.ann) == delivery.CONFIRMED


def test_a_first_message_says_so_in_its_history() -> None:
    world, *_ = talking()
    assert [row.is_sealed for row in history(world.ann, world.ben) if row.is_mine] == [False]


def test_who_is_blocked_is_shut_out_and_the_others_get_the_new_token() -> None:
    world, *_ = talking(people=3)
    ann, ben, carl = world.people.values()
    for one, other in ((ann, carl), (carl, ann)):
        world.give(one, inputs.AddContact(other.uid, other.number))
        world.say(one, other, "hello")
        world.settle(5)
    before = own_token(ann)
    world.give(ann, inputs.Block(ben.uid))
    world.settle()
    assert own_token(ann) != before
    assert state_of(ann, ben) == delivery.NONE
    assert token_of(carl, ann) == own_token(ann), (
        "those who had the old one are told without being written to"
    )
    world.relay.ways.clear()
    world.say(ben, ann, "let me in")
    world.say(carl, ann, "me too")
    world.settle()
    refused = Way(None, ann.uid, is_let_in=False)
    assert world.relay.ways.count(refused) == 1
    assert Way(ben.uid, ann.uid, is_let_in=True) in world.relay.ways
    assert Way(carl.uid, ann.uid, is_let_in=True) not in world.relay.ways
    assert [row.text for row in history(ann, ben)] == ["from ann", "from ben"]
    assert [row.text for row in history(ann, carl)][-1] == "me too"
    assert token_of(ben, ann) is None


def test_blocking_somebody_who_never_had_the_token_changes_nothing() -> None:
    world = Quiet()
    ann, ben = world.ann, world.ben
    world.give(ann, inputs.AddContact(ben.uid, ben.number))
    world.say(ann, ben, "do you know me?")
    world.settle()
    before = own_token(ben)
    world.give(ben, inputs.Block(ann.uid))
    assert own_token(ben) == before


def test_who_is_accepted_again_gets_the_token_with_the_next_message() -> None:
    world, ann, ben = talking()
    world.give(ann, inputs.Block(ben.uid))
    world.settle()
    world.give(ann, inputs.Accept(ben.uid))
    world.say(ann, ben, "forgiven")
    world.settle()
    world.relay.ways.clear()
    world.say(ben, ann, "thank you")
    world.settle()
    assert {way.sender for way in world.relay.ways} == {None}


def test_a_stranger_is_given_nothing_and_their_own_token_is_kept_for_later() -> None:
    world = Quiet()
    ann, ben = world.ann, world.ben
    world.give(ann, inputs.AddContact(ben.uid, ben.number))
    world.say(ann, ben, "do you know me?")
    world.settle()
    assert state_of(ben, ann) == delivery.NONE
    assert token_of(ann, ben) is None
    assert world.relay.ways == [Way(ann.uid, ben.uid, is_let_in=True)]
    world.relay.ways.clear()
    world.give(ben, inputs.Accept(ann.uid))
    world.settle()
    assert world.relay.ways == [Way(None, ann.uid, is_let_in=True)], "the receipt goes sealed at once"
    assert token_of(ann, ben) == own_token(ben)


def test_even_a_session_that_is_set_up_with_a_stranger_gives_them_nothing() -> None:
    world = Quiet()
    ann, ben = world.ann, world.ben
    world.give(ann, inputs.AddContact(ben.uid, ben.number))
    world.say(ann, ben, "do you know me?")
    world.settle()
    world.give(ben, inputs.Repair(ann.uid))
    world.settle()
    assert ben.engine.sessions.for_sending(ann.uid) is not None
    assert token_of(ann, ben) is None


def test_a_refused_token_is_forgotten_and_the_same_envelope_goes_the_logged_in_way() -> None:
    world, ann, ben = talking()
    world.relay.accounts[ben.uid].token_hash = bytes(32)
    world.say(ann, ben, "still arrives")
    world.settle(2)
    assert [row.text for row in history(ben, ann) if not row.is_mine][-1] == "still arrives"
    assert [row.is_sealed for row in history(ann, ben) if row.is_mine][-1] is False
    assert token_of(ann, ben) is None


@pytest.mark.parametrize("code", ["rate-limited", "sealed-unavailable", "bad-request", "internal"])
def test_whatever_fails_on_the_sealed_way_costs_neither_the_message_nor_the_token(code: str) -> None:
    """At once, without waiting for what the relay asks to wait for; the next envelope tries the sealed way again."""
    world, ann, ben = talking()
    end = fail_sealed(world, code, 60_000)
    world.say(ann, ben, "still arrives")
    world.settle(1)
    assert states(ann, ben)[-1] in ("sent", "delivered")
    end()
    world.relay.ways.clear()
    world.say(ann, ben, "sealed again")
    world.settle(1)
    assert Way(None, ben.uid, is_let_in=True) in world.relay.ways
    assert [row.text for row in history(ben, ann) if not row.is_mine][-2:] == [
        "still arrives",
        "sealed again",
    ]


@pytest.mark.parametrize("code", ["mailbox-full", "unreachable"])
def test_what_the_other_way_would_meet_too_is_waited_for_and_does_not_name_the_sender(code: str) -> None:
    world, ann, ben = talking()
    end = fail_sealed(world, code, 30_000)
    world.say(ann, ben, "later")
    world.settle(3)
    assert states(ann, ben)[-1] == "queued"
    end()
    world.now_ms += 31_000
    world.settle()
    assert states(ann, ben)[-1] == "delivered"
    assert all(way.sender is None for way in world.relay.ways)


def test_a_relay_that_lost_the_hash_gets_it_back_and_those_it_refused_are_told_again() -> None:
    world, ann, ben = talking()
    world.relay.accounts[ann.uid].token_hash = None
    world.say(ben, ann, "refused, and so by name")
    world.settle(1)
    assert token_of(ben, ann) is None
    world.go_offline(ann)
    world.go_online(ann)
    world.settle()
    assert world.relay.accounts[ann.uid].token_hash == delivery_token_hash(own_token(ann))
    world.say(ann, ben, "the token rides along")
    world.settle()
    assert token_of(ben, ann) == own_token(ann)


def test_nobody_is_given_a_token_that_the_relay_does_not_hold_yet() -> None:
    """Otherwise contacts would be refused for being quick, and forget it."""
    world = Quiet()
    ann, ben = world.ann, world.ben
    for person in (ann, ben):
        with person.store.transaction():
            person.store.settings.remove(settings.PUBLISHED_TOKEN_HASH)
    world.befriend()
    world.say(ann, ben, "without")
    world.settle()
    assert token_of(ben, ann) is None
    world.go_offline(ann)
    world.go_online(ann)
    world.settle()
    world.say(ann, ben, "with")
    world.settle()
    assert token_of(ben, ann) == own_token(ann)


def test_setting_the_token_is_tried_again_after_a_refusal_and_after_a_broken_link() -> None:
    world = Quiet()
    ann = world.ann
    world.relay.accounts[ann.uid].token_hash = None
    effects = world.give(ann, world.relay.opened(ann.uid))
    (effect,) = [effect for effect in effects if isinstance(effect, SetDeliveryToken)]
    ann.requests.clear()
    world.give(ann, inputs.DeliveryTokenNotSet(Failure("rate-limited", False, 5_000)))
    assert ann.engine.next_deadline_ms() <= world.now_ms + 5_000
    world.now_ms += 5_000
    assert effect in world.give(ann, inputs.TimePassed())
    world.go_offline(ann)
    world.go_online(ann)
    assert effect in ann.requests


def test_a_token_renewed_while_the_older_one_is_being_set_follows_it() -> None:
    world, ann, ben = talking()
    world.relay.accounts[ann.uid].token_hash = None
    world.go_offline(ann)
    world.go_online(ann)
    world.give(ann, inputs.Block(ben.uid))
    world.settle()
    assert world.relay.accounts[ann.uid].token_hash == delivery_token_hash(own_token(ann))


def test_only_a_receipt_for_a_text_that_carried_the_token_confirms_it() -> None:
    world, *_ = talking(people=3)
    ann, ben, carl = world.people.values()
    world.go_offline(ben)
    world.say(ann, ben, "sealed before the renewal")
    world.settle(2)
    world.give(ann, inputs.AddContact(carl.uid, carl.number))
    world.say(ann, carl, "hello")
    world.settle(2)
    world.give(ann, inputs.Block(carl.uid))
    world.settle(2)
    assert state_of(ann, ben) == delivery.GIVEN
    mailbox = world.relay.accounts[ben.uid].mailbox
    del mailbox[1:]
    world.go_online(ben)
    world.settle()
    assert states(ann, ben)[-1] == "delivered"
    assert state_of(ann, ben) == delivery.GIVEN
    world.say(ann, ben, "with the new one")
    world.settle()
    assert state_of(ann, ben) == delivery.CONFIRMED
    assert token_of(ben, ann) == own_token(ann)


def test_an_older_copy_of_a_vault_renews_the_token() -> None:
    """The younger copy may have shut somebody out: the older one's token must not let them in again."""
    world, ann, ben = talking()
    snapshot = world.snapshot(ann)
    old = own_token(ann)
    world.say(ben, ann, "seen by the younger copy only")
    world.settle()
    world.roll_back(ann, snapshot)
    world.go_online(ann)
    world.settle()
    assert own_token(ann) != old
    assert world.relay.accounts[ann.uid].token_hash == delivery_token_hash(own_token(ann))
    world.settle()
    world.relay.ways.clear()
    world.say(ben, ann, "and sealed again")
    world.settle()
    assert {way.sender for way in world.relay.ways} == {None}


def test_a_contact_that_lost_everything_is_given_the_token_again() -> None:
    world = Quiet()
    ann, ben = world.ann, world.ben
    snapshot = world.snapshot(ben)
    world.befriend()
    for author, reader in ((ann, ben), (ben, ann), (ann, ben)):
        world.say(author, reader, "hello")
        world.settle()
    assert state_of(ann, ben) == delivery.CONFIRMED
    world.roll_back(ben, snapshot)
    world.go_online(ben)
    world.give(ben, inputs.AddContact(ann.uid, ann.number))
    world.say(ann, ben, "lost on a session that is gone")
    world.settle()
    world.now_ms += DAY_MS + 3_700_000
    world.settle()
    world.now_ms += 3_700_000
    world.settle()
    assert token_of(ben, ann) == own_token(ann)


def test_the_largest_first_message_fits_with_everything_that_rides_along() -> None:
    """Opening, Profile with the longest name, Delivery and the longest text, in a sealed set-up."""
    world = Quiet()
    ann, ben = world.ann, world.ben
    with ann.store.transaction():
        ann.store.settings.put_text("name", "\U0001f600" * MAX_NAME_CHARS)
    world.befriend()
    world.say(ann, ben, "x" * MAX_TEXT_B)
    world.settle()
    assert len(history(ben, ann)[-1].text) == MAX_TEXT_B
    assert token_of(ben, ann) == own_token(ann)
