"""Sessions with others, and what guards against replayed set-ups and envelopes."""

from __future__ import annotations

from typing import Final

from zap2.vault.rows import SessionRow
from zap2.vault.sql import Connection, Row

_COLUMNS: Final = (
    "id, peer, state, is_receive_only, replaces, made_at_ms, created_at_ms, used_at_ms, retired_at_ms"
)


class SessionStore:
    """Encoded session states by session id."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def all(self) -> list[SessionRow]:
        """Give every session, most recently used first."""
        rows = self._connection.execute(f"SELECT {_COLUMNS} FROM session ORDER BY used_at_ms DESC, id")
        return [_session(row) for row in rows]

    def put(self, session: SessionRow) -> None:
        """Add a session, or replace its state."""
        self._connection.execute(
            f"INSERT INTO session ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET state = excluded.state, is_receive_only = excluded.is_receive_only,"
            " used_at_ms = excluded.used_at_ms, retired_at_ms = excluded.retired_at_ms",
            (
                session.id,
                session.peer,
                session.state,
                session.is_receive_only,
                session.replaces,
                session.made_at_ms,
                session.created_at_ms,
                session.used_at_ms,
                session.retired_at_ms,
            ),
        )

    def remove(self, session: bytes) -> None:
        """Forget a session and all its keys."""
        self._connection.execute("DELETE FROM session WHERE id = ?", (session,))

    def remember_setup(self, setup_hash: bytes, sid: int) -> None:
        """Remember that a set-up was used, for the life of the signed set `sid`."""
        self._connection.execute("INSERT INTO seen_setup (hash, sid) VALUES (?, ?)", (setup_hash, sid))

    def has_seen_setup(self, setup_hash: bytes) -> bool:
        """Say whether a set-up was used before."""
        sql = "SELECT 1 FROM seen_setup WHERE hash = ?"
        return self._connection.execute(sql, (setup_hash,)).fetchone() is not None

    def remember_envelope(self, payload_hash: bytes, at_ms: int) -> bool:
        """Remember a payload; False when it was seen before."""
        return (
            self._connection.execute(
                "INSERT INTO seen_envelope (hash, seen_at_ms) VALUES (?, ?) ON CONFLICT (hash) DO NOTHING",
                (payload_hash, at_ms),
            ).rowcount
            == 1
        )

    def remember_place(self, place_hash: bytes, session: bytes) -> None:
        """Remember that a place of a session was used, for as long as the session is kept: not of one that is gone."""
        self._connection.execute(
            "INSERT INTO seen_place (hash, session) SELECT ?, id FROM session WHERE id = ?"
            " ON CONFLICT (hash) DO NOTHING",
            (place_hash, session),
        )

    def has_seen_place(self, place_hash: bytes) -> bool:
        """Say whether this very header used its place before."""
        sql = "SELECT 1 FROM seen_place WHERE hash = ?"
        return self._connection.execute(sql, (place_hash,)).fetchone() is not None

    def has_seen_envelope(self, payload_hash: bytes) -> bool:
        """Say whether a payload was processed before."""
        sql = "SELECT 1 FROM seen_envelope WHERE hash = ?"
        return self._connection.execute(sql, (payload_hash,)).fetchone() is not None

    def forget_envelopes_before(self, at_ms: int) -> None:
        """Forget payloads that nobody redelivers any more."""
        self._connection.execute("DELETE FROM seen_envelope WHERE seen_at_ms < ?", (at_ms,))


def _session(row: Row) -> SessionRow:
    session, peer, state, is_receive_only, *fields = row
    return SessionRow(session, peer, state, bool(is_receive_only), *fields)
