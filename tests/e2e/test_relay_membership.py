"""Who may have which number at a relay: invites, registration PINs, idle accounts, unlisted and blocked ones."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.relay_client import NUMBERS, FrameClient, Person, connected, logged_in
from tests.relay_host import RelayHost, relay_host
from zap2.server.handlers import signup
from zap2.server.hub import Hub
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


async def test_a_renewal_tells_its_own_connection_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has lost a number and renews without a pause costs no look at all connections, and no word to a relay."""
    async with relay_host(verify="log") as host:
        old = await _member(host, NUMBERS[0], _PIN)
        await _take_over(host, NUMBERS[0], _PIN)
        told = list[object]()
        async with logged_in(host.port, old) as client:
            monkeypatch.setattr(Hub, "tell_number_lost", lambda _, uid: told.append(uid))
            await client.get(f.TokenIssued, f.RenewToken)
            assert await client.next_pushed() == f.NumberLost()
        assert told == []


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


# -------------------------------------------------------------------- taking over where not everybody may sign up


async def _owner_and_others(folder: Path) -> int:
    """Make a member with a PIN (number 0) and one without (number 1), while the relay is open; gives the time."""
    async with relay_host(folder, verify="log") as host:
        await _member(host, NUMBERS[0], _PIN)
        await _member(host, NUMBERS[1])
        host.clock.advance(_DAY_S)
        return host.clock.at_ms


@pytest.mark.parametrize("verify", ["log", "none"])
@pytest.mark.parametrize(
    ("registration", "code"),
    [("invite", ErrorCode.INVITE_NEEDED), ("closed", ErrorCode.REGISTRATION_CLOSED)],
)
async def test_outsiders_hear_the_same_of_every_number(
    registration: str, code: ErrorCode, verify: str, tmp_path: Path
) -> None:
    """A member with a PIN, one without, and nobody: the same refusal, no code sent, and none that is out voided."""
    at_ms = await _owner_and_others(tmp_path)
    async with relay_host(tmp_path, verify=verify, registration=registration) as host:
        host.clock.at_ms = at_ms
        async with connected(host.port) as client:
            for number in NUMBERS[:3]:
                for invite in (None, "abcd-efgh-ijkl-mnop"):
                    error = await client.refused(partial(f.StartVerification, number=number, invite=invite))
                    assert error.code == code
        assert host.codes.sent == []


async def test_outsiders_neither_void_nor_delay_a_code(tmp_path: Path) -> None:
    async with relay_host(registration="invite", verify="log") as host:
        (invite,) = await host.relay.operator.invites(1, 3600)
        async with connected(host.port) as newcomer, connected(host.port) as other:

            def ask(rid: int) -> f.StartVerification:
                return f.StartVerification(rid, NUMBERS[0], invite)

            started = await newcomer.get(f.VerificationStarted, ask)
            host.clock.advance(started.resend_after_s)
            await other.refused(lambda rid: f.StartVerification(rid, NUMBERS[0]))
            code = host.codes.sent[-1][1]
            await newcomer.get(f.Ticket, lambda rid: f.CheckCode(rid, started.number, code))
            await newcomer.get(f.VerificationStarted, ask)


def _again(made: f.Register, rid: int) -> f.Register:
    return replace(made, rid=rid)


@pytest.mark.parametrize("verify", ["log", "none"])
async def test_a_pin_replaces_no_invite(verify: str, tmp_path: Path) -> None:
    """One invite makes one account: the PIN is looked at after it, and neither does without the other."""
    await _owner_and_others(tmp_path)
    async with relay_host(tmp_path, verify="log") as host, connected(host.port) as client:
        host.clock.advance(_DAY_S)
        early, at_ms = await _ticket(host, client, NUMBERS[0]), host.clock.at_ms
    async with relay_host(tmp_path, verify=verify, registration="invite") as host:
        host.clock.at_ms = at_ms
        first, second = await host.relay.operator.invites(2, 3600)
        new, third = Person(), Person()
        async with connected(host.port) as client:
            for pin in (None, "wrong one", _PIN) * 3:
                error = await client.refused(
                    partial(_again, client.registration(1, Person(), early, pin=pin))
                )
                assert error.code == ErrorCode.INVITE_NEEDED
            for pin, code in ((None, ErrorCode.PIN_NEEDED), ("wrong one", ErrorCode.WRONG_PIN)):
                error = await client.refused(
                    partial(_again, client.registration(1, new, early, first, pin=pin))
                )
                assert error.code == code
            made = client.registration(1, new, early, first, pin=_PIN)
            done = await client.get(f.Registered, partial(_again, made))
            assert (done.took_over, done.has_pin) == (True, True)
            # The answer may have been lost: repeated, it needs neither of the two.
            await client.get(f.Registered, lambda rid: client.registration(rid, new, early))
            error = await client.refused(lambda rid: f.StartVerification(rid, NUMBERS[0], first))
            assert error.code == ErrorCode.INVITE_NEEDED
        async with connected(host.port) as client:
            host.clock.advance(600)
            started = await client.get(
                f.VerificationStarted, lambda rid: f.StartVerification(rid, NUMBERS[0], second)
            )
            ticket = started.ticket
            if ticket is None:
                given = host.codes.sent[-1][1]
                ticket = (await client.get(f.Ticket, lambda rid: f.CheckCode(rid, NUMBERS[0], given))).ticket
            error = await client.refused(
                partial(_again, client.registration(1, third, ticket, first, pin=_PIN))
            )
            assert error.code == ErrorCode.INVITE_NEEDED
            await client.get(
                f.Registered, partial(_again, client.registration(1, third, ticket, second, pin=_PIN))
            )
        assert (await host.relay.operator.stats())["accounts"] == 4


