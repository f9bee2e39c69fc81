"""The conversations as the screen knows them: the newest view of each, in the order of the list. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from zap2.client.api import ContactState, ConversationView, MessageView
from zap2.ids import ConversationId


class Inbox:
    """Conversations by id, most recently active first."""

    def __init__(self) -> None:
        self._views: dict[ConversationId, ConversationView] = {}

    def load(self, views: Iterable[ConversationView]) -> None:
        """Take a whole list. What is there already stays: an event may be newer than a list."""
        self._views = {view.id: view for view in views} | self._views

    def put(self, view: ConversationView) -> None:
        """Take a new view of one conversation."""
        self._views[view.id] = view

    def get(self, conversation: ConversationId | None) -> ConversationView | None:
        """Give one conversation, or None."""
        return None if conversation is None else self._views.get(conversation)

    def listed(self) -> Sequence[ConversationView]:
        """Give all, most recently active first."""
        return sorted(self._views.values(), key=lambda view: (-view.last_at_ms, view.title.lower(), view.id))

    def unread(self) -> int:
        """Count unread messages, but none of people whom one blocked."""
        views = self._views.values()
        return sum(view.unread for view in views if view.contact_state is not ContactState.BLOCKED)

    def beside(self, conversation: ConversationId | None, step: int) -> ConversationId | None:
        """Give the conversation `step` rows further down the list, or the nearest end."""
        ids = [view.id for view in self.listed()]
        if not ids:
            return None
        if conversation not in ids:
            return ids[0]
        return ids[min(max(ids.index(conversation) + step, 0), len(ids) - 1)]


def first_unread(messages: Sequence[MessageView], unread: int) -> int | None:
    """Give the position of the oldest of the newest `unread` messages of others, as far as they are loaded."""
    position = None
    for message in reversed(messages):
        if unread <= 0:
            break
        if not message.is_mine:
            position = message.position
            unread -= 1
    return position
