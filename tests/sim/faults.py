"""What goes wrong in a world, and how likely."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

from zap2.vault.sql import Connection, Cursor, Value


class PowerCut(BaseException):
    """The process died here."""


class FusedConnection:
    """A database connection whose process dies at the n-th statement once `fuse` is set to n."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.fuse: int | None = None

    def execute(self, sql: str, parameters: Sequence[Value] = (), /) -> Cursor:
        self._burn(sql)
        return self._connection.execute(sql, parameters)

    def executemany(self, sql: str, parameters: Iterable[Sequence[Value]], /) -> Cursor:
        self._burn(sql)
        return self._connection.executemany(sql, parameters)

    def executescript(self, sql: str, /) -> Cursor:
        return self._connection.executescript(sql)

    def close(self) -> None:
        self._connection.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def _burn(self, sql: str) -> None:
        if self.fuse is None or sql.startswith("ROLLBACK"):
            return
        self.fuse -= 1
        if self.fuse <= 0:
            self.fuse = None
            raise PowerCut


@dataclass
class Faults:
    """How likely, at each turn, is what."""

    lose_request: float = 0.05
    lose_answer: float = 0.05
    reorder: float = 0.3
    duplicate: float = 0.1
    break_link: float = 0.03
    restart_relay: float = 0.005
    crash: float = 0.02
    crash_inside: float = 0.02
    fail_sealed: float = 0.1
    lose_token: float = 0.05


NO_FAULTS: Final = Faults(*[0.0] * len(fields(Faults)))
