"""What a front-end may know: frozen views, events, and the two doors (`Entrance` and `Client`).

Every string in a view that came from somebody else has been through `zap2.text.sanitize`; a front-end paints it
as plain text and never as markup. Views are values: they do not change after they were handed out; a change comes
as an event with a new view.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

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

    `position` orders a conversation and is unique in it. `state` is None for messages of others.
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
    session was set up without a one-time prekey pair, None without a session.
    """

    uid: Uid
    title: str
    profile_name: str
    number: str | None
    trust: Trust
    state: ContactState
    added_at_ms: int
    has_one_time_prekey: bool | None


@dataclass(frozen=True, slots=True)
class MeView:
    """Oneself. `relay` is the address that this profile uses, as one would hand it out."""

    uid: Uid
    name: str
    number: str
    relay: str


@dataclass(frozen=True, slots=True)
class LinkView:
    """The state of the link, with words for the status line. `retry_in_s` is None when no try is planned."""

    state: LinkState
    detail: str = ""
    retry_in_s: float | None = None


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


Event = MessageAdded | MessageChanged | ConversationChanged | ContactChanged | LinkChanged | Notice


class Client(Protocol):
    """An open profile: one per process, alive from unlocking until `close`.

    Every method may raise a `Zap2Error`; its text and hint are for the person.
    """

    @property
    def me(self) -> MeView:
        """Oneself."""
        ...

    @property
    def link(self) -> LinkView:
        """The state of the link now; changes come as `LinkChanged`."""
        ...

    def events(self) -> AbstractAsyncContextManager[AsyncIterator[Event]]:
        """Subscribe: from entering the context on, events come in order, until it is left or the client closes."""
        ...

    async def conversations(self) -> Sequence[ConversationView]:
        """Give all conversations, most recently active first."""
        ...

    async def conversation(self, conversation: ConversationId) -> ConversationView:
        """Give one conversation. Raises UnknownConversation."""
        ...

    async def messages(
        self, conversation: ConversationId, *, before: int | None = None, limit: int = 200
    ) -> Sequence[MessageView]:
        """Give up to `limit` messages in ascending position: the newest, or the newest below position `before`."""
        ...

    async def contacts(self) -> Sequence[ContactView]:
        """Give all contacts, by title."""
        ...

    async def contact(self, uid: Uid) -> ContactView:
        """Give one contact. Raises UnknownConversation."""
        ...

    async def add_contact(self, number: str, name: str = "") -> ContactView:
        """Find who registered a phone number and add that person (accepted, trusted on first use).

        Adding one's own number gives the note to oneself. Raises InvalidPhoneNumber, Refused (`not-found`, or a
        limit with `retry_after_s`), Unreachable.
        """
        ...

    async def send_text(self, conversation: ConversationId, text: str) -> MessageView:
        """Store a message and queue it; returns as soon as it is committed. Accepts a request by answering it.

        Raises InvalidMessage (empty; over `zap2.wire.content.MAX_TEXT_B` bytes), UnknownConversation.
        """
        ...

    async def retry(self, conversation: ConversationId, message: MessageId) -> MessageView:
        """Queue a failed message again."""
        ...

    async def mark_read(self, conversation: ConversationId, up_to_position: int) -> None:
        """Say that everything up to this position was on the screen while the terminal had focus."""
        ...

    async def accept(self, uid: Uid) -> ContactView:
        """Accept a message request."""
        ...

    async def block(self, uid: Uid) -> ContactView:
        """Block a contact or a request."""
        ...

    async def rename(self, uid: Uid, name: str) -> ContactView:
        """Give a contact a name of one's own; empty goes back to the name they chose."""
        ...

    async def safety_number(self, uid: Uid) -> SafetyNumberView:
        """Compute the safety number with a contact."""
        ...

    async def set_verified(self, uid: Uid, *, is_verified: bool) -> ContactView:
        """Record that safety numbers were compared, or take that back."""
        ...

    async def save_draft(self, conversation: ConversationId, text: str) -> None:
        """Keep unsent text of a conversation in the vault; empty removes it."""
        ...

    async def reconnect(self) -> None:
        """Try the link now instead of waiting for the next planned try."""
        ...

    async def close(self) -> None:
        """Stop the link, drop the key and everything decrypted. The client cannot be used afterwards."""
        ...


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


class Signup(Protocol):
    """The steps of a first run, in order: connect, request_code, check_code, create. Each may be repeated."""

    async def connect(self, address: str) -> RelayView:
        """Reach a relay and check its key. Raises InvalidAddress, Unreachable, NotTrusted."""
        ...

    async def request_code(self, number: str) -> VerificationView:
        """Check a number and have a code sent to it.

        Raises InvalidPhoneNumber (nothing was sent), Refused, Unreachable.
        """
        ...

    async def check_code(self, code: str) -> None:
        """Prove possession. Raises Refused: `wrong-code`, `code-expired`, `too-many-tries`, `number-registered`."""
        ...

    async def create(self, name: str, passphrase: str) -> Client:
        """Write the vault, then register; gives the open client.

        Raises UsageError (name, passphrase), Refused, Unreachable. When the relay fails here the profile exists and
        is unregistered: `create` again, or unlocking later, finishes it.
        """
        ...

    async def close(self) -> None:
        """Give up; forgets what was not created."""
        ...


class Entrance(Protocol):
    """The door to one profile."""

    @property
    def profile(self) -> str:
        """The profile's name."""
        ...

    @property
    def exists(self) -> bool:
        """Whether there is a vault to unlock; otherwise sign up."""
        ...

    async def unlock(self, passphrase: str) -> Client:
        """Open the vault. Raises WrongPassphrase, VaultDamaged, VaultTooNew, ProfileInUse."""
        ...

    def signup(self) -> Signup:
        """Begin a first run."""
        ...
