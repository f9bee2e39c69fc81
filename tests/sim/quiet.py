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
