"""Guessing is bounded by who guesses, not only by what is guessed: codes, PINs and numbers over many targets."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.relay_client import NUMBERS, FrameClient, Person, connected, logged_in, new_person
from tests.relay_host import RelayHost, relay_host
from zap2.server.limits import Limits, Rate
from zap2.wire import frames as f
from zap2.wire.fields import ErrorCode

_SLOW = 0.001
_PIN = "correct horse"


async def _code(host: RelayHost, client: FrameClient, number: str) -> str:
    await client.get(f.VerificationStarted, lambda rid: f.StartVerification(rid, number))
    return host.codes.sent[-1][1]


def _check(number: str, code: str) -> Callable[[int], f.CheckCode]:
    return lambda rid: f.CheckCode(rid, number, code)


def _wrong(code: str) -> str:
    return "000000" if code != "000000" else "000001"


def _take_over(client: FrameClient, ticket: bytes, pin: str) -> Callable[[int], f.Register]:
    return lambda rid: client.registration(rid, Person(), ticket, pin=pin)


async def _ticket(host: RelayHost, client: FrameClient, number: str) -> bytes:
    host.clock.advance(300)  # codes of the same number have to wait for each other
    return (await client.get(f.Ticket, _check(number, await _code(host, client, number)))).ticket


async def _member_with_pin(host: RelayHost, number: str) -> None:
    person = Person()
    async with connected(host.port) as client:
        await client.register(person, await _ticket(host, client, number))
        await client.log_in(person)
        await client.get(f.Done, lambda rid: f.SetPin(rid, _PIN))


async def test_wrong_codes_count_over_all_numbers_of_a_source() -> None:
    limits = Limits(wrong_codes_per_source=Rate(4, 0.01))
    async with relay_host(verify="log", limits=limits) as host, connected(host.port) as client:
        codes = [await _code(host, client, number) for number in NUMBERS[:3]]
        for number, code in zip(NUMBERS[:2], codes, strict=False):
            for _ in range(2):
                error = await client.refused(_check(number, _wrong(code)))
                assert error.code == ErrorCode.WRONG_CODE
        async with connected(host.port) as other:  # another connection is the same source
            error = await other.refused(_check(NUMBERS[2], codes[2]))
            assert error.code == ErrorCode.RATE_LIMITED
            assert error.retry_after_s is not None
            host.clock.advance(error.retry_after_s)
            await other.get(f.Ticket, _check(NUMBERS[2], codes[2]))


async def test_right_codes_do_not_count() -> None:
    """A company behind one address signs up on one day."""
    limits = Limits(wrong_codes_per_source=Rate(1, 0.0001))
    async with relay_host(verify="log", limits=limits) as host, connected(host.port) as client:
        for number in NUMBERS[:10]:
            await client.get(f.Ticket, _check(number, await _code(host, client, number)))


async def test_codes_that_go_out_are_counted_and_those_that_do_not_are_not() -> None:
    limits = Limits(sent_codes_per_source=Rate(2, _SLOW))
    async with relay_host(verify="log", limits=limits) as host, connected(host.port) as client:
        await _code(host, client, NUMBERS[0])
        for _ in range(5):
            error = await client.refused(lambda rid: f.StartVerification(rid, NUMBERS[0]))
            assert error.code == ErrorCode.RESEND_TOO_SOON
        await _code(host, client, NUMBERS[1])
        error = await client.refused(lambda rid: f.StartVerification(rid, NUMBERS[2]))
        assert error.code == ErrorCode.RATE_LIMITED
        assert error.retry_after_s == pytest.approx(1 / _SLOW, abs=0.2)
        assert len(host.codes.sent) == 2


async def test_wrong_pins_count_over_all_accounts_of_a_source() -> None:
    limits = Limits(wrong_pins_per_source=Rate(3, _SLOW))
    async with relay_host(verify="log", limits=limits) as host:
        for number in NUMBERS[:3]:
            await _member_with_pin(host, number)
        async with connected(host.port) as client:
            tickets = [await _ticket(host, client, number) for number in NUMBERS[:3]]
            tries = [(0, "1234"), (0, "0000"), (1, "1234"), (1, "0000"), (2, _PIN)]
            codes = [(await client.refused(_take_over(client, tickets[at], pin))).code for at, pin in tries]
            assert codes == [ErrorCode.WRONG_PIN] * 3 + [ErrorCode.RATE_LIMITED] * 2
            host.clock.advance(1 / _SLOW + 1)
            # The right one does not count, so the next wrong one is told to be wrong.
            await client.get(f.Registered, _take_over(client, tickets[2], _PIN))
            error = await client.refused(_take_over(client, tickets[1], "0000"))
            assert error.code == ErrorCode.WRONG_PIN


async def test_looking_numbers_up_counts_over_all_accounts_of_a_source() -> None:
    """Many accounts do not make many look-ups."""
    limits = Limits(lookups_per_source=Rate(4, _SLOW))
    async with relay_host(limits=limits) as host:
        people = [await new_person(host.port, number) for number in NUMBERS[:3]]
        answers = []
        for person in people:
            async with logged_in(host.port, person) as client:
                answers += [await client.ask(lambda rid: f.Lookup(rid, NUMBERS[7])) for _ in range(2)]
        codes = [answer.code for answer in answers if isinstance(answer, f.Error)]
        assert codes == [ErrorCode.NOT_FOUND] * 4 + [ErrorCode.RATE_LIMITED] * 2
