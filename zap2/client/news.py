"""From effects of the engine to events for front-ends."""

from __future__ import annotations

from collections.abc import Sequence

from zap2.client.api import (
    ContactChanged,
    ConversationChanged,
    Event,
    MessageAdded,
    MessageChanged,
)
from zap2.client.views import Views
from zap2.client.words import alert_notice
from zap2.engine.effects import (
    Alert,
    ContactUpdated,
    ConversationUpdated,
    Effect,
    MessageStored,
    MessageUpdated,
)


def tell(effects: Sequence[Effect], views: Views) -> list[Event]:
    """Build the events of one step, in order; call it in the vault's thread, after the commit."""
    return [event for effect in effects if (event := _event(effect, views)) is not None]


def _event(effect: Effect, views: Views) -> Event | None:
    match effect:
        case MessageStored():
            message = views.message(effect.conversation, effect.author, effect.message)
            is_request = not message.is_mine and views.is_request(effect.author)
            return MessageAdded(message, is_request=is_request)
        case MessageUpdated():
            return MessageChanged(views.message(effect.conversation, views.me().uid, effect.message))
        case ConversationUpdated():
            return ConversationChanged(views.conversation(effect.conversation))
        case ContactUpdated():
            return ContactChanged(views.contact(effect.uid))
        case Alert():
            return alert_notice(effect.code, effect.uid, views.title(effect.uid))
        case _:
            return None
