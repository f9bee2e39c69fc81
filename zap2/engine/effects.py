"""What the engine wants done after its commit: requests to the transport, and what changed for the person."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from zap2.ids import ConversationId, EnvelopeId, MessageId, Uid

# ------------------------------------------------------------------------------------------ to the transport


@dataclass(frozen=True, slots=True)
class SendEnvelope:
    """Send these bytes, with a delivery token over a connection that does not name us; answer with `SendAnswered`."""

    envelope: EnvelopeId
    to: Uid
    payload: bytes = field(repr=False)
    expires_in_s: int
    delivery_token: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class FetchKeys:
    """Take somebody's published keys; answer with `KeysFetched` or `KeysNotFetched`."""

    uid: Uid


@dataclass(frozen=True, slots=True)
class PublishKeys:
    """Withdraw pairs with an oid below a number and publish prekeys; answer with `KeysPublished` (same `sid`, `oids`,
    `withdraw_below`) or `KeysNotPublished`.
    """

    sid: int | None
    signed_set: bytes | None
    oids: tuple[int, ...]
    one_time: tuple[bytes, ...]
    withdraw_below: int = 0


@dataclass(frozen=True, slots=True)
class SetDeliveryToken:
    """Have the other end hold the hash of our token; answer with `DeliveryTokenSet` or `DeliveryTokenNotSet`."""

    token_hash: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class LookUpNumber:
    """Ask the directory who has a number; answer with `NumberLookedUp` or `NumberNotLookedUp`."""

    number: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """Tell the transport that a delivery is committed."""

    token: int


# --------------------------------------------------------------------------------------------- to the person


@dataclass(frozen=True, slots=True)
class MessageStored:
    """A message is new in the history."""

    conversation: ConversationId
    author: Uid
    message: MessageId


@dataclass(frozen=True, slots=True)
class MessageUpdated:
    """An own message's state changed."""

    conversation: ConversationId
    message: MessageId


@dataclass(frozen=True, slots=True)
class ConversationUpdated:
    """A line of the conversation list is new or changed."""

    conversation: ConversationId


@dataclass(frozen=True, slots=True)
class ContactUpdated:
    """A contact is new or changed."""

    uid: Uid


@dataclass(frozen=True, slots=True)
class OwnNumberChanged:
    """The account has lost its number to another one, or has it after all."""

    has_number: bool


class AlertCode(StrEnum):
    """What a person should be told; the front-end has the words."""

    FALSE_KEYS = "false-keys"
    """Keys were handed out for a contact that are not that contact's, or are outdated."""
    FALSE_NUMBER = "false-number"
    """A contact claims a number that the directory gives to somebody else."""
    NUMBER_MOVED = "number-moved"
    """A number that a contact had belongs to another account now."""
    GAP = "gap"
    """Messages of a contact lie further ahead than the session can skip; some are lost."""
    CLONE = "clone"
    """A contact's device, or a copy of it, sent twice from the same place of the session."""
    REPAIRED = "repaired"
    """The session with a contact was set up anew; the safety number is the same."""
    BROKEN = "broken"
    """The session with a contact had to be set up anew too often."""
    UNKNOWN_CONTENT = "unknown-content"
    """A contact sent something that this version cannot show."""


@dataclass(frozen=True, slots=True)
class Alert:
    """Something the person should know about a contact."""

    code: AlertCode
    uid: Uid


Effect = (
    SendEnvelope
    | FetchKeys
    | PublishKeys
    | SetDeliveryToken
    | LookUpNumber
    | Acknowledge
    | MessageStored
    | MessageUpdated
    | ConversationUpdated
    | ContactUpdated
    | OwnNumberChanged
    | Alert
)
