"""Sessions that repair themselves, and what must never make them do so."""

from __future__ import annotations

import itertools

import pytest

from tests.sim.person import Person
from tests.sim.quiet import DAY_MS, history, states, talking, texts
from tests.sim.world import SMALL
from zap2.engine import inputs, repair
from zap2.engine.effects import AlertCode
from zap2.engine.work import Work


def session_ids(person: Person) -> list[bytes]:
    return [row.id for row in person.store.sessions.all() if not row.is_receive_only]


def test_a_repair_that_the_person_asks_for_gives_both_a_new_session() -> None:
    world, ann, ben = talking(turns=3)
    before = session_ids(ann)
    world.give(ann, inputs.Repair(ben.uid))
    world.settle()
    world.say(ben, ann, "still there?")
    world.settle()
    assert session_ids(ann) == session_ids(ben) != before
    assert texts(ann, ben)[-1] == "still there?"
    contact = ann.store.contacts.get(ben.uid)
    assert contact is not None
    assert contact.session_state == "repaired"
    assert AlertCode.REPAIRED in [alert.code for alert in ben.alerts]


@pytest.mark.parametrize("turns", [1, 12])
def test_a_vault_put_back_to_an_older_copy_talks_again_in_both_directions(turns: int) -> None:
    """After a few messages and after more chains than old header keys are kept: the next ones are readable."""
    world, ann, ben = talking(turns=3)
    snapshot = world.snapshot(ann)
    for turn in range(turns):
        world.say(ann, ben, f"lost to ann's vault {turn}")
        world.settle(3)
        world.say(ben, ann, f"read by ann before the restore {turn}")
        world.settle(3)
    world.roll_back(ann, snapshot)
    world.go_online(ann)
    world.settle()
    world.say(ann, ben, "after the restore")
    world.settle()
    world.now_ms += 2 * 3_600_000
    world.settle()
    world.say(ben, ann, "welcome back")
    world.settle()
    world.now_ms += 2 * 3_600_000
    world.settle()
    assert "after the restore" in texts(ben, ann)
    assert "welcome back" in texts(ann, ben)
    assert [t for t in texts(ann, ben) if t.startswith("read by ann")] == [
        f"read by ann before the restore {turn}" for turn in range(turns)
    ], "what the restored vault lost is sent again"
    assert len(texts(ben, ann)) == len(set(history(ben, ann))) - len(
        [r for r in history(ben, ann) if r.is_mine]
    )


def test_both_sides_repairing_at_once_settle_on_one_session() -> None:
    world, ann, ben = talking(turns=3)
    world.give(ann, inputs.Repair(ben.uid))
    world.give(ben, inputs.Repair(ann.uid))
    world.settle()
    world.say(ann, ben, "one")
    world.say(ben, ann, "two")
    world.settle()
    assert session_ids(ann) == session_ids(ben)
    assert texts(ann, ben)[-1] == "two"
    assert texts(ben, ann)[-1] == "one"


def test_what_was_never_confirmed_is_sent_again_after_a_repair() -> None:
    """The relay loses an envelope that it had answered for: the repair brings the message after all."""
    world, ann, ben = talking(turns=3)
    world.go_offline(ben)
    world.say(ann, ben, "lost by the relay")
    world.settle(3)
    world.relay.accounts[ben.uid].mailbox.clear()
    assert states(ann, ben)[-1] == "sent"
    world.go_online(ben)
    world.give(ann, inputs.Repair(ben.uid))
    world.settle()
    assert texts(ben, ann)[-1] == "lost by the relay"
    assert states(ann, ben)[-1] == "delivered"


def test_a_gap_that_persists_is_asked_for_once_and_filled_in_place() -> None:
    world, ann, ben = talking(turns=3)
    world.go_offline(ben)
    world.say(ann, ben, "first")
    world.settle(2)
    world.relay.accounts[ben.uid].mailbox.clear()
    world.say(ann, ben, "second")
    world.settle(2)
    world.go_online(ben)
    world.settle(5)
    assert texts(ben, ann)[-1] == "second"
    world.now_ms += 600_000
    world.settle()
    assert texts(ben, ann)[-2:] == ["first", "second"]
    assert ben.store.contacts.count_repairs(ann.uid, 0) == 1


def test_a_message_that_comes_late_shows_the_epoch_of_its_own_chain() -> None:
    """It comes on a chain that ended since, before the post-quantum epoch of the current one was folded in."""
    world, ann, ben = talking(turns=3)
    late, epoch = b"", 0
    for turn in range(40):
        world.settle(5)
        world.go_offline(ben)
        world.say(ann, ben, f"late {turn}")
        world.settle(2)
        mailbox = world.relay.accounts[ben.uid].mailbox
        (lost,) = mailbox
        mailbox.clear()
        world.go_online(ben)
        world.say(ann, ben, "in time")
        world.settle(3)
        epochs = {row.text: row.pq_epoch or 0 for row in history(ann, ben)}
        if late and epochs["in time"] > epoch:
            break
        late, epoch = lost.payload, epochs[f"late {turn}"]
        world.say(ben, ann, "answer")
        world.settle(3)
    world.give(ben, inputs.EnvelopesArrived((inputs.ArrivedEnvelope(1, late),)))
    at_ben = {row.text: row.pq_epoch for row in history(ben, ann)}
    assert at_ben[f"late {turn - 1}"] == epoch
    assert at_ben["in time"] == epoch + 1


