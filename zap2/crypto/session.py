"""A session with one person: set-up, ratchet, header encryption, body and padding as one immutable value.

`encrypt` and `decrypt` give a new session beside their result. Whoever calls stores the new one in the transaction
that stores the result, and only then uses either; when something is raised, the old one stays as it was.

The key objects of the current chains travel from one session value to the next, so a hot session derives none twice.
"""

from __future__ import annotations

from functools import cached_property
from typing import Final, NamedTuple

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from zap2.crypto import pq_ratchet, pqxdh
from zap2.crypto.body import open_body, seal_body
from zap2.crypto.header import (
    MESSAGE_TYPE,
    NONCE_B,
    SEALED_HEADER_B,
    Header,
    seal_header,
    split_header,
)
from zap2.crypto.identity import Identity
from zap2.crypto.padding import (
    FRAME_OVERHEAD_B,
    PAYLOAD_SIZES_B,
    SEALED_PAYLOAD_SIZES_B,
    build_frame,
    choose_size_b,
    parse_frame,
)
from zap2.crypto.ratchet import DoubleRatchet, RatchetLabels, expire
from zap2.crypto.ratchet_state import OldChain, RatchetState, ReceivingChain
from zap2.crypto.receiving_keys import ReceivingKeys
from zap2.crypto.sealed import MESSAGE_OVERHEAD_B, MESSAGE_SIZES_B, SEALED_OVERHEAD_B, seal_setup
from zap2.crypto.session_state import SessionOrigin, SessionState, decode_state, encode_state
from zap2.errors import AuthenticationFailed, DuplicateMessage, Malformed
from zap2.ids import RandomBytes

RATCHET: Final = DoubleRatchet(RatchetLabels())


class PqEpochs(NamedTuple):
    """How many post-quantum epochs the current chain of each direction stands on; the next own one at least these."""

    sending: int
    receiving: int


class _Lasting:
    """What follows from a session's origin alone, computed when it is first asked for."""

    def __init__(self, origin: SessionOrigin) -> None:
        self._origin: Final = origin

    @cached_property
    def session_id(self) -> bytes:
        return pqxdh.session_id(self._origin.transcript_hash)

    @cached_property
    def peer(self) -> Identity:
        return Identity(self._origin.peer_document, self._origin.peer_document_signature)


