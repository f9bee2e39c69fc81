"""What the relay asks of a store. One contract suite (tests/contract/test_relay_store*.py) runs against each.

A call returns, or calls back in the event loop's thread, after its effect is as durable as the store is. Calls
take effect in the order in which they were made, and callbacks come in that order; the delivery of mail relies on
it, and is why mail has callbacks (a future's waiter would run a turn of the loop later).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Protocol

import msgspec

from zap2.ids import EnvelopeId, Uid


@dataclass(frozen=True, slots=True)
class PrekeyState:
    """What is kept of one device's prekeys."""

    stock: int
    highest_sid: int
    """0 without a published set."""
    highest_oid: int
    """-1 without a published pair."""


@dataclass(frozen=True, slots=True)
class Device:
    """What is kept of one device.

    `mailbox` names its mailbox for as long as the store exists. `acknowledged` is the highest seq that was ever
    discarded from it because its device asked for that, 0 for none; expiry does not count.
    """

    mailbox: int
    document: bytes
    document_signature: bytes
    prekeys: PrekeyState
    acknowledged: int
    delivery_token_hash: bytes | None = field(default=None, repr=False)
    """Its account's; None without one."""


@dataclass(frozen=True, slots=True)
class NewAccount:
    """An account to be made, with its first device."""

    uid: Uid
    document: bytes
    document_signature: bytes
    device: int


@dataclass(frozen=True, slots=True)
class Admission:
    """On what terms an account is made.

    Args:
        invite_hash: the invite that this uses up; None where none is needed.
        replaces: the account that loses the number to this one, should it be the one that has it.
        pin: the hash of a PIN that goes over with the number, if that account does lose it.
    """

    invite_hash: bytes | None = None
    replaces: Uid | None = None
    pin: str | None = field(default=None, repr=False)


ANYBODY: Final = Admission()
"""No invite is used up, and no account loses its number."""


def lost_number_key(uid: Uid) -> bytes:
    """Give what stands in place of an account's number once another account has that; no number's key has 40 bytes."""
    return b"released" + uid


class Registration(Enum):
    """How a registration ended that took no number from anybody. Only `DONE` has changed anything."""

    DONE = "done"
    TICKET_INVALID = "ticket-invalid"
    NUMBER_TAKEN = "number-taken"
    INVITE_INVALID = "invite-invalid"
    ACCOUNT_BLOCKED = "account-blocked"
    """The account that has the number is blocked, or the one that asks for it."""


@dataclass(frozen=True, slots=True)
class TookOver:
    """The registration is done, and by it another account lost the number."""

    former: Uid


class PublishRefusal(Enum):
    """Why nothing was published."""

    SID_WENT_DOWN = "sid-went-down"
    STOCK_FULL = "stock-full"


@dataclass(frozen=True, slots=True)
class StoredBundle:
    """What a requester gets to set up a session, and what the owner's relay needs to know."""

    document: bytes
    document_signature: bytes
    signed_set: bytes | None
    pair: bytes | None
    mailbox: int
    stock: int


class _OfMail(msgspec.Struct, frozen=True, gc=False):
    """Made for every message, so it is a struct: quicker to make than a dataclass. Its repr shows numbers only."""

    def __repr__(self) -> str:
        shown = ((name, getattr(self, name)) for name in self.__struct_fields__)
        numbers = ", ".join(f"{name}={value}" for name, value in shown if isinstance(value, int))
        return f"{type(self).__name__}({numbers})"


class Deposit(_OfMail, frozen=True):
    """An envelope on its way into a mailbox.

    `dedupe_key` is a keyed hash of sender, receiver and envelope id: all that is kept of the sender.
    `delivery_token_hash` is there when the sender is nobody known: it has to be the receiver's.
    """

    uid: Uid
    device: int
    envelope_id: EnvelopeId
    received_at_ms: int
    expires_at_ms: int
    payload: bytes
    dedupe_key: bytes
    delivery_token_hash: bytes | None = None


class Envelope(_OfMail, frozen=True):
    """An envelope in a mailbox. Seqs of a mailbox rise; they may have gaps and are never used twice."""

    seq: int
    envelope_id: EnvelopeId
    received_at_ms: int
    payload: bytes


class Deposited(_OfMail, frozen=True):
    """The envelope is safe.

    Args:
        mailbox: where.
        waiting: how many envelopes it then held.
        envelope: what to deliver now; None when this was a repetition, or when it was offered before.
        is_direct: its receiver discarded it before it was written, so it never was.
    """

    mailbox: int
    waiting: int
    envelope: Envelope | None
    is_direct: bool = False


class DepositRefusal(Enum):
    """Why an envelope was not stored."""

    NO_MAILBOX = "no-mailbox"
    FULL = "full"
    WRONG_TOKEN = "wrong-token"  # noqa: S105 - the name of a refusal, not a token
    """Of a sealed envelope: there is no such account, it has no delivery token or another one, or it is blocked."""


Offer = Callable[[int, Envelope], None]
"""Takes a mailbox and an envelope that is on its way into it."""
DepositDone = Callable[[Deposited | DepositRefusal | Exception], None]
ReadDone = Callable[[list[Envelope] | Exception], None]