def test_a_gap_that_cannot_be_filled_does_not_repair_for_ever() -> None:
    world, ann, ben = talking(turns=3)
    world.go_offline(ben)
    world.say(ann, ben, "gone")
    world.settle(2)
    world.relay.accounts[ben.uid].mailbox.clear()
    world.now_ms += 8 * DAY_MS
    world.settle(2)
    world.say(ann, ben, "after a week")
    world.go_online(ben)
    for _ in range(30):
        world.now_ms += 7_200_000
        world.settle(2)
    assert ben.store.contacts.count_repairs(ann.uid, 0) <= 1
    assert texts(ben, ann)[-1] == "after a week"


def test_a_gap_that_was_asked_for_in_vain_is_not_asked_for_again_when_another_one_heals() -> None:
    """Guards against a repair for every text that comes late, for as long as one stays missing."""
    world, ann, ben = talking(turns=3)
    world.go_offline(ben)
    world.say(ann, ben, "gone")
    world.settle(2)
    world.relay.accounts[ben.uid].mailbox.clear()
    world.now_ms += 8 * DAY_MS
    world.say(ann, ben, "after a week")
    world.go_online(ben)
    world.settle(2)
    world.now_ms += 600_000
    world.settle()
    assert ben.store.contacts.count_repairs(ann.uid, 0) == 1
    for day in range(3):
        world.now_ms += DAY_MS
        world.go_offline(ben)
        world.say(ann, ben, f"late {day}")
        world.say(ann, ben, f"early {day}")
        world.settle(2)
        mailbox = world.relay.accounts[ben.uid].mailbox
        assert len(mailbox) == 2
        mailbox.reverse()
        world.go_online(ben)
        world.settle(2)
        world.now_ms += 600_000
        world.settle(5)
    assert texts(ben, ann)[-2:] == ["late 2", "early 2"]
    assert ben.store.contacts.count_repairs(ann.uid, 0) == 1


def test_bytes_that_nothing_opens_never_begin_a_repair() -> None:
    world, ann, ben = talking(turns=3)
    for _ in range(50):
        for first in (1, 2):
            payload = bytes([first]) + world.rng.randbytes(4095)
            world.give(ben, inputs.EnvelopesArrived((inputs.ArrivedEnvelope(1, payload),)))
    world.now_ms += DAY_MS
    world.settle(3)
    assert ben.store.contacts.count_repairs(ann.uid, 0) == 0


def test_a_message_that_was_changed_on_its_way_is_no_clone() -> None:
    """The relay repeats a message with one bit of the body changed: dropped, and nobody is accused."""
    world, ann, ben = talking(turns=3)
    world.go_offline(ben)
    world.say(ann, ben, "original")
    world.settle(2)
    payload = world.relay.accounts[ben.uid].mailbox[0].payload
    world.go_online(ben)
    world.settle(3)
    changed = payload[:-1] + bytes([payload[-1] ^ 1])
    world.give(ben, inputs.EnvelopesArrived((inputs.ArrivedEnvelope(1, changed),)))
    assert AlertCode.CLONE not in [alert.code for alert in ben.alerts]


def test_a_copied_state_that_sends_is_noticed() -> None:
    """Guards: the clone alarm. Two copies of a vault send from one place: the reader is told, the session made anew."""
    world, ann, ben = talking(turns=3)
    snapshot = world.snapshot(ann)
    world.say(ann, ben, "from the true vault")
    world.settle()
    world.roll_back(ann, snapshot)
    world.say(ann, ben, "from the copy")
    *_, stray = ann.store.outbox.due(world.now_ms, 10)
    world.give(ben, inputs.EnvelopesArrived((inputs.ArrivedEnvelope(1, stray.payload),)))
    assert AlertCode.CLONE in [alert.code for alert in ben.alerts]
    assert "from the copy" not in texts(ben, ann)
    world.go_online(ann)
    world.settle()
    assert "from the copy" in texts(ben, ann), "the repair brings what the false place lost"


def test_repairs_are_limited_to_one_an_hour_and_five_a_day() -> None:

    world, ann, ben = talking(turns=3)
    begun = []
    for _ in range(24 * 6):
        world.now_ms += 600_000
        engine = ben.engine
        with ben.store.transaction():
            work = Work(
                ben.store,
                engine.keys,
                engine.sessions,
                engine.signed_sets,
                engine._memory,
                SMALL,
                world.rng.randbytes,
                world.now_ms,
            )
            ben.store.contacts.set_session_state(ann.uid, "fine")
            before = ben.store.contacts.count_repairs(ann.uid, 0)
            repair.suspect(work, ann.uid)
            if ben.store.contacts.count_repairs(ann.uid, 0) > before:
                begun.append(world.now_ms)
    assert len(begun) == 5
    assert min(b - a for a, b in itertools.pairwise(begun)) >= 3_600_000
