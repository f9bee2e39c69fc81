"""A scripted world behind the client's protocol: it keeps real state, and a test can make it say or refuse things.

Nothing here sleeps or reads a clock: time stands at `NOW_MS`, in UTC.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from tests.tui.stage_account import StageAccount
from zap2.client.api import (
    ContactChanged,
    ContactState,
    ContactView,
    ConversationChanged,
    ConversationView,
    Event,
    LinkChanged,
    LinkState,
    LinkView,
    MessageAdded,
    MessageChanged,
    MessageState,
    MessageView,
    MeView,
    Notice,
    SafetyNumberView,
    SessionState,
    Trust,
)
from zap2.errors import (
    InvalidMessage,
    InvalidPhoneNumber,
    Refused,
    UnknownConversation,
)
from zap2.ids import ConversationId, MessageId, Uid, conversation_with
from zap2.tui.clock import Clock

NOW_MS = int(datetime(2026, 11, 22, 14, 30, tzinfo=UTC).timestamp() * 1000)
MINUTE_MS = 60_000
DAY_MS = 24 * 60 * MINUTE_MS
MAX_TEXT_B = 60_000
RELAY = "zap2://mfrggzdfmztwq2lknnwg23tpobyxe43u@relay.example.org:8765"


def uid_of(name: str) -> Uid:
    """A uid that is the same in every run."""
    return Uid(name.encode().ljust(32, b".")[:32])


ME = uid_of("me")


@dataclass
class StoppedClock:
    """A clock that a test moves."""

    now_ms: int = NOW_MS
    monotonic_s: float = 1000.0

    def clock(self) -> Clock:
        """The clock as the screen reads it."""
        return Clock(now_ms=lambda: self.now_ms, monotonic_s=lambda: self.monotonic_s, zone=UTC)


@dataclass
class StageClient(StageAccount):
    """A client without engine, vault or network."""

    me: MeView = field(default_factory=lambda: MeView(ME, "Bo Example", "+49 1512 3456789", RELAY))
    link: LinkView = field(default_factory=lambda: LinkView(LinkState.ONLINE))
    people: dict[Uid, ContactView] = field(default_factory=dict)
    threads: dict[ConversationId, list[MessageView]] = field(default_factory=dict)
    views: dict[ConversationId, ConversationView] = field(default_factory=dict)
    directory: dict[str, Uid] = field(default_factory=dict)
    drafts: dict[ConversationId, str] = field(default_factory=dict)
    read: set[MessageId] = field(default_factory=set)
    is_closed: bool = False
    now_ms: int = NOW_MS
    _listeners: list[asyncio.Queue[Event | None]] = field(default_factory=list)

    # What a test does

    def add_person(
        self,
        name: str,
        *,
        trust: Trust = Trust.FIRST_USE,
        state: ContactState = ContactState.ACCEPTED,
        number: str | None = None,
        session: SessionState = SessionState.FINE,
    ) -> ConversationId:
        """Add a contact with an empty conversation."""
        uid = uid_of(name)
        self.people[uid] = ContactView(
            uid, name, name, number, trust, state, self.now_ms - 30 * DAY_MS, True, session
        )
        conversation = conversation_with(uid)
        self.threads[conversation] = []
        self.views[conversation] = ConversationView(
            conversation, uid, name, False, trust, state, 0, "", False, None, 0
        )
        return conversation

    def add_note(self) -> ConversationId:
        """Add the note to oneself."""
        conversation = conversation_with(ME)
        self.threads[conversation] = []
        self.views[conversation] = ConversationView(
            conversation,
            ME,
            "Note to yourself",
            True,
            Trust.VERIFIED,
            ContactState.ACCEPTED,
            0,
            "",
            False,
            None,
            0,
        )
        return conversation

    def write(
        self,
        conversation: ConversationId,
        text: str,
        *,
        at_ms: int | None = None,
        state: MessageState | None = None,
        failure: str | None = None,
        missing_before: int = 0,
        is_sealed: bool | None = None,
        tell: bool = True,
    ) -> MessageView:
        """Put a message into a conversation: own if it has a state, else from the peer and unread."""
        at_ms = self.now_ms if at_ms is None else at_ms
        thread = self.threads[conversation]
        view = self.views[conversation]
        position = (thread[-1].position if thread else 0) + 1 + missing_before
        message = MessageView(
            conversation,
            position,
            MessageId(b"%s%012d" % (view.peer[:4], position)),
            view.peer if state is None else ME,
            view.title if state is None else self.me.name,
            state is not None,
            text,
            at_ms,
            at_ms,
            state,
            failure,
            missing_before,
            is_sealed=is_sealed,
        )
        thread.append(message)
        unread = view.unread + 1 if state is None else 0
        self._put_view(
            replace(
                view,
                unread=unread,
                last_text=text,
                last_is_mine=message.is_mine,
                last_state=state,
                last_at_ms=at_ms,
            ),
            tell,
        )
        if tell:
            self.tell(MessageAdded(message, is_request=view.contact_state is ContactState.REQUEST))
        return message

    def arrive_before(self, later: MessageView, text: str) -> MessageView:
        """Let a missing message arrive, one place before a message that was sent later."""
        thread = self.threads[later.conversation]
        index = thread.index(later)
        late = replace(
            later,
            position=later.position - 1,
            id=MessageId(later.id[:4] + b"late".ljust(12, b".")),
            text=text,
            missing_before=later.missing_before - 1,
        )
        after = replace(later, missing_before=0)
        thread[index : index + 1] = [late, after]
        self.tell(MessageAdded(late))
        self.tell(MessageChanged(after))
        return late

    def advance(self, message: MessageView, state: MessageState, failure: str | None = None) -> MessageView:
        """Change the state of a message."""
        thread = self.threads[message.conversation]
        index = next(i for i, one in enumerate(thread) if one.id == message.id)
        thread[index] = changed = replace(thread[index], state=state, failure=failure)
        self.tell(MessageChanged(changed))
        if index == len(thread) - 1:
            self._put_view(replace(self.views[message.conversation], last_state=state), True)
        return changed

    def set_link(self, link: LinkView) -> None:
        """Change the link."""
        self.link = link
        self.tell(LinkChanged(link))

    def tell(self, event: Event) -> None:
        """Send an event to whoever listens."""
        for listener in self._listeners:
            listener.put_nowait(event)

    def notice(self, notice: Notice) -> None:
        """Send a notice."""
        self.tell(notice)

    def read_in(self, conversation: ConversationId) -> list[str]:
        """The texts of others that were said to be read, in the order of the conversation."""
        return [one.text for one in self.threads[conversation] if one.id in self.read]

    # The protocol

    @asynccontextmanager
    async def _subscribed(self) -> AsyncIterator[AsyncIterator[Event]]:
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        self._listeners.append(queue)

        async def events() -> AsyncIterator[Event]:
            while (event := await queue.get()) is not None:
                yield event

        try:
            yield events()
        finally:
            self._listeners.remove(queue)

    def events(self):  # type: ignore[no-untyped-def]  # the decorated generator has the type that the protocol asks for
        """Subscribe."""
        return self._subscribed()

    def _put_view(self, view: ConversationView, tell: bool) -> None:
        self.views[view.id] = view
        if tell:
            self.tell(ConversationChanged(view))

    def _put_contact(self, contact: ContactView) -> ContactView:
        self.people[contact.uid] = contact
        self.tell(ContactChanged(contact))
        conversation = conversation_with(contact.uid)
        view = self.views[conversation]
        self._put_view(
            replace(view, title=contact.title, trust=contact.trust, contact_state=contact.state), True
        )
        return contact

    async def conversations(self) -> Sequence[ConversationView]:
        """All, newest first."""
        await self._enter("conversations")
        return sorted(self.views.values(), key=lambda view: -view.last_at_ms)

    async def conversation(self, conversation: ConversationId) -> ConversationView:
        """One."""
        await self._enter("conversation", conversation)
        if conversation not in self.views:
            raise UnknownConversation
        return self.views[conversation]

    async def messages(
        self, conversation: ConversationId, *, before: int | None = None, limit: int = 200
    ) -> Sequence[MessageView]:
        """A page."""
        await self._enter("messages", conversation, before, limit)
        found = [one for one in self.threads[conversation] if before is None or one.position < before]
        return found[-limit:]

    async def contacts(self) -> Sequence[ContactView]:
        """All, by title."""
        return sorted(self.people.values(), key=lambda contact: contact.title)

    async def contact(self, uid: Uid) -> ContactView:
        """One."""
        await self._enter("contact", uid)
        return self.people[uid]

    async def add_contact(self, number: str, name: str = "") -> ContactView:
        """Find by number."""
        await self._enter("add_contact", number, name)
        if not number.startswith("+"):
            raise InvalidPhoneNumber(f"{number} has no country code.")
        if number not in self.directory:
            raise Refused("not-found", "Nobody at this relay has registered that number.")
        uid = self.directory[number]
        title = uid.decode().rstrip(".")
        self.add_person(name or title, number=number)
        return self._put_contact(replace(self.people[uid_of(name or title)]))

    async def send_text(self, conversation: ConversationId, text: str) -> MessageView:
        """Store and queue."""
        await self._enter("send_text", conversation, text)
        if not text.strip():
            raise InvalidMessage("An empty message is not sent.")
        if len(text.encode()) > MAX_TEXT_B:
            raise InvalidMessage("This text is too long.", "Send it in parts of at most 60,000 bytes.")
        view = self.views[conversation]
        if view.contact_state is ContactState.REQUEST:
            self._put_contact(replace(self.people[view.peer], state=ContactState.ACCEPTED))
        return self.write(conversation, text, state=MessageState.QUEUED)

    async def retry(self, conversation: ConversationId, message: MessageId) -> MessageView:
        """Queue again."""
        await self._enter("retry", conversation, message)
        found = next(one for one in self.threads[conversation] if one.id == message)
        return self.advance(found, MessageState.QUEUED)

    async def mark_these_read(self, conversation: ConversationId, messages: Sequence[MessageId]) -> None:
        """Note what was seen."""
        await self._enter("mark_these_read", conversation, tuple(messages))
        newly = [
            one.id
            for one in self.threads[conversation]
            if one.id in messages and not one.is_mine and one.id not in self.read
        ]
        self.read.update(newly)
        view = self.views[conversation]
        self._put_view(replace(view, unread=max(0, view.unread - len(newly))), True)

    async def accept(self, uid: Uid) -> ContactView:
        """Accept."""
        await self._enter("accept", uid)
        return self._put_contact(replace(self.people[uid], state=ContactState.ACCEPTED))

    async def block(self, uid: Uid) -> ContactView:
        """Block."""
        await self._enter("block", uid)
        return self._put_contact(replace(self.people[uid], state=ContactState.BLOCKED))

    async def rename(self, uid: Uid, name: str) -> ContactView:
        """Rename."""
        await self._enter("rename", uid, name)
        person = self.people[uid]
        return self._put_contact(replace(person, title=name or person.profile_name))

    async def safety_number(self, uid: Uid) -> SafetyNumberView:
        """Sixty digits."""
        await self._enter("safety_number", uid)
        person = self.people[uid]
        digits = "".join(f"{(7919 * (i + 1)) % 100000:05}" for i in range(12))
        return SafetyNumberView(
            uid, person.title, digits, f"zap2:safety:{digits}", person.trust is Trust.VERIFIED
        )

    async def set_verified(self, uid: Uid, *, is_verified: bool) -> ContactView:
        """Record."""
        await self._enter("set_verified", uid, is_verified)
        trust = Trust.VERIFIED if is_verified else Trust.FIRST_USE
        return self._put_contact(replace(self.people[uid], trust=trust))

    async def repair(self, uid: Uid) -> ContactView:
        """Set the session up anew."""
        await self._enter("repair", uid)
        return self._put_contact(replace(self.people[uid], session=SessionState.REPAIRING))

    async def save_draft(self, conversation: ConversationId, text: str) -> None:
        """Keep unsent text."""
        await self._enter("save_draft", conversation, text)
        self.drafts[conversation] = text
        self._put_view(replace(self.views[conversation], draft=text), True)

    async def reconnect(self) -> None:
        """Try now."""
        await self._enter("reconnect")

    async def close(self) -> None:
        """End."""
        self.is_closed = True
        for listener in self._listeners:
            listener.put_nowait(None)
