"""What a front-end is shown: frozen views and events.

Every string in a view that came from somebody else has been through `zap2.text.sanitize`; a front-end paints it
as plain text and never as markup. Views are values: they do not change after they were handed out; a change comes
as an event with a new view.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from zap2.ids import ConversationId, MessageId, Uid


class MessageState(StrEnum):
    """How far an own message got. It only ever moves down this list, except from and to FAILED."""

    QUEUED = "queued"
    """Stored in the vault; goes out when the link allows."""
    SENT = "sent"
    """The relay answered that it is safe."""
    DELIVERED = "delivered"
    """The other device has stored it and said so, end to end."""
    READ = "read"
    """It was on the other person's screen."""
    FAILED = "failed"
    """It will not go out by itself; `MessageView.failure` says why."""


class Trust(StrEnum):
    """How sure one is that a contact's keys are that person's."""

    FIRST_USE = "first-use"
    """Taken from the relay's directory at first contact; nobody compared anything."""
    VERIFIED = "verified"
    """Safety numbers were compared, or the contact came by a contact link."""


class ContactState(StrEnum):
    """Whether the person at this keyboard wants to hear from a contact."""

    REQUEST = "request"
    """A stranger wrote first: no receipts and no notifications until accepted."""
    ACCEPTED = "accepted"
    BLOCKED = "blocked"
    """What they send is dropped without a trace for them."""


class SessionState(StrEnum):
    """How the encrypted session with a contact is doing."""

    NONE = "none"
    """Nothing was exchanged yet."""
    FINE = "fine"
    SUSPECT = "suspect"
    """Something is out of step; a repair follows when the limits allow."""
    REPAIRING = "repairing"
    """It is being set up anew; messages wait or are sent again afterwards."""
    REPAIRED = "repaired"
    """It was set up anew within the last day; the safety number is the same."""
    BROKEN = "broken"
    """It was repaired too often today, or nobody is there any more; the person decides."""


class LinkState(StrEnum):
    """The state of the way to the others."""

    OFFLINE = "offline"
    """Not connected; tries again by itself (`LinkView.retry_in_s`)."""
    CONNECTING = "connecting"
    ONLINE = "online"
    NOT_TRUSTED = "not-trusted"
    """The relay has another key than the pinned one: no further tries until the person decides."""


@dataclass(frozen=True, slots=True)
class MessageView:
    """One message of a conversation.

    `position` orders a conversation and is unique in it. `state` is None for messages of others. `missing_before`
    says how many messages of the same author, before this one, have not arrived; they appear in place if they do.
    `pq_epoch` counts the post-quantum epochs that the chain of this message stands on, None where it is not encrypted
    (yet). `is_sealed` says of an own message whether it left over a connection that does not tell the relay who sent
    it; None until it left, and for messages of others.
    """

    conversation: ConversationId
    position: int
    id: MessageId
    author: Uid
    author_name: str
    is_mine: bool
    text: str = field(repr=False)
    sent_at_ms: int
    received_at_ms: int
    state: MessageState | None
    failure: str | None = None
    missing_before: int = 0
    pq_epoch: int | None = None
    is_sealed: bool | None = None


@dataclass(frozen=True, slots=True)
class ConversationView:
    """One line of the conversation list. `peer` is one's own uid in the note to oneself."""

    id: ConversationId
    peer: Uid
    title: str
    is_self: bool
    trust: Trust
    contact_state: ContactState
    unread: int
    last_text: str = field(repr=False)
    last_is_mine: bool
    last_state: MessageState | None
    last_at_ms: int
    draft: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class ContactView:
    """What is known of one person.

    `number` is set only when the relay's directory confirmed it. `has_one_time_prekey` is False when the current
    session was set up without a one-time prekey pair, None without a session. `is_sealed` says whether what is sent to
    them goes over a connection that does not tell the relay who sends it.
    """

    uid: Uid
    title: str
    profile_name: str
    number: str | None
    trust: Trust
    state: ContactState
    added_at_ms: int
    has_one_time_prekey: bool | None
    session: SessionState = SessionState.NONE
    is_sealed: bool = False


@dataclass(frozen=True, slots=True)
class MeView:
    """Oneself. `relay` is the address that this profile uses, as one would hand it out.

    `has_number` is False once another account has taken the number over: nobody finds this one by it any more.
    """

    uid: Uid
    name: str
    number: str
    relay: str
    has_number: bool = True


@dataclass(frozen=True, slots=True)
class MembershipView:
    """What this profile asked its relay to keep of the account.

    `has_pin`: a registration PIN, without which nobody takes the number over while the account is in use. `is_listed`:
    others find the account by its number.
    """

    has_pin: bool
    is_listed: bool


@dataclass(frozen=True, slots=True)
class LinkView:
    """The state of the link, with words for the status line. `retry_in_s` is None when no try is planned.

    `refused` is the code with which the relay refused this account for good, empty otherwise.
    """

    state: LinkState
    detail: str = ""
    retry_in_s: float | None = None
    refused: str = ""


@dataclass(frozen=True, slots=True)
class SafetyNumberView:
    """What two people compare: 60 digits, the same on both sides, and a QR code with the same content."""

    peer: Uid
    title: str
    digits: str
    qr_text: str
    is_verified: bool

    def groups(self) -> Sequence[str]:
        """Give the digits as twelve groups of five."""
        return [self.digits[i : i + 5] for i in range(0, len(self.digits), 5)]


@dataclass(frozen=True, slots=True)
class MessageAdded:
    """A message was stored (own or received)."""

    message: MessageView
    is_request: bool = False


@dataclass(frozen=True, slots=True)
class MessageChanged:
    """A message's state changed."""

    message: MessageView


@dataclass(frozen=True, slots=True)
class ConversationChanged:
    """A line of the conversation list is new or changed."""

    conversation: ConversationView


@dataclass(frozen=True, slots=True)
class ContactChanged:
    """A contact is new or changed."""

    contact: ContactView


@dataclass(frozen=True, slots=True)
class LinkChanged:
    """The link's state changed."""

    link: LinkView


@dataclass(frozen=True, slots=True)
class MeChanged:
    """What is known of oneself changed."""

    me: MeView


class NoticeLevel(StrEnum):
    """How loud a notice is."""

    INFORMATION = "information"
    WARNING = "warning"
    SECURITY = "security"


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the person should read. `code` is stable; `text` is one or two sentences."""

    level: NoticeLevel
    code: str
    text: str
    conversation: ConversationId | None = None


Event = (
    MessageAdded | MessageChanged | ConversationChanged | ContactChanged | LinkChanged | MeChanged | Notice
)


@dataclass(frozen=True, slots=True)
class RelayView:
    """What a relay said of itself when the wizard reached it.

    `address` carries the relay's key; `is_pinned` says whether the person's input already did. `verification` is
    how possession of a number is proved: "none", "log", and later "webhook", "smtp".
    """

    address: str
    fingerprint: str
    is_pinned: bool
    is_encrypted: bool
    registration: str
    verification: str


@dataclass(frozen=True, slots=True)
class VerificationView:
    """A code is on its way; with `is_needed` False the relay asks for none."""

    number: str
    is_needed: bool
    method: str
    expires_in_s: float
    resend_after_s: float
