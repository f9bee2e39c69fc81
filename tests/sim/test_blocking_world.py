"""Worlds in which people block and accept one another in the middle of a storm."""

from __future__ import annotations

import os

import pytest

from tests.sim.person import Person
from tests.sim.world import World
from zap2.engine import inputs
from zap2.engine.delivery import CONFIRMED, GIVEN
from zap2.errors import InvalidMessage
from zap2.ids import Uid, conversation_with
from zap2.vault import settings
from zap2.wire.statements import delivery_token_hash

SEEDS = int(os.environ.get("ZAP2_SIM_SEEDS", "1000")) // 20
BATCH = 25


class BlockingWorld(World):
    """People who fall out and make up; delivery tokens are renewed, refused, limited and lost meanwhile."""

    def quarrel(self, turns: int) -> None:
        """Storm, with a change of somebody's mind now and then."""
        for _ in range(turns):
            self.storm(1)
            person = self.rng.choice(list(self.people.values()))
            contacts = person.store.contacts.all()
            if contacts and self.rng.random() < 0.08:
                contact = self.rng.choice(contacts)
                wish = inputs.Block if contact.state == "accepted" else inputs.Accept
                self._step(person, wish(contact.uid))

    def make_up(self) -> None:
        """Let everybody accept everybody, and send what failed because of a quarrel."""
        for person in self.people.values():
            for contact in person.store.contacts.all():
                self.give(person, inputs.Accept(contact.uid))
                here = conversation_with(contact.uid)
                for row in person.store.messages.page(here, before=None, limit=10_000):
                    if row.is_mine and row.state == "failed":
                        self.give(person, inputs.Retry(here, row.id))

    def fall_out(self) -> None:
        """Let the first person block everybody who has their token."""
        first = next(iter(self.people.values()))
        for contact in first.store.contacts.all():
            self.give(first, inputs.Block(contact.uid))

    def _type(self, person: Person) -> None:
        try:
            super()._type(person)
        except InvalidMessage:
            # To somebody who is blocked: refused, and nothing was changed.
            person.connection.fuse = None

    def check_shut_out(self) -> None:
        """Whoever is blocked has a token that opens nothing."""
        for owner in self.people.values():
            token = owner.store.settings.get(settings.DELIVERY_TOKEN)
            assert token is not None
            assert self.relay.accounts[owner.uid].token_hash == delivery_token_hash(token)
            for contact in owner.store.contacts.all():
                if contact.state == "blocked":
                    assert self._held_by(contact.uid, owner.uid) != token
                if contact.own_token_state == CONFIRMED:
                    assert self._held_by(contact.uid, owner.uid) in (token, None)

    def check_all_are_let_in(self) -> None:
        """Everybody to whom somebody has written since has been given the token."""
        for owner in self.people.values():
            states = {contact.own_token_state for contact in owner.store.contacts.all()}
            assert states <= {GIVEN, CONFIRMED}, states

    def _held_by(self, holder: Uid, owner: Uid) -> bytes | None:
        person = next(person for person in self.people.values() if person.uid == holder)
        contact = person.store.contacts.get(owner)
        return None if contact is None else contact.delivery_token


@pytest.mark.parametrize("first", range(0, SEEDS, BATCH))
def test_quarrels_lose_nothing_for_those_who_make_up_and_shut_out_those_who_do_not(first: int) -> None:
    for seed in range(first, min(first + BATCH, SEEDS)):
        world = BlockingWorld(seed, people=2 + seed % 2)
        try:
            world.quarrel(80)
            world.calm()
            world.check_shut_out()
            world.make_up()
            world.calm()
            # What a blocked person wrote was dropped: its author notices by the receipt that stays away.
            for _ in range(2):
                world.pass_a_day()
            world.check_everything()
            marks = world.everybody_says("friends again?")
            world.calm()
            world.check_readable(marks)
            world.check_shut_out()
            world.check_all_are_let_in()
            world.fall_out()
            world.calm()
            world.check_shut_out()
        except Exception as error:
            raise AssertionError(f"seed {seed}: {error!r}") from error
