"""Where a registration PIN comes from, and which ones are taken."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from pathlib import Path

import pytest

from zap2.cli import asking
from zap2.cli.pins import read_new_pin, read_pin
from zap2.client.admission import check_invite, check_pin
from zap2.errors import UsageError


def _answers(monkeypatch: pytest.MonkeyPatch, *answers: str) -> None:
    given: Iterator[str] = iter(answers)
    monkeypatch.setattr(asking, "_has_terminal", lambda: True)
    monkeypatch.setattr(getpass, "getpass", lambda _: next(given))


def test_a_pin_from_a_file_is_taken_without_its_line_break(tmp_path: Path) -> None:
    """Guards that `echo 4711 > file` is the PIN 4711."""
    path = tmp_path / "pin"
    path.write_text(" 4711\n")
    path.chmod(0o600)
    assert read_pin(path) == read_new_pin(path) == "4711"


def test_a_new_pin_is_asked_for_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against a PIN with a typo, which nobody could ever give again."""
    _answers(monkeypatch, "4711", "4711")
    assert read_new_pin(None) == "4711"
    _answers(monkeypatch, "4711", "4712")
    with pytest.raises(UsageError, match="differ") as error:
        read_new_pin(None)
    assert "4711" not in str(error.value)


@pytest.mark.parametrize("pin", ["", "  ", "123", "x" * 65])
def test_a_pin_that_the_relay_would_not_take_is_refused_here(pin: str) -> None:
    """Guards the bounds, so that the words come from here and not from a broken frame."""
    with pytest.raises(UsageError, match="4 to 64"):
        check_pin(pin)


def test_the_same_pin_from_another_keyboard_is_the_same() -> None:
    """Guards one form of letters that can be written in two: e + accent, and the letter."""
    assert check_pin("cafe\u0301") == check_pin("caf\u00e9")


def test_an_invite_has_bounds() -> None:
    """Guards the frame's bounds; the relay does the rest."""
    assert check_invite(" abcd-efgh ") == "abcd-efgh"
    for wrong in ("", "   ", "x" * 65):
        with pytest.raises(UsageError, match="no invite"):
            check_invite(wrong)
