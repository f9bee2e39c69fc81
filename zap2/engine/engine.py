"""The engine: what a messenger decides, as one object without network, clock or randomness of its own.

Theory of operation. `handle` takes one input and the time, works in one vault transaction, and returns effects
that the caller carries out after it: requests to a transport, acknowledgements, news for the person. Inputs come
from the person (commands) and from the transport (what happened). The vault is the only durable state; `Memory`
holds what is under way and may be lost at any moment, so a crash between any two steps costs a repetition and
never a message: an envelope is in the outbox before it leaves, and a delivery is acknowledged after its commit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from zap2.engine import (
    account,
    delivery,
    incoming,
    inputs,
    outgoing,
    people,
    prekeeping,
    receipts,
    repair,
    sealing,
)
from zap2.engine.effects import Effect
from zap2.engine.inputs import Input
from zap2.engine.memory import Memory
from zap2.engine.policy import Policy
from zap2.engine.session_book import SessionBook
from zap2.engine.signed_sets import SignedSets
from zap2.engine.work import Work
from zap2.ids import RandomBytes
from zap2.vault.store import Store


def _open_link(work: Work, opened: inputs.LinkOpened) -> None:
    work.memory.is_link_open = True
    work.memory.fetch_again_at_ms.clear()
    work.store.outbox.hurry()
    account.hear_at_opening(work, opened)
    prekeeping.open_link(work, opened)
    delivery.open_link(work, opened)
    _pass_token_on(work)
    sealing.flush(work)
    outgoing.request_keys(work)
    people.check_claims(work)


def _close_link(work: Work, _: inputs.LinkClosed) -> None:
    work.memory.close_link()


def _confirm_token(work: Work, answer: inputs.DeliveryTokenSet) -> None:
    delivery.confirm_published(work, answer)
    _pass_token_on(work)
    sealing.flush(work)


def _pass_token_on(work: Work) -> None:
    for peer in delivery.to_pass_on(work):
        if work.sessions.for_sending(peer) is not None:
            sealing.seal(work, peer, [])


def _pass_time(work: Work, _: inputs.TimePassed) -> None:
    # A clock that was ahead and was put right must not put upkeep off.
    work.memory.upkeep_due_at_ms = min(
        work.memory.upkeep_due_at_ms, work.now_ms + work.policy.upkeep_every_ms
    )
    longest_ms = work.now_ms + work.policy.longest_put_off_ms
    work.memory.put_off_at_most(longest_ms)
    work.store.outbox.put_off_at_most(longest_ms)
    receipts.send_due(work)
    repair.ask_for_gaps(work)
    sealing.flush(work)
    memory = work.memory
    if any(at_ms <= work.now_ms for at_ms in memory.fetch_again_at_ms.values()):
        outgoing.request_keys(work)
        memory.fetch_again_at_ms = {
            peer: at_ms for peer, at_ms in memory.fetch_again_at_ms.items() if at_ms > work.now_ms
        }
    delivery.publish(work)
    if memory.upkeep_due_at_ms <= work.now_ms or 0 < memory.publish_again_at_ms <= work.now_ms:
        memory.upkeep_due_at_ms = work.now_ms + work.policy.upkeep_every_ms
        memory.refused_tokens.clear()
        prekeeping.replenish(work)
        repair.settle(work)
        repair.renew_unanswered(work)
        work.sessions.forget_retired_before(work.now_ms - work.policy.retired_session_life_ms)
        work.store.sessions.forget_envelopes_before(work.now_ms - work.policy.seen_envelope_life_ms)


_HANDLERS: Final[dict[type, Callable[[Work, Any], None]]] = {
    inputs.SendText: outgoing.send_text,
    inputs.Retry: outgoing.retry,
    inputs.MarkTheseRead: people.mark_these_read,
    inputs.SaveDraft: people.save_draft,
    inputs.AddContact: people.add,
    inputs.Accept: people.accept,
    inputs.Block: people.block,
    inputs.Rename: people.rename,
    inputs.SetVerified: people.set_verified,
    inputs.Repair: repair.ask,
    inputs.LinkOpened: _open_link,
    inputs.LinkClosed: _close_link,
    inputs.EnvelopesArrived: incoming.receive,
    inputs.SendAnswered: outgoing.answer_send,
    inputs.KeysFetched: outgoing.use_keys,
    inputs.KeysNotFetched: outgoing.do_without_keys,
    inputs.KeysPublished: prekeeping.confirm_published,
    inputs.KeysNotPublished: prekeeping.publish_later,
    inputs.DeliveryTokenSet: _confirm_token,
    inputs.DeliveryTokenNotSet: delivery.publish_later,
    inputs.StockReported: prekeeping.report_stock,
    inputs.NumberLookedUp: people.settle_claim,
    inputs.NumberNotLookedUp: people.leave_claim_open,
    inputs.NumberLost: account.lose_number,
    inputs.TimePassed: _pass_time,
}


class Engine:
    """Decides for one account over one open vault; call `handle` from one thread at a time.

    Hand in `TimePassed` when the process starts and whenever `next_deadline_ms` has come.

    Args:
        store: the open vault, with an account in it.
        rng: randomness for keys, ids and nonces.
        policy: the numbers to decide by.

    Raises:
        VaultDamaged: the vault holds no account.
    """

    def __init__(self, store: Store, rng: RandomBytes, policy: Policy | None = None) -> None:
        self.store = store
        self.keys = account.load_keys(store)
        self._rng = rng
        self._policy = policy or Policy()
        self._memory = Memory()
        self.sessions = SessionBook(store.sessions)
        self.signed_sets = SignedSets()
        self._next_try_at_ms: int | None = None

    def handle(self, given: Input, now_ms: int) -> list[Effect]:
        """Take one input; carry out the effects that come back, in order.

        Args:
            given: what happened, or what the person wants.
            now_ms: milliseconds since the epoch.

        Raises:
            Zap2Error: a command that cannot be followed; nothing was changed then.
        """
        return self.handle_all([given], now_ms)

    def handle_all(self, given: Sequence[Input], now_ms: int) -> list[Effect]:
        """Take several inputs in one transaction, for the price of one commit; all of them or none takes effect.

        Args and Raises as for `handle`.
        """
        work = Work(
            self.store,
            self.keys,
            self.sessions,
            self.signed_sets,
            self._memory.copy(),
            self._policy,
            self._rng,
            now_ms,
        )
        try:
            with self.store.transaction():
                for one in given:
                    _HANDLERS[type(one)](work, one)
                self.sessions.write()
                work.write_places()
                next_try_at_ms = self.store.outbox.next_try_at_ms(now_ms)
        except BaseException:
            self.sessions.rollback()
            raise
        self.sessions.commit()
        self._memory = work.memory
        self._next_try_at_ms = next_try_at_ms
        return work.effects

    def next_deadline_ms(self) -> int:
        """Give the time at which to hand in `TimePassed` next."""
        deadline_ms = self._memory.next_deadline_ms()
        if self._memory.is_link_open and self._next_try_at_ms is not None:
            deadline_ms = min(deadline_ms, self._next_try_at_ms)
        return deadline_ms
