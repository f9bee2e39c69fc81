"""The options of `zap2 serve` that say how verification codes travel; secrets come from files, never from arguments."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

from zap2.errors import UsageError
from zap2.server.mail_gateway import MailGateway
from zap2.server.webhook import Webhook

_SECURITY: Final[dict[str, Literal["starttls", "tls", "plain"]]] = {
    "smtp+starttls": "starttls",
    "smtp+tls": "tls",
    "smtp": "plain",
}
_PORTS: Final = {"starttls": 587, "tls": 465, "plain": 25}


def add_arguments(parser: argparse.ArgumentParser, joining: argparse._ArgumentGroup) -> None:
    """Declare the options.

    Args:
        parser: gets a group for each way of codes.
        joining: the group of who may sign up.
    """
    joining.add_argument(
        "--verify",
        choices=["log", "webhook", "smtp", "none"],
        default="log",
        help="how people prove that a phone number is theirs, with a code: `log` writes it to the relay's log, and you"
        " tell it to them (default); `webhook` posts it to an SMS gateway; `smtp` mails it to one; `none` asks for no"
        " proof, so that people can sign up with a number that is not theirs: for a relay that only friends reach",
    )
    group = parser.add_argument_group("codes by webhook (--verify webhook)")
    group.add_argument(
        "--webhook-url",
        metavar="URL",
        help="where each code is posted, as JSON with number, code and text: https://…",
    )
    group.add_argument(
        "--webhook-secret-file",
        metavar="FILE",
        type=Path,
        help="a file with a secret of 16 bytes or more; requests are signed with it, so that your gateway knows them",
    )
    group = parser.add_argument_group("codes by mail (--verify smtp)")
    group.add_argument(
        "--smtp-url",
        metavar="URL",
        help="the mail server: smtp+starttls://host:587, smtp+tls://host:465, or smtp:// on this machine",
    )
    group.add_argument(
        "--smtp-to",
        metavar="ADDRESS",
        help="whom each code is mailed to: {digits}@sms.example, where {digits} becomes the phone number; {number}"
        " is the same with its plus",
    )
    group.add_argument(
        "--smtp-from", metavar="ADDRESS", help="the sender of these mails, as the gateway wants it"
    )
    group.add_argument(
        "--smtp-credentials-file",
        metavar="FILE",
        type=Path,
        help="to log in at the mail server: a file with the user's name in its first line, the password in its second",
    )


def webhook(arguments: argparse.Namespace) -> Webhook | None:
    """Give the webhook, where codes travel by it.

    Raises:
        UsageError: something about it is missing or wrong.
    """
    if arguments.verify != "webhook":
        _refuse(arguments, "webhook", "webhook_url", "webhook_secret_file")
        return None
    url, file = arguments.webhook_url, arguments.webhook_secret_file
    if url is None or file is None:
        raise UsageError("--verify webhook needs --webhook-url and --webhook-secret-file.")
    return Webhook(url, _read(file).strip().encode())


def mail_gateway(arguments: argparse.Namespace) -> MailGateway | None:
    """Give the mail gateway, where codes travel by it.

    Raises:
        UsageError: something about it is missing or wrong.
    """
    if arguments.verify != "smtp":
        _refuse(arguments, "smtp", "smtp_url", "smtp_to", "smtp_from", "smtp_credentials_file")
        return None
    if None in (arguments.smtp_url, arguments.smtp_to, arguments.smtp_from):
        raise UsageError("--verify smtp needs --smtp-url, --smtp-to and --smtp-from.")
    try:
        parts = urlsplit(arguments.smtp_url)
        host, port, security = parts.hostname, parts.port, _SECURITY.get(parts.scheme)
    except ValueError:
        host, port, security = None, None, None
    if not host or security is None or parts.username or parts.path.strip("/"):
        raise UsageError(
            "--smtp-url is not the address of a mail server.",
            "It looks like smtp+starttls://mail.example:587.",
        )
    user, password = None, ""
    if arguments.smtp_credentials_file is not None:
        lines = _read(arguments.smtp_credentials_file).splitlines()
        if len(lines) < 2:
            raise UsageError("--smtp-credentials-file has to hold two lines: a name and a password.")
        user, password = lines[:2]
    to, sender = arguments.smtp_to, arguments.smtp_from
    return MailGateway(host, port or _PORTS[security], security, to, sender, user, password)


def _refuse(arguments: argparse.Namespace, way: str, *names: str) -> None:
    """Refuse options of a way that codes do not travel: whoever gave them believes that they do."""
    for name in names:
        if getattr(arguments, name) is not None:
            option = "--" + name.replace("_", "-")
            raise UsageError(f"{option} is for --verify {way}; codes would travel by {arguments.verify}.")


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise UsageError(f"{file} cannot be read: {reason}.") from None
