"""What end-to-end tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.commands import Machine, RelayServer


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine with Zap2 on it and nothing set up."""
    return Machine(tmp_path)


@pytest.fixture
def relay(machine: Machine) -> Iterator[RelayServer]:
    """A relay that asks for no codes."""
    with machine.relay() as server:
        yield server


@pytest.fixture
def two_people(machine: Machine, relay: RelayServer) -> Machine:
    """A machine with the profiles `one` and `two`, strangers to each other."""
    machine.sign_up("one", relay)
    machine.sign_up("two", relay)
    return machine
