"""`zap2 serve`: a relay in the foreground."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from zap2.cli import arguments as reading
from zap2.cli import serve_codes
from zap2.cli.places import relay_data_dir
from zap2.server.options import RelayOptions
from zap2.server.serve import run as serve


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `zap2 serve`."""
    parser.add_argument(
        "--host",
        metavar="ADDRESS",
        default="127.0.0.1",
        help="this machine's address to listen on; 0.0.0.0 or :: for all (default: %(default)s)",
    )
    parser.add_argument(
        "--port",
        metavar="N",
        type=reading.port,
        default=8765,
        help="the port to listen on; 0 takes a free one (default: %(default)s)",
    )
    parser.add_argument(
        "--data",
        metavar="DIR",
        type=reading.folder,
        help="where the relay's key and mailboxes are kept (default: zap2/relay in the user's data folder)",
    )
    parser.add_argument(
        "--keys",
        metavar="DIR",
        type=reading.folder,
        help="a folder for the relay's two keys, which relays that share a store have in common: with the same keys"
        " they are one relay with one address; made at the first start (default: in the folder of --data)",
    )
    parser.add_argument(
        "--store",
        metavar="URL",
        default=os.environ.get("ZAP2_STORE", "sqlite"),
        help="what keeps accounts and mail: sqlite (default: in the folder of --data), or a database that several"
        " relays share, postgresql://user@host:port/database; also from ZAP2_STORE, which other users of this"
        " machine cannot read as they can an argument",
    )
    parser.add_argument(
        "--tokens",
        metavar="URL",
        default=os.environ.get("ZAP2_TOKENS", "store"),
        help="what keeps log-in tokens, and what several relays share limits and wake each other through: store"
        " (default: where --store keeps the rest), memory, or redis://user:password@host:port/0; also from"
        " ZAP2_TOKENS",
    )
    parser.add_argument(
        "--registration",
        choices=["open", "invite", "closed"],
        default="open",
        help="who can make an account: everybody, whoever has an invite (`zap2 admin invite`), nobody"
        " (default: %(default)s)",
    )
    parser.add_argument(
        "--tls-cert",
        metavar="FILE",
        type=Path,
        help="speak TLS with this certificate chain (PEM), taken again when the file changes; not behind a proxy",
    )
    parser.add_argument("--tls-key", metavar="FILE", type=Path, help="the certificate's private key (PEM)")
    parser.add_argument(
        "--trust-forwarded",
        action="store_true",
        help="know people's addresses, by which limits count, from the header X-Forwarded-For; only behind a TLS proxy"
        " that sets it, for others could write anything there",
    )
    parser.add_argument(
        "--metrics-port",
        metavar="N",
        type=reading.port,
        help="serve /healthz, /readyz and Prometheus' /metrics on this port of the loopback",
    )
    parser.add_argument(
        "--log-format",
        choices=["text", "json"],
        default="text",
        help="lines for people or for programs (default: %(default)s)",
    )
    serve_codes.add_arguments(parser)


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
