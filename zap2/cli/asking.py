"""Where secrets come from: a file, or the person at the terminal. Never an argument, which others can see."""

from __future__ import annotations

import getpass
import os
import stat
import sys
from pathlib import Path
from typing import Final

from zap2.cli.console import warn
from zap2.errors import UsageError

MAX_SIZE_B: Final = 4096


def read_secret_file(path: Path, what: str) -> str:
    """Read a secret from a file, and warn when others can do so too.

    Args:
        path: of the file.
        what: the secret's name in a sentence, for example "passphrase".

    Raises:
        UsageError: it cannot be read, or is not text.
    """
    try:
        with path.open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            content = stream.read(MAX_SIZE_B + 1)
    except OSError as error:
        raise UsageError(f"The {what} file {path} cannot be read: {error.strerror}.") from None
    if os.name == "posix" and stat.S_ISREG(mode) and mode & (stat.S_IRWXG | stat.S_IRWXO):
        warn(f"others can read the {what} file {path}; `chmod 600` keeps it yours")
    return decode_secret(content, what)


def decode_secret(content: bytes, what: str) -> str:
    """Give the text of a secret, without the line break that an editor or `echo` puts after it. Raises UsageError."""
    if len(content) > MAX_SIZE_B:
        raise UsageError(f"A {what} has {MAX_SIZE_B} bytes at most.")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise UsageError(f"The {what} is not UTF-8 text.") from None
    return text[:-2] if text.endswith("\r\n") else text.removesuffix("\n")


def ask_secret(prompt: str, what: str, ways: str) -> str:
    """Ask the person at the terminal, without showing what they type.

    Args:
        prompt: what is asked.
        what: the secret's name in a sentence.
        ways: what to do where there is no terminal.

    Raises:
        UsageError: there is no terminal, or its end came first.
    """
    # getpass would fall back to reading, and showing, standard input.
    if not _has_terminal():
        raise UsageError(f"There is no terminal to ask for the {what} on.", ways)
    try:
        return getpass.getpass(prompt)
    except EOFError:
        raise UsageError(f"No {what} was given.", ways) from None


def _has_terminal() -> bool:
    if os.name != "posix":
        return sys.stdin.isatty()
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
