"""One connection: what a relay may do wrong ends it once, with the reason, and no request waits for ever."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.kit.links import WAIT_S
from tests.kit.scripted_relay import Peer, ScriptedRelay, scripted_relay
from zap2.client.relay.connection import News, RelayConnection, open_connection
from zap2.client.relay.dialing import Patience
from zap2.errors import NotTrusted, ProtocolViolation, Refused, Unreachable
from zap2.wire.fields import MAX_MESSAGE_SIZE_B
from zap2.wire.frames import (
    Ack,
    Bundle,
    ClientHello,
    Deliver,
    Error,
    Fetch,
    Found,
    Greeting,
    Lookup,
    Send,
    Sent,
    StockLow,
)

_PATIENCE = Patience(connect_s=5.0, answer_s=5.0, close_s=1.0)
_UID = b"u" * 32


def _lookup(rid: int, number: str = "+4915123456000") -> Lookup:
    return Lookup(rid, number)


def _ignore(_: Sequence[News]) -> None:
    return


@asynccontextmanager
async def _connected(relay: ScriptedRelay, patience: Patience = _PATIENCE) -> AsyncIterator[RelayConnection]:
    connection = await open_connection(relay.address, rng=os.urandom, on_news=_ignore, patience=patience)
    try:
        yield connection
    finally:
        await connection.close()


# ------------------------------------------------------------------------------------------------ the greeting


async def test_another_key_than_the_pinned_one_is_not_trusted_and_learns_nothing() -> None:
    async def greet(peer: Peer) -> None:
        await peer.greet()
        await peer.hold()

    async with scripted_relay(greet) as relay:
        other = relay.unpinned.with_fingerprint("a" * 32)
        with pytest.raises(NotTrusted, match="another key"):
            await open_connection(other, rng=os.urandom, on_news=_ignore, patience=_PATIENCE)
    assert [[type(frame) for frame in message] for message in relay.peers[0].messages] == [[ClientHello]]


@pytest.mark.parametrize("is_pinned", [True, False])
async def test_a_key_that_is_shown_but_not_proved_is_not_trusted(is_pinned: bool) -> None:
    async def greet(peer: Peer) -> None:
        hello = await peer.read(ClientHello)
        await peer.say(peer.greeting(hello, signer=Ed25519PrivateKey.generate()))
        await peer.hold()

    async with scripted_relay(greet) as relay:
        address = relay.address if is_pinned else relay.unpinned
        with pytest.raises(NotTrusted, match="could not prove"):
            await open_connection(address, rng=os.urandom, on_news=_ignore, patience=_PATIENCE)


async def test_a_greeting_replayed_from_another_connection_is_not_trusted() -> None:
    old: list[Greeting] = []

    async def greet(peer: Peer) -> None:
        hello = await peer.read(ClientHello)
        old.append(peer.greeting(hello))
        await peer.say(old[0])
        await peer.hold()

    async with scripted_relay(greet) as relay:
        async with _connected(relay):
            pass
        with pytest.raises(NotTrusted, match="could not prove"):
            await open_connection(relay.address, rng=os.urandom, on_news=_ignore, patience=_PATIENCE)


async def test_a_key_of_small_order_is_not_trusted_even_at_first_use() -> None:
    # For the neutral element as key, R = neutral element and S = 0 verify for every message.
    neutral = b"\x01" + bytes(31)

    async def greet(peer: Peer) -> None:
        await peer.read(ClientHello)
        await peer.say(Greeting(neutral, peer.challenge, "open", "log", neutral + bytes(32)))
        await peer.hold()

    async with scripted_relay(greet) as relay:
        with pytest.raises(NotTrusted, match="could not prove"):
            await open_connection(relay.unpinned, rng=os.urandom, on_news=_ignore, patience=_PATIENCE)


async def test_a_first_message_that_is_no_greeting_breaks_the_protocol() -> None:
    async def babble(peer: Peer) -> None:
        await peer.say(StockLow(3))
        await peer.hold()

    async with scripted_relay(babble) as relay:
        with pytest.raises(ProtocolViolation, match="does not greet"):
            await open_connection(relay.address, rng=os.urandom, on_news=_ignore, patience=_PATIENCE)


async def test_a_relay_that_does_not_greet_is_given_up() -> None:
    async with scripted_relay(Peer.hold) as relay:
        with pytest.raises(Unreachable, match="did not greet in time"):
            await open_connection(
                relay.address, rng=os.urandom, on_news=_ignore, patience=Patience(answer_s=0.1)
            )


# -------------------------------------------------------------------------------------- requests and answers


async def test_answers_find_their_requests_in_any_order() -> None:
    async def answer_backwards(peer: Peer) -> None:
        await peer.greet()
        requests = [await peer.read(Lookup) for _ in range(3)]
        for request in reversed(requests):
            await peer.say(Found(request.rid, request.number.encode() * 4))
        await peer.hold()

    async with scripted_relay(answer_backwards) as relay, _connected(relay) as connection:
        numbers = ["number-1", "number-2", "number-3"]
        answers = await asyncio.gather(
            *(connection.request(partial(_lookup, number=number), Found) for number in numbers)
        )
        assert [answer.uid for answer in answers] == [number.encode() * 4 for number in numbers]
        # What was said in one turn of the event loop left as one message, in order.
        assert [[type(frame) for frame in m] for m in relay.peers[0].messages[1:]] == [[Lookup] * 3]


async def test_a_refusal_carries_harmless_words_a_hint_and_the_wait() -> None:
    async def refuse(peer: Peer) -> None:
        await peer.greet()
        request = await peer.read(Lookup)
        await peer.say(Error(request.rid, "rate-limited", "slow\x1b]52;c;QQ==\x07 \u202edown\n!", 7.5))
        request = await peer.read(Lookup)
        await peer.say(Error(request.rid, "\x1b[31m evil", "", None))
        await peer.hold()

    async with scripted_relay(refuse) as relay, _connected(relay) as connection:
        with pytest.raises(Refused) as refused:
            await connection.request(_lookup, Found)
        assert refused.value.code == "rate-limited"
        assert refused.value.retry_after_s == 7.5
        assert refused.value.hint == "Wait a while and try again."
        assert all(char.isprintable() for char in str(refused.value))
        assert "\u202e" not in str(refused.value)
        with pytest.raises(Refused, match="The relay refused this") as refused:
            await connection.request(_lookup, Found)
        assert refused.value.code == "refused"
        assert not refused.value.is_temporary


async def _garbage(peer: Peer, _: int) -> None:
    await peer.websocket.send(b"\xc1garbage")


async def _text(peer: Peer, _: int) -> None:
    await peer.websocket.send("hello")


async def _too_large(peer: Peer, _: int) -> None:
    await peer.websocket.send(bytes(MAX_MESSAGE_SIZE_B + 1))


async def _wrong_rid(peer: Peer, rid: int) -> None:
    await peer.say(Found(rid + 99, _UID))


async def _wrong_kind(peer: Peer, rid: int) -> None:
    await peer.say(Sent(rid, "stored", 1))


async def _second_greeting(peer: Peer, _: int) -> None:
    await peer.say(Greeting(bytes(32), bytes(32), "open", "log", bytes(64)))


@pytest.mark.parametrize(
    ("misbehave", "close_code"),
    [
        (_garbage, 1002),
        (_text, 1002),
        (_too_large, 1009),
        (_wrong_rid, 1002),
        (_wrong_kind, 1002),
        (_second_greeting, 1002),
    ],
)
async def test_what_makes_no_sense_ends_the_connection_and_every_open_request(
    misbehave: Callable[[Peer, int], Awaitable[None]], close_code: int
) -> None:
    codes: list[int | None] = []

    async def script(peer: Peer) -> None:
        await peer.greet()
        request = await peer.read(Lookup)
        await peer.read(Fetch)
        await misbehave(peer, request.rid)
        await peer.hold()

    async def note_code(peer: Peer) -> None:
        try:
            await script(peer)
        finally:
            await peer.websocket.wait_closed()
            codes.append(peer.websocket.close_code)

    async with scripted_relay(note_code) as relay, _connected(relay) as connection:
        async with asyncio.timeout(WAIT_S):
            failures = await asyncio.gather(
                connection.request(_lookup, Found),
                connection.request(lambda rid: Fetch(rid, _UID, 1, True), Bundle),
                return_exceptions=True,
            )
        assert [type(failure) for failure in failures] == [ProtocolViolation] * 2
        ending = await connection.wait_ended()
        assert isinstance(ending.error, ProtocolViolation)
        with pytest.raises(ProtocolViolation):
            await connection.request(_lookup, Found)
    assert codes == [close_code]


@pytest.mark.parametrize("is_polite", [True, False])
async def test_a_connection_that_drops_in_mid_request_fails_it_as_unreachable(is_polite: bool) -> None:
    async def drop(peer: Peer) -> None:
        await peer.greet()
        await peer.read(Lookup)
        if is_polite:
            await peer.close(1001)
        else:
            peer.websocket.transport.abort()

    async with scripted_relay(drop) as relay, _connected(relay) as connection:
        with pytest.raises(Unreachable, match="stopping" if is_polite else "broke"):
            await connection.request(_lookup, Found)
        with pytest.raises(Unreachable):
            await connection.request(_lookup, Found)
        with pytest.raises(Unreachable):
            connection.acknowledge([1])


async def test_a_request_without_an_answer_ends_the_connection_at_the_time_out() -> None:
    async def greet(peer: Peer) -> None:
        await peer.greet()
        await peer.hold()

    patience = Patience(answer_s=0.2, close_s=1.0)
    async with scripted_relay(greet) as relay, _connected(relay, patience) as connection:
        with pytest.raises(Unreachable, match="did not answer a request in time"):
            await connection.request(_lookup, Found)
        assert connection.is_over


async def test_a_relay_that_answers_no_ping_is_dead() -> None:
    async def freeze(peer: Peer) -> None:
        await peer.greet()
        peer.websocket.transport.pause_reading()
        await peer.websocket.wait_closed()

    patience = Patience(ping_every_s=0.1, pong_s=0.1, close_s=0.1)
    async with scripted_relay(freeze) as relay, _connected(relay, patience) as connection:
        async with asyncio.timeout(WAIT_S):
            ending = await connection.wait_ended()
        assert "does not answer any more" in str(ending.error)
        relay.peers[0].websocket.transport.abort()


async def test_an_answer_after_its_caller_gave_up_is_dropped_and_the_connection_lives() -> None:
    has_asked, may_answer = asyncio.Event(), asyncio.Event()

    async def dawdle(peer: Peer) -> None:
        await peer.greet()
        first = await peer.read(Lookup)
        has_asked.set()
        await may_answer.wait()
        await peer.say(Found(first.rid, _UID))
        second = await peer.read(Lookup)
        await peer.say(Found(second.rid, _UID))
        await peer.hold()

    async with scripted_relay(dawdle) as relay, _connected(relay) as connection:
        given_up = asyncio.create_task(connection.request(_lookup, Found))
        await has_asked.wait()
        given_up.cancel()
        await asyncio.wait([given_up])
        may_answer.set()
        assert (await connection.request(_lookup, Found)).uid == _UID


async def test_a_request_beyond_the_protocols_bounds_is_refused_here_and_costs_nothing() -> None:
    async def answer(peer: Peer) -> None:
        await peer.greet()
        request = await peer.read(Lookup)
        await peer.say(Found(request.rid, _UID))
        await peer.hold()

    async with scripted_relay(answer) as relay, _connected(relay) as connection:
        with pytest.raises(Refused, match="nothing was sent") as refused:
            await connection.request(lambda rid: Lookup(rid, "9" * 65), Found)
        assert refused.value.code == "bad-request"
        with pytest.raises(Refused, match="nothing was sent"):
            await connection.request(lambda rid: Send(rid, bytes(16), _UID, 1, 60, bytes(600)), Sent)
        assert (await connection.request(_lookup, Found)).uid == _UID


async def test_open_requests_are_bounded_and_keep_their_order() -> None:
    asked: list[str] = []

    async def answer_late(peer: Peer) -> None:
        await peer.greet()
        first = [await peer.read(Lookup) for _ in range(256)]
        # The relay has answered nothing yet, so nothing more may come.
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await peer.read(Lookup)
        asked.extend(request.number for request in first)
        for request in first:
            await peer.say(Found(request.rid, _UID))
        for _ in range(44):
            request = await peer.read(Lookup)
            asked.append(request.number)
            await peer.say(Found(request.rid, _UID))
        await peer.hold()

    async with scripted_relay(answer_late) as relay, _connected(relay) as connection:
        numbers = [str(n) for n in range(300)]
        async with asyncio.timeout(WAIT_S):
            await asyncio.gather(
                *(connection.request(partial(_lookup, number=number), Found) for number in numbers)
            )
        assert asked == numbers


async def test_an_ack_that_was_just_said_goes_out_before_the_connection_closes() -> None:
    acks: list[tuple[int, ...]] = []

    async def note(peer: Peer) -> None:
        await peer.greet()
        acks.append((await peer.read(Ack)).seqs)
        await peer.hold()

    async with scripted_relay(note) as relay, _connected(relay) as connection:
        connection.acknowledge([4, 2])
        await connection.close()
    assert acks == [(4, 2)]


async def test_what_comes_unasked_is_handed_on_by_message() -> None:
    async def deliver(peer: Peer) -> None:
        await peer.greet()
        await peer.say(*(Deliver(seq, bytes(16), 0, bytes(512)) for seq in (1, 2)), StockLow(3))
        await peer.say(StockLow(2))
        await peer.close()

    heard: list[list[str]] = []
    async with scripted_relay(deliver) as relay:
        connection = await open_connection(
            relay.address,
            rng=os.urandom,
            on_news=lambda news: heard.append([type(frame).__name__ for frame in news]),
            patience=_PATIENCE,
        )
        await connection.wait_ended()
        await connection.close()
    assert heard == [["Deliver", "Deliver", "StockLow"], ["StockLow"]]
