"""Numbers of keys that another copy of a vault used already, and another end of the link that lies about them."""

from __future__ import annotations

from dataclasses import replace

from tests.sim.person import Person
from tests.sim.quiet import DAY_MS, Quiet, history, texts
from tests.sim.world import SMALL
from zap2.engine import inputs
from zap2.engine.effects import SendEnvelope
from zap2.ids import conversation_with
from zap2.vault import settings


def _sets(person: Person) -> list[int]:
    return [row.sid for row in person.store.prekeys.signed_sets()]


def _opened(world: Quiet, person: Person) -> inputs.LinkOpened:
    opened = world.relay.opened(person.uid)
    assert isinstance(opened, inputs.LinkOpened)
    return opened


def test_a_backup_that_missed_one_rotation_publishes_a_set_that_is_taken() -> None:
    """Guards the number that both copies used: the older one rotates before it hears that its sid is taken."""
    world = Quiet(people=6)
    ann, *others = world.people.values()
    snapshot = world.snapshot(ann)
    for other in others[:3]:
        world.says(other, ann, "this takes a pair")
        world.settle(4)
    world.now_ms += 8 * DAY_MS
    world.settle(10)
    assert _sets(ann)[0] == world.relay.accounts[ann.uid].sid == 2
    world.roll_back(ann, snapshot)
    world.give(ann, inputs.TimePassed())
    assert _sets(ann)[0] == 2, "it has made a second set of its own"
    world.go_online(ann)
    world.settle()
    assert world.relay.accounts[ann.uid].sid == _sets(ann)[0] == 3
    assert ann.store.settings.get_number(settings.WITHDRAW_BELOW) == 0
    stranger = others[-1]
    world.says(stranger, ann, "do you know me?")
    world.settle()
    assert texts(ann, stranger) == [f"{stranger.name} to {ann.name}: do you know me?"]


def test_pairs_whose_numbers_are_taken_are_not_handed_out_for_ours() -> None:
    """Guards that unpublished pairs of an older copy are not taken for those of the younger one with their numbers."""
    world = Quiet(people=6)
    ann, *others = world.people.values()
    world.go_offline(ann)
    before = world.snapshot(ann)
    _make_pairs(world, ann)
    older = world.snapshot(ann)
    world.roll_back(ann, before)
    world.relay.accounts[ann.uid].pairs.clear()  # all handed out, so that the stock is not beyond our own
    _make_pairs(world, ann)
    world.go_online(ann)
    world.settle()
    world.roll_back(ann, older)
    taken = {oid for oid, _ in world.relay.accounts[ann.uid].pairs}
    assert taken & {oid for oid, _ in ann.store.prekeys.unpublished_one_time(100)}
    world.go_online(ann)
    world.settle()
    for stranger in others[-3:]:
        world.says(stranger, ann, "do you know me?")
        world.settle()
        assert texts(ann, stranger), stranger.name


def _make_pairs(world: Quiet, person: Person) -> None:
    """Make a person without a link, and without pairs, make new ones."""
    with person.store.transaction():
        for oid in range(1, 400):
            person.store.prekeys.remove_one_time(oid)
    world.give(person, inputs.StockReported(0))
    assert person.store.prekeys.count_unpublished_one_time()


def test_an_end_that_always_knows_more_costs_no_set_token_or_envelope_each_time() -> None:
    """Guards the bounds: it can shut the link and open it again as often as it likes."""
    world = Quiet()
    world.befriend()
    ann, ben = world.ann, world.ben
    world.say(ann, ben, "hello")
    world.settle()
    world.say(ben, ann, "hello yourself")
    world.settle()
    tokens: set[bytes | None] = set()
    sent = 0
    for number in range(1, 60):
        world.go_offline(ann)
        honest = _opened(world, ann)
        told = replace(
            honest,
            highest_sid=_sets(ann)[0] + 1,
            highest_oid=ann.store.settings.get_number(settings.NEXT_OID) + SMALL.plausible_oids,
            acknowledged=honest.acknowledged + number,
        )
        world.now_ms += 1000
        ann.is_online = True
        world.give(ann, told)
        tokens.add(ann.store.settings.get(settings.DELIVERY_TOKEN))
        sent = max(sent, sum(isinstance(request, SendEnvelope) for request in ann.requests))
        ann.requests.clear()
    assert len(tokens) == 1, "renewed once"
    assert ann.store.settings.get_number(settings.NEXT_OID) < 2 * SMALL.plausible_oids
    assert len(_sets(ann)) <= SMALL.signed_sets_a_day + 1
    assert sent < 10
    assert ann.store.prekeys.count_one_time() <= SMALL.one_time_kept + SMALL.one_time_stock


def test_what_was_under_way_when_somebody_was_blocked_does_not_go_out_later() -> None:
    """Guards the envelope whose answer never came: the outbox would try it again, by name, for thirty days."""
    world = Quiet()
    world.befriend()
    ann, ben = world.ann, world.ben
    world.say(ann, ben, "hello")
    world.settle()
    world.give(ann, inputs.SendText(conversation_with(ben.uid), "I regret this"))
    assert any(isinstance(request, SendEnvelope) for request in ann.requests)
    ann.requests.clear()
    world.give(ann, inputs.Block(ben.uid))
    world.go_offline(ann)
    world.now_ms += 5 * DAY_MS
    world.go_online(ann)
    assert not any(isinstance(request, SendEnvelope) for request in ann.requests)
    world.settle()
    assert texts(ben, ann) == ["hello"]
    assert [row.state for row in history(ann, ben) if row.is_mine] == ["delivered", "failed"]


def test_numbers_stay_far_below_their_32_bits_whatever_the_other_end_claims() -> None:
    """Guards against an end that leads our numbers to where they fit no frame any more, at an honest end either."""
    world = Quiet()
    ann = world.ann
    with ann.store.transaction():
        ann.store.settings.raise_number(settings.NEXT_OID, 2**31 - 10)
        ann.store.settings.raise_number(settings.NEXT_SID, 2**31 - 10)
    for _ in range(20):
        numbers = ann.store.settings
        world.go_offline(ann)
        world.now_ms += DAY_MS
        ann.is_online = True
        claim = replace(
            _opened(world, ann),
            highest_oid=numbers.get_number(settings.NEXT_OID) + 900,
            highest_sid=numbers.get_number(settings.NEXT_SID) + 900,
        )
        world.give(ann, claim)
        ann.requests.clear()
    for name in (settings.NEXT_OID, settings.NEXT_SID):
        assert ann.store.settings.get_number(name) < 2**31 + 1000, name
