"""Moving a relay from SQLite to PostgreSQL: for everybody outside nothing has changed, or nothing has happened."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from functools import partial
from pathlib import Path

import asyncpg
import pytest

from tests.e2e.commands import Machine
from tests.kit.engines import empty_database
from tests.relay_client import NUMBERS, FrameClient, Person, connected, logged_in, new_person
from tests.relay_host import RelayHost, relay_host
from zap2.crypto.prekeys import OneTimePrekeySecrets, SignedPrekeySecrets
from zap2.errors import UsageError
from zap2.server.move import MOVED_FILE, Moved, move_to_postgres
from zap2.wire import frames as f
from zap2.wire.fields import ErrorCode
from zap2.wire.statements import delivery_token_hash

_TOKEN, _PIN = b"t" * 32, "correct horse"
_ADA, _BOB, _EVE, _CARL, _DORA, _FRED = NUMBERS[:6]


def _name(number: int) -> bytes:
    return bytes([number]) * 16


async def _start_code(host: RelayHost, client: FrameClient, number: str, invite: str | None = None) -> str:
    await client.get(f.VerificationStarted, partial(f.StartVerification, number=number, invite=invite))
    return host.codes.sent[-1][1]


async def _ticket(client: FrameClient, number: str, code: str) -> bytes:
    return (await client.get(f.Ticket, partial(f.CheckCode, number=number, code=code))).ticket


class _Story:
    """A relay's life before the move, and what must be so after it."""

    async def fill(self, folder: Path) -> None:
        async with relay_host(folder) as host:
            self.fingerprint = host.relay.fingerprint
            self.ada, self.bob = await new_person(host.port, _ADA), await new_person(host.port, _BOB)
            self.eve, self.carl = await new_person(host.port, _EVE), await new_person(host.port, _CARL)
            await host.relay.operator.block(_EVE)
            await host.relay.operator.quota(_CARL, 1, None)
            async with logged_in(host.port, self.carl) as client:
                await client.get(f.Done, lambda rid: f.SetListed(rid, False))
            async with logged_in(host.port, self.bob) as client:
                await self._publish(host, client)
                await client.leave_token(_TOKEN)
                await client.get(f.Done, lambda rid: f.SetPin(rid, _PIN))
            async with logged_in(host.port, self.ada) as client:
                bundle = await client.get(f.Bundle, lambda rid: f.Fetch(rid, self.bob.uid, 1, True))
                assert bundle.pair == self.pairs[0]
                for number in (1, 2, 3):
                    await client.mail_to(self.bob, bytes([number]) * 512, _name(number))
            async with connected(host.port) as client:
                await client.sealed_to(self.bob, _TOKEN, envelope_id=_name(4))
            async with logged_in(host.port, self.bob) as client:
                self.first = await client.next_mail()
                await client.send(f.Ack((self.first.seq,)))
                await client.ask(f.RenewToken)
        async with (
            relay_host(folder, verify="log", registration="invite") as host,
            connected(host.port) as client,
        ):
            self.invites = await host.relay.operator.invites(3, 3600)
            self.used = self.invites[0]
            self.code = await _start_code(host, client, _DORA, self.invites[1])
            self.ticket = await _ticket(
                client, _FRED, await _start_code(host, client, _FRED, self.invites[2])
            )
            await client.log_in(self.ada)
        async with relay_host(folder) as host:
            # The keys that recognise repetitions so far go into the index; those after it lie elsewhere.
            await host.relay._services.store.sweep(host.clock.at_ms)
            async with logged_in(host.port, self.ada) as client:
                # Together, so that SQLite keeps both keys in one row.
                await client.send(
                    *(f.Send(100 + n, _name(n), self.bob.uid, 1, 3600, bytes(512)) for n in (5, 10))
                )
                assert {type(await client.next_pushed()) for _ in range(2)} == {f.Sent}
                await client.mail_to(self.carl, envelope_id=_name(6))

    async def check(self, folder: Path, url: str) -> None:
        async with relay_host(folder, store=url, verify="log", registration="invite") as host:
            assert host.relay.fingerprint == self.fingerprint
            await self._check_mail(host)
            await self._check_prekeys_and_members(host)
            await self._check_registrations(host)

    async def _check_mail(self, host: RelayHost) -> None:
        async with connected(host.port) as client:
            assert (
                await client.get(f.LoggedIn, lambda rid: f.Resume(rid, self.ada.token))
            ).token == self.ada.token
            for number in (2, 5, 10):  # from the index, and not; all are repetitions
                assert isinstance(await client.mail_to(self.bob, envelope_id=_name(number)), f.Sent)
            refused = await client.mail_to(self.carl)
            assert isinstance(refused, f.Error)
            assert refused.code == ErrorCode.MAILBOX_FULL
        async with connected(host.port) as client:
            for number in (4, 7):
                assert isinstance(await client.sealed_to(self.bob, _TOKEN, envelope_id=_name(number)), f.Sent)
        async with connected(host.port) as client:
            logged_in_ = await client.log_in(self.bob)
            assert (logged_in_.stock, logged_in_.highest_sid, logged_in_.highest_oid) == (2, 7, 2)
            assert logged_in_.acknowledged == self.first.seq
            assert logged_in_.delivery_token_hash == delivery_token_hash(_TOKEN)
            mail = [await client.next_mail() for _ in range(6)]
            assert [deliver.envelope_id for deliver in mail] == [_name(n) for n in (2, 3, 4, 5, 10, 7)]
            assert mail[0].payload == bytes([2]) * 512
            seqs = [self.first.seq, *(deliver.seq for deliver in mail)]
            assert seqs == sorted(set(seqs))
            await client.send(f.Ack(tuple(deliver.seq for deliver in mail)))
            await client.ask(f.RenewToken)
        async with logged_in(host.port, self.bob) as client:
            await client.mail_to(self.bob, envelope_id=_name(8))
            assert (await client.next_mail()).envelope_id == _name(8)

    async def _check_prekeys_and_members(self, host: RelayHost) -> None:
        async with logged_in(host.port, self.ada) as client:
            bundle = await client.get(f.Bundle, lambda rid: f.Fetch(rid, self.bob.uid, 1, True))
            assert (bundle.signed_set, bundle.pair) == (self.signed_set, self.pairs[1])
            assert (await client.get(f.Found, lambda rid: f.Lookup(rid, _BOB))).uid == self.bob.uid
            assert (await client.refused(lambda rid: f.Lookup(rid, _CARL))).code == ErrorCode.NOT_FOUND
        async with connected(host.port) as client:
            refused = await client.refused(partial(client.authentication, person=self.eve))
            assert refused.code == ErrorCode.ACCOUNT_BLOCKED

    async def _check_registrations(self, host: RelayHost) -> None:
        dora, fred, thief = Person(), Person(), Person()
        async with connected(host.port) as client:
            ticket = await _ticket(client, _DORA, self.code)
            await client.get(
                f.Registered, partial(client.registration, person=dora, ticket=ticket, invite=self.invites[1])
            )
            registration = partial(client.registration, person=fred, ticket=self.ticket)
            refused = await client.refused(partial(registration, invite=self.invites[1]))
            assert refused.code == ErrorCode.INVITE_NEEDED
            await client.get(f.Registered, partial(registration, invite=self.invites[2]))
            # New accounts have mailboxes of their own, beside those that were moved.
            await client.log_in(fred)
            await client.mail_to(dora, envelope_id=_name(9))
        async with logged_in(host.port, dora) as client:
            assert (await client.next_mail()).envelope_id == _name(9)
        async with connected(host.port) as client:
            ticket = await _ticket(client, _BOB, await _start_code(host, client, _BOB, self.used))
            claim = partial(client.registration, person=thief, ticket=ticket, invite=self.used)
            assert (await client.refused(partial(claim, pin="another one"))).code == ErrorCode.WRONG_PIN
            await client.get(f.Registered, partial(claim, pin=_PIN))

    async def _publish(self, host: RelayHost, client: FrameClient) -> None:
        keys, now_s = self.bob.keys, host.clock.at_ms // 1000
        secrets = SignedPrekeySecrets.generate(keys, sid=7, now_s=now_s, rng=os.urandom)
        self.signed_set = secrets.public.encode()
        self.pairs = tuple(
            OneTimePrekeySecrets.generate(keys, oid=oid, rng=os.urandom).public.encode() for oid in range(3)
        )
        await client.get(f.Published, lambda rid: f.Publish(rid, self.signed_set, self.pairs))


