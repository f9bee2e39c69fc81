"""Envelopes into `Session.decrypt`, `open_setup` and the engine: from strangers, and from peers who hold the keys.

Strangers (a relay, a line) may change nothing at all: the state is compared before and after. Peers with true keys
may say what they like, inside a session or in a set-up: documented errors leave the state as it was, the engine bears
everything, and the session goes on.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import structs

from tests.crypto_world import NOW_S, as_valid_peer, confirmed, new_person, pq_of, set_up, state_of
from tests.fuzz.contents import content_seeds
from tests.fuzz.decoders import Target, bob
from tests.sim.person import Person
from tests.sim.quiet import Quiet, history
from zap2.crypto import PAYLOAD_SIZES_B, Session, is_sealed_setup, open_setup
from zap2.crypto.body import seal_body
from zap2.crypto.header import NONCE_B, SEALED_HEADER_B, Header, seal_header
from zap2.crypto.pq_record import PqRecord
from zap2.crypto.sealed import seal_setup
from zap2.crypto.session import RATCHET
from zap2.engine import inputs
from zap2.engine.effects import Acknowledge
from zap2.errors import CryptoError, WireError
from zap2.ids import conversation_with
from zap2.vault import settings

State = dict[str, list[tuple[object, ...]]]


class SessionUnderAttack:
    """A session of Bob's in mid-conversation, with genuine payloads that have not come yet."""

    def __init__(self, seed: int | str) -> None:
        at_alice, self.at_bob, rng = confirmed(f"fuzz {seed}")
        self.genuine: list[bytes] = []
        for content in (b"first", b"x" * 600, b"third", b"x" * 40_000):
            at_alice, payload = at_alice.encrypt(content, rng=rng, now_s=NOW_S)
            self.genuine.append(payload)
        self._before = self.at_bob.encode()

    def check(self, envelope: bytes) -> None:
        """Try an envelope that is none of the genuine ones."""
        with suppress(CryptoError, WireError):
            self.at_bob.decrypt(envelope, now_s=NOW_S)
            raise AssertionError("an envelope was read that the peer never made")
        assert self.at_bob.encode() == self._before

    def check_alive(self) -> None:
        """See that the genuine ones are read after everything."""
        session = self.at_bob
        for payload in (self.genuine[2], self.genuine[0], self.genuine[3], self.genuine[1]):
            session, _ = session.decrypt(payload, now_s=NOW_S)


class SetupUnderAttack:
    """Bob's prekeys, and a genuine sealed set-up to them."""

    def __init__(self, seed: int | str) -> None:
        alice = new_person(f"fuzz alice {seed}")
        self._bob = new_person(f"fuzz bob {seed}")
        at_alice, _ = set_up(alice, self._bob)
        _, payload = at_alice.encrypt(b"sealed", rng=alice.rng, now_s=NOW_S)
        self.genuine = [payload]

    def check(self, envelope: bytes) -> None:
        """Try an envelope that is not the genuine one."""
        with suppress(CryptoError, WireError):
            open_setup(envelope, {3: self._bob.signed}, self._bob.keys.uid)
            raise AssertionError("a set-up was opened that nobody made")

    def check_alive(self) -> None:
        """See that the genuine one opens."""
        open_setup(self.genuine[0], {3: self._bob.signed}, self._bob.keys.uid)


