"""From arguments to an exit code: errors become one line and a hint, never a traceback."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from zap2.cli.arguments import parse
from zap2.cli.console import complain, flush, warn
from zap2.cli.streams import forget, open_missing_streams
from zap2.errors import OutputFailed, Zap2Error

_EXIT_INTERRUPTED: Final = 128 + signal.SIGINT
_EXIT_BROKEN_PIPE: Final = 0
_EXIT_UNEXPECTED: Final = 1
_PRIVATE_UMASK: Final = 0o077


def run(arguments: Sequence[str]) -> int:
    """Run one command and give its exit code; `zap2 --help` lists the codes."""
    os.umask(_PRIVATE_UMASK)
    open_missing_streams()
    # Without a listener, Python would write warnings and errors of these logs onto the screen of a chat.
    for name in ("zap2", "asyncio"):
        logging.getLogger(name).addHandler(logging.NullHandler())
    try:
        return _run(arguments)
    except SystemExit as end:  # --help and --version
        return end.code if isinstance(end.code, int) else 0
    except Zap2Error as error:
        complain(error)
        _flush_or_forget()
        return error.exit_code
    except BrokenPipeError:
        forget(sys.stdout)
        return _EXIT_BROKEN_PIPE
    except KeyboardInterrupt:
        return _EXIT_INTERRUPTED
    except OSError as error:
        if os.environ.get("ZAP2_DEBUG") == "1":
            raise
        where = f"{error.filename}: " if isinstance(error.filename, str) else ""
        warn(f"{where}{error.strerror or type(error).__name__}")
        _flush_or_forget()
        return _EXIT_UNEXPECTED
    except Exception as error:
        if os.environ.get("ZAP2_DEBUG") == "1":
            raise
        # The type only: the words of a foreign error can hold what a message says.
        warn(f"unexpected {type(error).__name__}; run it again with ZAP2_DEBUG=1 to see where")
        return _EXIT_UNEXPECTED


def _run(arguments: Sequence[str]) -> int:
    module, parsed = parse(arguments)
    code = module.run(parsed)
    flush()
    return code


def _flush_or_forget() -> None:
    """See to it that the interpreter does not complain at its end about output that cannot be written."""
    with suppress(OSError, OutputFailed):
        flush()
        return
    forget(sys.stdout)
