"""Logging in over real sockets: challenge, token, resumption, renewal, expiry, revocation, replacement."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from tests.relay_client import NUMBERS, Person, connected, logged_in, new_person
from tests.relay_host import relay_host
from zap2.ids import Uid
from zap2.server.limits import Limits, Rate
from zap2.wire import frames as f
from zap2.wire.fields import CloseCode, ErrorCode
from zap2.wire.statements import relay_fingerprint


async def test_the_greeting_proves_the_key_in_the_address() -> None:
    async with relay_host() as host, connected(host.port) as one, connected(host.port) as two:
        assert relay_fingerprint(one.greeting.relay_key) == host.relay.fingerprint
        assert one.greeting.challenge != two.greeting.challenge


async def test_a_token_resumes_a_dropped_connection() -> None:
    async with relay_host() as host:
        person = await new_person(host.port, NUMBERS[0])
        async with logged_in(host.port, person):
            pass
        host.clock.advance(600)
        async with connected(host.port) as client:
            again = await client.get(f.LoggedIn, lambda rid: f.Resume(rid, person.token))
            assert again.token == person.token
            assert again.expires_in_s == 300  # resuming does not lengthen a token's life
            assert isinstance(await client.mail_to(person), f.Sent)


async def test_an_expired_token_and_an_unknown_one_are_refused() -> None:
    async with relay_host() as host:
        person = await new_person(host.port, NUMBERS[0])
        async with logged_in(host.port, person):
            pass
        host.clock.advance(900)
        async with connected(host.port) as client:
            error = await client.refused(lambda rid: f.Resume(rid, person.token))
            assert error.code == ErrorCode.TOKEN_EXPIRED
            error = await client.refused(lambda rid: f.Resume(rid, os.urandom(32)))
            assert error.code == ErrorCode.TOKEN_UNKNOWN
            await client.log_in(person)  # on the same connection


async def test_a_connection_ends_with_its_token() -> None:
    async with relay_host() as host:
        person = await new_person(host.port, NUMBERS[0])
        async with logged_in(host.port, person) as client:
            host.clock.advance(900)
            assert await client.closed() == CloseCode.TOKEN_EXPIRED


async def test_a_request_with_an_expired_token_is_refused() -> None:
    async with relay_host() as host:
        person = await new_person(host.port, NUMBERS[0])
        async with logged_in(host.port, person) as client:
            host.clock.advance(900)
            answer = await client.mail_to(person)
            assert isinstance(answer, f.Error)
            assert answer.code == ErrorCode.TOKEN_EXPIRED
            assert await client.closed() == CloseCode.TOKEN_EXPIRED


async def test_renewal_keeps_the_connection_and_makes_the_old_token_void() -> None:
    async with relay_host() as host:
        person = await new_person(host.port, NUMBERS[0])
        async with logged_in(host.port, person) as client:
            host.clock.advance(800)
            fresh = await client.get(f.TokenIssued, f.RenewToken)
            assert (fresh.expires_in_s, fresh.token != person.token) == (900, True)
            host.clock.advance(800)
            assert isinstance(await client.mail_to(person), f.Sent)
        async with connected(host.port) as client:
            error = await client.refused(lambda rid: f.Resume(rid, person.token))
            assert error.code == ErrorCode.TOKEN_UNKNOWN
            await client.get(f.LoggedIn, lambda rid: f.Resume(rid, fresh.token))


async def test_revocation_ends_every_token_and_connection_of_the_account() -> None:
    async with relay_host() as host:
        person, other = await new_person(host.port, NUMBERS[0]), await new_person(host.port, NUMBERS[1])
        async with logged_in(host.port, other) as bystander, logged_in(host.port, person) as client:
            await client.get(f.Done, f.RevokeTokens)
            assert await client.closed() == CloseCode.TOKEN_EXPIRED
            async with connected(host.port) as again:
                error = await again.refused(lambda rid: f.Resume(rid, person.token))
                assert error.code == ErrorCode.TOKEN_UNKNOWN
                await again.log_in(person)
            assert isinstance(await bystander.mail_to(person), f.Sent)


async def test_a_slow_revocation_is_answered_before_its_connection_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The relay looks after its connections meanwhile, and this one's token is void already."""
    async with relay_host() as host:
        person = await new_person(host.port, NUMBERS[0])
        tokens = host.relay._services.tokens
        drop_tokens = tokens.drop_tokens

        async def drop_slowly(uid: Uid) -> None:
            for session in host.relay._connections.values():
                assert session is not None
                session.tick()
            await drop_tokens(uid)

        monkeypatch.setattr(tokens, "drop_tokens", drop_slowly)
        async with logged_in(host.port, person) as client:
            await client.get(f.Done, f.RevokeTokens)
            assert await client.closed() == CloseCode.TOKEN_EXPIRED


