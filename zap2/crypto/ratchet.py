"""The Double Ratchet with header encryption, as a pure core (Double Ratchet rev. 3, sections 3, 4 and 8.5).

It knows chains, counters and keys; it knows nothing of AEADs, padding, storage or time beyond an argument. A step
takes a state and gives a new one; whoever calls keeps the new one only after the message's body authenticated.

How a turn goes. The peer's first message under a new ratchet key makes a receiving chain and *owes* a sending
half-step: our new ratchet key is made at our next send, not at once. So keys live shorter, and a session that only
reads does half the work. Until then the peer cannot know a newer key of ours, so a second new ratchet key of the
peer in that time is a violation.

Bounds. A message may pass over at most 1000 others of its chain, and as many at the end of the chain before. At
most 2000 skipped keys and 5 old chains are kept, for 30 days; what is oldest goes first. The bounds are checked
before the first key is derived.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from msgspec import structs

from zap2.crypto.header import Header
from zap2.crypto.primitives import KEY_B, X25519KeyPair, hkdf_sha256, hmac_sha256_pair
from zap2.crypto.ratchet_state import (
    CHAIN_SHIFT,
    OldChain,
    RatchetState,
    ReceivingChain,
    SecretStruct,
    SendingChain,
    SkippedKey,
)
from zap2.errors import AuthenticationFailed, CryptoError, DuplicateMessage, TooManySkipped
from zap2.ids import RandomBytes

MAX_SKIP: Final = 1000
MAX_SKIPPED_KEYS: Final = 2000
MAX_OLD_CHAINS: Final = 5
SKIPPED_KEPT_S: Final = 30 * 86_400


@dataclass(frozen=True, slots=True)
class RatchetLabels:
    """What sets one protocol's ratchet apart from another's.

    Args:
        root_info: HKDF info of the root chain.
        message_key_input: HMAC input that gives a message key from a chain key.
        chain_key_input: HMAC input that gives the next chain key.
    """

    root_info: bytes = b"Zap2 v1 root"
    message_key_input: bytes = b"\x01"
    chain_key_input: bytes = b"\x02"


class SendingStep(SecretStruct, frozen=True):
    """What one message is sent with: the state after it, its header, its key, and its header's key."""

    state: RatchetState
    header: Header
    message_key: bytes
    header_key: bytes


