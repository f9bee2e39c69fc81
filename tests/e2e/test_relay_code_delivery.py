"""Codes on their way: a webhook that is signed, repeated and bounded in time, and mail to an SMS gateway."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import logging
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.e2e.commands import Machine
from tests.relay_client import NUMBERS, connected
from zap2.errors import UsageError
from zap2.server.code_delivery import CodeDelivery, CodeNotSent
from zap2.server.mail_gateway import MailDelivery, MailGateway
from zap2.server.options import RelayOptions
from zap2.server.relay import Relay
from zap2.server.webhook import Webhook, WebhookDelivery
from zap2.wire import frames as f
from zap2.wire.fields import ErrorCode

_SECRET = b"0123456789abcdef"


# ---------------------------------------------------------------------------------------------------- webhook


@dataclass
class _Gateway:
    """An SMS gateway that answers as it is told to, the last answer for ever."""

    statuses: list[int]
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""

    def next_status(self) -> int:
        return self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]


@contextmanager
def _gateway(*statuses: int) -> Iterator[_Gateway]:
    gateway = _Gateway(list(statuses))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            gateway.requests.append((dict(self.headers.items()), body))
            self.send_response(gateway.next_status())
            self.send_header("Location", gateway.url)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    gateway.url = f"http://127.0.0.1:{server.server_port}/sms?key=sesame"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield gateway
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _delivery(url: str) -> WebhookDelivery:
    return WebhookDelivery(Webhook(url, _SECRET), pauses_s=(0, 0, 0), time_out_s=0.5)


@asynccontextmanager
async def _relay(delivery: CodeDelivery) -> AsyncIterator[Relay]:
    async with Relay(RelayOptions(port=0), code_delivery=delivery) as relay:
        yield relay


async def test_the_webhook_gets_number_code_and_text_signed() -> None:
    with _gateway(200) as gateway:
        await _delivery(gateway.url).deliver(NUMBERS[0], "123456", 600)
        ((headers, body),) = gateway.requests
    signed = headers["X-Zap2-Timestamp"].encode() + b"." + body
    assert headers["X-Zap2-Signature"] == "sha256=" + hmac.new(_SECRET, signed, "sha256").hexdigest()
    sent = json.loads(body)
    assert (sent["number"], sent["code"], sent["expires_in_s"]) == (NUMBERS[0], "123456", 600)
    assert sent["text"].startswith("123456 ")


async def test_a_failing_webhook_is_asked_again_with_the_same_id() -> None:
    with _gateway(503, 429, 202) as gateway:
        await _delivery(gateway.url).deliver(NUMBERS[0], "123456", 600)
        assert len({json.loads(body)["id"] for _, body in gateway.requests}) == 1
        assert len(gateway.requests) == 3


@pytest.mark.parametrize(("status", "requests"), [(400, 1), (401, 1), (302, 1), (500, 3)])
async def test_what_a_webhook_refuses_is_told_to_the_person_and_to_the_host(
    status: int, requests: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Redirects are not followed; neither number, code nor address reach the log."""
    with _gateway(status) as gateway, caplog.at_level(logging.INFO, "zap2.relay"):
        async with _relay(_delivery(gateway.url)) as relay, connected(relay.port) as client:
            error = await client.refused(lambda rid: f.StartVerification(rid, NUMBERS[0]))
            assert (error.code, error.retry_after_s) == (ErrorCode.CODE_NOT_SENT, 30)
        assert len(gateway.requests) == requests
    assert f"status {status}" in caplog.text
    code = json.loads(gateway.requests[0][1])["code"]
    assert not [secret for secret in (NUMBERS[0], code, "sesame") if secret in caplog.text]


async def test_a_silent_or_absent_webhook_costs_a_bounded_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        async with asyncio.timeout(10):
            with pytest.raises(CodeNotSent):
                await _delivery(f"http://127.0.0.1:{port}/").deliver(NUMBERS[0], "123456", 600)
    with pytest.raises(CodeNotSent):
        await _delivery(f"http://127.0.0.1:{port}/").deliver(NUMBERS[0], "123456", 600)


async def test_a_relay_with_a_webhook_says_so_and_goes_on_meanwhile() -> None:
    with _gateway(200) as gateway:
        options = RelayOptions(port=0, verify="webhook", webhook=Webhook(gateway.url, _SECRET))
        async with Relay(options) as relay, connected(relay.port) as client:
            assert client.greeting.verification == "webhook"
            started = await client.get(
                f.VerificationStarted, lambda rid: f.StartVerification(rid, NUMBERS[0])
            )
            assert started.ticket is None
            code = json.loads(gateway.requests[0][1])["code"]
            await client.get(f.Ticket, lambda rid: f.CheckCode(rid, NUMBERS[0], code))


@pytest.mark.parametrize(
    ("url", "secret"),
    [
        ("http://gateway.example/", _SECRET),
        ("ftp://127.0.0.1/", _SECRET),
        ("https://", _SECRET),
        ("https://gateway.example:port/", _SECRET),
        ("https://gateway.example/\r\nX: y", _SECRET),
        ("https://gateway.example/", b"short"),
    ],
)
def test_a_webhook_that_would_not_be_safe_is_refused(url: str, secret: bytes) -> None:
    with pytest.raises(UsageError):
        Webhook(url, secret)