async def test_everything_is_carried_over_and_goes_on(tmp_path: Path) -> None:
    data, url, story = tmp_path / "relay", empty_database(), _Story()
    await story.fill(data)
    with contextlib.closing(sqlite3.connect(data / "relay.sqlite3")) as db:
        counts = db.execute(
            "SELECT (SELECT count(*) FROM sent), (SELECT count(*) FROM sent_recently), (SELECT count(*) FROM pair),"
            " (SELECT count(*) FROM code), (SELECT count(*) FROM ticket), (SELECT count(*) FROM token),"
            " (SELECT count(*) FROM invite)"
        ).fetchone()
        assert all(counts), counts  # there is something of everything
        assert db.execute("SELECT max(length(dedupe_key)) FROM sent_recently").fetchone() == (32,)
    assert await move_to_postgres(data, url) == Moved(4, 6)
    assert not list(data.glob("relay.sqlite3")) + list(data.glob("relay.sqlite3-*"))
    with contextlib.closing(sqlite3.connect(data / MOVED_FILE)) as db:
        assert db.execute("SELECT count(*) FROM account").fetchone() == (4,)
    await story.check(data, url)


async def test_a_relay_that_runs_is_not_moved(tmp_path: Path) -> None:
    async with relay_host(tmp_path):
        with pytest.raises(UsageError, match="Another relay uses"):
            await move_to_postgres(tmp_path, empty_database())


