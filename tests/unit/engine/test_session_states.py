"""The state of the session with a contact, through its whole table; what is sent again; what makes a clone known."""

from __future__ import annotations

from tests.sim.person import Person
from tests.sim.quiet import DAY_MS, Quiet, talking, texts
from tests.sim.world import SMALL
from zap2.crypto import is_sealed_setup
from zap2.engine import inputs
from zap2.engine.effects import AlertCode
from zap2.engine.engine import Engine
from zap2.engine.policy import Policy

HOUR_MS = 3_600_000


def _state(person: Person, other: Person) -> str:
    contact = person.store.contacts.get(other.uid)
    assert contact is not None
    return contact.session_state


def _sending_id(person: Person) -> bytes:
    (sending,) = [row.id for row in person.store.sessions.all() if not row.is_receive_only]
    return sending


def _doubt(world: Quiet, person: Person) -> None:
    """Show somebody what only an older copy of a vault sees: its other end knows more deliveries than it does."""
    account = world.relay.accounts[person.uid]
    account.acknowledged += 1000
    world.give(person, world.relay.opened(person.uid))


def test_a_session_goes_through_the_whole_table_of_states() -> None:
    """Guards one repair an hour, five a day, what comes after, and that neither limit holds the person back."""
    world, ann, ben = talking(turns=2)
    assert _state(ann, ben) == "fine"
    began_ms, seen = world.now_ms, []
    for number in range(5):
        before = _sending_id(ann)
        _doubt(world, ann)
        assert _state(ann, ben) == "repairing", number
        _answer(world)
        assert _state(ann, ben) == "repaired", number
        assert _sending_id(ann) == _sending_id(ben) != before
        seen.append(_sending_id(ann))
        _doubt(world, ann)
        if number < 4:
            assert _state(ann, ben) == "suspect", "one an hour"
            world.settle(2)
            assert _sending_id(ann) == seen[-1]
            world.now_ms += HOUR_MS
            with ann.store.transaction():
                ann.store.contacts.set_session_state(ben.uid, "repaired")
    assert len(set(seen)) == 5
    world.now_ms += HOUR_MS
    assert world.now_ms < began_ms + DAY_MS
    _doubt(world, ann)
    assert _state(ann, ben) == "broken", "five a day"
    assert [alert.code for alert in ann.alerts].count(AlertCode.BROKEN) == 1, "said once"
    world.settle(3)
    assert _sending_id(ann) == seen[-1]
    world.give(ann, inputs.Repair(ben.uid))
    assert _state(ann, ben) == "repairing"
    _answer(world)
    assert _state(ann, ben) == "repaired"
    assert _sending_id(ann) == _sending_id(ben) not in seen
    world.now_ms += 2 * DAY_MS
    world.settle(3)
    world.now_ms += HOUR_MS
    world.settle(3)
    assert _state(ann, ben) == "fine"


def test_a_suspect_session_is_repaired_when_the_hour_is_over() -> None:
    """Guards that what the limit held back is done later without anybody's doing."""
    world, ann, ben = talking(turns=2)
    _doubt(world, ann)
    _answer(world)
    first = _sending_id(ann)
    _doubt(world, ann)
    assert _state(ann, ben) == "suspect"
    world.now_ms += HOUR_MS
    world.settle(3)
    world.now_ms += HOUR_MS
    _answer(world)
    assert _state(ann, ben) == "repaired"
    assert _sending_id(ann) == _sending_id(ben) != first


def _answer(world: Quiet) -> None:
    """Let a new session be made, and confirmed by the first that Ben writes on it."""
    world.settle(3)
    world.say(world.ben, world.ann, "still there?")
    world.settle(5)


def _lose(world: Quiet, count: int) -> None:
    """Let the relay lose some texts of Ann's that it answered for."""
    world.go_offline(world.ben)
    for number in range(count):
        world.say(world.ann, world.ben, f"lost {number}")
    world.settle(3)
    world.relay.accounts[world.ben.uid].mailbox.clear()


