"""Two relays over PostgreSQL and Redis behind Caddy, all of it processes on the loopback, and people who go on talking.

The shape of compose.cluster.yaml without containers, run by deploy/check-cluster. One relay is killed, Redis is cut,
PostgreSQL restarts, a relay is drained; every message has to arrive once and in order, over TLS whose certificate the
clients check. Needs caddy (or CADDY=path); PostgreSQL and Redis come from the system or from the test extra's wheels.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.e2e.commands import NUMBERS, ROOT, Machine, ended, wait_until
from tests.kit.engines import RedisServer, free_port, new_database, start_postgres, start_redis
from tests.talk import PATIENCE_S, Talk, say, trust


@dataclass
class _Relay:
    """One of the relays: where it listens and keeps its lock, and its process while it runs."""

    data: Path
    port: int = field(default_factory=free_port)
    metrics_port: int = field(default_factory=free_port)
    address: str = ""
    process: subprocess.Popen[bytes] | None = None

    @property
    def online(self) -> int:
        """How many devices are logged in here; -1 while it does not run."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=5) as page:
                lines = page.read().decode().splitlines()
        except OSError:
            return -1
        return next(int(float(line.split()[1])) for line in lines if line.startswith("zap2_online "))


class _Cluster:
    """All parts, and what is done to them."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.machine = Machine(folder)
        self.postgres = start_postgres()
        self.redis: RedisServer = start_redis()
        self.relays = [_Relay(folder / "one"), _Relay(folder / "two")]
        self._stack = stack
        self._environment = {"ZAP2_STORE": new_database(self.postgres), "ZAP2_TOKENS": self.redis.url}

    def start(self, relay: _Relay) -> None:
        """Start a relay, with the keys that both have, and wait until it is ready."""
        with (self.machine.folder / "relays.log").open("ab") as log:
            process = self.machine.start(
                *("serve", "--port", str(relay.port), "--data", str(relay.data)),
                *("--keys", str(self.machine.folder / "keys"), "--metrics-port", str(relay.metrics_port)),
                *("--verify", "none", "--trust-forwarded"),
                env=self._environment,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        relay.process = self._stack.enter_context(ended(process))
        assert process.stdout is not None
        relay.address = process.stdout.readline().decode().strip()
        wait_until(lambda: relay.online >= 0, "a relay is ready", PATIENCE_S)

    def start_caddy(self) -> str:
        """Start Caddy with deploy/Caddyfile and an authority of its own; give the relays' address behind it."""
        folder, https_port = self.machine.folder, free_port()
        caddy = os.environ.get("CADDY") or shutil.which("caddy")
        if not caddy:
            raise SystemExit(
                "caddy is missing: install it (Debian: apt install caddy), or name it with CADDY="
            )
        (folder / "Caddyfile").write_text(
            f"{{\n\tadmin off\n\thttp_port {free_port()}\n\thttps_port {https_port}\n\tlocal_certs\n"
            f"\tskip_install_trust\n}}\nimport {ROOT}/deploy/Caddyfile\n"
        )
        with (folder / "caddy.log").open("wb") as log:
            process = subprocess.Popen(
                [caddy, "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"],
                stderr=log,
                env={
                    **os.environ,
                    "ZAP2_DOMAIN": "localhost",
                    "ZAP2_RELAYS": " ".join(f"127.0.0.1:{relay.port}" for relay in self.relays),
                    "XDG_DATA_HOME": str(folder / "caddy"),
                    "XDG_CONFIG_HOME": str(folder / "caddy"),
                },
            )
        self._stack.enter_context(ended(process))
        authority = folder / "caddy" / "caddy" / "pki" / "authorities" / "local" / "root.crt"
        wait_until(
            lambda: authority.is_file() and authority.stat().st_size > 0, "Caddy's authority", PATIENCE_S
        )
        (fingerprint,) = {relay.address.partition("//")[2].partition("@")[0] for relay in self.relays}
        address = f"zap2://{fingerprint}@localhost:{https_port}"
        trust(self.machine, address, authority)
        return address


def main() -> int:
    """Tell the story; gives 0 when everything arrived."""
    with tempfile.TemporaryDirectory(prefix="zap2-cluster-") as folder, ExitStack() as stack:
        cluster = _Cluster(Path(folder), stack)
        one, two = cluster.relays
        for relay in cluster.relays:
            cluster.start(relay)
        address = cluster.start_caddy()
        for name in ("one", "two"):
            cluster.machine.does(
                *("signup", "--profile", name, "--relay", address),
                *("--phone", NUMBERS[name], "--name", name.capitalize()),
            )
        talk = Talk(cluster.machine, lambda: [relay.online for relay in cluster.relays], stack)
        assert [relay.online for relay in cluster.relays] == [1, 1], "Caddy put both at one relay"

        def kill_one() -> None:
            assert one.process is not None
            one.process.send_signal(signal.SIGKILL)
            one.process.wait()

        def restart_postgres() -> None:
            cluster.postgres.stop()
            time.sleep(1)
            cluster.postgres.start()

        def drain_two() -> None:
            cluster.machine.does("admin", "drain", "--over", "1", "--data", str(two.data))
            assert two.process is not None
            assert two.process.wait(PATIENCE_S) == 0

        talk.during("from one relay to the other")
        talk.during("one relay killed", kill_one)
        talk.during("it is back", lambda: cluster.start(one))
        talk.during("Redis cut", cluster.redis.stop)
        talk.during("Redis back", cluster.redis.start)
        talk.during("PostgreSQL restarted", restart_postgres)
        talk.during("the other relay drained", drain_two)
        talk.end()
    say(
        "ok: every message delivered once and in order, and its sender knows; TLS by Caddy, its certificate checked"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
