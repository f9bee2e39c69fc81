"""What people install: the wheel, and the lines that the README tells them to copy."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Final

import pytest

from zap2 import __version__
from zap2.cli.commands import COMMANDS

ROOT: Final = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel that pip and pipx build from this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, capture_output=True, check=True)
    return zipfile.ZipFile(next(folder.glob("*.whl")))


def test_the_wheel_brings_everything_that_runs(wheel: zipfile.ZipFile) -> None:
    """Modules, style sheets and the typing marker are in it; tests and benchmarks are not."""
    wanted = {
        str(path.relative_to(ROOT).as_posix())
        for path in (ROOT / "zap2").rglob("*")
        if path.suffix in {".py", ".tcss"} or path.name == "py.typed"
    }
    assert any(name.endswith(".tcss") for name in wanted)
    packed = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert packed == wanted


def test_the_wheel_installs_the_command(wheel: zipfile.ZipFile) -> None:
    """`zap2` is there after the installation."""
    entry_points = next(name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    assert "zap2 = zap2.__main__:main" in wheel.read(entry_points).decode()


def test_the_versions_agree() -> None:
    """The package, its metadata and the changelog speak of the same version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == __version__
    assert f"## [{__version__}]" in (ROOT / "CHANGELOG.md").read_text()


def test_ci_runs_the_readmes_line() -> None:
    """What people copy to run the tests is what CI runs."""
    line = (ROOT / ".ci" / "run").read_text().splitlines()[-1]
    assert "tests.check" in line
    assert line in (ROOT / "README.md").read_text().splitlines()


def test_the_readme_knows_every_command() -> None:
    """The README's list of commands is complete, and so is its table of exit codes."""
    readme = (ROOT / "README.md").read_text()
    assert [name for name in COMMANDS if f"| `zap2 {name}" not in readme] == []
    assert [code for code in range(8) if f"| {code} |" not in readme] == []


def test_the_architecture_page_names_files_that_are_there() -> None:
    """The page leads through the code as it is."""
    named = set(re.findall(r"`([a-z_0-9/]+\.py)`", (ROOT / "docs" / "architecture.md").read_text()))
    assert len(named) > 20
    assert [
        name for name in named if not (ROOT / name).is_file() and not (ROOT / "zap2" / name).is_file()
    ] == []


def test_the_readmes_pictures_exist() -> None:
    """A picture that the README shows is in the repository."""
    readme = (ROOT / "README.md").read_text()
    pictures = [part.split(")")[0] for part in readme.split("](docs/images/")[1:]]
    assert pictures
    assert [name for name in pictures if not (ROOT / "docs" / "images" / name).is_file()] == []
