"""What lengths tell: everything that a client hands to its transport, while people do what people do."""

from __future__ import annotations

from tests.sim.person import Person
from tests.sim.quiet import Quiet
from zap2.crypto import PAYLOAD_SIZES_B, is_sealed_setup
from zap2.engine import inputs
from zap2.engine.effects import Effect, SendEnvelope
from zap2.engine.inputs import Input
from zap2.ids import ConversationId, MessageId, conversation_with


class _Watched(Quiet):
    """A quiet world that keeps the sizes of all that goes out."""

    def __init__(self) -> None:
        self.first: set[int] = set()
        self.later: set[int] = set()
        super().__init__()

    def give(self, person: Person, *given: Input) -> list[Effect]:
        effects = super().give(person, *given)
        for effect in effects:
            if isinstance(effect, SendEnvelope):
                sizes = self.first if is_sealed_setup(effect.payload) else self.later
                sizes.add(len(effect.payload))
        return effects

    def take(self) -> tuple[set[int], set[int]]:
        """Give the sizes of sealed set-ups and of other envelopes since the last time."""
        taken = self.first, self.later
        self.first, self.later = set(), set()
        return taken


def test_whatever_people_do_only_the_fixed_sizes_go_out() -> None:
    """Guards: padding. First messages, answers, receipts, repairs, blocking: 4096, 512, or what a text needs."""
    world = _Watched()
    world.befriend()
    ann, ben = world.ann, world.ben
    world.say(ann, ben, "hello")
    world.settle(1)
    assert world.take() == ({4096}, set()), "a first message"
    world.settle()
    world.take()
    for _ in range(3):
        world.say(ben, ann, "short")
        world.settle()
        world.say(ann, ben, "short")
        world.settle()
        world.give(ben, inputs.MarkTheseRead(*_newest(ben, ann)))
        world.settle()
    assert world.take() == (set(), {512}), "texts, and receipts of both kinds"
    for length_b, size_b in ((500, 1024), (1500, 2048), (3000, 4096), (6000, 8192), (59_000, 65_536)):
        world.say(ann, ben, "x" * length_b)
        assert world.take() == (set(), {size_b})
        world.settle()
        assert world.take()[1] <= {512, 1024}, "receipts, one of which may be lifted"
    world.give(ann, inputs.Repair(ben.uid))
    world.settle()
    first, later = world.take()
    assert first == {4096}, "a repair says nothing by its length"
    world.give(ann, inputs.Block(ben.uid))
    world.settle()
    first, later = (kept | new for kept, new in zip((first, later), world.take(), strict=True))
    assert first | later <= set(PAYLOAD_SIZES_B)


def _newest(person: Person, other: Person) -> tuple[ConversationId, tuple[MessageId, ...]]:
    conversation = conversation_with(other.uid)
    rows = person.store.messages.page(conversation, before=None, limit=100)
    return conversation, tuple(row.id for row in rows if not row.is_mine)
