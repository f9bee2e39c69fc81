"""A sign-up that a lost answer, a dead relay or a missing PIN left unfinished, and what the next opening does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.relay_client import NUMBERS, Person, connected, logged_in
from tests.relay_host import RelayHost, relay_host
from zap2.client.agent import Agent
from zap2.client.entrance import ProfileEntrance
from zap2.client.opening import open_vault
from zap2.client.relay.registration import Outcome, RegistrationClient
from zap2.client.signup import ProfileSignup
from zap2.errors import Refused, SignupUnfinished, Unreachable
from zap2.vault.profile import ProfileFolder
from zap2.wire import frames as f

_PASSPHRASE = "four random words here"
_PIN = "correct horse"
_DAY_S = 24 * 3600


async def _proved(host: RelayHost, folder: ProfileFolder) -> ProfileSignup:
    """Go as far as a proved number."""
    signup = ProfileSignup(folder)
    await signup.look_back(_PASSPHRASE)
    await signup.connect(str(host.relay.address))
    if not signup.take_up(NUMBERS[0]):
        await signup.request_code(NUMBERS[0])
        await signup.check_code(host.codes.sent[-1][1])
    return signup


async def _owner(host: RelayHost, pin: str | None = _PIN) -> Person:
    """Give the number to somebody."""
    owner = Person()
    async with connected(host.port) as client:
        started = await client.get(f.VerificationStarted, lambda rid: f.StartVerification(rid, NUMBERS[0]))
        code = host.codes.sent[-1][1]
        proved = await client.get(f.Ticket, lambda rid: f.CheckCode(rid, started.number, code))
        await client.register(owner, proved.ticket)
        await client.log_in(owner)
        if pin is not None:
            await client.get(f.Done, lambda rid: f.SetPin(rid, pin))
    host.clock.advance(600)
    return owner


@asynccontextmanager
async def _lost(monkeypatch: pytest.MonkeyPatch, *, answer: bool) -> AsyncIterator[None]:
    """Have the answer to Register get lost, or Register itself."""
    register = RegistrationClient.register

    async def lose(self: RegistrationClient, *words: Any, **named: Any) -> Outcome:
        if answer:
            await register(self, *words, **named)
        raise Unreachable("The connection is over.")

    with monkeypatch.context() as patch:
        patch.setattr(RegistrationClient, "register", lose)
        yield


async def _create(signup: ProfileSignup, pin: str | None = None) -> Agent:
    try:
        return await signup.create("Ada", _PASSPHRASE, pin=pin)
    finally:
        await signup.close()


async def _is_registered(folder: ProfileFolder) -> bool:
    vault = await open_vault(folder, _PASSPHRASE)
    try:
        return await vault.is_registered()
    finally:
        await vault.close()


@pytest.mark.parametrize("way", ["opening", "sign-up"])
@pytest.mark.parametrize("wait_s", [60, 1_900, 3 * _DAY_S])
async def test_a_lost_answer_costs_no_profile(
    way: str, wait_s: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also once the proof of the number has expired: the relay knows the account, and logging in shows it."""
    async with relay_host(verify="log") as host:
        folder = ProfileFolder(tmp_path, "one")
        signup = await _proved(host, folder)
        async with _lost(monkeypatch, answer=True):
            with pytest.raises(Unreachable):
                await _create(signup)
        host.clock.advance(wait_s)
        if way == "opening":
            agent = await ProfileEntrance(folder).unlock(_PASSPHRASE)
        else:
            agent = await _create(await _proved(host, folder))
        await agent.close()
        assert await _is_registered(folder)
        assert (await host.relay.operator.stats())["accounts"] == 1


async def test_an_expired_proof_is_no_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with relay_host(verify="log") as host:
        folder = ProfileFolder(tmp_path, "one")
        signup = await _proved(host, folder)
        async with _lost(monkeypatch, answer=False):
            with pytest.raises(Unreachable):
                await _create(signup)
        host.clock.advance(1_900)
        with pytest.raises(SignupUnfinished, match="has expired"):
            await ProfileEntrance(folder).unlock(_PASSPHRASE)
        assert not await _is_registered(folder)


@pytest.mark.parametrize("answer", [True, False])
async def test_the_pin_is_given_at_the_next_opening_and_what_came_of_it_is_said(
    answer: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody types it twice because a relay was away; where only the answer was lost, the PIN holds as well."""
    async with relay_host(verify="log") as host:
        old = await _owner(host)
        folder = ProfileFolder(tmp_path, "one")
        signup = await _proved(host, folder)
        async with _lost(monkeypatch, answer=answer):
            with pytest.raises(Unreachable):
                await _create(signup, _PIN)
        assert _PIN.encode() not in b"".join(path.read_bytes() for path in folder.path.iterdir())
        entrance = ProfileEntrance(folder)
        agent = await entrance.unlock(_PASSPHRASE)
        assert (await agent.membership()).has_pin
        await agent.close()
        assert (entrance.notice is not None) == (not answer)
        if entrance.notice is not None:
            assert "Its registration PIN holds for this account now" in entrance.notice.text
        async with connected(host.port) as client:
            assert not (await client.log_in(old)).has_number


async def test_a_pin_whose_fate_nobody_told_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with relay_host(verify="log") as host:
        await _owner(host)
        folder = ProfileFolder(tmp_path, "one")
        signup = await _proved(host, folder)
        async with _lost(monkeypatch, answer=True):
            with pytest.raises(Unreachable):
                await _create(signup, _PIN)
        host.clock.advance(1_900)
        entrance = ProfileEntrance(folder)
        await (await entrance.unlock(_PASSPHRASE)).close()
        assert entrance.notice is not None
        assert entrance.notice.code == "signed-up-unheard"


@pytest.mark.parametrize(("pin", "refusal"), [(None, "pin-needed"), ("wrong one", "wrong-pin")])
async def test_a_number_is_not_taken_without_the_pin_that_was_asked_for(
    pin: str | None, refusal: str, tmp_path: Path
) -> None:
    """The account may be idle by the next opening: the person is asked again, and a wrong PIN is tried once only."""
    async with relay_host(verify="log") as host:
        host.clock.at_ms -= host.clock.at_ms % (_DAY_S * 1000)
        old = await _owner(host)
        host.clock.advance(8 * _DAY_S - 1_200)  # 10 minutes before the day from which on it is idle
        folder = ProfileFolder(tmp_path, "one")
        signup = await _proved(host, folder)
        with pytest.raises(Refused) as refused:
            await _create(signup, pin)
        assert refused.value.code == refusal
        host.clock.advance(900)
        for _ in range(6):
            with pytest.raises(SignupUnfinished, match="registration PIN"):
                await ProfileEntrance(folder).unlock(_PASSPHRASE)
        signup = await _proved(host, folder)
        agent = await _create(signup, _PIN)
        assert (await agent.membership()).has_pin
        await agent.close()
        assert signup.notice is not None
        async with logged_in(host.port, old) as client:
            assert (await client.refused(lambda rid: f.SetPin(rid, None))).code == "number-lost"


async def test_an_unlisted_number_is_shown_as_unlisted_after_its_move(tmp_path: Path) -> None:
    async with relay_host(verify="log") as host:
        old = await _owner(host)
        async with logged_in(host.port, old) as client:
            await client.get(f.Done, lambda rid: f.SetListed(rid, False))
        agent = await _create(await _proved(host, ProfileFolder(tmp_path, "one")), _PIN)
        assert not (await agent.membership()).is_listed
        await agent.close()
