"""What a host can set."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from zap2.server.limits import Limits
from zap2.server.mail_gateway import MailGateway
from zap2.server.transport import Patience
from zap2.server.webhook import Webhook


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayOptions:
    """The options of one relay.

    Args:
        host: the address to listen on.
        port: the port to listen on; 0 takes a free one (`Relay.port` tells which).
        data_dir: where the key and the database live; None keeps everything in memory and leaves nothing behind.
        keys_dir: where the keys live instead, for relays that share a store and are one relay to their users.
        store: what keeps accounts and mail: `sqlite`, in the data folder, or a `postgresql://` URL of a database,
            which several relays may share.
        tokens: what keeps connection tokens: `store`, `memory`, or a `redis://` URL, through which relays that share a
            store also share limits and wake each other.
        verify: how possession of a phone number is proved: `log` writes the code to the host's log, `webhook` posts
            it to an SMS gateway, `smtp` mails it to one, `none` asks for no proof.
        webhook: where codes are posted, with `verify="webhook"`.
        mail_gateway: where codes are mailed, with `verify="smtp"`.
        registration: who may make an account: everybody, whoever has an invite, nobody.
        tls_cert: a PEM file with the certificate chain; with `tls_key` the relay speaks TLS itself.
        tls_key: a PEM file with the certificate's private key.
        default_region: ISO 3166 code of the country of numbers that are written without one, or None.
        trust_forwarded: take the source of a connection from X-Forwarded-For; only behind a proxy that sets it.
        token_ttl_s: life of a connection token.
        commit_window_s: how long commits of all connections are gathered.
        reconnect_after_s: what clients are told when the relay stops, at least; many are told to come back one after
            another, at `returns_per_s`.
        returns_per_s: how many clients are to come back in a second.
        metrics_port: the loopback port of /healthz, /readyz and /metrics; 0 takes a free one, None opens none.
        limits: bounds per account, source and target.
        patience: times after which connections are cut.
    """

    host: str = "127.0.0.1"
    port: int = 8765
    data_dir: Path | None = None
    keys_dir: Path | None = None
    store: str = field(default="sqlite", repr=False)
    tokens: str = field(default="store", repr=False)
    verify: Literal["log", "webhook", "smtp", "none"] = "log"
    webhook: Webhook | None = None
    mail_gateway: MailGateway | None = None
    registration: Literal["open", "invite", "closed"] = "open"
    tls_cert: Path | None = None
    tls_key: Path | None = None
    default_region: str | None = None
    trust_forwarded: bool = False
    token_ttl_s: int = 15 * 60
    commit_window_s: float = 0.002
    reconnect_after_s: float = 2.0
    returns_per_s: float = 200.0
    metrics_port: int | None = None
    limits: Limits = field(default_factory=Limits)
    patience: Patience = field(default_factory=Patience)

    @property
    def shares_store(self) -> bool:
        """Whether other relays may use the same store."""
        return self.store != "sqlite"

    @property
    def has_tls(self) -> bool:
        """Whether the relay itself speaks TLS."""
        return self.tls_cert is not None

    @property
    def listens_everywhere(self) -> bool:
        """Whether `host` stands for all addresses of the machine and is none itself."""
        try:
            return not self.host or ipaddress.ip_address(self.host).is_unspecified
        except ValueError:
            return False
