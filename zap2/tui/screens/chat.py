"""The main screen: conversations, the messages of the open one, and where one writes.

It holds no state of the conversation itself: it shows views, and every change comes from the client as an event.
`ConversationPane` does what concerns the open conversation; this screen moves between panes and opens dialogs.
"""

from __future__ import annotations

from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Static

from zap2.client.api import (
    Client,
    ContactChanged,
    ContactState,
    ContactView,
    ConversationChanged,
    ConversationView,
    Event,
    LinkChanged,
    MeChanged,
    MessageAdded,
    MessageChanged,
    Notice,
    NoticeLevel,
)
from zap2.ids import ConversationId, conversation_with
from zap2.tui.clock import Clock
from zap2.tui.inbox import Inbox
from zap2.tui.keys import bind
from zap2.tui.screens.add_contact import AddContactScreen
from zap2.tui.screens.address import AddressScreen
from zap2.tui.screens.contact import ContactScreen, repair_question
from zap2.tui.screens.conversation import ConversationPane
from zap2.tui.screens.safety_number import SafetyNumberScreen
from zap2.tui.screens.settings import SettingsScreen
from zap2.tui.widgets.bars import NoticeBar, NoticeButton
from zap2.tui.widgets.composer import Composer
from zap2.tui.widgets.conversation_list import ConversationList
from zap2.tui.widgets.status_line import StatusLine
from zap2.tui.widgets.transcript import Transcript
from zap2.tui.words import plural, session_alarm, trust_words
from zap2.tui.work import Happened, ask

NARROW_CELLS = 60
"""Below this width there is one pane; `Zap2App` gives the screen its class `-narrow` there."""

_LISTING = "-listing"
"""On a narrow terminal: the list is shown and not the conversation."""


