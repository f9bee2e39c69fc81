"""What the screen needs from where it runs."""

from __future__ import annotations

import os
import sys

from zap2.errors import UsageError


def require_terminal(command: str) -> None:
    """Make sure that there is a terminal to draw on and to type at.

    Raises:
        UsageError: standard input or output is a file or a pipe, or the terminal cannot draw.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(
            f"`{command}` needs a terminal.",
            "Scripts use `zap2 send`, `zap2 receive --json` and the other commands.",
        )
    if os.environ.get("TERM") == "dumb":
        raise UsageError(
            f"`{command}` cannot draw on this terminal (TERM=dumb).",
            "Use another terminal, or `zap2 send`, `zap2 receive` and the other commands.",
        )
