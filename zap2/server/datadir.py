"""The relay's data folder: private, and one relay's at a time."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from zap2.errors import UsageError

DATABASE_FILE: Final = "relay.sqlite3"
_LOCK_FILE: Final = "lock"


def claim(data_dir: Path) -> FileLock:
    """Make the folder if it is not there, and lock it; release the lock when the relay has stopped.

    Raises:
        UsageError: the folder cannot be written, or another relay uses it.
    """
    try:
        is_ours = not data_dir.exists() or not any(data_dir.iterdir()) or (data_dir / DATABASE_FILE).exists()
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if is_ours and os.name == "posix":
            data_dir.chmod(0o700)
        lock = FileLock(data_dir / _LOCK_FILE, mode=0o600)
        lock.acquire(blocking=False)
    except Timeout:
        raise UsageError(
            f"Another relay uses the data folder {data_dir}.",
            "Stop it first, or choose another folder with --data.",
        ) from None
    except OSError as error:
        raise UsageError(
            f"The data folder {data_dir} cannot be used: {error.strerror}.", "Choose another one with --data."
        ) from error
    return lock
