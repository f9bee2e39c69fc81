"""Two people who talk through a relay behind TLS while its parts are taken away; every message arrives once, in order.

What the relay is made of is the caller's: processes (tests/cluster_story.py) or containers (tests/compose_story.py).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from tests.e2e.commands import NUMBERS, Machine, ended, wait_until

PATIENCE_S: Final = 60.0
_PER_STEP: Final = 100
_PAUSE_S: Final = 0.03


def say(words: str) -> None:
    """Tell how far the story is."""
    sys.stdout.write(words + "\n")
    sys.stdout.flush()


def trust(machine: Machine, address: str, authority: Path) -> None:
    """Have all commands trust an authority, after one was refused that does not.

    Args:
        address: a relay's, behind a certificate of this authority.
        authority: a file with the authority's own certificate.
    """
    stranger = ("signup", "--profile", "stranger", "--relay", address, "--phone", NUMBERS["one"])
    refused = machine.run(*stranger, "--name", "Stranger")
    assert refused.code != 0, "a certificate of an unknown authority was accepted"
    say(f"without Caddy's authority: {refused.err.splitlines()[0]}")
    os.environ["SSL_CERT_FILE"] = str(authority)


class Talk:
    """One person who sends and one who receives, each with a command that stays online."""

    def __init__(self, machine: Machine, online: Callable[[], list[int]], stack: ExitStack) -> None:
        """Take what is there.

        Args:
            machine: where the two have their profiles, "one" and "two", signed up.
            online: how many devices are logged in at each relay; -1 where none runs.
            stack: ends the two commands.
        """
        self._machine = machine
        self._online = online
        self._stack = stack
        self._sent = 0
        self._arrived: list[str] = []
        # Of strangers one takes messages, and tells them nothing.
        machine.does("contacts", "add", NUMBERS["one"], "--profile", "two")
        receiver = self._person("receive", "--profile", "two", "--json", "--follow", stdout=subprocess.PIPE)
        threading.Thread(target=self._listen, args=(receiver,), daemon=True).start()
        self._sender = self._person(
            *("send", "--profile", "one", "--to", NUMBERS["two"], "--lines", "--wait", "delivered"),
            stdin=subprocess.PIPE,
        )

    def during(self, what: str, do: Callable[[], object] = lambda: None) -> None:
        """Send messages while something is done; all have to arrive, once and in order."""
        start = time.monotonic()
        with ThreadPoolExecutor(1) as threads:
            sending = threads.submit(self._send)
            do()
            sending.result()
        wait_until(lambda: len(self._arrived) >= self._sent, f"all arrived: {what}", PATIENCE_S)
        assert self._arrived == [str(number) for number in range(self._sent)], f"{what}: {self._arrived}"
        say(f"{what}: {_PER_STEP} messages in order, {time.monotonic() - start:.1f} s")

    def end(self) -> None:
        """End the sender: it does so with 0 when it knows of every message that it was delivered."""
        self._sender.communicate(timeout=PATIENCE_S)
        assert self._sender.returncode == 0, self._sender.returncode

    def _person(self, *command: str, **options: Any) -> subprocess.Popen[bytes]:
        """Start a command that stays, and wait until it is online."""
        before = sum(self._online())
        process = self._stack.enter_context(ended(self._machine.start(*command, **options)))
        wait_until(lambda: sum(self._online()) > before, "online", PATIENCE_S)
        return process

    def _listen(self, receiver: subprocess.Popen[bytes]) -> None:
        assert receiver.stdout is not None
        for line in receiver.stdout:
            self._arrived.append(json.loads(line)["text"])

    def _send(self) -> None:
        assert self._sender.stdin is not None
        for _ in range(_PER_STEP):
            self._sender.stdin.write(b"%d\n" % self._sent)
            self._sender.stdin.flush()
            self._sent += 1
            time.sleep(_PAUSE_S)
