"""Single values by name: the identity, the profile, counters."""

from __future__ import annotations

from typing import Final

from zap2.vault.sql import Connection

IDENTITY: Final = "identity"
NAME: Final = "name"
NUMBER: Final = "number"
NUMBER_LOST: Final = "number-lost"
NEXT_SID: Final = "next-sid"
NEXT_OID: Final = "next-oid"
WITHDRAW_BELOW: Final = "withdraw-below"
DELIVERY_TOKEN: Final = "delivery-token"  # noqa: S105 - the name of a setting, not a token
DELIVERY_TOKEN_MADE_AT_MS: Final = "delivery-token-made-at-ms"  # noqa: S105 - the name of a setting, not a token
PUBLISHED_TOKEN_HASH: Final = "published-token-hash"  # noqa: S105 - the name of a setting, not a token
HIGHEST_DELIVERY: Final = "highest-delivery"
RESTORED_AT_MS: Final = "restored-at-ms"
DROPPED: Final = "dropped-envelopes"
NOTES_SEQUENCE: Final = "notes-sequence"


class SettingStore:
    """Values by name; callers own the names and the encodings."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, name: str) -> bytes | None:
        """Give the value, or None when it was never set."""
        row = self._connection.execute("SELECT value FROM setting WHERE name = ?", (name,)).fetchone()
        return None if row is None else bytes(row[0])

    def put(self, name: str, value: bytes) -> None:
        """Set or replace a value."""
        self._connection.execute(
            "INSERT INTO setting (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            (name, value),
        )

    def remove(self, name: str) -> None:
        """Forget a value."""
        self._connection.execute("DELETE FROM setting WHERE name = ?", (name,))

    def get_text(self, name: str) -> str:
        """Give a text value, empty when it was never set."""
        return (self.get(name) or b"").decode()

    def put_text(self, name: str, value: str) -> None:
        """Set or replace a text value."""
        self.put(name, value.encode())

    def get_number(self, name: str) -> int:
        """Give a counter, 0 when it was never set."""
        return int.from_bytes(self.get(name) or b"", "big")

    def raise_number(self, name: str, number: int) -> None:
        """See to it that a counter is at least at `number`."""
        if number > self.get_number(name):
            self.put(name, number.to_bytes(8, "big"))

    def take_numbers(self, name: str, count: int) -> range:
        """Reserve `count` numbers of a counter that never goes back; the first one ever is 1."""
        used = self.get_number(name)
        self.put(name, (used + count).to_bytes(8, "big"))
        return range(used + 1, used + count + 1)
