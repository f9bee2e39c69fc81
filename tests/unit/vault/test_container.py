"""The encrypted database: what it hides, what it refuses without changing anything, migrations, transactions."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlcipher3
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from zap2.errors import ProfileExists, VaultDamaged, VaultError, VaultTooNew
from zap2.vault.container import (
    create_database,
    damages,
    mapped_errors,
    memory_database,
    migrate,
    open_database,
    transaction,
)
from zap2.vault.sql import Connection

KEY = bytes(range(32))
CANARY = "the canary sings at 0x5eed"
SCHEMA = ("CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT;",)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A closed database with some pages of notes."""
    path = tmp_path / "vault.db"
    with closing(create_database(path, KEY)) as connection:
        migrate(connection, SCHEMA)
        with transaction(connection):
            connection.executemany("INSERT INTO note (text) VALUES (?)", [(CANARY * 20,)] * 200)
    return path


def test_rows_come_back_after_closing(path: Path) -> None:
    with closing(open_database(path, KEY)) as connection:
        assert connection.execute("SELECT count(*) FROM note").fetchone() == (200,)
        assert damages(connection) == []


def test_a_closed_database_is_one_private_file(path: Path) -> None:
    assert os.listdir(path.parent) == ["vault.db"]
    if sys.platform != "win32":
        assert path.stat().st_mode & 0o777 == 0o600


def test_all_files_of_an_open_one_are_private_and_hide_content_schema_and_kind(tmp_path: Path) -> None:
    """Neither text nor table names nor SQLite's own signature are in the database, its log, or beside them."""
    path = tmp_path / "vault.db"
    before = os.umask(0)
    try:
        connection = create_database(path, KEY)
        migrate(connection, SCHEMA)
    finally:
        os.umask(before)
    with closing(connection):
        with transaction(connection):
            connection.executemany("INSERT INTO note (text) VALUES (?)", [(CANARY * 20,)] * 2_000)
        connection.execute("SELECT text FROM note ORDER BY text || id DESC LIMIT 1").fetchone()
        names = sorted(os.listdir(tmp_path))
        assert names == ["vault.db", "vault.db-shm", "vault.db-wal"]
        assert (tmp_path / "vault.db-wal").stat().st_size > 100_000
        for name in names:
            content = (tmp_path / name).read_bytes()
            for secret in (CANARY.encode(), b"CREATE TABLE", b"SQLite format 3", KEY, KEY.hex().encode()):
                assert secret not in content, name
            if sys.platform != "win32":
                assert (tmp_path / name).stat().st_mode & 0o777 == 0o600


def test_loose_permissions_are_tightened(path: Path) -> None:
    path.chmod(0o644)
    open_database(path, KEY).close()
    if sys.platform != "win32":
        assert path.stat().st_mode & 0o777 == 0o600


def test_the_settings_are_the_durable_and_private_ones(path: Path) -> None:
    with closing(open_database(path, KEY)) as connection:
        pragmas = (
            "journal_mode",
            "synchronous",
            "secure_delete",
            "foreign_keys",
            "temp_store",
            "cipher_log_level",
        )
        values = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in pragmas]
    assert values == ["wal", 2, 1, 1, 2, "NONE"]