class DoubleRatchet:
    """The algorithm, for one set of labels; all state is in `RatchetState`."""

    __slots__ = ("_labels",)

    def __init__(self, labels: RatchetLabels) -> None:
        self._labels = labels

    def start_initiator(
        self, *, root_key: bytes, header_key: bytes, peer_next_header_key: bytes, peer: bytes
    ) -> RatchetState:
        """Begin as the side that sends first.

        Args:
            root_key: agreed, 32 bytes.
            header_key: agreed, of our first chain, 32 bytes.
            peer_next_header_key: agreed, of the peer's first chain, 32 bytes.
            peer: the peer's first ratchet key, which is their signed prekey.
        """
        return RatchetState(root_key, None, peer, None, 0, header_key, None, peer_next_header_key, (), {})

    def start_responder(
        self, *, root_key: bytes, peer_header_key: bytes, next_header_key: bytes, own: X25519KeyPair
    ) -> RatchetState:
        """Begin as the side that receives first.

        Args:
            root_key: agreed, 32 bytes.
            peer_header_key: agreed, of the peer's first chain, 32 bytes.
            next_header_key: agreed, of our first chain, 32 bytes.
            own: our first ratchet key, which is our signed prekey.
        """
        return RatchetState(root_key, own, None, None, 0, next_header_key, None, peer_header_key, (), {})

    def send(
        self, state: RatchetState, *, rng: RandomBytes, extra_root_input: bytes = b"", pq_epoch: int = 0
    ) -> SendingStep:
        """Take the next position of our chain.

        Args:
            state: the state before.
            rng: for a new ratchet key, where a sending half-step is owed.
            extra_root_input: appended to the agreement in that half-step; ignored where none is owed.
            pq_epoch: the epoch that `extra_root_input` stands for; 0 for none.

        Raises:
            CryptoError: we are the responder and nothing has come yet.
            InvalidKey: the peer's ratchet key must not be used.
        """
        sending, own = state.sending, state.own
        if sending is None or own is None:
            if state.peer is None:
                raise CryptoError("A session that was set up by the other side must receive first.")
            own = X25519KeyPair.generate(rng)
            root_key, chain_key, next_header_key = self._step_root(
                state.root_key, own.agree(state.peer) + extra_root_input
            )
            sending = SendingChain(chain_key, 0, state.next_sending_header_key, pq_epoch)
            state = structs.replace(
                state, root_key=root_key, own=own, next_sending_header_key=next_header_key
            )
        header = Header(own.public, state.previous_count, sending.count, sending.pq_epoch)
        message_key, chain_key = self._step_chain(sending.key)
        after = SendingChain(chain_key, sending.count + 1, sending.header_key, sending.pq_epoch)
        return SendingStep(structs.replace(state, sending=after), header, message_key, sending.header_key)

    def receive(
        self, state: RatchetState, header: Header, *, now_s: int, extra_root_input: bytes = b""
    ) -> tuple[RatchetState, bytes]:
        """Find the key of a message by its header, and the state to keep if its body authenticates.

        Args:
            state: the state before.
            header: as the peer sent it.
            now_s: Unix time, for the age of skipped keys.
            extra_root_input: what the peer appended to the agreement, if the header begins a new chain.

        Raises:
            DuplicateMessage: this position was consumed before, or its key was dropped by the bounds.
            TooManySkipped: the message lies further ahead than the bounds allow.
            AuthenticationFailed: the peer cannot honestly have begun a new chain here.
            InvalidKey: the header's ratchet key must not be used.
        """
        receiving = state.receiving
        if receiving is not None and header.ratchet_key == receiving.public:
            if header.number < receiving.count:
                return _take_skipped(state, receiving.number, header.number)
            _check_gap(receiving.count, header.number)
            return self._advance(expire(state, now_s), receiving, header.number, now_s)
        for chain in state.old:
            if header.ratchet_key == chain.public:
                return _take_skipped(state, chain.number, header.number)
        own = state.own
        if own is None or (state.peer is not None and state.sending is None):
            raise AuthenticationFailed("A new ratchet key came before the last one was answered.")
        if receiving is not None:
            _check_gap(receiving.count, header.previous_count)
        _check_gap(0, header.number)
        turned, begun = self._turn(expire(state, now_s), own, header, now_s, extra_root_input)
        return self._advance(turned, begun, header.number, now_s)

    def _turn(
        self, state: RatchetState, own: X25519KeyPair, header: Header, now_s: int, extra_root_input: bytes
    ) -> tuple[RatchetState, ReceivingChain]:
        """Close the peer's chain, make the next one, and owe the sending half-step."""
        root_key, chain_key, next_header_key = self._step_root(
            state.root_key, own.agree(header.ratchet_key) + extra_root_input
        )
        old, skipped, number = state.old, state.skipped, 1
        closing = state.receiving
        if closing is not None:
            number = closing.number + 1
            _, missing = self._walk(closing, header.previous_count, now_s)
            skipped = skipped | missing if missing else skipped
            old = (
                *old,
                OldChain(closing.number, closing.public, closing.header_key, closing.pq_epoch, now_s),
            )
        receiving = ReceivingChain(
            number, header.ratchet_key, chain_key, 0, state.next_receiving_header_key, header.pq_epoch
        )
        turned = RatchetState(
            root_key,
            own,
            header.ratchet_key,
            None,
            state.sending.count if state.sending is not None else 0,
            state.next_sending_header_key,
            receiving,
            next_header_key,
            old,
            skipped,
        )
        return _within_bounds(turned), receiving

    def _advance(
        self, state: RatchetState, receiving: ReceivingChain, count: int, now_s: int
    ) -> tuple[RatchetState, bytes]:
        """Walk the peer's chain to a position that lies ahead, and take its key."""
        key, skipped = receiving.key, state.skipped
        if count > receiving.count:
            key, missing = self._walk(receiving, count, now_s)
            skipped = skipped | missing
        message_key, key = self._step_chain(key)
        after = ReceivingChain(
            receiving.number, receiving.public, key, count + 1, receiving.header_key, receiving.pq_epoch
        )
        advanced = structs.replace(state, receiving=after, skipped=skipped)
        return (advanced if skipped is state.skipped else _within_bounds(advanced)), message_key

    def _walk(self, receiving: ReceivingChain, count: int, now_s: int) -> tuple[bytes, dict[int, SkippedKey]]:
        """Derive the keys of all positions before `count`; the gap was checked."""
        key, base = receiving.key, receiving.number << CHAIN_SHIFT
        missing: dict[int, SkippedKey] = {}
        for position in range(receiving.count, count):
            message_key, key = self._step_chain(key)
            missing[base | position] = SkippedKey(message_key, now_s)
        return key, missing

    def _step_chain(self, chain_key: bytes) -> tuple[bytes, bytes]:
        """Derive a position's message key and the next chain key."""
        return hmac_sha256_pair(chain_key, self._labels.message_key_input, self._labels.chain_key_input)

    def _step_root(self, root_key: bytes, ikm: bytes) -> tuple[bytes, bytes, bytes]:
        keys = hkdf_sha256(salt=root_key, ikm=ikm, info=self._labels.root_info, length_b=3 * KEY_B)
        return keys[:KEY_B], keys[KEY_B : 2 * KEY_B], keys[2 * KEY_B :]


