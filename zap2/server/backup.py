"""A relay's backup: one tar file with a consistent copy of its database, taken while it runs, and its two keys.

A database that goes back in time could break promises that were kept since: a one-time pair would be handed out
twice, a seq used twice, a revoked token be good again, and somebody whom a renewed delivery token shut out would be let
in. So restoring drops the pairs and the hashes of delivery tokens (their owners bring new ones when they come), the
tokens, codes and tickets, and lets every mailbox skip far ahead.
"""

from __future__ import annotations

import io
import os
import sqlite3
import stat
import tarfile
import tempfile
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from zap2.errors import UsageError
from zap2.server import datadir, keys
from zap2.server.store.schema import connect

_KEY_FILES: Final = (keys.IDENTITY_FILE, keys.HASHING_FILE)
_NAMES: Final = (datadir.DATABASE_FILE, *_KEY_FILES)
_LEFT: Final = (*_NAMES, *(datadir.DATABASE_FILE + ending for ending in ("-journal", "-shm", "-wal")))
_PAGES: Final = 1_000
_SKIPPED_SEQS: Final = 1 << 28
_MAX_KEY_B: Final = 4_096


def back_up(data_dir: Path, target: Path) -> int:
    """Write a backup of a data folder, whether its relay runs or not; gives its size in bytes.

    The file has mode 0600 and appears when it is complete; keep it as safe as the folder itself.

    Raises:
        UsageError: there is no relay's data, or the file cannot be written or is there already.
    """
    if not (data_dir / datadir.DATABASE_FILE).is_file():
        raise UsageError(f"There is no relay's data in {data_dir}.", "Name its folder with --data.")
    if target.exists():
        raise UsageError(f"{target} exists already.", "Choose another name for the backup.")
    half = target.with_name(target.name + ".part")
    try:
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".zap2-backup-") as folder:
            copy = Path(folder) / datadir.DATABASE_FILE
            _copy_database(data_dir / datadir.DATABASE_FILE, copy)
            descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as out:
                with tarfile.open(fileobj=out, mode="w") as tar:
                    tar.add(copy, datadir.DATABASE_FILE, filter=_plain)
                    for name in _KEY_FILES:
                        tar.add(data_dir / name, name, filter=_plain)
                out.flush()
                os.fsync(out.fileno())
        half.replace(target)
        return target.stat().st_size
    except (OSError, sqlite3.Error) as error:
        half.unlink(missing_ok=True)
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"The backup could not be written: {reason}.") from error


def restore(source: Path, data_dir: Path) -> None:
    """Make a data folder of a backup. The folder must be empty or not there; start its relay afterwards.

    Raises:
        UsageError: there is no such file, it is no backup or damaged, or the folder is in use,
            somebody else's or everybody's. Then nothing is there that was not there before.
    """
    try:
        with source.open("rb"):
            pass
    except OSError as error:
        raise UsageError(
            f"The backup {source} cannot be read: {error.strerror}.", "Nothing was restored."
        ) from error
    if data_dir.exists() and any(data_dir.iterdir()):
        raise UsageError(
            f"The folder {data_dir} is not empty; nothing was changed.",
            "Restore into a new folder with --data.",
        )
    made = [folder for folder in (data_dir, *data_dir.parents) if not folder.exists()]
    mode = stat.S_IMODE(data_dir.stat().st_mode) if not made else None
    try:
        if made:
            data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        else:
            datadir.make_private_if_empty(data_dir)
    except OSError as error:
        _undo(made)
        raise _not_restored(data_dir, error) from error
    try:
        with tarfile.open(source, mode="r:") as tar:
            for name in _NAMES:
                _extract(tar, name, data_dir / name)
        with closing(connect(str(data_dir / datadir.DATABASE_FILE))) as database:
            _go_on_from_here(database)
    except (OSError, tarfile.TarError, KeyError, sqlite3.Error, UsageError) as error:
        with suppress(OSError):
            for name in _LEFT:
                (data_dir / name).unlink(missing_ok=True)
            if mode is not None:
                data_dir.chmod(mode)
        _undo(made)
        if isinstance(error, OSError):
            raise _not_restored(data_dir, error) from error
        raise UsageError(
            f"{source} is not a relay's backup, or is damaged.", "Nothing was restored."
        ) from error


def _undo(made: list[Path]) -> None:
    with suppress(OSError):  # Somebody may have put something into one of them.
        for folder in made:
            if folder.exists():
                folder.rmdir()


def _not_restored(data_dir: Path, error: OSError) -> UsageError:
    return UsageError(
        f"The backup cannot be restored into {data_dir}: {error.strerror}.", "Nothing was restored."
    )


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o600
    return member


def _copy_database(source: Path, target: Path) -> None:
    target.touch(0o600)
    with (
        closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as live,
        closing(sqlite3.connect(target)) as copy,
    ):
        # In steps, so that the relay's writer is never held up for long.
        live.backup(copy, pages=_PAGES, sleep=0.005)


def _extract(tar: tarfile.TarFile, name: str, target: Path) -> None:
    member = tar.getmember(name)
    content = tar.extractfile(member)
    if content is None or (name in _KEY_FILES and member.size > _MAX_KEY_B):
        raise tarfile.TarError(name)
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        while chunk := content.read(io.DEFAULT_BUFFER_SIZE * 8):
            out.write(chunk)
        out.flush()
        os.fsync(out.fileno())


def _go_on_from_here(database: sqlite3.Connection) -> None:
    (state,) = database.execute("PRAGMA integrity_check").fetchone()
    if state != "ok":
        raise sqlite3.DatabaseError(state)
    database.executescript(
        "BEGIN IMMEDIATE;"
        "DELETE FROM pair; DELETE FROM token; DELETE FROM code; DELETE FROM ticket;"
        "UPDATE account SET delivery_token_hash = NULL;"
        f"UPDATE mailbox SET reserved_seq = reserved_seq + {_SKIPPED_SEQS};"
        "COMMIT;"
    )
