"""Zap2 as scripts use it: commands as processes, a relay among them, everything in one temporary folder."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
PASSPHRASE: Final = "correct horse battery staple"
PATIENCE_S: Final = 90.0
# Numbers that North America keeps for fiction.
NUMBERS: Final = {"one": "+12025550143", "two": "+12025550144"}

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Result:
    """What a command left: its exit code and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def records(self) -> list[Record]:
        """The objects that `--json` printed."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def texts(self) -> list[str]:
        """The texts of the messages that `--json` printed."""
        return [record["text"] for record in self.records]


class RelayServer:
    """`zap2 serve`, running; end it with `stop`, `kill`, or as a context manager."""

    def __init__(self, machine: Machine, data: Path, port: int, options: Sequence[str]) -> None:
        self.log_file = machine.folder / f"relay-{time.monotonic_ns()}.log"
        with self.log_file.open("wb") as log:
            self._process = machine.start(
                "serve",
                "--port",
                str(port),
                "--data",
                str(data),
                *options,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        assert self._process.stdout is not None
        self.address = self._process.stdout.readline().decode().strip()
        assert self.address, self.log_file.read_text()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.address.rpartition(":")[2])

    @property
    def codes(self) -> list[str]:
        """The verification codes in its log, in order."""
        return re.findall(r"\b\d{6}\b", self.log_file.read_text())

    def stop(self) -> None:
        """End it cleanly."""
        self._end(signal.SIGTERM)
        assert self._process.returncode == 0, self.log_file.read_text()

    def ends(self) -> None:
        """Wait until it has ended cleanly by itself."""
        self._process.communicate(timeout=PATIENCE_S)
        assert self._process.returncode == 0, self.log_file.read_text()

    def kill(self) -> None:
        """End it in the middle of whatever it does."""
        self._end(signal.SIGKILL)

    def __enter__(self) -> RelayServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self.kill()

    def _end(self, number: signal.Signals) -> None:
        self._process.send_signal(number)
        self._process.communicate(timeout=PATIENCE_S)


def sign_up_line(profile: str, relay: RelayServer) -> tuple[str, ...]:
    """Give the command that makes a profile with a number of `NUMBERS`; its name is the profile's, capitalised."""
    return (
        *("signup", "--profile", profile, "--relay", relay.address),
        *("--phone", NUMBERS[profile], "--name", profile.capitalize()),
    )


class Machine:
    """A machine with Zap2 on it: one configuration folder, one passphrase file, any number of profiles."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "config"
        self.passphrase_file = folder / "passphrase"
        self.passphrase_file.write_text(PASSPHRASE + "\n")
        self.passphrase_file.chmod(0o600)
        self.home = folder / "home"
        self.home.mkdir()

    @property
    def environment(self) -> dict[str, str]:
        """The environment of every command; the passphrase is given."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ZAP2_", "XDG_"))}
        return {
            **kept,
            "HOME": str(self.home),
            "PYTHONPATH": str(ROOT),
            "PYTHONWARNINGS": "error",
            "ZAP2_CONFIG_DIR": str(self.config),
            "ZAP2_PASSPHRASE_FILE": str(self.passphrase_file),
        }

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
        """Start a command in a session of its own, without a terminal; the caller sees to its end."""
        environment = {**self.environment, **options.pop("env", {})}
        command = [sys.executable, "-m", "zap2", *arguments]
        return subprocess.Popen(
            command, env=environment, start_new_session=True, **{"stdin": subprocess.DEVNULL, **options}
        )

    def run(self, *arguments: str, given: bytes | str = b"", env: dict[str, str] | None = None) -> Result:
        """Run a command to its end.

        Args:
            given: its standard input.
            env: what its environment has beside, or instead of, the usual.
        """
        process = self.start(
            *arguments, env=env or {}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        given = given.encode() if isinstance(given, str) else given
        try:
            out, err = process.communicate(given, timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise AssertionError(f"{arguments} did not end: {out!r} {err!r}") from None
        result = Result(process.returncode, out.decode(), err.decode())
        assert "Traceback" not in result.err, result.err
        return result

    def does(self, *arguments: str, given: bytes | str = b"") -> Result:
        """Run a command that has to succeed."""
        result = self.run(*arguments, given=given)
        assert result.code == 0, (arguments, result)
        return result

    def relay(self, *options: str, data: str = "relay", port: int = 0) -> RelayServer:
        """Start a relay; without other options it asks for no codes."""
        return RelayServer(self, self.folder / data, port, options or ("--verify", "none"))

    def sign_up(self, profile: str, relay: RelayServer) -> None:
        """Make a profile with a number of `NUMBERS`; its name is the profile's, capitalised."""
        self.does(*sign_up_line(profile, relay))

    def receive_texts(self, profile: str, count: int) -> list[str]:
        """Receive until `count` messages have been printed, and give their texts."""
        texts: list[str] = []
        give_up_at = time.monotonic() + PATIENCE_S
        while len(texts) < count and time.monotonic() < give_up_at:
            texts += self.does("receive", "--profile", profile, "--json", "--timeout", "20").texts
        return texts

    def following(self, profile: str) -> Follower:
        """Start `zap2 receive --follow --json`."""
        return Follower(
            self.start("receive", "--profile", profile, "--json", "--follow", stdout=subprocess.PIPE)
        )


class Follower:
    """`zap2 receive --follow --json`, running; a context manager that sees to its end."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def next_text(self) -> str:
        """Wait for the next message, and give its text."""
        assert self._process.stdout is not None
        return str(json.loads(self._process.stdout.readline())["text"])

    def interrupt(self) -> int:
        """Press Ctrl+C, and give the exit code."""
        self._process.send_signal(signal.SIGINT)
        self._process.communicate(timeout=PATIENCE_S)
        return self._process.returncode

    def __enter__(self) -> Follower:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()


def wait_until(condition: Callable[[], bool], what: str, patience_s: float = PATIENCE_S) -> None:
    """Look again and again until a condition holds."""
    give_up_at = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < give_up_at, f"never happened: {what}"
        time.sleep(0.02)


@contextlib.contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """See to it that a process that a test started is gone afterwards."""
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()
