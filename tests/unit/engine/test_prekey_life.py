"""The life of prekeys: when they are made, how long they are kept, when they are gone, and that no id comes again."""

from __future__ import annotations

import pytest

from tests.sim.faults import PowerCut
from tests.sim.person import Person
from tests.sim.quiet import DAY_MS, Quiet, history
from zap2.crypto import SignedPrekeySet
from zap2.engine import inputs
from zap2.engine.effects import Effect, PublishKeys
from zap2.engine.engine import Engine
from zap2.engine.policy import Policy
from zap2.vault import settings


def _sids(person: Person) -> list[int]:
    return [row.sid for row in person.store.prekeys.signed_sets()]


def _upkeep(world: Quiet, person: Person) -> None:
    world.give(person, inputs.TimePassed())
    world.settle(2)


def _oids(world: Quiet, person: Person) -> set[int]:
    """Give the ids of the pairs that others can fetch."""
    return {oid for oid, _ in world.relay.accounts[person.uid].pairs}


def test_a_set_is_replaced_when_it_is_seven_days_old_and_not_before() -> None:
    """Guards the weekly rotation, to the millisecond, and that the new set is published."""
    world = Quiet()
    ben = world.ben
    (first,) = ben.store.prekeys.signed_sets()
    world.now_ms = first.created_at_ms + 7 * DAY_MS - 1
    world.give(ben, inputs.KeysPublished(None, (), 6))
    assert _sids(ben) == [1]
    world.now_ms += 1
    world.give(ben, inputs.KeysPublished(None, (), 6))
    assert _sids(ben) == [2, 1]
    world.settle(2)
    assert SignedPrekeySet.decode(world.relay.accounts[ben.uid].signed_set).sid == 2


@pytest.mark.parametrize("is_in_time", [True, False])
def test_what_was_sealed_to_the_set_before_is_read_for_thirty_days(is_in_time: bool) -> None:
    """Guards the 30 days of grace: counted from the next set, and over after them, secrets and all."""
    world = Quiet()
    world.befriend()
    ann, ben = world.ann, world.ben
    world.go_offline(ben)
    world.say(ann, ben, "sealed to the first set")
    world.settle(2)
    (payload,) = [mail.payload for mail in world.relay.accounts[ben.uid].mailbox]
    world.relay.accounts[ben.uid].mailbox.clear()
    world.go_online(ben)
    world.now_ms += 7 * DAY_MS
    _upkeep(world, ben)
    assert _sids(ben) == [2, 1]
    second = ben.store.prekeys.signed_sets()[0]
    world.now_ms = second.created_at_ms + 30 * DAY_MS - (1 if is_in_time else 0)
    world.give(ben, inputs.KeysPublished(None, (), 6))
    assert (1 in _sids(ben)) == is_in_time
    world.give(ben, inputs.EnvelopesArrived((inputs.ArrivedEnvelope(1, payload),)))
    texts = [row.text for row in history(ben, ann)]
    assert texts == (["sealed to the first set"] if is_in_time else [])


def test_the_newest_set_stays_however_long_its_owner_was_away() -> None:
    """Guards that somebody who comes back after a year opens what was sealed to the only set that others found."""
    world = Quiet()
    ben = world.ben
    world.go_offline(ben)
    world.now_ms += 365 * DAY_MS
    world.give(ben, inputs.TimePassed())
    assert _sids(ben) == [2, 1]


def _grown_up() -> tuple[Quiet, Person]:
    """Give somebody who keeps the stock that people have, not that of the small worlds."""
    world = Quiet()
    ben = world.ben
    ben.engine = Engine(ben.store, world.rng.randbytes, Policy())
    world.give(ben, inputs.TimePassed())
    world.go_online(ben)
    world.settle(2)
    assert ben.store.prekeys.count_one_time() == 100
    return world, ben


def _published(effects: list[Effect]) -> int:
    return sum(len(effect.oids) for effect in effects if isinstance(effect, PublishKeys))


@pytest.mark.parametrize(("reported", "made"), [(100, 0), (30, 0), (29, 71), (0, 100)])
def test_the_other_ends_notice_brings_the_stock_back_to_a_hundred(reported: int, made: int) -> None:
    """Guards the two numbers: made anew when fewer than 30 remain, and then up to 100."""
    world, ben = _grown_up()
    world.now_ms += 2 * DAY_MS
    assert _published(world.give(ben, inputs.StockReported(reported))) == made


@pytest.mark.parametrize(("used", "made"), [(70, 0), (71, 71)])
def test_ones_own_count_brings_it_back_too(used: int, made: int) -> None:
    """Guards against an end that says that there are enough: pairs that were used are not there, whatever it says."""
    world, ben = _grown_up()
    with ben.store.transaction():
        for _ in range(used):
            ben.store.prekeys.remove_one_time(_lowest_oid(ben))
    assert ben.store.prekeys.count_one_time() == 100 - used
    world.now_ms += 2 * DAY_MS
    assert _published(world.give(ben, inputs.StockReported(100))) == made


def _lowest_oid(person: Person) -> int:
    row = person.connection.execute("SELECT min(oid) FROM one_time_prekey").fetchone()
    return int(row[0])


def test_no_id_of_a_pair_or_a_set_comes_again_after_a_restore() -> None:
    """Guards the counters: an older copy of a vault numbers on from what the other end says was published."""
    world = Quiet()
    ben, account = world.ben, world.relay.accounts[world.ben.uid]
    snapshot = world.snapshot(ben)
    seen = _oids(world, ben)
    for _ in range(3):
        account.pairs.clear()
        with ben.store.transaction():
            ben.connection.execute("DELETE FROM one_time_prekey")
        world.now_ms += 7 * DAY_MS
        world.give(ben, inputs.StockReported(0))
        world.settle(2)
        made = _oids(world, ben)
        assert made
        assert not made & seen
        seen |= made
    sid = account.sid
    world.roll_back(ben, snapshot)
    world.go_online(ben)
    world.settle(3)
    made = _oids(world, ben)
    assert made
    assert not made & seen
    assert ben.store.settings.get_number(settings.NEXT_OID) > max(seen)
    assert account.sid == sid + 1 == _sids(ben)[0]


def test_a_pair_is_gone_exactly_when_its_first_message_is_stored() -> None:
    """Guards the one transaction: the process dies at each of its statements in turn, and both or neither happened."""
    world = Quiet()
    world.befriend()
    ann, ben = world.ann, world.ben
    world.go_offline(ben)
    world.say(ann, ben, "first")
    world.settle(2)
    (payload,) = [mail.payload for mail in world.relay.accounts[ben.uid].mailbox]
    oid = min(_oids(world, ben)) - 1
    outcomes = []
    for statement in range(1, 200):
        ben.connection.fuse = statement
        try:
            world.give(ben, inputs.EnvelopesArrived((inputs.ArrivedEnvelope(1, payload),)))
        except PowerCut:
            world._crash(ben)
        ben.connection.fuse = None
        has_message = bool(history(ben, ann))
        assert has_message == (ben.store.prekeys.one_time_secrets(oid) is None)
        outcomes.append(has_message)
        if has_message:
            break
    assert outcomes.count(False) > 10
    assert outcomes[-1]