def expire(state: RatchetState, now_s: int) -> RatchetState:
    """Drop skipped keys and old chains that are older than 30 days."""
    old, skipped, limit_s = state.old, state.skipped, now_s - SKIPPED_KEPT_S
    has_old = old and old[0].closed_at_s <= limit_s
    if not has_old and not (skipped and next(iter(skipped.values())).skipped_at_s <= limit_s):
        return state
    old = tuple(chain for chain in old if chain.closed_at_s > limit_s)
    skipped = {index: key for index, key in skipped.items() if key.skipped_at_s > limit_s}
    return _within_bounds(structs.replace(state, old=old, skipped=skipped))


def _check_gap(expected: int, count: int) -> None:
    if count - expected > MAX_SKIP:
        raise TooManySkipped(f"A message lies {count - expected} positions ahead; {MAX_SKIP} are allowed.")


def _take_skipped(state: RatchetState, chain: int, count: int) -> tuple[RatchetState, bytes]:
    index = chain << CHAIN_SHIFT | count
    found = state.skipped.get(index)
    if found is None:
        raise DuplicateMessage
    skipped = dict(state.skipped)
    del skipped[index]
    return structs.replace(state, skipped=skipped), found.message_key


def _within_bounds(state: RatchetState) -> RatchetState:
    """Drop the oldest chains and keys beyond the bounds, and keys whose chain's header key is gone."""
    old, skipped = state.old[-MAX_OLD_CHAINS:], state.skipped
    first = old[0].number if old else state.receiving.number if state.receiving is not None else 0
    if next(iter(skipped), first << CHAIN_SHIFT) < first << CHAIN_SHIFT:
        skipped = {index: key for index, key in skipped.items() if index >= first << CHAIN_SHIFT}
    surplus = len(skipped) - MAX_SKIPPED_KEYS
    if surplus > 0:
        skipped = dict(list(skipped.items())[surplus:])
    if old is state.old and skipped is state.skipped:
        return state
    return structs.replace(state, old=old, skipped=skipped)
