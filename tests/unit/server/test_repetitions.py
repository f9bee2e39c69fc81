"""Keys of deposits are recognised wherever they are: in memory, in the index, after a restart, after a rollback."""

from __future__ import annotations

from pathlib import Path

from zap2.server.store import repetitions
from zap2.server.store.repetitions import Repetitions
from zap2.server.store.schema import connect


def _key(number: int) -> bytes:
    return (number * 0x9E3779B97F4A7C15 % 2**64).to_bytes(8, "big") * 2


def test_keys_are_recognised_before_and_after_folding_and_after_a_restart(tmp_path: Path) -> None:
    connection = connect(str(tmp_path / "db"))
    seen = Repetitions()
    seen.use(connection)
    for number in range(0, 100, 4):
        seen.add([_key(number + more) for more in range(4)], 1_000)
    seen.sweep(0)  # the first part: folds
    assert connection.execute("SELECT count(*) FROM sent_recently").fetchone() == (0,)
    for number in range(100, 120, 2):
        seen.add([_key(number), _key(number + 1)], 1_000)
    assert all(seen.has(_key(number)) for number in range(120))
    assert not seen.has(_key(120))
    connection.close()
    connection = connect(str(tmp_path / "db"))
    again = Repetitions()
    again.use(connection)
    assert all(again.has(_key(number)) for number in range(120))
    connection.close()


def test_memory_is_bounded() -> None:
    connection = connect(":memory:")
    seen = Repetitions()
    seen.use(connection)
    seen.sweep(0)
    connection.execute("BEGIN")
    for number in range(0, repetitions._FOLDED_AT, 100):
        seen.add([_key(number + more) for more in range(100)], 1_000)
    connection.execute("COMMIT")
    seen.sweep(0)
    assert connection.execute("SELECT count(*) FROM sent_recently").fetchone() == (0,)
    assert seen.has(_key(1))
    connection.close()


def test_what_was_rolled_back_was_not_seen() -> None:
    connection = connect(":memory:")
    seen = Repetitions()
    seen.use(connection)
    seen.add([_key(1)], 1_000)
    connection.execute("BEGIN")
    seen.add([_key(2)], 1_000)
    connection.execute("ROLLBACK")
    seen.forget()
    assert seen.has(_key(1))
    assert not seen.has(_key(2))
    connection.close()


def test_keys_are_forgotten_when_their_time_is_over_and_not_before() -> None:
    connection = connect(":memory:")
    seen = Repetitions()
    seen.use(connection)
    seen.add([_key(1)], 1_000)
    seen.add([_key(2)], 2_000)
    for _ in range(2 * repetitions._PARTS):
        seen.sweep(1_000)
    assert not seen.has(_key(1))
    assert seen.has(_key(2))
    connection.close()