class Session:
    """One session. Get one from `initiate`, `accept` or `decode`."""

    __slots__ = ("_lasting", "_receiving_keys", "_sending_key", "_state")

    def __init__(
        self,
        state: SessionState,
        lasting: _Lasting | None = None,
        receiving_keys: ReceivingKeys | None = None,
        sending_key: tuple[bytes, AESGCM] | None = None,
    ) -> None:
        """Wrap a state; the rest follows from it, and is given where an earlier value of the session has it."""
        self._state: Final = state
        self._lasting: Final = lasting or _Lasting(state.origin)
        self._receiving_keys = receiving_keys
        self._sending_key: Final = sending_key

    @property
    def session_id(self) -> bytes:
        """The session's name, 32 bytes, the same on both sides; it may be known to anybody."""
        return self._lasting.session_id

    @property
    def peer(self) -> Identity:
        """Whom the session is with."""
        return self._lasting.peer

    @property
    def setup_hash(self) -> bytes:
        """Names the set-up that made the session, 32 bytes; equal to `Setup.setup_hash` of its repetitions."""
        return self._state.origin.setup_hash

    @property
    def is_initiator(self) -> bool:
        """Whether this side wrote first."""
        return self._state.origin.is_initiator

    @property
    def is_confirmed(self) -> bool:
        """Whether anything of the peer's was decrypted; until then an initiator repeats the set-up."""
        return self._state.is_confirmed

    @property
    def has_one_time_prekey(self) -> bool:
        """Whether a one-time pair took part; without one, the first messages are as safe as the weekly keys."""
        return self._state.origin.has_one_time_prekey

    @property
    def pq_epoch(self) -> PqEpochs:
        """The epochs of the chains on which messages go out and come in now.

        From 1 on, a thief of an earlier state with a quantum computer cannot read the chain. 0 says that the chain
        has the set-up's protection alone, which is post-quantum too.
        """
        ratchet = self._state.ratchet
        receiving = ratchet.receiving.pq_epoch if ratchet.receiving is not None else 0
        return PqEpochs(ratchet.sending.pq_epoch if ratchet.sending is not None else receiving, receiving)

    def encode(self) -> bytes:
        """Write the session for the vault; the bytes hold its keys."""
        return encode_state(self._state)

    @classmethod
    def decode(cls, encoded: bytes) -> Session:
        """Read what `encode` wrote.

        Raises:
            Malformed: other bytes.
        """
        return cls(decode_state(encoded))

    def encrypt(self, content: bytes, *, rng: RandomBytes, now_s: int) -> tuple[Session, bytes]:
        """Encrypt a content for the peer.

        Store the new session together with the payload, then send the payload; send the same bytes when trying again.

        Args:
            content: at most `MAX_CONTENT_B` bytes fit any state.
            rng: for the nonce, and for a new ratchet key where one is due.
            now_s: Unix time.

        Returns:
            The session after this message, and the payload, which has one of `PAYLOAD_SIZES_B` bytes.

        Raises:
            InvalidPadding: the content is too long.
            CryptoError: the peer set this session up and nothing of theirs was decrypted yet.
        """
        state = self._state
        pending, transcript_hash, pq = state.pending, state.origin.transcript_hash, state.pq
        frame_b = _frame_size_b(len(content), is_sealed=pending is not None)
        room_b = frame_b - FRAME_OVERHEAD_B - len(content)
        extra, pq_epoch, record = b"", 0, b""
        if pq is not None:
            if pending is None and pq_ratchet.wants_lift(pq, room_b):
                lifted_b = _lifted(frame_b)
                frame_b, room_b = lifted_b, room_b + lifted_b - frame_b
            if state.ratchet.sending is None:
                pq, extra = pq_ratchet.begin_chain(pq)
            pq_epoch = pq.epoch - 1
        step = RATCHET.send(expire(state.ratchet, now_s), rng=rng, extra_root_input=extra, pq_epoch=pq_epoch)
        sending_key = self._sending_key
        if sending_key is None or sending_key[0] != step.header_key:
            sending_key = step.header_key, AESGCM(step.header_key)
        if pq is not None:
            pq, record = pq_ratchet.write(pq, room_b, rng=rng)
        nonce = rng(NONCE_B)
        sealed_header = seal_header(sending_key[1], nonce, step.header, transcript_hash)
        frame = build_frame(content, record, frame_b)
        body = seal_body(step.message_key, nonce, frame, transcript_hash + sealed_header)
        payload = sealed_header + body
        if pending is not None:
            payload = seal_setup(
                pending.fields,
                payload,
                sid=pending.sid,
                seal=pending.seal,
                set_digest=pending.set_digest,
                uid=self.peer.uid,
            )
        after = SessionState(state.version, state.origin, state.is_confirmed, pending, step.state, pq)
        receiving_keys = self._receiving_keys and self._receiving_keys.after(step.state)
        return Session(after, self._lasting, receiving_keys, sending_key), payload

    def pq_epoch_of(self, payload: bytes) -> int:
        """Give the post-quantum epoch of the chain that a payload came on, which may be earlier than the current one.

        Args:
            payload: what this session decrypts, or the one before it just decrypted.

        Raises:
            AuthenticationFailed: it is not this session's.
        """
        opened = self.receiving_keys.open(payload[:SEALED_HEADER_B])
        if opened is None:
            raise AuthenticationFailed
        return opened[1].pq_epoch

    def decrypt(self, payload: bytes, *, now_s: int) -> tuple[Session, bytes]:
        """Decrypt a ratchet message of the peer's: a payload, or `Setup.message`.

        Store the new session together with the content, then acknowledge.

        Args:
            payload: as it came; any bytes.
            now_s: Unix time.

        Returns:
            The session after this message, and the content.

        Raises:
            Malformed: no ratchet message has this form.
            AuthenticationFailed: it is not this session's, or was changed.
            DuplicateMessage: this position of the chain was consumed before, or the chain was begun by a copy of the
                peer's state; with another payload than before it means that two copies exist.
            TooManySkipped: it lies beyond the bounds; the gap should be shown.
            InvalidKey: the peer's new ratchet key, or its post-quantum key, must not be used.
            InvalidPadding: the peer's frame is wrong, or the post-quantum record in it.
        """
        if not is_ratchet_message(payload):
            raise Malformed("This is not a ratchet message.")
        state, receiving_keys = self._state, self.receiving_keys
        sealed_header, body = payload[:SEALED_HEADER_B], payload[SEALED_HEADER_B:]
        opened = receiving_keys.open(sealed_header)
        if opened is None:
            raise AuthenticationFailed
        header_key, header = opened
        pq, extra = state.pq, b""
        if _begins_chain(state.ratchet, header_key, header):
            if pq is not None:
                pq, extra = pq_ratchet.follow_chain(pq, header.pq_epoch)
            elif header.pq_epoch:
                raise AuthenticationFailed("A header names a post-quantum epoch, and this session has none.")
        ratchet, message_key = RATCHET.receive(state.ratchet, header, now_s=now_s, extra_root_input=extra)
        nonce, _ = split_header(sealed_header)
        frame = open_body(message_key, nonce, body, state.origin.transcript_hash + sealed_header)
        content, record = parse_frame(frame)
        if record and pq is not None:
            pq = pq_ratchet.read(pq, record, chain_epoch=header.pq_epoch)
        after = SessionState(state.version, state.origin, True, None, ratchet, pq)
        return Session(after, self._lasting, receiving_keys.after(ratchet), self._sending_key), content

    @property
    def receiving_keys(self) -> ReceivingKeys:
        """The keys that open headers of the peer's, as the cipher's objects."""
        if self._receiving_keys is None:
            self._receiving_keys = ReceivingKeys(self._state.ratchet, self._state.origin.transcript_hash)
        return self._receiving_keys

    def __repr__(self) -> str:
        return f"Session({self.session_id.hex()[:8]}, is_confirmed={self.is_confirmed})"


