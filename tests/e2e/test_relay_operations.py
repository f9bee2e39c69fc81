"""A relay as its host sees it: `zap2 admin`, backups, JSON logs, monitoring, and leaving gently. Real processes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import sqlite3
import stat
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from websockets.exceptions import WebSocketException

from tests.e2e.commands import NUMBERS, Machine, sign_up_line
from tests.relay_client import NUMBERS as MOBILES
from tests.relay_client import Person, connected, logged_in, new_person
from tests.relay_host import RelayHost, relay_host
from zap2.errors import UsageError
from zap2.ids import format_uid
from zap2.server.backup import back_up, restore
from zap2.server.limits import Limits
from zap2.server.store.schema import SEQ_BITS
from zap2.wire import frames as f
from zap2.wire.fields import CloseCode, ErrorCode


def _get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


async def _asked(host: RelayHost, path: str) -> tuple[int, str]:
    return await asyncio.to_thread(_get, host.relay.metrics_port, path)


# ------------------------------------------------------------------------------------------------ zap2 admin


def test_a_host_invites_looks_blocks_and_drains(machine: Machine) -> None:
    """The whole life of a relay by command line, with its log as JSON."""
    options = ("--verify", "none", "--registration", "invite", "--log-format", "json")
    with machine.relay(*options) as relay:
        data = ("--data", str(machine.folder / "relay"))
        none = machine.does("admin", "accounts", *data)
        assert (none.out, "no accounts yet" in none.err) == ("", True)
        invites = machine.does("admin", "invite", "--count", "2", *data).out.split()
        assert [bool(re.fullmatch("[a-z2-7]{4}(-[a-z2-7]{4}){3}", invite)) for invite in invites] == [
            True,
            True,
        ]
        uid = asyncio.run(_sign_up(relay.port, NUMBERS["one"], invites[0]))
        (stats,) = machine.does("admin", "stats", "--json", *data).records
        assert (stats["accounts"], stats["invites"], stats["blocked"]) == (1, 1, 0)
        assert "accounts      1" in machine.does("admin", "stats", *data).out
        (account,) = json.loads(machine.does("admin", "accounts", "--json", *data).out)
        assert (account["uid"], account["is_blocked"], account["envelopes"]) == (uid, False, 0)
        blocked = machine.does("admin", "block", NUMBERS["one"], *data).out
        assert (f"Blocked: {uid}" in blocked, f"zap2 admin unblock {uid}" in blocked) == (True, True)
        header, row = machine.does("admin", "accounts", *data).out.splitlines()
        assert (header.split()[0], row.split()[0], row.split()[-1]) == ("ACCOUNT", uid, "blocked")
        assert f"Let in again: {uid}" in machine.does("admin", "unblock", uid, *data).out
        quota = machine.does("admin", "quota", uid, "--messages", "5", *data).out
        assert "at most 5 messages that wait, and 64 MiB (the relay's bound)" in quota
        for wrong in (("block", "+12025550199"), ("block", "nonsense"), ("block",), ("stats", "more")):
            refused = machine.run("admin", *wrong, *data)
            assert (refused.code, refused.out) == (2, "")
        path = machine.folder / "relay" / "admin.sock"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        machine.does("admin", "drain", "--over", "0.1", *data)
        relay.ends()
    assert not path.exists()
    assert machine.run("admin", "stats", *data).code == 4
    lines = [json.loads(line) for line in relay.log_file.read_text().splitlines()]
    assert {"at", "level", "logger", "message"} <= set(lines[0])
    assert lines[-1]["message"] == "stopped"


async def _sign_up(port: int, number: str, invite: str) -> str:
    person = Person()
    async with connected(port) as client:
        started = await client.get(
            f.VerificationStarted, lambda rid: f.StartVerification(rid, number, invite)
        )
        ticket = started.ticket
        assert ticket is not None
        await client.get(f.Registered, lambda rid: client.registration(rid, person, ticket, invite))
    return format_uid(person.keys.uid)


def test_a_person_signs_up_with_an_invite_by_command_line(machine: Machine) -> None:
    with machine.relay("--verify", "none", "--registration", "invite") as relay:
        invite = machine.does("admin", "invite", "--data", str(machine.folder / "relay")).out.strip()
        sign_up = sign_up_line("one", relay)
        refused = machine.run(*sign_up)
        assert refused.code == 3
        assert "invite" in refused.err
        machine.does(*sign_up, "--invite", invite)


async def test_blocking_ends_the_connection_and_the_account_stays_out() -> None:
    async with relay_host() as host:
        ada, bob = await new_person(host.port, MOBILES[0]), await new_person(host.port, MOBILES[1])
        async with logged_in(host.port, ada) as client:
            await host.relay.operator.block(MOBILES[0])
            assert await client.closed() == CloseCode.BLOCKED
        async with connected(host.port) as client:
            error = await client.refused(lambda rid: f.Resume(rid, ada.token))
            assert error.code == ErrorCode.TOKEN_UNKNOWN
            error = await client.refused(lambda rid: client.authentication(rid, ada))
            assert error.code == ErrorCode.ACCOUNT_BLOCKED
        async with logged_in(host.port, bob) as client:
            error = await client.refused(lambda rid: f.Lookup(rid, MOBILES[0]))
            assert error.code == ErrorCode.NOT_FOUND
        await host.relay.operator.unblock(format_uid(ada.keys.uid))
        async with logged_in(host.port, ada):
            pass


async def test_a_socket_of_a_relay_that_was_killed_is_replaced_also_under_a_long_path(tmp_path: Path) -> None:
    data = tmp_path / ("long" * 30)
    data.mkdir(0o700)
    (data / "admin.sock").write_text("left")
    async with relay_host(data):
        path = data / "admin.sock"
        assert stat.S_ISSOCK(os.stat(path).st_mode)
        folder = os.open(data, os.O_RDONLY)
        try:
            reader, writer = await asyncio.open_unix_connection(f"/proc/self/fd/{folder}/admin.sock")
        finally:
            os.close(folder)
        writer.write(b'{"do": "nonsense"}\n')
        assert "error" in json.loads(await reader.readline())
        writer.close()


# ------------------------------------------------------------------------------------------------- monitoring


async def test_monitoring_shows_what_goes_on() -> None:
    async with relay_host(metrics_port=0) as host:
        ada = await new_person(host.port, MOBILES[0])
        async with logged_in(host.port, ada) as client:
            await client.mail_to(ada)
            await client.refused(lambda rid: f.Lookup(rid, MOBILES[1]))
            assert await _asked(host, "/healthz") == (200, "ok\n")
            assert await _asked(host, "/readyz") == (200, "ok\n")
            status, text = await _asked(host, "/metrics")
        assert status == 200
        for line in (
            "zap2_connections 1.0",
            "zap2_online 1.0",
            "zap2_envelopes_total 1.0",
            "zap2_logins_total 1.0",
            "zap2_sealed_total 0.0",
        ):
            assert line in text
        assert 'zap2_refusals_total{code="not-found"} 1.0' in text
        assert MOBILES[0][1:] not in text
        assert (await _asked(host, "/other"))[0] == 404
        host.relay.drain(60)
        assert await _asked(host, "/readyz") == (503, "the relay is stopping\n")
        assert (await _asked(host, "/healthz"))[0] == 200


async def test_monitoring_survives_what_is_no_http() -> None:
    async with relay_host(metrics_port=0) as host:
        for garbage in (
            b"\r\n\r\n",
            b"GET\r\n\r\n",
            b"x" * 20_000,
            b"POST / HTTP/1.1\r\n\r\n",
            b"\xff \xff\r\n\r\n",
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", host.relay.metrics_port)
            writer.write(garbage)
            writer.write_eof()
            async with asyncio.timeout(10):
                with contextlib.suppress(ConnectionError):
                    await reader.read()
            writer.close()
        assert (await _asked(host, "/healthz"))[0] == 200


async def test_two_relays_cannot_be_watched_on_one_port() -> None:
    async with relay_host(metrics_port=0) as host:
        with pytest.raises(UsageError, match="is in use"):
            async with relay_host(metrics_port=host.relay.metrics_port):
                pass


# -------------------------------------------------------------------------------------------- leaving gently


async def test_clients_are_asked_to_come_back_one_after_another() -> None:
    async with relay_host(returns_per_s=0.1) as host:
        async with connected(host.port) as one, connected(host.port) as two, connected(host.port) as three:
            stopping = asyncio.create_task(host.relay.stop())
            waits = []
            for client in (one, two, three):
                draining = await client.next_pushed()
                assert isinstance(draining, f.Draining)
                waits.append(draining.reconnect_after_s)
                assert await client.closed() == CloseCode.GOING_AWAY
            await stopping
        assert all(2 <= wait <= 32 for wait in waits)
        assert len(set(waits)) == 3


async def test_draining_takes_nobody_new_and_sends_everybody_away() -> None:
    async with relay_host() as host, connected(host.port) as one, connected(host.port) as two:
        host.relay.drain(0.2)
        with pytest.raises((OSError, WebSocketException, EOFError)):
            async with connected(host.port):
                pass
        for client in (one, two):
            assert await client.closed() == CloseCode.GOING_AWAY
            assert isinstance(await client.next_pushed(), f.Draining)
        async with asyncio.timeout(10):
            await host.relay.stop_asked.wait()


# ---------------------------------------------------------------------------------------------------- backups


async def test_a_backup_of_a_running_relay_restores_to_the_same_relay(tmp_path: Path) -> None:
    data, copy, file = tmp_path / "data", tmp_path / "copy", tmp_path / "relay.tar"
    async with relay_host(data) as host:
        fingerprint = host.relay.fingerprint
        ada, bob = await new_person(host.port, MOBILES[0]), await new_person(host.port, MOBILES[1])
        async with logged_in(host.port, ada) as client:
            for name in (b"1" * 16, b"2" * 16):
                await client.mail_to(bob, envelope_id=name)
            await client.leave_token(bytes(32))
            assert await asyncio.to_thread(back_up, data, file) > 10_000
            token = ada.token
            # More than a restart skips anyway.
            await asyncio.gather(*(client.mail_to(bob, bytes(512)) for _ in range(1_100)))
    with contextlib.closing(sqlite3.connect(data / "relay.sqlite3")) as db:
        (highest,) = db.execute("SELECT max(id) & ? FROM envelope", ((1 << SEQ_BITS) - 1,)).fetchone()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    restore(file, copy)
    async with relay_host(copy) as host:
        assert host.relay.fingerprint == fingerprint
        async with connected(host.port) as client:
            # What lets people in may have been renewed since, to shut somebody out.
            assert (await client.log_in(ada)).delivery_token_hash is None
            await client.mail_to(bob, envelope_id=b"4" * 16)
        async with connected(host.port) as client:
            error = await client.refused(lambda rid: f.Resume(rid, token))
            assert error.code == ErrorCode.TOKEN_UNKNOWN
            await client.log_in(bob)
            mail = [await client.next_mail() for _ in range(3)]
            assert [deliver.envelope_id[:1] for deliver in mail] == [b"1", b"2", b"4"]
            # A seq that stood for another envelope after the backup was made is not used for a second one.
            assert mail[-1].seq > highest


async def test_what_is_no_backup_or_no_empty_folder_is_left_alone(tmp_path: Path) -> None:
    data, file = tmp_path / "data", tmp_path / "relay.tar"
    with pytest.raises(UsageError, match="no relay's data"):
        back_up(tmp_path, file)
    async with relay_host(data):
        pass
    back_up(data, file)
    empty = tmp_path / "empty"
    empty.mkdir()
    empty.chmod(0o750)
    with pytest.raises(UsageError, match="exists already"):
        back_up(data, file)
    with pytest.raises(UsageError, match="not empty"):
        restore(file, data)
    whole = file.read_bytes()
    for damaged in (
        b"",
        b"nonsense",
        whole[: len(whole) // 2],
        whole.replace(b"SQLite format 3", b"SQLite format 4"),
    ):
        file.write_bytes(damaged)
        with pytest.raises(UsageError, match="not a relay's backup"):
            restore(file, tmp_path / "new")
        assert not (tmp_path / "new").exists()
        with pytest.raises(UsageError, match="not a relay's backup"):
            restore(file, tmp_path / "new" / "deep" / "folder")
        assert not (tmp_path / "new").exists()
        with pytest.raises(UsageError, match="not a relay's backup"):
            restore(file, empty)
        assert (list(empty.iterdir()), empty.stat().st_mode & 0o777) == ([], 0o750)


async def test_a_quota_is_kept_over_a_restart(tmp_path: Path) -> None:
    async with relay_host(tmp_path / "data") as host:
        ada = await new_person(host.port, MOBILES[0])
        await host.relay.operator.quota(format_uid(ada.keys.uid), 1, None)
    async with relay_host(tmp_path / "data", limits=Limits()) as host, logged_in(host.port, ada) as client:
        assert isinstance(await client.mail_to(ada), f.Sent)
        error = await client.mail_to(ada)
        assert isinstance(error, f.Error)
        assert error.code == ErrorCode.MAILBOX_FULL
