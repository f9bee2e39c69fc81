"""Messages and contacts as scripts and people read them: JSON objects, and plain lines."""

from __future__ import annotations

import datetime
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Final

from zap2.client.api import ContactState, ContactView, MessageView, MeView, Trust
from zap2.ids import Uid, conversation_with, format_message_id, format_uid, peer_of
from zap2.phone import format_number

Record = dict[str, str | int | bool | None]

_TRUST_WORDS: Final = {Trust.VERIFIED: "verified", Trust.FIRST_USE: "not verified"}


class People:
    """Who is who in records: a number where the relay's directory confirmed one, else the account's address."""

    def __init__(self, me: MeView, contacts: Sequence[ContactView]) -> None:
        self._me = me
        self._contacts = {contact.uid: contact for contact in contacts}

    def name_of(self, uid: Uid) -> str:
        """Give what `--to` takes: the number in E.164, or the uid in base32."""
        if uid == self._me.uid:
            return self._me.number if self._me.has_number else format_uid(uid)
        contact = self._contacts.get(uid)
        return contact.number if contact is not None and contact.number else format_uid(uid)

    def title_of(self, uid: Uid) -> str:
        """Give the name to show for somebody."""
        if uid == self._me.uid:
            return "yourself"
        contact = self._contacts.get(uid)
        return contact.title if contact is not None else self.name_of(uid)

    def record(self, message: MessageView) -> Record:
        """Build the object that `--json` prints for a message."""
        record: Record = {
            "id": format_message_id(message.id),
            "conversation": message.conversation,
            "from": self.name_of(message.author),
            "to": self.name_of(peer_of(message.conversation) if message.is_mine else self._me.uid),
            "name": message.author_name,
            "text": message.text,
            "sent_at": rfc3339(message.sent_at_ms),
        }
        if message.state is not None:
            record["state"] = message.state.value
            if message.failure:
                record["failure"] = message.failure
        else:
            record["received_at"] = rfc3339(message.received_at_ms)
            record["request"] = self._is_request(message.author)
        return record

    def line(self, message: MessageView) -> str:
        """Build the plain line, or lines, of a message."""
        who = message.author_name
        if message.is_mine:
            who = f"{who} → {self.title_of(peer_of(message.conversation))}"
        if self._is_request(message.author):
            who += " (request)"
        state = f"  [{message.state.value}]" if message.state is not None else ""
        first, *others = message.text.split("\n")
        head = f"{_local_time(message.sent_at_ms)}  {who}: {first}"
        return "\n".join([head, *(f"    {line}" for line in others)]) + state

    def _is_request(self, uid: Uid) -> bool:
        contact = self._contacts.get(uid)
        return contact is not None and contact.state is ContactState.REQUEST


def contact_record(contact: ContactView) -> Record:
    """Build the object that `--json` prints for a contact."""
    return {
        "uid": format_uid(contact.uid),
        "conversation": conversation_with(contact.uid),
        "name": contact.title,
        "profile_name": contact.profile_name,
        "number": contact.number,
        "trust": contact.trust.value,
        "state": contact.state.value,
        "added_at": rfc3339(contact.added_at_ms),
    }


def contact_line(contact: ContactView) -> str:
    """Build the plain line of a contact."""
    number = format_number(contact.number) if contact.number else format_uid(contact.uid)
    state = "" if contact.state is ContactState.ACCEPTED else f", {contact.state.value}"
    # Somebody without a name is shown under the number already.
    who = number if contact.title == number else f"{contact.title}  {number}"
    return f"{who}  ({_TRUST_WORDS[contact.trust]}{state})"


def to_json(record: Mapping[str, object]) -> str:
    """Write a record as one line."""
    is_unicode = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    return json.dumps(record, ensure_ascii=not is_unicode)


def rfc3339(at_ms: int) -> str:
    """Write a time as RFC 3339 in UTC, with milliseconds."""
    return _moment(at_ms).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _local_time(at_ms: int) -> str:
    return _moment(at_ms).astimezone().strftime("%Y-%m-%d %H:%M")


def _moment(at_ms: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(0, datetime.UTC) + datetime.timedelta(milliseconds=at_ms)