class EngineUnderAttack:
    """Ben's engine and vault, with mail that is withheld: of his contact Ann, and of Cat, whom he does not know."""

    def __init__(self) -> None:
        self._world = Quiet(people=3)
        self._ann, self.ben, self._cat = self._world.people.values()
        world, ann, ben = self._world, self._ann, self.ben
        world.befriend()
        world.say(ann, ben, "hello")
        world.say(ben, ann, "hello back")
        world.settle()
        world.go_offline(ben)
        world.say(ann, ben, "withheld")
        world.say(ann, ben, "withheld " + "x" * 900)
        world.give(self._cat, inputs.AddContact(ben.uid, ben.number))
        world.say(self._cat, ben, "withheld by a stranger")
        world.settle(5)
        mailbox = world.relay.accounts[ben.uid].mailbox
        self.genuine = [mail.payload for mail in mailbox]
        assert {is_sealed_setup(payload) for payload in self.genuine} == {True, False}
        mailbox.clear()
        self._before, self._dropped = vault_of(ben), self._count_dropped()
        self._memory, self._deadline_ms = ben.engine._memory.copy(), ben.engine.next_deadline_ms()

    def check(self, envelopes: Iterable[bytes]) -> None:
        """Try envelopes that are none of the genuine ones, in one batch: acknowledged, counted, and nothing else."""
        arrived = [inputs.ArrivedEnvelope(token, payload) for token, payload in enumerate(envelopes)]
        effects = self.ben.engine.handle(inputs.EnvelopesArrived(tuple(arrived)), self._world.now_ms)
        assert effects == [Acknowledge(envelope.token) for envelope in arrived]
        self._dropped += len(arrived)
        assert self._count_dropped() == self._dropped
        assert vault_of(self.ben) == self._before
        assert self.ben.engine._memory == self._memory
        assert self.ben.engine.next_deadline_ms() == self._deadline_ms

    def check_alive(self) -> None:
        """See that the genuine ones are read after everything."""
        arrived = tuple(inputs.ArrivedEnvelope(0, payload) for payload in self.genuine)
        self.ben.engine.handle(inputs.EnvelopesArrived(arrived), self._world.now_ms)
        from_ann = [row.text[:8] for row in history(self.ben, self._ann) if not row.is_mine]
        assert from_ann == ["hello", "withheld", "withheld"]
        assert [row.text for row in history(self.ben, self._cat)] == ["withheld by a stranger"]

    def _count_dropped(self) -> int:
        return self.ben.store.settings.get_number(settings.DROPPED)


def vault_of(person: Person) -> State:
    """Give every row of a vault but the number of dropped envelopes."""
    tables = person.connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    rows = {name: person.connection.execute(f"SELECT * FROM {name}").fetchall() for (name,) in tables}  # noqa: S608 - names from the schema
    rows["setting"] = [row for row in rows["setting"] if row[0] != settings.DROPPED]
    return rows


# ------------------------------------------------------------------------------------- inputs of a guided fuzzer


class Recipe:
    """Reads decisions from bytes; after their end every decision is 0."""

    def __init__(self, data: bytes) -> None:
        self.rest = data

    def take(self, size_b: int) -> bytes:
        """Take some bytes."""
        taken, self.rest = self.rest[:size_b], self.rest[size_b:]
        return taken.ljust(size_b, b"\x00")

    def number(self, size_b: int = 1) -> int:
        """Take a number."""
        return int.from_bytes(self.take(size_b), "big")


def envelope_of(data: bytes, genuine: list[bytes]) -> bytes | None:
    """Make an envelope from a recipe: a genuine one with edits, or raw bytes; None if it would be genuine."""
    recipe = Recipe(data)
    base = recipe.number() % (len(genuine) + 1)
    if base == len(genuine):
        size_b = PAYLOAD_SIZES_B[recipe.number() % 4]
        return recipe.rest[:size_b].ljust(size_b, b"\x00")
    envelope = bytearray(genuine[base])
    while recipe.rest:
        at, change = recipe.number(2) % len(envelope), recipe.number()
        if change == 0:
            envelope = envelope[:at] or envelope
        envelope[at % len(envelope)] ^= change
    return None if bytes(envelope) in genuine else bytes(envelope)


_RECIPES = [
    b"",
    b"\x00\x00\x05\x01",
    b"\x01\x00\x60\x80\x01\x00\xff",
    b"\x02\x01\x00\x00",
    b"\x02\x00\x03\x01",
    b"\x04\x00\x01" + bytes(100),
    b"\x04\x03\x02\x00\x00\x00\x03" + bytes(100),
]


def _recipes(*more: bytes) -> Callable[[], list[bytes]]:
    return lambda: [*_RECIPES, *more]


@cache
def _session_under_attack() -> SessionUnderAttack:
    return SessionUnderAttack("guided")


