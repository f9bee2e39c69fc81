"""People with keys and sessions for tests of the cryptography, all from one seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import structs

from zap2.crypto import (
    Identity,
    IdentityKeys,
    OneTimePrekeySecrets,
    PrekeyBundle,
    Session,
    SignedPrekeySecrets,
    accept,
    initiate,
    open_setup,
)
from zap2.crypto.body import seal_body
from zap2.crypto.header import NONCE_B, Header, seal_header
from zap2.crypto.padding import build_frame
from zap2.crypto.pq_state import PqState
from zap2.crypto.ratchet_state import RatchetState
from zap2.crypto.session import RATCHET
from zap2.ids import RandomBytes

NOW_S = 1_800_000_000


def seeded(seed: int | str) -> RandomBytes:
    """Make a source of bytes that is the same for the same seed."""
    return random.Random(seed).randbytes


@dataclass
class Person:
    """Somebody with an identity, one signed set and one one-time pair."""

    rng: RandomBytes
    keys: IdentityKeys
    signed: SignedPrekeySecrets
    pair: OneTimePrekeySecrets
    identity: Identity = field(init=False)

    def __post_init__(self) -> None:
        self.identity = Identity.parse(self.keys.document, self.keys.document_signature)

    def bundle(self, *, with_pair: bool = True) -> PrekeyBundle:
        """Give what a relay would hand out."""
        return PrekeyBundle(self.identity, self.signed.public, self.pair.public if with_pair else None)


def new_person(seed: int | str) -> Person:
    """Make a person."""
    rng = seeded(seed)
    keys = IdentityKeys.generate(rng)
    return Person(
        rng,
        keys,
        SignedPrekeySecrets.generate(keys, sid=3, now_s=NOW_S, rng=rng),
        OneTimePrekeySecrets.generate(keys, oid=7, rng=rng),
    )


def set_up(alice: Person, bob: Person, *, with_pair: bool = True) -> tuple[Session, Session]:
    """Let Alice write to Bob once, and give both sessions after Bob has read it."""
    first = initiate(alice.keys, bob.bundle(with_pair=with_pair), now_s=NOW_S, rng=alice.rng)
    at_alice, payload = first.encrypt(b"hello", rng=alice.rng, now_s=NOW_S)
    setup = open_setup(payload, {bob.signed.public.sid: bob.signed}, bob.keys.uid)
    at_bob = accept(bob.keys, setup, bob.signed, bob.pair if with_pair else None)
    at_bob, content = at_bob.decrypt(setup.message, now_s=NOW_S)
    assert content == b"hello"
    return at_alice, at_bob


def confirmed(seed: int | str = 0) -> tuple[Session, Session, RandomBytes]:
    """Give both sides of a session on which each has read something, and a source of bytes."""
    alice, bob = new_person(f"alice {seed}"), new_person(f"bob {seed}")
    at_alice, at_bob = set_up(alice, bob)
    at_bob, payload = at_bob.encrypt(b"hello back", rng=bob.rng, now_s=NOW_S)
    at_alice, _ = at_alice.decrypt(payload, now_s=NOW_S)
    return at_alice, at_bob, seeded(f"rest {seed}")


@contextmanager
def unchanged(session: Session) -> Iterator[None]:
    """Check that whatever happens inside leaves a session as it was."""
    before = session.encode()
    yield
    assert session.encode() == before


def state_of(session: Session) -> RatchetState:
    """Look at the ratchet inside a session."""
    return session._state.ratchet


def pq_of(session: Session) -> PqState:
    """Look at the post-quantum ratchet inside a session."""
    assert session._state.pq is not None
    return session._state.pq


def send_many(session: Session, count: int, rng: RandomBytes) -> tuple[Session, list[bytes]]:
    """Encrypt the numbers from 0 on, one message each."""
    payloads = []
    for number in range(count):
        session, payload = session.encrypt(b"%d" % number, rng=rng, now_s=NOW_S)
        payloads.append(payload)
    return session, payloads


def as_peer(session: Session, header: Header, header_key: bytes, content: bytes = b"x") -> bytes:
    """Write what a peer who holds the keys but follows no rules could send; its body is never valid."""
    nonce, transcript_hash = bytes(12), session._state.origin.transcript_hash
    sealed = seal_header(AESGCM(header_key), nonce, header, transcript_hash)
    return sealed + seal_body(bytes(32), nonce, build_frame(content, b"", 512 - 89), transcript_hash + sealed)


def as_valid_peer(
    session: Session,
    rng: RandomBytes,
    *,
    record: bytes = b"",
    extra: bytes = b"",
    pq_epoch: int | None = None,
) -> bytes:
    """Write what a peer with true keys sends who puts anything into the record, the header's epoch or the root."""
    said = pq_of(session).epoch - 1 if pq_epoch is None else pq_epoch
    step = RATCHET.send(state_of(session), rng=rng, extra_root_input=extra, pq_epoch=said)
    header = structs.replace(step.header, pq_epoch=said)
    nonce, transcript_hash = rng(NONCE_B), session._state.origin.transcript_hash
    sealed = seal_header(AESGCM(step.header_key), nonce, header, transcript_hash)
    size_b = 512 if len(record) < 400 else 2048
    frame = build_frame(b"x", record, size_b - 89)
    return sealed + seal_body(step.message_key, nonce, frame, transcript_hash + sealed)
