"""What counts as read when a pipe closes in the middle."""

from __future__ import annotations

from tests.unit.cli.people import contact, message
from zap2.cli.receive import _read_up_to
from zap2.ids import conversation_with

ADA, BOB = contact(2, "Ada"), contact(3, "Bob")


def test_only_what_was_written_counts_as_read() -> None:
    """Per conversation, up to the last message that was written."""
    messages = [message(ADA, "1", position=1), message(BOB, "2", position=7), message(ADA, "3", position=2)]
    assert _read_up_to(messages, 0) == {}
    assert _read_up_to(messages, 2) == {conversation_with(ADA.uid): 1, conversation_with(BOB.uid): 7}
    assert _read_up_to(messages, 3)[conversation_with(ADA.uid)] == 2


def test_a_late_message_above_unwritten_ones_does_not_take_them_along() -> None:
    """Positions may differ from the order of arrival; what was not written stays unread."""
    messages = [
        message(ADA, "1", position=1),
        message(ADA, "2", position=9),
        message(ADA, "late", position=5),
    ]
    assert _read_up_to(messages, 2) == {conversation_with(ADA.uid): 1}
