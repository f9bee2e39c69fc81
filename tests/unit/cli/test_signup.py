"""What is said when a new profile's keys do not reach the relay."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from zap2.cli.signup import why_unpublished
from zap2.errors import Unreachable, VaultError


class _Usage(NamedTuple):
    free: int


def test_a_full_disk_is_named_and_nothing_else_is_blamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards words that would send the person to the relay's host for a full disk of their own."""
    error = Unreachable("The relay did not take this account's keys yet.")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: _Usage(10**9))
    assert why_unpublished(error, tmp_path) is error
    monkeypatch.setattr(shutil, "disk_usage", lambda _: _Usage(0))
    full = why_unpublished(error, tmp_path)
    assert isinstance(full, VaultError)
    assert "full" in str(full)
    assert "completes itself" in full.hint
