"""Whom a word on the command line means: a phone number, a contact's name, an account's address, or oneself."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from zap2.client.agent import Agent
from zap2.client.api import ContactState, ContactView
from zap2.errors import InvalidAddress, InvalidPhoneNumber, UnknownConversation, UsageError
from zap2.ids import Uid, parse_uid

# Digits and the punctuation of numbers, nothing else; a name with a letter never matches.
_LOOKS_LIKE_A_NUMBER: Final = re.compile(r"(?=.*\d)[\d\s+＋().\-/\[\]~·–]+")


async def find_known(agent: Agent, who: str, *, with_requests: bool = False) -> Uid | None:
    """Find somebody without asking anybody: a contact by number, name or address, or oneself.

    What reads as a number is one, whatever people call themselves, and a name means only people who were accepted:
    a stranger cannot put themselves in somebody's place. None is a number that no contact has.

    Args:
        with_requests: whether a name may also mean somebody who was not accepted, or is blocked.

    Raises:
        InvalidPhoneNumber: it looks like a number and is none.
        UnknownConversation: no contact has that name.
        UsageError: several contacts have that name.
    """
    contacts = await agent.contacts()
    if uid := _uid_in(who):
        if uid == agent.me.uid or any(contact.uid == uid for contact in contacts):
            return uid
        raise UnknownConversation("No contact has this address.")
    if _LOOKS_LIKE_A_NUMBER.fullmatch(who):
        try:
            return await _find_number(agent, who)
        except InvalidPhoneNumber:
            if not _with_name(contacts, who, with_requests):
                raise
    named = _with_name(contacts, who, with_requests)
    if not named:
        raise UnknownConversation(f"There is no contact called {who}.")
    if len(named) > 1:
        numbers = ", ".join(contact.number or "no number" for contact in named)
        raise UsageError(f"Several contacts are called {who} ({numbers}).", "Write the number instead.")
    return named[0].uid


async def find_contact(agent: Agent, who: str) -> Uid:
    """Find somebody who is in the contacts already, also as a request.

    Raises:
        UnknownConversation: nobody is.
        InvalidPhoneNumber, UsageError: as `find_known`.
    """
    uid = await find_known(agent, who, with_requests=True)
    if uid is None:
        raise UnknownConversation(f"No contact has the number {who}.")
    return uid


async def _find_number(agent: Agent, who: str) -> Uid | None:
    if agent.me.has_number and agent.parse_number(who) == agent.me.number:
        return agent.me.uid
    contact = await agent.contact_by_number(who)
    return None if contact is None else contact.uid


def _with_name(contacts: Sequence[ContactView], who: str, with_requests: bool) -> list[ContactView]:
    """Give those who are shown under a name; without any, those who call themselves so."""
    wanted = who.strip().casefold()
    people = [one for one in contacts if with_requests or one.state is ContactState.ACCEPTED]
    titled = [one for one in people if one.title.casefold() == wanted]
    return titled or [one for one in people if wanted and one.profile_name.casefold() == wanted]


def _uid_in(who: str) -> Uid | None:
    try:
        return parse_uid(who.removeprefix("uid:"))
    except InvalidAddress:
        return None
