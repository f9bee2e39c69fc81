"""Who may have which number at a relay: invites, registration PINs, idle accounts, unlisted and blocked ones."""

from __future__ import annotations

import pytest

from tests.relay_client import NUMBERS, FrameClient, Person, connected, logged_in
from tests.relay_host import RelayHost, relay_host
from zap2.server.limits import Limits, Rate
from zap2.wire import frames as f
from zap2.wire.fields import ErrorCode

_DAY_S = 24 * 3600
_PIN = "correct horse"


async def _prove(host: RelayHost, client: FrameClient, number: str) -> f.Answer:
    """Ask for a code and give it back."""
    started = await client.get(f.VerificationStarted, lambda rid: f.StartVerification(rid, number))
    code = host.codes.sent[-1][1]
    return await client.ask(lambda rid: f.CheckCode(rid, started.number, code))


async def _ticket(host: RelayHost, client: FrameClient, number: str) -> bytes:
    host.clock.advance(300)  # codes of the same number have to wait for each other
    answer = await _prove(host, client, number)
    assert isinstance(answer, f.Ticket), answer
    return answer.ticket


async def _member(host: RelayHost, number: str, pin: str | None = None) -> Person:
    person = Person()
    async with connected(host.port) as client:
        await client.register(person, await _ticket(host, client, number))
        await client.log_in(person)
        if pin is not None:
            await client.get(f.Done, lambda rid: f.SetPin(rid, pin))
    return person


async def _found(host: RelayHost, asking: Person, number: str) -> f.Answer:
    async with logged_in(host.port, asking) as client:
        return await client.ask(lambda rid: f.Lookup(rid, number))


# ---------------------------------------------------------------------------------------------------- invites


async def test_an_invite_lets_one_person_in() -> None:
    async with relay_host(registration="invite") as host, connected(host.port) as client:
        assert client.greeting.registration == "invite"
        (invite,) = await host.relay.operator.invites(1, 3600)
        started = await client.get(
            f.VerificationStarted, lambda rid: f.StartVerification(rid, NUMBERS[0], invite)
        )
        ticket, person = started.ticket, Person()
        assert ticket is not None
        # It may be typed in another way than it was printed.
        typed = f" {invite.upper().replace('-', ' ')} "
        error = await client.refused(lambda rid: client.registration(rid, person, ticket))
        assert error.code == ErrorCode.INVITE_NEEDED
        await client.get(f.Registered, lambda rid: client.registration(rid, person, ticket, typed))
        await client.get(f.Registered, lambda rid: client.registration(rid, person, ticket, typed))
        error = await client.refused(lambda rid: f.StartVerification(rid, NUMBERS[1], invite))
        assert error.code == ErrorCode.INVITE_NEEDED


@pytest.mark.parametrize("invite", [None, "abcd-efgh-ijkl-mnop"])
async def test_without_a_good_invite_no_code_is_sent(invite: str | None) -> None:
    async with relay_host(registration="invite", verify="log") as host, connected(host.port) as client:
        error = await client.refused(lambda rid: f.StartVerification(rid, NUMBERS[0], invite))
        assert error.code == ErrorCode.INVITE_NEEDED
        assert host.codes.sent == []


async def test_an_invite_expires() -> None:
    async with relay_host(registration="invite") as host, connected(host.port) as client:
        (invite,) = await host.relay.operator.invites(1, 60)
        host.clock.advance(60)
        error = await client.refused(lambda rid: f.StartVerification(rid, NUMBERS[0], invite))
        assert error.code == ErrorCode.INVITE_NEEDED


# -------------------------------------------------------------------------------------------- taking over


async def test_the_pin_takes_a_number_over_and_nothing_else_does() -> None:
    async with relay_host(verify="log") as host:
        old, new = await _member(host, NUMBERS[0], _PIN), Person()
        async with connected(host.port) as client:
            ticket = await _ticket(host, client, NUMBERS[0])
            error = await client.refused(lambda rid: client.registration(rid, new, ticket))
            assert error.code == ErrorCode.PIN_NEEDED
            error = await client.refused(lambda rid: client.registration(rid, new, ticket, pin="wrong one"))
            assert error.code == ErrorCode.WRONG_PIN
            await client.get(f.Registered, lambda rid: client.registration(rid, new, ticket, pin=_PIN))
            await client.get(f.Registered, lambda rid: client.registration(rid, new, ticket, pin=_PIN))
        assert (await _found(host, old, NUMBERS[0])) == f.Found(2, new.uid)  # the old one still logs in