@cache
def _engine_under_attack() -> EngineUnderAttack:
    return EngineUnderAttack()


def _check_session(data: bytes) -> None:
    attacked = _session_under_attack()
    envelope = envelope_of(data, attacked.genuine)
    if envelope is not None:
        attacked.check(envelope)


def _check_engine(data: bytes) -> None:
    attacked = _engine_under_attack()
    envelope = envelope_of(data, attacked.genuine)
    if envelope is not None:
        attacked.check([envelope])


@cache
def _two_sides() -> tuple[Session, Session]:
    at_alice, at_bob, _ = confirmed("guided peer")
    return at_alice, at_bob


def _check_peer_frame(data: bytes) -> None:
    """A peer with true keys puts anything into a frame: content, lengths, post-quantum record, padding."""
    at_alice, at_bob = _two_sides()
    recipe = Recipe(data)
    size_b = PAYLOAD_SIZES_B[recipe.number() % 4]
    rng, before = random.Random(1).randbytes, at_bob.encode()
    step = RATCHET.send(state_of(at_alice), rng=rng, pq_epoch=pq_of(at_alice).epoch - 1)
    nonce, transcript_hash = rng(NONCE_B), at_alice._state.origin.transcript_hash
    header = structs.replace(step.header, pq_epoch=step.header.pq_epoch ^ recipe.number())
    sealed = seal_header(AESGCM(step.header_key), nonce, header, transcript_hash)
    frame = recipe.rest[: size_b - SEALED_HEADER_B - 16].ljust(size_b - SEALED_HEADER_B - 16, b"\x00")
    _goes_on(at_bob, sealed + seal_body(step.message_key, nonce, frame, transcript_hash + sealed))
    assert at_bob.encode() == before


def _check_peer_record(data: bytes) -> None:
    """A peer with true keys says anything in a well-formed record, for the current epoch and beyond."""
    at_alice, at_bob = _two_sides()
    recipe = Recipe(data)
    head = recipe.number(), pq_of(at_bob).epoch + recipe.number() % 3, recipe.number() % 40
    have, units = recipe.number(5), recipe.take(32 * (recipe.number() % 40))
    kind, epoch, first = head
    record = PqRecord(kind % 4, epoch, first, have, units).encode()
    before = at_bob.encode()
    _goes_on(at_bob, as_valid_peer(at_alice, random.Random(2).randbytes, record=record))
    assert at_bob.encode() == before


def _check_peer_header(data: bytes) -> None:
    """A peer with true header keys writes any header, for the current chain and the next."""
    _, at_bob = _two_sides()
    recipe = Recipe(data)
    state = state_of(at_bob)
    assert state.receiving is not None
    keys = [state.receiving.header_key, state.next_receiving_header_key]
    publics = [state.receiving.public, bob().keys.agreement.public, bytes(32), b"\xff" * 32, recipe.take(32)]
    header_key, public = keys[recipe.number() % 2], publics[recipe.number() % len(publics)]
    header = Header(public, recipe.number(4), recipe.number(4), recipe.number(4))
    nonce, transcript_hash = recipe.take(NONCE_B), at_bob._state.origin.transcript_hash
    sealed = seal_header(AESGCM(header_key), nonce, header, transcript_hash)
    before = at_bob.encode()
    with suppress(CryptoError, WireError):
        at_bob.decrypt(sealed + recipe.take(512 - len(sealed)), now_s=NOW_S)
        raise AssertionError("a body was read that nobody sealed")
    assert at_bob.encode() == before


def _goes_on(session: Session, payload: bytes) -> None:
    """What a peer sends is refused with a documented error, or the session after it can be stored and answers."""
    try:
        after, _ = session.decrypt(payload, now_s=NOW_S)
    except (CryptoError, WireError):
        return
    assert Session.decode(after.encode()).encode() == after.encode()
    _, answer = after.encrypt(b"answer", rng=random.Random(3).randbytes, now_s=NOW_S)
    assert len(answer) in PAYLOAD_SIZES_B