def test_what_a_webhook_holds_does_not_show() -> None:
    assert "sesame" not in repr(Webhook("https://gateway.example/?key=sesame", _SECRET))
    assert "0123" not in repr(Webhook("https://gateway.example/", _SECRET))


# ------------------------------------------------------------------------------------------------------- mail


@dataclass
class _MailServer:
    """A mail server of a few lines, enough for `smtplib`."""

    refuses: bool = False
    port: int = 0
    logins: list[str] = field(default_factory=list)
    receivers: list[str] = field(default_factory=list)
    mails: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example\r\n")
        while line := await reader.readline():
            word = line.split()[0].upper() if line.split() else b""
            if word == b"EHLO":
                writer.write(b"250-mail.example\r\n250 AUTH PLAIN\r\n")
            elif word == b"AUTH":
                self.logins.append(base64.b64decode(line.split()[2]).decode())
                writer.write(b"235 ok\r\n")
            elif word == b"RCPT":
                self.receivers.append(line.decode().split(":", 1)[1].strip())
                writer.write(b"550 no such person\r\n" if self.refuses else b"250 ok\r\n")
            elif word == b"DATA":
                writer.write(b"354 go on\r\n")
                self.mails.append((await reader.readuntil(b"\r\n.\r\n")).decode())
                writer.write(b"250 ok\r\n")
            elif word == b"QUIT":
                writer.write(b"221 bye\r\n")
                break
            else:
                writer.write(b"250 ok\r\n")
        writer.close()


@asynccontextmanager
async def _mail_server(refuses: bool = False) -> AsyncIterator[_MailServer]:
    mail_server = _MailServer(refuses)
    async with await asyncio.start_server(mail_server.serve, "127.0.0.1", 0) as server:
        mail_server.port = server.sockets[0].getsockname()[1]
        yield mail_server


def _mail_gateway(port: int, to: str = "{digits}@sms.example", user: str | None = "zap2") -> MailGateway:
    return MailGateway("127.0.0.1", port, "plain", to, "relay@chat.example", user, "pass word")


async def test_a_code_is_mailed_to_the_gateways_address_of_the_number() -> None:
    async with _mail_server() as server:
        await MailDelivery(_mail_gateway(server.port)).deliver(NUMBERS[0], "123456", 600)
        assert server.logins == ["\0zap2\0pass word"]
        assert server.receivers == [f"<{NUMBERS[0][1:]}@sms.example>"]
        assert "123456 is your Zap2 code." in server.mails[0]
        assert "From: relay@chat.example" in server.mails[0]


async def test_a_mail_server_that_refuses_is_told_and_not_repeated_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with _mail_server(refuses=True) as server:
        with caplog.at_level(logging.INFO, "zap2.relay"), pytest.raises(CodeNotSent):
            await MailDelivery(_mail_gateway(server.port, user=None)).deliver(NUMBERS[0], "123456", 600)
        assert server.logins == []
    assert "SMTPRecipientsRefused" in caplog.text
    assert NUMBERS[0][1:] not in caplog.text
    with pytest.raises(CodeNotSent):  # and one that is not there
        await MailDelivery(_mail_gateway(server.port)).deliver(NUMBERS[0], "123456", 600)


@pytest.mark.parametrize(
    "to", ["someone@sms.example", "{digits}", "{digit}@x.example", "{}@x", "{digits}@x,y@z"]
)
def test_a_template_without_a_number_in_an_address_is_refused(to: str) -> None:
    with pytest.raises(UsageError):
        _mail_gateway(25, to)


def test_mail_without_tls_leaves_the_machine_never() -> None:
    with pytest.raises(UsageError, match="TLS"):
        MailGateway("mail.example", 25, "plain", "{digits}@x.example", "relay@chat.example")
    assert "secret" not in repr(
        MailGateway("mail.example", 587, "starttls", "{digits}@x.example", "a@b.example", "me", "secret")
    )


# -------------------------------------------------------------------------------------------- command line


def test_the_command_line_takes_secrets_from_files_and_says_what_is_missing(
    machine: Machine, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(_SECRET + b"\n")
    with _gateway(200) as gateway:
        given = ("--verify", "webhook", "--webhook-url", gateway.url, "--webhook-secret-file", str(secret))
        with machine.relay(*given) as relay:
            relay.stop()
    for wrong in (
        ("--webhook-url", "https://x.example"),
        ("--verify", "none", "--smtp-from", "a@b.c"),
        ("--verify", "webhook"),
        (
            "--verify",
            "webhook",
            "--webhook-url",
            "https://x.example",
            "--webhook-secret-file",
            str(tmp_path / "no"),
        ),
        ("--verify", "smtp", "--smtp-url", "smtp+tls://mail.example"),
        (
            "--verify",
            "smtp",
            "--smtp-url",
            "mail.example",
            "--smtp-to",
            "{digits}@x.example",
            "--smtp-from",
            "a@b.c",
        ),
    ):
        result = machine.run("serve", "--port", "0", "--data", str(tmp_path / "data"), *wrong)
        assert (result.code, result.out) == (2, "")
