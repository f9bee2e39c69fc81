"""Imports point down, and loading one part does not load what it does not need."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
_HELP: Final = "from zap2.cli.main import run; run(['--help'])"


def test_the_import_contracts_hold() -> None:
    """Layers and forbidden imports are as pyproject.toml says."""
    lint_imports = Path(sys.executable).parent / "lint-imports"
    result = subprocess.run([lint_imports], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("code", "unwanted"),
    [
        (
            _HELP,
            {"textual", "websockets", "cryptography", "sqlcipher3", "phonenumbers", "msgspec", "asyncio"},
        ),
        (
            "import zap2.cli.serve",
            {"textual", "rich", "sqlcipher3", "zap2.client", "zap2.engine", "zap2.tui"},
        ),
        ("import zap2.cli.send", {"textual", "rich", "segno", "zap2.server"}),
        ("import zap2.cli.chat", {"zap2.server", "segno", "prometheus_client"}),
        ("import zap2.client.agent", {"textual", "rich", "zap2.server", "zap2.cli"}),
        ("import zap2.engine.engine", {"textual", "websockets", "asyncio", "zap2.client", "zap2.server"}),
        ("import zap2.crypto", {"textual", "websockets", "asyncio", "sqlcipher3", "zap2.wire", "zap2.vault"}),
        (
            "import zap2.wire.frames, zap2.wire.codec",
            {"cryptography", "asyncio", "sqlcipher3", "zap2.crypto"},
        ),
        ("import zap2.tui", {"textual", "rich"}),
    ],
)
def test_a_part_loads_only_what_it_needs(code: str, unwanted: set[str]) -> None:
    """`zap2 --help` stays quick, and a layer is usable without the ones above it."""
    show = "import sys; sys.stdout.write('\\n'.join(['', '#', *sys.modules]))"
    result = subprocess.run(
        [sys.executable, "-c", f"{code}\n{show}"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(result.stdout.split("\n#\n")[1].splitlines())
    assert "zap2" in loaded
    assert not loaded & unwanted
