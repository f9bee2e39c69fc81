"""Signing up at a relay over real sockets: numbers, codes, tickets, registration."""

from __future__ import annotations

import logging
import os
import re

import pytest

from tests.relay_client import NUMBERS, FrameClient, Person, connected, logged_in
from tests.relay_host import RelayHost, relay_host
from zap2.server.code_delivery import LogDelivery
from zap2.server.limits import Limits, Rate
from zap2.wire import frames as f
from zap2.wire.fields import ErrorCode


async def _start(client: FrameClient, number: str) -> f.VerificationStarted:
    return await client.get(f.VerificationStarted, lambda rid: f.StartVerification(rid, number))


async def _code_for(host: RelayHost, client: FrameClient, number: str) -> str:
    await _start(client, number)
    sent_to, code = host.codes.sent[-1]
    assert sent_to == number
    return code


async def test_a_code_proves_the_number_and_the_ticket_makes_the_account() -> None:
    async with relay_host(verify="log") as host, connected(host.port) as client:
        assert (client.greeting.registration, client.greeting.verification) == ("open", "log")
        started = await _start(client, "+49 1512 3456000")
        assert started == f.VerificationStarted(1, NUMBERS[0], "log", 600, 30, None)
        number, code = host.codes.sent[0]
        assert number == NUMBERS[0]
        assert re.fullmatch("[0-9]{6}", code)
        ticket = await client.get(f.Ticket, lambda rid: f.CheckCode(rid, number, code))
        assert ticket.expires_in_s == 1800
        person = Person()
        assert (await client.register(person, ticket.ticket)).uid == person.uid
        assert (await client.log_in(person)).expires_in_s == 900


@pytest.mark.parametrize(
    "number", ["letters", "+49", "123", "01512 3456789", "+999123456789", "+4915123456789012"]
)
async def test_what_is_not_a_number_is_refused_with_a_reason(number: str) -> None:
    async with relay_host(verify="log") as host, connected(host.port) as client:
        error = await client.refused(lambda rid: f.StartVerification(rid, number))
        assert error.code == ErrorCode.INVALID_NUMBER
        assert len(error.message) > 20
        assert host.codes.sent == []


async def test_a_host_may_set_the_country_of_numbers_without_one() -> None:
    async with relay_host(default_region="DE") as host, connected(host.port) as client:
        assert (await _start(client, "01512 3456000")).number == NUMBERS[0]


async def test_wrong_codes_are_refused_and_the_sixth_try_too_even_if_right() -> None:
    async with relay_host(verify="log") as host, connected(host.port) as client:
        code = await _code_for(host, client, NUMBERS[0])
        wrong = "000000" if code != "000000" else "000001"
        for _ in range(5):
            error = await client.refused(lambda rid: f.CheckCode(rid, NUMBERS[0], wrong))
            assert error.code == ErrorCode.WRONG_CODE
        error = await client.refused(lambda rid: f.CheckCode(rid, NUMBERS[0], code))
        assert error.code == ErrorCode.TOO_MANY_TRIES


async def test_a_code_expires() -> None:
    async with relay_host(verify="log") as host, connected(host.port) as client:
        code = await _code_for(host, client, NUMBERS[0])
        host.clock.advance(600)
        error = await client.refused(lambda rid: f.CheckCode(rid, NUMBERS[0], code))
        assert error.code == ErrorCode.CODE_EXPIRED


async def test_resending_has_to_wait_longer_each_time() -> None:
    async with relay_host(verify="log") as host, connected(host.port) as client:
        for wait_s in (30, 60, 120):
            assert (await _start(client, NUMBERS[0])).resend_after_s == wait_s
            error = await client.refused(lambda rid: f.StartVerification(rid, NUMBERS[0]))
            assert (error.code, error.retry_after_s) == (ErrorCode.RESEND_TOO_SOON, wait_s)
            host.clock.advance(wait_s)
        assert len(host.codes.sent) == 3


async def test_a_taken_number_is_told_only_to_whoever_proved_to_have_it() -> None:
    async with relay_host(verify="log") as host, connected(host.port) as client:
        code = await _code_for(host, client, NUMBERS[0])
        ticket = await client.get(f.Ticket, lambda rid: f.CheckCode(rid, NUMBERS[0], code))
        await client.register(Person(), ticket.ticket)
        host.clock.advance(30)
        code = await _code_for(host, client, NUMBERS[0])  # the same answer as for a free number
        error = await client.refused(lambda rid: f.CheckCode(rid, NUMBERS[0], code))
        assert error.code == ErrorCode.NUMBER_REGISTERED


