"""Sealed sending over real sockets: who has the token gets in, everybody else learns nothing, and nothing is kept."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from tests.relay_client import NUMBERS, FrameClient, Person, connected, logged_in, new_person
from tests.relay_host import RelayHost, relay_host
from zap2.ids import EnvelopeId, Uid
from zap2.server.limits import Limits, Rate
from zap2.wire import frames as f
from zap2.wire.fields import SUBPROTOCOL, CloseCode, ErrorCode
from zap2.wire.statements import delivery_token_hash

_TOKEN, _OTHER = b"right token".ljust(32, b"."), b"other token".ljust(32, b".")


async def _owner(host: RelayHost, number: int = 0, token: bytes | None = _TOKEN) -> Person:
    """Make an account that has left a delivery token."""
    owner = await new_person(host.port, NUMBERS[number])
    async with logged_in(host.port, owner) as client:
        await client.leave_token(token)
    return owner


def _code(answer: f.Answer) -> str:
    assert isinstance(answer, f.Error), answer
    return answer.code


async def test_who_has_the_token_gets_in_without_saying_who_it_is() -> None:
    async with relay_host() as host:
        owner = await _owner(host)
        async with connected(host.port) as client:
            answers = [await client.sealed_to(owner, _TOKEN, bytes([n]) * 512) for n in (1, 2)]
        assert answers == [f.Sent(1, "stored", 0), f.Sent(2, "stored", 0)]
        assert host.relay._services.counts.sealed == 2
        async with logged_in(host.port, owner) as client:
            mail = [await client.next_mail() for _ in range(2)]
            assert [deliver.payload[0] for deliver in mail] == [1, 2]
            await client.mail_to(owner)
            assert (await client.next_mail()).seq > mail[1].seq


async def test_the_answer_does_not_tell_whether_the_receiver_is_online() -> None:
    async with relay_host() as host:
        owner = await _owner(host)
        async with logged_in(host.port, owner) as receiver, connected(host.port) as client:
            await receiver.mail_to(owner)  # the mailbox is not empty
            sending = asyncio.create_task(client.sealed_to(owner, _TOKEN))
            mail = [await receiver.next_mail() for _ in range(2)]
            await receiver.send(f.Ack(tuple(deliver.seq for deliver in mail)))
            assert await sending == f.Sent(1, "stored", 0)


async def _raw_answer(host: RelayHost, request: f.SendSealed) -> bytes:
    uri = f"ws://127.0.0.1:{host.port}"
    async with connect(uri, subprotocols=[Subprotocol(SUBPROTOCOL)], compression=None) as socket:
        client = FrameClient(socket)
        await client.greet_only()
        await client.send(request)
        return await client.next_raw()


async def test_whatever_is_wrong_has_one_answer() -> None:
    """Byte for byte: so nobody learns who has an account here, a token, or the host's displeasure."""
    async with relay_host(limits=Limits(mailbox_messages=1)) as host:
        owner, bare, blocked = [await _owner(host, n, t) for n, t in ((0, _TOKEN), (1, None), (2, _TOKEN))]
        full = await _owner(host, 3)
        async with connected(host.port) as client:
            assert isinstance(await client.sealed_to(full, _TOKEN), f.Sent)
            assert _code(await client.sealed_to(full, _TOKEN)) == ErrorCode.MAILBOX_FULL
        await host.relay.operator.block(NUMBERS[2])

        def request(uid: bytes, token: bytes, device: int = 1) -> f.SendSealed:
            return f.SendSealed(7, token, bytes(16), uid, device, 60, bytes(512))

        refused = {
            await _raw_answer(host, wrong)
            for wrong in (
                request(owner.uid, _OTHER),
                request(owner.uid, delivery_token_hash(_TOKEN)),
                request(owner.uid, _TOKEN, device=2),
                request(bytes(32), _TOKEN),
                request(bare.uid, _TOKEN),
                request(blocked.uid, _TOKEN),
                request(full.uid, _OTHER),
            )
        }
        assert len(refused) == 1
        (answer,) = refused
        assert b"delivery-refused" in answer
        assert host.relay._services.counts.refusals[ErrorCode.DELIVERY_REFUSED] == 7


