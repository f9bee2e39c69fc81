"""Which session to use with whom.

With one person there is at most one session to send on, and at most one archived session that only receives.
Three rules decide when a second session appears (docs/protocol.md, "Collision"):

- both sides set up at once: both send on the session with the smaller id, whatever arrived first;
- one side sets up twice: it has lost the earlier session, so the later one by its own clock counts, however late the
  other one arrives;
- a repair takes the place of a session that is none, or that works.

The loser only receives, and is forgotten once nothing came on it for a while.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from zap2.crypto import Session, find_session
from zap2.ids import Uid
from zap2.vault.rows import SessionRow
from zap2.vault.sessions import SessionStore


@dataclass(frozen=True, slots=True)
class Entry:
    """One session and its standing."""

    session: Session
    peer: Uid
    is_receive_only: bool
    replaces: bytes | None
    made_at_ms: int
    created_at_ms: int
    used_at_ms: int
    retired_at_ms: int | None

    @property
    def is_repair(self) -> bool:
        """Whether this session was set up to take another one's place."""
        return self.replaces is not None


class SessionBook:
    """All sessions, decoded once and kept in memory; changes are staged until `commit`."""

    def __init__(self, store: SessionStore) -> None:
        self._store = store
        self._entries: dict[bytes, Entry] = {}
        for row in store.all():
            self._entries[row.id] = Entry(
                Session.decode(row.state),
                row.peer,
                row.is_receive_only,
                row.replaces,
                row.made_at_ms,
                row.created_at_ms,
                row.used_at_ms,
                row.retired_at_ms,
            )
        self._staged: dict[bytes, Entry | None] = {}
        self._by_setup = {e.session.setup_hash: session_id for session_id, e in self._entries.items()}

    def write(self) -> None:
        """Write staged changes to the store: call once, before the transaction is committed."""
        for session_id, entry in self._staged.items():
            if entry is None:
                self._store.remove(session_id)
                continue
            self._store.put(
                SessionRow(
                    session_id,
                    entry.peer,
                    entry.session.encode(),
                    entry.is_receive_only,
                    entry.replaces,
                    entry.made_at_ms,
                    entry.created_at_ms,
                    entry.used_at_ms,
                    entry.retired_at_ms,
                )
            )

    def commit(self) -> None:
        """Make staged changes part of the book: call after the transaction was committed."""
        for session_id, entry in self._staged.items():
            # A used session moves to the end, so that trial goes from the most recent to the oldest.
            self._entries.pop(session_id, None)
            if entry is not None:
                self._entries[session_id] = entry
                self._by_setup[entry.session.setup_hash] = session_id
        self._staged.clear()

    def rollback(self) -> None:
        """Forget staged changes: call after the transaction failed."""
        self._staged.clear()

    def by_setup(self, setup_hash: bytes) -> Entry | None:
        """Give the session that a set-up made."""
        session_id = self._by_setup.get(setup_hash)
        if session_id is not None and session_id not in self._staged:
            return self._entries.get(session_id)
        return next(
            (e for e in self._staged.values() if e is not None and e.session.setup_hash == setup_hash), None
        )

    def by_recency(self) -> Iterator[Entry]:
        """Go through all sessions, the most recently used first."""
        yield from (entry for entry in reversed(self._staged.values()) if entry is not None)
        yield from (
            entry for session_id, entry in reversed(self._entries.items()) if session_id not in self._staged
        )

    def find(self, payload: bytes) -> Entry | None:
        """Give the session that an envelope belongs to, which then is to decrypt it."""
        session = find_session([entry.session for entry in self.by_recency()], payload)
        if session is None:
            return None
        return self._staged.get(session.session_id) or self._entries[session.session_id]

    def for_sending(self, peer: Uid) -> Entry | None:
        """Give the session to send on with one person."""
        return next((e for e in self.by_recency() if e.peer == peer and not e.is_receive_only), None)

    def advance(self, entry: Entry, session: Session, now_ms: int) -> None:
        """Keep the state after a message."""
        self._put(replace(entry, session=session, used_at_ms=now_ms))

    def add(
        self, session: Session, peer: Uid, now_ms: int, *, made_at_ms: int, replaces: bytes | None
    ) -> bool:
        """Add a session that was just set up, by either side, and settle which one sends; True if it is this one."""
        current = self.for_sending(peer)
        is_repair = replaces is not None
        if current is None:
            is_loser = False
        elif current.session.is_initiator == session.is_initiator:
            is_loser = made_at_ms < current.made_at_ms
        elif current.is_repair == is_repair:
            is_both_at_once = not (is_repair and current.session.is_confirmed)
            is_loser = is_both_at_once and current.session.session_id < session.session_id
        else:
            is_loser = current.is_repair
        for archived in [e for e in self.by_recency() if e.peer == peer and e.is_receive_only]:
            self._remove(archived)
        if current is not None and not is_loser:
            self._put(replace(current, is_receive_only=True, retired_at_ms=now_ms))
        self._put(
            Entry(
                session,
                peer,
                is_receive_only=is_loser,
                replaces=replaces,
                made_at_ms=made_at_ms,
                created_at_ms=now_ms,
                used_at_ms=now_ms,
                retired_at_ms=now_ms if is_loser else None,
            )
        )
        return not is_loser

    def prefer_working(self, unanswered: Entry, now_ms: int) -> bool:
        """Send on an archived session on which something came, in place of one that nobody answers; True if so."""
        for entry in self.by_recency():
            if entry.peer == unanswered.peer and entry.is_receive_only and entry.session.is_confirmed:
                self._put(replace(unanswered, is_receive_only=True, retired_at_ms=now_ms))
                self._put(replace(entry, is_receive_only=False, retired_at_ms=None))
                return True
        return False

    def forget_retired_before(self, at_ms: int) -> None:
        """Forget archived sessions on which nothing has come since a time."""
        for entry in list(self.by_recency()):
            if entry.retired_at_ms is not None and max(entry.retired_at_ms, entry.used_at_ms) < at_ms:
                self._remove(entry)

    def _put(self, entry: Entry) -> None:
        session_id = entry.session.session_id
        self._staged.pop(session_id, None)
        self._staged[session_id] = entry

    def _remove(self, entry: Entry) -> None:
        self._staged[entry.session.session_id] = None
