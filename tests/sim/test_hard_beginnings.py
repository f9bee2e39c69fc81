"""Worlds that begin badly: everybody writes first at once, no one-time pairs are left, acknowledgements get lost."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from tests.sim.faults import Faults
from tests.sim.world import World
from zap2.crypto import PAYLOAD_SIZES_B

SEEDS = max(1, int(os.environ.get("ZAP2_SIM_SEEDS", "1000")) // 40)


def _everybody_writes_first_at_once(world: World) -> None:
    """Nobody has read anything when everybody's first message leaves."""
    for person in world.people.values():
        world._connect(person)
    world.sent += world.everybody_says("first")
    world.storm(60)


def _no_pairs_are_left(world: World) -> None:
    """Somebody uses up each pair as soon as it is published: the last-resort key serves."""
    for _ in range(80):
        for account in world.relay.accounts.values():
            account.pairs.clear()
        world.storm(1)
    sessions = [entry for p in world.people.values() for entry in p.engine.sessions.by_recency()]
    assert any(not entry.session.has_one_time_prekey for entry in sessions) or not sessions


def _acknowledgements_get_lost(world: World) -> None:
    """Half of what is asked and answered never arrives: all is sent and delivered again and again."""
    world.faults = Faults(lose_request=0.5, lose_answer=0.5, duplicate=0.3)
    world.storm(120)


def _mail_arrives_in_any_order(world: World) -> None:
    """Mail piles up, and what was written last comes first."""
    world.storm(40)
    for _ in range(6):
        for person in world.people.values():
            world._disconnect(person)
        for person in world.people.values():
            world._type(person)
            world._type(person)
            world._connect(person)
            while person.answers or person.requests:
                if person.answers:
                    world._step(person, person.answers.popleft())
                else:
                    world._reach_relay(person)
        for account in world.relay.accounts.values():
            account.mailbox.reverse()
        world.storm(10)


@pytest.mark.parametrize(
    "begin",
    [
        _everybody_writes_first_at_once,
        _no_pairs_are_left,
        _acknowledgements_get_lost,
        _mail_arrives_in_any_order,
    ],
)
def test_a_world_that_began_badly_converges(begin: Callable[[World], None]) -> None:
    """Everything taken is delivered, in order, exactly once, and the next message in each direction is readable."""
    for seed in range(SEEDS):
        world = World(seed, people=2 + seed % 2)
        try:
            begin(world)
            world.calm()
            world.check_everything()
            marks = world.everybody_says("and now?")
            world.calm()
            world.check_readable(marks)
        except Exception as error:
            raise AssertionError(f"seed {seed}: {error}") from error
        assert {len(payload) for payload in world.payloads} <= set(PAYLOAD_SIZES_B)
