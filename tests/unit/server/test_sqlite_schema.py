"""The schema on SQLite: a database of every version opens with what is in it, and all of it goes on."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tests.contract.relay_stores import NOW_MS, deposit, envelope, names, read, uid
from zap2.server.store.port import PrekeyState, TokenOwner
from zap2.server.store.schema import MIGRATIONS, VERSION, migrate
from zap2.server.store.sqlite import SqliteStore

_SEQ_BITS = 40
_OWN_ROWS = 5
"""The version from which on mailboxes have rows of their own."""


@pytest.mark.parametrize("version", range(1, VERSION + 1))
async def test_a_database_of_any_version_opens_with_what_is_in_it(tmp_path: Path, version: int) -> None:
    path = tmp_path / "relay.sqlite3"
    old = sqlite3.connect(path, isolation_level=None)
    migrate(old, MIGRATIONS[:version])
    old.execute(
        "INSERT INTO account (id, uid, document, document_signature, number_key) VALUES (1, ?, ?, ?, ?)",
        (uid(1), bytes(65), bytes(64), b"n" * 32),
    )
    old.execute(
        "INSERT INTO device (mailbox, account, device, signed_set, highest_sid, highest_oid)"
        " VALUES (1, 1, 1, ?, 3, 5)",
        (b"set",),
    )
    if version < _OWN_ROWS:
        old.execute("UPDATE device SET reserved_seq = 10")
    else:
        old.execute("INSERT INTO mailbox (id, reserved_seq) VALUES (1, 10)")
    old.execute("INSERT INTO pair VALUES (1, 5, ?)", (b"pair",))
    old.execute(
        "INSERT INTO envelope VALUES (?, ?, ?, ?, ?)",
        (1 << _SEQ_BITS | 10, b"\1" * 16, NOW_MS, 2 * NOW_MS, b"p"),
    )
    old.execute("INSERT INTO sent_recently (dedupe_key, forget_at_s) VALUES (?, ?)", (b"\1" * 16, 2 * NOW_MS))
    old.execute("INSERT INTO token VALUES (?, ?, 1, ?)", (b"t", uid(1), NOW_MS))
    old.close()

    store = SqliteStore(path)
    await store.open()
    device = await store.device(uid(1), 1)
    assert device is not None
    assert (device.prekeys, device.delivery_token_hash) == (PrekeyState(1, 3, 5), None)
    assert await store.find_number(b"n" * 32) == uid(1)
    assert await store.find_token(b"t") == TokenOwner(uid(1), 1, NOW_MS)
    await deposit(store, envelope(1))  # a repetition
    await deposit(store, envelope(2))
    await store.set_delivery_token(uid(1), b"h" * 32)
    mail = await read(store, device.mailbox)
    assert names(mail) == [1, 2]
    assert mail[1].seq > mail[0].seq == 10
    await store.close()