def test_what_is_older_than_seven_days_is_not_sent_again() -> None:
    """Guards the age of the send log, from both sides of its end."""
    for age_ms, expected in ((7 * DAY_MS - HOUR_MS, 1), (7 * DAY_MS + HOUR_MS, 0)):
        world, ann, ben = talking(turns=2)
        _lose(world, 1)
        world.now_ms += age_ms
        world.go_online(ben)
        world.give(ann, inputs.Repair(ben.uid))
        world.settle(5)
        assert texts(ben, ann).count("lost 0") == expected


def test_no_more_than_a_bounded_number_is_sent_again() -> None:
    """Guards the size of the send log: the newest within it, however much was never confirmed."""
    assert Policy().resend_at_most == 300
    world, ann, ben = talking(turns=2)
    _lose(world, 6)
    policy = Policy(**{**_as_dict(SMALL), "resend_at_most": 4})
    ann.engine = Engine(ann.store, world.rng.randbytes, policy)
    world.go_online(ann)
    world.go_online(ben)
    world.give(ann, inputs.Repair(ben.uid))
    world.settle(5)
    assert len([text for text in texts(ben, ann) if text.startswith("lost")]) == 4


def _as_dict(policy: Policy) -> dict[str, int]:
    return {name: getattr(policy, name) for name in Policy.__slots__}


def test_a_contact_makes_us_send_everything_again_only_so_often() -> None:
    """Guards the bound on the other side's set-ups: each may cost hundreds of messages, three an hour may."""
    world, ann, ben = talking(turns=2)
    before = _sending_id(ben)
    counted = []
    for _ in range(6):
        world.give(ben, inputs.Repair(ann.uid))
        world.settle(5)
        world.say(ann, ben, "on the new session")
        world.settle(5)
        assert _sending_id(ann) == _sending_id(ben) != before
        before = _sending_id(ben)
        counted.append(ann.store.contacts.count_repairs(ben.uid, world.now_ms - HOUR_MS, is_own=False))
    assert counted[-3:] == [3, 3, 3]


def test_a_copied_state_that_never_got_an_answer_is_noticed_too() -> None:
    """Guards the clone alarm for set-ups: two copies of an initiator's vault write from one place of the chain."""
    world = Quiet()
    world.befriend()
    ann, ben = world.ann, world.ben
    world.say(ann, ben, "from both")
    while ann.requests:
        world.give(ann, world.relay.answer(ann.uid, ann.requests.popleft()))
    snapshot = world.snapshot(ann)
    payloads = []
    for text in ("from the true vault", "from the copy"):
        world.roll_back(ann, snapshot)
        snapshot = world.snapshot(ann)
        ann.answers.clear()
        world.say(ann, ben, text)
        *_, newest = ann.store.outbox.due(world.now_ms, 10)
        payloads.append(newest.payload)
    assert all(is_sealed_setup(payload) for payload in payloads)
    for payload in payloads:
        assert AlertCode.CLONE not in [alert.code for alert in ben.alerts]
        world.give(ben, inputs.EnvelopesArrived((inputs.ArrivedEnvelope(1, payload),)))
    assert texts(ben, ann) == ["from the true vault"]
    assert AlertCode.CLONE in [alert.code for alert in ben.alerts]
    assert _state(ben, ann) == "repairing"


def test_a_message_on_an_earlier_repaired_session_does_not_end_the_next_repair() -> None:
    """Guards that a repair ends with the session that it set up: a message under way on the one before is none."""
    world, ann, ben = talking(turns=2)
    world.give(ann, inputs.Repair(ben.uid))
    _answer(world)
    first = _sending_id(ann)
    world.say(ben, ann, "on its way")
    while ben.requests:
        world.give(ben, world.relay.answer(ben.uid, ben.requests.popleft()))
    world.give(ann, inputs.Repair(ben.uid))
    mailbox = world.relay.accounts[ann.uid].mailbox
    world.give(
        ann, inputs.EnvelopesArrived(tuple(inputs.ArrivedEnvelope(m.token, m.payload) for m in mailbox))
    )
    assert texts(ann, ben)[-1] == "on its way"
    assert _state(ann, ben) == "repairing"
    _answer(world)
    assert _state(ann, ben) == "repaired"
    assert _sending_id(ann) == _sending_id(ben) != first
