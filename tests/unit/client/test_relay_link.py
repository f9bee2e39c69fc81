"""The link opens itself again as it should: whom it trusts, how it logs in, and how long it waits."""

from __future__ import annotations

import asyncio
import os

import pytest

from tests.kit.accounts import (
    KEYS,
    PATIENCE,
    admit_and,
    admit_and_hold,
    at_once,
    longest,
    make_transport,
)
from tests.kit.links import MemoryTokens, running
from tests.kit.scripted_relay import Peer, scripted_relay
from zap2.client.relay.link import RelayTransport
from zap2.client.transport import LinkConnecting, LinkDown, LinkUp
from zap2.crypto.identity import Identity
from zap2.errors import NotTrusted
from zap2.ids import Uid
from zap2.wire import frames as f
from zap2.wire.statements import login_statement

_SOMEBODY = Uid(b"s" * 32)


# ----------------------------------------------------------------------------------------------- logging in


async def test_the_first_log_in_proves_the_identity_to_this_relay_and_keeps_the_token() -> None:
    logins: list[f.Authenticate | f.Resume] = []

    async def admit(peer: Peer) -> None:
        logins.append(await peer.admit(b"1" * 32))
        await peer.hold()

    tokens = MemoryTokens()
    async with scripted_relay(admit) as relay, running(make_transport(relay, tokens)) as reports:
        assert await reports.next(LinkUp) == LinkUp(stock=100, highest_sid=3, highest_oid=99, acknowledged=0)
        assert reports.all == [LinkConnecting(), LinkUp(100, 3, 99, 0)]
        relay_key = relay.key.public_key().public_bytes_raw()
        statement = login_statement(relay_key, relay.peers[0].challenge, KEYS.uid, 1)
    assert tokens.token == b"1" * 32
    assert isinstance(logins[0], f.Authenticate)
    Identity(logins[0].document, KEYS.document_signature).verify(statement, logins[0].signature)


async def test_a_kept_token_resumes_without_the_key() -> None:
    logins: list[f.Authenticate | f.Resume] = []

    async def admit(peer: Peer) -> None:
        logins.append(await peer.admit(b"1" * 32))
        await peer.hold()

    async with (
        scripted_relay(admit) as relay,
        running(make_transport(relay, MemoryTokens(b"1" * 32))) as reports,
    ):
        await reports.next(LinkUp)
    assert [(type(login), getattr(login, "token", None)) for login in logins] == [(f.Resume, b"1" * 32)]


@pytest.mark.parametrize("code", ["token-expired", "token-unknown"])
async def test_a_token_that_is_no_longer_good_gives_way_to_the_key_on_the_same_connection(code: str) -> None:
    async def refuse_token(peer: Peer) -> None:
        await peer.greet()
        resume = await peer.read(f.Resume)
        await peer.say(f.Error(resume.rid, code, "no", None))
        login = await peer.read(f.Authenticate)
        await peer.say(f.LoggedIn(login.rid, b"2" * 32, 900, 0, 0, -1, 0))
        await peer.hold()

    tokens = MemoryTokens(b"1" * 32)
    async with scripted_relay(refuse_token) as relay, running(make_transport(relay, tokens)) as reports:
        await reports.next(LinkUp)
        assert len(relay.peers) == 1
    assert tokens.token == b"2" * 32


async def test_the_token_is_renewed_on_the_open_connection_before_it_expires() -> None:
    renewed_after_s: list[float] = []

    async def renew(peer: Peer) -> None:
        clock = asyncio.get_running_loop().time
        await peer.admit(b"1" * 32, expires_in_s=2)
        began_s = clock()
        request = await peer.read(f.RenewToken)
        renewed_after_s.append(clock() - began_s)
        await peer.say(f.Error(request.rid, "rate-limited", "in a moment", 0.1))
        request = await peer.read(f.RenewToken)
        await peer.say(f.TokenIssued(request.rid, b"2" * 32, 0))
        request = await peer.read(f.RenewToken)
        await peer.say(f.TokenIssued(request.rid, b"3" * 32, 900))
        await peer.hold()

    tokens = MemoryTokens()
    async with scripted_relay(renew) as relay, running(make_transport(relay, tokens)) as reports:
        await reports.next(LinkUp)
        assert [await tokens.next_saved() for _ in range(3)] == [b"1" * 32, b"2" * 32, b"3" * 32]
        assert not any(isinstance(event, LinkDown) for event in reports.all)
    assert 1.0 < renewed_after_s[0] < 2.0


async def test_a_token_that_cannot_be_renewed_costs_one_new_log_in() -> None:
    async def refuse_renewal(peer: Peer) -> None:
        await peer.admit(b"1" * 32, expires_in_s=0)
        request = await peer.read(f.RenewToken)
        await peer.say(f.Error(request.rid, "token-expired", "no", None))
        await peer.close(4003)

    async with (
        scripted_relay(refuse_renewal, admit_and_hold) as relay,
        running(make_transport(relay)) as reports,
    ):
        assert "expired or was revoked" in (await reports.next(LinkDown)).reason
        await reports.next(LinkUp)


async def test_a_refused_log_in_is_told_and_left_alone_for_long() -> None:
    async def refuse(peer: Peer) -> None:
        await peer.greet()
        login = await peer.read(f.Authenticate)
        await peer.say(f.Error(login.rid, "not-found", "who?", None))
        await peer.hold()

    async with scripted_relay(refuse) as relay, running(make_transport(relay)) as reports:
        down = await reports.next(LinkDown)
    assert down == LinkDown("The relay has no account for this profile.", 300.0, refused="not-found")


