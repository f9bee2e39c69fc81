"""What every store of the relay must do with invites, PINs, idle accounts, and what a host decides."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.contract.relay_stores import (
    DAY_MS,
    NOW_MS,
    STORES,
    Store,
    account,
    deposit,
    envelope,
    read,
    register,
    sweep_round,
    uid,
)
from zap2.ids import Uid
from zap2.server.store.members_port import PIN_LOCK_S, PIN_TRIES, Member, PinHash, Totals
from zap2.server.store.port import Admission, Deposited, DepositRefusal, Registration, TookOver, TooSoon

_TODAY = NOW_MS // DAY_MS


@pytest.fixture(params=STORES)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    store = STORES[request.param](tmp_path)
    await store.open()
    yield store
    await store.close()


# ---------------------------------------------------------------------------------------------------- invites


async def test_an_invite_serves_for_one_account(store: Store) -> None:
    await store.put_invite(b"invite", NOW_MS + 1000)
    assert await store.has_invite(b"invite", NOW_MS)
    assert await store.has_invite(b"invite", NOW_MS)  # asking uses nothing up
    for ticket in (b"one", b"two"):
        await store.put_ticket(ticket, b"number of " + ticket, NOW_MS + 1000)
    terms = Admission(invite_hash=b"invite")
    assert await store.register(b"one", account(1), NOW_MS, terms) is Registration.DONE
    assert not await store.has_invite(b"invite", NOW_MS)
    assert await store.register(b"two", account(2), NOW_MS, terms) is Registration.INVITE_INVALID
    assert await store.member(uid(2)) is None
    # The answer may have been lost.
    assert await store.register(b"one", account(1), NOW_MS, terms) is Registration.DONE


async def test_an_invite_expires_and_is_swept(store: Store) -> None:
    await store.put_invite(b"invite", NOW_MS + 1000)
    assert not await store.has_invite(b"invite", NOW_MS + 1000)
    assert not await store.has_invite(b"other", NOW_MS)
    await store.put_ticket(b"t", b"number", NOW_MS + 5000)
    late = await store.register(b"t", account(1), NOW_MS + 1000, Admission(invite_hash=b"invite"))
    assert late is Registration.INVITE_INVALID
    await sweep_round(store, NOW_MS + 1000)
    assert not await store.has_invite(b"invite", NOW_MS)


async def test_a_registration_that_is_refused_uses_no_invite_up(store: Store) -> None:
    await register(store, 1)
    await store.put_invite(b"invite", NOW_MS + 1000)
    await store.put_ticket(b"t", bytes([1]) * 32, NOW_MS + 1000)
    taken = await store.register(b"t", account(2), NOW_MS, Admission(invite_hash=b"invite"))
    assert taken is Registration.NUMBER_TAKEN
    assert await store.has_invite(b"invite", NOW_MS)


# ------------------------------------------------------------------------------------------ whose a number is


async def test_a_number_goes_over_only_from_the_account_that_was_named(store: Store) -> None:
    number = bytes([1]) * 32
    mailbox = await register(store, 1)
    await store.set_pin(uid(1), "hash")
    await store.put_ticket(b"t", number, NOW_MS + 1000)
    other = Admission(replaces=uid(3))
    assert await store.register(b"t", account(2), NOW_MS, other) is Registration.NUMBER_TAKEN
    owner = await store.ticket_owner(b"t", NOW_MS)
    assert owner is not None
    assert owner.uid == uid(1)
    assert await store.ticket_owner(b"t", NOW_MS + 1000) is None
    right = Admission(replaces=uid(1))
    assert await store.register(b"t", account(2), NOW_MS, right) == TookOver(uid(1))
    assert await store.find_number(number) == uid(2)
    assert await store.ticket_owner(b"t", NOW_MS) is None
    # The other one has its mailbox still, and may prove another number.
    former = await store.device(uid(1), 1)
    assert former is not None
    assert former.mailbox == mailbox
    assert await store.take_pin_try(uid(1), NOW_MS) is None
    await store.put_ticket(b"u", b"another number", NOW_MS + 1000)
    assert await store.register(b"u", account(1), NOW_MS) is Registration.DONE
    assert await store.find_number(b"another number") == uid(1)


async def test_an_account_that_lost_its_number_is_known_to_have_none(store: Store) -> None:
    await register(store, 1)
    await store.put_ticket(b"t", bytes([1]) * 32, NOW_MS + 1000)
    taken = Admission(replaces=uid(1), pin="its hash")
    assert await store.register(b"t", account(2), NOW_MS, taken) == TookOver(uid(1))
    assert await store.member(uid(1)) == Member(uid(1), _TODAY, True, False, False, has_number=False)
    assert await store.member(uid(2)) == Member(uid(2), _TODAY, True, False, True, has_number=True)
    assert await store.take_pin_try(uid(2), NOW_MS) == PinHash("its hash")
    first, second = await store.member_uses(Uid(b""), 2)
    assert (first.member.has_number, second.member.has_number) == (False, True)
    # What concerns a number does nothing for it, until it has one again.
    assert not await store.set_pin(uid(1), "hash")
    assert not await store.set_listed(uid(1), False)
    assert not await store.set_pin(uid(9), "hash")
    assert not await store.set_listed(uid(9), False)
    assert await store.member(uid(1)) == Member(uid(1), _TODAY, True, False, False, has_number=False)
    await store.put_ticket(b"u", b"another number", NOW_MS + 1000)
    assert await store.register(b"u", account(1), NOW_MS) is Registration.DONE
    assert await store.member(uid(1)) == Member(uid(1), _TODAY, True, False, False, has_number=True)
    assert await store.set_pin(uid(1), "hash")
    assert await store.set_listed(uid(1), False)


async def test_whom_a_registration_replaced_is_what_it_says(store: Store) -> None:
    """An account that has moved on by then lost nothing, and the PIN that was given for its number goes nowhere."""
    await register(store, 1)
    for ticket, number in ((b"t", bytes([1]) * 32), (b"u", b"another number")):
        await store.put_ticket(ticket, number, NOW_MS + 1000)
    assert await store.register(b"u", account(1), NOW_MS) is Registration.DONE
    terms = Admission(replaces=uid(1), pin="hash")
    assert await store.register(b"t", account(2), NOW_MS, terms) is Registration.DONE
    assert await store.member(uid(1)) == Member(uid(1), _TODAY, True, False, False)
    assert await store.member(uid(2)) == Member(uid(2), _TODAY, True, False, has_pin=False)


async def test_an_invite_is_looked_at_first_and_used_up_by_a_take_over(store: Store) -> None:
    await register(store, 1)
    await store.put_ticket(b"t", bytes([1]) * 32, NOW_MS + 1000)
    terms = Admission(b"invite", uid(1), "hash")
    for early in (terms, Admission(b"invite")):
        assert await store.register(b"t", account(2), NOW_MS, early) is Registration.INVITE_INVALID
    await store.put_invite(b"invite", NOW_MS + 1000)
    assert await store.register(b"t", account(2), NOW_MS, terms) == TookOver(uid(1))
    assert not await store.has_invite(b"invite", NOW_MS)
    # Repeated, it took nothing from anybody, and needs none.
    assert await store.register(b"t", account(2), NOW_MS, terms) is Registration.DONE


async def test_what_was_decided_about_a_number_goes_over_with_it(store: Store) -> None:
    """A quota and that the number is not listed; nobody who hid it is shown by taking over one that was not hidden."""
    numbers = [bytes([number]) * 32 for number in range(3)]
    await register(store, 1)
    await register(store, 2)
    await store.set_listed(uid(1), False)
    await store.set_quota(uid(1), 1, None)
    for ticket, number in ((b"t", 1), (b"u", 2)):
        await store.put_ticket(ticket, numbers[number], NOW_MS + 1000)
    await store.register(b"t", account(3), NOW_MS, Admission(replaces=uid(1)))
    assert await store.find_number(numbers[1]) is None
    assert await store.member(uid(3)) == Member(uid(3), _TODAY, False, False, False)
    assert isinstance(await deposit(store, envelope(1, to=3)), Deposited)
    assert await deposit(store, envelope(2, to=3)) is DepositRefusal.FULL
    await store.register(b"u", account(3), NOW_MS, Admission(replaces=uid(2)))
    assert await store.find_number(numbers[2]) is None
    assert await deposit(store, envelope(2, to=3)) is DepositRefusal.FULL


async def test_a_block_holds_for_the_number_and_for_the_identity(store: Store) -> None:
    """Neither is the number of a blocked account taken over, nor does that account leave it for another one."""
    await register(store, 1)
    await store.set_blocked(uid(1), True)
    await store.put_invite(b"invite", NOW_MS + 1000)
    for ticket, number in ((b"t", bytes([1]) * 32), (b"u", b"another number")):
        await store.put_ticket(ticket, number, NOW_MS + 1000)
    terms = Admission(b"invite", uid(1), "hash")
    for ticket, asking in ((b"t", 2), (b"t", 1), (b"u", 1)):
        assert await store.register(ticket, account(asking), NOW_MS, terms) is Registration.ACCOUNT_BLOCKED
    assert await store.member(uid(2)) is None
    assert await store.has_invite(b"invite", NOW_MS)
    await store.set_blocked(uid(1), False)
    assert await store.register(b"t", account(2), NOW_MS, terms) == TookOver(uid(1))


async def test_a_registration_that_is_refused_or_repeated_changes_no_pin(store: Store) -> None:
    await register(store, 1)
    await store.set_pin(uid(1), "of one")
    await store.put_ticket(b"t", bytes([1]) * 32, NOW_MS + 1000)
    wrong = Admission(replaces=uid(3), pin="hash")
    assert await store.register(b"t", account(2), NOW_MS, wrong) is Registration.NUMBER_TAKEN
    assert await store.take_pin_try(uid(1), NOW_MS) == PinHash("of one")
    right = Admission(replaces=uid(1), pin="hash")
    assert await store.register(b"t", account(2), NOW_MS, right) == TookOver(uid(1))
    await store.set_pin(uid(2), "set since")
    assert await store.register(b"t", account(2), NOW_MS, right) is Registration.DONE
    assert await store.take_pin_try(uid(2), NOW_MS) == PinHash("set since")
    # Somebody who changes the number keeps the PIN.
    await store.put_ticket(b"u", b"another number", NOW_MS + 1000)
    assert await store.register(b"u", account(2), NOW_MS) is Registration.DONE
    assert await store.take_pin_try(uid(2), NOW_MS) == PinHash("set since")


async def test_the_last_active_day_never_goes_back(store: Store) -> None:
    await register(store, 1)
    assert await store.member(uid(1)) == Member(uid(1), _TODAY, True, False, False)
    await store.mark_active(uid(1), _TODAY + 3)
    await store.mark_active(uid(1), _TODAY + 1)
    await store.mark_active(uid(9), _TODAY)  # nobody
    member = await store.number_owner(bytes([1]) * 32)
    assert member is not None
    assert member.active_day == _TODAY + 3
    assert await store.number_owner(b"other") is None


async def test_who_is_unlisted_or_blocked_is_not_found(store: Store) -> None:
    number = bytes([1]) * 32
    await register(store, 1)
    await store.set_listed(uid(1), False)
    assert await store.find_number(number) is None
    assert await store.number_owner(number) == Member(uid(1), _TODAY, False, False, False)
    await store.set_listed(uid(1), True)
    assert await store.find_number(number) == uid(1)
    assert await store.set_blocked(uid(1), True)
    assert await store.find_number(number) is None
    assert await store.member(uid(1)) == Member(uid(1), _TODAY, True, True, False)
    assert await store.set_blocked(uid(1), False)
    assert await store.find_number(number) == uid(1)
    assert not await store.set_blocked(uid(9), True)


# ------------------------------------------------------------------------------------------------------- PINs


async def test_tries_of_a_pin_are_counted_before_they_are_compared(store: Store) -> None:
    await register(store, 1)
    assert await store.take_pin_try(uid(1), NOW_MS) is None
    await store.set_pin(uid(1), "hash")
    for _ in range(PIN_TRIES):
        assert await store.take_pin_try(uid(1), NOW_MS) == PinHash("hash")
    assert await store.take_pin_try(uid(1), NOW_MS + 1000) == TooSoon(PIN_LOCK_S - 1)
    for _ in range(PIN_TRIES):
        assert await store.take_pin_try(uid(1), NOW_MS + PIN_LOCK_S * 1000) == PinHash("hash")
    assert isinstance(await store.take_pin_try(uid(1), NOW_MS + PIN_LOCK_S * 1000), TooSoon)
    await store.set_pin(uid(1), "other")
    assert await store.take_pin_try(uid(1), NOW_MS) == PinHash("other")
    await store.set_pin(uid(1), None)
    assert await store.take_pin_try(uid(1), NOW_MS) is None


# --------------------------------------------------------------------------------------------- for the host


async def test_an_account_may_have_a_quota_of_its_own(store: Store) -> None:
    mailbox = await register(store, 1)
    await register(store, 2)
    assert isinstance(await deposit(store, envelope(1)), Deposited)
    assert await store.set_quota(uid(1), 2, 1024)
    assert isinstance(await deposit(store, envelope(2)), Deposited)
    assert await deposit(store, envelope(3)) is DepositRefusal.FULL
    assert [kept.envelope_id[0] for kept in await read(store, mailbox)] == [1, 2]
    for name in range(11, 16):
        assert isinstance(
            await deposit(store, envelope(name, to=2)), Deposited
        )  # the others have the relay's
    assert await store.set_quota(uid(1), None, None)
    assert isinstance(await deposit(store, envelope(3)), Deposited)
    assert not await store.set_quota(uid(9), 1, 1)


async def test_the_host_sees_how_much_is_kept_and_of_whom(store: Store) -> None:
    for number in (1, 2, 3):
        await register(store, number)
    await store.set_blocked(uid(2), True)
    await store.put_invite(b"invite", NOW_MS + 1000)
    await store.put_invite(b"expired", NOW_MS)
    await deposit(store, envelope(1, to=1))
    await deposit(store, envelope(2, to=1, size_b=1024))
    await deposit(store, envelope(3, to=3))
    assert await store.totals(NOW_MS) == Totals(3, 1, 3, 2048, 1)
    uses = await store.member_uses(Uid(b""), 2)
    assert [(use.member.uid, use.envelopes, use.size_b) for use in uses] == [
        (uid(1), 2, 1536),
        (uid(2), 0, 0),
    ]
    assert uses[1].member.is_blocked
    (last,) = await store.member_uses(uid(2), 2)
    assert (last.member.uid, last.envelopes, last.size_b) == (uid(3), 1, 512)
