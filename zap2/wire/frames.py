"""The frames that a client and a relay exchange, each with bounds on every field.

A frame is a MessagePack array: its integer tag, then its fields in the order in which they are declared here.
One WebSocket message is an array of 1 to 64 frames (`zap2.wire.codec`). Requests carry a `rid` that the
client chooses (1 or more, unique among open requests) and get exactly one answer with the same `rid`: the
answer that is named in the request's docstring, or `Error`. A client's tags are below 64, the relay's from 64.

docs/protocol-relay.md describes what each frame does; `ErrorCode` and `CloseCode` are stable.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta

from zap2.wire.fields import (
    MAX_ACKS,
    MAX_EXPIRY_S,
    MAX_PAIRS_PER_PUBLISH,
    U32,
    U63,
    Bytes16,
    Bytes32,
    Code,
    Device,
    Document,
    EncodedPair,
    EncodedSet,
    Invite,
    Number,
    Payload,
    Pin,
    Rid,
    Seconds,
    Signature,
    Word,
    Words,
    check_payload,
)
from zap2.wire.fields import Frame as Frame

# ------------------------------------------------------------------------------------------- from the client


class ClientHello(Frame, tag=1, frozen=True):
    """The first frame of a connection → Greeting. Not a request: it has no rid."""

    nonce: Bytes32


class Authenticate(Frame, tag=2, frozen=True):
    """Log in with the identity key → LoggedIn. `signature` is over `login_statement`."""

    rid: Rid
    document: Document
    device: Device
    signature: Signature


class Resume(Frame, tag=3, frozen=True):
    """Log in with a token that has not expired → LoggedIn."""

    rid: Rid
    token: Bytes32


class RenewToken(Frame, tag=4, frozen=True):
    """Get a fresh token in place of this connection's → TokenIssued."""

    rid: Rid


class RevokeTokens(Frame, tag=5, frozen=True):
    """Make all tokens of this account void and close its connections, this one too → Done."""

    rid: Rid


class StartVerification(Frame, tag=6, frozen=True):
    """Ask for a code to be sent to a phone number → VerificationStarted. Before log-in.

    `invite` is needed where the greeting says so, and is not used up by this.
    """

    rid: Rid
    number: Number
    invite: Invite | None = None


class CheckCode(Frame, tag=7, frozen=True):
    """Prove possession of the number → Ticket. `number` is the E.164 form from VerificationStarted."""

    rid: Rid
    number: Number
    code: Code


class Register(Frame, tag=8, frozen=True):
    """Bind a verified number to an identity → Registered. `proof` is over `register_statement`.

    The same ticket with the same document may be sent again, should the answer have been lost. `invite` is used up
    by it, `pin` takes a number over from the account that has it.
    """

    rid: Rid
    ticket: Bytes32
    document: Document
    document_signature: Signature
    device: Device
    proof: Signature
    invite: Invite | None = None
    pin: Pin | None = None


class Publish(Frame, tag=9, frozen=True):
    """Publish a signed prekey set, one-time pairs, or both → Published.

    The set's sid must not go down. A pair with an oid that is not above the highest one ever published is
    skipped, so a repeated Publish does no harm and no oid is ever handed out for a second key. Pairs with an oid
    below `withdraw_below` are withdrawn first: their secrets are lost.
    """

    rid: Rid
    signed_set: EncodedSet | None
    pairs: Annotated[tuple[EncodedPair, ...], Meta(max_length=MAX_PAIRS_PER_PUBLISH)]
    withdraw_below: U32 = 0


class Fetch(Frame, tag=10, frozen=True):
    """Get what is needed to set up a session with an account → Bundle."""

    rid: Rid
    uid: Bytes32
    device: Device
    with_pair: bool


class Lookup(Frame, tag=11, frozen=True):
    """Find the account of a phone number → Found."""

    rid: Rid
    number: Number


class Send(Frame, tag=12, frozen=True):
    """Put an envelope into a mailbox → Sent, once it is safe. Repeat it unchanged until it is answered.

    `envelope_id` is what makes it idempotent: the same sender's second Send with it stores nothing.
    """

    rid: Rid
    envelope_id: Bytes16
    uid: Bytes32
    device: Device
    expires_in_s: Annotated[int, Meta(ge=1, le=MAX_EXPIRY_S)]
    payload: Payload

    def __post_init__(self) -> None:
        check_payload(self.payload)


class Ack(Frame, tag=13, frozen=True):
    """Tell which deliveries are committed here; the relay forgets them. One-way, has no answer."""

    seqs: Annotated[tuple[U63, ...], Meta(min_length=1, max_length=MAX_ACKS)]


class SetPin(Frame, tag=14, frozen=True):
    """Set the registration PIN, without which nobody takes this account's number over; nil removes it → Done."""

    rid: Rid
    pin: Pin | None


class SetListed(Frame, tag=15, frozen=True):
    """Choose whether others find this account by its number → Done. At first they do."""

    rid: Rid
    listed: bool


class SetDeliveryToken(Frame, tag=16, frozen=True):
    """Leave the `delivery_token_hash` of this account's delivery token; an older one is void at once → Done."""

    rid: Rid
    token_hash: Bytes32 | None


class SendSealed(Frame, tag=17, frozen=True):
    """As Send, from whoever has the receiver's delivery token → Sent. Only before log-in: nobody says who sends."""

    rid: Rid
    delivery_token: Bytes32
    envelope_id: Bytes16
    uid: Bytes32
    device: Device
    expires_in_s: Annotated[int, Meta(ge=1, le=MAX_EXPIRY_S)]
    payload: Payload

    def __post_init__(self) -> None:
        check_payload(self.payload)


