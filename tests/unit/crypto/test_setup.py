"""Session set-up: what it binds, and what an attacker of it can and cannot do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.crypto_world import NOW_S, Person, new_person, seeded, set_up
from zap2.crypto import (
    MAX_CONTENT_B,
    OneTimePrekeySecrets,
    Session,
    Setup,
    SignedPrekeySecrets,
    accept,
    initiate,
    is_sealed_setup,
    open_setup,
)
from zap2.crypto.pqxdh import Transcript, derive_session_keys
from zap2.crypto.prekeys import OneTimePrekey, SignedPrekeySet
from zap2.crypto.sealed import SetupFields, seal_setup
from zap2.errors import (
    AuthenticationFailed,
    CryptoError,
    DuplicateMessage,
    InvalidKey,
    InvalidPadding,
    InvalidSignature,
    Malformed,
    PrekeyRefused,
)

_OTHER = new_person("other")


def _first_payload(alice: Person, bob: Person, *, with_pair: bool = True) -> bytes:
    session = initiate(alice.keys, bob.bundle(with_pair=with_pair), now_s=NOW_S, rng=alice.rng)
    return session.encrypt(b"hello", rng=alice.rng, now_s=NOW_S)[1]


def _open(bob: Person, payload: bytes) -> Setup:
    return open_setup(payload, {bob.signed.public.sid: bob.signed}, bob.keys.uid)


def _sealed_by_hand(bob: Person, fields: SetupFields, message: bytes) -> bytes:
    signed = bob.signed.public
    return seal_setup(
        fields.encode(), message, sid=signed.sid, seal=signed.seal, set_digest=signed.digest, uid=bob.keys.uid
    )


@pytest.mark.parametrize("with_pair", [True, False])
def test_both_sides_agree(with_pair: bool) -> None:
    """Same id, each other's identity, and the truth about the one-time pair."""
    alice, bob = new_person(1), new_person(2)
    at_alice, at_bob = set_up(alice, bob, with_pair=with_pair)
    assert at_alice.session_id == at_bob.session_id
    assert at_alice.setup_hash == at_bob.setup_hash
    assert (at_alice.peer.uid, at_bob.peer.uid) == (bob.keys.uid, alice.keys.uid)
    assert (at_alice.is_initiator, at_bob.is_initiator) == (True, False)
    assert (at_alice.is_confirmed, at_bob.is_confirmed) == (False, True)
    assert at_alice.has_one_time_prekey == at_bob.has_one_time_prekey == with_pair


def test_initiator_repeats_the_setup_until_it_is_answered() -> None:
    """Any of the first messages makes the same session, so it does not matter which arrives."""
    alice, bob = new_person(1), new_person(2)
    at_alice = initiate(alice.keys, bob.bundle(), now_s=NOW_S, rng=alice.rng)
    payloads = []
    for number in range(3):
        at_alice, payload = at_alice.encrypt(b"%d" % number, rng=alice.rng, now_s=NOW_S)
        assert is_sealed_setup(payload)
        payloads.append(payload)
    setups = [_open(bob, payload) for payload in payloads]
    assert len({setup.setup_hash for setup in setups}) == 1
    at_bob = accept(bob.keys, setups[2], bob.signed, bob.pair)
    for number in (2, 0, 1):
        at_bob, content = at_bob.decrypt(setups[number].message, now_s=NOW_S)
        assert content == b"%d" % number
    at_bob, answer = at_bob.encrypt(b"answer", rng=bob.rng, now_s=NOW_S)
    at_alice, _ = at_alice.decrypt(answer, now_s=NOW_S)
    assert at_alice.is_confirmed
    at_alice, payload = at_alice.encrypt(b"short", rng=alice.rng, now_s=NOW_S)
    assert not is_sealed_setup(payload)
    assert len(payload) == 512
    assert at_bob.decrypt(payload, now_s=NOW_S)[1] == b"short"


def test_pending_setup_survives_the_vault() -> None:
    """An initiator that was stopped before the answer goes on with the same set-up."""
    alice, bob = new_person(1), new_person(2)
    at_alice = Session.decode(initiate(alice.keys, bob.bundle(), now_s=NOW_S, rng=alice.rng).encode())
    _, payload = at_alice.encrypt(b"late", rng=alice.rng, now_s=NOW_S)
    setup = _open(bob, payload)
    at_bob = Session.decode(accept(bob.keys, setup, bob.signed, bob.pair).encode())
    assert at_bob.decrypt(setup.message, now_s=NOW_S)[1] == b"late"


