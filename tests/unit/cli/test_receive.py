"""What counts as read when a pipe closes in the middle."""

from __future__ import annotations

from tests.unit.cli.people import contact, message
from zap2.cli.receive import _by_conversation
from zap2.ids import conversation_with

ADA, BOB = contact(2, "Ada"), contact(3, "Bob")


def test_only_what_was_written_counts_as_read() -> None:
    """Just the messages themselves, whatever their places: one in between that was not written stays unread."""
    messages = [
        message(ADA, "1", position=1),
        message(BOB, "2", position=7),
        message(ADA, "3", position=9),
        message(ADA, "late", position=5),
    ]
    assert _by_conversation(messages[:0]) == {}
    assert _by_conversation(messages[:3]) == {
        conversation_with(ADA.uid): [messages[0].id, messages[2].id],
        conversation_with(BOB.uid): [messages[1].id],
    }
