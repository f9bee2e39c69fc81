"""Both compose files brought up as they stand, and what docs/operations.md promises of them (deploy/check-compose).

The domain is localhost, for which Caddy has an authority of its own; nothing else differs from a host's. On the way a
relay, Caddy, Valkey and PostgreSQL are taken away once while people talk; then the stack goes down and comes up again.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from tests.e2e.commands import NUMBERS, ROOT, Machine, Result, wait_until
from tests.kit.engines import free_port
from tests.talk import PATIENCE_S, Talk, say, trust

_ONLINE: Final = (
    "import urllib.request as r;"
    "print(*(l.split()[1] for l in r.urlopen('http://127.0.0.1:9464/metrics').read().decode().splitlines()"
    " if l.startswith('zap2_online ')))"
)
_AUTHORITY: Final = "/data/caddy/pki/authorities/local/root.crt"
_START_S: Final = 180


def _command() -> list[str]:
    """Give what runs compose files here: COMPOSE, or `docker compose`."""
    command = os.environ.get("COMPOSE", "docker compose").split()
    if not shutil.which(command[0]) or subprocess.run([*command, "version"], capture_output=True).returncode:
        raise SystemExit(f"`{' '.join(command)}` is missing; COMPOSE=command names another one")
    return command


class _Stack:
    """One compose file under a project name of its own, and the people who reach it."""

    def __init__(self, file: str, folder: Path, image: str, relays: Sequence[str]) -> None:
        folder.mkdir()
        self.machine = Machine(folder)
        self.relays = relays
        self._port = free_port()
        self._compose = [*_command(), "-p", f"zap2-check-{os.getpid()}", "-f", str(ROOT / file)]
        # Whatever .env says here, and whatever the host's own stack has taken.
        self._environment = {
            **os.environ,
            "ZAP2_DOMAIN": "localhost",
            "ZAP2_HTTP": f"127.0.0.1:{free_port()}",
            "ZAP2_HTTPS": f"127.0.0.1:{self._port}",
            "ZAP2_IMAGE": image,
            "ZAP2_REGISTRATION": "open",
            "ZAP2_VERIFY": "log",
            "ZAP2_DB_PASSWORD": os.urandom(24).hex(),
        }

    def run(self, *arguments: str, is_needed: bool = True) -> Result:
        """Run a compose command."""
        done = subprocess.run(
            [*self._compose, *arguments], cwd=ROOT, env=self._environment, capture_output=True, text=True
        )
        if is_needed and done.returncode != 0:
            say(done.stderr[-4000:])
            if arguments[0] == "up":
                say(self.run("logs", "--tail", "20", is_needed=False).out)
            raise SystemExit(f"failed: {' '.join(arguments)}")
        return Result(done.returncode, done.stdout, done.stderr)

    def up(self, *arguments: str) -> None:
        """Start the services that are named, or all, and wait until they are healthy."""
        self.run("up", "-d", "--no-build", "--wait", "--wait-timeout", str(_START_S), *arguments)

    def inside(self, service: str, *command: str) -> str:
        """Run a command in a container, and give what it writes."""
        return self.run("exec", "-T", service, *command).out

    def online(self) -> list[int]:
        """How many devices are logged in at each relay; -1 where none runs."""
        looks = [
            self.run("exec", "-T", each, "python", "-c", _ONLINE, is_needed=False) for each in self.relays
        ]
        return [int(float(look.out)) if look.code == 0 else -1 for look in looks]

    def address(self) -> str:
        """The relays' one address, as their logs have it and docs/operations.md finds it."""
        logs = self.run("logs", *self.relays).out
        (fingerprint,) = set(re.findall(r"zap2://(\w+)@<your domain>", logs))
        return f"zap2://{fingerprint}@localhost:{self._port}"

    def greet(self) -> None:
        """Take Caddy's authority, and sign both people up with the codes from the log."""
        authority = self.machine.folder / "root.crt"
        os.environ.pop("SSL_CERT_FILE", None)
        wait_until(
            lambda: self.run("exec", "-T", "caddy", "test", "-s", _AUTHORITY, is_needed=False).code == 0,
            "Caddy's authority",
            PATIENCE_S,
        )
        authority.write_text(self.inside("caddy", "cat", _AUTHORITY))
        address = self.address()
        trust(self.machine, address, authority)
        for name in ("one", "two"):
            person = ("--profile", name, "--phone", NUMBERS[name], "--name", name.capitalize())
            asked = self.machine.run("signup", "--relay", address, *person)
            assert "in the relay's log" in asked.err, asked
            logs = self.run("logs", *self.relays).out
            code = re.findall(rf"code (\d{{6}}) for the number ending in {NUMBERS[name][-2:]}", logs)[-1]
            self.machine.does("signup", "--relay", address, *person, "--code", code)

    def remove(self) -> None:
        """Take everything down, with its volumes."""
        self.run("down", "-v", is_needed=False)