async def test_only_a_connection_that_is_nobodys_sends_sealed() -> None:
    async with relay_host() as host:
        owner = await _owner(host)
        async with logged_in(host.port, owner) as client:
            assert _code(await client.sealed_to(owner, _TOKEN)) == ErrorCode.BAD_REQUEST
            await client.heard()
            assert client.mail.empty()
        async with connected(host.port) as client:
            assert (
                _code(await client.ask(lambda rid: f.SetDeliveryToken(rid, None)))
                == ErrorCode.UNAUTHENTICATED
            )
            assert isinstance(await client.sealed_to(owner, _TOKEN), f.Sent)  # it changed nothing
            # Sign-up and log-in go on as ever.
            await client.get(f.VerificationStarted, lambda rid: f.StartVerification(rid, NUMBERS[5]))
            await client.log_in(owner)
            assert _code(await client.sealed_to(owner, _TOKEN)) == ErrorCode.BAD_REQUEST


async def test_a_repetition_stores_nothing_whoever_repeats_it() -> None:
    async with relay_host() as host:
        owner, name = await _owner(host), os.urandom(16)
        for _ in range(3):
            async with connected(host.port) as client:
                assert await client.sealed_to(owner, _TOKEN, envelope_id=name) == f.Sent(1, "stored", 0)
        async with logged_in(host.port, owner) as client:
            # The same id from somebody who says who it is is another envelope: nobody is shut out by guessing it.
            assert isinstance(await client.mail_to(owner, envelope_id=name), f.Sent)
            mail = [await client.next_mail() for _ in range(2)]
            assert [deliver.envelope_id for deliver in mail] == [name, name]
            await client.mail_to(owner, envelope_id=bytes(16))
            assert (await client.next_mail()).envelope_id == bytes(16)


async def test_a_new_token_shuts_out_at_once_and_the_owner_sees_what_the_relay_has() -> None:
    async with relay_host() as host:
        owner = await _owner(host)
        async with connected(host.port) as friend, connected(host.port) as client:
            assert (await client.log_in(owner)).delivery_token_hash == delivery_token_hash(_TOKEN)
            assert isinstance(await friend.sealed_to(owner, _TOKEN), f.Sent)
            await client.leave_token(_OTHER)
            assert _code(await friend.sealed_to(owner, _TOKEN)) == ErrorCode.DELIVERY_REFUSED
            assert isinstance(await friend.sealed_to(owner, _OTHER), f.Sent)
            await client.leave_token(None)
            assert _code(await friend.sealed_to(owner, _OTHER)) == ErrorCode.DELIVERY_REFUSED
        async with connected(host.port) as client:
            assert (await client.log_in(owner)).delivery_token_hash is None


async def test_a_token_outlives_the_relay(tmp_path: Path) -> None:
    async with relay_host(tmp_path) as host:
        owner = await _owner(host)
    async with relay_host(tmp_path) as host, connected(host.port) as client:
        assert isinstance(await client.sealed_to(owner, _TOKEN), f.Sent)


# ----------------------------------------------------------------------------------------------------- limits


async def _limited(host: RelayHost, owner: Person, token: bytes, payload: bytes = bytes(512)) -> float:
    """Send until the relay has had enough; gives how many came through."""
    async with connected(host.port) as client:
        for sent in range(1_000):
            answer = await client.sealed_to(owner, token, payload)
            if isinstance(answer, f.Error):
                assert answer.code == ErrorCode.RATE_LIMITED
                assert answer.retry_after_s
                return sent
    raise AssertionError("nothing stopped it")


async def test_all_who_share_a_token_share_its_limit_and_others_have_their_own() -> None:
    async with relay_host(limits=Limits(sealed_per_token=Rate(3, 0.1))) as host:
        owner, other = await _owner(host), await _owner(host, 1, _OTHER)
        assert await _limited(host, owner, _TOKEN) == 3
        assert await _limited(host, owner, _TOKEN) == 0
        assert await _limited(host, other, _OTHER) == 3
        host.clock.advance(20)
        assert await _limited(host, owner, _TOKEN) == 2


