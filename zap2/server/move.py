"""Moving a relay from SQLite to PostgreSQL: everything that it keeps, in one transaction, while no relay runs.

Mailboxes keep their numbers and go on above their seqs, because acknowledgements and the keys that recognise
repetitions are made of them; so for everybody outside nothing has changed. The old database is put aside at the end,
not deleted: a relay that went on with it would hand out again what the new one has handed out.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from zap2.errors import UsageError
from zap2.server import datadir
from zap2.server.keys import HASHING_FILE, IDENTITY_FILE, load_keys
from zap2.server.store.repetitions import KEY_SIZE_B
from zap2.server.store.schema import SEQ_BITS, connect

if TYPE_CHECKING:
    from zap2.server.store.postgres.batches import Connection

MOVED_FILE: Final = datadir.DATABASE_FILE + ".moved"
_SEQ_MASK: Final = (1 << SEQ_BITS) - 1
_BOOLEANS: Final = frozenset({"is_listed", "is_blocked"})

# Table → what is read for it; the columns are named as in PostgreSQL. Referred to comes before what refers to it.
_READ: Final[Mapping[str, str]] = {
    "account": "SELECT id, uid, document, document_signature, number_key, active_day, is_listed, is_blocked,"
    " pin_hash, pin_tries, pin_locked_until_ms, delivery_token_hash FROM account",
    "device": "SELECT mailbox, account, device, signed_set, highest_sid, highest_oid FROM device",
    "mailbox": "SELECT mailbox.id, reserved_seq AS last_seq, acknowledged_seq, count(envelope.id) AS waiting,"
    " coalesce(sum(length(payload)), 0) AS size_b, max_messages, max_size_b FROM mailbox LEFT JOIN envelope"
    f" ON envelope.id BETWEEN mailbox.id << {SEQ_BITS} AND mailbox.id << {SEQ_BITS} | {_SEQ_MASK}"
    " GROUP BY mailbox.id",
    "pair": "SELECT mailbox, oid, pair FROM pair",
    "envelope": f"SELECT id >> {SEQ_BITS} AS mailbox, id & {_SEQ_MASK} AS seq, envelope_id, received_at_ms,"
    " expires_at_ms, payload FROM envelope",
    "sent": "SELECT dedupe_key, forget_at_s FROM sent UNION ALL SELECT dedupe_key, forget_at_s FROM sent_recently",
    "code": "SELECT number_key, code_hash, expires_at_ms, tries_left, sends, next_send_at_ms, forget_at_ms FROM code",
    "ticket": "SELECT ticket_hash, number_key, expires_at_ms, used_by FROM ticket",
    "token": "SELECT token_hash, uid, device, expires_at_ms FROM token",
    "invite": "SELECT invite_hash, expires_at_ms FROM invite",
}
_IDENTITIES: Final = (("account", "id"), ("device", "mailbox"))


@dataclass(frozen=True, slots=True)
class Moved:
    """How much was moved."""

    accounts: int
    envelopes: int


async def move_to_postgres(data_dir: Path, url: str) -> Moved:
    """Carry what the relay of a data folder keeps over to a PostgreSQL database, all of it or nothing.

    Start the relay with that database afterwards, and with the same data folder, which has its keys.

    Args:
        data_dir: the relay's data folder; its database is put aside as `relay.sqlite3.moved` at the end.
        url: `postgresql://user@host:port/database`.

    Raises:
        UsageError: a relay runs on the folder, there is no relay's data or not its keys, the database cannot be
            reached or is not empty, or the copy is not complete. Then nothing was changed.
    """
    path = data_dir / datadir.DATABASE_FILE
    if not path.is_file():
        raise UsageError(f"There is no relay's data in {data_dir}.", "Name its folder with --data.")
    if not all((data_dir / name).is_file() for name in (IDENTITY_FILE, HASHING_FILE)):
        raise UsageError(
            f"The relay's keys are not in {data_dir}.",
            f"Copy {IDENTITY_FILE} and {HASHING_FILE} there: without them the database is of no use.",
        )
    lock = datadir.claim(data_dir)
    try:
        with closing(connect(str(path))) as source:
            moved = await _move(source, url, load_keys(data_dir, os.urandom).name)
        _put_aside(data_dir)
    finally:
        lock.release()
    return moved


def _put_aside(data_dir: Path) -> None:
    try:
        # SQLite leaves the first two only where somebody else still reads.
        for ending in ("-wal", "-shm", ""):
            part = data_dir / (datadir.DATABASE_FILE + ending)
            if part.exists():
                part.replace(data_dir / (MOVED_FILE + ending))
    except OSError as error:
        raise UsageError(
            f"Everything was moved, but the old database could not be put aside: {error.strerror}.",
            f"Rename {datadir.DATABASE_FILE} in {data_dir}, and never start a relay on it again.",
        ) from error


async def _move(source: sqlite3.Connection, url: str, keys: str) -> Moved:
    asyncpg, migrate = _load()
    try:
        target = await asyncpg.connect(
            url, timeout=10, server_settings={"synchronous_commit": "on", "application_name": "zap2 move"}
        )
    except (OSError, TimeoutError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        # The error's text may repeat what stands in the URL.
        reason = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        raise UsageError(
            f"The database of --to cannot be reached: {reason}.",
            "Check the URL (postgresql://user@host:port/database), and that PostgreSQL runs and lets you in.",
        ) from None
    try:
        async with target.transaction():
            # Inside of it the schema is made too, so that whatever goes wrong leaves the database as it was.
            await migrate(target, keys)
            return await _copy(source, target)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, sqlite3.Error) as error:
        raise UsageError(
            f"The move failed: {type(error).__name__}.",
            "The relay's data are as they were. Make the new database anew, and try again.",
        ) from error
    finally:
        await target.close(timeout=10)


async def _copy(source: sqlite3.Connection, target: Connection) -> Moved:
    # Nobody writes meanwhile: not into an empty database that a relay is started on, and not into this one.
    await target.execute(f"LOCK TABLE {', '.join(_READ)} IN ACCESS EXCLUSIVE MODE")
    for table in _READ:
        if await target.fetchval(f"SELECT EXISTS (SELECT FROM {table})"):
            raise UsageError(
                "The database of --to is not empty; nothing was changed.",
                "Move into a new database: CREATE DATABASE makes one.",
            )
    counts: dict[str, int] = {}
    source.execute("BEGIN")
    try:
        for table, query in _READ.items():
            columns = [name for name, *_ in source.execute(f"{query} LIMIT 0").description]
            rows = _Rows(_sent(source, query) if table == "sent" else _plain(source, query, columns))
            await target.copy_records_to_table(table, records=rows, columns=columns)
            kept = await target.fetchval(f"SELECT count(*) FROM {table}")
            if kept != rows.count:
                raise UsageError(f"Not everything was copied ({table}).", "Nothing was changed; try again.")
            counts[table] = rows.count
    finally:
        source.execute("ROLLBACK")
    for table, column in _IDENTITIES:
        await target.execute(
            f"SELECT setval(pg_get_serial_sequence('{table}', '{column}'), max({column})) FROM {table}"
        )
    return Moved(counts["account"], counts["envelope"])


class _Rows:
    """Rows on their way, counted."""

    def __init__(self, rows: Iterator[tuple[Any, ...]]) -> None:
        self._rows = rows
        self.count = 0

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        for row in self._rows:
            self.count += 1
            yield row


def _plain(source: sqlite3.Connection, query: str, columns: list[str]) -> Iterator[tuple[Any, ...]]:
    booleans = [number for number, name in enumerate(columns) if name in _BOOLEANS]
    for row in source.execute(query):
        values = list(row)
        for number in booleans:
            values[number] = bool(values[number])
        yield tuple(values)


def _sent(source: sqlite3.Connection, query: str) -> Iterator[tuple[bytes, int]]:
    """Take keys apart that SQLite keeps many to a row."""
    for keys, forget_at_s in source.execute(query):
        for at in range(0, len(keys), KEY_SIZE_B):
            yield keys[at : at + KEY_SIZE_B], forget_at_s


def _load() -> tuple[Any, Any]:
    try:
        import asyncpg

        from zap2.server.store.postgres.schema import migrate
    except ModuleNotFoundError as error:
        raise UsageError(
            f"Moving to PostgreSQL needs the package {error.name}, which is not installed.",
            "Install it from its checkout with: pip install '.[server]'",
        ) from None
    return asyncpg, migrate
