"""Standard streams that are closed or full, and files that nobody else may read."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.commands import NUMBERS, PATIENCE_S, Machine, RelayServer


def _shell(machine: Machine, arguments: str, redirection: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["sh", "-c", f'"$0" -m zap2 {arguments} {redirection}', sys.executable],
        env=machine.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=PATIENCE_S,
        check=False,
    )


@pytest.mark.parametrize("redirection", [">&-", ">/dev/full", ">&- <&-"])
def test_output_that_cannot_be_written_is_told_in_a_line(machine: Machine, redirection: str) -> None:
    """Not a traceback, not silence: exit 1 and the reason."""
    done = _shell(machine, "doctor", redirection)
    assert done.returncode == 1
    assert done.stderr.startswith(b"zap2: Standard output cannot be written: ")
    assert len(done.stderr.splitlines()) == 2


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full", "<&- >&- 2>&-"])
def test_without_standard_error_the_exit_code_still_says_it(machine: Machine, redirection: str) -> None:
    """Nobody hears the words; what was to be done ends as it would."""
    assert _shell(machine, "history", redirection).returncode == 2


def test_without_standard_input_there_is_no_text(machine: Machine) -> None:
    """A closed input is an empty one."""
    done = _shell(machine, f"send --to {NUMBERS['one']}", "<&-")
    assert done.returncode == 2
    assert b"empty" in done.stderr


def test_everything_that_is_made_is_private(machine: Machine, relay: RelayServer) -> None:
    """Whatever the umask of the caller: no folder and no file of a profile or a relay is open to others."""
    before = os.umask(0)
    try:
        machine.sign_up("one", relay)
    finally:
        os.umask(before)
    for path in (machine.config, *machine.config.rglob("*")):
        assert not path.stat().st_mode & 0o077, path
    assert "TROUBLE" not in machine.does("doctor", "--profile", "one").out
    for opened in (Path("profiles"), Path("profiles/one/vault.db"), Path()):
        path = machine.config / opened
        mode = path.stat().st_mode & 0o777
        path.chmod(mode | 0o044)
        told = machine.run("doctor", "--profile", "one")
        assert told.code == 1
        assert f"TROUBLE  config folder: others can look into {path};" in told.out
        path.chmod(mode)


def test_what_could_not_be_written_stays_unread(two_people: Machine) -> None:
    """A full disk behind `receive` loses no message and tells nobody that it was read."""
    two_people.does("send", "--profile", "two", "--to", NUMBERS["one"], "not to be lost")
    done = _shell(two_people, "receive --profile one --json --timeout 20", ">/dev/full")
    assert done.returncode == 1
    assert two_people.receive_texts("one", 1) == ["not to be lost"]
