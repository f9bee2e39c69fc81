"""A clock that was wrong and is put right: what was put off goes on soon, and nothing is lost without a word."""

from __future__ import annotations

from tests.sim.quiet import DAY_MS, history, states, talking
from zap2.engine import inputs, sealing
from zap2.engine.effects import FetchKeys, PublishKeys, SendEnvelope, SetDeliveryToken
from zap2.engine.inputs import Failure

_BUSY = Failure("rate-limited", is_final=False, retry_after_ms=5_000)
_HOUR_MS = 3_600_000


def test_the_delivery_token_is_set_within_the_hour_after_a_clock_that_was_ahead() -> None:
    world, ann, _ = talking()
    world.relay.accounts[ann.uid].token_hash = None
    asked = world.give(ann, world.relay.opened(ann.uid))
    ann.requests.clear()
    assert [effect for effect in asked if isinstance(effect, SetDeliveryToken)]
    ann.engine.handle(inputs.DeliveryTokenNotSet(_BUSY), world.now_ms + 365 * DAY_MS)
    world.settle(1)
    world.now_ms += _HOUR_MS
    world.settle(3)
    assert world.relay.accounts[ann.uid].token_hash is not None


def test_keys_are_asked_for_and_published_within_the_hour_after_a_clock_that_was_ahead() -> None:
    world, ann, ben = talking()
    ahead_ms = world.now_ms + 365 * DAY_MS
    ann.engine.handle(inputs.KeysNotFetched(ben.uid, _BUSY), ahead_ms)
    ann.engine.handle(inputs.KeysNotPublished(_BUSY), ahead_ms)
    world.give(ann, inputs.Repair(ben.uid))
    ann.engine.handle(inputs.KeysNotFetched(ben.uid, _BUSY), ahead_ms)
    world.relay.accounts[ann.uid].pairs.clear()
    world.give(ann, inputs.StockReported(0))
    ann.requests.clear()
    world.give(ann, inputs.TimePassed())
    assert not ann.requests
    world.now_ms += _HOUR_MS
    world.give(ann, inputs.TimePassed())
    assert {FetchKeys, PublishKeys} <= {type(request) for request in ann.requests}


def test_a_receipt_that_was_owed_while_the_clock_was_ahead_goes_out_within_the_hour() -> None:
    world, ann, ben = talking()
    world.say(ann, ben, "received in a year")
    while ann.requests:
        world._process_one(ann)
    payload = world.relay.accounts[ben.uid].mailbox.pop().payload
    ben.engine.handle(
        inputs.EnvelopesArrived((inputs.ArrivedEnvelope(1, payload),)), world.now_ms + 365 * DAY_MS
    )
    world.settle(1)
    world.now_ms += _HOUR_MS
    world.settle(5)
    assert states(ann, ben)[-1] == "delivered"


def test_what_expired_by_a_clock_that_was_behind_fails_with_a_word_and_goes_when_sent_again() -> None:
    world, ann, ben = talking()
    world.go_offline(ann)
    world.now_ms -= 365 * DAY_MS
    world.say(ann, ben, "written in the past")
    world.now_ms += 365 * DAY_MS
    world.go_online(ann)
    world.settle()
    last = history(ann, ben)[-1]
    assert (last.state, last.failure) == ("failed", sealing.EXPIRED)
    world.give(ann, inputs.Retry(last.conversation, last.id))
    world.settle()
    assert states(ann, ben)[-1] == "delivered"


def test_a_message_put_off_while_the_clock_was_ahead_goes_out_within_the_hour() -> None:
    world, ann, ben = talking()
    world.say(ann, ben, "soon")
    (request,) = [request for request in ann.requests if isinstance(request, SendEnvelope)]
    ann.requests.clear()
    busy = Failure("mailbox-full", is_final=False, retry_after_ms=5_000)
    ann.engine.handle(
        inputs.SendAnswered(request.envelope, busy, request.delivery_token), world.now_ms + 365 * DAY_MS
    )
    world.settle(1)
    assert states(ann, ben)[-1] == "queued"
    world.now_ms += 3_600_000
    world.settle(5)
    assert states(ann, ben)[-1] == "delivered"
