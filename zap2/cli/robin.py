"""Robin, the simulated person of the demo: reads, takes a moment, and answers over a real encrypted session."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Final

from zap2.client.api import Client, MessageAdded, MessageView
from zap2.crypto.body import TAG_B
from zap2.crypto.header import SEALED_HEADER_B
from zap2.crypto.padding import FRAME_OVERHEAD_B, PAYLOAD_SIZES_B, choose_size_b
from zap2.ids import ConversationId, peer_of
from zap2.wire.content import Text, encode_content

GREETING: Final = (
    "Hi, I am Robin. I live in this process, but the relay between us and both sessions are real."
    " Write something, or try: help, relay, safety, burst 5"
)

_MAX_BURST: Final = 20
_READS_PER_S: Final = 60
_WRITES_PER_S: Final = 120
_SHORTEST_S: Final = 0.4
_LONGEST_S: Final = 2.0

_HELP: Final = (
    "relay: what the relay knows of us\n"
    "safety: my side of our safety number\n"
    "burst N: N messages at once (up to 20)\n"
    "Anything else: I answer, and say what your message was on the wire."
)
_RELAY: Final = (
    "The relay has two mailboxes with random names, and saw envelopes of fixed sizes come and go. It knows no texts"
    " and no names; a phone number is a keyed hash there, good for finding somebody and nothing else."
    " What I acknowledged it has forgotten by now."
)
_FACTS: Final = (
    "Watch the state beside your messages: sent is the relay's word, delivered and read are mine, end to end.",
    "My answering turned the ratchet: your next message has keys that did not exist before.",
    "Each of your messages has a key of its own, which both of us delete after use.",
    "Whoever steals my vault tomorrow finds no key for what you wrote before; I would still keep the passphrase.",
    "The first message between us also carried ML-KEM-1024: recording it for a quantum computer is no use.",
)


class Robin:
    """Answers one person through a client of Robin's own; run `live` until the demo ends.

    Args:
        client: Robin's, open and online.
        friend: the conversation with the person at the keyboard.
    """

    def __init__(self, client: Client, friend: ConversationId) -> None:
        self._client = client
        self._friend = friend
        self._answered = 0

    async def live(self) -> None:
        """Greet, then answer what comes, one message after the other."""
        async with self._client.events() as events:
            await self._client.send_text(self._friend, GREETING)
            async for event in events:
                if isinstance(event, MessageAdded) and not event.message.is_mine:
                    await self._answer(event.message)

    async def _answer(self, message: MessageView) -> None:
        await asyncio.sleep(_pause_s(message.text, _READS_PER_S))
        await self._client.mark_these_read(self._friend, [message.id])
        replies = await self._replies(message.text)
        for reply in replies:
            if len(replies) == 1:
                await asyncio.sleep(_pause_s(reply, _WRITES_PER_S))
            await self._client.send_text(self._friend, reply)
        self._answered += 1

    async def _replies(self, text: str) -> Sequence[str]:
        word = text.strip().casefold()
        if word in ("help", "?"):
            return [_HELP]
        if word == "relay":
            return [_RELAY]
        if word == "safety":
            number = await self._client.safety_number(peer_of(self._friend))
            return [f"I see {' '.join(number.groups())}. You should see the same: open my contact page."]
        if burst := re.fullmatch(r"burst\s+(\d{1,6})", word):
            count = max(1, min(int(burst[1]), _MAX_BURST))
            return [f"{number} of {count}" for number in range(1, count + 1)]
        return [f"{_reaction(word)} {weigh(text)} {_FACTS[self._answered % len(_FACTS)]}"]


def weigh(text: str) -> str:
    """Say what a text is on the wire, in a session that is set up and without anything riding along."""
    size_b = len(text.encode())
    content = encode_content([Text(bytes(16), 1, 2**40, text)])
    payload_b = choose_size_b(SEALED_HEADER_B + TAG_B + FRAME_OVERHEAD_B + len(content), PAYLOAD_SIZES_B)
    unit = "byte" if size_b == 1 else "bytes"
    return f"That was {size_b:,} {unit}; such a text travels as exactly {payload_b:,}, padded like all of its kind."


def _reaction(word: str) -> str:
    if re.match(r"(hi|hello|hey|hallo|moin|servus|good (morning|evening|day))\b", word):
        return "Hello! Nice to hear from you."
    if re.search(r"\b(thanks|thank you|danke)\b", word):
        return "You are welcome."
    if word.endswith("?"):
        return "Good question; I am only simulated, so ask me about `relay` or `safety`."
    if "\n" in word:
        return "Several lines, and all of them arrived."
    if len(word) > 200:
        return "That took me a moment to read."
    return "Got it."


def _pause_s(text: str, chars_per_s: float) -> float:
    return min(_LONGEST_S, max(_SHORTEST_S, len(text) / chars_per_s))
