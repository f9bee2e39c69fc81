"""The steps of .github/workflows/ci.yml as they are written, each job in a clone and an environment of its own.

`python -m tests.workflow package image` runs those jobs of what is committed; without names it lists the jobs. A clone
stands for checkout, a virtual environment of this Python for setup-python; other actions are left out, and so is what
asks for root, which is said.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
WORKFLOWS: Final = ROOT / ".github" / "workflows"
_JOB: Final = re.compile(r"^  (\w+):$", re.MULTILINE)
_RUN: Final = re.compile(r"^ {6}- run: (?:\|\n(?P<block>(?: {10}.*\n)+)|(?P<line>.+)\n)", re.MULTILINE)


def jobs(name: str) -> dict[str, list[str]]:
    """Give the shell commands of each job of a workflow, in order; `name` is the file's without its suffix."""
    text = (WORKFLOWS / f"{name}.yml").read_text(encoding="utf-8").partition("\njobs:\n")[2]
    parts = _JOB.split(text)[1:]
    return {
        job: [
            match["line"] or re.sub("^ {10}", "", match["block"], flags=re.M) for match in _RUN.finditer(body)
        ]
        for job, body in zip(parts[::2], parts[1::2], strict=True)
    }


def _run(job: str, commands: list[str], folder: Path) -> None:
    checkout, environment = folder / job, folder / f"{job}-python"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(checkout)], check=True)
    venv.create(environment, with_pip=True)
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    variables["PATH"] = f"{environment / 'bin'}{os.pathsep}{variables['PATH']}"
    for command in commands:
        sys.stdout.write(f"{job}: {command}\n")
        if command.startswith("sudo "):
            sys.stdout.write(f"{job}: left out\n")
            continue
        sys.stdout.flush()
        subprocess.run(["bash", "-eo", "pipefail", "-c", command], cwd=checkout, env=variables, check=True)


def main(names: list[str]) -> int:
    """Run jobs of ci.yml; the first command that fails ends it."""
    known = jobs("ci")
    if not names:
        sys.stdout.write("".join(f"{job}: {'; '.join(commands)}\n" for job, commands in known.items()))
        return 0
    with tempfile.TemporaryDirectory(prefix="zap2-workflow-") as folder:
        for job in names:
            _run(job, known[job], Path(folder))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
