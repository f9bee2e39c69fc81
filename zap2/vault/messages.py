"""Conversations and their messages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from zap2.ids import ConversationId, MessageId, Uid
from zap2.vault.rows import ConversationRow, MessageRow
from zap2.vault.sql import Connection, Row
from zap2.vault.voids import VoidStore

SPACING: Final = 1 << 20
"""Distance between the positions of messages that arrive in order."""

_COLUMNS: Final = (
    "conversation, position, id, author, is_mine, is_unread, sequence, sent_at_ms, received_at_ms, state,"
    " failure, text, pq_epoch, is_sealed"
)
_LIST: Final = """
SELECT c.id, c.peer, c.active_at_ms, c.draft,
       (SELECT count(*) FROM message m WHERE m.conversation = c.id AND m.is_unread),
       coalesce(l.text, ''), coalesce(l.is_mine, 0), l.state
  FROM conversation c
  LEFT JOIN message l ON l.conversation = c.id
       AND l.position = (SELECT max(position) FROM message WHERE conversation = c.id)
"""


class MessageStore:
    """The history. A position, once handed out, is only changed when a place between two others ran out of room."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._voids = VoidStore(connection)

    def open_conversation(self, conversation: ConversationId, peer: Uid, at_ms: int) -> None:
        """Make a conversation unless it is there."""
        self._connection.execute(
            "INSERT INTO conversation (id, peer, active_at_ms) VALUES (?, ?, ?) ON CONFLICT (id) DO NOTHING",
            (conversation, peer, at_ms),
        )

    def conversations(self) -> list[ConversationRow]:
        """Give all conversations, most recently active first."""
        rows = self._connection.execute(f"{_LIST} ORDER BY c.active_at_ms DESC, c.id")
        return [_conversation(row) for row in rows]

    def conversation(self, conversation: ConversationId) -> ConversationRow | None:
        """Give one conversation."""
        row = self._connection.execute(f"{_LIST} WHERE c.id = ?", (conversation,)).fetchone()
        return None if row is None else _conversation(row)

    def save_draft(self, conversation: ConversationId, text: str) -> None:
        """Keep unsent text; empty removes it."""
        self._connection.execute("UPDATE conversation SET draft = ? WHERE id = ?", (text, conversation))

    def add(self, message: MessageRow) -> MessageRow | None:
        """Store a message at its place and give it with its position; None when it is there already.

        `message.position` is ignored. The place is the end, or, when a later message of the same author
        (by `sequence`) is there already, right before the earliest such message.
        """
        known = self._connection.execute(
            "SELECT 1 FROM message WHERE conversation = ? AND author = ? AND id = ?",
            (message.conversation, message.author, message.id),
        ).fetchone()
        if known is not None:
            return None
        position = self._place(message)
        self._connection.execute(
            f"INSERT INTO message ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                message.conversation,
                position,
                message.id,
                message.author,
                message.is_mine,
                message.is_unread,
                message.sequence,
                message.sent_at_ms,
                message.received_at_ms,
                message.state,
                message.failure,
                message.text,
                message.pq_epoch,
                message.is_sealed,
            ),
        )
        self._connection.execute(
            "UPDATE conversation SET active_at_ms = max(active_at_ms, ?) WHERE id = ?",
            (message.received_at_ms, message.conversation),
        )
        return self.get(message.conversation, message.author, message.id)

    def get(self, conversation: ConversationId, author: Uid, message: MessageId) -> MessageRow | None:
        """Give one message."""
        row = self._connection.execute(
            f"SELECT {_COLUMNS} FROM message WHERE conversation = ? AND author = ? AND id = ?",
            (conversation, author, message),
        ).fetchone()
        return None if row is None else _message(row)

    def page(self, conversation: ConversationId, *, before: int | None, limit: int) -> list[MessageRow]:
        """Give up to `limit` messages, ascending: the newest, or the newest below position `before`."""
        rows = self._connection.execute(
            f"SELECT {_COLUMNS} FROM message WHERE conversation = ? AND position < ?"
            " ORDER BY position DESC LIMIT ?",
            (conversation, (1 << 62) if before is None else before, limit),
        ).fetchall()
        return [_message(row) for row in reversed(rows)]

    def unread(self, limit: int) -> list[MessageRow]:
        """Give unread messages of all conversations, in the order in which they came."""
        rows = self._connection.execute(
            f"SELECT {_COLUMNS} FROM message WHERE is_unread ORDER BY received_at_ms, position LIMIT ?",
            (limit,),
        ).fetchall()
        return [_message(row) for row in rows]

    def first_missing(self, conversation: ConversationId, author: Uid, *, above: int = -1) -> int:
        """Give the lowest sequence above `above` of which an author's message is not here and is to come."""
        missing = above + 1
        while not self.is_missing(conversation, author, missing):
            end = self._voids.end_of(conversation, author, missing)
            missing = self._end_of_run(conversation, author, missing) if end is None else end
        return missing

    def is_missing(self, conversation: ConversationId, author: Uid, sequence: int) -> bool:
        """Say whether an author's message with a sequence is not here and is to come."""
        is_void = self._voids.end_of(conversation, author, sequence) is not None
        return not is_void and not self._has_sequence(conversation, author, sequence)

    def count_missing_before(self, conversation: ConversationId, author: Uid, sequence: int) -> int:
        """Count the messages of an author, between one and the one before it, that are to come."""
        previous = self._sequence_before(conversation, author, sequence)
        if previous is None:
            return 0
        empty = self._voids.count_within(conversation, author, previous + 1, sequence)
        return sequence - previous - 1 - empty

    def _end_of_run(self, conversation: ConversationId, author: Uid, sequence: int) -> int:
        row = self._connection.execute(
            "SELECT m.sequence + 1 FROM message m WHERE m.conversation = ? AND m.author = ? AND m.sequence >= ?"
            " AND NOT EXISTS"
            " (SELECT 1 FROM message n WHERE n.conversation = m.conversation AND n.author = m.author"
            " AND n.sequence = m.sequence + 1) ORDER BY m.sequence LIMIT 1",
            (conversation, author, sequence),
        ).fetchone()
        return int(row[0])

    def _sequence_before(self, conversation: ConversationId, author: Uid, sequence: int) -> int | None:
        row = self._connection.execute(
            "SELECT max(sequence) FROM message WHERE conversation = ? AND author = ? AND sequence < ?",
            (conversation, author, sequence),
        ).fetchone()
        return None if row[0] is None else int(row[0])

    def next_of(self, conversation: ConversationId, author: Uid, message: MessageId) -> MessageRow | None:
        """Give the message of the same author that follows a message; None when it is the newest of them."""
        row = self._connection.execute(
            f"SELECT {_COLUMNS} FROM message WHERE conversation = ?1 AND author = ?2 AND sequence >"
            " (SELECT sequence FROM message WHERE conversation = ?1 AND author = ?2 AND id = ?3)"
            " ORDER BY sequence LIMIT 1",
            (conversation, author, message),
        ).fetchone()
        return None if row is None else _message(row)

    def _has_sequence(self, conversation: ConversationId, author: Uid, sequence: int) -> bool:
        sql = "SELECT 1 FROM message WHERE conversation = ? AND author = ? AND sequence = ?"
        return self._connection.execute(sql, (conversation, author, sequence)).fetchone() is not None

    def highest_sequence(self, conversation: ConversationId, author: Uid) -> int:
        """Give the highest sequence of an author's messages, -1 without any."""
        row = self._connection.execute(
            "SELECT coalesce(max(sequence), -1) FROM message WHERE conversation = ? AND author = ?",
            (conversation, author),
        ).fetchone()
        return int(row[0])

    def newest_unconfirmed_ms(
        self, conversation: ConversationId, author: Uid, *, from_ms: int, to_ms: int
    ) -> int | None:
        """Give when the newest own message between two times was sent that its reader never confirmed."""
        row = self._connection.execute(
            "SELECT max(sent_at_ms) FROM message WHERE conversation = ? AND author = ? AND state = 'sent'"
            " AND sent_at_ms BETWEEN ? AND ?",
            (conversation, author, from_ms, to_ms),
        ).fetchone()
        return None if row[0] is None else int(row[0])

    def mark_these_read(self, conversation: ConversationId, messages: Iterable[MessageId]) -> list[MessageId]:
        """Mark messages as read and give those that this changed."""
        newly_read = []
        for message in messages:
            changed = self._connection.execute(
                "UPDATE message SET is_unread = 0 WHERE conversation = ? AND id = ? AND is_unread",
                (conversation, message),
            )
            if changed.rowcount > 0:
                newly_read.append(message)
        return newly_read

    def to_send_again(
        self, conversation: ConversationId, author: Uid, *, from_sequence: int, since_ms: int, limit: int
    ) -> list[MessageId]:
        """Give own messages since a time that their reader never confirmed, or that it says are missing, in order."""
        rows = self._connection.execute(
            "SELECT id FROM message WHERE conversation = ? AND author = ? AND sent_at_ms >= ?"
            " AND (state IN ('queued', 'sent') OR sequence >= ?) AND state != 'failed' ORDER BY sequence LIMIT ?",
            (conversation, author, since_ms, from_sequence, limit),
        )
        return [MessageId(row[0]) for row in rows]

    def set_pq_epoch(self, conversation: ConversationId, author: Uid, message: MessageId, epoch: int) -> None:
        """Record the post-quantum epoch of the chain that carries a message."""
        self._connection.execute(
            "UPDATE message SET pq_epoch = ? WHERE conversation = ? AND author = ? AND id = ?",
            (epoch, conversation, author, message),
        )

    def set_sealed(
        self, conversation: ConversationId, author: Uid, message: MessageId, *, is_sealed: bool
    ) -> None:
        """Record whether an own message left over a connection that does not name us."""
        self._connection.execute(
            "UPDATE message SET is_sealed = ? WHERE conversation = ? AND author = ? AND id = ?",
            (is_sealed, conversation, author, message),
        )

    def set_state(
        self,
        conversation: ConversationId,
        author: Uid,
        message: MessageId,
        state: str,
        failure: str | None = None,
    ) -> None:
        """Set an own message's state; the engine owns the order of states."""
        self._connection.execute(
            "UPDATE message SET state = ?, failure = ? WHERE conversation = ? AND author = ? AND id = ?",
            (state, failure, conversation, author, message),
        )

    def _place(self, message: MessageRow) -> int:
        # An author's positions rise with the sequence, so the next one has the lowest.
        later = self._connection.execute(
            "SELECT position FROM message WHERE conversation = ? AND author = ? AND sequence > ?"
            " ORDER BY sequence, position LIMIT 1",
            (message.conversation, message.author, message.sequence),
        ).fetchone()
        if later is None:
            top = self._connection.execute(
                "SELECT coalesce(max(position), 0) FROM message WHERE conversation = ?",
                (message.conversation,),
            ).fetchone()[0]
            return int(top) + SPACING
        (later,) = later
        below = self._below(message.conversation, later)
        if later - below < 2:
            self._spread(message.conversation, later)
            below = self._below(message.conversation, later + SPACING)
            return int(below + later + SPACING) // 2
        return int(below + later) // 2

    def _below(self, conversation: ConversationId, position: int) -> int:
        return int(
            self._connection.execute(
                "SELECT coalesce(max(position), 0) FROM message WHERE conversation = ? AND position < ?",
                (conversation, position),
            ).fetchone()[0]
        )

    def _spread(self, conversation: ConversationId, start: int) -> None:
        # Downwards, because positions are unique at every step of a statement.
        rows = self._connection.execute(
            "SELECT position FROM message WHERE conversation = ? AND position >= ? ORDER BY position DESC",
            (conversation, start),
        ).fetchall()
        self._connection.executemany(
            "UPDATE message SET position = position + ? WHERE conversation = ? AND position = ?",
            [(SPACING, conversation, row[0]) for row in rows],
        )


def _conversation(row: Row) -> ConversationRow:
    conversation, peer, active_at_ms, draft, unread, last_text, last_is_mine, last_state = row
    return ConversationRow(
        conversation, Uid(peer), active_at_ms, draft, unread, last_text, bool(last_is_mine), last_state
    )


def _message(row: Row) -> MessageRow:
    conversation, position, message, author, is_mine, is_unread, *fields, is_sealed = row
    was_sealed = None if is_sealed is None else bool(is_sealed)
    return MessageRow(
        *(conversation, position, message, author, bool(is_mine), bool(is_unread), *fields, was_sealed)
    )