async def test_nobody_registers_at_a_closed_relay(tmp_path: Path) -> None:
    """Whatever was proved while it was open: not a stranger, not a member with the PIN, not for an idle number."""
    await _owner_and_others(tmp_path)
    async with relay_host(tmp_path, verify="log") as host:
        host.clock.advance(9 * _DAY_S)
        async with connected(host.port) as client:
            tickets = [await _ticket(host, client, number) for number in NUMBERS[:3]]
        at_ms = host.clock.at_ms
    async with (
        relay_host(tmp_path, verify="log", registration="closed") as host,
        connected(host.port) as client,
    ):
        host.clock.at_ms = at_ms
        for ticket in tickets:
            for pin in (None, _PIN):
                error = await client.refused(
                    partial(_again, client.registration(1, Person(), ticket, pin=pin))
                )
                assert error.code == ErrorCode.REGISTRATION_CLOSED


async def test_a_number_goes_on_unlisted_after_a_move() -> None:
    async with relay_host(verify="log") as host:
        shy, other = await _member(host, NUMBERS[0], _PIN), await _member(host, NUMBERS[1])
        async with logged_in(host.port, shy) as client:
            await client.get(f.Done, lambda rid: f.SetListed(rid, False))
        _, moved = await _take_over(host, NUMBERS[0], _PIN)
        _, fresh = await _take_over(host, NUMBERS[2])
        assert (moved.is_listed, fresh.is_listed) == (False, True)
        answer = await _found(host, other, NUMBERS[0])
        assert isinstance(answer, f.Error)
        assert answer.code == ErrorCode.NOT_FOUND


async def test_who_moved_to_another_number_meanwhile_lost_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """The store decides of two at once: whom nothing was taken from is told nothing and keeps the PIN."""
    async with relay_host(verify="log") as host:
        old, new = await _member(host, NUMBERS[0], _PIN), Person()
        async with (
            logged_in(host.port, old) as client,
            connected(host.port) as one,
            connected(host.port) as two,
        ):
            ticket, moving = await _ticket(host, one, NUMBERS[0]), await _ticket(host, two, NUMBERS[1])

            async def moved_meanwhile(*_: object) -> str:
                await two.register(old, moving)
                return "hash"

            monkeypatch.setattr(signup, "hashed_pin", moved_meanwhile)
            done = await one.get(f.Registered, lambda rid: one.registration(rid, new, ticket, pin=_PIN))
            assert (done.took_over, done.has_pin) == (False, False)
            await client.heard()
            assert client.pushed.empty()
        async with connected(host.port) as client:
            assert (await client.log_in(old)).has_number


@pytest.mark.parametrize("days", [0, 8])
async def test_a_block_holds_for_the_number(days: int) -> None:
    """Whoever is blocked does not come back: not by the PIN, not once the account is idle, not by another number."""
    async with relay_host(verify="log") as host:
        old = await _member(host, NUMBERS[0], _PIN)
        async with connected(host.port) as client:
            tickets = [await _ticket(host, client, number) for number in (NUMBERS[0], NUMBERS[0], NUMBERS[1])]
            await host.relay.operator.block(NUMBERS[0])
            for person, ticket in zip((Person(), old, old), tickets, strict=True):
                error = await client.refused(
                    partial(_again, client.registration(1, person, ticket, pin=_PIN))
                )
                assert error.code == ErrorCode.ACCOUNT_BLOCKED
        host.clock.advance(days * _DAY_S + 4000)
        async with connected(host.port) as client:
            answer = await _prove(host, client, NUMBERS[0])
            assert isinstance(answer, f.Error)
            assert answer.code == ErrorCode.ACCOUNT_BLOCKED
        await host.relay.operator.unblock(NUMBERS[0])
        await _take_over(host, NUMBERS[0], _PIN)


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