@dataclass(frozen=True, slots=True)
class CodePolicy:
    """Bounds of verification codes."""

    ttl_s: int = 600
    tries: int = 5
    resend_after_s: int = 30
    """The first wait; each later one is twice as long, up to an hour."""


@dataclass(frozen=True, slots=True)
class CodeStarted:
    """A code is stored; the next one may be asked for after `resend_after_s`."""

    resend_after_s: int


@dataclass(frozen=True, slots=True)
class TooSoon:
    """Another code may be asked for only after `retry_after_s`."""

    retry_after_s: float


class CodeCheck(Enum):
    """What became of a try. A right code is used up by it."""

    RIGHT = "right"
    WRONG = "wrong"
    EXPIRED = "expired"
    TOO_MANY_TRIES = "too-many-tries"


@dataclass(frozen=True, slots=True)
class TokenOwner:
    """Whom a token logs in."""

    uid: Uid
    device: int
    expires_at_ms: int


class RelayStore(Protocol):
    """Accounts, numbers, prekeys and mail."""

    async def open(self) -> None:
        """Get ready: create or migrate what is there."""

    async def close(self) -> None:
        """Finish what was asked for, then close."""

    async def start_code(
        self, number_key: bytes, code_hash: bytes, policy: CodePolicy, now_ms: int
    ) -> CodeStarted | TooSoon:
        """Keep a new code for a number, in place of an older one."""

    async def check_code(self, number_key: bytes, code_hash: bytes, now_ms: int) -> CodeCheck:
        """Use up one try."""

    async def put_ticket(self, ticket_hash: bytes, number_key: bytes, expires_at_ms: int) -> None:
        """Keep a ticket that allows one registration of a number."""

    async def register(
        self, ticket_hash: bytes, account: NewAccount, now_ms: int, admission: Admission = ANYBODY
    ) -> Registration | TookOver:
        """Make an account with a ticket's number; again with the same ticket and document does nothing.

        It was active today. What is wrong with the invite is told before anything about the number is. An account that
        loses its number to it loses its PIN too, and keeps all else; that it has no number can be told from then on,
        until it registers one. With the number go what the host decided and its owner wished: a quota, and that it is
        not listed.
        """

    async def find_number(self, number_key: bytes) -> Uid | None:
        """Give the account that has a number, unless it is unlisted or blocked."""

    async def device(self, uid: Uid, device: int) -> Device | None:
        """Give what is kept of a device."""

    async def publish(
        self,
        mailbox: int,
        signed_set: tuple[int, bytes] | None,
        pairs: Sequence[tuple[int, bytes]],
        max_stock: int,
        withdraw_below: int = 0,
    ) -> PrekeyState | PublishRefusal:
        """Keep a signed set (sid, bytes) and one-time pairs (oid, bytes); all or nothing.

        Pairs that were kept before and have an oid below `withdraw_below` are forgotten first. Pairs whose oid is not
        above the highest one ever kept are skipped.
        """

    async def fetch(self, uid: Uid, device: int, with_pair: bool) -> StoredBundle | None:
        """Give a device's prekeys; a pair is given once and then forgotten."""

    async def set_delivery_token(self, uid: Uid, token_hash: bytes | None) -> None:
        """Keep the hash of an account's delivery token, or none; the one before lets nobody in from now on."""

    def deposit(self, deposit: Deposit, done: DepositDone, offer: Offer | None = None) -> None:
        """Put an envelope into a mailbox and call `done` in the event loop's thread when that is durable.

        The same `dedupe_key` again within the retention stores nothing and succeeds. A delivery token is compared
        first, with what the account has at that moment.

        Give `offer` when the receiver is here. The store may then offer the envelope, in its place in the mailbox,
        before it is durable, and wait a moment for its `discard`. If that comes, the envelope need not be written:
        it is durable at the receiver, and only that it was sent is kept. A store that does not do this ignores
        `offer`.
        """

    def read_mail(self, mailbox: int, after_seq: int, limit: int, now_ms: int, done: ReadDone) -> None:
        """Give `done` the oldest unexpired envelopes with a seq above `after_seq`.

        A deposit whose own `done` came earlier is among them; one whose `done` comes later is not.
        """

    def discard(self, mailbox: int, seqs: Sequence[int]) -> None:
        """Forget envelopes that were acknowledged. Durable with the next commit; a repetition does nothing."""

    async def sweep(self, now_ms: int) -> None:
        """Forget a bounded share of what has expired; called about once a second."""


class TokenStore(Protocol):
    """Connection tokens, by their hashes."""

    async def put_token(self, token_hash: bytes, owner: TokenOwner) -> None:
        """Keep a token until it expires; of one device only the newest few are kept."""

    async def find_token(self, token_hash: bytes) -> TokenOwner | None:
        """Give a token's owner, also shortly after it expired (compare `expires_at_ms`)."""

    async def drop_token(self, token_hash: bytes) -> None:
        """Make one token void."""

    async def drop_tokens(self, uid: Uid) -> None:
        """Make all tokens of an account void."""
