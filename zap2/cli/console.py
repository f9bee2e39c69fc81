"""What commands write: results to standard output, words about them to standard error."""

from __future__ import annotations

import sys

from zap2.errors import Zap2Error
from zap2.text import sanitize


def say(text: str = "") -> None:
    """Write one line of a result, and let readers have it now."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def warn(text: str) -> None:
    """Write one line for the person to standard error."""
    sys.stderr.write(f"zap2: {sanitize(text, single_line=True)}\n")
    sys.stderr.flush()


def complain(error: Zap2Error) -> None:
    """Write an error as one line, and its hint as a second one."""
    warn(str(error))
    if error.hint:
        sys.stderr.write(f"      {sanitize(error.hint, single_line=True)}\n")
        sys.stderr.flush()
