"""Whom a word means: a stranger cannot put themselves in somebody's place by a name."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import cast

import pytest

from tests.unit.cli.people import ME, contact
from zap2.cli.who import find_contact, find_known
from zap2.client.agent import Agent
from zap2.client.api import ContactState, ContactView
from zap2.errors import InvalidPhoneNumber, UnknownConversation, UsageError
from zap2.ids import format_uid
from zap2.phone import parse_number


@dataclasses.dataclass
class _Book:
    """The part of an agent that answers who is known."""

    known: Sequence[ContactView]
    me = ME

    async def contacts(self) -> Sequence[ContactView]:
        return self.known

    async def contact_by_number(self, number: str) -> ContactView | None:
        e164 = self.parse_number(number)
        return next((one for one in self.known if one.number == e164), None)

    def parse_number(self, number: str) -> str:
        return parse_number(number, "US")


def _book(*known: ContactView) -> Agent:
    return cast("Agent", _Book(known))


ADA = contact(2, "Ada", "+12025550144", profile_name="Augusta")


@pytest.mark.parametrize("word", ["+12025550144", "(202) 555-0144", "ada", "Augusta", format_uid(ADA.uid)])
async def test_a_contact_is_found_by_everything_that_names_it(word: str) -> None:
    """Number in any usual form, title, the name they chose, address."""
    assert await find_known(_book(ADA), word) == ADA.uid


async def test_oneself_is_found_by_ones_number() -> None:
    """The note to oneself."""
    assert await find_known(_book(), ME.number) == ME.uid


async def test_an_unknown_number_is_left_to_the_directory() -> None:
    """But only where the directory may be asked."""
    assert await find_known(_book(ADA), "+12025550199") is None
    with pytest.raises(UnknownConversation):
        await find_contact(_book(ADA), "+12025550199")


async def test_a_name_means_only_people_who_were_accepted() -> None:
    """A request that calls itself `ops` gets nothing that was meant for ops; one's own commands find it."""
    stranger = contact(3, "ops", state=ContactState.REQUEST)
    with pytest.raises(UnknownConversation):
        await find_known(_book(stranger), "ops")
    assert await find_contact(_book(stranger), "ops") == stranger.uid


async def test_a_name_that_looks_like_a_number_is_not_one() -> None:
    """Whoever calls themselves by another's number does not get that one's messages."""
    impostor = contact(3, "+1 202-555-0144")
    assert await find_known(_book(impostor, ADA), "+1 202-555-0144") == ADA.uid
    assert await find_known(_book(impostor), "+1 202-555-0144") is None


async def test_a_name_of_several_people_is_refused() -> None:
    """Rather than guessed."""
    with pytest.raises(UsageError):
        await find_known(_book(ADA, contact(4, "ada")), "Ada")


async def test_what_looks_like_a_number_and_is_none_is_told_so() -> None:
    """With the reason, unless somebody is really called so."""
    with pytest.raises(InvalidPhoneNumber):
        await find_known(_book(ADA), "12")
    assert await find_known(_book(contact(5, "007")), "007") == contact(5, "").uid
