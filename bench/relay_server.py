"""A relay as a process of its own, for measurements: its port, its processor time, its memory.

`python -m bench.relay_server DATA_DIR` runs a relay on a free port, prints the port, and ends with its standard input.
Numbers come from the operating system's accounting of that process (Linux only), so that the load generator does not
enter.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import subprocess
import sys
from pathlib import Path

from zap2.server.limits import Limits, Rate
from zap2.server.options import RelayOptions
from zap2.server.relay import Relay
from zap2.server.serve import collect_less_often

_UNBOUNDED = Rate(1e9, 1e9)
UNLIMITED = Limits(
    connections=100_000,
    connections_per_source=100_000,
    sends_per_account=_UNBOUNDED,
    send_bytes_per_account=_UNBOUNDED,
    registrations_per_source=_UNBOUNDED,
    verifications_per_source=_UNBOUNDED,
    handshakes_per_source=_UNBOUNDED,
    logins_per_source=_UNBOUNDED,
    logins_per_account=_UNBOUNDED,
)
"""Limits that a load generator, being one source, does not meet."""


def raise_file_limit(needed: int) -> None:
    """Allow this process and its children this many open files.

    Raises:
        SystemExit: the system does not let it have so many.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise SystemExit(f"{needed} open files are needed and {hard} allowed; raise it with `ulimit -Hn`.")
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def split_cores(*servers: ServerProcess) -> None:
    """Keep this process on one core and the servers, which take turns, on another, where there are two."""
    first, *others = sorted(os.sched_getaffinity(0))
    if others:
        os.sched_setaffinity(0, {first})
        for server in servers:
            server.pin(others[-1])


class ChildProcess:
    """A module in a process of its own, which prints a number when it is ready and ends with its standard input.

    Args:
        module: what `python -m` runs.
        arguments: for it.
    """

    def __init__(self, module: str, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"{module} did not start"
        self.number = int(line)

    def is_up(self) -> bool:
        """Tell whether it still runs."""
        return self.process.poll() is None

    def stop(self) -> str:
        """End it, and give what it printed last."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        last = self.process.stdout.read()
        self.process.wait(60)
        return last


class ServerProcess(ChildProcess):
    """A server, which prints its port."""

    @property
    def port(self) -> int:
        """Where it listens on the loopback."""
        return self.number

    def cpu_s(self) -> float:
        """Give the processor time of all its threads, user and system."""
        return _cpu_s(Path(f"/proc/{self.process.pid}/stat"))

    def loop_cpu_s(self) -> float:
        """Give the processor time of its first thread, which runs the event loop."""
        return _cpu_s(Path(f"/proc/{self.process.pid}/task/{self.process.pid}/stat"))

    def pin(self, cpu: int) -> None:
        """Keep all of its threads on one core."""
        for thread in Path(f"/proc/{self.process.pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), {cpu})

    def rss_kib(self) -> int:
        """Give its memory in use."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0])

    def open_files(self) -> int:
        """Count its open files and sockets."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))


def _cpu_s(stat: Path) -> float:
    # Fields 14 and 15, counted after the name in brackets.
    fields = stat.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def relay_server(data_dir: Path, *arguments: str) -> ServerProcess:
    """Start a relay with its data in a folder."""
    return ServerProcess("bench.relay_server", str(data_dir), *arguments)


async def _serve(options: RelayOptions) -> None:
    async with Relay(options) as relay:
        collect_less_often()
        print(relay.port, flush=True)
        await asyncio.to_thread(sys.stdin.read)


def main() -> None:
    """Run a relay that asks for no proof of numbers."""
    import uvloop

    if os.sched_getscheduler(0) != os.SCHED_OTHER:
        # Of two threads with a real-time priority on one core, one would keep the other waiting.
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        os.setpriority(os.PRIO_PROCESS, 0, -15)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("--store", default="sqlite")
    parser.add_argument("--usual-limits", action="store_true", help="those of `zap2 serve`")
    chosen = parser.parse_args()
    limits = Limits() if chosen.usual_limits else UNLIMITED
    uvloop.run(
        _serve(
            RelayOptions(port=0, data_dir=chosen.data_dir, store=chosen.store, verify="none", limits=limits)
        )
    )


if __name__ == "__main__":
    main()
