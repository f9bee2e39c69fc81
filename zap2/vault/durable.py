"""Files that are either wholly there or not at all, also after a power cut, and that only their owner reads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from zap2.errors import VaultError

FILE_MODE: Final = 0o600
FOLDER_MODE: Final = 0o700


def write_durably(path: Path, content: bytes) -> None:
    """Put a file in place in one step, or leave what was there; on the disk when this returns.

    Raises:
        VaultError: the disk or its permissions do not allow it.
    """
    new = path.with_name(path.name + ".new")
    with os_errors(f"{path.name} cannot be written"):
        new.unlink(missing_ok=True)
        descriptor = os.open(
            new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), FILE_MODE
        )
        try:
            with open(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            new.replace(path)
        except BaseException:
            new.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk, where the system can do that."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def keep_private(path: Path, mode: int) -> None:
    """Take away every permission beyond `mode`, where the system knows permissions."""
    with suppress(OSError):
        current = path.stat().st_mode & 0o777
        if current & ~mode:
            path.chmod(current & mode)


@contextmanager
def os_errors(what: str) -> Iterator[None]:
    """Turn an error of the operating system into a VaultError with its reason."""
    try:
        yield
    except OSError as error:
        raise VaultError(
            f"{what}: {error.strerror or 'input/output error'}.",
            "Look at the permissions and the free space of the disk, or choose another --config-dir.",
        ) from error