def test_replayed_setup_has_the_same_hash_and_is_a_duplicate_for_its_session() -> None:
    """With and without a pair: who remembers the hash refuses the replay, and the session itself does so too."""
    for with_pair in (True, False):
        alice, bob = new_person(1), new_person(2)
        payload = _first_payload(alice, bob, with_pair=with_pair)
        first, replayed = _open(bob, payload), _open(bob, payload)
        assert first.setup_hash == replayed.setup_hash
        at_bob = accept(bob.keys, first, bob.signed, bob.pair if with_pair else None)
        at_bob, _ = at_bob.decrypt(first.message, now_s=NOW_S)
        with pytest.raises(DuplicateMessage):
            at_bob.decrypt(replayed.message, now_s=NOW_S)


def test_own_setup_under_another_name_has_another_hash() -> None:
    """Mallory presents her own session's set-up with Alice's document: it must not lead to Mallory's session."""
    mallory, bob = new_person("mallory"), new_person(2)
    setup = _open(bob, _first_payload(mallory, bob))
    posing = replace(
        setup.fields,
        document=_OTHER.keys.document,
        document_signature=_OTHER.keys.document_signature,
    )
    forged = _open(bob, _sealed_by_hand(bob, posing, setup.message))
    assert forged.identity.uid == _OTHER.keys.uid
    assert forged.setup_hash != setup.setup_hash
    with pytest.raises(AuthenticationFailed):
        accept(bob.keys, forged, bob.signed, bob.pair).decrypt(forged.message, now_s=NOW_S)


def test_garbage_setup_proves_nothing_and_burns_nothing() -> None:
    """Anybody can seal well-formed garbage; accepting it gives a session that opens nothing, and the pair works on."""
    alice, bob = new_person(1), new_person(2)
    rng = seeded("garbage")
    ephemeral = alice.keys.agreement.public
    fields = SetupFields(alice.keys.document, alice.keys.document_signature, 7, ephemeral, rng(1568))
    setup = _open(bob, _sealed_by_hand(bob, fields, b"\x01" + rng(1220)))
    before = bob.pair.encode(), bob.signed.encode()
    with pytest.raises(AuthenticationFailed):
        accept(bob.keys, setup, bob.signed, bob.pair).decrypt(setup.message, now_s=NOW_S)
    assert (bob.pair.encode(), bob.signed.encode()) == before
    genuine = _open(bob, _first_payload(alice, bob))
    assert (
        accept(bob.keys, genuine, bob.signed, bob.pair).decrypt(genuine.message, now_s=NOW_S)[1] == b"hello"
    )


@pytest.mark.parametrize(
    "ephemeral",
    [bytes(32), b"\x01" + bytes(31), b"\xed" + b"\xff" * 30 + b"\x7f", b"\t" + bytes(30) + b"\x80"],
)
def test_bad_ephemeral_key_is_refused(ephemeral: bytes) -> None:
    """Low order, not reduced, top bit set."""
    alice, bob = new_person(1), new_person(2)
    setup = _open(bob, _first_payload(alice, bob))
    fields = replace(setup.fields, ephemeral=ephemeral)
    forged = _open(bob, _sealed_by_hand(bob, fields, setup.message))
    with pytest.raises(InvalidKey):
        accept(bob.keys, forged, bob.signed, bob.pair)


def test_setup_with_somebodys_unsigned_document_is_refused() -> None:
    """The sender's document is checked on opening."""
    alice, bob = new_person(1), new_person(2)
    setup = _open(bob, _first_payload(alice, bob))
    fields = replace(setup.fields, document_signature=_OTHER.keys.document_signature)
    with pytest.raises(InvalidSignature):
        _open(bob, _sealed_by_hand(bob, fields, setup.message))


