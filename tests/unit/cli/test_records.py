"""What scripts and people read of a message."""

from __future__ import annotations

from tests.unit.cli.people import ME, contact, message
from zap2.cli.records import People, rfc3339
from zap2.client.api import ContactState, MessageState
from zap2.ids import format_uid


def test_a_number_stands_only_where_the_directory_confirmed_it() -> None:
    """Otherwise `from` is the account's address, whatever the person calls themselves."""
    known, unknown = contact(2, "Ada", "+12025550144"), contact(3, "+12025550199")
    people = People(ME, [known, unknown])
    assert people.record(message(known, "x"))["from"] == "+12025550144"
    assert people.record(message(unknown, "x"))["from"] == format_uid(unknown.uid)


def test_own_messages_have_a_state_and_those_of_others_a_time_of_arrival() -> None:
    """And only requests are marked as such."""
    stranger = contact(2, "Eve", state=ContactState.REQUEST)
    people = People(ME, [stranger])
    own = people.record(message(stranger, "x", state=MessageState.QUEUED))
    theirs = people.record(message(stranger, "x"))
    assert (own["state"], own["from"], "received_at" in own) == ("queued", ME.number, False)
    assert (theirs["request"], theirs["to"], "state" in theirs) == (True, ME.number, False)


def test_lines_of_a_message_cannot_pass_for_other_messages() -> None:
    """All lines but the first are indented, so that nobody can write a line that looks like somebody else's."""
    ada = contact(2, "Ada")
    lines = People(ME, [ada]).line(message(ada, "one\n2026-01-01 00:00  Bob: two")).split("\n")
    assert lines[1].startswith("    ")


def test_times_are_rfc_3339_in_utc() -> None:
    """With milliseconds and a Z."""
    assert rfc3339(1_000_000_000_123) == "2001-09-09T01:46:40.123Z"