def is_ratchet_message(payload: bytes) -> bool:
    """Say whether a payload has the type and one of the sizes of a ratchet message."""
    return len(payload) in MESSAGE_SIZES_B and payload[:1] == MESSAGE_TYPE


def _begins_chain(ratchet: RatchetState, header_key: bytes, header: Header) -> bool:
    """Say whether a header begins a chain; check that it stands under the header key, and in the epoch, of its own.

    Two ratchet keys under one header key come from two copies of the peer's state, each of which began this chain.
    """
    chain: ReceivingChain | OldChain | None = ratchet.receiving
    if chain is None or header_key != chain.header_key:
        chain = next((old for old in ratchet.old if header_key == old.header_key), None)
    if chain is None:
        current = ratchet.receiving
        is_used = current is not None and header.ratchet_key == current.public
        if is_used or any(header.ratchet_key == old.public for old in ratchet.old):
            raise AuthenticationFailed("A used ratchet key stands under the header key of a new chain.")
        return True
    if header.ratchet_key != chain.public:
        raise DuplicateMessage("This chain was begun twice, with another ratchet key each time.")
    if header.pq_epoch != chain.pq_epoch:
        raise AuthenticationFailed("A header names another post-quantum epoch than its chain.")
    return False


def _frame_size_b(content_b: int, *, is_sealed: bool) -> int:
    """Choose the size of the frame, so that what is sent has one of the fixed sizes."""
    needed_b = content_b + FRAME_OVERHEAD_B + MESSAGE_OVERHEAD_B
    if not is_sealed:
        return choose_size_b(needed_b, PAYLOAD_SIZES_B) - MESSAGE_OVERHEAD_B
    payload_b = choose_size_b(needed_b + SEALED_OVERHEAD_B, SEALED_PAYLOAD_SIZES_B)
    return payload_b - SEALED_OVERHEAD_B - MESSAGE_OVERHEAD_B


def _lifted(frame_b: int) -> int:
    """Give the next size of a frame that is not sealed; the largest stays."""
    payload_b = frame_b + MESSAGE_OVERHEAD_B
    return choose_size_b(min(payload_b + 1, PAYLOAD_SIZES_B[-1]), PAYLOAD_SIZES_B) - MESSAGE_OVERHEAD_B
