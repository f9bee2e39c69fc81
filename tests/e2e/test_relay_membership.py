"""Who may have which number at a relay: invites, registration PINs, idle accounts, unlisted and blocked ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.relay_client import NUMBERS, Person, connected, logged_in
from tests.relay_host import relay_host
from tests.relay_members import DAY_S, PIN, found, member_of, prove, take_over, ticket_of
from zap2.server.hub import Hub
from zap2.server.limits import Limits, Rate
from zap2.wire import frames as f
from zap2.wire.fields import ErrorCode

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
        old, new = await member_of(host, NUMBERS[0], PIN), Person()
        async with connected(host.port) as client:
            ticket = await ticket_of(host, client, NUMBERS[0])
            error = await client.refused(lambda rid: client.registration(rid, new, ticket))
            assert error.code == ErrorCode.PIN_NEEDED
            error = await client.refused(lambda rid: client.registration(rid, new, ticket, pin="wrong one"))
            assert error.code == ErrorCode.WRONG_PIN
            await client.get(f.Registered, lambda rid: client.registration(rid, new, ticket, pin=PIN))
            await client.get(f.Registered, lambda rid: client.registration(rid, new, ticket, pin=PIN))
        assert (await found(host, old, NUMBERS[0])) == f.Found(2, new.uid)  # the old one still logs in


async def test_five_wrong_pins_lock_it_for_a_day() -> None:
    async with relay_host(verify="log") as host:
        await member_of(host, NUMBERS[0], PIN)
        async with connected(host.port) as client:
            ticket = await ticket_of(host, client, NUMBERS[0])
            for _ in range(5):
                error = await client.refused(
                    lambda rid: client.registration(rid, Person(), ticket, pin="no!!")
                )
                assert error.code == ErrorCode.WRONG_PIN
            error = await client.refused(lambda rid: client.registration(rid, Person(), ticket, pin=PIN))
            assert (error.code, error.retry_after_s) == (ErrorCode.TOO_MANY_TRIES, DAY_S)
        host.clock.advance(DAY_S)
        async with connected(host.port) as client:
            late = await ticket_of(host, client, NUMBERS[0])
            await client.get(f.Registered, lambda rid: client.registration(rid, Person(), late, pin=PIN))


async def test_an_account_without_a_pin_keeps_its_number_while_it_is_in_use() -> None:
    async with relay_host(verify="log") as host:
        owner = await member_of(host, NUMBERS[0])
        for _ in range(3):
            host.clock.advance(6 * DAY_S)
            async with logged_in(host.port, owner), connected(host.port) as client:
                error = await prove(host, client, NUMBERS[0])
                assert isinstance(error, f.Error)
                assert error.code == ErrorCode.NUMBER_REGISTERED


@pytest.mark.parametrize("pin", [None, PIN])
async def test_an_idle_account_loses_its_number_to_whoever_proves_it(pin: str | None) -> None:
    async with relay_host(verify="log") as host:
        await member_of(host, NUMBERS[0], pin)
        host.clock.advance(8 * DAY_S)
        new = await member_of(host, NUMBERS[0])
        assert (await found(host, new, NUMBERS[0])) == f.Found(2, new.uid)


async def test_where_nobody_proves_numbers_an_idle_account_keeps_its_own() -> None:
    async with relay_host() as host, connected(host.port) as client:
        await client.sign_up(Person(), NUMBERS[0])
        host.clock.advance(100 * DAY_S)
        error = await client.refused(lambda rid: f.StartVerification(rid, NUMBERS[0]))
        assert error.code == ErrorCode.NUMBER_REGISTERED


async def test_a_pin_can_be_removed_and_is_set_only_so_often() -> None:
    async with relay_host(verify="log", limits=Limits(pins_per_account=Rate(2, 0.01))) as host:
        owner = await member_of(host, NUMBERS[0], PIN)
        async with logged_in(host.port, owner) as client:
            await client.get(f.Done, lambda rid: f.SetPin(rid, None))
            error = await client.refused(lambda rid: f.SetPin(rid, "1234"))
            assert error.code == ErrorCode.RATE_LIMITED
        async with connected(host.port) as client:
            host.clock.advance(300)
            error_ = await prove(host, client, NUMBERS[0])
            assert isinstance(error_, f.Error)
            assert error_.code == ErrorCode.NUMBER_REGISTERED


@pytest.mark.parametrize("pin", [None, PIN])
async def test_who_lost_a_number_is_told_at_every_log_in_also_after_a_restart(
    pin: str | None, tmp_path: Path
) -> None:
    """By a signature and by a token; it lies in the store, so no restart forgets it. Nobody says who has it."""
    async with relay_host(tmp_path, verify="log") as host:
        old = await member_of(host, NUMBERS[0], pin)
        async with logged_in(host.port, old):
            pass
        if pin is None:
            host.clock.advance(8 * DAY_S)
        new, _ = await take_over(host, NUMBERS[0], pin)
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
        old = await member_of(host, NUMBERS[0], PIN)
        host.clock.advance(300)
        async with logged_in(host.port, old) as client, connected(host.port) as other:
            renewed = await client.get(f.TokenIssued, f.RenewToken)
            assert client.pushed.empty()
            ticket = await ticket_of(host, other, NUMBERS[0])
            new = Person()
            await other.get(f.Registered, lambda rid: other.registration(rid, new, ticket, pin=PIN))
            assert await client.next_pushed() == f.NumberLost()
            await client.get(f.TokenIssued, f.RenewToken)
            assert await client.next_pushed() == f.NumberLost()
            assert renewed.token
        async with logged_in(host.port, new) as client:
            await client.get(f.TokenIssued, f.RenewToken)
            assert client.pushed.empty()


async def test_a_renewal_tells_its_own_connection_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has lost a number and renews without a pause costs no look at all connections, and no word to a relay."""
    async with relay_host(verify="log") as host:
        old = await member_of(host, NUMBERS[0], PIN)
        await take_over(host, NUMBERS[0], PIN)
        told = list[object]()
        async with logged_in(host.port, old) as client:
            monkeypatch.setattr(Hub, "tell_number_lost", lambda _, uid: told.append(uid))
            await client.get(f.TokenIssued, f.RenewToken)
            assert await client.next_pushed() == f.NumberLost()
        assert told == []


