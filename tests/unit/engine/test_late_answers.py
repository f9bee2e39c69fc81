"""Answers to envelopes that come late, twice, or to what went another way since."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from tests.sim.quiet import history, last_is_sealed, states, talking, token_of
from zap2.engine import delivery, inputs
from zap2.engine.effects import SendEnvelope
from zap2.engine.inputs import Failure
from zap2.wire.statements import delivery_token_hash


def _gone_with(effects: Iterable[object]) -> SendEnvelope:
    (sent,) = [effect for effect in effects if isinstance(effect, SendEnvelope)]
    return sent


def test_a_refusal_of_the_older_token_does_not_forget_the_newer_one() -> None:
    world, ann, ben = talking()
    effects = world.give(ann, inputs.SendText(history(ann, ben)[0].conversation, "under way"))
    sent = _gone_with(effects)
    with ann.store.transaction():
        ann.store.contacts.set_delivery_token(ben.uid, b"n" * 32, world.now_ms)
    world.give(ann, inputs.SendAnswered(sent.envelope, Failure(delivery.REFUSED, True), sent.delivery_token))
    assert token_of(ann, ben) == b"n" * 32


def test_a_late_refusal_does_not_stand_for_the_same_envelope_with_a_newer_token() -> None:
    """The link broke and came again while the first answer was under way, and the envelope went once more."""
    world, ann, ben = talking()
    conversation = history(ann, ben)[0].conversation
    first = _gone_with(world.give(ann, inputs.SendText(conversation, "under way")))
    world.go_offline(ann)
    newer = b"n" * 32
    with ann.store.transaction():
        ann.store.contacts.set_delivery_token(ben.uid, newer, world.now_ms)
    world.relay.accounts[ben.uid].token_hash = delivery_token_hash(newer)
    world.go_online(ann)
    again = _gone_with(ann.requests)
    assert (again.envelope, again.delivery_token) == (first.envelope, newer)
    late = inputs.SendAnswered(first.envelope, Failure(delivery.REFUSED, False), first.delivery_token)
    effects = world.give(ann, late)
    assert token_of(ann, ben) == newer
    assert not [effect for effect in effects if isinstance(effect, SendEnvelope)], "it is under way"
    world.settle()
    assert states(ann, ben)[-1] == "delivered"
    assert last_is_sealed(ann, ben) is True


@pytest.mark.parametrize("code", ["sealed-unavailable", "not-found", "unreachable"])
def test_what_fails_after_the_link_closed_goes_again_as_if_it_had_not(code: str) -> None:
    """Guards anonymity: a network that drops takes both ways, and that is no reason to go by name."""
    world, ann, ben = talking()
    sent = _gone_with(world.give(ann, inputs.SendText(history(ann, ben)[0].conversation, "under way")))
    world.go_offline(ann)
    world.give(
        ann, inputs.SendAnswered(sent.envelope, Failure(code, code == "not-found"), sent.delivery_token)
    )
    assert states(ann, ben)[-1] == "queued"
    world.go_online(ann)
    world.settle()
    assert states(ann, ben)[-1] == "delivered"
    assert last_is_sealed(ann, ben) is True


def test_a_token_that_was_refused_many_times_counts_as_one() -> None:
    """Several envelopes were under way when its owner renewed it: the new one is used all the same."""
    world, ann, ben = talking()
    for number in range(5):
        world.say(ann, ben, f"under way {number}")
    world.relay.accounts[ben.uid].token_hash = None
    world.settle()
    assert token_of(ann, ben) is None
    world.go_offline(ben)
    world.go_online(ben)
    world.settle()
    world.say(ben, ann, "the new one")
    world.settle()
    world.say(ann, ben, "sealed again")
    world.settle()
    assert last_is_sealed(ann, ben) is True


def test_what_went_by_name_once_goes_by_name_again_and_says_so() -> None:
    """Guards what a message says of itself: sealed later, it would tie that connection to the account all the same."""
    world, ann, ben = talking()
    world.say(ann, ben, "by name")
    (sealed,) = [request for request in ann.requests if isinstance(request, SendEnvelope)]
    ann.requests.clear()
    world.give(
        ann, inputs.SendAnswered(sealed.envelope, Failure("sealed-unavailable", False), sealed.delivery_token)
    )
    (named,) = [request for request in ann.requests if isinstance(request, SendEnvelope)]
    assert named.delivery_token is None
    world.go_offline(ann)
    world.go_online(ann)
    (again,) = [request for request in ann.requests if isinstance(request, SendEnvelope)]
    assert (again.envelope, again.delivery_token) == (named.envelope, None)
    world.settle()
    assert last_is_sealed(ann, ben) is False
