"""A relay's promises without sockets: what `docs/protocol-relay.md` says a relay does, as a synchronous model.

Mailboxes and directories are durable; connections are not. Sends are idempotent by envelope id, deliveries are
numbered and stay until they are acknowledged, a one-time pair is handed out once. `Malice` makes it lie.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from zap2.engine.effects import FetchKeys, LookUpNumber, PublishKeys, SendEnvelope, SetDeliveryToken
from zap2.engine.inputs import (
    DeliveryTokenNotSet,
    DeliveryTokenSet,
    Failure,
    Input,
    KeysFetched,
    KeysNotFetched,
    KeysNotPublished,
    KeysPublished,
    LinkOpened,
    NumberLookedUp,
    NumberNotLookedUp,
    SendAnswered,
)
from zap2.ids import EnvelopeId, Uid
from zap2.wire.statements import delivery_token_hash

Request = SendEnvelope | FetchKeys | PublishKeys | LookUpNumber | SetDeliveryToken


@dataclass
class Mail:
    """One envelope in a mailbox."""

    token: int
    payload: bytes


@dataclass(frozen=True)
class Way:
    """How one envelope came, as the relay sees it: a sealed one from nobody (None)."""

    sender: Uid | None
    to: Uid
    is_let_in: bool


@dataclass
class Account:
    """What a relay keeps of one account."""

    document: bytes
    document_signature: bytes
    number: str
    signed_set: bytes = b""
    sid: int = 0
    pairs: list[tuple[int, bytes]] = field(default_factory=list)
    highest_oid: int = -1
    mailbox: list[Mail] = field(default_factory=list)
    seen: set[tuple[Uid | None, EnvelopeId]] = field(default_factory=set)
    acknowledged: int = 0
    token_hash: bytes | None = None


@dataclass
class Malice:
    """How often, per request, the relay lies: probabilities. `which_lie` fixes the kind of false keys (0 to 3)."""

    false_keys: float = 0.0
    which_lie: int | None = None
    garbage: float = 0.0
    replay: float = 0.0
    tamper: float = 0.0
    refuse: float = 0.0


class SimRelay:
    """One relay; `answer` is called when a request reaches it."""

    def __init__(self, rng: random.Random, malice: Malice) -> None:
        self._rng = rng
        self.malice = malice
        self.accounts: dict[Uid, Account] = {}
        self._next_token = 1
        self._past: list[bytes] = []
        self.ways: list[Way] = []

    def register(self, uid: Uid, document: bytes, signature: bytes, number: str) -> None:
        """Open an account."""
        self.accounts[uid] = Account(document, signature, number)

    def answer(self, sender: Uid, request: Request) -> Input:
        """Fulfil one request and give the answer."""
        if self._chance(self.malice.refuse):
            return _not_done(request, self._impatience())
        match request:
            case SendEnvelope():
                return self._send(sender, request)
            case FetchKeys():
                return self._fetch(sender, request)
            case PublishKeys():
                return self._publish(sender, request)
            case SetDeliveryToken():
                self.accounts[sender].token_hash = request.token_hash
                return DeliveryTokenSet(request.token_hash)
            case LookUpNumber():
                found = next((uid for uid, a in self.accounts.items() if a.number == request.number), None)
                return NumberLookedUp(request.number, found)
            case _:
                raise AssertionError(f"no request: {request}")

    def opened(self, uid: Uid) -> Input:
        """What somebody learns when their link opens. Tokens are delivery numbers here."""
        account = self.accounts[uid]
        return LinkOpened(
            len(account.pairs), account.sid, account.highest_oid, account.acknowledged, account.token_hash
        )

    def acknowledge(self, uid: Uid, token: int) -> None:
        """Forget a delivery."""
        account = self.accounts[uid]
        mailbox = account.mailbox
        if any(mail.token == token for mail in mailbox):
            account.acknowledged = max(account.acknowledged, token)
        mailbox[:] = [mail for mail in mailbox if mail.token != token]

    def lie_about_mail(self, payload: bytes) -> bytes:
        """Perhaps put other bytes in the place of a delivery that stays in the mailbox."""
        if self._chance(self.malice.tamper):
            spot = self._rng.randrange(len(payload))
            return (
                payload[:spot] + bytes([payload[spot] ^ (1 << self._rng.randrange(8))]) + payload[spot + 1 :]
            )
        return payload

    def extra_mail(self) -> bytes | None:
        """Perhaps invent a delivery: garbage, or one from the past (of anybody)."""
        if self._chance(self.malice.garbage):
            size_b = self._rng.choice([512, 1024, 4096])
            return bytes([self._rng.choice([1, 2, 7])]) + self._rng.randbytes(size_b - 1)
        if self._past and self._chance(self.malice.replay):
            return self._rng.choice(self._past)
        return None

    def _send(self, sender: Uid, request: SendEnvelope) -> Input:
        account = self.accounts[request.to]
        # Who sends sealed is nobody to the relay, for recognising repetitions too.
        seen_from = sender if request.delivery_token is None else None
        if request.delivery_token is not None:
            is_let_in = delivery_token_hash(request.delivery_token) == account.token_hash
            self.ways.append(Way(None, request.to, is_let_in))
            if not is_let_in:
                return SendAnswered(
                    request.envelope, Failure("delivery-refused", is_final=False), request.delivery_token
                )
        else:
            self.ways.append(Way(sender, request.to, is_let_in=True))
        if (seen_from, request.envelope) not in account.seen:
            account.seen.add((seen_from, request.envelope))
            account.mailbox.append(Mail(self._next_token, request.payload))
            self._past.append(request.payload)
            self._next_token += 1
        return SendAnswered(request.envelope, None, request.delivery_token)

    def _fetch(self, sender: Uid, request: FetchKeys) -> Input:
        account = self.accounts.get(request.uid)
        if account is None:
            return KeysNotFetched(request.uid, Failure("not-found", is_final=True))
        if not account.signed_set:
            return KeysNotFetched(request.uid, Failure("no-prekeys", is_final=False, retry_after_ms=1000))
        pair = account.pairs.pop(0)[1] if account.pairs else None
        signed_set = account.signed_set
        document, signature = account.document, account.document_signature
        if self._chance(self.malice.false_keys):
            other = self._rng.choice([uid for uid in self.accounts if uid != request.uid])
            which = self.malice.which_lie
            match self._rng.randrange(4) if which is None else which:
                case 0:
                    document, signature = (
                        self.accounts[other].document,
                        self.accounts[other].document_signature,
                    )
                case 1:
                    signed_set = self.accounts[other].signed_set or b"nothing"
                case 2:
                    signed_set = self.lie_for_certain(signed_set)
                case _:
                    pair = self.lie_for_certain(pair) if pair else self._rng.randbytes(1668)
        return KeysFetched(request.uid, document, signature, signed_set, pair)

    def lie_for_certain(self, value: bytes) -> bytes:
        """Flip one bit."""
        spot = self._rng.randrange(len(value))
        return value[:spot] + bytes([value[spot] ^ (1 << self._rng.randrange(8))]) + value[spot + 1 :]

    def _publish(self, sender: Uid, request: PublishKeys) -> Input:
        account = self.accounts[sender]
        if request.signed_set is not None and request.sid is not None:
            is_other_set = request.sid == account.sid and request.signed_set != account.signed_set
            if request.sid < account.sid or is_other_set:
                return KeysNotPublished(Failure("bad-request", is_final=True))
            account.signed_set, account.sid = request.signed_set, request.sid
        account.pairs = [(oid, pair) for oid, pair in account.pairs if oid >= request.withdraw_below]
        for oid, pair in zip(request.oids, request.one_time, strict=True):
            if oid > account.highest_oid:
                account.pairs.append((oid, pair))
                account.highest_oid = oid
        return KeysPublished(request.sid, request.oids, len(account.pairs), request.withdraw_below)

    def _impatience(self) -> Failure:
        return Failure("rate-limited", is_final=False, retry_after_ms=self._rng.randrange(1, 3000))

    def _chance(self, probability: float) -> bool:
        return self._rng.random() < probability


def unanswered(request: Request, code: str = "unreachable") -> Input:
    """What an engine hears of a request that was lost, or whose answer was."""
    return _not_done(request, Failure(code, is_final=False))


def _not_done(request: Request, failure: Failure) -> Input:
    match request:
        case SendEnvelope():
            return SendAnswered(request.envelope, failure, request.delivery_token)
        case FetchKeys():
            return KeysNotFetched(request.uid, failure)
        case PublishKeys():
            return KeysNotPublished(failure)
        case SetDeliveryToken():
            return DeliveryTokenNotSet(failure)
        case LookUpNumber():
            return NumberNotLookedUp(request.number)
