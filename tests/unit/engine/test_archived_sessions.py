"""Sessions that only receive: one with a person at most, and none on which nothing came for seven days."""

from __future__ import annotations

from tests.sim.person import Person
from tests.sim.quiet import DAY_MS, Quiet, history, talking
from zap2.engine import inputs
from zap2.vault.rows import SessionRow


def _archived(person: Person) -> list[SessionRow]:
    return [row for row in person.store.sessions.all() if row.is_receive_only]


def _repair(world: Quiet, person: Person, other: Person) -> None:
    world.give(person, inputs.Repair(other.uid))
    world.settle()


def test_an_archived_session_is_forgotten_seven_days_after_its_last_message() -> None:
    """What is on its way on it is read for that long; then its keys are gone."""
    world, ann, ben = talking(turns=2)
    world.go_offline(ben)
    world.say(ann, ben, "before the repair")
    world.settle(3)
    (mail,) = world.relay.accounts[ben.uid].mailbox
    world.relay.accounts[ben.uid].mailbox.clear()
    _repair(world, ann, ben)
    world.go_online(ben)
    world.settle()
    (old,) = _archived(ben)
    assert old.retired_at_ms is not None
    world.now_ms = old.retired_at_ms + 6 * DAY_MS
    world.give(ben, inputs.TimePassed())
    world.give(ben, inputs.EnvelopesArrived((inputs.ArrivedEnvelope(1, mail.payload),)))
    assert "before the repair" in [row.text for row in history(ben, ann)]
    used_at_ms = world.now_ms
    for days, count in ((6, 1), (8, 0)):
        world.now_ms = used_at_ms + days * DAY_MS
        world.give(ben, inputs.TimePassed())
        assert len(_archived(ben)) == count, days
    world.now_ms += 60 * DAY_MS
    world.give(ben, inputs.TimePassed())
    assert ben.engine.sessions.for_sending(ann.uid) is not None, "the session in use stays"


def test_a_person_has_one_archived_session_at_most() -> None:
    """A contact who repairs on and on does not fill the vault, and costs no more trials for each envelope."""
    world, ann, ben = talking(turns=2)
    for number in range(4):
        sending = ann.engine.sessions.for_sending(ben.uid)
        assert sending is not None
        _repair(world, ann, ben)
        for person in (ann, ben):
            assert [row.id for row in _archived(person)] == [sending.session.session_id], number
            assert len(person.store.sessions.all()) == 2
        world.now_ms += DAY_MS
        world.say(ann, ben, f"after repair {number}")
        world.settle()
