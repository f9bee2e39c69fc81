"""Our own prekeys: a signed set every week, and one-time pairs made anew as they are used.

Lifetimes and numbers: docs/protocol.md, "Prekeys". What others can fetch is counted twice, by the transport's word
and by the pairs that we know to be used, and the smaller count decides.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final

from zap2.crypto import (
    SIGNED_PREKEY_KEPT_S,
    SIGNED_PREKEY_ROTATION_S,
    OneTimePrekeySecrets,
    SignedPrekeySecrets,
)
from zap2.engine import delivery, repair, voids
from zap2.engine.effects import PublishKeys
from zap2.engine.inputs import KeysNotPublished, KeysPublished, LinkOpened, StockReported
from zap2.engine.work import MS_PER_S, Work
from zap2.vault import settings

_MAX_PAIRS_AT_ONCE: Final = 100
_CLOCK_STEP_MS: Final = 3_600_000
_DAY_MS: Final = 86_400_000
_NO_NUMBER_ABOVE: Final = 2**31
"""Numbers have 32 bits; a hundred a day do not come this far in 50,000 years, so that a claim beyond it is a lie."""


def open_link(work: Work, opened: LinkOpened) -> None:
    """Learn what is published of our keys, and bring it up to date."""
    work.memory.stock = opened.stock
    work.memory.published_sid = opened.highest_sid
    work.memory.publish_again_at_ms = 0
    is_younger_elsewhere = _learn_numbers(work, opened)
    must_withdraw = opened.stock > work.store.prekeys.count_one_time()
    if _has_taken_numbers(work, opened):
        # Other bytes may stand under these numbers where others fetch them, and stay there.
        _make_signed_set_at_need(work)
        work.store.prekeys.mark_one_time_published_up_to(opened.highest_oid)
        must_withdraw = True
    if is_younger_elsewhere:
        _rotate(work, after_ms=_DAY_MS)
        must_withdraw = True
        _go_on_from_backup(work)
    if must_withdraw:
        _withdraw_all(work)
    replenish(work)


def report_stock(work: Work, report: StockReported) -> None:
    """Take the transport's count of what others can still fetch."""
    work.memory.stock = report.stock
    replenish(work)


def replenish(work: Work) -> None:
    """Rotate the signed set if it is time, make pairs if few are left, and publish what is not published."""
    _rotate(work)
    policy = work.policy
    if work.memory.stock is not None:
        unpublished = work.store.prekeys.count_unpublished_one_time()
        unused = work.store.prekeys.count_one_time() - unpublished
        available = min(work.memory.stock, unused) + unpublished
        if available < policy.one_time_low:
            make_one_time(work, min(policy.one_time_stock - available, _room(work)))
    _publish(work)


def make_signed_set(work: Work) -> None:
    """Make a new signed set; the next publishing takes it along."""
    sid = work.store.settings.take_numbers(settings.NEXT_SID, 1)[0]
    secrets = SignedPrekeySecrets.generate(work.keys, sid=sid, now_s=work.now_s, rng=work.rng)
    work.store.prekeys.add_signed_set(sid, secrets.encode(), work.now_ms)


def make_one_time(work: Work, count: int) -> None:
    """Make new one-time pairs; the next publishing takes them along."""
    oids = work.store.settings.take_numbers(settings.NEXT_OID, count)
    pairs = (OneTimePrekeySecrets.generate(work.keys, oid=oid, rng=work.rng) for oid in oids)
    encoded = ((pair.public.oid, pair.encode()) for pair in pairs)
    work.store.prekeys.add_one_time(encoded, work.now_ms)
    made_before_ms = work.now_ms - work.policy.one_time_life_ms
    work.store.prekeys.trim_one_time(work.policy.one_time_kept, made_before_ms)


def confirm_published(work: Work, answer: KeysPublished) -> None:
    """Record what others can fetch now, and publish the rest if there is more."""
    work.memory.is_publishing = False
    work.memory.stock = answer.stock
    if answer.withdraw_below >= work.store.settings.get_number(settings.WITHDRAW_BELOW):
        work.store.settings.remove(settings.WITHDRAW_BELOW)
    if answer.sid is not None:
        work.memory.published_sid = answer.sid
        work.store.prekeys.mark_signed_set_published(answer.sid)
    work.store.prekeys.mark_one_time_published(answer.oids)
    replenish(work)


def publish_later(work: Work, answer: KeysNotPublished) -> None:
    """Publishing failed: try again after a while, or when the link opens anew."""
    work.memory.is_publishing = False
    wait_ms = answer.failure.retry_after_ms or work.policy.fetch_again_ms
    work.memory.publish_again_at_ms = work.now_ms + wait_ms


