"""The table of attacks names tests that exist and say what they guard."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
_NAMED: Final = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def _rows() -> list[str]:
    page = (ROOT / "docs" / "attacks.md").read_text(encoding="utf-8")
    return [line for line in page.splitlines() if line.startswith("| ")][1:]


def test_every_attack_names_a_test_that_says_what_it_guards() -> None:
    """A test that is renamed or removed must not leave an attack behind that nothing tries."""
    assert len(_rows()) >= 17
    for row in _rows():
        named = _NAMED.findall(row)
        assert named, row
        for path, name in named:
            tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
            functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
            assert name in functions, f"{path} has no {name}"
            assert (ast.get_docstring(functions[name]) or "").startswith("Guards"), f"{path}::{name}"


def test_every_test_of_an_attack_stands_in_the_table() -> None:
    """Whoever adds an attack also tells it to whoever reads the page."""
    named = {name for row in _rows() for _, name in _NAMED.findall(row)}
    for path in sorted((ROOT / "tests" / "attacks").glob("test_*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                assert node.name in named, f"{path.name}::{node.name}"
