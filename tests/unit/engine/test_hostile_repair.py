"""What a malicious relay, contact or stranger tries with set-ups, repairs and numbers."""

from __future__ import annotations

from tests.sim.person import Person
from tests.sim.quiet import DAY_MS, Quiet, history, states, texts
from zap2.crypto import is_sealed_setup
from zap2.engine import inputs
from zap2.engine.effects import AlertCode, SendEnvelope
from zap2.wire.content import Opening, encode_content


def both_can_talk(world: Quiet, ann: Person, ben: Person, mark: str) -> bool:
    world.say(ann, ben, f"{mark} from ann")
    world.say(ben, ann, f"{mark} from ben")
    world.settle()
    return texts(ben, ann)[-1] == f"{mark} from ann" and texts(ann, ben)[-1] == f"{mark} from ben"


def arrive(world: Quiet, person: Person, payload: bytes) -> None:
    world.give(person, inputs.EnvelopesArrived((inputs.ArrivedEnvelope(1, payload),)))


def test_a_setup_that_the_relay_held_back_for_weeks_does_not_take_over() -> None:
    """The first set-up is withheld until two repairs later: it must not become the session that Ben sends on."""
    world = Quiet()
    world.befriend()
    ann, ben = world.ann, world.ben
    world.go_offline(ben)
    world.say(ann, ben, "held back")
    world.settle(3)
    held_back = world.relay.accounts[ben.uid].mailbox.pop().payload
    assert is_sealed_setup(held_back)
    world.go_online(ben)
    for _ in range(2):
        world.give(ann, inputs.Repair(ben.uid))
        world.settle()
        assert both_can_talk(world, ann, ben, "before")
    world.now_ms += 8 * DAY_MS
    world.settle(3)
    arrive(world, ben, held_back)
    assert both_can_talk(world, ann, ben, "after")
    assert texts(ben, ann).count("held back") == 1


def test_a_peer_that_forgot_everything_gets_the_last_texts_again() -> None:
    """Ann restores a backup from before she knew Ben: his texts reach her after a day, without anybody's doing."""
    world = Quiet()
    ann, ben = world.ann, world.ben
    snapshot = world.snapshot(ann)
    world.befriend()
    assert both_can_talk(world, ann, ben, "before")
    world.roll_back(ann, snapshot)
    world.go_online(ann)
    world.settle()
    world.say(ben, ann, "do you remember me?")
    world.settle()
    world.now_ms += DAY_MS + 3_700_000
    world.settle()
    world.now_ms += 3_700_000
    world.settle()
    assert "do you remember me?" in texts(ann, ben)