class ChatScreen(Screen[None]):
    """Conversations at the left, the open one at the right; one of them on a narrow terminal."""

    CSS_PATH = "chat.tcss"
    EXPLANATION = (
        "Zap2",
        "F6 and Tab move between conversations, messages and writing. Ctrl+P finds everything by name.",
    )

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("f1,question_mark", "app.explain", "Help for where you are", "app.help"),
        bind("escape", "back", "Back to writing, or to the list", "chat.back"),
        bind("f6", "next_pane", "Next pane", "chat.next-pane", priority=True),
        bind("ctrl+n", "add_contact", "Add somebody by phone number", "chat.add-contact"),
        bind("f2", "contact", "About this contact", "chat.contact"),
        bind("f3", "address", "Link, and the address to hand out", "chat.address"),
        bind("f4", "safety_number", "Compare safety numbers", "chat.safety-number"),
        bind("ctrl+up,alt+up", "beside(-1)", "Conversation above", "chat.previous", priority=True),
        bind("ctrl+down,alt+down", "beside(1)", "Conversation below", "chat.next", priority=True),
        bind("f5", "reconnect", "Connect now", "chat.reconnect"),
        bind("f7", "settings", "You at your relay: PIN, and who finds you", "chat.settings", priority=True),
        bind("f8", "dismiss_notice", "Security notice was read", "chat.dismiss-notice"),
        bind("ctrl+end", "newest", "Newest message", "chat.newest"),
    ]

    class Listed(Message):
        """All conversations were read."""

        def __init__(self, conversations: list[ConversationView]) -> None:
            super().__init__()
            self.conversations = conversations

    class ContactFound(Message):
        """A contact for the screen that was asked for."""

        def __init__(self, contact: ContactView) -> None:
            super().__init__()
            self.contact = contact

    class ContactOpened(Message):
        """The contact whose conversation was opened."""

        def __init__(self, contact: ContactView) -> None:
            super().__init__()
            self.contact = contact

    def __init__(self, client: Client, clock: Clock, *, hosting: str | None, intro: str | None) -> None:
        super().__init__()
        self.client = client
        self.inbox = Inbox()
        self._clock = clock
        self._hosting = hosting
        self._intro = intro

    def compose(self) -> ComposeResult:
        """Make the panes."""
        yield NoticeBar(id="notices")
        if self._intro:
            yield Static(self._intro, id="intro", markup=False)
        with Horizontal(id="panes"):
            yield ConversationList(self._clock, id="list")
            yield ConversationPane(self.client, self._clock, id="talk")
        yield StatusLine(self._clock, hosting=self._hosting is not None, id="status")

    def on_mount(self) -> None:
        """Read the conversations; the app has subscribed to events before."""
        self.add_class(_LISTING)
        self.list.border_title = Content("Zap2")
        self.query_one(StatusLine).show_link(self.client.link)
        self.query_one(StatusLine).show_number(has_number=self.client.me.has_number)
        self.watch(self.app, "app_focus", lambda: self.pane.mark_read(), init=False)
        self.list.focus()

        async def conversations() -> list[ConversationView]:
            return list(await self.client.conversations())

        ask(self, conversations(), self.Listed)

    @property
    def list(self) -> ConversationList:
        """The list of conversations."""
        return self.query_one(ConversationList)

    @property
    def pane(self) -> ConversationPane:
        """The open conversation."""
        return self.query_one(ConversationPane)

    @property
    def opened(self) -> ConversationView | None:
        """What is open."""
        return self.inbox.get(self.pane.conversation)

    # What the client tells

    @on(Listed)
    def _listed(self, message: Listed) -> None:
        self.inbox.load(message.conversations)
        self._show_list()
        newest = self.inbox.listed()
        if newest and self.pane.conversation is None and not self.is_narrow:
            self.open(newest[0].id)

    @on(Happened)
    def _happened(self, message: Happened) -> None:
        self._take(message.event)

    def _take(self, event: Event) -> None:
        match event:
            case ConversationChanged(conversation=view):
                self.inbox.put(view)
                self._show_list()
                if view.id == self.pane.conversation:
                    self.pane.show_view(view)
                    self._show_trust(view)
            case MessageAdded(message=view) | MessageChanged(message=view):
                self.pane.put(view)
            case ContactChanged(contact=contact):
                if self.opened is not None and contact.uid == self.opened.peer:
                    self._show_session(contact)
            case LinkChanged(link=link):
                self.query_one(StatusLine).show_link(link)
            case MeChanged(me=me):
                self.query_one(StatusLine).show_number(has_number=me.has_number)
                self._show_list()
            case Notice():
                self._notice(event)

    def _notice(self, notice: Notice) -> None:
        if notice.level is NoticeLevel.SECURITY:
            self.query_one(NoticeBar).add(notice)
            if self.app.screen is not self:
                self.app.notify(notice.text, title="Security", severity="error", timeout=20, markup=False)
        else:
            is_warning = notice.level is NoticeLevel.WARNING
            self.app.notify(
                notice.text, severity="warning" if is_warning else "information", timeout=8, markup=False
            )

    def action_dismiss_notice(self) -> None:
        """Say that the security notice was read. It never takes the focus: an Enter meant for a message counts not."""
        self.query_one(NoticeBar).dismiss()

    @on(NoticeBar.Emptied)
    def _notices_read(self) -> None:
        if self.focused is None or isinstance(self.focused, NoticeButton):
            self.action_back()

    def action_newest(self) -> None:
        """Go to the newest message."""
        self.pane.transcript.action_newest()

    def _show_list(self) -> None:
        if self.pane.conversation is None:
            self.pane.show_welcome(is_first=not self.inbox.listed())
        self.list.show(self.inbox.listed(), self.pane.conversation)
        unread = self.inbox.unread()
        self.list.border_title = Content(f"Zap2 · {unread} unread" if unread else "Zap2")

    def _show_trust(self, view: ConversationView) -> None:
        words = trust_words(view.trust, view.contact_state, is_self=view.is_self)
        self.query_one(StatusLine).show_trust(words)

    def _show_session(self, contact: ContactView | None) -> None:
        self.query_one(StatusLine).show_session(session_alarm(contact.session) if contact else "")

    @on(ContactOpened)
    def _contact_opened(self, message: ContactOpened) -> None:
        if self.opened is not None and self.opened.peer == message.contact.uid:
            self._show_session(message.contact)

    # Moving

    @property
    def is_narrow(self) -> bool:
        """Whether there is room for one pane only."""
        return self.app.size.width < NARROW_CELLS

    def open(self, conversation: ConversationId, *, write: bool = True) -> None:
        """Open a conversation, ready to write."""
        view = self.inbox.get(conversation)
        if view is None:
            return
        self.remove_class(_LISTING)
        self.pane.open(view)
        self._show_list()
        self._show_trust(view)
        self._show_session(None)
        if not view.is_self:
            ask(self, self.client.contact(view.peer), self.ContactOpened, what="session")
        if write:
            self.query_one(Composer).focus()

    @on(ConversationList.Opened)
    def _open_chosen(self, message: ConversationList.Opened) -> None:
        self.open(message.conversation)

    def action_back(self) -> None:
        """Go to the composer; from there, on a narrow terminal, to the list."""
        in_list = self.list.has_focus
        composer = self.query_one(Composer)
        if self.pane.conversation is None or (self.is_narrow and composer.has_focus):
            self.add_class(_LISTING)
            self.list.focus()
        elif in_list or not composer.has_focus:
            self.remove_class(_LISTING)
            composer.focus()
        self.pane.mark_read()

    def action_next_pane(self) -> None:
        """Go from list to messages to composer and around."""
        panes: list[Widget] = [self.list]
        if self.pane.conversation is not None:
            panes += [self.query_one(Transcript), self.query_one(Composer)]
        focused = [index for index, pane in enumerate(panes) if pane.has_focus]
        pane = panes[(focused[0] + 1) % len(panes)] if focused else panes[-1]
        self.set_class(pane is self.list, _LISTING)
        pane.focus()
        self.pane.mark_read()

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """On a narrow terminal, show the pane that Tab went to."""
        self.set_class(event.widget is self.list or self.pane.conversation is None, _LISTING)

    def action_beside(self, step: int) -> None:
        """Open the conversation above or below."""
        target = self.inbox.beside(self.pane.conversation, step)
        if target is not None and target != self.pane.conversation:
            self.open(target)

    @on(events.ScreenResume)
    def _uncovered(self) -> None:
        if self.is_mounted and self.query(ConversationPane):
            self.pane.mark_read()

    # Dialogs

    def action_add_contact(self) -> None:
        """Add somebody."""

        def added(contact: ContactView | None) -> None:
            if contact is None:
                return
            conversation = conversation_with(contact.uid)
            if self.inbox.get(conversation) is None:
                self.inbox.put(_new_conversation(contact, conversation))
            self.open(conversation)
            self.app.notify(
                f"{contact.title} was added. F4 compares safety numbers, whenever you can talk.", markup=False
            )

        self.app.push_screen(AddContactScreen(self.client), added)

    def action_contact(self) -> None:
        """Show the contact of the open conversation."""
        view = self.opened
        if view is None:
            self.app.notify("Open a conversation first.", markup=False)
        elif view.is_self:
            self.app.notify("This is the note to yourself: it never leaves this computer.", markup=False)
        else:
            ask(self, self.client.contact(view.peer), self.ContactFound)

    @on(ContactFound)
    def _show_contact(self, message: ContactFound) -> None:
        def closed(wish: str | None) -> None:
            if wish == "safety-number":
                self.action_safety_number()

        self.app.push_screen(ContactScreen(self.client, message.contact, self._clock), closed)

    def action_safety_number(self) -> None:
        """Compare safety numbers with the person of the open conversation."""
        view = self.opened
        if view is None or view.is_self:
            self.app.notify("Open a conversation with somebody first.", markup=False)
            return

        def compared(matches: bool | None) -> None:
            if matches:
                self.app.notify(f"{view.title} is verified now.", markup=False)

        self.app.push_screen(SafetyNumberScreen(self.client, view.peer, view.title), compared)

    def action_repair(self) -> None:
        """Set the session with the person of the open conversation up anew."""
        view = self.opened
        if view is None or view.is_self or view.contact_state is not ContactState.ACCEPTED:
            self.app.notify("Open a conversation with a contact first.", markup=False)
            return

        def decided(yes: bool | None) -> None:
            if yes:
                ask(self, self.client.repair(view.peer), self.ContactOpened)

        self.app.push_screen(repair_question(view.title), decided)

    @on(StatusLine.Clicked)
    def action_address(self) -> None:
        """Show the link and the address to hand out."""
        self.app.push_screen(AddressScreen(self.client, self._hosting))

    def action_settings(self) -> None:
        """Show what the relay keeps of oneself, and change it."""
        self.app.push_screen(SettingsScreen(self.client))

    def action_reconnect(self) -> None:
        """Try the link now."""
        ask(self, self.client.reconnect())

    async def finish(self) -> str:
        """Wait for what is being stored and keep drafts; says in words what is still on its way."""
        await self.pane.finish()
        waiting = [
            view for view in self.inbox.listed() if view.last_state and view.last_state.value == "queued"
        ]
        return plural(len(waiting), "conversation has", "conversations have") if waiting else ""


def _new_conversation(contact: ContactView, conversation: ConversationId) -> ConversationView:
    """Show a contact with whom nothing was written yet."""
    return ConversationView(
        id=conversation,
        peer=contact.uid,
        title=contact.title,
        is_self=False,
        trust=contact.trust,
        contact_state=contact.state,
        unread=0,
        last_text="",
        last_is_mine=False,
        last_state=None,
        last_at_ms=contact.added_at_ms,
    )
