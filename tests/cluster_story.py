"""Two relays over PostgreSQL and Redis behind Caddy, all of it processes on the loopback, and people who go on talking.

The shape of compose.cluster.yaml without containers, run by deploy/check-cluster. One relay is killed, Redis is cut,
PostgreSQL restarts, a relay is drained; every message has to arrive once and in order, over TLS whose certificate the
clients check. Needs caddy (or CADDY=path); PostgreSQL and Redis come from the system or from the test extra's wheels.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.e2e.commands import NUMBERS, ROOT, Machine, ended, wait_until
from tests.kit.engines import RedisServer, free_port, new_database, start_postgres, start_redis

_PER_STEP: Final = 100
_PAUSE_S: Final = 0.03
_PATIENCE_S: Final = 60.0


def _say(words: str) -> None:
    sys.stdout.write(words + "\n")
    sys.stdout.flush()


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
        self._sent = 0
        self._arrived: list[str] = []
        self._sender: subprocess.Popen[bytes]

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
        wait_until(lambda: relay.online >= 0, "a relay is ready", _PATIENCE_S)

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
            lambda: authority.is_file() and authority.stat().st_size > 0, "Caddy's authority", _PATIENCE_S
        )
        (fingerprint,) = {relay.address.partition("//")[2].partition("@")[0] for relay in self.relays}
        address = f"zap2://{fingerprint}@localhost:{https_port}"
        stranger = ("signup", "--profile", "stranger", "--relay", address, "--phone", NUMBERS["one"])
        refused = self.machine.run(*stranger, "--name", "Stranger")
        assert refused.code != 0, "a certificate of an unknown authority was accepted"
        _say(f"without Caddy's authority: {refused.err.splitlines()[0]}")
        os.environ["SSL_CERT_FILE"] = str(authority)
        return address

    def bring_people(self, address: str) -> None:
        """Sign two people up and keep both online, each at another relay."""
        for name in ("one", "two"):
            self.machine.does(
                *("signup", "--profile", name, "--relay", address),
                *("--phone", NUMBERS[name], "--name", name.capitalize()),
            )
        # Of strangers one takes messages, and tells them nothing.
        self.machine.does("contacts", "add", NUMBERS["one"], "--profile", "two")
        receiver = self._person("receive", "--profile", "two", "--json", "--follow", stdout=subprocess.PIPE)
        threading.Thread(target=self._listen, args=(receiver,), daemon=True).start()
        self._sender = self._person(
            *("send", "--profile", "one", "--to", NUMBERS["two"], "--lines", "--wait", "delivered"),
            stdin=subprocess.PIPE,
        )
        assert [relay.online for relay in self.relays] == [1, 1], "Caddy put both at one relay"

    def _person(self, *command: str, **options: Any) -> subprocess.Popen[bytes]:
        """Start a command that stays, and wait until it is online."""
        before = sum(relay.online for relay in self.relays)
        process = self._stack.enter_context(ended(self.machine.start(*command, **options)))
        wait_until(lambda: sum(relay.online for relay in self.relays) > before, "online", _PATIENCE_S)
        return process

    def _listen(self, receiver: subprocess.Popen[bytes]) -> None:
        assert receiver.stdout is not None
        for line in receiver.stdout:
            self._arrived.append(json.loads(line)["text"])

    def talk_during(self, what: str, do: Callable[[], None]) -> None:
        """Send messages while something is done; all have to arrive, once and in order."""
        start = time.monotonic()
        with ThreadPoolExecutor(1) as threads:
            sending = threads.submit(self._send)
            do()
            sending.result()
        wait_until(lambda: len(self._arrived) >= self._sent, f"all arrived: {what}", _PATIENCE_S)
        assert self._arrived == [str(number) for number in range(self._sent)], f"{what}: {self._arrived}"
        _say(f"{what}: {_PER_STEP} messages in order, {time.monotonic() - start:.1f} s")

    def _send(self) -> None:
        assert self._sender.stdin is not None
        for _ in range(_PER_STEP):
            self._sender.stdin.write(b"%d\n" % self._sent)
            self._sender.stdin.flush()
            self._sent += 1
            time.sleep(_PAUSE_S)

    def end_talk(self) -> None:
        """End the sender: it does so with 0 when it knows of every message that it was delivered."""
        self._sender.communicate(timeout=_PATIENCE_S)
        assert self._sender.returncode == 0, self._sender.returncode


def _do_nothing() -> None:
    pass


def main() -> int:
    """Tell the story; gives 0 when everything arrived."""
    with tempfile.TemporaryDirectory(prefix="zap2-cluster-") as folder, ExitStack() as stack:
        cluster = _Cluster(Path(folder), stack)
        one, two = cluster.relays
        for relay in cluster.relays:
            cluster.start(relay)
        cluster.bring_people(cluster.start_caddy())

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
            assert two.process.wait(_PATIENCE_S) == 0

        steps: list[tuple[str, Callable[[], None]]] = [
            ("from one relay to the other", _do_nothing),
            ("one relay killed", kill_one),
            ("it is back", lambda: cluster.start(one)),
            ("Redis cut", cluster.redis.stop),
            ("Redis back", cluster.redis.start),
            ("PostgreSQL restarted", restart_postgres),
            ("the other relay drained", drain_two),
        ]
        for what, do in steps:
            cluster.talk_during(what, do)
        cluster.end_talk()
    _say(
        "ok: every message delivered once and in order, and its sender knows; TLS by Caddy, its certificate checked"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
