"""Codes by way of mail: many telephone companies and gateways turn a mail to NUMBER@gateway into a text message."""

from __future__ import annotations

import logging
import smtplib
import ssl
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import make_msgid
from typing import Final, Literal

from zap2.address import is_loopback
from zap2.errors import UsageError
from zap2.server.code_delivery import CodeNotSent, Outbox, words

_log = logging.getLogger("zap2.relay")
_TIME_OUT_S: Final = 10.0
_MAKES_A_NUMBER: Final = {"number": "+12025550143", "digits": "12025550143"}


@dataclass(frozen=True, slots=True)
class MailGateway:
    """The mail server that takes codes, and whom they go to.

    Args:
        host: the mail server.
        port: 587 usually with `starttls`, 465 with `tls`.
        security: how the connection is protected; `plain` on the loopback only.
        to: the address, with `{number}` (E.164) or `{digits}` (E.164 without the plus) in it.
        sender: the mail's From.
        user: log in as this one; None does not log in.
        password: the user's.

    Raises:
        UsageError: the template or the sender is no address, or the password would travel in the clear.
    """

    host: str
    port: int
    security: Literal["starttls", "tls", "plain"]
    to: str
    sender: str
    user: str | None = field(default=None, repr=False)
    password: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        try:
            example = self.address_of(_MAKES_A_NUMBER["number"])
        except (LookupError, ValueError):
            example = ""
        if _MAKES_A_NUMBER["digits"] not in example or not _is_address(example):
            raise UsageError(
                "The mail gateway's address is not one with a number in it.",
                "It looks like {digits}@sms.example; {number} has the plus as well.",
            )
        if not _is_address(self.sender):
            raise UsageError("The sender of the mails with codes is no mail address.")
        if self.security == "plain" and not is_loopback(self.host):
            raise UsageError(
                "Mails with codes may go without TLS to the loopback only.",
                "Use smtp+starttls:// or smtp+tls://.",
            )

    def address_of(self, number: str) -> str:
        """Give the mail address that stands for a number (E.164)."""
        return self.to.format(number=number, digits=number.lstrip("+"))


class MailDelivery:
    """Mails each code to the host's gateway.

    Args:
        gateway: which mail server, and whom to.
        time_out_s: for connecting, and for each answer of the server.
        tls: what its certificate is checked with; the system's authorities by default.
    """

    def __init__(
        self, gateway: MailGateway, *, time_out_s: float = _TIME_OUT_S, tls: ssl.SSLContext | None = None
    ) -> None:
        self._gateway = gateway
        self._time_out_s = time_out_s
        self._tls = tls or ssl.create_default_context()
        self._outbox = Outbox("the mail gateway")

    async def deliver(self, number: str, code: str, ttl_s: int) -> None:
        mail = EmailMessage()
        mail["From"] = self._gateway.sender
        mail["To"] = self._gateway.address_of(number)
        mail["Message-ID"] = make_msgid(domain=self._gateway.sender.rpartition("@")[2])
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(words(code, ttl_s))
        await self._outbox.run(lambda: self._send(mail))

    def _send(self, mail: EmailMessage) -> None:
        gateway = self._gateway
        try:
            with self._connect() as server:
                if gateway.security == "starttls":
                    server.starttls(context=self._tls)
                if gateway.user is not None:
                    server.login(gateway.user, gateway.password)
                server.send_message(mail)
        except (OSError, smtplib.SMTPException) as error:
            status = getattr(error, "smtp_code", "")
            # Not its words: a server repeats addresses in them.
            _log.error(
                "the mail gateway did not take a verification code: %s %s", type(error).__name__, status
            )
            raise CodeNotSent from None

    def _connect(self) -> smtplib.SMTP:
        gateway = self._gateway
        if gateway.security == "tls":
            return smtplib.SMTP_SSL(gateway.host, gateway.port, timeout=self._time_out_s, context=self._tls)
        return smtplib.SMTP(gateway.host, gateway.port, timeout=self._time_out_s)


def _is_address(text: str) -> bool:
    local, _, domain = text.rpartition("@")
    return (
        bool(local and domain)
        and text.isascii()
        and text.isprintable()
        and not set(text) & set(' <>,;"@') - {"@"}
    )