async def test_a_log_in_that_is_refused_for_now_waits_as_long_as_it_was_told() -> None:
    async def refuse(peer: Peer) -> None:
        await peer.greet()
        resume = await peer.read(f.Resume)
        await peer.say(f.Error(resume.rid, "rate-limited", "too often", 42.0))
        await peer.hold()

    tokens = MemoryTokens(b"1" * 32)
    async with scripted_relay(refuse) as relay, running(make_transport(relay, tokens)) as reports:
        down = await reports.next(LinkDown)
    assert down == LinkDown("The relay refused the log-in: too often", 42.0)
    assert tokens.token == b"1" * 32


# ---------------------------------------------------------------------------------------------------- trust


async def test_an_untrusted_relay_is_not_tried_again_until_the_person_says_so() -> None:
    async with scripted_relay(admit_and_hold) as relay:
        transport = make_transport(relay.unpinned.with_fingerprint("a" * 32))
        async with running(transport) as reports:
            down = await reports.next(LinkDown)
            assert (down.retry_in_s, down.is_trusted) == (None, False)
            with pytest.raises(NotTrusted, match="another key"):
                await transport.look_up("+4915123456000")
            assert len(relay.peers) == 1
            transport.hurry()
            await reports.next(LinkDown)
            assert len(relay.peers) == 2


async def test_the_first_key_is_pinned_before_anything_is_sent_and_holds_from_then_on() -> None:
    pinned: list[tuple[str, int]] = []

    async def admit(peer: Peer) -> None:
        await peer.admit()
        await peer.close(1001)

    async with scripted_relay(admit, admit_and_hold) as relay:

        async def pin(fingerprint: str) -> None:
            pinned.append((fingerprint, len(relay.peers[0].messages)))

        transport = RelayTransport(
            relay.unpinned,
            KEYS,
            tokens=MemoryTokens(),
            rng=os.urandom,
            on_pinned=pin,
            patience=PATIENCE,
            jitter=at_once,
        )
        async with running(transport) as reports:
            await reports.next(LinkUp)
            await reports.next(LinkUp)
        assert pinned == [(relay.fingerprint, 1)]
        assert transport.address == relay.address


# ------------------------------------------------------------------------------------------------ the waits


async def test_waits_grow_while_nobody_answers_and_hurry_cuts_them() -> None:
    async with scripted_relay(admit_and_hold) as relay:
        address = relay.address
    transport = make_transport(address, jitter=longest)
    async with running(transport) as reports:
        waits: list[float | None] = []
        for _ in range(9):
            down = await reports.next(LinkDown)
            assert "Nobody listens" in down.reason
            waits.append(down.retry_in_s)
            transport.hurry()
    assert waits == [0.5, 1, 2, 4, 8, 16, 32, 60, 60]


async def test_waits_begin_anew_only_after_a_connection_that_held() -> None:
    clock = {"now_s": 0.0}

    async def break_off(peer: Peer) -> None:
        await peer.admit()
        request = await peer.read(f.Lookup)
        await peer.say(f.Found(request.rid, _SOMEBODY))
        await peer.close(1001)

    async with scripted_relay(break_off) as relay:
        transport = make_transport(relay, jitter=longest, now_s=lambda: clock["now_s"])
        async with running(transport) as reports:
            waits: list[float | None] = []
            for held_s in (0.0, 9.0, 9.9, 10.0, 0.0):
                await reports.next(LinkUp)
                clock["now_s"] += held_s
                await transport.look_up("+4915123456000")
                waits.append((await reports.next(LinkDown)).retry_in_s)
                transport.hurry()
    assert waits == [0.5, 1, 2, 0.5, 1]


async def test_a_wait_ends_by_itself() -> None:
    async with scripted_relay(admit_and(Peer.close), admit_and_hold) as relay:
        async with running(make_transport(relay, jitter=lambda: 0.1)) as reports:
            await reports.next(LinkUp)
            assert (await reports.next(LinkDown)).retry_in_s == pytest.approx(0.05)
            await reports.next(LinkUp)
        assert len(relay.peers) == 2


async def test_a_relay_that_drains_is_left_alone_for_as_long_as_it_asked() -> None:
    async def drain(peer: Peer) -> None:
        await peer.admit()
        await peer.say(f.Draining(20.0))
        await peer.close(1001)

    async with scripted_relay(drain) as relay, running(make_transport(relay, jitter=longest)) as reports:
        down = await reports.next(LinkDown)
    assert down == LinkDown("The relay is stopping or restarting.", 30.0)


async def test_being_replaced_by_another_connection_is_told_and_not_fought() -> None:
    async def replace(peer: Peer) -> None:
        await peer.admit()
        await peer.close(4002)

    async with scripted_relay(replace) as relay, running(make_transport(relay)) as reports:
        down = await reports.next(LinkDown)
    assert "connected from somewhere else" in down.reason
    assert down.retry_in_s == 300.0


async def test_being_blocked_while_connected_is_told_and_not_fought() -> None:
    async def block(peer: Peer) -> None:
        await peer.admit()
        await peer.close(4007)

    async with scripted_relay(block) as relay, running(make_transport(relay)) as reports:
        down = await reports.next(LinkDown)
    assert down.reason == "The relay's host has blocked this account."
    assert (down.refused, down.retry_in_s) == ("account-blocked", 300.0)