@cache
def _sealed_fields() -> tuple[bytes, bytes]:
    attacked = SetupUnderAttack("guided")
    setup = open_setup(attacked.genuine[0], {3: attacked._bob.signed}, attacked._bob.keys.uid)
    return setup.fields.encode(), setup.message


def _check_stranger_fields(data: bytes) -> None:
    """A stranger seals anything to Bob's seal: only the inside is wrong."""
    fields, message = _sealed_fields()
    edits, reader = Recipe(data), bob()
    changed = bytearray(fields + message)
    while edits.rest:
        at, change = edits.number(2) % len(changed), edits.number()
        changed[at] ^= change
    sealed = seal_setup(
        b"",
        bytes(changed),
        sid=3,
        seal=reader.signed.public.seal,
        set_digest=reader.signed.public.digest,
        uid=reader.keys.uid,
    )
    with suppress(CryptoError, WireError):
        open_setup(sealed, {3: reader.signed}, reader.keys.uid)


class _Contact:
    """Ann, who holds the keys and follows no rules, and Ben's engine; made anew before her chain gets long."""

    def __init__(self) -> None:
        self.world = Quiet()
        self.ann, self.ben = self.world.ann, self.world.ben
        self.world.befriend()
        self.world.say(self.ann, self.ben, "hello")
        self.world.say(self.ben, self.ann, "hello back")
        self.world.settle()
        entry = self.ann.engine.sessions.for_sending(self.ben.uid)
        assert entry is not None
        self.session, self.sent = entry.session, 0

    def say(self, content: bytes) -> None:
        """Send any content to Ben; his engine takes it, whatever it is."""
        now_ms = self.world.now_ms + self.sent
        self.session, payload = self.session.encrypt(
            content[:60_000], rng=self.world.rng.randbytes, now_s=now_ms // 1000
        )
        self.sent += 1
        before = self.ben.store.settings.get_number(settings.DROPPED)
        envelope = inputs.ArrivedEnvelope(self.sent, payload)
        effects = self.ben.engine.handle(inputs.EnvelopesArrived((envelope,)), now_ms)
        assert Acknowledge(self.sent) in effects
        assert self.ben.store.settings.get_number(settings.DROPPED) == before
        self.ben.engine.handle(inputs.TimePassed(), now_ms)
        self.ben.store.messages.conversations()
        self.ben.store.messages.page(conversation_with(self.ann.uid), before=None, limit=5)


_contacts: list[_Contact] = []


def _check_contact(data: bytes) -> None:
    if not _contacts or _contacts[0].sent >= 1000:
        _contacts[:] = [_Contact()]
    _contacts[0].say(data)


def _frames() -> list[bytes]:
    return [
        b"\x00\x00" + bytes(6),
        b"\x01\x00\x00\x00\x00\x05\x00\x00hello",
        b"\x00\x00\xff\xff\xff\xff\xff\xff",
        b"\x00\x01\x00\x00\x00\x00\x00\x0c" + PqRecord(1, 1, 0, 0, b"").encode(),
    ]


RECEIVERS: dict[str, Target] = {
    "session": Target(_recipes(), _check_session),
    "frame of a peer": Target(_frames, _check_peer_frame),
    "record of a peer": Target(
        lambda: [
            b"",
            b"\x01\x00\x03" + bytes(5) + b"\x04" + bytes(128),
            b"\x01\x00\x24" + bytes(5) + b"\x27" + b"\xff" * 300,
            b"\x02\x00\x00\x1f\xff\xff\xff\xff\x22" + b"\xff" * 1088,
        ],
        _check_peer_record,
    ),
    "header of a peer": Target(
        lambda: [
            b"",
            bytes(33) + b"\x01" + bytes(9) + b"\xff\xff\xff\xff",
            bytes(32) + b"\x01\x01" + bytes(24),
        ],
        _check_peer_header,
    ),
    "set-up of a stranger": Target(
        _recipes(b"\x00\x00\x01", b"\x00\x81\x01\x00\x82\x01"), _check_stranger_fields
    ),
    "engine": Target(_recipes(), _check_engine),
    "content of a contact": Target(content_seeds, _check_contact),
}
