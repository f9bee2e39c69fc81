"""A whole world from one seed: people with engines and vaults, a relay, and everything that can go wrong between.

Every effect of an engine and every answer of the relay is an event that waits in a queue. The world draws what
happens next: somebody types, an event is processed, lost, or overtaken by another, mail changes its order in the
mailbox, a delivery is repeated, a link breaks, the relay restarts, a process dies between two effects or in the
middle of a transaction. What a dead process keeps is exactly what its vault committed.

`storm` runs such a time; `calm` lets everything settle without faults; then `check_everything` says what must hold.
"""

from __future__ import annotations

import itertools
import random
from collections import deque
from typing import Any

from tests.sim.faults import NO_FAULTS, Faults, FusedConnection, PowerCut
from tests.sim.person import Person, Sent
from tests.sim.relay import Malice, Request, SimRelay, unanswered
from zap2.engine import inputs
from zap2.engine.account import create_identity, load_keys, set_profile
from zap2.engine.effects import (
    Acknowledge,
    Alert,
    Effect,
    FetchKeys,
    LookUpNumber,
    MessageStored,
    PublishKeys,
    SendEnvelope,
    SetDeliveryToken,
)
from zap2.engine.engine import Engine
from zap2.engine.inputs import Input
from zap2.engine.policy import Policy
from zap2.ids import Uid, conversation_with
from zap2.vault.container import memory_database
from zap2.vault.sql import Connection
from zap2.vault.store import Store

SMALL = Policy(one_time_stock=6, one_time_low=3, one_time_kept=40, send_window=8)
START_MS = 1_800_000_000_000