def _learn_numbers(work: Work, opened: LinkOpened) -> bool:
    """Go on above what was published and acknowledged; says whether a younger copy of this vault did that."""
    counters, policy = work.store.settings, work.policy
    is_younger_elsewhere = opened.acknowledged > counters.get_number(settings.HIGHEST_DELIVERY)
    counters.raise_number(settings.HIGHEST_DELIVERY, opened.acknowledged)
    if _went_on_lately(work):
        return is_younger_elsewhere
    if _is_ahead(opened.highest_sid, counters.get_number(settings.NEXT_SID), policy.plausible_sids):
        is_younger_elsewhere = True
        counters.raise_number(settings.NEXT_SID, opened.highest_sid)
        make_signed_set(work)
    if _is_ahead(opened.highest_oid, counters.get_number(settings.NEXT_OID), policy.plausible_oids):
        is_younger_elsewhere = True
        counters.raise_number(settings.NEXT_OID, opened.highest_oid)
    return is_younger_elsewhere


def _has_taken_numbers(work: Work, opened: LinkOpened) -> bool:
    """Say whether numbers of keys that we know to be unpublished are published already.

    Either the answer to a publishing was lost, or this vault is an older copy of one that used these numbers.
    """
    prekeys = work.store.prekeys
    newest = next(iter(prekeys.signed_sets()), None)
    if newest is not None and not newest.is_published and newest.sid <= opened.highest_sid:
        return True
    return any(oid <= opened.highest_oid for oid, _ in prekeys.unpublished_one_time(1))


def _go_on_from_backup(work: Work) -> None:
    """A younger copy of this vault has worked with the transport: trust no session, token or number from before."""
    repair.distrust_all(work)
    if _went_on_lately(work):
        return
    work.store.settings.put(settings.RESTORED_AT_MS, work.now_ms.to_bytes(8, "big"))
    delivery.renew(work)
    voids.skip_ahead(work)


def _went_on_lately(work: Work) -> bool:
    """Say whether a backup was put back a moment ago.

    One that is put back again does not know of the last time: only another end that lies brings one to this twice.
    """
    since_ms = work.now_ms - work.store.settings.get_number(settings.RESTORED_AT_MS)
    return 0 <= since_ms < work.policy.restored_again_ms


def _make_signed_set_at_need(work: Work) -> None:
    """Make a signed set because of what the other end says, which may not be true: not too often."""
    since_ms = work.now_ms - _DAY_MS
    made_today = sum(row.created_at_ms > since_ms for row in work.store.prekeys.signed_sets())
    if made_today < work.policy.signed_sets_a_day:
        make_signed_set(work)


def _withdraw_all(work: Work) -> None:
    """Have nobody be given a pair made before now: another copy of this vault had the secrets of some of them."""
    counters = work.store.settings
    counters.raise_number(settings.WITHDRAW_BELOW, counters.get_number(settings.NEXT_OID) + 1)
    work.memory.stock = 0


def _room(work: Work) -> int:
    """Give how many pairs may be made: the other end's word alone neither fills the vault nor costs it good pairs."""
    prekeys, policy = work.store.prekeys, work.policy
    made_today = prekeys.count_one_time_since(work.now_ms - _DAY_MS)
    return max(policy.one_time_kept - prekeys.count_one_time(), policy.one_time_stock - made_today, 0)


def _is_ahead(published: int, own: int, plausible: int) -> bool:
    """Say whether a younger copy of this vault published more; a jump that no copy makes is the other end's fault."""
    return own < published <= min(own + plausible, _NO_NUMBER_ABOVE)


def _rotate(work: Work, *, after_ms: int = SIGNED_PREKEY_ROTATION_S * MS_PER_S) -> None:
    signed_sets = work.store.prekeys.signed_sets()
    newest_age_ms = work.now_ms - signed_sets[0].created_at_ms if signed_sets else None
    is_due = newest_age_ms is None or newest_age_ms >= after_ms
    # A set from the future was made while the clock was wrong, and others refuse it.
    if is_due or (newest_age_ms or 0) < -_CLOCK_STEP_MS:
        make_signed_set(work)
    for newer, row in pairwise(signed_sets):
        if work.now_ms - newer.created_at_ms >= SIGNED_PREKEY_KEPT_S * MS_PER_S:
            work.store.prekeys.remove_signed_set(row.sid)


def _publish(work: Work) -> None:
    memory = work.memory
    if not memory.is_link_open or memory.is_publishing or memory.publish_again_at_ms > work.now_ms:
        return
    memory.publish_again_at_ms = 0
    newest = work.store.prekeys.signed_sets()[0]
    is_set_missing = not newest.is_published or (memory.published_sid or 0) < newest.sid
    pairs = [
        OneTimePrekeySecrets.decode(secrets).public
        for _, secrets in work.store.prekeys.unpublished_one_time(_MAX_PAIRS_AT_ONCE)
    ]
    withdraw_below = work.store.settings.get_number(settings.WITHDRAW_BELOW)
    if not is_set_missing and not pairs and not withdraw_below:
        return
    memory.is_publishing = True
    signed_set = SignedPrekeySecrets.decode(newest.secrets).public.encode() if is_set_missing else None
    work.emit(
        PublishKeys(
            newest.sid if is_set_missing else None,
            signed_set,
            tuple(pair.oid for pair in pairs),
            tuple(pair.encode() for pair in pairs),
            withdraw_below,
        )
    )
