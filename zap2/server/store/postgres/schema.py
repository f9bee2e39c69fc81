"""The relay's schema on PostgreSQL, and how it came to be: migrations go forward only.

Every relay brings the schema up to date when it starts. An advisory lock lets one of them do it while the others
wait, and all of it is one transaction: a relay that dies in the middle has changed nothing.

What changes with every message of a mailbox stands in a narrow row of its own (`mailbox`): PostgreSQL writes a whole
row anew with each change. That row is also the lock under which a mailbox's seqs are given, so they become
visible in their order, whichever relay gives them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from zap2.errors import UsageError

_ADVISORY_LOCK: Final = 0x5A415032  # "ZAP2"
MIGRATIONS: Final[Sequence[str]] = (
    """
    CREATE TABLE account (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        uid bytea NOT NULL UNIQUE,
        document bytea NOT NULL,
        document_signature bytea NOT NULL,
        number_key bytea NOT NULL UNIQUE,
        active_day integer NOT NULL,
        is_listed boolean NOT NULL DEFAULT true,
        is_blocked boolean NOT NULL DEFAULT false,
        pin_hash text,
        pin_tries integer NOT NULL DEFAULT 0,
        pin_locked_until_ms bigint NOT NULL DEFAULT 0
    );
    CREATE TABLE device (
        mailbox bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        account bigint NOT NULL REFERENCES account (id),
        device bigint NOT NULL,
        signed_set bytea,
        highest_sid bigint NOT NULL DEFAULT 0,
        highest_oid bigint NOT NULL DEFAULT -1,
        UNIQUE (account, device)
    );
    CREATE TABLE mailbox (
        id bigint PRIMARY KEY REFERENCES device (mailbox),
        last_seq bigint NOT NULL DEFAULT 0,
        acknowledged_seq bigint NOT NULL DEFAULT 0,
        waiting bigint NOT NULL DEFAULT 0,
        size_b bigint NOT NULL DEFAULT 0,
        max_messages bigint,
        max_size_b bigint
    ) WITH (fillfactor = 50);
    CREATE TABLE pair (
        mailbox bigint NOT NULL REFERENCES device (mailbox),
        oid bigint NOT NULL,
        pair bytea NOT NULL,
        PRIMARY KEY (mailbox, oid)
    );
    CREATE TABLE envelope (
        mailbox bigint NOT NULL,
        seq bigint NOT NULL,
        envelope_id bytea NOT NULL,
        received_at_ms bigint NOT NULL,
        expires_at_ms bigint NOT NULL,
        payload bytea NOT NULL,
        PRIMARY KEY (mailbox, seq)
    );
    -- Payloads are ciphertext: trying to compress them would be in vain.
    ALTER TABLE envelope ALTER COLUMN payload SET STORAGE EXTERNAL;
    CREATE INDEX envelope_expiry ON envelope (expires_at_ms);
    CREATE TABLE sent (
        dedupe_key bytea PRIMARY KEY,
        forget_at_s bigint NOT NULL
    );
    CREATE INDEX sent_forgetting ON sent (forget_at_s);
    CREATE TABLE code (
        number_key bytea PRIMARY KEY,
        code_hash bytea,
        expires_at_ms bigint NOT NULL,
        tries_left integer NOT NULL,
        sends integer NOT NULL,
        next_send_at_ms bigint NOT NULL,
        forget_at_ms bigint NOT NULL
    );
    CREATE TABLE ticket (
        ticket_hash bytea PRIMARY KEY,
        number_key bytea NOT NULL,
        expires_at_ms bigint NOT NULL,
        used_by bytea
    );
    CREATE TABLE token (
        token_hash bytea PRIMARY KEY,
        uid bytea NOT NULL,
        device bigint NOT NULL,
        expires_at_ms bigint NOT NULL
    );
    CREATE INDEX token_uid ON token (uid, device, expires_at_ms);
    CREATE TABLE invite (
        invite_hash bytea PRIMARY KEY,
        expires_at_ms bigint NOT NULL
    );
    """,
    "ALTER TABLE account ADD COLUMN delivery_token_hash bytea",
)
_RECORD: Final = """
    CREATE TABLE IF NOT EXISTS zap2_relay (
        is_it boolean PRIMARY KEY DEFAULT true CHECK (is_it),
        version integer NOT NULL,
        keys text
    )
"""


async def migrate(connection: Any, keys: str | None, migrations: Sequence[str] = MIGRATIONS) -> None:
    """Run the migrations that this database has not seen, and make sure that it is this relay's.

    Args:
        connection: an asyncpg connection outside of a transaction.
        keys: what names the relay's keys without telling them; the first relay's is kept. None: no check.
        migrations: all of them; a test gives fewer to get an old schema.

    Raises:
        UsageError: a newer version of Zap2 wrote the database, or it belongs to a relay with other keys.
    """
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _ADVISORY_LOCK)
        await connection.execute(_RECORD)
        await connection.execute("INSERT INTO zap2_relay (version) VALUES (0) ON CONFLICT DO NOTHING")
        row = await connection.fetchrow("SELECT version, keys FROM zap2_relay")
        if row["version"] > len(migrations):
            raise UsageError(
                "The relay's database was written by a newer version of Zap2.",
                "Nothing was changed. Upgrade Zap2 (`pipx upgrade zap2`) and start it again.",
            )
        if keys is not None and row["keys"] not in (None, keys):
            raise UsageError(
                "The database belongs to a relay with other keys.",
                "Relays that share a database share their keys: copy relay.key and hashing.key from the data folder"
                " of the first one into this one's.",
            )
        for script in migrations[row["version"] :]:
            await connection.execute(script)
        await connection.execute(
            "UPDATE zap2_relay SET version = $1, keys = coalesce(keys, $2)", len(migrations), keys
        )
