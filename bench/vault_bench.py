"""How long unlocking takes, and what a durable commit in the vault costs: `python -m bench.vault_bench`."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from zap2.vault.container import create_database, migrate, open_database, transaction
from zap2.vault.keyfile import (
    DEFAULT_PARAMETERS,
    KdfParameters,
    create_keyfile,
    open_keyfile,
)

ROUNDS = 5
COMMITS = 300


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        for name, parameters in (
            ("default", DEFAULT_PARAMETERS),
            ("four times the memory", KdfParameters(memory_kib=256 * 1024)),
        ):
            _unlocking(Path(folder) / name.split()[0], name, parameters)
        _database(Path(folder) / "vault.db")


def _unlocking(keyfile: Path, name: str, parameters: KdfParameters) -> None:
    create_keyfile(keyfile, "correct horse battery staple", os.urandom, parameters)
    cost = f"{parameters.memory_kib // 1024} MiB t={parameters.iterations} p={parameters.lanes}"
    times = _times(lambda: open_keyfile(keyfile, "correct horse battery staple"))
    _print(f"unlock, {name} ({cost})", times)


def _database(path: Path) -> None:
    key = os.urandom(32)
    connection = create_database(path, key)
    migrate(connection, ("CREATE TABLE message (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT;",))
    with transaction(connection):
        connection.executemany("INSERT INTO message (text) VALUES (?)", [("x" * 200,)] * 20_000)
    began = time.perf_counter()
    for _ in range(COMMITS):
        with transaction(connection):
            connection.execute("INSERT INTO message (text) VALUES (?)", ("x" * 200,))
    commit_s = (time.perf_counter() - began) / COMMITS
    connection.close()
    _print("open the database, 20,000 rows", _times(lambda: open_database(path, key).close()))
    print(f"{'one durable commit':<44} {commit_s * 1000:8.2f} ms   ({1 / commit_s:,.0f} a second)")


def _times(work: Callable[[], object]) -> list[float]:
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return times


def _print(what: str, times: list[float]) -> None:
    print(f"{what:<44} {statistics.median(times) * 1000:8.1f} ms   (least {min(times) * 1000:.1f} ms)")


if __name__ == "__main__":
    main()
