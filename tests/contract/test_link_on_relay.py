"""The link and registration against a real relay: what no other transport has to do."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from tests.kit.accounts import at_once
from tests.kit.links import WAIT_S, MemoryTokens, running
from zap2.client.relay.link import RelayTransport
from zap2.client.relay.registration import RegistrationClient
from zap2.client.transport import Delivery, LinkDown, LinkUp
from zap2.crypto import IdentityKeys
from zap2.errors import NotTrusted, Refused
from zap2.ids import EnvelopeId
from zap2.server.options import RelayOptions
from zap2.server.relay import Relay

_NUMBER = "+4915123456000"
_EXPIRY_S = 3600


class Codes:
    """A way for codes that ends in the test."""

    def __init__(self) -> None:
        self.sent: asyncio.Queue[str] = asyncio.Queue()

    async def deliver(self, number: str, code: str, ttl_s: int) -> None:
        """Take a code."""
        self.sent.put_nowait(code)


async def _register(relay: Relay, keys: IdentityKeys, number: str = _NUMBER) -> None:
    async with RegistrationClient(relay.address, rng=os.urandom) as registration:
        started = await registration.start_verification(number)
        assert started.ticket is not None
        await registration.register(keys, started.ticket)


def _transport(relay: Relay, keys: IdentityKeys, tokens: MemoryTokens) -> RelayTransport:
    return RelayTransport(relay.address, keys, tokens=tokens, rng=os.urandom, jitter=at_once)


async def test_registering_with_a_code_and_what_can_go_wrong() -> None:
    codes, keys = Codes(), IdentityKeys.generate(os.urandom)
    async with Relay(RelayOptions(port=0, verify="log"), code_delivery=codes) as relay:
        async with RegistrationClient(relay.address, rng=os.urandom) as registration:
            view = await registration.connect()
            assert (view.registration, view.verification, view.is_pinned) == ("open", "log", True)
            with pytest.raises(Refused) as refused:
                await registration.start_verification("not a number")
            assert refused.value.code == "invalid-number"
            started = await registration.start_verification(_NUMBER)
            assert started.ticket is None
            code = await asyncio.wait_for(codes.sent.get(), WAIT_S)
            with pytest.raises(Refused) as refused:
                await registration.start_verification(_NUMBER)
            assert refused.value.code == "resend-too-soon"
            assert refused.value.is_temporary
            with pytest.raises(Refused) as refused:
                await registration.check_code(_NUMBER, f"{(int(code) + 1) % 1_000_000:06d}")
            assert refused.value.code == "wrong-code"
            ticket = await registration.check_code(_NUMBER, code)
            await registration.register(keys, ticket)
            # The answer may have been lost: the same again does no harm, somebody else's does.
            await registration.register(keys, ticket)
            with pytest.raises(Refused) as refused:
                await registration.register(IdentityKeys.generate(os.urandom), ticket)
            assert refused.value.code == "ticket-invalid"
        async with running(_transport(relay, keys, MemoryTokens())) as reports:
            await reports.next(LinkUp)


async def test_a_relay_that_restarts_is_found_again_by_token_and_loses_nothing(tmp_path: Path) -> None:
    ada, ben = IdentityKeys.generate(os.urandom), IdentityKeys.generate(os.urandom)
    options = RelayOptions(port=0, verify="none", data_dir=tmp_path / "relay", reconnect_after_s=0.05)
    first = Relay(options)
    await first.start()
    await _register(first, ada)
    await _register(first, ben, "+4915123456001")
    port = first.port
    ben_tokens, ada_tokens = MemoryTokens(), MemoryTokens()
    ada_way, ben_way = _transport(first, ada, ada_tokens), _transport(first, ben, ben_tokens)
    async with running(ada_way) as ada_reports, running(ben_way) as ben_reports:
        await ada_reports.next(LinkUp)
        await ben_reports.next(LinkUp)
        token = await ben_tokens.next_saved()
        await ada_way.send(EnvelopeId(b"1" * 16), ben.uid, bytes(512), _EXPIRY_S)
        (before,) = await ben_reports.deliveries(1)
        await first.stop()
        down = await ben_reports.next(LinkDown)
        assert down.reason == "The relay is stopping or restarting."
        # The relay gives each client a time of its own, so that not all of them come back at once.
        assert down.retry_in_s is not None
        assert 0.05 <= down.retry_in_s < 1.0
        second = Relay(RelayOptions(port=port, verify="none", data_dir=tmp_path / "relay"))
        await second.start()
        try:
            await ben_reports.next(LinkUp)
            await ada_reports.next(LinkUp)
            assert ben_tokens.token == token
            again: list[Delivery] = await ben_reports.deliveries(1)
            assert (again[0].envelope, again[0].payload) == (before.envelope, before.payload)
            assert again[0].token != before.token
        finally:
            await second.stop()


async def test_the_connection_outlives_its_first_token() -> None:
    keys, tokens = IdentityKeys.generate(os.urandom), MemoryTokens()
    async with Relay(RelayOptions(port=0, verify="none", token_ttl_s=2)) as relay:
        await _register(relay, keys)
        transport = _transport(relay, keys, tokens)
        async with running(transport) as reports:
            seen = {await tokens.next_saved() for _ in range(3)}
            assert len(seen) == 3
            assert await transport.look_up(_NUMBER) == keys.uid
            assert [type(event) for event in reports.all].count(LinkUp) == 1


async def test_the_newer_of_two_connections_of_one_account_stays() -> None:
    keys = IdentityKeys.generate(os.urandom)
    async with Relay(RelayOptions(port=0, verify="none")) as relay:
        await _register(relay, keys)
        async with running(_transport(relay, keys, MemoryTokens())) as older:
            await older.next(LinkUp)
            async with running(_transport(relay, keys, MemoryTokens())) as newer:
                await newer.next(LinkUp)
                down = await older.next(LinkDown)
                assert "connected from somewhere else" in down.reason
                assert down.retry_in_s == 300.0
                assert not any(isinstance(event, LinkDown) for event in newer.all)


async def test_an_account_that_the_relay_does_not_know_is_told_so() -> None:
    async with Relay(RelayOptions(port=0, verify="none")) as relay:
        stranger = _transport(relay, IdentityKeys.generate(os.urandom), MemoryTokens())
        async with running(stranger) as reports:
            down = await reports.next(LinkDown)
            assert down.reason == "The relay has no account for this profile."


async def test_a_relay_with_another_key_at_the_same_place_is_not_trusted() -> None:
    keys = IdentityKeys.generate(os.urandom)
    async with Relay(RelayOptions(port=0, verify="none")) as relay:
        await _register(relay, keys)
        old = relay.address
    async with Relay(RelayOptions(port=old.port, verify="none")):
        transport = RelayTransport(old, keys, tokens=MemoryTokens(), rng=os.urandom)
        async with running(transport) as reports:
            down = await reports.next(LinkDown)
            assert (down.is_trusted, down.retry_in_s) == (False, None)
            with pytest.raises(NotTrusted):
                await transport.look_up(_NUMBER)