# -------------------------------------------------------------------------------------------- from the relay


class Greeting(Frame, tag=64, frozen=True):
    """Prove the relay's key. `signature` is over `greeting_statement`; check it before sending more."""

    relay_key: Bytes32
    challenge: Bytes32
    registration: Literal["open", "invite", "closed"]
    verification: Word
    """How codes travel: `log`, `webhook`, `smtp`, `none`, or a later method's name."""
    signature: Signature


class LoggedIn(Frame, tag=65, frozen=True):
    """This connection may now send and receives its mailbox.

    The highest sid and oid that the relay knows tell an owner that came back from a backup where to go on;
    `highest_sid` is 0 and `highest_oid` is -1 when nothing was ever published. `acknowledged` is the highest seq
    that this device ever acknowledged, 0 for none: a device that has not got that far is an older copy of itself.
    `delivery_token_hash` is what SetDeliveryToken left here, nil for none. `has_number` is false once another account
    has taken this one's number over.
    """

    rid: Rid
    token: Bytes32
    expires_in_s: Seconds
    stock: U32
    highest_sid: U32
    highest_oid: Annotated[int, Meta(ge=-1, le=0xFFFF_FFFF)]
    acknowledged: U63
    delivery_token_hash: Bytes32 | None = None
    has_number: bool = True


class TokenIssued(Frame, tag=66, frozen=True):
    """A fresh token; the one before is void."""

    rid: Rid
    token: Bytes32
    expires_in_s: Seconds


class Done(Frame, tag=67, frozen=True):
    """It is done, and there is nothing to say about it."""

    rid: Rid


class VerificationStarted(Frame, tag=68, frozen=True):
    """A code is on its way, or (method `none`) the ticket is here at once."""

    rid: Rid
    number: Number
    method: Word
    expires_in_s: Seconds
    resend_after_s: Seconds
    ticket: Bytes32 | None


class Ticket(Frame, tag=69, frozen=True):
    """The number is proved; Register with this before it expires."""

    rid: Rid
    ticket: Bytes32
    expires_in_s: Seconds


class Registered(Frame, tag=70, frozen=True):
    """The account exists; log in with Authenticate.

    `took_over`: by this, another account lost the number. `has_pin`: its PIN, given for that, is this account's now.
    `is_listed` is false if others do not find the account by its number: that goes over with a number, too.
    """

    rid: Rid
    uid: Bytes32
    took_over: bool = False
    has_pin: bool = False
    is_listed: bool = True


class Published(Frame, tag=71, frozen=True):
    """What the relay has of this address now."""

    rid: Rid
    stock: U32
    highest_sid: U32
    highest_oid: Annotated[int, Meta(ge=-1, le=0xFFFF_FFFF)]


class Bundle(Frame, tag=72, frozen=True):
    """Prekeys of an account. Check all of it: uid, signatures, sid, expiry. `pair` goes to nobody else."""

    rid: Rid
    document: Document
    document_signature: Signature
    signed_set: EncodedSet
    pair: EncodedPair | None


class Found(Frame, tag=73, frozen=True):
    """Who has that number, according to this relay."""

    rid: Rid
    uid: Bytes32


class Sent(Frame, tag=74, frozen=True):
    """The envelope is safe.

    `direct`: its receiver has acknowledged it already; `stored`: it waits in the mailbox, which then held
    `position` envelopes. Who sent sealed is always told `stored` and 0.
    """

    rid: Rid
    outcome: Literal["direct", "stored"]
    position: U63


class Deliver(Frame, tag=75, frozen=True):
    """An envelope from the mailbox; send an Ack of its seq after the commit. May come again until then."""

    seq: U63
    envelope_id: Bytes16
    received_at_ms: U63
    payload: Payload

    def __post_init__(self) -> None:
        check_payload(self.payload)


class StockLow(Frame, tag=76, frozen=True):
    """Fewer than 30 one-time pairs are left: publish more."""

    stock: U32


class Draining(Frame, tag=77, frozen=True):
    """The relay stops; come back after this time, with some jitter."""

    reconnect_after_s: Annotated[float, Meta(ge=0, le=86400)]


class NumberLost(Frame, tag=79, frozen=True):
    """Another account has this one's number now. Nobody is told which; it may come more than once."""


class Error(Frame, tag=78, frozen=True):
    """A request was refused. `retry_after_s` is there when the same request may succeed later."""

    rid: Rid
    code: Word
    message: Words
    retry_after_s: Annotated[float, Meta(ge=0, le=31_536_000)] | None

    def __repr__(self) -> str:
        return f"Error(rid={self.rid}, code={self.code!r}, retry_after_s={self.retry_after_s})"


Request: TypeAlias = (
    Authenticate
    | Resume
    | RenewToken
    | RevokeTokens
    | StartVerification
    | CheckCode
    | Register
    | Publish
    | Fetch
    | Lookup
    | Send
    | SetPin
    | SetListed
    | SetDeliveryToken
    | SendSealed
)

Answer: TypeAlias = (
    LoggedIn
    | TokenIssued
    | Done
    | VerificationStarted
    | Ticket
    | Registered
    | Published
    | Bundle
    | Found
    | Sent
    | Error
)

ClientFrame: TypeAlias = ClientHello | Request | Ack
RelayFrame: TypeAlias = Greeting | Answer | Deliver | StockLow | Draining | NumberLost
