"""Every limit of a relay is met by whom it is for and by nobody else, and says when to come back.

The table has one row for each kind of request that counts for a limit. A row that does not apply its limit, or
applies it to others, or says nothing about the wait, fails; so does a limit that has no row and stands nowhere else.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, fields, replace
from itertools import count
from typing import Final

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from tests.contract.relay_stores import sweep_round
from tests.relay_client import NUMBERS, FrameClient, Person, connected, logged_in, new_person
from tests.relay_host import RelayHost, relay_host
from zap2.crypto.prekeys import OneTimePrekeySecrets
from zap2.server.limits import Limits, Rate
from zap2.wire import frames as f
from zap2.wire.fields import SUBPROTOCOL, ErrorCode

_HERE, _THERE = "192.0.2.1", "192.0.2.2"
_SIZE_B: Final = 512
_WAIT_S: Final = 10.0
_fresh = count(100)


@dataclass(frozen=True)
class _Someone:
    """A connection, and whose account or delivery token it is about."""

    client: FrameClient
    person: Person
    number: str

    @property
    def delivery_token(self) -> bytes:
        return self.person.uid


_Ask = Callable[[_Someone], Awaitable[f.Answer]]


def _number() -> str:
    return NUMBERS[next(_fresh) % len(NUMBERS)]


async def _start(who: _Someone) -> f.Answer:
    number = _number()
    return await who.client.ask(lambda rid: f.StartVerification(rid, number))


async def _check_code(who: _Someone) -> f.Answer:
    number = _number()
    return await who.client.ask(lambda rid: f.CheckCode(rid, number, "123456"))


async def _register(who: _Someone) -> f.Answer:
    return await who.client.ask(lambda rid: who.client.registration(rid, Person(), os.urandom(32)))


async def _take_over(who: _Someone) -> f.Answer:
    """Try a wrong PIN for Bob's number, whoever asks."""
    started = await who.client.get(f.VerificationStarted, lambda rid: f.StartVerification(rid, NUMBERS[1]))
    ticket = started.ticket or b""
    return await who.client.ask(lambda rid: who.client.registration(rid, Person(), ticket, pin="a wrong one"))


async def _log_in(who: _Someone) -> f.Answer:
    document = who.person.keys.document
    return await who.client.ask(lambda rid: f.Authenticate(rid, document, 1, bytes(64)))


async def _resume(who: _Someone) -> f.Answer:
    return await who.client.ask(lambda rid: f.Resume(rid, os.urandom(32)))


async def _renew(who: _Someone) -> f.Answer:
    return await who.client.ask(f.RenewToken)


async def _set_pin(who: _Someone) -> f.Answer:
    return await who.client.ask(lambda rid: f.SetPin(rid, None))


async def _set_listed(who: _Someone) -> f.Answer:
    return await who.client.ask(lambda rid: f.SetListed(rid, True))


async def _set_delivery_token(who: _Someone) -> f.Answer:
    return await who.client.ask(lambda rid: f.SetDeliveryToken(rid, None))


async def _look_up(who: _Someone) -> f.Answer:
    return await who.client.ask(lambda rid: f.Lookup(rid, who.number))


async def _fetch(who: _Someone) -> f.Answer:
    return await who.client.ask(lambda rid: f.Fetch(rid, who.person.uid, 1, False))


async def _publish(who: _Someone) -> f.Answer:
    return await who.client.ask(lambda rid: f.Publish(rid, None, ()))


async def _send(who: _Someone) -> f.Answer:
    return await who.client.mail_to(who.person, bytes(_SIZE_B))


async def _send_sealed(who: _Someone) -> f.Answer:
    return await who.client.sealed_to(who.person, who.delivery_token, bytes(_SIZE_B))


async def _guess_token(who: _Someone) -> f.Answer:
    return await who.client.sealed_to(who.person, os.urandom(32), bytes(_SIZE_B))


@dataclass(frozen=True)
class _Row:
    """A request that counts for a limit: twice it is taken, and then once in ten seconds."""

    limit: str
    ask: _Ask
    unit: float = 1.0
    is_for_members: bool = False
    verify: str = "none"

    @property
    def limits(self) -> Limits:
        rates = {self.limit: Rate(2 * self.unit, self.unit / _WAIT_S)}
        return replace(Limits(), **rates)  # type: ignore[arg-type]


