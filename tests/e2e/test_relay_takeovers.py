"""A number moves to another account: who may have it moved, and what goes over with it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest
from msgspec.structs import replace

from tests.relay_client import NUMBERS, Person, connected, logged_in
from tests.relay_host import relay_host
from tests.relay_members import DAY_S, PIN, found, member_of, prove, take_over, ticket_of
from zap2.ids import Uid, format_uid
from zap2.server.handlers import signup
from zap2.wire import frames as f
from zap2.wire.fields import ErrorCode

_Made = TypeVar("_Made", f.Register, f.Authenticate)


async def _owner_and_others(folder: Path) -> int:
    """Make a member with a PIN (number 0) and one without (number 1), while the relay is open; gives the time."""
    async with relay_host(folder, verify="log") as host:
        await member_of(host, NUMBERS[0], PIN)
        await member_of(host, NUMBERS[1])
        host.clock.advance(DAY_S)
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


def _again(made: _Made, rid: int) -> _Made:
    return replace(made, rid=rid)


@pytest.mark.parametrize("verify", ["log", "none"])
async def test_a_pin_replaces_no_invite(verify: str, tmp_path: Path) -> None:
    """One invite makes one account: the PIN is looked at after it, and neither does without the other."""
    await _owner_and_others(tmp_path)
    async with relay_host(tmp_path, verify="log") as host, connected(host.port) as client:
        host.clock.advance(DAY_S)
        early, at_ms = await ticket_of(host, client, NUMBERS[0]), host.clock.at_ms
    async with relay_host(tmp_path, verify=verify, registration="invite") as host:
        host.clock.at_ms = at_ms
        first, second = await host.relay.operator.invites(2, 3600)
        new, third = Person(), Person()
        async with connected(host.port) as client:
            for pin in (None, "wrong one", PIN) * 3:
                error = await client.refused(
                    partial(_again, client.registration(1, Person(), early, pin=pin))
                )
                assert error.code == ErrorCode.INVITE_NEEDED
            for pin, code in ((None, ErrorCode.PIN_NEEDED), ("wrong one", ErrorCode.WRONG_PIN)):
                error = await client.refused(
                    partial(_again, client.registration(1, new, early, first, pin=pin))
                )
                assert error.code == code
            made = client.registration(1, new, early, first, pin=PIN)
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
                partial(_again, client.registration(1, third, ticket, first, pin=PIN))
            )
            assert error.code == ErrorCode.INVITE_NEEDED
            await client.get(
                f.Registered, partial(_again, client.registration(1, third, ticket, second, pin=PIN))
            )
        assert (await host.relay.operator.stats())["accounts"] == 4


async def test_nobody_registers_at_a_closed_relay(tmp_path: Path) -> None:
    """Whatever was sent or proved while it was open: no stranger, no member with the PIN, nobody for an idle number."""
    await _owner_and_others(tmp_path)
    async with relay_host(tmp_path, verify="log") as host:
        host.clock.advance(9 * DAY_S)
        async with connected(host.port) as client:
            tickets = [await ticket_of(host, client, number) for number in NUMBERS[:3]]
            await client.get(f.VerificationStarted, lambda rid: f.StartVerification(rid, NUMBERS[3]))
            code = host.codes.sent[-1][1]
        at_ms = host.clock.at_ms
    async with (
        relay_host(tmp_path, verify="log", registration="closed") as host,
        connected(host.port) as client,
    ):
        host.clock.at_ms = at_ms
        error = await client.refused(lambda rid: f.CheckCode(rid, NUMBERS[3], code))
        assert error.code == ErrorCode.REGISTRATION_CLOSED
        for ticket in tickets:
            for pin in (None, PIN):
                error = await client.refused(
                    partial(_again, client.registration(1, Person(), ticket, pin=pin))
                )
                assert error.code == ErrorCode.REGISTRATION_CLOSED


async def test_a_number_goes_on_unlisted_after_a_move() -> None:
    async with relay_host(verify="log") as host:
        shy, other = await member_of(host, NUMBERS[0], PIN), await member_of(host, NUMBERS[1])
        async with logged_in(host.port, shy) as client:
            await client.get(f.Done, lambda rid: f.SetListed(rid, False))
        _, moved = await take_over(host, NUMBERS[0], PIN)
        _, fresh = await take_over(host, NUMBERS[2])
        assert (moved.is_listed, fresh.is_listed) == (False, True)
        answer = await found(host, other, NUMBERS[0])
        assert isinstance(answer, f.Error)
        assert answer.code == ErrorCode.NOT_FOUND


async def test_who_moved_to_another_number_meanwhile_lost_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """The store decides of two at once: whom nothing was taken from is told nothing and keeps the PIN."""
    async with relay_host(verify="log") as host:
        old, new = await member_of(host, NUMBERS[0], PIN), Person()
        async with (
            logged_in(host.port, old) as client,
            connected(host.port) as one,
            connected(host.port) as two,
        ):
            ticket, moving = await ticket_of(host, one, NUMBERS[0]), await ticket_of(host, two, NUMBERS[1])

            async def moved_meanwhile(*_: object) -> str:
                await two.register(old, moving)
                return "hash"

            monkeypatch.setattr(signup, "hashed_pin", moved_meanwhile)
            done = await one.get(f.Registered, lambda rid: one.registration(rid, new, ticket, pin=PIN))
            assert (done.took_over, done.has_pin) == (False, False)
            await client.heard()
            assert client.pushed.empty()
        async with connected(host.port) as client:
            assert (await client.log_in(old)).has_number


@pytest.mark.parametrize("days", [0, 8])
async def test_a_block_holds_for_the_number(days: int) -> None:
    """Whoever is blocked does not come back: not by the PIN, not once the account is idle, not by another number."""
    async with relay_host(verify="log") as host:
        old = await member_of(host, NUMBERS[0], PIN)
        async with connected(host.port) as client:
            tickets = [
                await ticket_of(host, client, number) for number in (NUMBERS[0], NUMBERS[0], NUMBERS[1])
            ]
            await host.relay.operator.block(NUMBERS[0])
            for person, ticket in zip((Person(), old, old), tickets, strict=True):
                error = await client.refused(partial(_again, client.registration(1, person, ticket, pin=PIN)))
                assert error.code == ErrorCode.ACCOUNT_BLOCKED
        host.clock.advance(days * DAY_S + 4000)
        async with connected(host.port) as client:
            answer = await prove(host, client, NUMBERS[0])
            assert isinstance(answer, f.Error)
            assert answer.code == ErrorCode.ACCOUNT_BLOCKED
        await host.relay.operator.unblock(NUMBERS[0])
        await take_over(host, NUMBERS[0], PIN)


async def test_a_host_finds_the_accounts_that_have_no_number() -> None:
    """They cannot be blocked by a number; their uids are listed, with that mark."""
    async with relay_host(verify="log") as host:
        old = await member_of(host, NUMBERS[0], PIN)
        new, _ = await take_over(host, NUMBERS[0], PIN)
        listed = await host.relay.operator.accounts("", 10)
        assert {account.uid: account.has_number for account in listed} == {
            format_uid(Uid(old.uid)): False,
            format_uid(Uid(new.uid)): True,
        }
        for account in listed:
            await host.relay.operator.block(account.uid)
        for person in (old, new):
            async with connected(host.port) as client:
                refused = await client.refused(partial(_again, client.authentication(1, person)))
                assert refused.code == ErrorCode.ACCOUNT_BLOCKED