async def test_five_wrong_pins_lock_it_for_a_day() -> None:
    async with relay_host(verify="log") as host:
        await _member(host, NUMBERS[0], _PIN)
        async with connected(host.port) as client:
            ticket = await _ticket(host, client, NUMBERS[0])
            for _ in range(5):
                error = await client.refused(
                    lambda rid: client.registration(rid, Person(), ticket, pin="no!!")
                )
                assert error.code == ErrorCode.WRONG_PIN
            error = await client.refused(lambda rid: client.registration(rid, Person(), ticket, pin=_PIN))
            assert (error.code, error.retry_after_s) == (ErrorCode.TOO_MANY_TRIES, _DAY_S)
        host.clock.advance(_DAY_S)
        async with connected(host.port) as client:
            late = await _ticket(host, client, NUMBERS[0])
            await client.get(f.Registered, lambda rid: client.registration(rid, Person(), late, pin=_PIN))


async def test_an_account_without_a_pin_keeps_its_number_while_it_is_in_use() -> None:
    async with relay_host(verify="log") as host:
        owner = await _member(host, NUMBERS[0])
        for _ in range(3):
            host.clock.advance(6 * _DAY_S)
            async with logged_in(host.port, owner), connected(host.port) as client:
                error = await _prove(host, client, NUMBERS[0])
                assert isinstance(error, f.Error)
                assert error.code == ErrorCode.NUMBER_REGISTERED


@pytest.mark.parametrize("pin", [None, _PIN])
async def test_an_idle_account_loses_its_number_to_whoever_proves_it(pin: str | None) -> None:
    async with relay_host(verify="log") as host:
        await _member(host, NUMBERS[0], pin)
        host.clock.advance(8 * _DAY_S)
        new = await _member(host, NUMBERS[0])
        assert (await _found(host, new, NUMBERS[0])) == f.Found(2, new.uid)


async def test_where_nobody_proves_numbers_an_idle_account_keeps_its_own() -> None:
    async with relay_host() as host, connected(host.port) as client:
        await client.sign_up(Person(), NUMBERS[0])
        host.clock.advance(100 * _DAY_S)
        error = await client.refused(lambda rid: f.StartVerification(rid, NUMBERS[0]))
        assert error.code == ErrorCode.NUMBER_REGISTERED


async def test_a_pin_can_be_removed_and_is_set_only_so_often() -> None:
    async with relay_host(verify="log", limits=Limits(pins_per_account=Rate(2, 0.01))) as host:
        owner = await _member(host, NUMBERS[0], _PIN)
        async with logged_in(host.port, owner) as client:
            await client.get(f.Done, lambda rid: f.SetPin(rid, None))
            error = await client.refused(lambda rid: f.SetPin(rid, "1234"))
            assert error.code == ErrorCode.RATE_LIMITED
        async with connected(host.port) as client:
            host.clock.advance(300)
            error_ = await _prove(host, client, NUMBERS[0])
            assert isinstance(error_, f.Error)
            assert error_.code == ErrorCode.NUMBER_REGISTERED


# ----------------------------------------------------------------------------------------- being found


async def test_a_person_can_be_unlisted() -> None:
    async with relay_host(verify="log") as host:
        shy, other = await _member(host, NUMBERS[0]), await _member(host, NUMBERS[1])
        async with logged_in(host.port, shy) as client:
            await client.get(f.Done, lambda rid: f.SetListed(rid, False))
        answer = await _found(host, other, NUMBERS[0])
        assert isinstance(answer, f.Error)
        assert answer.code == ErrorCode.NOT_FOUND
        async with logged_in(host.port, shy) as client:
            await client.get(f.Done, lambda rid: f.SetListed(rid, True))
        assert await _found(host, other, NUMBERS[0]) == f.Found(2, shy.uid)
