"""Numbers that stay empty leave no gap for ever, and an older copy of a vault uses none twice."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.sim.person import Person
from tests.sim.quiet import DAY_MS, history, states, talking, texts
from zap2.engine import inputs
from zap2.ids import ConversationId, Uid, conversation_with
from zap2.vault.container import memory_database
from zap2.vault.store import Store
from zap2.vault.voids import MAX_RANGES


def missing(reader: Person, author: Person) -> int:
    """How many texts the reader is shown to be missing."""
    count = reader.store.messages.count_missing_before
    return sum(count(row.conversation, row.author, row.sequence) for row in history(reader, author))


def test_a_text_that_failed_leaves_no_gap_and_takes_its_place_if_it_goes_out_after_all() -> None:
    world, ann, ben = talking(turns=2)
    world.go_offline(ann)
    world.say(ann, ben, "too old")
    world.now_ms += 31 * DAY_MS
    world.go_online(ann)
    world.settle()
    assert states(ann, ben)[-1] == "failed"
    world.say(ann, ben, "after it")
    world.settle()
    assert texts(ben, ann)[-1] == "after it"
    assert missing(ben, ann) == 0
    repairs = ben.store.contacts.count_repairs(ann.uid, 0)
    world.now_ms += 700_000
    world.settle()
    assert ben.store.contacts.count_repairs(ann.uid, 0) == repairs, "nobody asks for what will not come"
    failed = next(row for row in history(ann, ben) if row.state == "failed")
    world.give(ann, inputs.Retry(failed.conversation, failed.id))
    world.settle()
    assert texts(ben, ann)[-2:] == ["too old", "after it"]


def test_a_text_that_is_tried_again_at_once_is_waited_for() -> None:
    world, ann, ben = talking(turns=2)
    world.go_offline(ann)
    world.say(ann, ben, "too old")
    world.now_ms += 31 * DAY_MS
    world.go_online(ann)
    world.settle()
    failed = history(ann, ben)[-1]
    world.give(ann, inputs.Retry(failed.conversation, failed.id))
    assert ann.store.voids.of_author(failed.conversation, ann.uid, 10) == []


def test_the_reader_is_told_until_a_receipt_shows_that_they_know() -> None:
    world, ann, ben = talking(turns=2)
    here = conversation_with(ben.uid)
    world.go_offline(ann)
    world.say(ann, ben, "too old")
    world.now_ms += 31 * DAY_MS
    world.go_online(ann)
    world.settle()
    for number in range(2):
        world.say(ann, ben, f"lost {number}")
        world.settle(1)
        world.relay.accounts[ben.uid].mailbox.clear()
    assert len(ann.store.voids.of_author(here, ann.uid, 10)) == 1
    for number in range(2):
        world.say(ann, ben, f"arrives {number}")
        world.settle()
    assert ann.store.voids.of_author(here, ann.uid, 10) == []


def test_after_a_restore_new_texts_stand_at_the_end_of_the_readers_history_without_a_gap() -> None:
    """The younger copy used the next numbers: with them a new text would show in the middle, or for another one."""
    world, ann, ben = talking(turns=2)
    snapshot = world.snapshot(ann)
    for number in range(4):
        world.say(ann, ben, f"by the younger copy {number}")
        world.say(ben, ann, "and an answer")
        world.settle(4)
    world.roll_back(ann, snapshot)
    world.go_online(ann)
    world.settle()
    world.say(ann, ben, "after the restore")
    world.settle()
    assert texts(ben, ann)[-1] == "after the restore"
    assert texts(ben, ann)[-2] == "by the younger copy 3"
    sequences = [row.sequence for row in history(ben, ann) if not row.is_mine]
    assert len(sequences) == len(set(sequences))
    assert missing(ben, ann) == 0
    repairs = ben.store.contacts.count_repairs(ann.uid, 0)
    world.now_ms += 4_000_000
    world.settle()
    assert ben.store.contacts.count_repairs(ann.uid, 0) == repairs


def test_a_relay_that_claims_older_copies_moves_numbers_once_between_two_texts() -> None:
    world, ann, ben = talking(turns=2)
    for step in range(1, 20):
        world.give(ann, inputs.LinkOpened(6, 1, 6, 10_000 + step))
    assert len(ann.store.voids.of_author(conversation_with(ben.uid), ann.uid, 100)) == 1


def test_a_contact_cannot_fill_the_vault_with_empty_numbers() -> None:
    store, here, author = Store(memory_database()), ConversationId("uid:somebody"), Uid(b"a" * 32)
    with store.transaction():
        for start in range(2 * MAX_RANGES):
            store.voids.add(here, author, 2 * start, 2 * start + 1)
    assert len(store.voids.of_author(here, author, 10 * MAX_RANGES)) == MAX_RANGES


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(1, 15)), max_size=8),
    st.integers(0, 50),
    st.integers(0, 50),
)
def test_empty_numbers_are_counted_once_however_ranges_overlap(
    ranges: list[tuple[int, int]], first: int, end: int
) -> None:
    store, here, author = Store(memory_database()), ConversationId("uid:somebody"), Uid(b"a" * 32)
    empty: set[int] = set()
    for start, length in ranges:
        store.voids.add(here, author, start, start + length)
        empty.update(range(start, start + length))
    assert store.voids.count_within(here, author, first, end) == len(empty & set(range(first, end)))
    for number in range(60):
        assert (store.voids.end_of(here, author, number) is not None) == (number in empty)
    expected = next(number for number in range(first, 200) if number not in empty)
    assert store.messages.first_missing(here, author, above=first - 1) == expected
