"""The relay's data folder: private, and one relay's at a time."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from zap2.errors import UsageError

DATABASE_FILE: Final = "relay.sqlite3"
_LOCK_FILE: Final = "lock"


def claim(data_dir: Path) -> FileLock:
    """Make the folder if it is not there, and lock it; release the lock when the relay has stopped.

    Raises:
        UsageError: the folder cannot be written, everybody may write it, or another relay uses it.
    """
    try:
        _refuse_shared(data_dir)
        is_ours = not data_dir.exists() or not any(data_dir.iterdir()) or (data_dir / DATABASE_FILE).exists()
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not is_ours:
            refuse_open(data_dir, "--data")
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


def refuse_open(folder: Path, option: str) -> None:
    """Refuse a folder in which every user of this machine may put other files in place of the relay's.

    Args:
        folder: it is there.
        option: with which the host named it.

    Raises:
        UsageError: the folder is one.
        OSError: it cannot be looked at.
    """
    if os.name == "posix" and folder.stat().st_mode & stat.S_IWOTH:
        raise UsageError(
            f"Every user of this machine can write to the folder {folder}; nothing was put into it.",
            f"Name another one with {option}, or take the right away: chmod o-w {folder}",
        )


def _refuse_shared(folder: Path) -> None:
    # The sticky bit marks a folder as everybody's, like /tmp: even an empty one is not to be made private.
    if folder.is_dir() and folder.stat().st_mode & stat.S_ISVTX:
        refuse_open(folder, "--data")