async def test_an_account_without_a_number_gets_no_pin_and_is_not_listed() -> None:
    async with relay_host(verify="log") as host:
        old = await member_of(host, NUMBERS[0], PIN)
        await take_over(host, NUMBERS[0], PIN)
        async with logged_in(host.port, old) as client:
            for refused in (
                await client.refused(lambda rid: f.SetPin(rid, "1234")),
                await client.refused(lambda rid: f.SetPin(rid, None)),
                await client.refused(lambda rid: f.SetListed(rid, True)),
            ):
                assert (refused.code, refused.retry_after_s) == (ErrorCode.NUMBER_LOST, None)
        # With a number it is an account as any other again.
        async with connected(host.port) as client:
            await client.register(old, await ticket_of(host, client, NUMBERS[1]))
        async with connected(host.port) as client:
            assert (await client.log_in(old)).has_number
            await client.get(f.Done, lambda rid: f.SetPin(rid, "1234"))


async def test_the_pin_goes_over_with_the_number() -> None:
    """Whoever gave it goes on with it, and takes the number over once more; the account before has none."""
    async with relay_host(verify="log") as host:
        await member_of(host, NUMBERS[0], PIN)
        _, answer = await take_over(host, NUMBERS[0], PIN)
        assert (answer.took_over, answer.has_pin) == (True, True)
        async with connected(host.port) as client:
            ticket = await ticket_of(host, client, NUMBERS[0])
            error = await client.refused(lambda rid: client.registration(rid, Person(), ticket))
            assert error.code == ErrorCode.PIN_NEEDED
            third = Person()
            again = await client.get(
                f.Registered, lambda rid: client.registration(rid, third, ticket, pin=PIN)
            )
            repeated = await client.get(f.Registered, lambda rid: client.registration(rid, third, ticket))
        assert (again.took_over, again.has_pin) == (True, True)
        assert (repeated.took_over, repeated.has_pin) == (False, True)


async def test_the_pin_of_an_idle_account_goes_over_only_if_it_was_given() -> None:
    async with relay_host(verify="log") as host:
        await member_of(host, NUMBERS[0], PIN)
        await member_of(host, NUMBERS[1], PIN)
        new, answer = await take_over(host, NUMBERS[2])
        assert (answer.took_over, answer.has_pin) == (False, False)
        host.clock.advance(8 * DAY_S)
        _, answer = await take_over(host, NUMBERS[0])
        assert (answer.took_over, answer.has_pin) == (True, False)
        async with connected(host.port) as client:
            ticket = await ticket_of(host, client, NUMBERS[1])
            error = await client.refused(lambda rid: client.registration(rid, new, ticket, pin="wrong"))
            assert error.code == ErrorCode.WRONG_PIN
            answer = await client.get(
                f.Registered, lambda rid: client.registration(rid, Person(), ticket, pin=PIN)
            )
        assert (answer.took_over, answer.has_pin) == (True, True)


# ----------------------------------------------------------------------------------------- being found


async def test_a_person_can_be_unlisted() -> None:
    async with relay_host(verify="log") as host:
        shy, other = await member_of(host, NUMBERS[0]), await member_of(host, NUMBERS[1])
        async with logged_in(host.port, shy) as client:
            await client.get(f.Done, lambda rid: f.SetListed(rid, False))
        answer = await found(host, other, NUMBERS[0])
        assert isinstance(answer, f.Error)
        assert answer.code == ErrorCode.NOT_FOUND
        async with logged_in(host.port, shy) as client:
            await client.get(f.Done, lambda rid: f.SetListed(rid, True))
        assert await found(host, other, NUMBERS[0]) == f.Found(2, shy.uid)