async def _tables(url: str) -> int:
    connection = await asyncpg.connect(url)
    count: int = await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
    await connection.close()
    return count


async def test_nothing_is_changed_where_it_cannot_be_done(tmp_path: Path) -> None:
    url, data = empty_database(), tmp_path / "relay"
    with pytest.raises(UsageError, match="no relay's data"):
        await move_to_postgres(data, url)
    async with relay_host(data) as host:
        ada = await new_person(host.port, _ADA)
    with pytest.raises(UsageError, match="cannot be reached"):
        await move_to_postgres(data, "postgresql://nobody@127.0.0.1:1/none")
    (data / "hashing.key").rename(data / "elsewhere")
    with pytest.raises(UsageError, match="keys are not in"):
        await move_to_postgres(data, url)
    (data / "elsewhere").rename(data / "hashing.key")
    with contextlib.closing(sqlite3.connect(data / "relay.sqlite3", isolation_level=None)) as db:
        db.execute("INSERT INTO pair VALUES (99, 1, ?)", (b"of nobody",))  # as after a damage
        with pytest.raises(UsageError, match="The move failed: ForeignKeyViolationError"):
            await move_to_postgres(data, url)
        assert await _tables(url) == 0
        db.execute("DELETE FROM pair")
    async with relay_host(data) as host, logged_in(host.port, ada) as client:
        assert isinstance(await client.mail_to(ada), f.Sent)


async def test_a_database_that_somebody_uses_is_left_alone(tmp_path: Path) -> None:
    """One with accounts in it, and one that is empty but belongs to a relay with other keys."""
    url = empty_database()
    async with relay_host(tmp_path / "other", store=url):
        pass
    async with relay_host(tmp_path / "relay") as host:
        ada = await new_person(host.port, _ADA)
    with pytest.raises(UsageError, match="other keys"):
        await move_to_postgres(tmp_path / "relay", url)
    url = empty_database()
    async with relay_host(tmp_path / "relay", store=url) as host:
        bob = await new_person(host.port, _BOB)
    with pytest.raises(UsageError, match="not empty"):
        await move_to_postgres(tmp_path / "relay", url)
    async with relay_host(tmp_path / "relay", store=url) as host, logged_in(host.port, bob):
        pass
    async with relay_host(tmp_path / "relay") as host, logged_in(host.port, ada):
        pass


def test_the_command_moves_and_says_what_to_do_next(machine: Machine) -> None:
    with machine.relay() as relay:
        machine.sign_up("one", relay)
        relay.stop()
    data = ("--data", str(machine.folder / "relay"))
    url = empty_database()
    assert "--to postgresql://" in machine.run("admin", "move", *data).err
    done = machine.run("admin", "move", *data, env={"ZAP2_STORE": url})
    assert (done.code, done.err) == (0, "")
    assert "accounts: 1" in done.out
    again = machine.run("admin", "move", *data, "--to", url)
    assert again.code == 2
    assert "no relay's data" in again.err
    with machine.relay("--verify", "none", "--store", url, port=relay.port):
        machine.does("doctor", "--profile", "one")
