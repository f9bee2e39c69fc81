"""From an address to an account: what the wizard learns, and what it is told when a relay says no or lies."""

from __future__ import annotations

import os

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.kit.links import until
from tests.kit.scripted_relay import Peer, Script, scripted_relay
from zap2.address import RelayAddress
from zap2.client.relay.dialing import Patience
from zap2.client.relay.registration import RegistrationClient
from zap2.crypto.identity import Identity, IdentityKeys
from zap2.errors import NotTrusted, ProtocolViolation, Refused, Unreachable
from zap2.wire import frames as f
from zap2.wire.fields import ErrorCode
from zap2.wire.statements import register_statement

_KEYS = IdentityKeys.generate(os.urandom)
_NUMBER = "+4915123456000"
_TICKET = b"k" * 32
_PATIENCE = Patience(connect_s=5.0, answer_s=5.0, close_s=1.0)


def _client(address: RelayAddress) -> RegistrationClient:
    return RegistrationClient(address, rng=os.urandom, patience=_PATIENCE)


async def _answer(peer: Peer) -> None:
    """Do what a good relay does, for one connection."""
    await peer.greet()
    while True:
        match await peer.read_any():
            case f.StartVerification() as request:
                await peer.say(f.VerificationStarted(request.rid, _NUMBER, "log", 600, 30, None))
            case f.CheckCode(code="123456") as request:
                await peer.say(f.Ticket(request.rid, _TICKET, 1800))
            case f.CheckCode() as request:
                await peer.say(f.Error(request.rid, "wrong-code", "This is not the code.", None))
            case f.Register() as request:
                await peer.say(f.Registered(request.rid, _KEYS.uid))


def _greet_then(then: Script) -> Script:
    async def script(peer: Peer) -> None:
        await peer.greet()
        await then(peer)
        await peer.hold()

    return script


async def test_the_steps_of_a_signup_in_order() -> None:
    registers: list[f.Register] = []

    async def answer(peer: Peer) -> None:
        try:
            await _answer(peer)
        finally:
            registers.extend(frame for m in peer.messages for frame in m if isinstance(frame, f.Register))

    async with scripted_relay(answer) as relay:
        async with _client(relay.unpinned) as registration:
            view = await registration.connect()
            assert (view.address, view.fingerprint) == (str(relay.address), relay.fingerprint)
            assert (view.is_pinned, view.is_encrypted) == (False, False)
            assert (view.registration, view.verification) == ("open", "log")
            started = await registration.start_verification(_NUMBER)
            assert started.ticket is None
            assert (started.view.is_needed, started.view.number, started.view.method) == (
                True,
                _NUMBER,
                "log",
            )
            assert (started.view.expires_in_s, started.view.resend_after_s) == (600, 30)
            with pytest.raises(Refused) as refused:
                await registration.check_code(_NUMBER, "000000")
            assert refused.value.code == "wrong-code"
            assert refused.value.hint
            ticket = await registration.check_code(_NUMBER, "123456")
            assert ticket == _TICKET
            await registration.register(_KEYS, ticket)
        relay_key = relay.key.public_key().public_bytes_raw()
        statement = register_statement(relay_key, relay.peers[0].challenge, _TICKET, _KEYS.document)
    identity = Identity.parse(registers[0].document, registers[0].document_signature)
    identity.verify(statement, registers[0].proof)


async def test_a_relay_that_asks_for_no_code_gives_the_ticket_at_once() -> None:
    async def start(peer: Peer) -> None:
        request = await peer.read(f.StartVerification)
        await peer.say(f.VerificationStarted(request.rid, _NUMBER, "none", 1800, 0, _TICKET))

    async with scripted_relay(_greet_then(start)) as relay, _client(relay.address) as registration:
        assert (await registration.connect()).is_pinned
        started = await registration.start_verification(_NUMBER)
        assert (started.ticket, started.view.is_needed) == (_TICKET, False)
        assert "kkkk" not in repr(started)