def test_setup_for_another_account_set_or_time_does_not_open() -> None:
    """The seal binds receiver, number and every byte of the signed set."""
    alice, bob = new_person(1), new_person(2)
    payload = _first_payload(alice, bob)
    with pytest.raises(AuthenticationFailed):
        open_setup(payload, {3: bob.signed}, _OTHER.keys.uid)
    renewed = SignedPrekeySecrets.generate(bob.keys, sid=3, now_s=NOW_S, rng=seeded("renewed"))
    with pytest.raises(AuthenticationFailed):
        open_setup(payload, {3: renewed}, bob.keys.uid)
    with pytest.raises(PrekeyRefused):
        open_setup(payload, {4: bob.signed}, bob.keys.uid)
    relabelled = replace(
        bob.signed, public=replace(bob.signed.public, expires_s=bob.signed.public.expires_s + 1)
    )
    with pytest.raises(AuthenticationFailed):
        open_setup(payload, {3: relabelled}, bob.keys.uid)


@pytest.mark.parametrize("at", [0, 1, 4, 5, 1124, 2000, 4095])
def test_changed_sealed_setup_does_not_open(at: int) -> None:
    """Each byte of a sealed set-up is authenticated."""
    alice, bob = new_person(1), new_person(2)
    payload = bytearray(_first_payload(alice, bob))
    payload[at] ^= 0x40
    with pytest.raises((AuthenticationFailed, PrekeyRefused, Malformed)):
        _open(bob, bytes(payload))


@pytest.mark.parametrize("size_b", [0, 1, 5, 512, 2048, 4095, 4097])
def test_setup_of_another_size_is_malformed(size_b: int) -> None:
    """Only the sizes from 4096 bytes on get as far as the seal."""
    alice, bob = new_person(1), new_person(2)
    payload = (_first_payload(alice, bob) + bytes(100))[:size_b]
    with pytest.raises(Malformed):
        _open(bob, payload)


def test_setup_with_other_prekeys_than_it_names_is_refused() -> None:
    """Neither a pair too many nor one too few."""
    alice, bob = new_person(1), new_person(2)
    with_pair = _open(bob, _first_payload(alice, bob))
    without = _open(bob, _first_payload(alice, bob, with_pair=False))
    other = OneTimePrekeySecrets.generate(bob.keys, oid=8, rng=bob.rng)
    for setup, pair in ((with_pair, None), (without, bob.pair), (with_pair, other)):
        with pytest.raises(PrekeyRefused):
            accept(bob.keys, setup, bob.signed, pair)


@pytest.mark.parametrize("pair", [b"\x02\x00\x00\x00\x07", b"\x00\x00\x00\x00\x07", b"\xff\x00\x00\x00\x00"])
def test_fields_name_their_pair_in_one_way_only(pair: bytes) -> None:
    """Two encodings of one set-up would have one hash and be two strings of bytes."""
    alice, bob = new_person(1), new_person(2)
    encoded = _open(bob, _first_payload(alice, bob)).fields.encode()
    assert SetupFields.decode(encoded).oid == 7
    with pytest.raises(Malformed):
        SetupFields.decode(encoded[:129] + pair + encoded[134:])


def test_expired_set_and_own_account_are_refused() -> None:
    """`initiate` looks at the time again, and nobody has a session with themselves."""
    alice, bob = new_person(1), new_person(2)
    with pytest.raises(PrekeyRefused):
        initiate(alice.keys, bob.bundle(), now_s=bob.signed.public.expires_s, rng=alice.rng)
    with pytest.raises(PrekeyRefused):
        initiate(bob.keys, bob.bundle(), now_s=NOW_S, rng=bob.rng)


def test_set_up_that_shows_ones_own_document_is_refused() -> None:
    """Anybody can show Bob his own document; it begins nothing, before a key is computed with it."""
    alice, bob = new_person(1), new_person(2)
    setup = _open(bob, _first_payload(alice, bob))
    fields = replace(setup.fields, document=bob.keys.document, document_signature=bob.keys.document_signature)
    mirrored = _open(bob, _sealed_by_hand(bob, fields, setup.message))
    with pytest.raises(PrekeyRefused):
        accept(bob.keys, mirrored, bob.signed, bob.pair)


def test_responder_cannot_send_before_it_has_read() -> None:
    """Nothing goes out on a session that nothing has proved."""
    alice, bob = new_person(1), new_person(2)
    setup = _open(bob, _first_payload(alice, bob))
    with pytest.raises(CryptoError):
        accept(bob.keys, setup, bob.signed, bob.pair).encrypt(b"no", rng=bob.rng, now_s=NOW_S)


def _transcript() -> Transcript:
    alice, bob = new_person(1), new_person(2)
    return Transcript(
        alice.identity,
        bob.identity,
        bob.signed.public,
        bob.pair.public,
        alice.keys.agreement.public,
        bytes(1568),
    )


