"""Where a registration PIN comes from: a file, or the person at the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from zap2.cli.asking import ask_secret, read_secret_file
from zap2.client.admission import check_pin
from zap2.errors import UsageError

_PIN: Final = "PIN"
_WAYS: Final = "Use --pin-file where there is no terminal."


def read_pin(file: Path) -> str:
    """Read a PIN from a file. Raises UsageError."""
    return check_pin(read_secret_file(file, _PIN))


def read_new_pin(file: Path | None) -> str:
    """Get a PIN that is to be set: from a file, else asked for twice.

    Raises:
        UsageError: it is too short or too long, the second one differs, or nobody is there to be asked.
    """
    if file is not None:
        return read_pin(file)
    pin = check_pin(ask_secret("New registration PIN: ", _PIN, _WAYS))
    if check_pin(ask_secret("Once more: ", _PIN, _WAYS)) != pin:
        raise UsageError("The two PINs differ.", "Nothing was changed. Try again.")
    return pin
