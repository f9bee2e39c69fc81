"""The agent: the thin shell around the engine.

It owns an open vault and the one thread that touches it, hands the engine what happens, carries out what the
engine wants, and tells front-ends what changed. The event loop never waits for the disk: every step of the engine
runs in the vault's thread, and steps run one after the other.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress

from zap2.client.api import (
    ContactView,
    ConversationView,
    Event,
    LinkChanged,
    LinkState,
    LinkView,
    MeChanged,
    MembershipView,
    MessageAdded,
    MessageView,
    MeView,
    Notice,
    NoticeLevel,
    SafetyNumberView,
)
from zap2.client.courier import Courier
from zap2.client.membership import Membership
from zap2.client.news import tell
from zap2.client.reports import Reports, input_of
from zap2.client.subscriptions import Subscriptions
from zap2.client.transport import LinkConnecting, LinkDown, LinkUp, Transport, TransportEvent
from zap2.client.vault_thread import VaultThread
from zap2.client.views import Views
from zap2.engine import inputs
from zap2.engine.effects import Effect
from zap2.engine.engine import Engine
from zap2.engine.inputs import Input
from zap2.errors import NotTrusted, VaultError
from zap2.ids import ConversationId, MessageId, Uid
from zap2.phone import parse_number, region_of

_log = logging.getLogger(__name__)

_IDLE_S = 60.0
_LINK_RESTART_S = 5.0
_PREFERENCE = "preference:"
_LINK_PATIENCE_S = 5.0
_PAUSE_S = 2.0


class Agent:
    """An open profile, as `zap2.client.api.Client`; call `start` once and `close` at the end.

    Args:
        engine: over an open store; the agent closes it.
        transport: the way to others; `run` is called once.
        thread: where the engine and its store were made; the agent closes it.
        relay: the address to show to the person.
        now_ms: the clock, in milliseconds since the epoch.
        on_closed: called after the store was closed, for example to release a lock.
    """

    def __init__(
        self,
        engine: Engine,
        transport: Transport,
        *,
        thread: VaultThread,
        relay: str,
        now_ms: Callable[[], int],
        on_closed: Callable[[], None] = lambda: None,
    ) -> None:
        self._engine = engine
        self._transport = transport
        self._thread = thread
        self._now_ms = now_ms
        self._on_closed = on_closed
        self._views = Views(engine, relay)
        self._me: MeView | None = None
        self._link = LinkView(LinkState.OFFLINE)
        self._subscriptions = Subscriptions()
        self._reports = Reports(self._step, self._tell_trouble)
        self._courier = Courier(transport, self._reports.put)
        self._membership = Membership(engine.store, thread, transport)
        self._turn = asyncio.Lock()
        self._deadline_changed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._steps: set[asyncio.Task[tuple[list[Effect], list[Event]]]] = set()
        self._is_closed = False

    # ------------------------------------------------------------------------------------------- life

    async def start(self, *, is_online: bool = True) -> None:
        """Begin to work: catch up with what is due, then keep the link open, unless `is_online` is False."""
        self._me = await self._thread.run(self._views.me)
        self._reports.put(inputs.TimePassed())
        self._tasks = [
            asyncio.create_task(self._reports.follow(), name="zap2-reports"),
            asyncio.create_task(self._keep_time(), name="zap2-time"),
        ]
        if is_online:
            self._link = LinkView(LinkState.CONNECTING)
            self._tasks.append(asyncio.create_task(self._keep_link(), name="zap2-link"))

    async def close(self) -> None:
        """Stop the link, drop the key and everything decrypted. The client cannot be used afterwards."""
        if self._is_closed:
            return
        self._is_closed = True
        # First what is under way: it would open the second connection anew after the link has closed it.
        await self._courier.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, *self._steps, return_exceptions=True)
        await self._thread.run(self._engine.store.close)
        self._thread.close()
        self._subscriptions.close()
        self._on_closed()

    # --------------------------------------------------------------------------------------- questions

    @property
    def me(self) -> MeView:
        """Oneself."""
        if self._me is None:
            raise RuntimeError("the agent was not started")
        return self._me

    @property
    def link(self) -> LinkView:
        """The state of the link now; changes come as `LinkChanged`."""
        return self._link

    def events(self) -> AbstractAsyncContextManager[AsyncIterator[Event]]:
        """Subscribe for the length of the context."""
        return self._subscriptions.listen()

    async def conversations(self) -> Sequence[ConversationView]:
        """Give all conversations, most recently active first."""
        return await self._thread.run(self._views.conversations)

    async def conversation(self, conversation: ConversationId) -> ConversationView:
        """Give one conversation. Raises UnknownConversation."""
        return await self._thread.run(lambda: self._views.conversation(conversation))

    async def messages(
        self, conversation: ConversationId, *, before: int | None = None, limit: int = 200
    ) -> Sequence[MessageView]:
        """Give up to `limit` messages in ascending position: the newest, or the newest below `before`."""
        return await self._thread.run(lambda: self._views.page(conversation, before, limit))

    async def message(self, conversation: ConversationId, message: MessageId) -> MessageView:
        """Give one own message. Raises UnknownConversation."""
        return await self._thread.run(lambda: self._views.message(conversation, self.me.uid, message))

    async def unread(self, limit: int = 1000) -> Sequence[MessageView]:
        """Give unread messages of all conversations, in the order in which they came."""
        return await self._thread.run(lambda: self._views.unread(limit))

    async def contacts(self) -> Sequence[ContactView]:
        """Give all contacts, by title."""
        return await self._thread.run(self._views.contacts)

    async def contact(self, uid: Uid) -> ContactView:
        """Give one contact. Raises UnknownConversation."""
        return await self._thread.run(lambda: self._views.contact(uid))

    async def contact_by_number(self, number: str) -> ContactView | None:
        """Give the contact with a phone number, without asking anybody.

        Raises:
            InvalidPhoneNumber: it is none.
            NotTrusted: the directory gives the number to another account than the contact's now.
        """
        e164 = self.parse_number(number)

        def find() -> ContactView | None:
            row = self._engine.store.contacts.by_number(e164)
            if row is not None and row.has_moved:
                raise NotTrusted(
                    "This number belongs to another account now than the one that you know.",
                    "To write to the new one, add the number again; the old one is reached by its name.",
                )
            return None if row is None else self._views.contact(row.uid)

        return await self._thread.run(find)

    async def safety_number(self, uid: Uid) -> SafetyNumberView:
        """Compute the safety number with a contact; fetches the contact's keys when they are not here yet."""
        return await self._thread.run(lambda: self._views.safety_number(uid))

    async def count_outgoing(self) -> int:
        """Count what an open link still has to take: messages, receipts, and the prekeys that others need."""

        def count() -> int:
            store = self._engine.store
            owing = filter(self._engine.sessions.for_sending, store.outbox.peers_owed_receipts())
            return store.outbox.count() + sum(1 for _ in owing) + store.prekeys.count_unpublished()

        return await self._thread.run(count)

    def parse_number(self, number: str) -> str:
        """Read a number as the person at this keyboard means it: without a country code it is one of their own country.

        Raises:
            InvalidPhoneNumber: it is not one.
        """
        return parse_number(number, region_of(self.me.number))

    # ---------------------------------------------------------------------------------------- commands

    async def add_contact(self, number: str, name: str = "") -> ContactView:
        """Find who registered a phone number and add that person."""
        e164 = self.parse_number(number)
        if e164 == self.me.number and self.me.has_number:
            uid = self.me.uid
        else:
            await self._let_link_open()
            uid = await self._transport.look_up(e164)
        await self._command(inputs.AddContact(uid, e164, name.strip()))
        return await self.contact(uid)

    async def open_note(self) -> None:
        """Make the conversation with oneself, if there is none yet."""
        await self._command(inputs.AddContact(self.me.uid, None))

    async def send_text(self, conversation: ConversationId, text: str) -> MessageView:
        """Store a message and queue it; returns as soon as it is committed."""
        _, events = await self._command(inputs.SendText(conversation, text))
        return next(event.message for event in events if isinstance(event, MessageAdded))

    async def retry(self, conversation: ConversationId, message: MessageId) -> MessageView:
        """Queue a failed message again."""
        await self._command(inputs.Retry(conversation, message))
        return await self.message(conversation, message)

    async def mark_these_read(self, conversation: ConversationId, messages: Sequence[MessageId]) -> None:
        """Say that just these messages were shown: one that arrived meanwhile, at a place above, stays unread."""
        await self._command(inputs.MarkTheseRead(conversation, tuple(messages)))

    async def accept(self, uid: Uid) -> ContactView:
        """Accept a message request, or somebody who was blocked."""
        await self._command(inputs.Accept(uid))
        return await self.contact(uid)

    async def block(self, uid: Uid) -> ContactView:
        """Block a contact or a request."""
        await self._command(inputs.Block(uid))
        return await self.contact(uid)

    async def rename(self, uid: Uid, name: str) -> ContactView:
        """Give a contact a name of one's own; empty goes back to the name they chose."""
        await self._command(inputs.Rename(uid, name.strip()))
        return await self.contact(uid)

    async def set_verified(self, uid: Uid, *, is_verified: bool) -> ContactView:
        """Record that safety numbers were compared, or take that back."""
        await self._command(inputs.SetVerified(uid, is_verified))
        return await self.contact(uid)

    async def repair(self, uid: Uid) -> ContactView:
        """Set the session with a contact up anew, and send again what was never confirmed."""
        await self._command(inputs.Repair(uid))
        return await self.contact(uid)

    async def save_draft(self, conversation: ConversationId, text: str) -> None:
        """Keep unsent text of a conversation; empty removes it."""
        await self._command(inputs.SaveDraft(conversation, text))

    async def preference(self, name: str) -> str:
        """Give what a front-end keeps in this profile under a name; empty without one."""
        return await self._thread.run(lambda: self._engine.store.settings.get_text(_PREFERENCE + name))

    async def set_preference(self, name: str, value: str) -> None:
        """Keep a value of a front-end in this profile."""
        await self._thread.run(lambda: self._engine.store.settings.put_text(_PREFERENCE + name, value))

    async def membership(self) -> MembershipView:
        """Say what this profile asked its relay to keep of the account."""
        return await self._membership.view()

    async def set_pin(self, pin: str | None) -> MembershipView:
        """Set the registration PIN, or remove it with None."""
        await self._let_link_open()
        return await self._membership.set_pin(pin)

    async def set_listed(self, *, is_listed: bool) -> MembershipView:
        """Choose whether others find this account by its number."""
        await self._let_link_open()
        return await self._membership.set_listed(is_listed=is_listed)

    async def reconnect(self) -> None:
        """Try the link now instead of waiting for the next planned try."""
        self._transport.hurry()

    # ----------------------------------------------------------------------------------------- working

    async def _command(self, command: Input) -> tuple[list[Effect], list[Event]]:
        return await self._step([command])

    async def _step(self, given: Sequence[Input]) -> tuple[list[Effect], list[Event]]:
        """Run one step of the engine and carry out its effects; steps follow one another in the order of calls.

        A caller that is cancelled meanwhile leaves, and the step is carried out to its end: what it committed must
        go out.
        """
        step = asyncio.create_task(self._carry_through(given))
        self._steps.add(step)
        step.add_done_callback(self._steps.discard)
        return await asyncio.shield(step)

    async def _carry_through(self, given: Sequence[Input]) -> tuple[list[Effect], list[Event]]:
        def work() -> tuple[list[Effect], list[Event]]:
            effects = self._engine.handle_all(given, self._now_ms())
            try:
                return effects, tell(effects, self._views)
            except Exception as error:
                # The step is committed: what is to be sent must go out even if it cannot be shown.
                _log.error("a change could not be shown: %s", type(error).__name__)
                return effects, []

        async with self._turn:
            effects, events = await self._thread.run(work)
            self._courier.carry_out(effects)
            for event in events:
                if isinstance(event, MeChanged):
                    self._me = event.me
                self._subscriptions.publish(event)
            self._deadline_changed.set()
        return effects, events

    async def _let_link_open(self) -> None:
        """Wait a moment for a link that is being opened, so that a question right after the start is not refused."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_LINK_PATIENCE_S), self.events() as events:
                if self._link.state is LinkState.CONNECTING:
                    async for event in events:
                        if isinstance(event, LinkChanged) and event.link.state is not LinkState.CONNECTING:
                            return

    def _tell_trouble(self, error: VaultError) -> None:
        self.notify(Notice(NoticeLevel.WARNING, error.code, f"{error} Zap2 tries again by itself."))

    async def _keep_link(self) -> None:
        while True:
            try:
                await self._transport.run(self._hear)
            except Exception as error:
                _log.error("the link stopped: %s", type(error).__name__)
                self._hear(LinkDown("The link stopped because of an internal error.", _LINK_RESTART_S))
                await asyncio.sleep(_LINK_RESTART_S)

    async def _keep_time(self) -> None:
        while True:
            self._deadline_changed.clear()
            deadline_ms = await self._thread.run(self._engine.next_deadline_ms)
            wait_s = min((deadline_ms - self._now_ms()) / 1000, _IDLE_S)
            if wait_s <= 0:
                await self._hand_in_time()
                continue
            try:
                async with asyncio.timeout(wait_s):
                    await self._deadline_changed.wait()
            except TimeoutError:
                if self._now_ms() >= deadline_ms:
                    await self._hand_in_time()

    async def _hand_in_time(self) -> None:
        try:
            await self._step([inputs.TimePassed()])
        except Exception as error:
            _log.error("time could not be handed in: %s", type(error).__name__)
            await asyncio.sleep(_PAUSE_S)

    def _hear(self, event: TransportEvent) -> None:
        if (given := input_of(event)) is not None:
            self._reports.put(given)
        match event:
            case LinkConnecting():
                self._set_link(LinkView(LinkState.CONNECTING))
            case LinkUp():
                self._set_link(LinkView(LinkState.ONLINE))
            case LinkDown():
                state = LinkState.OFFLINE if event.is_trusted else LinkState.NOT_TRUSTED
                self._set_link(LinkView(state, event.reason, event.retry_in_s, event.refused))

    def _set_link(self, link: LinkView) -> None:
        self._link = link
        self._subscriptions.publish(LinkChanged(link))

    def notify(self, notice: Notice) -> None:
        """Tell front-ends something that did not come from the engine."""
        self._subscriptions.publish(notice)
