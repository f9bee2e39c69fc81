"""Where a profile lives: a private folder with the key file, the database, and the lock of its one owner.

A profile's folder is made in this order: folder, lock, key file, database. So a key file without a database is a
set-up that was cut off before anything was in it; it is set aside and made anew, never overwritten. A database
without its key file cannot have come about like this: the file was lost, and nothing opens the database without it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import filelock
import platformdirs

from zap2.errors import NoProfile, ProfileExists, ProfileInUse, UsageError, VaultDamaged
from zap2.vault.durable import FILE_MODE, FOLDER_MODE, keep_private, os_errors, sync_folder

KEYFILE_NAME: Final = "vault.key"
DATABASE_NAME: Final = "vault.db"
LOCK_NAME: Final = "vault.lock"
_UNFINISHED_NAME: Final = "signup.unfinished"

_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9._-]{0,30}[a-z0-9_-])?")
# Names that Windows gives to devices, whatever follows a dot.
_DEVICE_NAME: Final = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?")


def default_config_dir() -> Path:
    """Give the folder where profiles are kept unless the person says otherwise."""
    return platformdirs.user_config_path("zap2", appauthor=False)


class ProfileFolder:
    """One profile's place on the disk; `create` it or find it there, `lock` it before anything is opened.

    Args:
        config_dir: the folder of all profiles; None for the usual one of this system.
        name: 1 to 32 of a-z, 0-9, dot, underscore and hyphen, beginning with a letter or digit.

    Raises:
        UsageError: the name is not of that form.
    """

    def __init__(self, config_dir: Path | None, name: str) -> None:
        if not _NAME.fullmatch(name) or _DEVICE_NAME.fullmatch(name):
            raise UsageError(
                "This cannot be the name of a profile.",
                "Use up to 32 of a-z, 0-9, dot, hyphen and underscore, for example work or anna-2.",
            )
        self.name = name
        self.path = (default_config_dir() if config_dir is None else config_dir) / "profiles" / name
        # Not bound to a thread: the vault's thread takes it and the event loop may let it go.
        self._lock = filelock.FileLock(self.path / LOCK_NAME, timeout=0, mode=FILE_MODE, thread_local=False)

    def __repr__(self) -> str:
        return f"ProfileFolder({str(self.path)!r})"

    @property
    def keyfile(self) -> Path:
        """The key, wrapped by the passphrase."""
        return self.path / KEYFILE_NAME

    @property
    def database(self) -> Path:
        """Everything else."""
        return self.path / DATABASE_NAME

    @property
    def exists(self) -> bool:
        """Whether there is a vault to unlock; otherwise `create` may make one.

        True as well for a database without its key file, so that unlocking tells about the loss before anybody
        goes through a signup.
        """
        return self.database.exists()

    @property
    def is_unfinished(self) -> bool:
        """Whether there is a vault whose account no relay has confirmed; known without the passphrase."""
        return self.exists and (self.path / _UNFINISHED_NAME).exists()

    def set_unfinished(self, unfinished: bool) -> None:
        """Note whether the sign-up is still to be finished. Raises VaultError."""
        note = self.path / _UNFINISHED_NAME
        with os_errors("The state of the sign-up cannot be noted"):
            if unfinished:
                note.touch(mode=FILE_MODE)
            else:
                note.unlink(missing_ok=True)

    @property
    def is_locked(self) -> bool:
        """Whether this object holds the lock."""
        return self._lock.is_locked

    def create(self) -> None:
        """Make the private folder of a new vault and `lock` it; make the key file next, then the database.

        Raises:
            ProfileExists: there is a vault here.
            VaultDamaged: there is a database here whose key file was lost.
            ProfileInUse: somebody else is making or using it.
            VaultError: the disk does not allow it.
        """
        with os_errors("The profile's folder cannot be made"):
            self.path.parent.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            for folder in (self.path.parent, self.path):
                folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
                sync_folder(folder.parent)
        self.lock()
        try:
            self._set_unfinished_aside()
        except BaseException:
            self.unlock()
            raise

    def lock(self) -> None:
        """Become the one owner of this profile; lasts until `unlock` or the end of the process, however that comes.

        Does nothing when this object is the owner already.

        Raises:
            ProfileInUse: another process, or another object of this one, is the owner.
            NoProfile: there is no such folder.
            VaultError: the disk does not allow it.
        """
        if self._lock.is_locked:
            return
        if not self.path.is_dir():
            raise NoProfile
        with os_errors("The profile cannot be locked"):
            try:
                self._lock.acquire()
            except filelock.Timeout:
                raise ProfileInUse from None
        keep_private(self.path, FOLDER_MODE)
        keep_private(self.keyfile, FILE_MODE)

    def unlock(self) -> None:
        """Let the profile go; does nothing when this object is not its owner."""
        self._lock.release()

    def _set_unfinished_aside(self) -> None:
        if self.database.exists():
            if self.keyfile.exists():
                raise ProfileExists
            raise VaultDamaged(
                f"This profile has its {DATABASE_NAME} and has lost its {KEYFILE_NAME}.",
                f"Put {KEYFILE_NAME} back from a backup, or choose another --profile: without it nobody can open it.",
            )
        if self.keyfile.exists():
            number = 1
            while (old := self.path / f"{KEYFILE_NAME}.unfinished-{number}").exists():
                number += 1
            with os_errors("The key file of an unfinished set-up cannot be set aside"):
                self.keyfile.rename(old)
                sync_folder(self.path)
