"""What a relay says of people to its log, its metrics and its host: no numbers, tokens, PINs, invites or payloads.

The relay runs as a process with every logger at its most verbose and asyncio in debug mode; people sign up, take a
number over, write, get everything wrong, and a request fails inside the relay.
"""

from __future__ import annotations

import asyncio
import base64
import os
import re
import sys
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from tests.relay_client import NUMBERS, FrameClient, Person, connected, logged_in
from zap2.cli.admin import ask
from zap2.ids import format_uid
from zap2.wire import frames as f
from zap2.wire.fields import ErrorCode

_SCRIPT = """
import asyncio, logging, sys
from pathlib import Path
from zap2.server.options import RelayOptions
from zap2.server.relay import Relay

async def serve():
    options = RelayOptions(
        port=0, data_dir=Path(sys.argv[1]), verify="log", registration="invite", metrics_port=0
    )
    async with Relay(options) as relay:
        store = relay._services.store
        find = store.find_number
        async def fail_once(number_key):
            if number_key:
                store.find_number = find
                raise RuntimeError("made to fail")
            return None
        store.find_number = fail_once
        print(relay.port, relay.metrics_port, flush=True)
        await asyncio.to_thread(sys.stdin.read)

logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
for name in list(logging.root.manager.loggerDict):
    logging.getLogger(name).setLevel(logging.DEBUG)
asyncio.run(serve(), debug=True)
"""
_PIN = "heron-flies-9275"
_PAYLOAD = b"the heron flies at dawn!" * 64


def _forms(secret: bytes | str) -> Iterator[str]:
    """Give the ways in which something could be written down."""
    if isinstance(secret, str):
        yield secret
        secret = secret.encode()
    yield secret.hex()
    yield base64.b64encode(secret).decode().rstrip("=")
    yield base64.b32encode(secret).decode().rstrip("=")
    yield repr(secret)[2:-1]


def _number_forms(number: str) -> Iterator[str]:
    # Without the country code as well, and all but the last two digits, which the log may have.
    yield from (number, number[1:], number[3:], number[3:-2])


class _Codes:
    """The codes in the log, as the host reads them out."""

    def __init__(self, stream: asyncio.StreamReader) -> None:
        self._stream = stream
        self.lines: list[str] = []

    async def next(self) -> str:
        async with asyncio.timeout(20):
            while True:
                line = (await self._stream.readline()).decode()
                self.lines.append(line)
                if found := re.search(r"verification code (\d{6})", line):
                    return found[1]


async def _prove(client: FrameClient, codes: _Codes, number: str, invite: str) -> bytes:
    await client.get(f.VerificationStarted, lambda rid: f.StartVerification(rid, number, invite))
    code = await codes.next()
    wrong = "000000" if code != "000000" else "000001"
    await client.refused(lambda rid: f.CheckCode(rid, number, wrong))
    return (await client.get(f.Ticket, lambda rid: f.CheckCode(rid, number, code))).ticket


async def _sign_up(port: int, codes: _Codes, number: str, invite: str) -> tuple[Person, bytes]:
    person = Person()
    async with connected(port) as client:
        ticket = await _prove(client, codes, number, invite)
        await client.refused(lambda rid: client.registration(rid, person, os.urandom(32), invite))
        await client.get(f.Registered, lambda rid: client.registration(rid, person, ticket, invite))
        await client.log_in(person)
    return person, ticket


def _metrics(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text: str = answer.read().decode()
    return text


def _look_up(number: str, rid: int) -> f.Lookup:
    return f.Lookup(rid, number)


async def _live(port: int, codes: _Codes, invites: list[str]) -> list[bytes | str]:
    """Do what people do, right and wrong; give what nobody is to read."""
    ada, first = await _sign_up(port, codes, NUMBERS[0], invites[0])
    bob, second = await _sign_up(port, codes, NUMBERS[1], invites[1])
    secrets: list[bytes | str] = [first, second, ada.token, bob.token, _PAYLOAD[:24], _PIN, *invites]
    async with logged_in(port, ada) as client:
        error = await client.refused(lambda rid: f.Lookup(rid, NUMBERS[1]))
        assert error.code == ErrorCode.INTERNAL
        for number in (*NUMBERS[:3], "nonsense"):
            await client.ask(partial(_look_up, number))
        await client.get(f.Done, lambda rid: f.SetPin(rid, _PIN))
        await client.get(f.Sent, lambda rid: f.Send(rid, os.urandom(16), bob.uid, 1, 600, _PAYLOAD[:1024]))
        await client.ask(lambda rid: f.Send(rid, os.urandom(16), os.urandom(32), 1, 600, _PAYLOAD[:1024]))
        await client.ask(lambda rid: f.Publish(rid, os.urandom(2900), (os.urandom(1668),)))
        await client.ask(lambda rid: f.Fetch(rid, bob.uid, 1, True))
        issued = await client.get(f.TokenIssued, f.RenewToken)
        secrets.append(issued.token)
    async with connected(port) as client:
        await client.refused(lambda rid: f.Resume(rid, ada.token))  # it was renewed
        await client.get(f.LoggedIn, lambda rid: f.Resume(rid, issued.token))
        await client.send_raw(b"\xc1" + _PAYLOAD)
        await client.closed()
    async with logged_in(port, bob) as client:
        assert (await client.next_mail()).payload == _PAYLOAD[:1024]
    async with connected(port) as client:
        await client.ask(lambda rid: client.registration(rid, ada, first, invites[0], "wrong " + _PIN))
    secrets += [secret for person in (ada, bob) for secret in (person.uid, format_uid(person.keys.uid))]
    return secrets


async def test_neither_log_nor_metrics_nor_the_host_learn_what_is_peoples_own(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-X", "dev", "-c", _SCRIPT, str(tmp_path / "data")),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        assert process.stderr is not None
        port, metrics_port = map(int, (await process.stdout.readline()).split())
        codes = _Codes(process.stderr)

        async def admin(**question: Any) -> Any:
            return await asyncio.to_thread(ask, tmp_path / "data", question)

        invites = await admin(do="invite", count=2)
        secrets = await _live(port, codes, invites)
        uid = str(secrets[-1])
        told = [
            str([await admin(do="stats"), await admin(do="accounts")]),
            str([await admin(do=do, who=NUMBERS[1]) for do in ("block", "unblock", "quota")]),
        ]
        metrics = await asyncio.to_thread(_metrics, metrics_port)
        assert process.stdin is not None
        process.stdin.close()
        log = "".join(codes.lines) + (await process.stderr.read()).decode()
        assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert "Traceback" in log
    assert "made to fail" in log
    assert "DEBUG" in log
    assert "zap2_logins_total" in metrics
    # The host names people by uid; else a uid is nobody's business either.
    assert uid in told[0]
    people = set(secrets[-4:])
    for where, text in (("log", log), ("metrics", metrics), ("admin", "".join(told))):
        for number in NUMBERS[:3]:
            assert not [form for form in _number_forms(number) if form in text], where
        for secret in secrets:
            if where != "admin" or secret not in people:
                assert not [form for form in _forms(secret) if form in text], where
