"""What every store of the relay must do with accounts, codes, prekeys and tokens."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.contract.relay_stores import (
    DAY_MS,
    NOW_MS,
    STORES,
    Store,
    account,
    register,
    uid,
)
from zap2.server.store.port import (
    CodeCheck,
    CodePolicy,
    CodeStarted,
    PrekeyState,
    PublishRefusal,
    Registration,
    TokenOwner,
    TooSoon,
)

_POLICY = CodePolicy()


@pytest.fixture(params=STORES)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    store = STORES[request.param](tmp_path)
    await store.open()
    yield store
    await store.close()


# ------------------------------------------------------------------------------------------------------ codes


async def test_the_right_code_is_right_once(store: Store) -> None:
    assert await store.start_code(b"n", b"hash", _POLICY, NOW_MS) == CodeStarted(30)
    assert await store.check_code(b"n", b"hash", NOW_MS + 1) is CodeCheck.RIGHT
    assert await store.check_code(b"n", b"hash", NOW_MS + 2) is CodeCheck.EXPIRED


async def test_five_wrong_codes_are_wrong_and_the_sixth_is_refused_even_if_right(store: Store) -> None:
    await store.start_code(b"n", b"hash", _POLICY, NOW_MS)
    for _ in range(5):
        assert await store.check_code(b"n", b"wrong", NOW_MS) is CodeCheck.WRONG
    assert await store.check_code(b"n", b"hash", NOW_MS) is CodeCheck.TOO_MANY_TRIES


async def test_a_code_expires_after_ten_minutes(store: Store) -> None:
    await store.start_code(b"n", b"hash", _POLICY, NOW_MS)
    assert await store.check_code(b"n", b"wrong", NOW_MS + 599_999) is CodeCheck.WRONG
    assert await store.check_code(b"n", b"hash", NOW_MS + 600_000) is CodeCheck.EXPIRED
    assert await store.check_code(b"other", b"hash", NOW_MS) is CodeCheck.EXPIRED


async def test_resending_costs_a_growing_wait(store: Store) -> None:
    now = NOW_MS
    for wait_s in (30, 60, 120, 240):
        assert await store.start_code(b"n", b"hash", _POLICY, now) == CodeStarted(wait_s)
        assert await store.start_code(b"n", b"x", _POLICY, now + wait_s * 1000 - 500) == TooSoon(0.5)
        now += wait_s * 1000
    assert await store.start_code(b"other", b"hash", _POLICY, now) == CodeStarted(30)


async def test_a_new_code_makes_the_old_one_void_and_gives_new_tries(store: Store) -> None:
    await store.start_code(b"n", b"old", _POLICY, NOW_MS)
    for _ in range(6):
        await store.check_code(b"n", b"wrong", NOW_MS)
    await store.start_code(b"n", b"new", _POLICY, NOW_MS + 30_000)
    assert await store.check_code(b"n", b"old", NOW_MS + 30_001) is CodeCheck.WRONG
    assert await store.check_code(b"n", b"new", NOW_MS + 30_001) is CodeCheck.RIGHT


async def test_waits_are_forgotten_after_a_day(store: Store) -> None:
    for _ in range(3):
        await store.start_code(b"n", b"hash", _POLICY, NOW_MS)
    assert await store.start_code(b"n", b"hash", _POLICY, NOW_MS + DAY_MS + 1) == CodeStarted(30)


# --------------------------------------------------------------------------------------------------- accounts


async def test_a_ticket_makes_an_account_that_its_number_finds(store: Store) -> None:
    number_key = bytes([1]) * 32
    assert await store.find_number(number_key) is None
    await register(store, 1)
    assert await store.find_number(number_key) == uid(1)
    assert await store.find_number(b"other") is None
    device = await store.device(uid(1), 1)
    assert device is not None
    assert device.document == bytes([1]) * 65
    assert device.prekeys == PrekeyState(0, 0, -1)
    assert await store.device(uid(1), 2) is None
    assert await store.device(uid(9), 1) is None


async def test_a_ticket_serves_one_identity_however_often(store: Store) -> None:
    """The answer to Register may be lost, so the same one is asked again."""
    await store.put_ticket(b"t", b"number", NOW_MS + 1000)
    assert await store.register(b"t", account(1), NOW_MS) is Registration.DONE
    assert await store.register(b"t", account(1), NOW_MS) is Registration.DONE
    assert await store.register(b"t", account(2), NOW_MS) is Registration.TICKET_INVALID
    assert await store.find_number(b"number") == uid(1)


async def test_an_unknown_or_expired_ticket_makes_nothing(store: Store) -> None:
    await store.put_ticket(b"t", b"number", NOW_MS + 1000)
    assert await store.register(b"t", account(1), NOW_MS + 1000) is Registration.TICKET_INVALID
    assert await store.register(b"x", account(1), NOW_MS) is Registration.TICKET_INVALID
    assert await store.device(uid(1), 1) is None


async def test_a_number_that_is_taken_stays_its_owners(store: Store) -> None:
    await store.put_ticket(b"one", b"number", NOW_MS + 1000)
    await store.put_ticket(b"two", b"number", NOW_MS + 1000)
    assert await store.register(b"one", account(1), NOW_MS) is Registration.DONE
    assert await store.register(b"two", account(2), NOW_MS) is Registration.NUMBER_TAKEN
    assert await store.find_number(b"number") == uid(1)
    assert await store.device(uid(2), 1) is None


async def test_an_identity_may_move_to_another_number(store: Store) -> None:
    mailbox = await register(store, 1)
    await store.put_ticket(b"t", b"new number", NOW_MS + 1000)
    assert await store.register(b"t", account(1), NOW_MS) is Registration.DONE
    assert await store.find_number(b"new number") == uid(1)
    assert await store.number_owner(bytes([1]) * 32) is None
    device = await store.device(uid(1), 1)
    assert device is not None
    assert device.mailbox == mailbox


# ---------------------------------------------------------------------------------------------------- prekeys


async def test_a_pair_is_handed_out_once_and_in_order(store: Store) -> None:
    mailbox = await register(store, 1)
    state = await store.publish(mailbox, (1, b"set"), [(5, b"five"), (4, b"four")], 10)
    assert state == PrekeyState(2, 1, 5)
    first = await store.fetch(uid(1), 1, True)
    without = await store.fetch(uid(1), 1, False)
    second = await store.fetch(uid(1), 1, True)
    third = await store.fetch(uid(1), 1, True)
    assert first is not None
    assert without is not None
    assert second is not None
    assert third is not None
    assert [b.pair for b in (first, without, second, third)] == [b"four", None, b"five", None]
    assert [b.stock for b in (first, without, second, third)] == [1, 1, 0, 0]
    assert (first.document, first.signed_set, first.mailbox) == (bytes([1]) * 65, b"set", mailbox)


async def test_an_oid_is_never_used_twice(store: Store) -> None:
    mailbox = await register(store, 1)
    await store.publish(mailbox, (1, b"set"), [(1, b"a"), (2, b"b")], 10)
    await store.fetch(uid(1), 1, True)
    again = await store.publish(mailbox, None, [(1, b"x"), (2, b"y"), (3, b"c")], 10)
    assert again == PrekeyState(2, 1, 3)
    pairs = [bundle.pair for _ in range(3) if (bundle := await store.fetch(uid(1), 1, True))]
    assert pairs == [b"b", b"c", None]


async def test_a_signed_set_never_goes_back(store: Store) -> None:
    mailbox = await register(store, 1)
    assert await store.publish(mailbox, (7, b"seven"), [], 10) == PrekeyState(0, 7, -1)
    assert await store.publish(mailbox, (7, b"seven"), [], 10) == PrekeyState(0, 7, -1)
    assert await store.publish(mailbox, (7, b"other"), [], 10) is PublishRefusal.SID_WENT_DOWN
    assert await store.publish(mailbox, (6, b"six"), [(1, b"a")], 10) is PublishRefusal.SID_WENT_DOWN
    assert await store.publish(mailbox, (8, b"eight"), [], 10) == PrekeyState(0, 8, -1)
    bundle = await store.fetch(uid(1), 1, True)
    assert bundle is not None
    assert bundle.signed_set == b"eight"


async def test_stock_is_bounded(store: Store) -> None:
    mailbox = await register(store, 1)
    await store.publish(mailbox, (1, b"set"), [(oid, b"p") for oid in range(8)], 10)
    more = [(oid, b"p") for oid in range(8, 11)]
    assert await store.publish(mailbox, (2, b"new"), more, 10) is PublishRefusal.STOCK_FULL
    device = await store.device(uid(1), 1)
    assert device is not None
    assert device.prekeys == PrekeyState(8, 1, 7)


async def test_withdrawn_pairs_are_gone_before_new_ones_need_room(store: Store) -> None:
    """The secrets of pairs below it are lost, so nobody is to set a session up with them."""
    mailbox = await register(store, 1)
    other = await register(store, 2)
    await store.publish(mailbox, (1, b"set"), [(oid, b"old") for oid in range(8)], 10)
    await store.publish(other, (1, b"set"), [(0, b"theirs")], 10)
    fresh = [(oid, b"new") for oid in range(8, 12)]
    assert await store.publish(mailbox, None, fresh, 10, withdraw_below=7) == PrekeyState(5, 1, 11)
    pairs = [bundle.pair for _ in range(6) if (bundle := await store.fetch(uid(1), 1, True))]
    assert pairs == [b"old", b"new", b"new", b"new", b"new", None]
    bundle = await store.fetch(uid(2), 1, True)
    assert bundle is not None
    assert bundle.pair == b"theirs"


async def test_pairs_are_withdrawn_with_nothing_beside_it_and_their_oids_stay_used(store: Store) -> None:
    mailbox = await register(store, 1)
    await store.publish(mailbox, (1, b"set"), [(3, b"a"), (4, b"b")], 10)
    assert await store.publish(mailbox, None, [], 10, withdraw_below=2**32 - 1) == PrekeyState(0, 1, 4)
    assert await store.publish(mailbox, None, [(4, b"x"), (5, b"c")], 10) == PrekeyState(1, 1, 5)


async def test_a_refused_publish_withdraws_nothing(store: Store) -> None:
    mailbox = await register(store, 1)
    await store.publish(mailbox, (7, b"set"), [(1, b"a")], 10)
    refused = await store.publish(mailbox, (6, b"six"), [], 10, withdraw_below=2)
    assert refused is PublishRefusal.SID_WENT_DOWN
    too_many = [(oid, b"p") for oid in range(2, 20)]
    assert await store.publish(mailbox, None, too_many, 10, withdraw_below=2) is PublishRefusal.STOCK_FULL
    bundle = await store.fetch(uid(1), 1, True)
    assert bundle is not None
    assert bundle.pair == b"a"


async def test_an_unknown_account_has_no_bundle(store: Store) -> None:
    assert await store.fetch(uid(1), 1, True) is None
    await register(store, 1)
    bundle = await store.fetch(uid(1), 1, True)
    assert bundle is not None
    assert bundle.signed_set is None


# ----------------------------------------------------------------------------------------------------- tokens


async def test_tokens_are_found_dropped_and_swept(store: Store) -> None:
    owner = TokenOwner(uid(1), 1, NOW_MS + 1000)
    await store.put_token(b"a", owner)
    assert await store.find_token(b"a") == owner
    assert await store.find_token(b"b") is None
    await store.drop_token(b"a")
    assert await store.find_token(b"a") is None
    await store.put_token(b"c", owner)
    await store.put_token(b"d", replace(owner, device=2))
    await store.put_token(b"e", replace(owner, uid=uid(2)))
    await store.drop_tokens(uid(1))
    assert [await store.find_token(t) is not None for t in (b"c", b"d", b"e")] == [False, False, True]


async def test_only_the_newest_tokens_of_a_device_are_kept(store: Store) -> None:
    for number in range(20):
        await store.put_token(b"%d" % number, TokenOwner(uid(1), 1, NOW_MS + number))
    kept = [number for number in range(20) if await store.find_token(b"%d" % number)]
    assert kept == list(range(12, 20))


async def test_an_expired_token_is_still_told_apart_for_a_while(store: Store) -> None:
    await store.put_token(b"a", TokenOwner(uid(1), 1, NOW_MS))
    await store.sweep(NOW_MS + 1000)
    assert await store.find_token(b"a") is not None
    for _ in range(61):
        await store.sweep(NOW_MS + 2 * 3600 * 1000)
    assert await store.find_token(b"a") is None