def test_another_key_is_refused_in_silence_and_changes_nothing(
    path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """SQLCipher would write its complaint to stderr, which is the screen of the chat."""
    before = _fingerprints(path.parent)
    with pytest.raises(VaultDamaged):
        open_database(path, bytes(32))
    assert _fingerprints(path.parent) == before
    assert capfd.readouterr() == ("", "")


def test_a_refused_database_keeps_its_log_as_it_is(path: Path) -> None:
    """A connection that may write would merge the log into the file when it closes, also under a wrong key."""
    connection = open_database(path, KEY)
    connection.execute("INSERT INTO note (text) VALUES ('in the log')")
    files = {name: (path.parent / name).read_bytes() for name in ("vault.db", "vault.db-wal")}
    connection.close()
    for name, content in files.items():
        (path.parent / name).write_bytes(content)
    before = _fingerprints(path.parent)
    with pytest.raises(VaultDamaged):
        open_database(path, bytes(32))
    assert _fingerprints(path.parent) == before
    with closing(open_database(path, KEY)) as connection:
        assert connection.execute("SELECT count(*) FROM note WHERE text = 'in the log'").fetchone() == (1,)


@pytest.mark.parametrize("kept_b", [0, 1, 100, 4096, 3 * 4096, -4096, -1])
def test_a_truncated_database_is_damage_and_stays_as_it_is(path: Path, kept_b: int) -> None:
    path.write_bytes(path.read_bytes()[:kept_b])
    _assert_refused_unchanged(path)


def test_a_foreign_database_is_damage_and_stays_as_it_is(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE t (a)")
    _assert_refused_unchanged(path)
    path.write_bytes(os.urandom(8 * 4096))
    _assert_refused_unchanged(path)


def test_a_database_of_another_program_under_the_same_key_is_refused(path: Path) -> None:
    path.unlink()
    with closing(sqlcipher3.connect(str(path))) as other:
        other.execute(f"PRAGMA key = \"x'{KEY.hex()}'\"")
        other.execute("CREATE TABLE t (a)")
    _assert_refused_unchanged(path)


def test_a_missing_database_is_damage_and_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(VaultDamaged, match="missing"):
        open_database(tmp_path / "vault.db", KEY)
    assert os.listdir(tmp_path) == []


def test_a_changed_page_is_found(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[5 * 4096 + 99] ^= 1
    path.write_bytes(content)
    with closing(open_database(path, KEY)) as connection:
        with pytest.raises(VaultDamaged), mapped_errors():
            connection.execute("SELECT max(text) FROM note").fetchone()
        assert damages(connection)


def test_an_existing_database_is_never_replaced(path: Path) -> None:
    before = _fingerprints(path.parent)
    with pytest.raises(ProfileExists):
        create_database(path, KEY)
    assert _fingerprints(path.parent) == before


def test_what_a_crash_left_while_making_one_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / "vault.db.new").write_bytes(b"half")
    (tmp_path / "vault.db.new-wal").write_bytes(b"half")
    create_database(tmp_path / "vault.db", KEY).close()
    assert os.listdir(tmp_path) == ["vault.db"]


def test_what_it_is_filled_with_is_there_from_the_start_or_there_is_no_database(tmp_path: Path) -> None:
    """A vault without its account must never be found: the name is given last."""

    def fill(connection: Connection) -> None:
        assert os.listdir(tmp_path) == ["vault.db.new"]
        migrate(connection, SCHEMA)
        with transaction(connection):
            connection.execute("INSERT INTO note (text) VALUES ('first')")

    def fail(connection: Connection) -> None:
        fill(connection)
        raise KeyError

    with pytest.raises(KeyError):
        create_database(tmp_path / "vault.db", KEY, fail)
    assert os.listdir(tmp_path) == []
    with closing(create_database(tmp_path / "vault.db", KEY, fill)) as connection:
        assert connection.execute("SELECT text FROM note").fetchall() == [("first",)]


def test_a_folder_that_is_not_there_is_an_error_with_its_reason(tmp_path: Path) -> None:
    with pytest.raises(VaultError, match="No such file"):
        create_database(tmp_path / "gone" / "vault.db", KEY)


def test_a_key_of_another_length_is_a_fault_of_the_caller(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        create_database(tmp_path / "vault.db", b"short")


@pytest.fixture(params=["file", "memory"])
def connection(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Connection]:
    """The same code runs over a file and in memory."""
    connection = (
        memory_database() if request.param == "memory" else create_database(tmp_path / "vault.db", KEY)
    )
    yield connection
    connection.close()


def test_migrations_run_once_and_in_order(connection: Connection) -> None:
    def fill(connection: Connection) -> None:
        connection.execute("INSERT INTO note (text) VALUES ('one; two')")

    steps = (*SCHEMA, fill, "CREATE INDEX a ON note (text);\n-- done; really\nCREATE INDEX b ON note (text)")
    migrate(connection, steps[:1])
    migrate(connection, steps)
    migrate(connection, steps)
    assert connection.execute("PRAGMA user_version").fetchone() == (3,)
    assert connection.execute("SELECT text FROM note").fetchall() == [("one; two",)]
    indexes = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'index' ORDER BY name"
    ).fetchall()
    assert indexes == [("a",), ("b",)]


def test_a_trigger_with_statements_inside_is_one_statement(connection: Connection) -> None:
    trigger = (
        "CREATE TRIGGER t AFTER INSERT ON note BEGIN"
        " UPDATE note SET text = 'x;y' WHERE id = new.id; DELETE FROM note WHERE id < 0; END;"
    )
    migrate(connection, (SCHEMA[0] + trigger,))
    connection.execute("INSERT INTO note (text) VALUES ('a')")
    assert connection.execute("SELECT text FROM note").fetchall() == [("x;y",)]


@pytest.mark.parametrize(
    "broken", ["CREATE TABLE b (c); CREATE NONSENSE;", "CREATE TABLE b (c); CREATE TRIGGER t BEGIN x"]
)
def test_a_step_that_fails_leaves_nothing_of_itself(connection: Connection, broken: str) -> None:
    with pytest.raises(sqlcipher3.OperationalError):
        migrate(connection, (*SCHEMA, broken))
    assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    assert connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'b'").fetchone() == (0,)
    migrate(connection, (*SCHEMA, "CREATE TABLE b (c);"))


def test_a_newer_schema_is_told_and_nothing_is_changed(path: Path) -> None:
    with closing(open_database(path, KEY)) as connection:
        connection.execute("PRAGMA user_version = 2")
    before = _fingerprints(path.parent)
    with closing(open_database(path, KEY)) as connection, pytest.raises(VaultTooNew):
        migrate(connection, SCHEMA)
    assert _fingerprints(path.parent) == before


def test_a_transaction_is_all_or_nothing(connection: Connection) -> None:
    migrate(connection, SCHEMA)
    with transaction(connection):
        connection.execute("INSERT INTO note (text) VALUES ('kept')")
    with pytest.raises(KeyError):
        _write(connection, "INSERT INTO note (text) VALUES ('dropped')", then=KeyError())
    with pytest.raises(sqlcipher3.IntegrityError):
        _write(
            connection,
            "INSERT INTO note (text) VALUES ('dropped')",
            "INSERT INTO note (id, text) VALUES (1, 'twice')",
        )
    assert connection.execute("SELECT text FROM note").fetchall() == [("kept",)]


def test_a_full_disk_is_told_and_nothing_of_the_transaction_stays(path: Path) -> None:
    with closing(open_database(path, KEY)) as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages + 2}").fetchall()
        with pytest.raises(VaultError, match="full"):
            _write(connection, *["INSERT INTO note (text) VALUES (printf('%5000s', 'x'))"] * 100)
        assert connection.execute("SELECT count(*) FROM note").fetchone() == (200,)


@pytest.mark.parametrize(("secure_delete", "is_left"), [(None, False), ("OFF", True)])
def test_deleted_text_is_gone_from_the_pages(path: Path, secure_delete: str | None, is_left: bool) -> None:
    """Seen with the key, page by page; with the setting switched off, the same look does find the text."""
    assert CANARY.encode() in _decrypted(path)
    with closing(open_database(path, KEY)) as connection:
        if secure_delete is not None:
            connection.execute(f"PRAGMA secure_delete = {secure_delete}").fetchall()
        connection.execute("DELETE FROM note")
    assert (CANARY.encode() in _decrypted(path)) == is_left


def test_a_killed_writer_loses_no_committed_row(tmp_path: Path) -> None:
    """kill -9 in mid-transaction: every row whose commit returned is there, nothing of the open transaction is."""
    path = tmp_path / "vault.db"
    with closing(create_database(path, KEY)) as connection:
        migrate(connection, SCHEMA)
    writer = subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(path), KEY.hex()], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    committed = 0
    for line in writer.stdout:
        if line == "in mid-transaction\n":
            writer.kill()
            break
        committed = int(line)
    writer.stdout.close()
    assert writer.wait(30) != 0
    assert committed == 300
    with closing(open_database(path, KEY)) as connection:
        assert connection.execute("SELECT count(*), max(id) FROM note").fetchone() == (committed, committed)
        assert damages(connection) == []


