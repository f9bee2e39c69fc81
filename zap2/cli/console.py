"""What commands write: results to standard output, words about them to standard error."""

from __future__ import annotations

import sys

from zap2.cli.streams import forget
from zap2.errors import OutputFailed, Zap2Error
from zap2.text import sanitize


def say(text: str = "") -> None:
    """Write one line of a result, and let readers have it now.

    Raises:
        OutputFailed: the output is closed, or its disk is full.
        BrokenPipeError: nobody reads any more.
    """
    try:
        sys.stdout.write(text + "\n")
    except OSError as error:
        _output_failed(error)
    flush()


def flush() -> None:
    """Let readers have what was written. Raises as `say`."""
    try:
        sys.stdout.flush()
    except OSError as error:
        _output_failed(error)


def warn(text: str) -> None:
    """Write one line for the person to standard error."""
    _tell(f"zap2: {sanitize(text, single_line=True)}\n")


def complain(error: Zap2Error) -> None:
    """Write an error as one line, and its hint as a second one."""
    warn(str(error))
    if error.hint:
        _tell(f"      {sanitize(error.hint, single_line=True)}\n")


def _tell(text: str) -> None:
    # Where standard error is closed or full there is nobody left to tell; the exit code still does.
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        forget(sys.stderr)


def _output_failed(error: OSError) -> None:
    if isinstance(error, BrokenPipeError):
        raise error
    raise OutputFailed(
        f"Standard output cannot be written: {error.strerror or 'input/output error'}."
    ) from None
