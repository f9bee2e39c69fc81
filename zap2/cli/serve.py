"""`zap2 serve`: a relay in the foreground."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Final

from zap2.cli import arguments as reading
from zap2.cli import serve_codes
from zap2.cli.places import relay_data_dir
from zap2.server.options import RelayOptions
from zap2.server.serve import run as serve

_EXPLAINED: Final = """\
examples:
  zap2 serve
      for trying it on this machine: nobody else reaches it, and there is no TLS
  zap2 serve --host 0.0.0.0 --port 443 --tls-cert fullchain.pem --tls-key privkey.pem
      for others, with a certificate of your own
  zap2 serve --trust-forwarded
      for others, behind a web server on this machine that does the TLS (Caddy, nginx)
  zap2 serve --registration invite
      for whom you invite; `zap2 admin invite` makes the invites

It runs until Ctrl+C or SIGTERM, and prints the address that people type to reach it. That address holds
the fingerprint of the relay's key: keep the folder of --data, and back it up (`zap2 admin backup`). New
people prove their phone number with a code; unless --verify says otherwise it is printed here, in the
log, and you tell it to them. `zap2 admin --help` says how to look after a relay that runs.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `zap2 serve`."""
    parser.description = (
        "Run a relay: it takes encrypted messages that it cannot read, and keeps them until they are fetched."
    )
    parser.epilog = _EXPLAINED
    parser.usage = "zap2 serve [options]"
    _add_reaching(parser.add_argument_group("how people reach it"))
    serve_codes.add_arguments(parser, _add_joining(parser.add_argument_group("who may sign up")))
    _add_keeping(parser.add_argument_group("what it keeps, and where"))
    _add_watching(parser.add_argument_group("watching it"))


def _add_reaching(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--host",
        metavar="ADDRESS",
        default="127.0.0.1",
        help="the address of this machine to listen on: %(default)s (default) is for programs on this machine,"
        " a proxy for example; 0.0.0.0 is for everybody by IPv4, :: by IPv6",
    )
    group.add_argument(
        "--port",
        metavar="N",
        type=reading.port,
        default=8765,
        help="the port to listen on (default: %(default)s); 0 takes a free one, another one at each start",
    )
    group.add_argument(
        "--tls-cert",
        metavar="FILE",
        type=Path,
        help="encrypt connections (TLS) with this certificate and its chain, a PEM file as certbot makes it"
        " (fullchain.pem); a renewed file is taken by itself. Not behind a proxy, which does that",
    )
    group.add_argument(
        "--tls-key", metavar="FILE", type=Path, help="the private key of --tls-cert, a PEM file (privkey.pem)"
    )
    group.add_argument(
        "--trust-forwarded",
        action="store_true",
        help="behind a proxy: take people's addresses, by which limits count, from its header X-Forwarded-For. Only"
        " with a proxy that sets it, for without one anybody could write anything there",
    )


def _add_joining(group: argparse._ArgumentGroup) -> argparse._ArgumentGroup:
    group.add_argument(
        "--registration",
        choices=["open", "invite", "closed"],
        default="open",
        help="who can make an account: `open` everybody who proves a phone number (default), `invite` whoever has an"
        " invite besides (`zap2 admin invite`), `closed` nobody new",
    )
    return group


def _add_keeping(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--data",
        metavar="DIR",
        type=reading.folder,
        help="the folder of the relay: its keys, its accounts and the mail that waits; made at the first start"
        " (default: zap2/relay in the user's data folder, on Linux ~/.local/share/zap2/relay)",
    )
    group.add_argument(
        "--store",
        metavar="URL",
        default=os.environ.get("ZAP2_STORE", "sqlite"),
        help="what keeps accounts and mail: sqlite (default: a file in the folder of --data), or for several relays a"
        " PostgreSQL database that they share, postgresql://user@host:port/database; also from ZAP2_STORE, which"
        " other users of this machine cannot read as they can an argument",
    )
    group.add_argument(
        "--tokens",
        metavar="URL",
        default=os.environ.get("ZAP2_TOKENS", "store"),
        help="what keeps log-in tokens: store (default: where --store keeps the rest), memory, or for several relays"
        " a Redis that they share, redis://user:password@host:port/0, through which they also count limits together"
        " and wake each other; also from ZAP2_TOKENS",
    )
    group.add_argument(
        "--keys",
        metavar="DIR",
        type=reading.folder,
        help="for several relays: the folder of the two keys that they have in common, so that they are one relay with"
        " one address; made at the first start (default: in the folder of --data)",
    )


def _add_watching(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--metrics-port",
        metavar="N",
        type=reading.port,
        help="answer on this port of 127.0.0.1 whether it lives (/healthz), takes connections (/readyz), and with"
        " figures for Prometheus (/metrics)",
    )
    group.add_argument(
        "--log-format",
        choices=["text", "json"],
        default="text",
        help="write the log, on standard error, for people or for programs (default: %(default)s)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT."""
    return serve(
        RelayOptions(
            host=arguments.host,
            port=arguments.port,
            data_dir=arguments.data or relay_data_dir(),
            keys_dir=arguments.keys,
            store=arguments.store,
            tokens=arguments.tokens,
            verify=arguments.verify,
            webhook=serve_codes.webhook(arguments),
            mail_gateway=serve_codes.mail_gateway(arguments),
            registration=arguments.registration,
            tls_cert=arguments.tls_cert,
            tls_key=arguments.tls_key,
            trust_forwarded=arguments.trust_forwarded,
            metrics_port=arguments.metrics_port,
        ),
        arguments.log_format,
    )