class World:
    """Some people and a relay, driven by one seed."""

    def __init__(
        self, seed: int, *, people: int = 3, malice: Malice | None = None, faults: Faults | None = None
    ) -> None:
        self.rng = random.Random(seed)
        self.faults = faults or Faults()
        self.relay = SimRelay(self.rng, malice or Malice())
        self.now_ms = START_MS
        self.sent: list[Sent] = []
        self.payloads: dict[bytes, Uid] = {}
        self.people: dict[str, Person] = {}
        for index in range(people):
            self.join(f"p{index}")

    # ---------------------------------------------------------------------------------------- driving

    def storm(self, turns: int) -> None:
        """Let people write and things go wrong for a number of turns."""
        for _ in range(turns):
            person = self.rng.choice(list(self.people.values()))
            roll = self.rng.random()
            if roll < 0.15:
                self._type(person)
            elif roll < 0.22:
                self._read(person)
            elif roll < 0.29:
                self._toggle_link(person)
            elif roll < 0.34:
                self._pass_time(person, self.rng.randrange(1, 5000))
            else:
                for _ in range(self.rng.randrange(1, 4)):
                    self._process_one(person)
            self._misfortune(person)

    def acquaint(self) -> None:
        """Let everybody have a session with everybody, so that what is typed from now on leaves at once."""
        faults, malice = self.faults, self.relay.malice
        self.calm()
        self.sent += self.everybody_says("hello")
        self.calm()
        self.faults, self.relay.malice = faults, malice

    def calm(self) -> None:
        """End all faults and let everything settle; what lay in the mailboxes comes in any order."""
        if self.faults.reorder:
            for account in self.relay.accounts.values():
                self.rng.shuffle(account.mailbox)
        self.faults = NO_FAULTS
        self.relay.malice = Malice()
        for person in self.people.values():
            self._disconnect(person)
            self._connect(person)
        for _ in range(200):
            for person in self.people.values():
                while person.requests or person.answers or self._deliver(person):
                    self._process_one(person)
            if self._is_settled():
                return
            self.now_ms += 1000
            for person in self.people.values():
                if person.engine.next_deadline_ms() <= self.now_ms:
                    self.give(person, inputs.TimePassed())
        raise AssertionError("the world does not settle")

    def pass_a_day(self) -> None:
        """Let a quiet day go by, with the upkeep that it brings."""
        for hours in (25, 2):
            self.now_ms += hours * 3_600_000
            for person in self.people.values():
                self.give(person, inputs.TimePassed())
            self.calm()

    def give(self, person: Person, *given: Input) -> list[Effect]:
        """Hand inputs to somebody's engine; its requests wait to be sent, its acknowledgements happen."""
        effects = person.engine.handle_all(given, self.now_ms)
        for effect in effects:
            match effect:
                case SendEnvelope():
                    self._check_fresh(person, effect)
                    person.requests.append(effect)
                case FetchKeys() | PublishKeys() | LookUpNumber() | SetDeliveryToken():
                    person.requests.append(effect)
                case Acknowledge():
                    if self.rng.random() >= self.faults.lose_request:
                        self.relay.acknowledge(person.uid, effect.token)
                case Alert():
                    person.alerts.append(effect)
                case MessageStored():
                    person.stored.append(effect)
                case _:
                    pass
            if self.rng.random() < self.faults.crash:
                # The process dies with the rest of the effects still to be carried out.
                self._crash(person)
                break
        return effects

    # ------------------------------------------------------------------------------------------ people

    def join(self, name: str) -> Person:
        """Let one more person sign up."""
        number = f"+4915112345{len(self.people):03d}"
        connection = FusedConnection(memory_database())
        store = Store(connection)
        with store.transaction():
            create_identity(store, self.rng.randbytes)
            set_profile(store, name=name, number=number)
        keys = load_keys(store)
        self.relay.register(keys.uid, keys.document, keys.document_signature, number)
        engine = Engine(store, self.rng.randbytes, SMALL)
        self.people[name] = Person(name, number, connection, store, engine)
        self.give(self.people[name], inputs.TimePassed())
        return self.people[name]

    def _type(self, person: Person) -> None:
        other = self.rng.choice([p for p in self.people.values() if p is not person])
        if person.store.contacts.get(other.uid) is None:
            self._step(person, inputs.AddContact(other.uid, other.number))
            if person.store.contacts.get(other.uid) is None:
                return
        for _ in range(self.rng.choice([1, 1, 2, 4])):
            self._type_to(person, other)

    def _type_to(self, person: Person, other: Person) -> None:
        conversation = conversation_with(other.uid)
        text = f"{person.name} to {other.name}: {len(self.sent)} " + "x" * self.rng.choice([1, 40, 900, 5000])
        before = person.newest_to(conversation)
        self._step(person, inputs.SendText(conversation, text))
        after = person.newest_to(conversation)
        # A crash may hit before or after the commit: what the vault holds is what was taken.
        if after is not None and after != before:
            self.sent.append(Sent(person.name, other.name, after, text))

    def _read(self, person: Person) -> None:
        conversations = person.store.messages.conversations()
        if conversations:
            line = self.rng.choice(conversations)
            page = person.store.messages.page(line.id, before=None, limit=1_000)
            self._step(person, inputs.MarkTheseRead(line.id, tuple(row.id for row in page)))

    # --------------------------------------------------------------------------------------- transport

    def _toggle_link(self, person: Person) -> None:
        if person.is_online:
            self._disconnect(person)
        else:
            self._connect(person)

    def _connect(self, person: Person) -> None:
        person.is_online = True
        if self.rng.random() < self.faults.lose_token:
            self.relay.accounts[person.uid].token_hash = None
        person.answers.append(self.relay.opened(person.uid))

    def _disconnect(self, person: Person) -> None:
        person.is_online = False
        person.requests.clear()
        person.answers.clear()
        self._step(person, inputs.LinkClosed())

    def _process_one(self, person: Person) -> None:
        """One thing happens on somebody's connection."""
        choice = self.rng.random()
        if person.answers and choice < 0.5:
            self._step(person, _draw(self.rng, person.answers, self.faults.reorder))
        elif person.requests and choice < 0.8:
            self._reach_relay(person)
        elif not self._deliver(person):
            if person.requests:
                self._reach_relay(person)
            elif person.answers:
                self._step(person, _draw(self.rng, person.answers, self.faults.reorder))

    def _reach_relay(self, person: Person) -> None:
        request = _draw(self.rng, person.requests, self.faults.reorder)
        if not person.is_online or self.rng.random() < self.faults.lose_request:
            person.answers.append(unanswered(request))
            return
        failure = self._sealed_failure(request)
        if failure and self.rng.random() < 0.5:
            person.answers.append(unanswered(request, failure))
            return
        answer = self.relay.answer(person.uid, request)
        if failure or self.rng.random() < self.faults.lose_answer:
            answer = unanswered(request, failure or "unreachable")
        person.answers.append(answer)

    def _sealed_failure(self, request: Request) -> str:
        """Perhaps let a sealed send fail: no connection, a limit, or a token that is refused for nothing."""
        if not isinstance(request, SendEnvelope) or request.delivery_token is None:
            return ""
        codes = ("sealed-unavailable", "rate-limited", "delivery-refused")
        return self.rng.choice(codes) if self.rng.random() < self.faults.fail_sealed else ""

    def _deliver(self, person: Person) -> bool:
        """Hand over a run of deliveries, perhaps shuffled, repeated or with lies among them."""
        if not person.is_online:
            return False
        mailbox = self.relay.accounts[person.uid].mailbox
        if self.rng.random() < self.faults.reorder:
            # More than what is handed over now: what is behind overtakes it, over reconnects too.
            self.rng.shuffle(mailbox)
        envelopes = [
            inputs.ArrivedEnvelope(mail.token, self.relay.lie_about_mail(mail.payload), mail.token)
            for mail in mailbox[: self.rng.randrange(1, 6)]
        ]
        if envelopes and self.rng.random() < self.faults.duplicate:
            envelopes.append(self.rng.choice(envelopes))
        extra = self.relay.extra_mail()
        if extra is not None:
            envelopes.append(inputs.ArrivedEnvelope(0, extra))
        if not envelopes:
            return False
        self._step(person, inputs.EnvelopesArrived(tuple(envelopes)))
        return True

    def _pass_time(self, person: Person, elapsed_ms: int) -> None:
        self.now_ms += elapsed_ms
        self._step(person, inputs.TimePassed())

    # --------------------------------------------------------------------------------------- misfortune

    def _step(self, person: Person, given: Input) -> None:
        if self.rng.random() < self.faults.crash_inside:
            person.connection.fuse = self.rng.randrange(1, 12)
        try:
            self.give(person, given)
        except PowerCut:
            self._crash(person)
        person.connection.fuse = None

    def _misfortune(self, person: Person) -> None:
        if self.rng.random() < self.faults.break_link:
            self._disconnect(person)
        if self.rng.random() < self.faults.crash:
            self._crash(person)
        if self.rng.random() < self.faults.restart_relay:
            for everybody in self.people.values():
                self._disconnect(everybody)

    def snapshot(self, person: Person) -> Connection:
        """Copy somebody's vault as it is now."""
        copy = memory_database()
        person.connection.backup(copy)
        return copy

    def roll_back(self, person: Person, snapshot: Connection) -> None:
        """Put an older copy of a vault in the place of the present one, as a restored backup does."""
        self._crash(person)
        person.connection = FusedConnection(snapshot)
        person.store = Store(person.connection)
        person.engine = Engine(person.store, self.rng.randbytes, SMALL)

    def _crash(self, person: Person) -> None:
        """Forget everything but the vault, and start again."""
        person.connection.fuse = None
        person.requests.clear()
        person.answers.clear()
        person.is_online = False
        person.engine = Engine(person.store, self.rng.randbytes, SMALL)
        person.answers.append(inputs.TimePassed())

    # ------------------------------------------------------------------------------------------ checks

    def _check_fresh(self, person: Person, effect: SendEnvelope) -> None:
        """No two different envelopes may ever share a header nonce, whatever crashed in between."""
        holder = self.payloads.setdefault(effect.payload, effect.to)
        assert holder == effect.to, "one ciphertext was sent to two people"

    def _is_settled(self) -> bool:
        return all(
            not person.requests
            and not person.answers
            and not self.relay.accounts[person.uid].mailbox
            and person.store.outbox.count() == 0
            and not person.store.outbox.peers_owed_receipts()
            for person in self.people.values()
        )

    def check_everything(self) -> None:
        """Nothing taken was lost, nothing is shown twice, and each author's order is kept."""
        for author in self.people.values():
            for reader in self.people.values():
                if author is reader:
                    continue
                typed = [s.text for s in self.sent if (s.author, s.reader) == (author.name, reader.name)]
                shown = [
                    row.text
                    for row in reader.store.messages.page(
                        conversation_with(author.uid), before=None, limit=10_000
                    )
                    if row.author == author.uid
                ]
                assert shown == typed, (
                    f"{author.name} to {reader.name}: {len(typed)} typed, {len(shown)} shown"
                )
                self._check_states(author, reader)

    def everybody_says(self, text: str) -> list[Sent]:
        """Let everybody write to everybody; gives what was written."""
        pairs = itertools.permutations(self.people.values(), 2)
        return [self.says(author, reader, text) for author, reader in pairs]

    def says(self, author: Person, reader: Person, text: str) -> Sent:
        """Let one person write to another; gives what was written."""
        if author.store.contacts.get(reader.uid) is None:
            self.give(author, inputs.AddContact(reader.uid, reader.number))
        mark = f"{author.name} to {reader.name}: {text}"
        self.give(author, inputs.SendText(conversation_with(reader.uid), mark))
        message = author.newest_to(conversation_with(reader.uid))
        assert message is not None
        return Sent(author.name, reader.name, message, mark)

    def check_readable(self, said: list[Sent]) -> None:
        """Each of these is shown to its reader, once."""
        for sent in said:
            author, reader = self.people[sent.author], self.people[sent.reader]
            rows = reader.store.messages.page(conversation_with(author.uid), before=None, limit=10_000)
            assert [row.text for row in rows].count(sent.text) == 1, sent

    def _check_states(self, author: Person, reader: Person) -> None:
        contact = reader.store.contacts.get(author.uid)
        rows = author.store.messages.page(conversation_with(reader.uid), before=None, limit=10_000)
        for row in (row for row in rows if row.is_mine):
            assert row.state in ("sent", "delivered", "read"), row
            if contact is not None and contact.state == "accepted":
                assert row.state != "sent", "an accepted contact's device confirms what it stored"


def _draw(rng: random.Random, queue: deque[Any], reorder: float) -> Any:
    if len(queue) > 1 and rng.random() < reorder:
        queue.rotate(-rng.randrange(len(queue)))
    return queue.popleft()
