"""The workflows name what there is, and give no more rights than a step needs; nobody would notice before a push."""

from __future__ import annotations

import re
import subprocess
import tomllib
from typing import Final

import pytest

from tests.workflow import ROOT, WORKFLOWS, jobs
from zap2.cli import commands

_STEPS: Final = [
    pytest.param(command, id=f"{name}-{job}-{number}")
    for name in ("ci", "release")
    for job, steps in jobs(name).items()
    for number, command in enumerate(steps)
]


def _text(name: str) -> str:
    return (WORKFLOWS / f"{name}.yml").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["ci", "release"])
def test_every_step_is_seen(name: str) -> None:
    """A step that is written another way would be checked by nothing here."""
    found = [command for steps in jobs(name).values() for command in steps]
    assert len(found) == len(re.findall(r"^\s*(?:- )?run:", _text(name), re.MULTILINE)) > 0


@pytest.mark.parametrize("command", _STEPS)
def test_a_step_names_what_there_is(command: str) -> None:
    """Scripts that can be run, extras that can be installed, commands of zap2; in shell that parses."""
    subprocess.run(["bash", "-n", "-c", command], check=True)
    for script in re.findall(r"(?<![\w./])(?:\.ci|deploy)/[\w-]+", command):
        assert (ROOT / script).stat().st_mode & 0o111, script
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for extras in re.findall(r"\.\[([\w,]+)\]", command):
        assert set(extras.split(",")) <= set(project["optional-dependencies"])
    for name in re.findall(r"\bzap2 ([a-z]+)", command):
        assert name in commands.COMMANDS, name


@pytest.mark.parametrize("command", _STEPS)
def test_no_expression_is_pasted_into_a_shell(command: str) -> None:
    """What `${{ }}` stands for would be run; it goes through `env:`."""
    assert "${{" not in command


@pytest.mark.parametrize("name", ["ci", "release"])
def test_rights_are_few(name: str) -> None:
    """Reading is all that a workflow may; a job that needs more says so, and no checkout leaves its token behind."""
    text = _text(name)
    assert "\npermissions:\n  contents: read\n" in text
    assert re.findall(r": write\b", text) == ([": write"] if name == "release" else [])
    checkouts = text.count("uses: actions/checkout@")
    assert text.count("persist-credentials: false") == checkouts > 0


def test_every_python_that_is_promised_is_tested() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    promised = re.findall(r"Python :: (3\.\d+)", "\n".join(project["classifiers"]))
    matrix = re.search(r"python: \[(.*)\]", _text("ci"))
    assert matrix is not None
    assert re.findall(r"3\.\d+", matrix[1]) == promised
