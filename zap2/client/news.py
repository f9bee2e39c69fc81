"""From effects of the engine to events for front-ends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from zap2.client.api import (
    ContactChanged,
    ConversationChanged,
    Event,
    MeChanged,
    MessageAdded,
    MessageChanged,
)
from zap2.client.views import Views
from zap2.client.words import alert_notice, number_notice
from zap2.engine.effects import (
    Alert,
    ContactUpdated,
    ConversationUpdated,
    Effect,
    MessageStored,
    MessageUpdated,
    OwnNumberChanged,
)


def tell(effects: Sequence[Effect], views: Views) -> list[Event]:
    """Build the events of one step, in order; call it in the vault's thread, after the commit."""
    return [event for effect in effects for event in _events(effect, views)]


def _events(effect: Effect, views: Views) -> Iterator[Event]:
    if isinstance(effect, MessageStored):
        yield from _stored(effect, views)
    elif isinstance(effect, OwnNumberChanged):
        me = views.me_anew()
        yield MeChanged(me)
        yield number_notice(me)
    elif (event := _event(effect, views)) is not None:
        yield event


def _stored(stored: MessageStored, views: Views) -> Iterator[Event]:
    message = views.message(stored.conversation, stored.author, stored.message)
    is_request = not message.is_mine and views.is_request(stored.author)
    yield MessageAdded(message, is_request=is_request)
    if not message.is_mine:
        after = views.message_after(stored.conversation, stored.author, stored.message)
        if after is not None:
            # The gap before that one is smaller now.
            yield MessageChanged(after)


def _event(effect: Effect, views: Views) -> Event | None:
    match effect:
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
