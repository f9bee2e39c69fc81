"""The encrypted database: opening, making, migrating, and transactions over it.

SQLCipher encrypts and authenticates every page with a raw key. A database is looked at through a read-only
connection first: one that may write would, when it closes, move pages from the write-ahead log into a file that
turned out to be damaged, foreign, or of another key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import sqlcipher3

from zap2.errors import ProfileExists, VaultDamaged, VaultError, VaultTooNew
from zap2.vault.durable import FILE_MODE, keep_private, os_errors, sync_folder, write_durably
from zap2.vault.keyfile import KEY_SIZE_B
from zap2.vault.sql import Connection

Migration = str | Callable[[Connection], None]

APPLICATION_ID: Final = 0x5A617032
"""`PRAGMA application_id` of a vault: "Zap2"."""

_PAGE_SIZE_B: Final = 4096
_PRAGMAS: Final = (
    "PRAGMA temp_store = MEMORY",  # SQLCipher does not encrypt temporary files
    "PRAGMA synchronous = FULL",  # with less, a power cut can roll a ratchet back
    "PRAGMA secure_delete = ON",
    "PRAGMA foreign_keys = ON",
)
# SQLite's primary result codes (sqlite.org/rescode.html).
_CORRUPT: Final = 11
_FULL: Final = 13
_NOT_A_DATABASE: Final = 26
_ENVIRONMENT: Final = {
    5: "it is busy",
    8: "it cannot be written",
    10: "input/output error",
    14: "it cannot be opened",
}


def _leave_empty(connection: Connection) -> None:
    """Prepare nothing."""


def create_database(path: Path, key: bytes, fill: Callable[[Connection], None] | None = None) -> Connection:
    """Make a database under a key, durable and in place in one step, and open it.

    Args:
        path: where it will be; its folder must exist.
        key: 32 random bytes.
        fill: writes what must be in it from the start; when it raises, or the process dies in it, there is no
            database.

    Raises:
        ProfileExists: there is a file already; it was not touched.
        VaultError: the disk does not allow it.
    """
    if path.exists():
        raise ProfileExists
    new = path.with_name(path.name + ".new")
    _remove(new)
    try:
        write_durably(new, b"")  # SQLite gives its other files the mode of this one
        with mapped_errors():
            connection = _connect(new, key, "rw")
            try:
                # Not the write-ahead log yet: the one file that is renamed must hold everything.
                for pragma in _PRAGMAS:
                    connection.execute(pragma).fetchall()
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                if fill is not None:
                    fill(connection)
            finally:
                connection.close()
        with os_errors(f"{path.name} cannot be written"):
            new.replace(path)
            sync_folder(path.parent)
    except BaseException:
        _remove(new)
        raise
    return open_database(path, key)


def open_database(path: Path, key: bytes) -> Connection:
    """Open a database; migrate it next, use it from one thread at a time, and close it at the end.

    What is checked is cheap: the key, the kind and the length of the file. `damages` reads every page.

    Raises:
        VaultDamaged: missing, truncated, foreign, or under another key; nothing was changed.
        VaultError: it cannot be opened or written here.
    """
    _examine(path, key)
    for file in _files_of(path):
        keep_private(file, FILE_MODE)
    with mapped_errors():
        connection = _connect(path, key, "rw")
        try:
            for pragma in _PRAGMAS:
                connection.execute(pragma).fetchall()
            if connection.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
                raise VaultError(
                    "The vault's disk cannot keep a write-ahead log.", "Choose another --config-dir."
                )
        except BaseException:
            connection.close()
            raise
    return connection


def memory_database() -> Connection:
    """Open an empty database that lives in memory only, without a key, for demonstrations and tests."""
    connection: Connection = sqlcipher3.connect(":memory:", isolation_level=None, check_same_thread=False)
    for pragma in _PRAGMAS:
        connection.execute(pragma).fetchall()
    return connection


def damages(connection: Connection) -> list[str]:
    """Read and authenticate every page and check the whole structure; gives what is wrong, normally nothing.

    Takes seconds for a large vault.
    """
    with mapped_errors():
        pages = [str(row[0]) for row in connection.execute("PRAGMA cipher_integrity_check")]
        if pages:
            return pages  # the structure cannot be walked over pages that do not open
        structure = [str(row[0]) for row in connection.execute("PRAGMA integrity_check")]
    return [line for line in structure if line != "ok"]


def migrate(connection: Connection, migrations: Sequence[Migration]) -> None:
    """Bring the schema to the newest version, each step in a transaction of its own.

    Args:
        connection: an open database.
        migrations: step i takes `user_version` i to i + 1: SQL statements, or a function of the connection. Steps
            that were released never change.

    Raises:
        VaultTooNew: the database has more steps than there are; nothing was changed.
    """
    with mapped_errors():
        version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(migrations):
        raise VaultTooNew
    for number in range(version, len(migrations)):
        step = migrations[number]
        with transaction(connection):
            if isinstance(step, str):
                for statement in _statements(step):
                    connection.execute(statement)
            else:
                step(connection)
            connection.execute(f"PRAGMA user_version = {number + 1}")


@contextmanager
def transaction(connection: Connection) -> Iterator[None]:
    """Commit everything inside durably, or nothing of it. Transactions do not nest.

    Raises:
        VaultDamaged, VaultError: the database or its disk failed; nothing was committed.
    """
    with mapped_errors():
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            connection.execute("COMMIT")
        except BaseException:
            # A full disk has rolled back already, and says so.
            with suppress(sqlcipher3.OperationalError):
                connection.execute("ROLLBACK")
            raise


@contextmanager
def mapped_errors() -> Iterator[None]:
    """Turn errors of the database file or its disk into errors of the vault; faults in our SQL stay what they are."""
    try:
        yield
    except sqlcipher3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (_CORRUPT, _NOT_A_DATABASE):
            raise VaultDamaged(
                "The vault's database is damaged, cut short, not a vault, or not of this key file."
            ) from None
        if code == _FULL:
            raise VaultError(
                "The disk is full; nothing was changed.", "Free some space and try again."
            ) from None
        if code in _ENVIRONMENT:
            raise VaultError(
                f"The vault's database cannot be used: {_ENVIRONMENT[code]}.",
                "Look at the permissions and the free space of the disk.",
            ) from None
        raise


def _connect(path: Path, key: bytes, mode: str) -> Connection:
    if len(key) != KEY_SIZE_B:
        raise ValueError(f"the key of a database has {KEY_SIZE_B} bytes")
    connection: Connection = sqlcipher3.connect(
        f"{path.absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None, check_same_thread=False
    )
    try:
        if not connection.execute("PRAGMA cipher_version").fetchone():
            raise VaultError("This SQLite cannot encrypt.", "Install sqlcipher3 as the package asks for it.")
        connection.execute("PRAGMA cipher_log_level = NONE").fetchall()  # it would write into the screen
        connection.execute(f"PRAGMA key = \"x'{key.hex()}'\"").fetchall()
    except BaseException:
        connection.close()
        raise
    return connection


def _examine(path: Path, key: bytes) -> None:
    """Raise what is wrong with a database, through a connection that cannot change it."""
    with os_errors(f"{path.name} cannot be read"):
        if not path.is_file():
            raise VaultDamaged(f"{path.name}, which holds everything in the vault, is missing.")
        size_b = path.stat().st_size
        were_there = {file for file in _files_of(path) if file.exists()}
    # SQLite takes an empty file for an empty database and would begin a new vault in it.
    if size_b == 0 or size_b % _PAGE_SIZE_B:
        raise VaultDamaged(f"{path.name} is cut short or not a vault.")
    try:
        with mapped_errors():
            connection = _connect(path, key, "ro")
            try:
                connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
                application_id = connection.execute("PRAGMA application_id").fetchone()[0]
            finally:
                connection.close()
        if application_id != APPLICATION_ID:
            raise VaultDamaged(f"{path.name} is a database of another program.")
    except VaultDamaged:
        for file in _files_of(path):
            if file not in were_there:
                file.unlink(missing_ok=True)
        raise


def _remove(path: Path) -> None:
    with os_errors(f"{path.name} cannot be removed"):
        for file in (*_files_of(path), path.with_name(path.name + "-journal")):
            file.unlink(missing_ok=True)


def _files_of(path: Path) -> tuple[Path, Path, Path]:
    return path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")


def _statements(script: str) -> Iterator[str]:
    """Split SQL into its statements: `executescript` would commit on the way."""
    statement = ""
    for part in script.split(";"):
        statement += part + ";"
        if sqlcipher3.complete_statement(statement):
            if statement.strip() != ";":
                yield statement
            statement = ""
    if statement.strip(" \n;"):
        yield statement  # cut short, or a comment: SQLite says which
