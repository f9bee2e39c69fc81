"""Standard streams that the caller closed: a place for each, so that no file of ours takes its descriptor."""

from __future__ import annotations

import io
import os
import sys
from typing import TextIO


def open_missing_streams() -> None:
    """Fill closed standard streams: reading gives the end at once, writing fails with words. Call it first."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest free descriptor is taken, and that is this one. Opened the wrong way round for output,
            # because what nobody can read must not look as if it had been written.
            os.open(os.devnull, os.O_RDONLY)
    if sys.stdin is None:
        sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)), encoding="utf-8")
    if sys.stdout is None:
        sys.stdout = _writer(1)
    if sys.stderr is None:
        sys.stderr = _writer(2)


def _writer(descriptor: int) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BufferedWriter(io.FileIO(descriptor, "w", closefd=False)), encoding="utf-8")


def forget(stream: TextIO) -> None:
    """Let go of output that nobody can have, so that the interpreter does not complain about it at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