def test_an_opening_inside_a_session_makes_nobody_send_again() -> None:
    """Only a set-up that is taken up says what is missing; a contact cannot ask for everything again and again."""
    world = Quiet()
    world.befriend()
    ann, ben = world.ann, world.ben
    for _ in range(3):
        assert both_can_talk(world, ann, ben, "talk")
    entry = ben.engine.sessions.for_sending(ann.uid)
    assert entry is not None
    content = encode_content([Opening(world.now_ms, bytes(32), 0)] * 16)
    _, payload = entry.session.encrypt(content, rng=world.rng.randbytes, now_s=world.now_ms // 1000)
    effects = world.give(ann, inputs.EnvelopesArrived((inputs.ArrivedEnvelope(1, payload),)))
    assert not any(isinstance(effect, SendEnvelope) for effect in effects)
    assert ann.store.outbox.count() == 0


def test_an_absurd_number_in_an_opening_does_not_end_our_numbering() -> None:
    world = Quiet()
    world.befriend()
    ann, ben = world.ann, world.ben
    with ben.store.transaction():
        ben.store.contacts.skip_sequences(ann.uid, 0)
    ben.store.messages.first_missing = lambda *_, **__: 2**53 - 1  # type: ignore[method-assign]
    world.say(ben, ann, "hello")
    world.settle()
    world.say(ann, ben, "still numbered")
    world.settle()
    assert [row.sequence for row in history(ann, ben) if row.is_mine] == [0]
    assert texts(ben, ann) == ["still numbered"]


def test_a_relay_that_claims_old_copies_cannot_make_us_repair_without_end() -> None:
    world = Quiet()
    world.befriend()
    ann, ben = world.ann, world.ben
    assert both_can_talk(world, ann, ben, "before")
    for step in range(1, 20):
        world.give(ann, inputs.LinkOpened(6, 1, 6, 10_000 + step))
        world.settle(2)
    assert ann.store.contacts.count_repairs(ben.uid, 0) <= 1


def test_absurd_counters_of_a_relay_are_not_taken_over() -> None:
    world = Quiet()
    ann = world.ann
    world.give(ann, inputs.LinkOpened(6, 2**32 - 2, 2**32 - 2, 0))
    world.now_ms += 8 * DAY_MS
    world.give(ann, inputs.TimePassed())
    assert ann.store.settings.get_number("next-sid") < 10
    assert ann.store.settings.get_number("next-oid") < 1000


def test_one_old_gap_does_not_hide_a_new_one() -> None:
    world = Quiet()
    world.befriend()
    ann, ben = world.ann, world.ben
    assert both_can_talk(world, ann, ben, "start")
    for lost, age_ms in (("too old to come again", 8 * DAY_MS), ("lost later", 0)):
        world.go_offline(ben)
        world.say(ann, ben, lost)
        world.settle(2)
        world.relay.accounts[ben.uid].mailbox.clear()
        world.now_ms += age_ms
        world.go_online(ben)
        world.say(ann, ben, f"after {lost}")
        world.settle(3)
        for _ in range(10):
            world.now_ms += 3_700_000
            world.settle(3)
    assert "lost later" in texts(ben, ann)


def test_the_very_first_text_is_missed_too() -> None:
    world = Quiet()
    world.befriend()
    ann, ben = world.ann, world.ben
    world.go_offline(ben)
    world.say(ann, ben, "the first")
    world.settle(2)
    world.relay.accounts[ben.uid].mailbox.clear()
    world.say(ann, ben, "the second")
    world.go_online(ben)
    world.settle(3)
    world.now_ms += 700_000
    world.settle()
    assert texts(ben, ann) == ["the first", "the second"]


def test_a_stranger_cannot_take_a_contacts_number_by_claiming_it() -> None:
    """Mallory's number is, says the directory, Ben's: what goes to Ben's number still goes to nobody else."""
    world = Quiet(people=3)
    ann, ben, mallory = world.people.values()
    world.befriend()
    world.give(ann, inputs.SetVerified(ben.uid, is_verified=True))
    world.relay.accounts[mallory.uid].number, world.relay.accounts[ben.uid].number = (
        ben.number,
        "+4915190000000",
    )
    with mallory.store.transaction():
        mallory.store.settings.put_text("number", ben.number)
    world.give(mallory, inputs.AddContact(ann.uid, ann.number))
    world.say(mallory, ann, "I am Ben")
    world.settle()
    holder = ann.store.contacts.by_number(ben.number)
    assert holder is not None
    assert holder.uid == ben.uid
    assert holder.has_moved
    assert AlertCode.NUMBER_MOVED in [alert.code for alert in ann.alerts]
    world.give(ann, inputs.Accept(ben.uid))
    assert ann.store.contacts.by_number(ben.number) is None, (
        "what is sent to the number does not go to Ben any more"
    )


def test_strangers_beyond_a_bound_are_not_taken_in() -> None:
    world = Quiet(people=2)
    ann, ben = world.ann, world.ben
    with ben.store.transaction():
        for number in range(200):
            uid = type(ann.uid)(number.to_bytes(32, "big"))
            ben.store.contacts.add(uid, state="request", trust="first-use", added_at_ms=0)
    world.give(ann, inputs.AddContact(ben.uid, ben.number))
    world.say(ann, ben, "one too many")
    world.settle()
    assert ben.store.contacts.get(ann.uid) is None
    world.give(ben, inputs.AddContact(ann.uid, ann.number))
    world.say(ben, ann, "I know you")
    world.settle()
    assert states(ben, ann) != []


def test_a_long_answer_to_a_request_with_many_receipts_fits() -> None:
    world = Quiet()
    ann, ben = world.ann, world.ben
    world.give(ann, inputs.AddContact(ben.uid, ben.number))
    for number in range(70):
        world.say(ann, ben, f"{number}")
    world.settle()
    world.say(ben, ann, "x" * 59_900)
    world.settle()
    assert len(texts(ann, ben)[-1]) == 59_900


def test_a_clock_that_was_ahead_does_not_stop_rotation() -> None:
    world = Quiet()
    ben = world.ben
    true_ms = world.now_ms
    world.now_ms += 400 * DAY_MS
    world.settle(2)
    world.now_ms = true_ms
    world.settle(2)
    world.now_ms += 2 * 3_600_000
    world.settle(2)
    newest = ben.store.prekeys.signed_sets()[0]
    assert newest.created_at_ms <= world.now_ms
