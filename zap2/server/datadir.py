"""The relay's data folder: private, and one relay's at a time."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from zap2.errors import UsageError

DATABASE_FILE: Final = "relay.sqlite3"
_KEYS: Final = "*.key"
_LOCK_FILE: Final = "lock"
_ROOT: Final = 0
_PRIVATE: Final = 0o700


def claim(data_dir: Path) -> FileLock:
    """Make the folder if it is not there, and lock it; release the lock when the relay has stopped.

    Raises:
        UsageError: the folder cannot be written, somebody else may put files into it, or another relay uses it.
    """
    try:
        if not data_dir.exists():
            data_dir.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
        elif not any(data_dir.iterdir()):
            make_private_if_empty(data_dir)
        else:
            refuse_foreign(data_dir, "--data")
            for path in (*data_dir.glob(DATABASE_FILE + "*"), *data_dir.glob(_KEYS)):
                refuse_foreign_file(path)
            if (data_dir / DATABASE_FILE).exists():
                _close(data_dir, data_dir.stat())
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


def make_private_if_empty(folder: Path) -> None:
    """Close a folder that is there and has nothing in it, unless it is somebody else's or everybody's.

    Raises:
        UsageError: it is, or somebody put something into it meanwhile; then it stays as it was.
        OSError: it cannot be looked at or closed.
    """
    if os.name != "posix":
        return
    before = folder.stat()
    _refuse_owner(folder, before, "--data")
    # The sticky bit marks a folder as everybody's, like /tmp: even an empty one is not to be made private.
    if before.st_mode & stat.S_IWOTH and before.st_mode & stat.S_ISVTX:
        raise _open_to_all(folder, "--data")
    _close(folder, before)
    # Until that, everybody could write.
    if before.st_mode & stat.S_IWOTH and any(folder.iterdir()):
        folder.chmod(stat.S_IMODE(before.st_mode))
        raise _open_to_all(folder, "--data")


def refuse_foreign(folder: Path, option: str) -> None:
    """Refuse a folder in which others may put files in place of the relay's.

    Args:
        folder: it is there.
        option: with which the host named it.

    Raises:
        UsageError: every user of this machine may, or whoever owns it and is not the relay's user.
        OSError: it cannot be looked at.
    """
    if os.name != "posix":
        return
    found = folder.stat()
    if found.st_mode & stat.S_IWOTH:
        raise _open_to_all(folder, option)
    _refuse_owner(folder, found, option)


def refuse_foreign_file(path: Path) -> None:
    """Refuse a file of the relay that somebody else has put there, or can change.

    Args:
        path: it is there, in a folder that was not refused.

    Raises:
        UsageError: it belongs neither to the relay's user, nor to root, nor to the folder's owner; or everybody may
            write it.
        OSError: it cannot be looked at.
    """
    if os.name != "posix":
        return
    found = path.stat()
    if found.st_uid not in (os.geteuid(), _ROOT, path.parent.stat().st_uid):
        raise UsageError(
            f"The file {path} belongs to another user of this machine; nothing was changed.",
            "If it is the relay's, give it to the user that the relay runs as, with chown; else remove it.",
        )
    if found.st_mode & stat.S_IWOTH:
        raise UsageError(
            f"Every user of this machine can write the file {path}; nothing was changed.",
            f"If nobody else has written it, take the right away: chmod o-w {path}",
        )


def _close(folder: Path, found: os.stat_result) -> None:
    if os.name != "posix" or stat.S_IMODE(found.st_mode) == _PRIVATE:
        return
    # One that root has made for the relay's group, as for a container, only root can close.
    if os.geteuid() in (found.st_uid, _ROOT) or found.st_mode & stat.S_IWOTH:
        folder.chmod(_PRIVATE)


def _refuse_owner(folder: Path, found: os.stat_result, option: str) -> None:
    me = os.geteuid()
    if found.st_uid in (me, _ROOT):
        return
    # Root looks after relays of other users, and has named their folder; where everybody can make folders, as in
    # /tmp, that name proves nothing.
    if me == _ROOT and not folder.absolute().parent.stat().st_mode & stat.S_IWOTH:
        return
    raise UsageError(
        f"The folder {folder} belongs to another user of this machine; nothing was put into it.",
        f"Name another one with {option}, or give it to the user that the relay runs as, with chown.",
    )


def _open_to_all(folder: Path, option: str) -> UsageError:
    return UsageError(
        f"Every user of this machine can write to the folder {folder}; nothing was put into it.",
        f"Name another one with {option}, or take the right away: chmod o-w {folder}",
    )