_ROWS: Final = [
    _Row("verifications_per_source", _start),
    _Row("sent_codes_per_source", _start, verify="log"),
    _Row("codes_per_source", _check_code, verify="log"),
    _Row("wrong_codes_per_source", _check_code, verify="log"),
    _Row("registrations_per_source", _register),
    _Row("wrong_pins_per_source", _take_over),
    _Row("logins_per_source", _log_in),
    _Row("logins_per_source", _resume),
    _Row("logins_per_account", _log_in),
    _Row("logins_per_account", _renew, is_for_members=True),
    _Row("pins_per_account", _set_pin, is_for_members=True),
    _Row("pins_per_account", _set_listed, is_for_members=True),
    _Row("lookups_per_account", _look_up, is_for_members=True),
    _Row("lookups_per_source", _look_up, is_for_members=True),
    _Row("fetches_per_account", _fetch, is_for_members=True),
    _Row("publishes_per_account", _publish, is_for_members=True),
    _Row("sends_per_account", _send, is_for_members=True),
    _Row("send_bytes_per_account", _send, unit=_SIZE_B, is_for_members=True),
    _Row("delivery_tokens_per_account", _set_delivery_token, is_for_members=True),
    _Row("sealed_per_source", _send_sealed),
    _Row("sealed_bytes_per_source", _send_sealed, unit=_SIZE_B),
    _Row("sealed_per_token", _send_sealed),
    _Row("sealed_bytes_per_token", _send_sealed, unit=_SIZE_B),
    _Row("wrong_tokens_per_source", _guess_token),
]

_WITHOUT_A_REFUSAL: Final = {
    "handshakes_per_source",  # below: there is no session yet that could answer
    "pairs_per_account_and_target",  # test_relay_prekeys: the bundle comes without a pair
    "pairs_per_target",  # test_relay_prekeys: likewise
}


def test_every_rate_has_a_row() -> None:
    rates = {field.name for field in fields(Limits) if isinstance(field.default, Rate)}
    assert rates == {row.limit for row in _ROWS} | _WITHOUT_A_REFUSAL


@asynccontextmanager
async def _connected_from(source: str, port: int) -> AsyncIterator[FrameClient]:
    """Connect as the proxy does that the relay trusts, for somebody at another address."""
    headers = {"X-Forwarded-For": source}
    uri, spoken = f"ws://127.0.0.1:{port}", [Subprotocol(SUBPROTOCOL)]
    async with connect(uri, subprotocols=spoken, compression=None, additional_headers=headers) as socket:
        client = FrameClient(socket)
        await client.greet()
        yield client
        await client.close()


async def _sign_up(host: RelayHost, person: Person, number: str, *, has_pin: bool) -> None:
    async with connected(host.port) as client:
        started = await client.get(f.VerificationStarted, lambda rid: f.StartVerification(rid, number))
        ticket = started.ticket
        if ticket is None:
            code = host.codes.sent[-1][1]
            ticket = (await client.get(f.Ticket, lambda rid: f.CheckCode(rid, number, code))).ticket
        await client.register(person, ticket)
        await client.log_in(person)
        if has_pin:
            await client.get(f.Done, lambda rid: f.SetPin(rid, "correct horse"))
        await client.leave_token(person.uid)
    host.clock.advance(3 * _WAIT_S)


@asynccontextmanager
async def _three(row: _Row) -> AsyncIterator[tuple[RelayHost, _Someone, _Someone, _Someone]]:
    """Give Ada here and there, and Bob here, all with full buckets."""
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        host = await enter(
            relay_host(limits=row.limits, trust_forwarded=True, verify=row.verify, token_ttl_s=3600)
        )
        ada, bob = Person(), Person()
        three = []
        # Ada has two devices, because one device has one connection.
        for person, number, source in (
            (ada, NUMBERS[0], _HERE),
            (Person(ada.keys, device=2), NUMBERS[2], _THERE),
            (bob, NUMBERS[1], _HERE),
        ):
            await _sign_up(host, person, number, has_pin=row.ask is _take_over)
            client = await enter(_connected_from(source, host.port))
            if row.is_for_members:
                await client.log_in(person)
            three.append(_Someone(client, person, number))
            host.clock.advance(3 * _WAIT_S)
        yield host, three[0], three[1], three[2]


