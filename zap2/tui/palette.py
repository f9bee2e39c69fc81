"""What the command palette finds: conversations, actions and themes, each by its name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content

from zap2.client.api import ContactState
from zap2.ids import ConversationId
from zap2.tui.screens.chat import ChatScreen
from zap2.tui.screens.dialog import Dialog
from zap2.tui.themes import LABELS
from zap2.tui.words import trust_words

_ACTIONS: Final = (
    ("Add somebody by phone number", "screen.add_contact", "Ctrl+N"),
    ("About this contact", "screen.contact", "F2"),
    ("Link, and the address to hand out", "screen.address", "F3"),
    ("Compare safety numbers", "screen.safety_number", "F4"),
    ("Set up the session anew", "screen.repair", "the safety number stays the same"),
    ("Registration PIN, and who finds you by number", "screen.settings", "F7"),
    ("Connect now", "screen.reconnect", "F5"),
    ("Next pane", "screen.next_pane", "F6"),
)


@dataclass(frozen=True, slots=True)
class _Command:
    name: str
    help: str
    run: Callable[[], object]

    def shown(self) -> Content:
        """Name and help in one line, as plain text."""
        return Content.assemble(self.name, ("  ", ""), (self.help, "$dim"))


class Commands(Provider):
    """Finds commands; names of people are shown as plain text."""

    def _commands(self) -> Iterator[_Command]:
        app, screen = self.app, self._chat
        if screen is not None:
            for name, action, key in _ACTIONS:
                yield _Command(name, key, partial(self._act, action))
            for view in screen.inbox.listed():
                is_known = view.contact_state is ContactState.ACCEPTED
                words = trust_words(view.trust, view.contact_state, is_self=view.is_self)
                unread = f" · {view.unread} unread" if view.unread and is_known else ""
                yield _Command(f"Go to {view.title}", f"{words}{unread}", partial(self._open, view.id))
        for theme, label in LABELS.items():
            here = "in use" if app.theme == theme else ""
            yield _Command(f"Theme: {label}", here, partial(self._act, f"app.choose_theme('{theme}')"))
        yield _Command("Help for where you are", "F1", partial(self._act, "app.explain"))
        yield _Command("Quit", "Ctrl+Q · drafts are kept", partial(self._act, "app.quit"))

    @property
    def _chat(self) -> ChatScreen | None:
        """The chat, also while a dialog covers it."""
        return next((screen for screen in self.app.screen_stack if isinstance(screen, ChatScreen)), None)

    async def _close_dialogs(self) -> None:
        while isinstance(self.app.screen, Dialog):
            await self.app.pop_screen()

    async def _open(self, conversation: ConversationId) -> None:
        await self._close_dialogs()
        if self._chat is not None:
            self._chat.open(conversation)

    async def _act(self, action: str) -> None:
        """Run an action where the palette was opened; one of the chat needs the chat in front."""
        if action.startswith("screen."):
            await self._close_dialogs()
        await self.app.screen.run_action(action)

    async def discover(self) -> Hits:
        """List everything while nothing is typed."""
        for command in self._commands():
            yield DiscoveryHit(command.shown(), command.run, command.name)

    async def search(self, query: str) -> Hits:
        """Find by parts of the name."""
        matcher = self.matcher(query)
        for command in self._commands():
            score = matcher.match(command.name)
            if score > 0:
                yield Hit(score, command.shown(), command.run, command.name)
