"""Where a passphrase comes from: a file, a file descriptor, or the person at the terminal. Never an argument."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Final

from zap2.cli.asking import MAX_SIZE_B, ask_secret, decode_secret, read_secret_file
from zap2.cli.console import warn
from zap2.errors import UsageError
from zap2.tui.passphrase import Strength, strength

_WHAT: Final = "passphrase"
_WAYS: Final = "Use --passphrase-file, --passphrase-fd or ZAP2_PASSPHRASE_FILE where there is no terminal."


def is_given(arguments: argparse.Namespace) -> bool:
    """Say whether the passphrase comes from somewhere else than a prompt."""
    return arguments.passphrase_fd is not None or arguments.passphrase_file is not None


def read_passphrase(arguments: argparse.Namespace) -> str:
    """Get the passphrase of an existing profile.

    Raises:
        UsageError: the source cannot be read, or there is no terminal to ask on.
    """
    return _from_source(arguments) if is_given(arguments) else ask_secret("Passphrase: ", _WHAT, _WAYS)


def read_new_passphrase(arguments: argparse.Namespace) -> str:
    """Get the passphrase of a profile to be made; at a terminal it is asked twice.

    Raises:
        UsageError: as `read_passphrase`, it is empty, or the second one differs.
    """
    if is_given(arguments):
        passphrase = _from_source(arguments)
    else:
        passphrase = ask_secret("New passphrase: ", _WHAT, _WAYS)
        if passphrase and ask_secret("Once more: ", _WHAT, _WAYS) != passphrase:
            raise UsageError("The two passphrases differ.", "Nothing was set up. Try again.")
    if not passphrase:
        raise UsageError(
            "The passphrase is empty.", "Several words that do not belong together make a good one."
        )
    if strength(passphrase) is Strength.WEAK:
        warn(
            "this passphrase is weak: whoever copies the disk guesses it quickly."
            " Several words that do not belong together make a good one"
        )
    return passphrase


def _from_source(arguments: argparse.Namespace) -> str:
    if arguments.passphrase_fd is not None:
        return decode_secret(_read_descriptor(arguments.passphrase_fd), _WHAT)
    return read_secret_file(Path(arguments.passphrase_file), _WHAT)


def _read_descriptor(descriptor: int) -> bytes:
    try:
        with os.fdopen(descriptor, "rb", closefd=False) as stream:
            return stream.read(MAX_SIZE_B + 1)
    except OSError as error:
        raise UsageError(f"File descriptor {descriptor} cannot be read: {error.strerror}.") from None
