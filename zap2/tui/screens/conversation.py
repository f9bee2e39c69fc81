"""The open conversation: its messages, the bar of a request, and the composer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from textual import on
from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.content import Content
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Static, TextArea

from zap2.client.api import Client, ContactState, ConversationView, MessageView
from zap2.errors import Zap2Error
from zap2.ids import ConversationId, MessageId
from zap2.phone import format_number
from zap2.tui.clock import Clock
from zap2.tui.inbox import first_unread
from zap2.tui.screens.contact import block_question
from zap2.tui.screens.message_details import MessageDetails
from zap2.tui.widgets.bars import RequestBar
from zap2.tui.widgets.composer import Composer
from zap2.tui.widgets.transcript import Transcript
from zap2.tui.words import error_words, plural, trust_words
from zap2.tui.work import Failed, ask
from zap2.tui.wrap import clip

PAGE: Final = 200
"""Messages that are loaded at a time."""

DRAFT_DELAY_S: Final = 0.7

_MORE: Final = "F1 explains what you see, Ctrl+P finds every command by name."
_WELCOME: Final = (
    "Nothing is open.\n\nChoose a conversation in the list, or press Ctrl+N to add somebody by phone number."
    f"\n\n{_MORE}"
)
_WELCOME_FIRST: Final = (
    "Welcome, {name}.\n\nCtrl+N adds somebody by phone number.\n\nOthers find you by yours, {number}, once they "
    f"use the same relay: F3 shows what to tell them.\n\n{_MORE}"
)
_FIRST: Final = "No messages yet.\n\nWrite below; Enter sends. Only the two of you can read it."
_NOTE: Final = "Notes to yourself.\n\nWhat you write here stays on this computer, encrypted."


class ConversationPane(Container):
    """Shows one conversation at a time and does what its person asks."""

    class PageLoaded(Message):
        """Messages were read from the vault."""

        def __init__(self, conversation: ConversationId, messages: Sequence[MessageView]) -> None:
            super().__init__()
            self.conversation = conversation
            self.messages = messages

    class SendFailed(Message):
        """A text was not stored; it goes back to the composer."""

        def __init__(self, conversation: ConversationId, text: str, error: Zap2Error) -> None:
            super().__init__()
            self.conversation = conversation
            self.text = text
            self.error = error

    def __init__(self, client: Client, clock: Clock, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._client = client
        self._clock = clock
        self._view: ConversationView | None = None
        self._unread_at_open = 0
        self._unread_line: int | None = None
        self._marked: set[MessageId] = set()
        self._drafts: dict[ConversationId, str] = {}
        self._dirty: set[ConversationId] = set()
        self._draft_timer: Timer | None = None
        self._storing = asyncio.Lock()

    def compose(self) -> ComposeResult:
        """Make the parts."""
        yield Static("", id="welcome", markup=False)
        with Vertical(id="conversation"):
            with Container(id="messages"):
                yield Static("", id="no-messages", markup=False)
                yield Transcript(self._clock, id="transcript")
                yield Static("", id="below", markup=False)
            yield RequestBar(id="request")
            yield Static("", id="send-error", markup=False)
            yield Composer(id="composer")

    def on_mount(self) -> None:
        """Begin with nothing open."""
        for part in ("#conversation", "#below", "#send-error", "#no-messages"):
            self.query_one(part).display = False
        self._composer.border_title = Content("Write")
        self._composer.border_subtitle = Content("Enter sends · Ctrl+J new line")

    @property
    def conversation(self) -> ConversationId | None:
        """What is open."""
        return None if self._view is None else self._view.id

    @property
    def transcript(self) -> Transcript:
        """The messages."""
        return self.query_one(Transcript)

    @property
    def _composer(self) -> Composer:
        return self.query_one(Composer)

    def show_welcome(self, *, is_first: bool) -> None:
        """Say what one can do while nothing is open; `is_first` when there is no conversation at all."""
        me = self._client.me
        words = _WELCOME
        if is_first and me.has_number:
            words = _WELCOME_FIRST.format(name=me.name, number=format_number(me.number))
        self.query_one("#welcome", Static).update(words)

    # Opening

    def open(self, view: ConversationView) -> None:
        """Show a conversation from its newest message on, with its draft."""
        if view.id == self.conversation:
            return
        self._keep_draft()
        self._view = None
        self.query_one("#welcome").display = False
        self.query_one("#conversation").display = True
        self.transcript.reset()
        self._composer.load_text(self._drafts.get(view.id, view.draft))
        self._composer.move_cursor(self._composer.document.end)
        self._unread_at_open = view.unread
        self._unread_line = None
        self._say_error("")
        self.show_view(view)
        self._load(view.id, None)

    def show_view(self, view: ConversationView) -> None:
        """Show name, trust and request of the open conversation."""
        self._view = view
        self._show_title()
        is_request = view.contact_state is ContactState.REQUEST
        self.query_one(RequestBar).ask(view.id if is_request else None, view.title)
        self.mark_read()

    def _show_title(self) -> None:
        """Show the name as far as there is room, and always how sure one is of it."""
        view = self._view
        if view is None:
            return
        trust = trust_words(view.trust, view.contact_state, is_self=view.is_self)
        title = clip(view.title, max(8, self.size.width - len(trust) - 9)) or "?"
        self.query_one("#messages").border_title = Content.assemble((title, "bold"), f" · {trust}")

    def on_resize(self) -> None:
        """Give the name the new room."""
        self._show_title()

    def _load(self, conversation: ConversationId, before: int | None) -> None:
        def loaded(messages: Sequence[MessageView]) -> Message:
            return self.PageLoaded(conversation, messages)

        request = self._client.messages(conversation, before=before, limit=PAGE)
        ask(self, request, loaded, what="page", group="page", exclusive=True)

    @on(PageLoaded)
    def _page_loaded(self, message: PageLoaded) -> None:
        if message.conversation != self.conversation:
            return
        transcript = self.transcript
        transcript.show_page(message.messages, exhausted=len(message.messages) < PAGE)
        if self._unread_at_open:
            transcript.set_unread(first_unread(transcript.rows.messages, self._unread_at_open))
            transcript.show_unread()
            self._unread_at_open = 0
        self._show_emptiness()
        self.mark_read()

    def _show_emptiness(self) -> None:
        empty = self.query_one("#no-messages", Static)
        empty.display = not self.transcript.rows.messages
        if self._view is not None:
            empty.update(_NOTE if self._view.is_self else _FIRST)

    @on(Transcript.OlderWanted)
    def _older_wanted(self, message: Transcript.OlderWanted) -> None:
        if self.conversation is not None:
            self._load(self.conversation, message.before)

    @on(Failed)
    def _failed(self, message: Failed) -> None:
        if message.what == "page":
            self.transcript.page_failed()

    # Messages

    def put(self, message: MessageView) -> None:
        """Show a new message or a new state."""
        if message.conversation != self.conversation:
            return
        transcript = self.transcript
        there = transcript.rows.message_at(message.position)
        if there.id != message.id if there else transcript.rows.has(message.id):
            # Places were widened for what arrived late: positions that are known here are of before.
            transcript.reset()
            self._load(message.conversation, None)
            return
        is_new = there is None
        newest = transcript.rows.messages[-1].position if transcript.rows.messages else -1
        if is_new and newest > message.position < transcript.rows.messages[0].position:
            return
        transcript.put(message)
        if is_new and not message.is_mine and not self._is_watched:
            line = None if self._unread_line is None else transcript.rows.message_at(self._unread_line)
            if line is None or line.id in self._marked:
                self._unread_line = message.position
                transcript.set_unread(message.position)
        elif is_new and message.is_mine:
            self._unread_line = None
            transcript.set_unread(None)
        self._show_emptiness()
        self.mark_read()

    @property
    def _is_watched(self) -> bool:
        """Whether a person can be looking at the messages now."""
        return self.app.app_focus and self.app.screen is self.screen and self.transcript.region.height > 0

    @on(Transcript.Seen)
    def mark_read(self) -> None:
        """Say what is on the screen, if somebody is looking. What is above or below that stays unread."""
        view = self._view
        if view is None or not view.unread or not self._is_watched:
            return
        if view.contact_state is not ContactState.ACCEPTED and not view.is_self:
            return
        seen = [one.id for one in self.transcript.in_view if not one.is_mine and one.id not in self._marked]
        if seen:
            self._marked.update(seen)
            ask(self, self._client.mark_these_read(view.id, seen), what="read")

    @on(Transcript.Below)
    def _below(self, message: Transcript.Below) -> None:
        below = self.query_one("#below", Static)
        below.display = message.count > 0
        below.update(f"↓ {plural(message.count, 'new message', 'new messages')} · Ctrl+End")

    def on_click(self, event: object) -> None:
        """A click on the mark of new messages goes to them."""
        if self.query_one("#below").is_mouse_over:
            self.transcript.action_newest()

    @on(Transcript.Left)
    def _left(self) -> None:
        self._composer.focus()

    @on(Transcript.Asked)
    def _asked(self, message: Transcript.Asked) -> None:
        self._do(message.action, message.message)

    def _do(self, action: str, message: MessageView) -> None:
        if action == "copy":
            self.app.copy_to_clipboard(message.text)
            self.app.notify("Copied, if your terminal allows it.", markup=False)
        elif action == "retry":
            if message.failure is None and not (message.state and message.state.value == "failed"):
                self.app.notify("Only a message that failed can be sent again.", markup=False)
            else:
                ask(self, self._client.retry(message.conversation, message.id))
        else:

            def closed(wish: str | None) -> None:
                if wish:
                    self._do(wish, message)

            self.app.push_screen(MessageDetails(message, self._clock), closed)

    @on(RequestBar.Answered)
    def _answered(self, message: RequestBar.Answered) -> None:
        if self._view is None:
            return
        if message.accepted:
            ask(self, self._client.accept(self._view.peer))
            self._composer.focus()
            return
        peer = self._view.peer

        def decided(yes: bool | None) -> None:
            if yes:
                ask(self, self._client.block(peer))
                self._composer.focus()

        self.app.push_screen(block_question(self._view.title), decided)

    # Writing

    @on(Composer.Escaped)
    def _escaped(self, message: Composer.Escaped) -> None:
        if message.where == "up":
            self.transcript.focus()
        else:
            self.transcript.action_page(-1 if message.where == "page-up" else 1)

    @on(Composer.Submitted)
    def _submitted(self, message: Composer.Submitted) -> None:
        conversation = self.conversation
        if conversation is None:
            return
        text = message.text.strip("\n")
        self._composer.load_text("")
        self._say_error("")

        def failed(error: Zap2Error) -> Message:
            return self.SendFailed(conversation, text, error)

        ask(self, self._store(conversation, text), failed=failed, group="send")

    async def _store(self, conversation: ConversationId, text: str) -> None:
        """Store texts one after the other, in the order in which they were sent."""
        async with self._storing:
            await self._client.send_text(conversation, text)

    @on(SendFailed)
    def _send_failed(self, message: SendFailed) -> None:
        if message.conversation == self.conversation:
            self._composer.put_back(message.text)
            self._say_error(f"! Not sent. {error_words(message.error)}")
        else:
            before = self._drafts.get(message.conversation, "")
            self._drafts[message.conversation] = f"{message.text}\n{before}" if before else message.text
            self._dirty.add(message.conversation)
            self.app.notify(f"Not sent. {error_words(message.error)}", severity="error", markup=False)

    def _say_error(self, words: str) -> None:
        line = self.query_one("#send-error", Static)
        line.update(words)
        line.display = bool(words)

    # Drafts

    @on(TextArea.Changed)
    def _typed(self) -> None:
        if self.conversation is None or self._drafts.get(self.conversation, "") == self._composer.text:
            return
        self._keep_text()
        if self._draft_timer is not None:
            self._draft_timer.stop()
        self._draft_timer = self.set_timer(DRAFT_DELAY_S, self._keep_draft)

    def _keep_text(self) -> None:
        if self.conversation is not None:
            self._drafts[self.conversation] = self._composer.text
            self._dirty.add(self.conversation)

    def _keep_draft(self) -> None:
        """Save what is written, in the background."""
        if self._dirty:
            ask(self, self._save_drafts(), what="draft", group="draft")

    async def _save_drafts(self) -> None:
        """Save drafts after the texts before them are stored, so that a text is in the vault at every moment."""
        async with self._storing:
            while self._dirty:
                conversation = self._dirty.pop()
                await self._client.save_draft(conversation, self._drafts.get(conversation, ""))

    async def finish(self) -> None:
        """Store what was sent and save what was not."""
        if self.conversation is not None and self._drafts.get(self.conversation, "") != self._composer.text:
            self._keep_text()
        await self._save_drafts()
