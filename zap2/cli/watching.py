"""Own messages on their way: following their states until they are where the person wants them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Final

from zap2.cli.session import wait_until_online
from zap2.client.agent import Agent
from zap2.client.api import (
    Event,
    LinkChanged,
    LinkState,
    MessageChanged,
    MessageState,
    MessageView,
    Notice,
    NoticeLevel,
)
from zap2.errors import NotTrusted, Refused, Unreachable, Zap2Error
from zap2.ids import ConversationId, MessageId

_ORDER: Final = (MessageState.QUEUED, MessageState.SENT, MessageState.DELIVERED, MessageState.READ)
_FALSE_KEYS: Final = "false-keys"


class Watch:
    """Follows messages of one conversation. Subscribe first, `add` what is sent, run `consume`, then `wait`.

    Args:
        conversation: where the messages are.
        wanted: the state at which a message has arrived.
        on_arrived: called once for each message when it reached that state.
    """

    def __init__(
        self, conversation: ConversationId, wanted: MessageState, on_arrived: Callable[[MessageView], None]
    ) -> None:
        self._conversation = conversation
        self._wanted = _ORDER.index(wanted)
        self._on_arrived = on_arrived
        self._waiting: dict[MessageId, MessageView] = {}
        self._early: dict[MessageId, MessageView] = {}
        self._trouble: Zap2Error | None = None
        self._changed = asyncio.Event()

    @property
    def waiting(self) -> list[MessageView]:
        """What has not arrived yet, as it is now."""
        return list(self._waiting.values())

    def add(self, message: MessageView) -> None:
        """Follow a message that was just sent."""
        self._update(self._early.pop(message.id, message))

    async def consume(self, events: AsyncIterator[Event]) -> None:
        """Take in events until they end."""
        async for event in events:
            match event:
                case MessageChanged(message) if message.conversation == self._conversation:
                    if message.id in self._waiting:
                        self._update(message)
                    else:
                        # It was answered before whoever sent it could say which one it is.
                        self._early[message.id] = message
                case LinkChanged(link):
                    if link.state is LinkState.ONLINE:
                        self._trouble = None
                    elif link.state is LinkState.NOT_TRUSTED:
                        self._trouble = NotTrusted(link.detail)
                    elif link.state is LinkState.OFFLINE and link.refused:
                        self._trouble = Refused(link.refused, link.detail)
                    elif link.state is LinkState.OFFLINE:
                        self._trouble = Unreachable(link.detail)
                case Notice(NoticeLevel.SECURITY, code, text, self._conversation) if code == _FALSE_KEYS:
                    self._trouble = NotTrusted(text)
                case _:
                    continue
            self._changed.set()

    async def wait(self, agent: Agent, *, connect_timeout_s: float, timeout_s: float) -> None:
        """Wait until every message has arrived.

        Raises:
            Unreachable: not all of them in time, or the relay cannot be reached; they stay queued.
            NotTrusted: the relay has another key than the pinned one, or handed out false keys.
            Refused: a message failed for good.
        """
        try:
            async with asyncio.timeout(timeout_s):
                if self._waiting:
                    await wait_until_online(agent, connect_timeout_s, Unreachable.default_hint)
                while self._waiting:
                    self._raise_trouble()
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            states = {message.state for message in self._waiting.values()}
            raise Unreachable(
                f"Not {_ORDER[self._wanted]} within {timeout_s:g} seconds.",
                ""
                if MessageState.QUEUED in states
                else "It is safe at the relay. You hear of it once they connect and have accepted you.",
            ) from None

    def _update(self, message: MessageView) -> None:
        if message.state in _ORDER and _ORDER.index(message.state) >= self._wanted:
            self._waiting.pop(message.id, None)
            self._on_arrived(message)
        else:
            self._waiting[message.id] = message

    def _raise_trouble(self) -> None:
        for message in self._waiting.values():
            if message.state is MessageState.FAILED:
                raise Refused("message-failed", message.failure or "The message could not be sent.")
        if self._trouble is not None:
            raise self._trouble
