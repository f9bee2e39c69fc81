"""Which way codes travel, as the host chose."""

from __future__ import annotations

from zap2.errors import UsageError
from zap2.server.code_delivery import CodeDelivery, LogDelivery
from zap2.server.mail_gateway import MailDelivery
from zap2.server.options import RelayOptions
from zap2.server.webhook import WebhookDelivery


def delivery_of(options: RelayOptions) -> CodeDelivery:
    """Give the delivery that the options name.

    Raises:
        UsageError: what it needs is not there.
    """
    if options.verify == "webhook":
        if options.webhook is None:
            raise UsageError(
                "Codes are to go to a webhook, and there is none.", "Give it with --webhook-url."
            )
        return WebhookDelivery(options.webhook)
    if options.verify == "smtp":
        if options.mail_gateway is None:
            raise UsageError("Codes are to go by mail, and there is no gateway.", "Give it with --smtp-url.")
        return MailDelivery(options.mail_gateway)
    return LogDelivery()
