"""Codes by mail over TLS, against a real mail server that wants a log-in: STARTTLS and implicit TLS, verified."""

from __future__ import annotations

import asyncio
import re
import ssl
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword

from tests.e2e.commands import Machine
from tests.kit.certificates import Authority
from tests.relay_client import NUMBERS, Person, connected
from zap2.server.code_delivery import CodeNotSent
from zap2.server.mail_gateway import MailDelivery, MailGateway
from zap2.wire import frames as f

Security = Literal["starttls", "tls"]
_LOGIN = LoginPassword(b"zap2", b"pass word")


@dataclass
class _Mails:
    """What a mail server took, and what it did not."""

    port: int = 0
    taken: list[Envelope] = field(default_factory=list)
    connections: int = 0
    refused_logins: int = 0

    async def handle_DATA(self, server: SMTP, session: object, envelope: Envelope) -> str:
        self.taken.append(envelope)
        return "250 ok"

    def authenticate(self, _s: Any, _session: Any, _e: Any, _m: str, login: LoginPassword) -> AuthResult:
        is_right = login == _LOGIN
        self.refused_logins += not is_right
        return AuthResult(success=is_right, handled=False)


@asynccontextmanager
async def _mail_server(security: Security, tls: ssl.SSLContext) -> AsyncIterator[_Mails]:
    mails, loop = _Mails(), asyncio.get_running_loop()

    def make() -> SMTP:
        mails.connections += 1
        starttls = security == "starttls"
        with warnings.catch_warnings():
            # Of TLS from the first byte on it knows nothing, and warns of a log-in without TLS.
            warnings.simplefilter("ignore", UserWarning)
            return SMTP(
                mails,
                hostname="localhost",
                tls_context=tls if starttls else None,
                require_starttls=starttls,
                auth_required=True,
                auth_require_tls=starttls,
                authenticator=mails.authenticate,
                loop=loop,
            )

    over = tls if security == "tls" else None
    async with await loop.create_server(make, "127.0.0.1", 0, ssl=over) as server:
        mails.port = server.sockets[0].getsockname()[1]
        yield mails


def _delivery(mails: _Mails, security: Security, trusted: Path | None, password: str) -> MailDelivery:
    gateway = MailGateway(
        "localhost", mails.port, security, "{digits}@sms.example", "relay@chat.example", "zap2", password
    )
    trust = ssl.create_default_context(cafile=str(trusted)) if trusted is not None else None
    return MailDelivery(gateway, tls=trust)


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_mail_goes_out_over_tls_with_a_log_in(security: Security, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with _mail_server(security, authority.serve_as("localhost")) as mails:
        await _delivery(mails, security, authority.file, "pass word").deliver(NUMBERS[0], "123456", 600)
        (mail,) = mails.taken
    assert (mail.mail_from, mail.rcpt_tos) == ("relay@chat.example", [f"{NUMBERS[0][1:]}@sms.example"])
    assert isinstance(mail.content, bytes)
    assert b"123456 is your Zap2 code." in mail.content


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_server_without_a_right_certificate_gets_neither_code_nor_password(
    security: Security, tmp_path: Path
) -> None:
    """Of an unknown authority, of another name, expired."""
    authority = Authority(tmp_path)
    for server, trusted in (
        (authority.serve_as("localhost"), None),
        (authority.serve_as("elsewhere.example"), authority.file),
        (authority.serve_as("localhost", days=-1), authority.file),
    ):
        async with _mail_server(security, server) as mails:
            with pytest.raises(CodeNotSent):
                await _delivery(mails, security, trusted, "pass word").deliver(NUMBERS[0], "123456", 600)
            assert (mails.taken, mails.refused_logins) == ([], 0)


async def test_a_server_that_cannot_do_tls_gets_nothing(tmp_path: Path) -> None:
    """Guards against a stripped STARTTLS: whoever is in between hides that the server offers it."""
    mails, loop = _Mails(), asyncio.get_running_loop()
    async with await loop.create_server(lambda: SMTP(mails, loop=loop), "127.0.0.1", 0) as server:
        mails.port = server.sockets[0].getsockname()[1]
        with pytest.raises(CodeNotSent):
            await _delivery(mails, "starttls", None, "pass word").deliver(NUMBERS[0], "123456", 600)
    assert mails.taken == []


async def test_a_wrong_password_is_an_error_of_the_gateway(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    authority = Authority(tmp_path)
    async with _mail_server("starttls", authority.serve_as("localhost")) as mails:
        with pytest.raises(CodeNotSent):
            await _delivery(mails, "starttls", authority.file, "sesame").deliver(NUMBERS[0], "123456", 600)
        assert mails.taken == []
        assert mails.refused_logins > 0
    assert "SMTPAuthenticationError 535" in caplog.text
    assert "sesame" not in caplog.text


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_person_signs_up_at_a_relay_that_mails_codes(
    security: Security, machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`zap2 serve` as a host runs it; the authority is one of the system's."""
    authority = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    credentials = tmp_path / "credentials"
    credentials.write_text("zap2\npass word\n")
    async with _mail_server(security, authority.serve_as("localhost")) as mails:
        given = (
            *("--verify", "smtp", "--smtp-url", f"smtp+{security}://localhost:{mails.port}"),
            *("--smtp-to", "{digits}@sms.example", "--smtp-from", "relay@chat.example"),
            *("--smtp-credentials-file", str(credentials)),
        )
        with await asyncio.to_thread(machine.relay, *given) as relay:
            async with connected(relay.port) as client:
                await client.get(f.VerificationStarted, lambda rid: f.StartVerification(rid, NUMBERS[0]))
                (mail,) = mails.taken
                assert isinstance(mail.content, bytes)
                found = re.search(r"(\d{6}) is your", mail.content.decode())
                assert found is not None
                ticket = await client.get(f.Ticket, lambda rid: f.CheckCode(rid, NUMBERS[0], found[1]))
                await client.register(Person(), ticket.ticket)
            await asyncio.to_thread(relay.stop)