async def test_a_connection_that_ended_between_two_steps_is_opened_again() -> None:
    async def end_early(peer: Peer) -> None:
        await peer.greet()
        request = await peer.read(f.StartVerification)
        await peer.say(f.VerificationStarted(request.rid, _NUMBER, "log", 600, 30, None), f.Draining(0.1))
        await peer.close(4005)

    async with scripted_relay(end_early, _answer) as relay:
        async with _client(relay.unpinned) as registration:
            await registration.connect()
            await registration.start_verification(_NUMBER)
            await until(lambda: not registration.is_connected)
            assert await registration.check_code(_NUMBER, "123456") == _TICKET
        assert len(relay.peers) == 2


async def test_the_key_of_the_first_connection_must_be_that_of_the_next() -> None:
    async def greet_and_end(peer: Peer) -> None:
        await peer.greet()
        await peer.close(1001)

    async def greet_with_another_key(peer: Peer) -> None:
        relay.key = Ed25519PrivateKey.generate()
        other = Peer(peer.websocket, relay.key, peer.index)
        await other.greet()
        await other.hold()

    async with (
        scripted_relay(greet_and_end, greet_with_another_key) as relay,
        _client(relay.unpinned) as registration,
    ):
        await registration.connect()
        await until(lambda: not registration.is_connected)
        with pytest.raises(NotTrusted):
            await registration.start_verification(_NUMBER)


async def test_a_connection_that_breaks_in_a_step_is_not_repeated_behind_ones_back() -> None:
    async def break_off(peer: Peer) -> None:
        await peer.read(f.CheckCode)
        peer.websocket.transport.abort()

    async with scripted_relay(_greet_then(break_off)) as relay:
        async with _client(relay.address) as registration:
            with pytest.raises(Unreachable):
                await registration.check_code(_NUMBER, "123456")
        assert len(relay.peers) == 1


@pytest.mark.parametrize("number", ["+49\x1b[2J15123", "15123456000", ""])
async def test_a_number_that_is_none_is_not_shown_to_the_person(number: str) -> None:
    async def start(peer: Peer) -> None:
        request = await peer.read(f.StartVerification)
        await peer.websocket.send(
            b"\x91\x97\x44"
            + bytes([request.rid, 0xA0 + len(number)])
            + number.encode()
            + b"\xa3log\x00\x00\xc0"
        )

    async with scripted_relay(_greet_then(start)) as relay, _client(relay.address) as registration:
        with pytest.raises(ProtocolViolation):
            await registration.start_verification(_NUMBER)


async def test_words_of_the_greeting_are_made_harmless() -> None:
    async def greet(peer: Peer) -> None:
        greeting = peer.greeting(await peer.read(f.ClientHello))
        await peer.say(
            f.Greeting(greeting.relay_key, greeting.challenge, "closed", "\x1b]0;\u202ex", greeting.signature)
        )
        await peer.hold()

    async with scripted_relay(greet) as relay, _client(relay.address) as registration:
        view = await registration.connect()
    assert view.registration == "closed"
    assert not {"\x1b", "\u202e"} & set(view.verification)


async def test_mail_before_log_in_breaks_the_protocol() -> None:
    async def deliver(peer: Peer) -> None:
        await peer.read(f.StartVerification)
        await peer.say(f.Deliver(1, bytes(16), 0, bytes(512)))

    async with scripted_relay(_greet_then(deliver)) as relay, _client(relay.address) as registration:
        with pytest.raises(ProtocolViolation, match="has not logged in"):
            await registration.start_verification(_NUMBER)


async def test_a_relay_that_registers_somebody_else_is_caught() -> None:
    async def register(peer: Peer) -> None:
        request = await peer.read(f.Register)
        await peer.say(f.Registered(request.rid, bytes(32)))

    async with scripted_relay(_greet_then(register)) as relay, _client(relay.address) as registration:
        with pytest.raises(ProtocolViolation, match="another account"):
            await registration.register(_KEYS, _TICKET)


@pytest.mark.parametrize("code", list(ErrorCode))
async def test_every_refusal_of_a_relay_has_a_hint_and_keeps_its_code(code: ErrorCode) -> None:
    async def refuse(peer: Peer) -> None:
        request = await peer.read(f.CheckCode)
        await peer.say(f.Error(request.rid, code, "The words of the relay.", None))

    async with scripted_relay(_greet_then(refuse)) as relay, _client(relay.address) as registration:
        with pytest.raises(Refused, match="The words of the relay") as refused:
            await registration.check_code(_NUMBER, "123456")
    assert refused.value.code == code
    assert refused.value.hint
