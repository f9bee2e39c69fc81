"""A world in which nothing goes wrong, for tests that want one thing to happen."""

from __future__ import annotations

from tests.sim.faults import NO_FAULTS
from tests.sim.person import Person
from tests.sim.relay import Malice
from tests.sim.world import World
from zap2.engine import inputs
from zap2.ids import conversation_with
from zap2.vault.rows import MessageRow

DAY_MS = 86_400_000


class Quiet(World):
    """Two or more people and a relay, everybody online, nothing going wrong."""

    def __init__(self, people: int = 2, malice: Malice | None = None) -> None:
        super().__init__(1, people=people, malice=malice, faults=NO_FAULTS)
        self.ann, self.ben, *_ = self.people.values()
        for person in self.people.values():
            self.go_online(person)
        self.settle()

    def go_online(self, person: Person) -> None:
        person.is_online = True
        self.give(person, self.relay.opened(person.uid))

    def go_offline(self, person: Person) -> None:
        person.is_online = False
        person.requests.clear()
        person.answers.clear()
        self.give(person, inputs.LinkClosed())

    def settle(self, rounds: int = 40) -> None:
        for _ in range(rounds):
            self.now_ms += 200
            for person in self.people.values():
                while person.requests or person.answers or self._deliver(person):
                    if person.is_online or person.answers:
                        self._process_one(person)
                    else:
                        break
                self.give(person, inputs.TimePassed())

    def befriend(self) -> None:
        self.give(self.ann, inputs.AddContact(self.ben.uid, self.ben.number))
        self.give(self.ben, inputs.AddContact(self.ann.uid, self.ann.number))

    def say(self, author: Person, reader: Person, text: str) -> None:
        self.give(author, inputs.SendText(conversation_with(reader.uid), text))


def history(person: Person, other: Person) -> list[MessageRow]:
    return person.store.messages.page(conversation_with(other.uid), before=None, limit=1000)


def states(person: Person, other: Person) -> list[str | None]:
    return [row.state for row in history(person, other) if row.is_mine]


def talking(turns: int = 1, people: int = 2) -> tuple[Quiet, Person, Person]:
    """Give a world in which Ann and Ben have written to each other, so many times in turn; the relay saw nothing."""
    world = Quiet(people)
    world.befriend()
    for _ in range(turns):
        world.say(world.ann, world.ben, "from ann")
        world.settle(5)
        world.say(world.ben, world.ann, "from ben")
        world.settle(5)
    world.settle()
    world.relay.ways.clear()
    return world, world.ann, world.ben


def texts(person: Person, other: Person) -> list[str]:
    """Give what a person has read of another one."""
    return [row.text for row in history(person, other) if not row.is_mine]


def token_of(person: Person, other: Person) -> bytes | None:
    """Give what a person holds of another one's, to send sealed with."""
    contact = person.store.contacts.get(other.uid)
    return None if contact is None else contact.delivery_token


def last_is_sealed(author: Person, reader: Person) -> bool | None:
    """Say whether the newest text of an author went sealed."""
    return [row.is_sealed for row in history(author, reader) if row.is_mine][-1]
