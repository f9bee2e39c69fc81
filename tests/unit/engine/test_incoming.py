"""What arrives and is not simply a text: gaps beyond the bounds, contents of the future, clocks, the blocked."""

from __future__ import annotations

from tests.sim.person import Person
from tests.sim.quiet import DAY_MS, Quiet, history, talking
from zap2.engine import inputs
from zap2.engine.effects import AlertCode
from zap2.wire.content import Text, encode_content


def _encrypt(world: Quiet, author: Person, reader: Person, content: bytes, *, skip: int = 0) -> bytes:
    """Encrypt any content on the author's session, after some messages that never leave."""
    entry = author.engine.sessions.for_sending(reader.uid)
    assert entry is not None
    session = entry.session
    for _ in range(skip + 1):
        session, payload = session.encrypt(content, rng=world.rng.randbytes, now_s=world.now_ms // 1000)
    return payload


def _arrive(world: Quiet, person: Person, payload: bytes) -> None:
    world.give(person, inputs.EnvelopesArrived((inputs.ArrivedEnvelope(1, payload),)))


def _alerts(person: Person) -> list[AlertCode]:
    return [alert.code for alert in person.alerts]


def _text(world: Quiet, text: str, sequence: int, *, sent_at_ms: int | None = None) -> bytes:
    at_ms = world.now_ms if sent_at_ms is None else sent_at_ms
    return encode_content([Text(world.rng.randbytes(16), sequence, at_ms, text)])


def test_a_message_beyond_the_bounds_is_told_as_a_gap_and_the_session_is_repaired() -> None:
    """A thousand messages may be missing, not more: nothing is shown, the person is told, and it is put right."""
    world, ann, ben = talking()
    payload = _encrypt(world, ann, ben, _text(world, "too far ahead", 1), skip=1100)
    _arrive(world, ben, payload)
    assert [row.text for row in history(ben, ann) if not row.is_mine] == ["from ann"]
    assert _alerts(ben) == [AlertCode.GAP]
    contact = ben.store.contacts.get(ann.uid)
    assert contact is not None
    assert contact.session_state == "repairing"


def test_a_content_that_this_version_cannot_show_is_told() -> None:
    """Nothing of it is shown, and it does not vanish without a word."""
    world, ann, ben = talking()
    _arrive(world, ben, _encrypt(world, ann, ben, b"\x91\x92\x7f\x00"))
    assert _alerts(ben) == [AlertCode.UNKNOWN_CONTENT]
    assert len(history(ben, ann)) == 2


def test_a_text_cannot_come_from_the_future() -> None:
    """A contact's clock, or a contact, that says next year does not put a text there."""
    world, ann, ben = talking()
    _arrive(
        world, ben, _encrypt(world, ann, ben, _text(world, "n", 1, sent_at_ms=world.now_ms + 365 * DAY_MS))
    )
    assert history(ben, ann)[-1].sent_at_ms == world.now_ms
    _arrive(world, ben, _encrypt(world, ann, ben, _text(world, "o", 2, sent_at_ms=5), skip=1))
    assert history(ben, ann)[-1].sent_at_ms == 5


def test_a_blocked_persons_set_up_costs_no_pair_and_makes_no_session() -> None:
    """Whoever is blocked cannot use up what others need, nor take a session's place."""
    world, ann, ben = talking()
    sessions = [row.id for row in ben.store.sessions.all()]
    world.give(ben, inputs.Block(ann.uid))
    pairs = ben.store.prekeys.count_one_time()
    world.give(ann, inputs.Repair(ben.uid))
    world.settle(3)
    assert [row.id for row in ben.store.sessions.all()] == sessions
    assert ben.store.prekeys.count_one_time() == pairs


def test_a_stranger_makes_us_repair_nothing() -> None:
    """Who was not accepted gets no sign of us, whatever their session looks like."""
    world = Quiet()
    ann, ben = world.ann, world.ben
    world.give(ann, inputs.AddContact(ben.uid, ben.number))
    world.say(ann, ben, "do you know me?")
    world.settle(3)
    _arrive(world, ben, _encrypt(world, ann, ben, _text(world, "too far ahead", 1), skip=1100))
    contact = ben.store.contacts.get(ann.uid)
    assert contact is not None
    assert (contact.state, contact.session_state) == ("request", "fine")
    assert not ben.requests
    assert _alerts(ben) == []
