"""What counts as read when a pipe closes in the middle."""

from __future__ import annotations

from tests.unit.cli.people import contact, message
from zap2.cli.receive import _by_conversation
from zap2.ids import conversation_with

ADA, BOB = contact(2, "Ada"), contact(3, "Bob")


def test_just_what_was_written_counts_as_read() -> None:
    """By name and not by place: what arrived meanwhile above the last line that was written stays unread."""
    messages = [message(ADA, "1", position=1), message(BOB, "2", position=7), message(ADA, "3", position=5)]
    assert _by_conversation([]) == {}
    assert _by_conversation(messages) == {
        conversation_with(ADA.uid): [messages[0].id, messages[2].id],
        conversation_with(BOB.uid): [messages[1].id],
    }
