"""Signed sets are decoded once, and what the store says counts."""

from __future__ import annotations

from tests.crypto_world import NOW_S, new_person
from zap2.crypto import SignedPrekeySecrets
from zap2.engine.signed_sets import SignedSets
from zap2.vault.rows import SignedPrekeyRow


def row(sid: int, seed: str) -> SignedPrekeyRow:
    """Make a set as the vault keeps it."""
    person = new_person(seed)
    secrets = SignedPrekeySecrets.generate(person.keys, sid=sid, now_s=NOW_S, rng=person.rng)
    return SignedPrekeyRow(sid, secrets.encode(), NOW_S * 1000, is_published=True)


def test_a_set_is_decoded_once_while_the_store_holds_it() -> None:
    first, second, sets = row(1, "a"), row(2, "a"), SignedSets()
    before = sets.decode([first])
    after = sets.decode([second, first])
    assert after[1] is before[1]
    assert set(after) == {1, 2}
    assert set(sets.decode([second])) == {2}
    assert sets.decode([first])[1] is not before[1]


def test_another_set_of_the_same_number_takes_the_place_of_one_that_was_rolled_back() -> None:
    """A transaction that failed gave the number to a set that never was."""
    never, stored, sets = row(5, "never was"), row(5, "stored"), SignedSets()
    assert sets.decode([never])[5].encode() == never.secrets
    assert sets.decode([stored])[5].encode() == stored.secrets
