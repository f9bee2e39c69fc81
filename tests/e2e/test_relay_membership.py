"""Who may have which number at a relay: invites, registration PINs, idle accounts, unlisted and blocked ones."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from msgspec.structs import replace

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


async def _take_over(host: RelayHost, number: str, pin: str | None = None) -> tuple[Person, f.Registered]:
    person = Person()
    async with connected(host.port) as client:
        ticket = await _ticket(host, client, number)
        answer = await client.get(f.Registered, lambda rid: client.registration(rid, person, ticket, pin=pin))
    return person, answer


@pytest.mark.parametrize("pin", [None, _PIN])
async def test_who_lost_a_number_is_told_at_every_log_in_also_after_a_restart(
    pin: str | None, tmp_path: Path
) -> None:
    """By a signature and by a token; it lies in the store, so no restart forgets it. Nobody says who has it."""
    async with relay_host(tmp_path, verify="log") as host:
        old = await _member(host, NUMBERS[0], pin)
        async with logged_in(host.port, old):
            pass
        if pin is None:
            host.clock.advance(8 * _DAY_S)
        new, _ = await _take_over(host, NUMBERS[0], pin)
        at_ms = host.clock.at_ms
    async with relay_host(tmp_path, verify="log") as host:
        host.clock.at_ms = at_ms
        async with connected(host.port) as client:
            answer = await client.log_in(old)
            assert not answer.has_number
            assert new.uid not in repr(answer).encode() + answer.token
        async with connected(host.port) as client:
            resumed = await client.get(f.LoggedIn, lambda rid: f.Resume(rid, old.token))
            assert not resumed.has_number
        async with connected(host.port) as client:
            assert (await client.log_in(new)).has_number


async def test_who_is_connected_is_told_at_once_and_with_each_renewal() -> None:
    """What a restart or another relay of a cluster left unsaid is said when the token is renewed, at the latest."""
    async with relay_host(verify="log") as host:
        old = await _member(host, NUMBERS[0], _PIN)
        host.clock.advance(300)
        async with logged_in(host.port, old) as client, connected(host.port) as other:
            renewed = await client.get(f.TokenIssued, f.RenewToken)
            assert client.pushed.empty()
            ticket = await _ticket(host, other, NUMBERS[0])
            new = Person()
            await other.get(f.Registered, lambda rid: other.registration(rid, new, ticket, pin=_PIN))
            assert await client.next_pushed() == f.NumberLost()
            await client.get(f.TokenIssued, f.RenewToken)
            assert await client.next_pushed() == f.NumberLost()
            assert renewed.token
        async with logged_in(host.port, new) as client:
            await client.get(f.TokenIssued, f.RenewToken)
            assert client.pushed.empty()


async def test_an_account_without_a_number_gets_no_pin_and_is_not_listed() -> None:
    async with relay_host(verify="log") as host:
        old = await _member(host, NUMBERS[0], _PIN)
        await _take_over(host, NUMBERS[0], _PIN)
        async with logged_in(host.port, old) as client:
            for refused in (
                await client.refused(lambda rid: f.SetPin(rid, "1234")),
                await client.refused(lambda rid: f.SetPin(rid, None)),
                await client.refused(lambda rid: f.SetListed(rid, True)),
            ):
                assert (refused.code, refused.retry_after_s) == (ErrorCode.NUMBER_LOST, None)
        # With a number it is an account as any other again.
        async with connected(host.port) as client:
            await client.register(old, await _ticket(host, client, NUMBERS[1]))
        async with connected(host.port) as client:
            assert (await client.log_in(old)).has_number
            await client.get(f.Done, lambda rid: f.SetPin(rid, "1234"))


async def test_the_pin_goes_over_with_the_number() -> None:
    """Whoever gave it goes on with it, and takes the number over once more; the account before has none."""
    async with relay_host(verify="log") as host:
        await _member(host, NUMBERS[0], _PIN)
        _, answer = await _take_over(host, NUMBERS[0], _PIN)
        assert (answer.took_over, answer.has_pin) == (True, True)
        async with connected(host.port) as client:
            ticket = await _ticket(host, client, NUMBERS[0])
            error = await client.refused(lambda rid: client.registration(rid, Person(), ticket))
            assert error.code == ErrorCode.PIN_NEEDED
            third = Person()
            again = await client.get(
                f.Registered, lambda rid: client.registration(rid, third, ticket, pin=_PIN)
            )
            repeated = await client.get(f.Registered, lambda rid: client.registration(rid, third, ticket))
        assert (again.took_over, again.has_pin) == (True, True)
        assert (repeated.took_over, repeated.has_pin) == (False, True)


async def test_the_pin_of_an_idle_account_goes_over_only_if_it_was_given() -> None:
    async with relay_host(verify="log") as host:
        await _member(host, NUMBERS[0], _PIN)
        await _member(host, NUMBERS[1], _PIN)
        new, answer = await _take_over(host, NUMBERS[2])
        assert (answer.took_over, answer.has_pin) == (False, False)
        host.clock.advance(8 * _DAY_S)
        _, answer = await _take_over(host, NUMBERS[0])
        assert (answer.took_over, answer.has_pin) == (True, False)
        async with connected(host.port) as client:
            ticket = await _ticket(host, client, NUMBERS[1])
            error = await client.refused(lambda rid: client.registration(rid, new, ticket, pin="wrong"))
            assert error.code == ErrorCode.WRONG_PIN
            answer = await client.get(
                f.Registered, lambda rid: client.registration(rid, Person(), ticket, pin=_PIN)
            )
        assert (answer.took_over, answer.has_pin) == (True, True)


# ---------------------------------------------------------------------------- taking over without an invite


async def _owner_and_others(folder: Path) -> tuple[Person, Person]:
    """Make a member with a PIN (number 0) and one without (number 1), while the relay is open."""
    async with relay_host(folder, verify="log") as host:
        return await _member(host, NUMBERS[0], _PIN), await _member(host, NUMBERS[1])


@pytest.mark.parametrize("registration", ["invite", "closed"])
async def test_the_pin_needs_no_invite(registration: str, tmp_path: Path) -> None:
    """It brings no new member. Repeated, it needs neither the PIN nor an invite: the answer may have been lost."""
    await _owner_and_others(tmp_path)
    async with relay_host(tmp_path, verify="log", registration=registration) as host:
        new = Person()
        async with connected(host.port) as client:
            host.clock.advance(600)
            started = await client.get(
                f.VerificationStarted, lambda rid: f.StartVerification(rid, NUMBERS[0], None, True)
            )
            await client.heard()
            code = host.codes.sent[-1][1]
            answer = await client.get(f.Ticket, lambda rid: f.CheckCode(rid, started.number, code))
            ticket = answer.ticket
            error = await client.refused(lambda rid: client.registration(rid, new, ticket))
            assert error.code == ErrorCode.PIN_NEEDED
            done = await client.get(f.Registered, lambda rid: client.registration(rid, new, ticket, pin=_PIN))
            assert (done.took_over, done.has_pin) == (True, True)
            await client.get(f.Registered, lambda rid: client.registration(rid, new, ticket))
        assert await _found(host, new, NUMBERS[0]) == f.Found(2, new.uid)


@pytest.mark.parametrize("registration", ["invite", "closed"])
async def test_asking_does_not_tell_which_numbers_are_members(registration: str, tmp_path: Path) -> None:
    """One with a PIN, one without, and a stranger: the same answers in the same order, and one code is sent."""
    await _owner_and_others(tmp_path)
    async with relay_host(tmp_path, verify="log", registration=registration) as host:
        host.clock.advance(2 * _DAY_S)
        answers = []
        for number in NUMBERS[:3]:

            def ask(rid: int, number: str = number) -> f.StartVerification:
                return f.StartVerification(rid, number, None, True)

            def give(rid: int, number: str = number) -> f.CheckCode:
                return f.CheckCode(rid, number, "no")

            async with connected(host.port) as client:
                started = await client.ask(ask)
                assert isinstance(started, f.VerificationStarted)
                assert started.number == number
                again, wrong = await client.refused(ask), await client.refused(give)
                answers.append((started.expires_in_s, started.resend_after_s, again.code, wrong.code))
        assert set(answers) == {(600, 30, ErrorCode.RESEND_TOO_SOON, ErrorCode.WRONG_CODE)}
        assert [number for number, _ in host.codes.sent] == [NUMBERS[0]]


def _again(made: f.Register, rid: int) -> f.Register:
    return replace(made, rid=rid)


@pytest.mark.parametrize(
    ("registration", "code"),
    [("invite", ErrorCode.INVITE_NEEDED), ("closed", ErrorCode.REGISTRATION_CLOSED)],
)
async def test_nobody_becomes_a_member_without_an_invite(
    registration: str, code: ErrorCode, tmp_path: Path
) -> None:
    """Not a stranger whose proof was made while that was allowed, and not who proves an idle account's number."""
    async with relay_host(tmp_path, verify="log") as host:
        await _member(host, NUMBERS[0], _PIN)
        await _member(host, NUMBERS[1])
        host.clock.advance(8 * _DAY_S)
        async with connected(host.port) as client:
            tickets = [await _ticket(host, client, number) for number in NUMBERS[:3]]
        at_ms = host.clock.at_ms
    async with relay_host(tmp_path, verify="log", registration=registration) as host:
        host.clock.at_ms = at_ms
        async with connected(host.port) as client:
            for ticket in tickets:
                error = await client.refused(partial(_again, client.registration(1, Person(), ticket)))
                assert error.code == code
            error = await client.refused(lambda rid: client.registration(rid, Person(), tickets[2], pin=_PIN))
            assert error.code == code
            # What does not say that it takes over is refused at once, and no code is sent.
            error = await client.refused(lambda rid: f.StartVerification(rid, NUMBERS[0]))
            assert error.code == code
            assert host.codes.sent == []
            await client.get(
                f.Registered, lambda rid: client.registration(rid, Person(), tickets[0], pin=_PIN)
            )


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
