"""What front-ends are told about messages that are missing, and when they come after all."""

from __future__ import annotations

from tests.sim.quiet import Quiet
from zap2.client.api import Event, MessageAdded, MessageChanged
from zap2.client.news import tell
from zap2.client.views import Views
from zap2.engine.effects import MessageStored


def test_filling_a_gap_tells_of_the_message_after_it() -> None:
    """Guards the line that says what is missing: it goes when nothing is missing any more."""
    world = Quiet()
    world.befriend()
    world.say(world.ann, world.ben, "hello")
    world.settle()
    world.go_offline(world.ben)
    world.say(world.ann, world.ben, "lost for now")
    world.settle(2)
    world.relay.accounts[world.ben.uid].mailbox.clear()
    world.say(world.ann, world.ben, "second")
    world.settle(2)
    world.go_online(world.ben)
    world.settle(5)
    views = Views(world.ben.engine, "")
    assert [_shown(event) for event in tell(world.ben.stored[-1:], views)] == [("added", "second", 1)]

    world.now_ms += 600_000
    world.settle()
    late = [one for one in world.ben.stored if _text(one, views) == "lost for now"]
    assert [_shown(event) for event in tell(late, views)] == [
        ("added", "lost for now", 0),
        ("changed", "second", 0),
    ]


def _text(stored: MessageStored, views: Views) -> str:
    return views.message(stored.conversation, stored.author, stored.message).text


def _shown(event: Event) -> tuple[str, str, int]:
    assert isinstance(event, MessageAdded | MessageChanged)
    kind = "added" if isinstance(event, MessageAdded) else "changed"
    return kind, event.message.text, event.message.missing_before