async def test_bytes_count_for_a_token_and_for_a_source() -> None:
    async with relay_host(limits=Limits(sealed_bytes_per_token=Rate(4096, 1))) as host:
        assert await _limited(host, await _owner(host), _TOKEN, bytes(1024)) == 4
    async with relay_host(limits=Limits(sealed_bytes_per_source=Rate(4096, 1))) as host:
        assert await _limited(host, await _owner(host), _TOKEN, bytes(2048)) == 2


async def test_a_source_has_a_limit_over_all_tokens_and_connections() -> None:
    async with relay_host(limits=Limits(sealed_per_source=Rate(4, 0.1))) as host:
        owner, other = await _owner(host), await _owner(host, 1, _OTHER)
        assert await _limited(host, owner, _TOKEN) == 4
        assert await _limited(host, other, _OTHER) == 0
        async with logged_in(host.port, other) as client:
            assert isinstance(await client.mail_to(owner), f.Sent)  # the way that says who it is stays open


async def test_wrong_tokens_slow_their_source_and_right_ones_do_not() -> None:
    async with relay_host(limits=Limits(wrong_tokens_per_source=Rate(3, 0.1))) as host:
        owner = await _owner(host)
        async with connected(host.port) as client:
            for _ in range(10):
                assert isinstance(await client.sealed_to(owner, _TOKEN), f.Sent)
            for _ in range(3):
                assert _code(await client.sealed_to(owner, os.urandom(32))) == ErrorCode.DELIVERY_REFUSED
            answer = await client.sealed_to(owner, os.urandom(32))
            assert isinstance(answer, f.Error)
            assert (answer.code, answer.retry_after_s) == (ErrorCode.RATE_LIMITED, 10.1)
        async with connected(host.port) as client:
            assert _code(await client.sealed_to(owner, os.urandom(32))) == ErrorCode.RATE_LIMITED
            host.clock.advance(10)
            assert _code(await client.sealed_to(owner, os.urandom(32))) == ErrorCode.DELIVERY_REFUSED
            assert _code(await client.sealed_to(owner, os.urandom(32))) == ErrorCode.RATE_LIMITED


async def _burst(client: FrameClient, owner: Person, tokens: list[bytes]) -> list[str]:
    """Send one envelope with each token in one message; gives what became of each, in order."""
    await client.send(
        *(
            f.SendSealed(1_000 + n, token, os.urandom(16), owner.uid, 1, 60, bytes(512))
            for n, token in enumerate(tokens)
        )
    )
    answers = [await client.next_pushed() for _ in tokens]
    by_rid = {answer.rid: answer for answer in answers if isinstance(answer, f.Sent | f.Error)}
    ordered = [by_rid[1_000 + n] for n in range(len(tokens))]
    return [answer.code if isinstance(answer, f.Error) else "sent" for answer in ordered]


async def test_a_burst_of_wrong_tokens_gets_no_more_of_them_looked_at() -> None:
    """They are counted by their answers; as many as could be wrong may wait for one."""
    async with relay_host(limits=Limits(wrong_tokens_per_source=Rate(3, 0.001))) as host:
        owner = await _owner(host)
        async with connected(host.port) as client, connected(host.port) as other:
            codes = await _burst(client, owner, [os.urandom(32) for _ in range(20)])
            assert codes == [ErrorCode.DELIVERY_REFUSED] * 3 + [ErrorCode.RATE_LIMITED] * 17
            assert await _burst(other, owner, [_TOKEN]) == [ErrorCode.RATE_LIMITED]