async def test_a_number_is_not_given_to_a_second_account() -> None:
    async with relay_host() as host, connected(host.port) as client:
        first, second = await _start(client, NUMBERS[0]), await _start(client, NUMBERS[0])
        assert first.ticket is not None
        assert second.ticket is not None
        winner, loser, ticket = Person(), Person(), second.ticket
        await client.register(winner, first.ticket)
        error = await client.refused(lambda rid: client.registration(rid, loser, ticket))
        assert error.code == ErrorCode.NUMBER_REGISTERED
        error = await client.refused(lambda rid: f.StartVerification(rid, NUMBERS[0]))
        assert error.code == ErrorCode.NUMBER_REGISTERED
        await client.log_in(winner)
        assert (await client.get(f.Found, lambda rid: f.Lookup(rid, NUMBERS[0]))).uid == winner.uid


async def test_register_may_be_repeated_and_a_ticket_serves_nobody_else() -> None:
    async with relay_host() as host, connected(host.port) as client:
        ticket = (await _start(client, NUMBERS[0])).ticket
        assert ticket is not None
        person, other = Person(), Person()
        await client.register(person, ticket)
        assert (await client.register(person, ticket)).uid == person.uid
        error = await client.refused(lambda rid: client.registration(rid, other, ticket))
        assert error.code == ErrorCode.TICKET_INVALID


async def test_tickets_expire_and_cannot_be_made_up() -> None:
    async with relay_host() as host, connected(host.port) as client:
        person = Person()
        error = await client.refused(lambda rid: client.registration(rid, person, os.urandom(32)))
        assert error.code == ErrorCode.TICKET_INVALID
        ticket = (await _start(client, NUMBERS[0])).ticket
        assert ticket is not None
        host.clock.advance(1800)
        error = await client.refused(lambda rid: client.registration(rid, person, ticket))
        assert error.code == ErrorCode.TICKET_INVALID


async def test_a_registration_needs_the_identitys_own_proof_on_this_connection() -> None:
    async with relay_host() as host, connected(host.port) as client, connected(host.port) as elsewhere:
        ticket = (await _start(client, NUMBERS[0])).ticket
        assert ticket is not None
        person = Person()
        error = await client.refused(lambda rid: elsewhere.registration(rid, person, ticket))
        assert error.code == ErrorCode.BAD_SIGNATURE
        assert (await client.register(person, ticket)).uid == person.uid


async def test_closed_registration_takes_no_one_new() -> None:
    async with relay_host(registration="closed") as host, connected(host.port) as client:
        assert client.greeting.registration == "closed"
        error = await client.refused(lambda rid: f.StartVerification(rid, NUMBERS[0]))
        assert error.code == ErrorCode.REGISTRATION_CLOSED


async def test_an_unknown_number_is_not_found_and_lookups_need_a_login() -> None:
    async with relay_host() as host, connected(host.port) as client:
        error = await client.refused(lambda rid: f.Lookup(rid, NUMBERS[0]))
        assert error.code == ErrorCode.UNAUTHENTICATED
        person = Person()
        await client.sign_up(person, NUMBERS[0])
        await client.log_in(person)
        error = await client.refused(lambda rid: f.Lookup(rid, NUMBERS[1]))
        assert error.code == ErrorCode.NOT_FOUND
        error = await client.refused(lambda rid: f.Lookup(rid, "nonsense"))
        assert error.code == ErrorCode.INVALID_NUMBER


async def test_one_source_cannot_ask_for_codes_without_end() -> None:
    limits = Limits(verifications_per_source=Rate(3, 0.1))
    async with relay_host(verify="log", limits=limits) as host, connected(host.port) as client:
        for number in NUMBERS[:3]:
            await _start(client, number)
        error = await client.refused(lambda rid: f.StartVerification(rid, NUMBERS[3]))
        assert error.code == ErrorCode.RATE_LIMITED
        assert error.retry_after_s is not None
        assert 10 <= error.retry_after_s <= 11
        host.clock.advance(error.retry_after_s)
        await _start(client, NUMBERS[3])


async def test_the_log_line_names_the_code_and_two_digits_of_the_number(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A host, and a script that reads the log, finds one run of six digits in the line and never the number."""
    with caplog.at_level(logging.INFO, "zap2.relay"):
        await LogDelivery().deliver(NUMBERS[67], "123456", 600)
    assert caplog.messages == ["verification code 123456 for the number ending in 67 (valid 10 minutes)"]


async def test_someone_logged_in_cannot_sign_up_again_on_the_same_connection() -> None:
    async with relay_host() as host:
        person = Person()
        async with connected(host.port) as client:
            await client.sign_up(person, NUMBERS[0])
        async with logged_in(host.port, person) as client:
            error = await client.refused(lambda rid: f.StartVerification(rid, NUMBERS[1]))
            assert error.code == ErrorCode.BAD_REQUEST
