"""Codes by way of an SMS gateway that takes a signed HTTP request.

The request is a POST of a JSON object: `number` (E.164), `code`, `text` (the whole message), `expires_in_s`, and `id`,
which stays the same when the request is repeated. `X-Zap2-Timestamp` has the seconds since 1970, and
`X-Zap2-Signature` has `sha256=` and the hexadecimal HMAC-SHA256, with the shared secret, of the timestamp, a full
stop and the body. Any 2xx means that the gateway took it. Connection failures, 408, 429 and 5xx are tried again.
"""

from __future__ import annotations

import hmac
import http.client
import json
import logging
import secrets
import ssl
import time
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import SplitResult, urlsplit

from zap2.address import is_loopback
from zap2.errors import UsageError
from zap2.server.code_delivery import CodeNotSent, Outbox, words

_log = logging.getLogger("zap2.relay")
_TIME_OUT_S: Final = 4.0
_PAUSES_S: Final = (0.0, 0.5, 1.5)
"""Before each attempt: with the time-outs, the end comes before a client gives its request up."""
_TRY_AGAIN: Final = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where codes are posted, and the secret that signs the requests.

    Args:
        url: an https address, or an http one on the loopback.
        secret: shared with the gateway.

    Raises:
        UsageError: the address cannot be used, or the secret is too short to be one.
    """

    url: str = field(repr=False)
    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            host, _ = parts.hostname, parts.port
        except ValueError:
            host = None
        if not host or not self.url.isascii() or not self.url.isprintable():
            raise UsageError(
                "The webhook's address is not one.", "It looks like https://gateway.example/zap2."
            )
        if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
            raise UsageError(
                "The webhook's address has to begin with https://.",
                "Codes and numbers are in its requests; without TLS it may be on the loopback only.",
            )
        if len(self.secret) < 16:
            raise UsageError(
                "The webhook's secret is shorter than 16 bytes.", "`openssl rand -hex 32` makes a good one."
            )


class WebhookDelivery:
    """Posts each code to the host's SMS gateway.

    Args:
        webhook: where, and signed with what.
        pauses_s: the wait before each attempt; there are as many attempts.
        time_out_s: for connecting, and for each answer.
    """

    def __init__(
        self, webhook: Webhook, *, pauses_s: tuple[float, ...] = _PAUSES_S, time_out_s: float = _TIME_OUT_S
    ) -> None:
        self._webhook = webhook
        self._pauses_s = pauses_s
        self._time_out_s = time_out_s
        self._outbox = Outbox("the webhook")
        self._tls = ssl.create_default_context()

    async def deliver(self, number: str, code: str, ttl_s: int) -> None:
        message = {
            "id": secrets.token_hex(16),
            "number": number,
            "code": code,
            "text": words(code, ttl_s),
            "expires_in_s": ttl_s,
        }
        body = json.dumps(message).encode()
        await self._outbox.run(lambda: self._deliver(body))

    def _deliver(self, body: bytes) -> None:
        why = ""
        for pause_s in self._pauses_s:
            time.sleep(pause_s)
            try:
                status = self._post(body)
            except (OSError, http.client.HTTPException) as error:  # TLS and time-outs are OSErrors
                why = type(error).__name__
                continue
            if 200 <= status < 300:
                return
            why = f"status {status}"
            if status not in _TRY_AGAIN:
                break
        # Neither the address, which may have a key in it, nor the number.
        _log.error("the webhook did not take a verification code: %s", why)
        raise CodeNotSent

    def _post(self, body: bytes) -> int:
        parts = urlsplit(self._webhook.url)
        timestamp = str(int(time.time()))
        signature = hmac.digest(self._webhook.secret, timestamp.encode() + b"." + body, "sha256").hex()
        connection = self._connect(parts)
        try:
            connection.request(
                "POST",
                (parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
                body,
                {
                    "Content-Type": "application/json",
                    "User-Agent": "zap2",
                    "X-Zap2-Timestamp": timestamp,
                    "X-Zap2-Signature": f"sha256={signature}",
                },
            )
            return connection.getresponse().status
        finally:
            connection.close()

    def _connect(self, parts: SplitResult) -> http.client.HTTPConnection:
        host = parts.hostname or ""
        if parts.scheme == "https":
            return http.client.HTTPSConnection(host, parts.port, timeout=self._time_out_s, context=self._tls)
        return http.client.HTTPConnection(host, parts.port, timeout=self._time_out_s)
