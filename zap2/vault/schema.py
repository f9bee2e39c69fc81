"""The tables of the vault, as forward-only migrations.

Times are milliseconds since the epoch. A `position` orders the messages of a conversation; new ones are placed
`zap2.vault.messages.SPACING` apart, so that one that arrives late finds room at its place.
"""

from __future__ import annotations

from typing import Final

_VERSION_1: Final = """
CREATE TABLE setting (
    name  TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE contact (
    uid                     BLOB PRIMARY KEY CHECK (length(uid) = 32),
    state                   TEXT NOT NULL CHECK (state IN ('request', 'accepted', 'blocked')),
    trust                   TEXT NOT NULL CHECK (trust IN ('first-use', 'verified')),
    document                BLOB,
    document_signature      BLOB,
    own_name                TEXT NOT NULL DEFAULT '',
    profile_name            TEXT NOT NULL DEFAULT '',
    number                  TEXT,
    claimed_number          TEXT,
    added_at_ms             INTEGER NOT NULL,
    lowest_sid              INTEGER NOT NULL DEFAULT 0,
    next_sequence           INTEGER NOT NULL DEFAULT 0,
    is_profile_acknowledged INTEGER NOT NULL DEFAULT 0,
    session_state           TEXT NOT NULL DEFAULT 'fine'
                            CHECK (session_state IN ('fine', 'suspect', 'repairing', 'repaired', 'broken')),
    has_moved               INTEGER NOT NULL DEFAULT 0,
    claim_count             INTEGER NOT NULL DEFAULT 0,
    gap_since_ms            INTEGER,
    gap_asked_for           INTEGER NOT NULL DEFAULT -1
) STRICT, WITHOUT ROWID;
CREATE INDEX contact_by_number ON contact (number);

CREATE TABLE conversation (
    id           TEXT PRIMARY KEY,
    peer         BLOB NOT NULL,
    active_at_ms INTEGER NOT NULL,
    draft        TEXT NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;

CREATE TABLE message (
    number         INTEGER PRIMARY KEY,
    conversation   TEXT NOT NULL REFERENCES conversation (id),
    position       INTEGER NOT NULL,
    id             BLOB NOT NULL CHECK (length(id) = 16),
    author         BLOB NOT NULL,
    is_mine        INTEGER NOT NULL,
    is_unread      INTEGER NOT NULL,
    sequence       INTEGER NOT NULL,
    sent_at_ms     INTEGER NOT NULL,
    received_at_ms INTEGER NOT NULL,
    state          TEXT CHECK (state IN ('queued', 'sent', 'delivered', 'read', 'failed')),
    failure        TEXT,
    text           TEXT NOT NULL,
    pq_epoch       INTEGER,
    UNIQUE (conversation, position),
    UNIQUE (conversation, author, id)
) STRICT;
CREATE INDEX message_by_sequence ON message (conversation, author, sequence);
CREATE INDEX message_unread ON message (conversation, position) WHERE is_unread;

CREATE TABLE session (
    id              BLOB PRIMARY KEY,
    peer            BLOB NOT NULL,
    state           BLOB NOT NULL,
    is_receive_only INTEGER NOT NULL,
    replaces        BLOB,
    made_at_ms      INTEGER NOT NULL,
    created_at_ms   INTEGER NOT NULL,
    used_at_ms      INTEGER NOT NULL,
    retired_at_ms   INTEGER
) STRICT;
CREATE INDEX session_by_peer ON session (peer);

CREATE TABLE repair (
    peer   BLOB NOT NULL,
    at_ms  INTEGER NOT NULL,
    is_own INTEGER NOT NULL
) STRICT;
CREATE INDEX repair_by_peer ON repair (peer, at_ms);

CREATE TABLE seen_place (
    hash    BLOB PRIMARY KEY,
    session BLOB NOT NULL REFERENCES session (id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX seen_place_by_session ON seen_place (session);

CREATE TABLE signed_prekey (
    sid           INTEGER PRIMARY KEY,
    secrets       BLOB NOT NULL,
    created_at_ms INTEGER NOT NULL,
    is_published  INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE one_time_prekey (
    oid          INTEGER PRIMARY KEY,
    secrets      BLOB NOT NULL,
    is_published INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE seen_setup (
    hash BLOB PRIMARY KEY,
    sid  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE seen_envelope (
    hash       BLOB PRIMARY KEY,
    seen_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX seen_envelope_by_time ON seen_envelope (seen_at_ms);

CREATE TABLE waiting (
    number       INTEGER PRIMARY KEY AUTOINCREMENT,
    peer         BLOB NOT NULL,
    conversation TEXT NOT NULL,
    message      BLOB NOT NULL
) STRICT;
CREATE INDEX waiting_by_peer ON waiting (peer);

CREATE TABLE outbox (
    number        INTEGER PRIMARY KEY AUTOINCREMENT,
    envelope      BLOB NOT NULL UNIQUE,
    peer          BLOB NOT NULL,
    payload       BLOB NOT NULL,
    created_at_ms INTEGER NOT NULL,
    expires_at_ms INTEGER NOT NULL,
    next_try_at_ms INTEGER NOT NULL DEFAULT 0,
    conversation  TEXT,
    message       BLOB
) STRICT;
CREATE INDEX outbox_by_message ON outbox (message);

CREATE TABLE owed_receipt (
    peer    BLOB NOT NULL,
    message BLOB NOT NULL,
    kind    INTEGER NOT NULL,
    PRIMARY KEY (peer, kind, message)
) STRICT, WITHOUT ROWID;
"""

_VERSION_2: Final = """
ALTER TABLE contact ADD COLUMN delivery_token BLOB CHECK (length(delivery_token) = 32);
ALTER TABLE contact ADD COLUMN delivery_token_made_at_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE contact ADD COLUMN own_token_state TEXT NOT NULL DEFAULT 'none'
    CHECK (own_token_state IN ('none', 'stale', 'given', 'confirmed'));
ALTER TABLE contact ADD COLUMN own_token_since INTEGER NOT NULL DEFAULT 0;

ALTER TABLE message ADD COLUMN is_sealed INTEGER;

ALTER TABLE outbox ADD COLUMN is_named INTEGER NOT NULL DEFAULT 0;

ALTER TABLE one_time_prekey ADD COLUMN created_at_ms INTEGER NOT NULL DEFAULT 0;

CREATE TABLE void_range (
    conversation TEXT NOT NULL,
    author       BLOB NOT NULL,
    first        INTEGER NOT NULL,
    stop         INTEGER NOT NULL,
    told_since   INTEGER,
    PRIMARY KEY (conversation, author, first)
) STRICT, WITHOUT ROWID;
"""

MIGRATIONS: Final[tuple[str, ...]] = (_VERSION_1, _VERSION_2)
"""Migration i takes a vault from `user_version` i to i + 1."""
