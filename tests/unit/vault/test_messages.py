"""Where a message stands in its conversation: authors' order is kept however late something arrives."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from zap2.ids import ConversationId, MessageId, Uid
from zap2.vault.container import memory_database
from zap2.vault.rows import MessageRow
from zap2.vault.store import Store

HERE = ConversationId("uid:somebody")
ANN, BEN = Uid(b"a" * 32), Uid(b"b" * 32)


def a_store() -> Store:
    store = Store(memory_database())
    store.messages.open_conversation(HERE, ANN, 0)
    return store


def a_message(author: Uid, sequence: int) -> MessageRow:
    return MessageRow(
        HERE,
        position=0,
        id=MessageId(sequence.to_bytes(16, "big")),
        author=author,
        is_mine=False,
        is_unread=True,
        sequence=sequence,
        sent_at_ms=sequence,
        received_at_ms=sequence,
        state=None,
        failure=None,
        text=f"{sequence}",
    )


def sequences(store: Store, author: Uid) -> list[int]:
    return [
        row.sequence for row in store.messages.page(HERE, before=None, limit=10_000) if row.author == author
    ]


@given(st.permutations(range(12)), st.permutations(range(12)))
def test_any_order_of_arrival_shows_each_author_in_order(ann: list[int], ben: list[int]) -> None:
    store = a_store()
    for first, second in zip(ann, ben, strict=True):
        store.messages.add(a_message(ANN, first))
        store.messages.add(a_message(BEN, second))
    assert sequences(store, ANN) == sorted(ann)
    assert sequences(store, BEN) == sorted(ben)


def test_a_place_that_runs_out_of_room_is_widened() -> None:
    """Sixty messages that each arrive before all earlier ones halve the same gap until none is left."""
    store = a_store()
    store.messages.add(a_message(BEN, 0))
    for sequence in range(60, 0, -1):
        store.messages.add(a_message(ANN, sequence))
    assert sequences(store, ANN) == list(range(1, 61))
    assert sequences(store, BEN) == [0]


def test_a_message_is_stored_once() -> None:
    store = a_store()
    assert store.messages.add(a_message(ANN, 1)) is not None
    assert store.messages.add(a_message(ANN, 1)) is None
    assert sequences(store, ANN) == [1]


def test_reading_marks_what_was_shown_and_says_what_it_marked() -> None:
    """A message that arrives late, between others that were read, still counts as unread."""
    store = a_store()
    for sequence in (1, 2, 4):
        store.messages.add(a_message(ANN, sequence))
    shown = [row.id for row in store.messages.page(HERE, before=None, limit=10)]
    assert store.messages.mark_these_read(HERE, shown) == shown
    assert store.messages.mark_these_read(HERE, shown) == []
    store.messages.add(a_message(ANN, 3))
    line = store.messages.conversation(HERE)
    assert line is not None
    assert line.unread == 1
    assert [row.sequence for row in store.messages.unread(10)] == [3]


def test_pages_go_upwards_without_gap_or_overlap() -> None:
    store = a_store()
    for sequence in range(1, 26):
        store.messages.add(a_message(ANN, sequence))
    seen: list[int] = []
    before = None
    while page := store.messages.page(HERE, before=before, limit=10):
        seen = [row.sequence for row in page] + seen
        before = page[0].position
    assert seen == list(range(1, 26))
