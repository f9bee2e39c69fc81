"""The people of a world: a name, a vault, an engine, and what is on its way between them and the relay."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from tests.sim.faults import FusedConnection
from tests.sim.relay import Request
from zap2.engine.effects import Alert, MessageStored
from zap2.engine.engine import Engine
from zap2.engine.inputs import Input
from zap2.ids import ConversationId, MessageId, Uid
from zap2.vault.store import Store


@dataclass
class Sent:
    """What a person typed and the engine took."""

    author: str
    reader: str
    message: MessageId
    text: str


@dataclass
class Person:
    """One account with its vault; `engine` is made anew after each crash."""

    name: str
    number: str
    connection: FusedConnection
    store: Store
    engine: Engine
    is_online: bool = False
    requests: deque[Request] = field(default_factory=deque)
    answers: deque[Input] = field(default_factory=deque)
    alerts: list[Alert] = field(default_factory=list)
    stored: list[MessageStored] = field(default_factory=list)

    @property
    def uid(self) -> Uid:
        return self.engine.keys.uid

    def newest_to(self, conversation: ConversationId) -> MessageId | None:
        """Give what this person wrote last in a conversation."""
        rows = self.store.messages.page(conversation, before=None, limit=10_000)
        mine = [row for row in rows if row.is_mine]
        return max(mine, key=lambda row: row.sequence).id if mine else None
