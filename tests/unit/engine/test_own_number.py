"""One's own number, once another account has it: kept in the vault, said once, and claimed no more."""

from __future__ import annotations

from dataclasses import replace

from tests.sim.quiet import Quiet
from zap2.engine import account, inputs
from zap2.engine.effects import OwnNumberChanged


def test_a_lost_number_is_noted_once_and_outlives_a_restart() -> None:
    """Guards the vault's memory: the word comes again at each log-in, the news does not."""
    world = Quiet(people=2)
    ann, _ = world.people.values()
    assert account.has_number(ann.store)
    assert ann.engine.handle(inputs.NumberLost(), world.now_ms) == [OwnNumberChanged(has_number=False)]
    assert ann.engine.handle(inputs.NumberLost(), world.now_ms) == []
    world.roll_back(ann, world.snapshot(ann))
    assert not account.has_number(ann.store)


def test_the_relay_s_word_at_the_log_in_counts_in_both_directions() -> None:
    """Guards a relay that was restored from a backup before the take-over: the number is ours after all."""
    world = Quiet(people=2)
    ann, _ = world.people.values()
    opened = world.relay.opened(ann.uid)
    assert isinstance(opened, inputs.LinkOpened)
    for has_number in (False, False, True, True):
        before = account.has_number(ann.store)
        effects = ann.engine.handle(replace(opened, has_number=has_number), world.now_ms)
        news = [effect for effect in effects if isinstance(effect, OwnNumberChanged)]
        assert news == ([OwnNumberChanged(has_number)] if has_number != before else [])
        assert account.has_number(ann.store) is has_number


def test_a_lost_number_is_claimed_to_nobody() -> None:
    """Guards the loser's good name: the directory gives the number to somebody else, and claims are checked."""
    world = Quiet(people=3)
    ann, ben, cem = world.people.values()
    world.says(ann, ben, "my number is still mine")
    world.settle()
    claimed = ben.store.contacts.get(ann.uid)
    assert claimed is not None
    assert claimed.claimed_number or claimed.number
    world.give(ann, inputs.NumberLost())
    world.says(ann, cem, "you do not know me yet")
    world.settle()
    silent = cem.store.contacts.get(ann.uid)
    assert silent is not None
    assert silent.profile_name
    assert (silent.claimed_number, silent.number) == (None, None)
