"""What the engine is told: commands of the person (imperative) and what a transport reports (past tense)."""

from __future__ import annotations

from dataclasses import dataclass, field

from zap2.ids import ConversationId, EnvelopeId, MessageId, Uid

# ------------------------------------------------------------------------------------------------- commands


@dataclass(frozen=True, slots=True)
class SendText:
    """Store a text and get it to its reader. In the conversation with oneself it is a note."""

    conversation: ConversationId
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Retry:
    """Queue a failed message again."""

    conversation: ConversationId
    message: MessageId


@dataclass(frozen=True, slots=True)
class MarkTheseRead:
    """Just these messages were shown."""

    conversation: ConversationId
    messages: tuple[MessageId, ...]


@dataclass(frozen=True, slots=True)
class SaveDraft:
    """Keep unsent text."""

    conversation: ConversationId
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class AddContact:
    """Accept somebody whom the directory, or a contact link, named. `number` is what the directory confirmed."""

    uid: Uid
    number: str | None = field(repr=False)
    name: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Accept:
    """Take up a message request."""

    uid: Uid


@dataclass(frozen=True, slots=True)
class Block:
    """Hear nothing more of somebody."""

    uid: Uid


@dataclass(frozen=True, slots=True)
class Rename:
    """Give a contact a name of one's own."""

    uid: Uid
    name: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SetVerified:
    """Safety numbers were compared and match, or that is taken back."""

    uid: Uid
    is_verified: bool


@dataclass(frozen=True, slots=True)
class Repair:
    """Set the session with somebody up anew; what they never confirmed is sent again."""

    uid: Uid


# -------------------------------------------------------------------------------------- from the transport


@dataclass(frozen=True, slots=True)
class LinkOpened:
    """Envelopes can go out.

    Args:
        stock: one-time pairs that others can still fetch.
        highest_sid: of our signed sets that were ever published, 0 for none.
        highest_oid: of our pairs that were ever published, -1 for none.
        acknowledged: the highest number of a delivery that this account acknowledged, 0 for none.
        delivery_token_hash: of the token that lets others in, None when the other end holds none.
        has_number: False once another account has this one's number.
    """

    stock: int
    highest_sid: int
    highest_oid: int = -1
    acknowledged: int = 0
    delivery_token_hash: bytes | None = field(default=None, repr=False)
    has_number: bool = True


@dataclass(frozen=True, slots=True)
class LinkClosed:
    """Nothing that was in flight will be answered."""


@dataclass(frozen=True, slots=True)
class ArrivedEnvelope:
    """One envelope; `token` is what the transport acknowledges it by, `number` its place among all deliveries."""

    token: int
    payload: bytes = field(repr=False)
    number: int = 0


@dataclass(frozen=True, slots=True)
class EnvelopesArrived:
    """Envelopes in the order of their delivery."""

    envelopes: tuple[ArrivedEnvelope, ...]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a request was not fulfilled. `is_final` means that repeating it does not help."""

    code: str
    is_final: bool
    retry_after_ms: int | None = None


@dataclass(frozen=True, slots=True)
class SendAnswered:
    """An envelope is safe outside this device, or not; `delivery_token` is the one with which it went, if any."""

    envelope: EnvelopeId
    failure: Failure | None
    delivery_token: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeysFetched:
    """What is handed out for somebody, unchecked."""

    uid: Uid
    document: bytes
    document_signature: bytes
    signed_set: bytes
    one_time: bytes | None


@dataclass(frozen=True, slots=True)
class KeysNotFetched:
    """Nothing was handed out."""

    uid: Uid
    failure: Failure


@dataclass(frozen=True, slots=True)
class KeysPublished:
    """Our prekeys are where others find them, those below `withdraw_below` are not; `stock` pairs are there now."""

    sid: int | None
    oids: tuple[int, ...]
    stock: int
    withdraw_below: int = 0


@dataclass(frozen=True, slots=True)
class KeysNotPublished:
    """Publishing failed."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class DeliveryTokenSet:
    """The other end lets in whoever has the token with this hash, and nobody else without a log-in."""

    token_hash: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class DeliveryTokenNotSet:
    """The other end did not take the hash."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class StockReported:
    """So many one-time pairs are left for others."""

    stock: int


@dataclass(frozen=True, slots=True)
class NumberLookedUp:
    """The directory maps a number to this uid, or to nobody (None)."""

    number: str = field(repr=False)
    uid: Uid | None


@dataclass(frozen=True, slots=True)
class NumberNotLookedUp:
    """The directory did not answer; the claim stays open."""

    number: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class NumberLost:
    """Another account has this one's number now."""


@dataclass(frozen=True, slots=True)
class TimePassed:
    """The deadline that the engine asked for has come, or the process just started."""


Input = (
    SendText
    | Retry
    | MarkTheseRead
    | SaveDraft
    | AddContact
    | Accept
    | Block
    | Rename
    | SetVerified
    | Repair
    | LinkOpened
    | LinkClosed
    | EnvelopesArrived
    | SendAnswered
    | KeysFetched
    | KeysNotFetched
    | KeysPublished
    | KeysNotPublished
    | DeliveryTokenSet
    | DeliveryTokenNotSet
    | StockReported
    | NumberLookedUp
    | NumberNotLookedUp
    | NumberLost
    | TimePassed
)
