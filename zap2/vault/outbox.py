"""What is to go out: messages without a session, envelopes with their final bytes, receipts owed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from zap2.ids import ConversationId, EnvelopeId, MessageId, Uid
from zap2.vault.rows import OutboxRow, WaitingRow
from zap2.vault.sql import Connection

_COLUMNS: Final = (
    "number, envelope, peer, payload, created_at_ms, expires_at_ms, next_try_at_ms, conversation, message,"
    " is_named"
)


class OutboxStore:
    """Everything that was promised to others and is not done yet."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def wait(self, peer: Uid, conversation: ConversationId, message: MessageId) -> None:
        """Keep an own message until there is a session to encrypt it with."""
        self._connection.execute(
            "INSERT INTO waiting (peer, conversation, message) VALUES (?, ?, ?)",
            (peer, conversation, message),
        )

    def waiting_for(self, peer: Uid) -> list[WaitingRow]:
        """Give the messages that wait for a session with one person, in order."""
        rows = self._connection.execute(
            "SELECT number, peer, conversation, message FROM waiting WHERE peer = ? ORDER BY number", (peer,)
        )
        return [WaitingRow(*row) for row in rows]

    def is_waiting(self, message: MessageId) -> bool:
        """Say whether a message waits for a session."""
        sql = "SELECT 1 FROM waiting WHERE message = ?"
        return self._connection.execute(sql, (message,)).fetchone() is not None

    def peers_waited_for(self) -> list[Uid]:
        """Give everybody with whom a session is needed."""
        rows = self._connection.execute("SELECT peer FROM waiting GROUP BY peer ORDER BY min(number)")
        return [Uid(row[0]) for row in rows]

    def stop_waiting(self, number: int) -> None:
        """Forget a waiting entry: the message was encrypted, or failed."""
        self._connection.execute("DELETE FROM waiting WHERE number = ?", (number,))

    def put(
        self,
        envelope: EnvelopeId,
        peer: Uid,
        payload: bytes,
        *,
        created_at_ms: int,
        expires_at_ms: int,
        conversation: ConversationId | None = None,
        message: MessageId | None = None,
    ) -> None:
        """Keep an envelope until it is answered for; retries send the same bytes."""
        self._connection.execute(
            "INSERT INTO outbox (envelope, peer, payload, created_at_ms, expires_at_ms, conversation, message)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (envelope, peer, payload, created_at_ms, expires_at_ms, conversation, message),
        )

    def get(self, envelope: EnvelopeId) -> OutboxRow | None:
        """Give one envelope."""
        sql = f"SELECT {_COLUMNS} FROM outbox WHERE envelope = ?"
        row = self._connection.execute(sql, (envelope,)).fetchone()
        return None if row is None else _outbox(row)

    def due(self, now_ms: int, limit: int) -> list[OutboxRow]:
        """Give up to `limit` envelopes whose time has come, oldest first."""
        rows = self._connection.execute(
            f"SELECT {_COLUMNS} FROM outbox WHERE next_try_at_ms <= ? ORDER BY number LIMIT ?",
            (now_ms, limit),
        )
        return [_outbox(row) for row in rows]

    def for_peer(self, peer: Uid) -> list[OutboxRow]:
        """Give all envelopes for one person, oldest first."""
        rows = self._connection.execute(
            f"SELECT {_COLUMNS} FROM outbox WHERE peer = ? ORDER BY number", (peer,)
        )
        return [_outbox(row) for row in rows]

    def next_try_at_ms(self, after_ms: int) -> int | None:
        """Give when the next envelope that was put off comes due."""
        row = self._connection.execute(
            "SELECT min(next_try_at_ms) FROM outbox WHERE next_try_at_ms > ?", (after_ms,)
        ).fetchone()
        return None if row[0] is None else int(row[0])

    def put_off(self, envelope: EnvelopeId, until_ms: int) -> None:
        """Try an envelope again no sooner than `until_ms`."""
        self._connection.execute(
            "UPDATE outbox SET next_try_at_ms = ? WHERE envelope = ?", (until_ms, envelope)
        )

    def name(self, envelope: EnvelopeId) -> None:
        """Record that an envelope goes over the connection that names us, now and whenever it is tried again."""
        self._connection.execute("UPDATE outbox SET is_named = 1 WHERE envelope = ?", (envelope,))

    def put_off_at_most(self, until_ms: int) -> None:
        """Bring what was put off for longer forward: the clock was wrong then."""
        self._connection.execute(
            "UPDATE outbox SET next_try_at_ms = ? WHERE next_try_at_ms > ?", (until_ms, until_ms)
        )

    def hurry(self) -> None:
        """Forget all put-off times, because the way is new."""
        self._connection.execute("UPDATE outbox SET next_try_at_ms = 0 WHERE next_try_at_ms > 0")

    def remove(self, envelope: EnvelopeId) -> None:
        """Forget an envelope: it was answered for, or failed."""
        self._connection.execute("DELETE FROM outbox WHERE envelope = ?", (envelope,))

    def remove_message(self, message: MessageId) -> None:
        """Forget the envelope of a message that its reader turned out to have."""
        self._connection.execute("DELETE FROM outbox WHERE message = ?", (message,))

    def count(self) -> int:
        """Count the envelopes and waiting messages that still have to go out."""
        return int(
            self._connection.execute(
                "SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM waiting)"
            ).fetchone()[0]
        )

    def owe_receipts(self, peer: Uid, kind: int, messages: Iterable[MessageId]) -> None:
        """Note receipts to be sent; noting one twice is the same as once."""
        self._connection.executemany(
            "INSERT INTO owed_receipt (peer, message, kind) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            [(peer, message, kind) for message in messages],
        )

    def owed_receipts(self, peer: Uid, kind: int, limit: int) -> list[MessageId]:
        """Give receipts of one kind owed to one person."""
        rows = self._connection.execute(
            "SELECT message FROM owed_receipt WHERE peer = ? AND kind = ? LIMIT ?", (peer, kind, limit)
        )
        return [MessageId(row[0]) for row in rows]

    def peers_owed_receipts(self) -> list[Uid]:
        """Give the accepted contacts to whom receipts are owed."""
        rows = self._connection.execute(
            "SELECT DISTINCT o.peer FROM owed_receipt o JOIN contact c ON c.uid = o.peer WHERE c.state = 'accepted'"
        )
        return [Uid(row[0]) for row in rows]

    def settle_receipts(self, peer: Uid, kind: int, messages: Iterable[MessageId]) -> None:
        """Forget receipts: they are in an envelope now."""
        self._connection.executemany(
            "DELETE FROM owed_receipt WHERE peer = ? AND kind = ? AND message = ?",
            [(peer, kind, message) for message in messages],
        )

    def forgive_receipts(self, peer: Uid) -> None:
        """Forget all receipts owed to one person."""
        self._connection.execute("DELETE FROM owed_receipt WHERE peer = ?", (peer,))


def _outbox(row: Sequence[Any]) -> OutboxRow:
    values: list[Any] = [*row]
    values[-1] = bool(values[-1])
    return OutboxRow(*values)
