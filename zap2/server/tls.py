"""The relay's own TLS, from files that may be renewed while it runs."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path

from zap2.errors import UsageError

_log = logging.getLogger("zap2.relay")


class Certificate:
    """A certificate chain and its key, loaded from files.

    Args:
        cert: PEM file with the chain.
        key: PEM file with the private key.

    Raises:
        UsageError: the files cannot be read, or do not belong together.
    """

    def __init__(self, cert: Path, key: Path) -> None:
        self._cert = cert
        self._key = key
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            self._seen = self._changed_at()
            self.context.load_cert_chain(cert, key)
        except OSError as error:  # ssl.SSLError is one
            raise UsageError(
                f"The TLS certificate {cert} and its key cannot be used: {error.strerror or error}.",
                "--tls-cert is a PEM file with the chain, --tls-key one with the private key without a passphrase.",
            ) from error

    def reload_if_changed(self) -> None:
        """Take renewed files for new connections; should they be wrong, the old certificate stays."""
        try:
            changed_at = self._changed_at()
            if changed_at == self._seen:
                return
            self._seen = changed_at
            self.context.load_cert_chain(self._cert, self._key)
        except OSError as error:
            _log.error(
                "the renewed TLS certificate cannot be used, the old one stays: %s", error.strerror or error
            )
        else:
            _log.info("the TLS certificate was renewed")

    def _changed_at(self) -> tuple[int, int]:
        return self._cert.stat().st_mtime_ns, self._key.stat().st_mtime_ns
