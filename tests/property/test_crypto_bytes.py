"""Any bytes into any decoder of the cryptographic layer: a value or a documented error, and never a changed state."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.crypto_world import NOW_S, Person, confirmed, new_person, set_up
from zap2.crypto import (
    Identity,
    IdentityKeys,
    OneTimePrekey,
    OneTimePrekeySecrets,
    Session,
    SignedPrekeySecrets,
    SignedPrekeySet,
    find_session,
    open_setup,
)
from zap2.crypto.padding import build_frame, parse_frame
from zap2.crypto.pq_record import FROM_OWNER, PqRecord
from zap2.crypto.primitives import lp, parse_ed25519, parse_mlkem768, parse_mlkem1024, parse_x25519
from zap2.crypto.sealed import SetupFields
from zap2.errors import CryptoError, WireError


@cache
def _bob() -> Person:
    return new_person("bob")


@cache
def _genuine() -> dict[str, bytes]:
    """Give one genuine encoding for each decoder, to be damaged."""
    bob = _bob()
    alice = new_person("alice")
    at_alice, at_bob = set_up(alice, bob)
    _, sealed = at_alice.encrypt(b"sealed", rng=alice.rng, now_s=NOW_S)
    fields = open_setup(sealed, {3: bob.signed}, bob.keys.uid).fields.encode()
    return {
        "document": bob.keys.document + bob.keys.document_signature,
        "identity keys": bob.keys.encode(),
        "signed set": bob.signed.public.encode(),
        "signed secrets": bob.signed.encode(),
        "pair": bob.pair.public.encode(),
        "pair secrets": bob.pair.encode(),
        "session": at_bob.encode(),
        "pending session": at_alice.encode(),
        "sealed set-up": sealed,
        "set-up fields": fields,
        "pq record": PqRecord(FROM_OWNER, 1, 3, 5, bytes(64)).encode(),
        "frame": build_frame(b"content", b"record", 100),
        "x25519": bob.keys.agreement.public,
        "ed25519": bob.keys.document[1:33],
        "ml-kem-768": bob.signed.public.seal[:1184],
        "ml-kem-1024": bob.signed.public.last_resort,
    }


def _checked_set(data: bytes) -> None:
    SignedPrekeySet.decode(data).check(_bob().identity, now_s=NOW_S, lowest_sid=0)


def _read_session(data: bytes) -> None:
    session = Session.decode(data)
    find_session([session], data)
    assert Session.decode(session.encode()).session_id == session.session_id


DECODERS: dict[str, Callable[[bytes], object]] = {
    "document": lambda data: Identity.parse(data[:65], data[65:]),
    "identity keys": IdentityKeys.decode,
    "signed set": _checked_set,
    "signed secrets": SignedPrekeySecrets.decode,
    "pair": lambda data: OneTimePrekey.decode(data).check(_bob().identity),
    "pair secrets": OneTimePrekeySecrets.decode,
    "session": _read_session,
    "pending session": _read_session,
    "sealed set-up": lambda data: open_setup(data, {3: _bob().signed}, _bob().keys.uid),
    "set-up fields": SetupFields.decode,
    "pq record": PqRecord.decode,
    "frame": parse_frame,
    "x25519": parse_x25519,
    "ed25519": parse_ed25519,
    "ml-kem-768": parse_mlkem768,
    "ml-kem-1024": parse_mlkem1024,
}


@pytest.mark.parametrize("name", sorted(DECODERS))
def test_genuine_bytes_are_read(name: str) -> None:
    """The decoders of this file read what was encoded: damage, below, is damage to something valid."""
    DECODERS[name](_genuine()[name])


@pytest.mark.parametrize("name", sorted(DECODERS))
@given(data=st.binary(max_size=200))
@settings(max_examples=60, deadline=None)
def test_any_bytes_give_a_value_or_a_documented_error(name: str, data: bytes) -> None:
    """No foreign exception escapes a decoder."""
    with suppress(CryptoError, WireError):
        DECODERS[name](data)


@pytest.mark.parametrize("name", sorted(DECODERS))
@given(at=st.floats(0, 1, exclude_max=True), value=st.integers(1, 255), cut=st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_damaged_bytes_give_a_value_or_a_documented_error(name: str, at: float, value: int, cut: int) -> None:
    """One byte changed, and some missing."""
    data = bytearray(_genuine()[name])
    data[int(at * len(data))] ^= value
    with suppress(CryptoError, WireError):
        DECODERS[name](bytes(data[: len(data) - cut]))


@cache
def _pair() -> tuple[Session, bytes]:
    at_alice, at_bob, rng = confirmed("property")
    _, payload = at_alice.encrypt(b"genuine", rng=rng, now_s=NOW_S)
    return at_bob, payload


@given(
    data=st.one_of(
        st.binary(max_size=100), st.binary(min_size=511, max_size=511).map(lambda tail: b"\x01" + tail)
    )
)
@settings(max_examples=150, deadline=None)
def test_any_payload_leaves_the_session_as_it_was(data: bytes) -> None:
    """Strangers' bytes change nothing, and the genuine payload is read afterwards."""
    session, payload = _pair()
    before = session.encode()
    with pytest.raises((CryptoError, WireError)):
        session.decrypt(data, now_s=NOW_S)
    assert not find_session([session], data)
    assert session.encode() == before
    assert session.decrypt(payload, now_s=NOW_S)[1] == b"genuine"


@given(st.binary(max_size=3000))
@settings(max_examples=100, deadline=None)
def test_any_content_comes_back(content: bytes) -> None:
    """What goes in comes out, whatever it is; also trailing zeros."""
    at_alice, at_bob, rng = confirmed("content")
    _, payload = at_alice.encrypt(content, rng=rng, now_s=NOW_S)
    assert at_bob.decrypt(payload, now_s=NOW_S)[1] == content


@given(st.lists(st.binary(max_size=5), max_size=5), st.lists(st.binary(max_size=5), max_size=5))
def test_lp_is_injective(some: list[bytes], others: list[bytes]) -> None:
    """Two lists give the same bytes only if they are the same list."""
    assert (lp(*some) == lp(*others)) == (some == others)