async def test_right_tokens_free_what_they_held() -> None:
    limits = Limits(
        wrong_tokens_per_source=Rate(2, 0.001), sealed_per_token=Rate(7, 0.001), mailbox_messages=4
    )
    async with relay_host(limits=limits) as host:
        owner, full = await _owner(host), await _owner(host, 1, _OTHER)
        async with connected(host.port) as client:
            for _ in range(2):
                assert await _burst(client, owner, [_TOKEN] * 2) == ["sent"] * 2
                assert await _burst(client, full, [_OTHER] * 2) == ["sent"] * 2
            # Neither what finds no room nor what is too often is wrong.
            for _ in range(3):
                assert await _burst(client, full, [_OTHER]) == [ErrorCode.MAILBOX_FULL]
            for _ in range(3):
                assert await _burst(client, full, [_OTHER]) == [ErrorCode.RATE_LIMITED]
            wrong = [os.urandom(32) for _ in range(3)]
            assert await _burst(client, owner, wrong) == [ErrorCode.DELIVERY_REFUSED] * 2 + [
                ErrorCode.RATE_LIMITED
            ]


async def test_an_address_with_many_people_sends_sealed_to_many_at_once() -> None:
    """Nobody behind it waits for the others' answers, though a few of their tokens are out of date."""
    async with relay_host() as host:
        owners = [await _owner(host, n, bytes([n]) * 32) for n in range(8)]
        async with contextlib.AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(connected(host.port)) for _ in owners]
            tokens = [[bytes([n]) * 32] * 60 + [_TOKEN] for n in range(len(owners))]
            codes = await asyncio.gather(*map(_burst, clients, owners, tokens))
        assert codes == [["sent"] * 60 + [ErrorCode.DELIVERY_REFUSED]] * len(owners)


async def test_an_owner_cannot_renew_without_end() -> None:
    async with relay_host(limits=Limits(delivery_tokens_per_account=Rate(2, 0.1))) as host:
        owner = await new_person(host.port, NUMBERS[0])
        async with logged_in(host.port, owner) as client:
            for _ in range(2):
                await client.leave_token(_TOKEN)
            refused = await client.refused(lambda rid: f.SetDeliveryToken(rid, None))
            assert refused.code == ErrorCode.RATE_LIMITED


async def test_a_flood_of_refused_ones_ends_the_connection() -> None:
    limits = Limits(wrong_tokens_per_source=Rate(1, 0.001), refusals_before_cut=5)
    async with relay_host(limits=limits) as host:
        owner = await _owner(host)
        async with connected(host.port) as client:
            await client.sealed_to(owner, _OTHER)
            await client.send(
                *(f.SendSealed(100 + n, _OTHER, bytes(16), owner.uid, 1, 60, bytes(512)) for n in range(6))
            )
            assert await client.closed() == CloseCode.FLOOD


# -------------------------------------------------------------------------------------------- what is not kept


async def test_a_connection_that_never_logs_in_may_stay_for_an_hour_and_no_longer() -> None:
    async with relay_host() as host:
        owner = await _owner(host)
        async with connected(host.port) as client:
            for _ in range(5):
                host.clock.advance(600)
                assert isinstance(await client.sealed_to(owner, _TOKEN), f.Sent)
            host.clock.advance(601)
            assert await client.closed() == CloseCode.SILENT


async def test_neither_data_nor_log_holds_a_token_or_where_an_envelope_came_from(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The same bytes from two strangers leave the same behind: there is nothing in which they could differ."""
    caplog.set_level(logging.DEBUG)
    async with relay_host(tmp_path / "data") as host:
        owner = await _owner(host)
        caplog.clear()
        async with connected(host.port) as client:
            for token in (_TOKEN, _OTHER):
                await client.sealed_to(owner, token, envelope_id=b"a known name 16b")
        kept = b"".join(path.read_bytes() for path in (tmp_path / "data").iterdir() if path.is_file())
        assert owner.uid in kept  # what is looked for is found when it is there
        assert b"a known name 16b" in kept
        assert delivery_token_hash(_TOKEN) in kept
        for secret in (_TOKEN, _OTHER, delivery_token_hash(_OTHER), b"127.0.0.1"):
            assert secret not in kept
        keys = host.relay._services.keys
        nobody = keys.dedupe_key(0, Uid(owner.uid), 1, EnvelopeId(b"a known name 16b"))
        assert nobody in kept
        logged = caplog.text.encode()
        for secret in (_TOKEN, _TOKEN.hex().encode(), owner.uid.hex().encode(), b"token"):
            assert secret not in logged
