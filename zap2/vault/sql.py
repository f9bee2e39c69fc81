"""The part of DB-API that the stores use, as a type.

`sqlcipher3` connections and the standard library's both have this shape, so that the stores can be read and tested
without the encrypted engine.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

Value = bytes | str | int | float | None

Row = tuple[Any, ...]
"""A row as the database gives it; STRICT tables see to the types."""


class Cursor(Protocol):
    """What a statement gives."""

    rowcount: int
    lastrowid: int | None

    def fetchone(self) -> Any:
        """Give the next row, or None."""
        ...

    def fetchall(self) -> list[Any]:
        """Give the rows that are left."""
        ...

    def __iter__(self) -> Iterator[Any]: ...


class Connection(Protocol):
    """A database in autocommit mode, used by one thread at a time."""

    def execute(self, sql: str, parameters: Sequence[Value] = (), /) -> Cursor:
        """Run one statement."""
        ...

    def executemany(self, sql: str, parameters: Iterable[Sequence[Value]], /) -> Cursor:
        """Run one statement for each set of parameters."""
        ...

    def executescript(self, sql: str, /) -> Cursor:
        """Run several statements without parameters."""
        ...

    def close(self) -> None:
        """Let go of the file."""
        ...
