"""The relay's schema on SQLite, and how it came to be: migrations go forward only.

An envelope's `id` is its mailbox and its seq in one integer (`mailbox << 40 | seq`), so that the table itself is
ordered by mailbox and position, and neither an insert nor a delete touches an index.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from zap2.errors import UsageError

SEQ_BITS: Final = 40
_APPLICATION_ID: Final = 0x5A415032  # "ZAP2"

MIGRATIONS: Final[Sequence[str]] = (
    """
    CREATE TABLE account (
        id INTEGER PRIMARY KEY,
        uid BLOB NOT NULL UNIQUE,
        document BLOB NOT NULL,
        document_signature BLOB NOT NULL,
        number_key BLOB NOT NULL UNIQUE
    ) STRICT;
    CREATE TABLE device (
        mailbox INTEGER PRIMARY KEY,
        account INTEGER NOT NULL REFERENCES account (id),
        device INTEGER NOT NULL,
        signed_set BLOB,
        highest_sid INTEGER NOT NULL DEFAULT 0,
        highest_oid INTEGER NOT NULL DEFAULT -1,
        reserved_seq INTEGER NOT NULL DEFAULT 0,
        UNIQUE (account, device)
    ) STRICT;
    CREATE TABLE pair (
        mailbox INTEGER NOT NULL REFERENCES device (mailbox),
        oid INTEGER NOT NULL,
        pair BLOB NOT NULL,
        UNIQUE (mailbox, oid)
    ) STRICT;
    CREATE TABLE envelope (
        id INTEGER PRIMARY KEY,
        envelope_id BLOB NOT NULL,
        received_at_ms INTEGER NOT NULL,
        expires_at_ms INTEGER NOT NULL,
        payload BLOB NOT NULL
    ) STRICT;
    CREATE TABLE sent (
        dedupe_key BLOB PRIMARY KEY,
        forget_at_s INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE sent_recently (
        id INTEGER PRIMARY KEY,
        dedupe_key BLOB NOT NULL,
        forget_at_s INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE code (
        number_key BLOB PRIMARY KEY,
        code_hash BLOB,
        expires_at_ms INTEGER NOT NULL,
        tries_left INTEGER NOT NULL,
        sends INTEGER NOT NULL,
        next_send_at_ms INTEGER NOT NULL,
        forget_at_ms INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE ticket (
        ticket_hash BLOB PRIMARY KEY,
        number_key BLOB NOT NULL,
        expires_at_ms INTEGER NOT NULL,
        used_by BLOB
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE token (
        token_hash BLOB PRIMARY KEY,
        uid BLOB NOT NULL,
        device INTEGER NOT NULL,
        expires_at_ms INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX token_uid ON token (uid, device, expires_at_ms);
    """,
    "ALTER TABLE device ADD COLUMN acknowledged_seq INTEGER NOT NULL DEFAULT 0",
    """
    ALTER TABLE account ADD COLUMN active_day INTEGER NOT NULL DEFAULT 0;
    UPDATE account SET active_day = CAST(strftime('%s', 'now') AS INTEGER) / 86400;
    ALTER TABLE account ADD COLUMN is_listed INTEGER NOT NULL DEFAULT 1;
    ALTER TABLE account ADD COLUMN is_blocked INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE account ADD COLUMN pin_hash TEXT;
    ALTER TABLE account ADD COLUMN pin_tries INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE account ADD COLUMN pin_locked_until_ms INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE device ADD COLUMN max_messages INTEGER;
    ALTER TABLE device ADD COLUMN max_size_b INTEGER;
    CREATE TABLE invite (
        invite_hash BLOB PRIMARY KEY,
        expires_at_ms INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    """,
    "ALTER TABLE account ADD COLUMN delivery_token_hash BLOB",
    # What every message changes has rows of its own: beside its signed set, each fills a page of the journal.
    """
    CREATE TABLE mailbox (
        id INTEGER PRIMARY KEY REFERENCES device (mailbox),
        reserved_seq INTEGER NOT NULL DEFAULT 0,
        acknowledged_seq INTEGER NOT NULL DEFAULT 0,
        max_messages INTEGER,
        max_size_b INTEGER
    ) STRICT;
    INSERT INTO mailbox SELECT mailbox, reserved_seq, acknowledged_seq, max_messages, max_size_b FROM device;
    ALTER TABLE device DROP COLUMN reserved_seq;
    ALTER TABLE device DROP COLUMN acknowledged_seq;
    ALTER TABLE device DROP COLUMN max_messages;
    ALTER TABLE device DROP COLUMN max_size_b;
    """,
)
VERSION: Final = len(MIGRATIONS)


def connect(path: str) -> sqlite3.Connection:
    """Open a relay's database, durable as the relay promises, and bring its schema up to date.

    Args:
        path: a file, or ":memory:".

    Raises:
        UsageError: the file is not a relay's database, or a newer version of Zap2 wrote it.
    """
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=64)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA wal_autocheckpoint=4000")
        connection.execute("PRAGMA cache_size=-8192")
        connection.execute("PRAGMA temp_store=MEMORY")
        migrate(connection)
    except sqlite3.DatabaseError as error:
        connection.close()
        raise UsageError(
            f"The relay's database {path} cannot be used: {error}.",
            "Choose another data folder, or restore this one from a backup.",
        ) from error
    except UsageError:
        connection.close()
        raise
    return connection


def migrate(connection: sqlite3.Connection, migrations: Sequence[str] = MIGRATIONS) -> None:
    """Run the migrations that this database has not seen, each in a transaction of its own.

    Args:
        connection: the database, outside of a transaction.
        migrations: all of them; a test gives fewer to get an old schema.

    Raises:
        UsageError: a newer version of Zap2 wrote it, or it is another program's.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if version > len(migrations):
        raise UsageError(
            "The relay's database was written by a newer version of Zap2.",
            "Nothing was changed. Upgrade Zap2 (`pipx upgrade zap2`) and start it again.",
        )
    if version and application != _APPLICATION_ID:
        raise UsageError("The relay's data folder holds a database of another program.")
    for number, script in enumerate(migrations[version:], start=version + 1):
        connection.executescript(
            f"BEGIN IMMEDIATE; {script}; PRAGMA application_id={_APPLICATION_ID};"
            f" PRAGMA user_version={number}; COMMIT;"
        )
