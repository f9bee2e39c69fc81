"""Every refusal of the relay has a stable code and words for a person, and says when to come back if that helps."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from zap2.wire.fields import ErrorCode

ROOT: Final = Path(__file__).resolve().parents[2]
_WAITING_HELPS: Final = {
    ErrorCode.RESEND_TOO_SOON,
    ErrorCode.CODE_NOT_SENT,
    ErrorCode.NO_PREKEYS,
    ErrorCode.MAILBOX_FULL,
    ErrorCode.RATE_LIMITED,
    ErrorCode.DRAINING,
    ErrorCode.INTERNAL,
}
# Wrong codes are over, wrong PINs are good again after a day.
_IT_DEPENDS: Final = {ErrorCode.TOO_MANY_TRIES}


@dataclass(frozen=True)
class _Refusal:
    """One place where the relay says no."""

    place: str
    code: ErrorCode
    words: ast.expr
    wait: ast.expr | None


def _refusals() -> Iterator[_Refusal]:
    for path in sorted((ROOT / "zap2" / "server").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            arguments = node.args
            match ast.unparse(node.func).rpartition(".")[2]:
                case "Refused":
                    pass
                case "Error":
                    arguments = arguments[1:]  # it has the request's id before
                case _:
                    continue
            assert not node.keywords, f"{path.name}:{node.lineno} is written in another way than the others"
            code = ast.unparse(arguments[0])
            if code == "refusal.code":
                continue  # passes on what was refused elsewhere
            words, wait = arguments[1], arguments[2] if len(arguments) > 2 else None
            if isinstance(wait, ast.Constant) and wait.value is None:
                wait = None
            yield _Refusal(f"{path.name}:{node.lineno}", ErrorCode[code.rpartition(".")[2]], words, wait)


def test_every_refusal_says_why_and_when_to_come_back() -> None:
    refusals = list(_refusals())
    assert len(refusals) > 30
    for refusal in refusals:
        if isinstance(refusal.words, ast.Constant):
            words = refusal.words.value
            assert isinstance(words, str)
            assert words[0].isupper(), f"{refusal.place}: no sentence: {words!r}"
            assert words[-1] in ".!?", f"{refusal.place}: no sentence: {words!r}"
        if isinstance(refusal.wait, ast.Constant):
            assert isinstance(refusal.wait.value, int | float)
            assert refusal.wait.value > 0, refusal.place
        if refusal.code not in _IT_DEPENDS:
            assert (refusal.wait is not None) == (refusal.code in _WAITING_HELPS), refusal.place


def test_every_code_is_used() -> None:
    assert {refusal.code for refusal in _refusals()} == set(ErrorCode)


def test_the_document_says_the_same_about_waiting() -> None:
    text = (ROOT / "docs" / "protocol-relay.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line[:1] == "|"]
    told = {code: row[2] for row in rows if len(row) == 3 for code in row[0].split(", ")}
    for code in set(ErrorCode) - _IT_DEPENDS:
        assert told[code] == ("yes" if code in _WAITING_HELPS else "no"), code
