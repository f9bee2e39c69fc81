"""Pairs whose secrets a restored backup lost are withdrawn, and the relay's word alone costs no good pair."""

from __future__ import annotations

from tests.sim.person import Person
from tests.sim.quiet import DAY_MS, Quiet, texts
from tests.sim.world import SMALL
from zap2.engine import inputs
from zap2.engine.effects import PublishKeys
from zap2.vault import settings


def published(person: Person) -> list[PublishKeys]:
    return [request for request in person.requests if isinstance(request, PublishKeys)]


def restored() -> tuple[Quiet, Person]:
    """Ann's vault was put back to a copy from before she published the pairs that the relay has now; not online yet."""
    world = Quiet(people=6)
    ann, *others = world.people.values()
    snapshot = world.snapshot(ann)
    for other in others[:4]:
        world.says(other, ann, "this takes a pair")
        world.settle(4)
    oids = {oid for oid, _ in world.relay.accounts[ann.uid].pairs}
    world.roll_back(ann, snapshot)
    assert any(ann.store.prekeys.one_time_secrets(oid) is None for oid in oids), "no pair is lost"
    return world, ann


def test_after_a_restore_somebody_new_is_readable_at_once() -> None:
    world, ann = restored()
    world.go_online(ann)
    world.settle()
    stranger = list(world.people.values())[-1]
    world.says(stranger, ann, "do you know me?")
    world.settle()
    assert texts(ann, stranger) == [f"{stranger.name} to {ann.name}: do you know me?"]
    assert all(ann.store.prekeys.one_time_secrets(oid) for oid, _ in world.relay.accounts[ann.uid].pairs)
    assert len(world.relay.accounts[ann.uid].pairs) >= SMALL.one_time_low


def test_a_withdrawal_whose_answer_was_lost_is_made_again_in_a_later_life() -> None:
    """The next opening of the link does not look like an older copy's any more, and yet the pairs have to go."""
    world, ann = restored()
    world.go_online(ann)
    (first,) = published(ann)
    assert first.withdraw_below > 0
    ann.requests.clear()
    world.roll_back(ann, world.snapshot(ann))
    world.go_online(ann)
    (again,) = published(ann)
    assert again.withdraw_below == first.withdraw_below
    world.settle()
    assert ann.store.settings.get_number(settings.WITHDRAW_BELOW) == 0
    world.go_offline(ann)
    world.go_online(ann)
    assert published(ann) == [], "once is enough"


def test_a_stock_beyond_our_own_secrets_is_withdrawn() -> None:
    """However it came about: whoever is handed such a pair could not be read."""
    world = Quiet()
    ann = world.ann
    with ann.store.transaction():
        for oid, _ in world.relay.accounts[ann.uid].pairs[:3]:
            ann.store.prekeys.remove_one_time(oid)
    world.go_offline(ann)
    world.go_online(ann)
    world.settle()
    assert all(ann.store.prekeys.one_time_secrets(oid) for oid, _ in world.relay.accounts[ann.uid].pairs)
    assert len(world.relay.accounts[ann.uid].pairs) == SMALL.one_time_stock


def test_what_was_on_its_way_with_a_withdrawn_pair_is_still_read() -> None:
    world = Quiet()
    ann, ben = world.ann, world.ben
    world.go_offline(ann)
    world.says(ben, ann, "set up with a good pair")
    world.settle(3)
    world.give(ann, inputs.LinkOpened(100, 1, 6, 0))
    world.go_offline(ann)
    world.go_online(ann)
    world.settle()
    assert texts(ann, ben) == ["p1 to p0: set up with a good pair"]


def test_a_relay_that_reports_an_empty_stock_again_and_again_costs_no_good_pair() -> None:
    world = Quiet()
    ann = world.ann
    good = [oid for oid, _ in world.relay.accounts[ann.uid].pairs]
    for _ in range(200):
        world.give(ann, inputs.StockReported(0))
        world.settle(1)
    assert all(ann.store.prekeys.one_time_secrets(oid) for oid in good)
    count = ann.store.prekeys.count_one_time()
    assert count <= SMALL.one_time_kept + SMALL.one_time_stock
    world.now_ms += DAY_MS + 1
    for _ in range(20):
        world.give(ann, inputs.StockReported(0))
        world.settle(1)
    assert count < ann.store.prekeys.count_one_time() <= count + SMALL.one_time_stock, (
        "somebody drained it: a few a day"
    )


def test_pairs_that_were_handed_out_long_ago_and_never_used_are_forgotten() -> None:
    world = Quiet()
    ann = world.ann
    good = [oid for oid, _ in world.relay.accounts[ann.uid].pairs]
    for _ in range(60):
        world.now_ms += 2 * DAY_MS
        world.give(ann, inputs.StockReported(0))
        world.settle(1)
    assert not any(ann.store.prekeys.one_time_secrets(oid) for oid in good)
    assert ann.store.prekeys.count_one_time() <= SMALL.one_time_kept + 60 * SMALL.one_time_stock // 2


def test_a_relay_that_claims_older_copies_does_not_fill_the_vault() -> None:
    world = Quiet()
    ann = world.ann
    for step in range(1, 50):
        world.give(ann, inputs.LinkOpened(1_000_000, 1, 6, 10_000 + step))
        world.settle(1)
    assert ann.store.prekeys.count_one_time() <= SMALL.one_time_kept + SMALL.one_time_stock
    assert len(ann.store.prekeys.signed_sets()) <= 2
