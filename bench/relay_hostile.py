"""What hostile clients do to the others (`python -m bench.relay_hostile`): one kind of attack after another.

A pair sends a message every 10 ms, first in quiet, then while a process of low priority attacks the relay in one way as
fast as it can (`bench.relay_attacks`), and so on for each kind. Printed are the times to delivery and to the
answer, their ratio to those of the quiet relay, and the relay's memory and share of its core. The relay has the
limits of `zap2 serve`. It needs a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import uvloop

from bench.relay_attacks import ATTACKS, BARE
from bench.relay_probe import Latency, Probe, probing
from bench.relay_server import ChildProcess, ServerProcess, raise_file_limit, relay_server, split_cores
from tests.kit.engines import new_database
from tests.relay_client import NUMBERS, new_person

_MAX_RATIO: Final = 2.0
_SETTLE_S: Final = 0.5
_FILES: Final = 4_000


async def _attacked(relay: ServerProcess, probe: Probe, kind: str, seconds: float) -> tuple[Latency, float]:
    """Measure while an attack goes on; give the latency and the share of the core that the relay used."""
    attack = await asyncio.to_thread(ChildProcess, "bench.relay_attacks", str(relay.port), kind)
    try:
        await asyncio.sleep(_SETTLE_S)
        cpu_s, at_s = relay.cpu_s(), time.perf_counter()
        latency = await probe.measure(seconds)
        return latency, (relay.cpu_s() - cpu_s) / (time.perf_counter() - at_s)
    finally:
        await asyncio.to_thread(attack.stop)


async def _measure(kinds: list[str], seconds: float, store: str) -> bool:
    worst = 0.0
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        print(f"{'':28} {'delivered':>18} {'answered':>18} {'':>11} {'core':>6} {'MiB':>7}")
        print(f"{'':28} {'ms':>6} {'95 %':>5} {'x':>5} {'ms':>6} {'95 %':>5} {'x':>5} {'95 % x':>11}")
        for kind in kinds:
            where = new_database() if store == "postgresql" else store
            relay = relay_server(Path(folder) / kind.replace(" ", "-"), "--usual-limits", "--store", where)
            split_cores(relay)
            try:
                people = [await new_person(relay.port, number) for number in NUMBERS[:2]]
                async with probing(relay.port, *people) as probe:
                    quiet = await probe.measure(seconds)
                    latency, share = await _attacked(relay, probe, kind, seconds)
                    worst = max(worst, _report(kind, quiet, latency, share, relay.rss_kib()))
                if not relay.is_up():
                    raise SystemExit(f"the relay did not survive: {kind}")
            finally:
                relay.stop()
    print(f"the largest ratio of medians: {worst:.2f}")
    return worst <= _MAX_RATIO


def _report(kind: str, quiet: Latency, latency: Latency, share: float, rss_kib: int) -> float:
    (delivered, answered), (late_delivered, late_answered) = latency.typical(), latency.late()
    (quiet_delivered, quiet_answered), (quiet_late_delivered, quiet_late_answered) = (
        quiet.typical(),
        quiet.late(),
    )
    print(
        f"{kind:28} {delivered:6.2f} {late_delivered:5.1f} {delivered / quiet_delivered:5.2f}"
        f" {answered:6.2f} {late_answered:5.1f} {answered / quiet_answered:5.2f}"
        f" {late_delivered / quiet_late_delivered:5.2f} {late_answered / quiet_late_answered:5.2f}"
        f" {share * 100:5.0f}% {rss_kib / 1024:7.1f}",
        flush=True,
    )
    return max(delivered / quiet_delivered, answered / quiet_answered)


def main() -> None:
    """Run it; fails when a median is more than twice that of the quiet relay."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--kinds", nargs="*", choices=[*ATTACKS, *BARE], default=[*ATTACKS, *BARE])
    parser.add_argument("--seconds", type=float, default=4, help="for each kind, in quiet and attacked")
    parser.add_argument(
        "--store", choices=["sqlite", "postgresql"], default="sqlite", help="what keeps the mail"
    )
    chosen = parser.parse_args()
    raise_file_limit(_FILES)
    if not uvloop.run(_measure(chosen.kinds, chosen.seconds, chosen.store)):
        sys.exit(1)


if __name__ == "__main__":
    main()