def _swapped() -> dict[str, Transcript]:
    genuine, signed = _transcript(), _OTHER.signed.public
    own_set, own_pair = genuine.signed_set, _OTHER.pair.public

    def with_set(changed: SignedPrekeySet) -> Transcript:
        return replace(genuine, signed_set=changed)

    def with_pair(changed: OneTimePrekey) -> Transcript:
        return replace(genuine, one_time=changed)

    genuine_pair = new_person(2).pair.public
    return {
        "initiator": replace(genuine, initiator=_OTHER.identity),
        "responder": replace(genuine, responder=_OTHER.identity),
        "sid": with_set(replace(own_set, sid=9)),
        "SPK": with_set(replace(own_set, signed_prekey=signed.signed_prekey)),
        "LRK": with_set(replace(own_set, last_resort=signed.last_resort)),
        "SEAL": with_set(replace(own_set, seal=signed.seal)),
        "no pair": replace(genuine, one_time=None),
        "oid": with_pair(replace(genuine_pair, oid=8)),
        "OPK": with_pair(replace(genuine_pair, agreement_key=own_pair.agreement_key)),
        "OKEM": with_pair(replace(genuine_pair, kem_key=own_pair.kem_key)),
        "EK": replace(genuine, ephemeral=_OTHER.keys.agreement.public),
        "CT": replace(genuine, kem_ciphertext=b"\x01" + bytes(1567)),
    }


@pytest.mark.parametrize("field", sorted(_swapped()))
def test_one_swapped_field_changes_every_key(field: str) -> None:
    """Guards: the transcript hash covers every public input, and all first keys depend on it.

    No identity, prekey or ciphertext can be exchanged without the root and header keys becoming others.
    """
    genuine, swapped = _transcript().hash(), _swapped()[field].hash()
    assert genuine != swapped
    keys, others = derive_session_keys(bytes(32), genuine), derive_session_keys(bytes(32), swapped)
    assert keys.root_key != others.root_key
    assert keys.initiator_header_key != others.initiator_header_key
    assert keys.responder_next_header_key != others.responder_next_header_key


@pytest.mark.parametrize(
    ("content_b", "payload_b"),
    [(0, 4096), (1126, 4096), (1127, 8192), (5222, 8192), (5223, 16384), (MAX_CONTENT_B, 65536)],
)
def test_sealed_setup_takes_the_smallest_size_that_holds_it(content_b: int, payload_b: int) -> None:
    """4096 bytes unless the content needs more, and `MAX_CONTENT_B` fits even here."""
    alice, bob = new_person(1), new_person(2)
    session = initiate(alice.keys, bob.bundle(), now_s=NOW_S, rng=alice.rng)
    _, payload = session.encrypt(bytes(content_b), rng=alice.rng, now_s=NOW_S)
    assert len(payload) == payload_b
    setup = _open(bob, payload)
    at_bob = accept(bob.keys, setup, bob.signed, bob.pair)
    assert at_bob.decrypt(setup.message, now_s=NOW_S)[1] == bytes(content_b)


def test_too_long_first_content_is_refused() -> None:
    """One byte more than `MAX_CONTENT_B` fits no size."""
    alice, bob = new_person(1), new_person(2)
    session = initiate(alice.keys, bob.bundle(), now_s=NOW_S, rng=alice.rng)
    with pytest.raises(InvalidPadding):
        session.encrypt(bytes(MAX_CONTENT_B + 1), rng=alice.rng, now_s=NOW_S)


def test_relay_sees_neither_sender_nor_repetition() -> None:
    """Two sealed set-ups of the same person share no bytes beyond type and set number."""
    alice, bob = new_person(1), new_person(2)
    session = initiate(alice.keys, bob.bundle(), now_s=NOW_S, rng=alice.rng)
    session, first = session.encrypt(b"one", rng=alice.rng, now_s=NOW_S)
    _, second = session.encrypt(b"one", rng=alice.rng, now_s=NOW_S)
    assert first[:5] == second[:5] == b"\x02\x00\x00\x00\x03"
    assert first[5:21] != second[5:21]
    for payload in (first, second):
        for known in (alice.keys.document[1:], alice.keys.document_signature, alice.keys.uid):
            assert known[:16] not in payload
