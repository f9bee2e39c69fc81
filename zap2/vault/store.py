"""The vault as the engine sees it: one object a profile, all changes in transactions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from zap2.vault.contacts import ContactStore
from zap2.vault.container import migrate, transaction
from zap2.vault.messages import MessageStore
from zap2.vault.outbox import OutboxStore
from zap2.vault.prekeys import PrekeyStore
from zap2.vault.schema import MIGRATIONS
from zap2.vault.sessions import SessionStore
from zap2.vault.settings import SettingStore
from zap2.vault.sql import Connection
from zap2.vault.voids import VoidStore


class Store:
    """All stores over one open database; use it from one thread at a time and `close` it at the end.

    Args:
        connection: an open database, encrypted or in memory; brought to the newest schema here.

    Raises:
        VaultTooNew: a newer version of Zap2 wrote this database.
    """

    def __init__(self, connection: Connection) -> None:
        migrate(connection, MIGRATIONS)
        self._connection = connection
        self.settings = SettingStore(connection)
        self.contacts = ContactStore(connection)
        self.messages = MessageStore(connection)
        self.sessions = SessionStore(connection)
        self.prekeys = PrekeyStore(connection)
        self.outbox = OutboxStore(connection)
        self.voids = VoidStore(connection)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit everything inside durably, or nothing of it."""
        with transaction(self._connection):
            yield

    def close(self) -> None:
        """Close the database; the stores cannot be used afterwards."""
        self._connection.close()
