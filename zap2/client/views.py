"""From rows of the vault to views: the boundary at which text from others is sanitised."""

from __future__ import annotations

from zap2.client.api import (
    ContactState,
    ContactView,
    ConversationView,
    MessageState,
    MessageView,
    MeView,
    SafetyNumberView,
    SessionState,
    Trust,
)
from zap2.client.words import failure_words
from zap2.crypto import safety_number
from zap2.engine import account
from zap2.engine.engine import Engine
from zap2.errors import UnknownConversation
from zap2.ids import ConversationId, MessageId, Uid, format_uid
from zap2.phone import format_number
from zap2.text import sanitize
from zap2.vault import settings
from zap2.vault.rows import ContactRow, ConversationRow, MessageRow

NOTE_TO_SELF = "Note to self"
MAX_TITLE_CHARS = 64
MAX_LAST_TEXT_CHARS = 200


class Views:
    """Builds views; use it in the thread that owns the store."""

    def __init__(self, engine: Engine, relay: str) -> None:
        self._store = engine.store
        self._keys = engine.keys
        self._sessions = engine.sessions
        self._relay = relay
        self._me: MeView | None = None

    def me(self) -> MeView:
        """Show oneself."""
        if self._me is None:
            read = self._store.settings.get_text
            has_number = account.has_number(self._store)
            self._me = MeView(
                self._keys.uid, read(settings.NAME), account.number(self._store), self._relay, has_number
            )
        return self._me

    def me_anew(self) -> MeView:
        """Show oneself after a change."""
        self._me = None
        return self.me()

    def title(self, uid: Uid) -> str:
        """Give the name to show for somebody: one's own name for them, else theirs, else number, else address."""
        if uid == self._keys.uid:
            return NOTE_TO_SELF
        return _title(self._store.contacts.get(uid), uid)

    def conversations(self) -> list[ConversationView]:
        """Show the conversation list."""
        return [self._conversation(row) for row in self._store.messages.conversations()]

    def conversation(self, conversation: ConversationId) -> ConversationView:
        """Show one line of the list. Raises UnknownConversation."""
        row = self._store.messages.conversation(conversation)
        if row is None:
            raise UnknownConversation
        return self._conversation(row)

    def contacts(self) -> list[ContactView]:
        """Show all contacts, by title."""
        rows = self._store.contacts.all()
        return sorted(map(self._contact, rows), key=lambda view: (view.title.casefold(), view.uid))

    def contact(self, uid: Uid) -> ContactView:
        """Show one contact, or oneself. Raises UnknownConversation."""
        if uid == self._keys.uid:
            return self._myself()
        row = self._store.contacts.get(uid)
        if row is None:
            raise UnknownConversation
        return self._contact(row)

    def is_request(self, uid: Uid) -> bool:
        """Say whether somebody is a stranger who has not been accepted."""
        contact = self._store.contacts.get(uid)
        return contact is not None and contact.state == ContactState.REQUEST

    def page(self, conversation: ConversationId, before: int | None, limit: int) -> list[MessageView]:
        """Show messages in ascending position."""
        rows = self._store.messages.page(conversation, before=before, limit=limit)
        return [self._message(row) for row in rows]

    def message(self, conversation: ConversationId, author: Uid, message: MessageId) -> MessageView:
        """Show one message. Raises UnknownConversation."""
        row = self._store.messages.get(conversation, author, message)
        if row is None:
            raise UnknownConversation("There is no such message.")
        return self._message(row)

    def message_after(
        self, conversation: ConversationId, author: Uid, message: MessageId
    ) -> MessageView | None:
        """Show the message of the same author that follows one; None when that is their newest."""
        row = self._store.messages.next_of(conversation, author, message)
        return None if row is None else self._message(row)

    def unread(self, limit: int) -> list[MessageView]:
        """Show unread messages of all conversations, in the order in which they came."""
        return [self._message(row) for row in self._store.messages.unread(limit)]

    def safety_number(self, uid: Uid) -> SafetyNumberView:
        """Compute the safety number with a contact whose keys are here.

        Raises:
            UnknownConversation: no such contact, or nothing was exchanged with them yet.
        """
        contact = self._store.contacts.get(uid)
        if contact is None:
            raise UnknownConversation
        if contact.document is None:
            raise UnknownConversation(
                "There is no safety number yet.", "It exists once the first message was sent or received."
            )
        number = safety_number(self._keys.document, contact.document)
        return SafetyNumberView(
            uid, _title(contact, uid), number.digits, number.qr_text, contact.trust == Trust.VERIFIED
        )

    def _conversation(self, row: ConversationRow) -> ConversationView:
        is_self = row.peer == self._keys.uid
        contact = None if is_self else self._store.contacts.get(row.peer)
        return ConversationView(
            id=row.id,
            peer=row.peer,
            title=NOTE_TO_SELF if is_self else _title(contact, row.peer),
            is_self=is_self,
            trust=Trust(contact.trust) if contact else Trust.VERIFIED,
            contact_state=ContactState(contact.state) if contact else ContactState.ACCEPTED,
            unread=row.unread,
            last_text=sanitize(row.last_text[:MAX_LAST_TEXT_CHARS], single_line=True),
            last_is_mine=row.last_is_mine,
            last_state=_state(row.last_state),
            last_at_ms=row.active_at_ms,
            draft=row.draft,
        )

    def _myself(self) -> ContactView:
        me = self.me()
        return ContactView(
            uid=me.uid,
            title=self.title(me.uid),
            profile_name=me.name,
            number=me.number if me.has_number else None,
            trust=Trust.VERIFIED,
            state=ContactState.ACCEPTED,
            added_at_ms=0,
            has_one_time_prekey=None,
        )

    def _contact(self, row: ContactRow) -> ContactView:
        entry = self._sessions.for_sending(row.uid)
        return ContactView(
            uid=row.uid,
            title=_title(row, row.uid),
            profile_name=sanitize(row.profile_name, max_chars=MAX_TITLE_CHARS, single_line=True),
            number=row.number,
            trust=Trust(row.trust),
            state=ContactState(row.state),
            added_at_ms=row.added_at_ms,
            has_one_time_prekey=entry.session.has_one_time_prekey if entry else None,
            session=_session_state(row, entry is not None),
            is_sealed=row.state == ContactState.ACCEPTED and row.delivery_token is not None,
        )

    def _message(self, row: MessageRow) -> MessageView:
        count = self._store.messages.count_missing_before
        return MessageView(
            conversation=row.conversation,
            position=row.position,
            id=row.id,
            author=row.author,
            author_name=self.me().name if row.is_mine else self.title(row.author),
            is_mine=row.is_mine,
            text=sanitize(row.text),
            sent_at_ms=row.sent_at_ms,
            received_at_ms=row.received_at_ms,
            state=_state(row.state),
            failure=failure_words(row.failure),
            pq_epoch=row.pq_epoch,
            is_sealed=row.is_sealed,
            missing_before=0 if row.is_mine else count(row.conversation, row.author, row.sequence),
        )


def _title(contact: ContactRow | None, uid: Uid) -> str:
    if contact is None:
        return format_uid(uid)[:10]
    for name in (contact.own_name, contact.profile_name):
        clean = sanitize(name, max_chars=MAX_TITLE_CHARS, single_line=True).strip()
        if clean:
            return clean
    return format_number(contact.number) if contact.number else format_uid(contact.uid)[:10]


def _session_state(contact: ContactRow, has_session: bool) -> SessionState:
    if contact.session_state == SessionState.FINE:
        return SessionState.FINE if has_session else SessionState.NONE
    return SessionState(contact.session_state)


def _state(state: str | None) -> MessageState | None:
    return None if state is None else MessageState(state)
