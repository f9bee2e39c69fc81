"""Where a passphrase comes from: a file, a file descriptor, or the person at the terminal. Never an argument."""

from __future__ import annotations

import argparse
import getpass
import os
import stat
import sys
from pathlib import Path
from typing import Final

from zap2.cli.console import warn
from zap2.errors import UsageError
from zap2.tui.passphrase import Strength, strength

_MAX_SIZE_B: Final = 4096
_WAYS: Final = "Use --passphrase-file, --passphrase-fd or ZAP2_PASSPHRASE_FILE where there is no terminal."


def is_given(arguments: argparse.Namespace) -> bool:
    """Say whether the passphrase comes from somewhere else than a prompt."""
    return arguments.passphrase_fd is not None or arguments.passphrase_file is not None


def read_passphrase(arguments: argparse.Namespace) -> str:
    """Get the passphrase of an existing profile.

    Raises:
        UsageError: the source cannot be read, or there is no terminal to ask on.
    """
    return _from_source(arguments) if is_given(arguments) else _ask("Passphrase: ")


def read_new_passphrase(arguments: argparse.Namespace) -> str:
    """Get the passphrase of a profile to be made; at a terminal it is asked twice.

    Raises:
        UsageError: as `read_passphrase`, it is empty, or the second one differs.
    """
    if is_given(arguments):
        passphrase = _from_source(arguments)
    else:
        passphrase = _ask("New passphrase: ")
        if passphrase and _ask("Once more: ") != passphrase:
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
        return _decode(_read_descriptor(arguments.passphrase_fd))
    return _decode(_read_file(Path(arguments.passphrase_file)))


def _read_descriptor(descriptor: int) -> bytes:
    try:
        with os.fdopen(descriptor, "rb", closefd=False) as stream:
            return stream.read(_MAX_SIZE_B + 1)
    except OSError as error:
        raise UsageError(f"File descriptor {descriptor} cannot be read: {error.strerror}.") from None


def _read_file(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            content = stream.read(_MAX_SIZE_B + 1)
    except OSError as error:
        raise UsageError(f"The passphrase file {path} cannot be read: {error.strerror}.") from None
    if os.name == "posix" and stat.S_ISREG(mode) and mode & (stat.S_IRWXG | stat.S_IRWXO):
        warn(f"others can read the passphrase file {path}; `chmod 600` keeps it yours")
    return content


def _decode(content: bytes) -> str:
    if len(content) > _MAX_SIZE_B:
        raise UsageError(f"A passphrase has {_MAX_SIZE_B} bytes at most.")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise UsageError("The passphrase is not UTF-8 text.") from None
    # An editor or `echo` ends the file with a line break; it is not meant to belong to the passphrase.
    return text[:-2] if text.endswith("\r\n") else text.removesuffix("\n")


def _ask(prompt: str) -> str:
    # getpass would fall back to reading, and showing, standard input.
    if not _has_terminal():
        raise UsageError("There is no terminal to ask for the passphrase on.", _WAYS)
    try:
        return getpass.getpass(prompt)
    except EOFError:
        raise UsageError("No passphrase was given.", _WAYS) from None


def _has_terminal() -> bool:
    if os.name != "posix":
        return sys.stdin.isatty()
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