def _one_relay(stack: _Stack, people: ExitStack) -> None:
    stack.greet()
    address = stack.address()
    admin = ("zap2", "admin", "--data", "/data")
    assert "accounts" in stack.inside("relay", *admin, "stats")
    stack.inside("relay", *admin, "backup", "/data/today.tar")
    talk = Talk(stack.machine, stack.online, people)
    talk.during("through Caddy")
    talk.during("Caddy restarted", lambda: stack.run("restart", "caddy"))
    talk.during("the relay replaced, as an upgrade does", lambda: stack.up("--force-recreate", "relay"))
    talk.end()
    people.close()
    _come_back(stack)
    assert stack.address() == address


def _two_relays(stack: _Stack, people: ExitStack) -> None:
    stack.greet()
    talk = Talk(stack.machine, stack.online, people)
    assert stack.online() == [1, 1], "Caddy put both at one relay"
    drain = ("zap2", "admin", "--data", "/data", "drain", "--over", "1")
    talk.during("from one relay to the other")
    talk.during("one relay killed", lambda: stack.run("kill", "relay-one"))
    talk.during("it is back", lambda: stack.up("relay-one"))
    talk.during("Valkey stopped", lambda: stack.run("stop", "valkey"))
    talk.during("Valkey back", lambda: stack.up("valkey"))
    talk.during("PostgreSQL restarted", lambda: stack.run("restart", "postgres"))
    talk.during("the other relay drained", lambda: stack.inside("relay-two", *drain))
    talk.end()
    people.close()
    _come_back(stack)


def _come_back(stack: _Stack) -> None:
    """Take the stack down while a message waits, and bring it up: volumes have all that it needs."""
    stack.machine.does("send", "--profile", "one", "--to", NUMBERS["two"], "kept")
    stack.run("down")
    stack.up()
    assert stack.machine.receive_texts("two", 1) == ["kept"]
    say("taken down and brought up: the same relay and certificate, and what waited was delivered")


def main() -> int:
    """Tell the story; gives 0 when everything arrived."""
    given = os.environ.get("ZAP2_IMAGE")
    image = given or f"zap2-check:{os.getpid()}"
    with tempfile.TemporaryDirectory(prefix="zap2-compose-") as folder, ExitStack() as made:
        if not given:
            engine = os.environ.get("CONTAINER_ENGINE", "docker")
            made.callback(subprocess.run, [engine, "image", "rm", image], capture_output=True)
        for file, relays, story in (
            ("compose.yaml", ["relay"], _one_relay),
            ("compose.cluster.yaml", ["relay-one", "relay-two"], _two_relays),
        ):
            began_at = time.monotonic()
            with ExitStack() as running:
                stack = _Stack(file, Path(folder) / file, image, relays)
                running.callback(stack.remove)
                if not given:
                    stack.run("build")
                stack.up()
                say(f"{file}: up and healthy, {time.monotonic() - began_at:.0f} s")
                people = running.enter_context(ExitStack())
                story(stack, people)
    say(
        "ok: both stacks came up, every message was delivered once and in order, and Caddy's certificate was checked"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