async def test_a_newer_connection_replaces_the_older_one_and_gets_the_mail() -> None:
    async with relay_host() as host:
        person = await new_person(host.port, NUMBERS[0])
        async with logged_in(host.port, person) as older:
            await older.mail_to(person)
            first = await older.next_mail()
            async with logged_in(host.port, person) as newer:
                assert await older.closed() == CloseCode.REPLACED
                again = await newer.next_mail()
                assert (again.seq, again.envelope_id) == (first.seq, first.envelope_id)
                await newer.mail_to(person)
                assert (await newer.next_mail()).seq > again.seq


async def test_a_signature_counts_for_its_own_connection_key_and_device_only() -> None:
    async with relay_host() as host:
        person, other = await new_person(host.port, NUMBERS[0]), await new_person(host.port, NUMBERS[1])
        async with connected(host.port) as client, connected(host.port) as elsewhere:
            replayed = elsewhere.authentication(1, person)
            error = await client.refused(lambda rid: f.Authenticate(rid, *_fields(replayed)))
            assert error.code == ErrorCode.BAD_SIGNATURE
            foreign = client.authentication(1, other)
            error = await client.refused(
                lambda rid: f.Authenticate(rid, person.keys.document, 1, foreign.signature)
            )
            assert error.code == ErrorCode.BAD_SIGNATURE
            error = await client.refused(
                lambda rid: f.Authenticate(rid, person.keys.document, 2, replayed.signature)
            )
            assert error.code == ErrorCode.NOT_FOUND


def _fields(frame: f.Authenticate) -> tuple[bytes, int, bytes]:
    return frame.document, frame.device, frame.signature


async def test_an_unknown_identity_is_not_found() -> None:
    async with relay_host() as host, connected(host.port) as client:
        stranger = Person()
        error = await client.refused(lambda rid: client.authentication(rid, stranger))
        assert error.code == ErrorCode.NOT_FOUND


async def test_one_connection_logs_in_once_even_if_two_are_under_way() -> None:
    """Otherwise a connection could send as one account and receive as another."""
    async with relay_host() as host:
        one, two = await new_person(host.port, NUMBERS[0]), await new_person(host.port, NUMBERS[1])
        async with connected(host.port) as client:
            answers = await asyncio.gather(
                client.ask(lambda rid: client.authentication(rid, one)),
                client.ask(lambda rid: client.authentication(rid, two)),
            )
            assert sorted(type(answer).__name__ for answer in answers) == ["Error", "LoggedIn"]


async def test_log_ins_of_one_account_are_limited() -> None:
    async with relay_host(limits=Limits(logins_per_account=Rate(2, 0.1))) as host:
        person = await new_person(host.port, NUMBERS[0])
        for _ in range(2):
            async with logged_in(host.port, person):
                pass
        async with connected(host.port) as client:
            error = await client.refused(lambda rid: client.authentication(rid, person))
            assert error.code == ErrorCode.RATE_LIMITED
            assert error.retry_after_s


async def test_log_ins_of_one_source_are_limited_whoever_logs_in() -> None:
    """Guards a relay against one host with many accounts; resuming by a token counts as well."""
    async with relay_host(limits=Limits(logins_per_source=Rate(3, 0.1))) as host:
        people = [await new_person(host.port, number) for number in NUMBERS[:2]]
        for person in people:
            async with logged_in(host.port, person):
                pass
        async with connected(host.port) as client:
            await client.get(f.LoggedIn, lambda rid: f.Resume(rid, people[0].token))
        async with connected(host.port) as client:
            error = await client.refused(lambda rid: client.authentication(rid, people[1]))
            assert error.code == ErrorCode.RATE_LIMITED
            assert error.retry_after_s
            error = await client.refused(lambda rid: f.Resume(rid, people[1].token))
            assert error.code == ErrorCode.RATE_LIMITED


async def test_tokens_survive_a_restart_of_the_relay(tmp_path: Path) -> None:
    async with relay_host(tmp_path / "data") as host:
        person = await new_person(host.port, NUMBERS[0])
        async with logged_in(host.port, person):
            pass
        fingerprint = host.relay.fingerprint
    async with relay_host(tmp_path / "data") as host:
        assert host.relay.fingerprint == fingerprint
        async with connected(host.port) as client:
            await client.get(f.LoggedIn, lambda rid: f.Resume(rid, person.token))


async def test_a_connection_that_is_gone_before_its_login_is_done_is_not_online() -> None:
    """It would be a leak, and mail would be pushed into nothing until the next restart."""
    async with relay_host(commit_window_s=0.05) as host:
        person = await new_person(host.port, NUMBERS[0])
        for _ in range(3):
            async with connected(host.port) as client:
                await client.send(client.authentication(1, person))
                await client.abandon()
        async with logged_in(host.port, await new_person(host.port, NUMBERS[1])):
            assert host.relay.online_count == 1