def _wait_s(answer: f.Answer) -> float | None:
    """Give how long to wait, None where the request met no limit."""
    if not isinstance(answer, f.Error) or answer.code != ErrorCode.RATE_LIMITED:
        return None
    assert answer.message == "Too many requests; wait a little."
    assert answer.retry_after_s is not None
    return answer.retry_after_s


@pytest.mark.parametrize("row", _ROWS, ids=lambda row: f"{row.limit}-{row.ask.__name__.strip('_')}")
async def test_a_limit_holds_for_whom_it_is_for_and_says_when_to_come_back(row: _Row) -> None:
    async with _three(row) as (host, here, there, bob_here):
        for _ in range(2):
            assert _wait_s(await row.ask(here)) is None
        wait_s = _wait_s(await row.ask(here))
        assert wait_s == pytest.approx(_WAIT_S, abs=0.15)
        same, another = (bob_here, there) if row.limit.endswith("_source") else (there, bob_here)
        assert _wait_s(await row.ask(same)) == wait_s
        assert _wait_s(await row.ask(another)) is None
        assert wait_s is not None
        host.clock.advance(wait_s)
        assert _wait_s(await row.ask(here)) is None
        assert _wait_s(await row.ask(here)) is not None


# -------------------------------------------------------------------------------- what is no rate, or no refusal


async def test_handshakes_of_one_source_are_limited() -> None:
    limits = Limits(handshakes_per_source=Rate(2, 1 / _WAIT_S))
    async with relay_host(limits=limits, trust_forwarded=True) as host:
        for _ in range(2):
            async with _connected_from(_HERE, host.port):
                pass
        with pytest.raises(InvalidStatus) as refused:
            async with _connected_from(_HERE, host.port):
                pass
        assert refused.value.response.status_code == 503
        async with _connected_from(_THERE, host.port):
            pass
        host.clock.advance(_WAIT_S)
        async with _connected_from(_HERE, host.port):
            pass


async def test_a_mailbox_that_has_its_bytes_is_told_to_the_sender() -> None:
    async with relay_host(limits=Limits(mailbox_size_b=2 * _SIZE_B)) as host:
        ada = await new_person(host.port, NUMBERS[0])
        async with logged_in(host.port, ada) as client:
            for _ in range(2):
                assert isinstance(await client.mail_to(ada, bytes(_SIZE_B)), f.Sent)
            error = await client.mail_to(ada, bytes(_SIZE_B))
            assert isinstance(error, f.Error)
            assert (error.code, error.retry_after_s) == (ErrorCode.MAILBOX_FULL, 3600)
            assert error.message


async def test_no_more_pairs_are_kept_than_the_stock_may_have() -> None:
    async with relay_host(limits=Limits(pairs_in_stock=2)) as host:
        ada = await new_person(host.port, NUMBERS[0])
        pairs = [
            OneTimePrekeySecrets.generate(ada.keys, oid=oid, rng=os.urandom).public.encode()
            for oid in range(3)
        ]
        async with logged_in(host.port, ada) as client:
            await client.get(f.Published, lambda rid: f.Publish(rid, None, tuple(pairs[:2])))
            error = await client.refused(lambda rid: f.Publish(rid, None, tuple(pairs[2:])))
            assert error.code == ErrorCode.TOO_LARGE
            assert error.message
            assert error.retry_after_s is None  # waiting does not help


async def test_repetitions_are_recognised_for_as_long_as_the_host_says() -> None:
    async with relay_host(limits=Limits(retention_s=60)) as host:
        ada, name = await new_person(host.port, NUMBERS[0]), bytes(16)
        async with logged_in(host.port, ada) as client:
            for waited_s, is_delivered in ((0, True), (50, False), (70, True)):
                host.clock.advance(waited_s)
                await sweep_round(host.relay._services.store, host.clock())
                await client.mail_to(ada, envelope_id=name)
                await client.heard()
                delivered = [client.mail.get_nowait() for _ in range(client.mail.qsize())]
                assert bool(delivered) == is_delivered
                await client.send(f.Ack(tuple(deliver.seq for deliver in delivered) or (1,)))
                await client.heard()
