"""What every file of the project keeps to."""

from __future__ import annotations

import ast
import asyncio
import re
import subprocess
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
MAX_LINES: Final = 400

# Put together here, so that this file does not hold what it looks for.
_REGISTRIES: Final = re.compile(
    "|".join([r"py" + r"pi\.org", r"python" + r"hosted\.org", r"crates" + r"\.io/api"])
)
_MACHINE_PATHS: Final = re.compile(r"(?<![\w.])/(?:work|farm|opt|root|home/\w+|Users/\w+|tmp/[a-z0-9]+)/\w")


def _tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def _texts() -> list[tuple[Path, str]]:
    texts = []
    for path in _tracked():
        try:
            texts.append((path, path.read_text(encoding="utf-8")))
        except UnicodeDecodeError:
            assert path.suffix in {".png", ".bin"}, f"{path} is not text"
    return texts


def _modules() -> list[Path]:
    return sorted((ROOT / "zap2").rglob("*.py"))


def test_no_file_grows_into_a_hall() -> None:
    """A file has one purpose and fits into a head."""
    long = {
        str(path.relative_to(ROOT)): text.count("\n")
        for path, text in _texts()
        if path.suffix == ".py" and text.count("\n") > MAX_LINES
    }
    assert long == {}


@pytest.mark.parametrize("pattern", [_REGISTRIES, _MACHINE_PATHS], ids=["registries", "machine paths"])
def test_nothing_names_one_registry_or_one_machine(pattern: re.Pattern[str]) -> None:
    """The project is the same wherever it is checked out and wherever packages come from."""
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path, text in _texts()
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]
    assert found == []


def test_everything_public_says_what_it_is() -> None:
    """Every module, public class, function and method has a docstring; a port's methods have it at the port."""
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in _modules()}
    at_a_port = {name for tree in trees.values() for name in _documented_by_ports(tree)}
    silent = [
        f"{path.relative_to(ROOT)}: {name}"
        for path, tree in trees.items()
        for name in _without_docstring(tree, "", at_a_port | set(dir(asyncio.Protocol)))
    ]
    assert silent == []


def test_no_file_has_a_name_that_says_nothing() -> None:
    """Nobody knows what belongs into a module called like these, so everything ends up there."""
    empty_words = {"utils", "util", "helpers", "helper", "manager", "common", "misc", "base"}
    assert [path for path in _modules() if path.stem in empty_words] == []


def _documented_by_ports(tree: ast.Module) -> list[str]:
    return [
        method.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base) == "Protocol" for base in node.bases)
        for method in node.body
        if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(method)
    ]


def _is_setter(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any(ast.unparse(decorator).endswith(".setter") for decorator in node.decorator_list)


def _without_docstring(node: ast.Module | ast.ClassDef, prefix: str, elsewhere: set[str]) -> list[str]:
    silent = [] if ast.get_docstring(node) else [prefix or "the module"]
    for child in node.body:
        if not isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if child.name.startswith("_") or _is_setter(child):
            continue
        name = f"{prefix}.{child.name}".lstrip(".")
        if isinstance(child, ast.ClassDef):
            silent += _without_docstring(child, name, elsewhere)
        elif not ast.get_docstring(child) and not (prefix and child.name in elsewhere):
            silent.append(name)
    return silent
