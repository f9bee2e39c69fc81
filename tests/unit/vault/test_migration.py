"""A vault that an older version wrote opens with everything in it, and the newer version can work with it."""

from __future__ import annotations

import random

from zap2.engine import delivery, inputs
from zap2.engine.account import create_identity, set_profile
from zap2.engine.effects import SetDeliveryToken
from zap2.engine.engine import Engine
from zap2.ids import MessageId, Uid, conversation_with
from zap2.vault.container import memory_database, migrate
from zap2.vault.schema import MIGRATIONS
from zap2.vault.settings import SettingStore
from zap2.vault.sql import Connection
from zap2.vault.store import Store

BEN = Uid(b"b" * 32)
NOW_MS = 1_800_000_000_000


def version_1() -> Connection:
    """Make a vault with the first version's own script and statements, and put something into each table it changed."""
    connection = memory_database()
    migrate(connection, MIGRATIONS[:1])
    connection.execute(
        "INSERT INTO contact (uid, state, trust, added_at_ms, next_sequence, is_profile_acknowledged, own_name)"
        " VALUES (?, 'accepted', 'verified', 7, 3, 1, 'Ben')",
        (BEN,),
    )
    here = conversation_with(BEN)
    connection.execute("INSERT INTO conversation (id, peer, active_at_ms) VALUES (?, ?, 7)", (here, BEN))
    connection.execute(
        "INSERT INTO message (conversation, position, id, author, is_mine, is_unread, sequence, sent_at_ms,"
        " received_at_ms, state, text, pq_epoch) VALUES (?, 1, ?, ?, 1, 0, 2, 7, 7, 'delivered', 'hello', 4)",
        (here, b"m" * 16, b"a" * 32),
    )
    connection.execute("INSERT INTO setting (name, value) VALUES ('next-oid', x'0000000000000005')")
    connection.execute("INSERT INTO one_time_prekey (oid, secrets, is_published) VALUES (5, x'00', 1)")
    return connection


def test_a_vault_of_version_1_keeps_everything_and_knows_no_token_yet() -> None:
    connection = version_1()
    store = Store(connection)
    assert connection.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS)
    contact = store.contacts.get(BEN)
    assert contact is not None
    assert (contact.own_name, contact.trust, contact.next_sequence) == ("Ben", "verified", 3)
    assert (contact.is_profile_acknowledged, contact.gap_asked_for) == (True, -1)
    assert (contact.delivery_token, contact.own_token_state) == (None, delivery.NONE)
    row = store.messages.get(conversation_with(BEN), Uid(b"a" * 32), MessageId(b"m" * 16))
    assert row is not None
    assert (row.text, row.pq_epoch, row.is_sealed) == ("hello", 4, None)
    assert store.prekeys.one_time_secrets(5) == b"\0"


def test_a_vault_of_version_1_gets_a_token_with_its_first_link() -> None:
    store = Store(version_1())
    rng = random.Random(1).randbytes
    with store.transaction():
        create_identity(store, rng)
        set_profile(store, name="Ann", number="+4915112345000")
    engine = Engine(store, rng)
    effects = engine.handle(inputs.LinkOpened(100, 0), NOW_MS)
    assert any(isinstance(effect, SetDeliveryToken) for effect in effects)


def test_steps_of_older_versions_stay_as_they_were_released() -> None:
    """A vault that exists has run them: what is to change afterwards needs a step of its own."""
    connection = memory_database()
    migrate(connection, MIGRATIONS[:1])
    columns = [row[1] for row in connection.execute("PRAGMA table_info(contact)")]
    assert len(columns) == 18
    assert SettingStore(connection).get("delivery-token") is None