_WRITER = """
import sys, time
from pathlib import Path
from zap2.vault.container import open_database, transaction
connection = open_database(Path(sys.argv[1]), bytes.fromhex(sys.argv[2]))
for number in range(1, 301):
    with transaction(connection):
        connection.execute("INSERT INTO note VALUES (?, ?)", (number, "x" * 500))
    print(number, flush=True)
with transaction(connection):
    connection.execute("PRAGMA cache_size = 1")
    for number in range(10_000, 20_000):
        connection.execute("INSERT INTO note VALUES (?, ?)", (number, "uncommitted" * 50))
    print("in mid-transaction", flush=True)
    time.sleep(60)
"""


def _write(connection: Connection, *statements: str, then: Exception | None = None) -> None:
    """Run statements in one transaction, which may end with an exception of one's own."""
    with transaction(connection):
        for statement in statements:
            connection.execute(statement)
        if then is not None:
            raise then


def _fingerprints(folder: Path) -> dict[str, tuple[str, int]]:
    files = [file for file in folder.iterdir() if not file.name.endswith("-shm")]
    return {
        file.name: (hashlib.sha256(file.read_bytes()).hexdigest(), file.stat().st_mtime_ns) for file in files
    }


def _decrypted(path: Path) -> bytes:
    """Decrypt a database by hand: AES-256-CBC a page, its IV in the reserve at the page's end (SQLCipher's design)."""
    content = path.read_bytes()
    plain = b""
    for start in range(0, len(content), 4096):
        page = content[start : start + 4096]
        salt_b = 16 if start == 0 else 0
        decryptor = Cipher(algorithms.AES(KEY), modes.CBC(page[-80:-64])).decryptor()
        plain += decryptor.update(page[salt_b:-80])
    return plain


def _assert_refused_unchanged(path: Path) -> None:
    before = _fingerprints(path.parent)
    with pytest.raises(VaultDamaged):
        open_database(path, KEY)
    assert _fingerprints(path.parent) == before
