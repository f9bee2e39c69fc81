"""What a front-end may know: views and events (`zap2.client.shown`), and the doors to a profile."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from zap2.client.shown import (
    ContactChanged,
    ContactState,
    ContactView,
    ConversationChanged,
    ConversationView,
    Event,
    LinkChanged,
    LinkState,
    LinkView,
    MeChanged,
    MembershipView,
    MessageAdded,
    MessageChanged,
    MessageState,
    MessageView,
    MeView,
    Notice,
    NoticeLevel,
    RelayView,
    SafetyNumberView,
    SessionState,
    Trust,
    VerificationView,
)
from zap2.ids import ConversationId, MessageId, Uid

__all__ = [
    "Client",
    "ContactChanged",
    "ContactState",
    "ContactView",
    "ConversationChanged",
    "ConversationView",
    "Entrance",
    "Event",
    "LinkChanged",
    "LinkState",
    "LinkView",
    "MeChanged",
    "MeView",
    "MembershipView",
    "MessageAdded",
    "MessageChanged",
    "MessageState",
    "MessageView",
    "Notice",
    "NoticeLevel",
    "RelayView",
    "SafetyNumberView",
    "SessionState",
    "Signup",
    "Trust",
    "VerificationView",
]


class Client(Protocol):
    """An open profile: one per process, alive from unlocking until `close`.

    Every method may raise a `Zap2Error`; its text and hint are for the person.
    """

    @property
    def me(self) -> MeView:
        """Oneself; changes come as `MeChanged`."""
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

    async def mark_these_read(self, conversation: ConversationId, messages: Sequence[MessageId]) -> None:
        """Say that just these messages were on the screen while the terminal had focus."""
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

    async def repair(self, uid: Uid) -> ContactView:
        """Set the session with a contact up anew, and send again what was never confirmed."""
        ...

    async def save_draft(self, conversation: ConversationId, text: str) -> None:
        """Keep unsent text of a conversation in the vault; empty removes it."""
        ...

    async def preference(self, name: str) -> str:
        """Give what a front-end keeps in this profile under a name, for example its theme; empty without one."""
        ...

    async def set_preference(self, name: str, value: str) -> None:
        """Keep a value of a front-end in this profile; it never leaves this computer."""
        ...

    async def membership(self) -> MembershipView:
        """Say what this profile asked its relay to keep of the account."""
        ...

    async def set_pin(self, pin: str | None) -> MembershipView:
        """Set the registration PIN, without which nobody takes this account's number over; None removes it.

        Raises UsageError, Refused (`number-lost`: there is no number to keep), Unreachable: nothing was changed.
        """
        ...

    async def set_listed(self, *, is_listed: bool) -> MembershipView:
        """Choose whether others find this account by its number. Raises Refused, Unreachable."""
        ...

    async def reconnect(self) -> None:
        """Try the link now instead of waiting for the next planned try."""
        ...

    async def close(self) -> None:
        """Stop the link, drop the key and everything decrypted. The client cannot be used afterwards."""
        ...


class Signup(Protocol):
    """The steps of a first run, in order: connect, request_code, check_code, create. Each may be repeated."""

    async def connect(self, address: str) -> RelayView:
        """Reach a relay and check its key. Raises InvalidAddress, Unreachable, NotTrusted."""
        ...

    async def request_code(self, number: str, *, invite: str | None = None) -> VerificationView:
        """Check a number and have a code sent to it; `invite` where the relay's registration is `invite`.

        Raises InvalidPhoneNumber (nothing was sent), Refused (`invite-needed`, …), Unreachable.
        """
        ...

    def expect_code(self, number: str) -> str:
        """Go on with a code that was sent for a number before this sign-up began; gives the number as E.164."""
        ...

    async def check_code(self, code: str) -> None:
        """Prove possession. Raises Refused: `wrong-code`, `code-expired`, `too-many-tries`, `number-registered`."""
        ...

    async def create(
        self, name: str, passphrase: str, *, invite: str | None = None, pin: str | None = None
    ) -> Client:
        """Write the vault, then register; gives the open client.

        Raises UsageError (name, passphrase), Refused, Unreachable. When the relay fails here the profile exists and
        is unregistered: `create` again, or unlocking later, finishes it, with what was given. `pin-needed`,
        `wrong-pin`: another account has the number, and `pin` must be its registration PIN. `invite-needed`: the
        invite is not good any more.
        """
        ...

    @property
    def notice(self) -> Notice | None:
        """What the person should know after `create` of how the account came to its number; None for nothing."""
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
        """Open the vault.

        Raises WrongPassphrase, VaultDamaged, VaultTooNew, ProfileInUse; SignupUnfinished: there is a vault and no
        account: sign up, with the same passphrase.
        """
        ...

    @property
    def notice(self) -> Notice | None:
        """What the person should know after `unlock` of a sign-up that it finished; None for nothing."""
        ...

    def signup(self) -> Signup:
        """Begin a first run."""
        ...
