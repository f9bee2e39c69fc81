"""`zap2 serve`: one relay in the foreground, until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import io
import logging
import shlex
import signal
import sys
from typing import Final

from zap2.address import RelayAddress, is_loopback
from zap2.server.log_format import LogFormat, formatter
from zap2.server.options import RelayOptions
from zap2.server.relay import Relay

_COLLECTED_AFTER: Final = 20_000
_YOUR_DOMAIN: Final = "<your domain>"
_THIS_COMPUTER_ONLY: Final = (
    "This address works on this computer only. For others: --host 0.0.0.0 with TLS (README, Host a relay)."
)


def run(options: RelayOptions, log_format: LogFormat = "text") -> int:
    """Serve until SIGTERM or SIGINT; give the exit code.

    Prints to standard output what to hand out, and logs to standard error.

    Raises:
        UsageError: the port is in use, the data folder or the certificate cannot be used.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter(log_format))
    log = logging.getLogger("zap2.relay")
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_serve(options))
    except KeyboardInterrupt:
        pass  # Where the loop cannot handle signals (Windows), Ctrl-C arrives like this; the runner cleaned up.
    finally:
        log.removeHandler(handler)
    return 0


async def _serve(options: RelayOptions) -> None:
    relay = Relay(options)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, relay.stop_asked.set)
    log = logging.getLogger("zap2.relay")
    async with relay:
        collect_less_often()
        sys.stdout.write(invitation(options, relay.fingerprint, relay.port))
        sys.stdout.flush()
        await relay.stop_asked.wait()
        log.info("stopping: clients are told, what was accepted is committed")
    log.info("stopped")


def collect_less_often() -> None:
    """Have Python look for cycles seldom: few are made here, and looking takes a share of every message's time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECTED_AFTER, 20, 20)


def invitation(options: RelayOptions, fingerprint: str, port: int) -> str:
    """Write what a host hands out: the address, its QR code and the line that a friend types."""
    address = public_address(options, fingerprint, port)
    lines = [address, "", *_who_may_join(options)]
    if _YOUR_DOMAIN not in address:
        lines += [_qr(address), "A friend types:", f"  zap2 chat --relay {address}", ""]
        if is_loopback(options.host):
            lines += [_THIS_COMPUTER_ONLY, ""]
    else:
        if options.trust_forwarded:
            lines += [f"People reach this relay (port {port}) through the TLS proxy in front of it."]
        elif not options.has_tls:
            lines += [
                f"Without TLS of its own, this relay (port {port}) needs a TLS proxy in front of it before people can",
                "connect from outside; or start it with --tls-cert and --tls-key.",
            ]
        lines += ["Put your domain's name into the address above. A friend then types:"]
        lines += [f"  zap2 chat --relay '{address}'", ""]
    return "\n".join(lines)


def _who_may_join(options: RelayOptions) -> list[str]:
    """Say what else a friend needs, or that nobody new gets in; nothing where the address is enough."""
    if options.registration == "closed":
        return ["Nobody new can sign up here: it runs with --registration closed.", ""]
    if options.registration == "open" or options.data_dir is None:
        return []
    data = shlex.quote(str(options.data_dir))
    return ["A friend also needs an invite; make one with:", f"  zap2 admin invite --data {data}", ""]


def public_address(options: RelayOptions, fingerprint: str, port: int) -> str:
    """Give the address to hand out, with a place to fill in where only the host knows the name."""
    if options.trust_forwarded:
        return f"zap2://{fingerprint}@{_YOUR_DOMAIN}"
    if options.has_tls and options.listens_everywhere:
        return f"zap2://{fingerprint}@{_YOUR_DOMAIN}:{port}"
    if options.has_tls or is_loopback(options.host):
        return str(RelayAddress(options.host, port, options.has_tls, fingerprint))
    return f"zap2://{fingerprint}@{_YOUR_DOMAIN}"


def _qr(text: str) -> str:
    # Loaded here: starting a relay inside a chat never needs it.
    import segno

    out = io.StringIO()
    segno.make(text, error="l").terminal(out, compact=True, border=2)
    drawn = out.getvalue()
    try:
        drawn.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return ""
    return drawn


def _loop_factory() -> type[asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None  # Windows has none; asyncio's own loop does.
    factory: type[asyncio.AbstractEventLoop] = uvloop.Loop
    return factory
