"""Everything that has to hold, in one run: `python -m tests.check`. The tests come last, and so does their verdict.

Arguments are handed to pytest, for example `python -m tests.check tests/unit -x`.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
_TOOLS: Final = Path(sys.executable).parent
_CHECKS: Final = {
    "lint": [sys.executable, "-m", "ruff", "check", "."],
    "format": [sys.executable, "-m", "ruff", "format", "--check", "."],
    "types": [sys.executable, "-m", "mypy"],
    "imports": [str(_TOOLS / "lint-imports")],
}


def main() -> int:
    """Run the checks, then the tests; gives 0 when all of them pass."""
    failed = [name for name, command in _CHECKS.items() if not _passes(name, command)]
    if failed:
        _say(f"failed: {', '.join(failed)}; the tests were not run")
        return 1
    tests = [sys.executable, "-m", "pytest", "-n", "auto", "-q", *sys.argv[1:]]
    return subprocess.run(tests, cwd=ROOT, check=False).returncode


def _passes(name: str, command: list[str]) -> bool:
    began_at = time.monotonic()
    result = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    took_s = time.monotonic() - began_at
    _say(f"{name:<8} {'ok' if result.returncode == 0 else 'FAILED'} ({took_s:.1f} s)")
    if result.returncode != 0:
        _say(result.stdout + result.stderr)
    return result.returncode == 0


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
