"""What reads bytes or text from elsewhere: any input gives a value or a documented error, and a value comes back.

"Comes back" is the stronger half: what a decoder accepts, encoded again, is read as the same, so that no two readers
take one input for two things.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from typing import NamedTuple, TypeVar

import msgspec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.crypto_world import NOW_S, Person, new_person, set_up
from zap2.address import RelayAddress
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
from zap2.crypto.body import open_body, seal_body
from zap2.crypto.header import SEALED_HEADER_B, Header, open_header, seal_header
from zap2.crypto.padding import build_frame, parse_frame
from zap2.crypto.pq_record import FROM_ENCAPSULATOR, FROM_OWNER, PqRecord
from zap2.crypto.primitives import (
    X25519KeyPair,
    parse_ed25519,
    parse_mlkem768,
    parse_mlkem1024,
    parse_x25519,
)
from zap2.crypto.sealed import SetupFields
from zap2.errors import CryptoError, InvalidAddress, InvalidPhoneNumber, WireError
from zap2.phone import format_number, parse_number
from zap2.server.shared import signals
from zap2.text import is_clean, sanitize
from zap2.wire import frames as f
from zap2.wire.codec import decode_client_message, decode_relay_message, encode_message
from zap2.wire.content import (
    Delivery,
    DeliveryWanted,
    Opening,
    Part,
    Profile,
    Receipt,
    ReceiptKind,
    Text,
    decode_content,
    encode_content,
)


class Target(NamedTuple):
    """One thing to fuzz.

    Args:
        seeds: gives interesting inputs, made by code.
        check: tries one input; whatever it raises is a fault.
    """

    seeds: Callable[[], list[bytes]]
    check: Callable[[bytes], None]


_T = TypeVar("_T")
_Errors = tuple[type[Exception], ...]


def reads(
    decode: Callable[[bytes], _T],
    comes_back: Callable[[bytes, _T], object],
    documented: _Errors = (CryptoError, WireError),
) -> Callable[[bytes], None]:
    """Make a check: only `decode` may refuse; what it accepted, `comes_back` looks at, and nothing is caught there."""

    def check(data: bytes) -> None:
        try:
            value = decode(data)
        except documented:
            return
        comes_back(data, value)

    return check


def _is(data: bytes, encoded: bytes) -> None:
    assert encoded == data


@cache
def bob() -> Person:
    """The reader of everything."""
    return new_person("fuzz bob")


@cache
def _sessions() -> tuple[Session, Session]:
    return set_up(new_person("fuzz alice"), bob())


@cache
def _sealed() -> bytes:
    alice = new_person("fuzz alice")
    return _sessions()[0].encrypt(b"sealed", rng=alice.rng, now_s=NOW_S)[1]


@cache
def _setup_fields() -> bytes:
    return open_setup(_sealed(), {3: bob().signed}, bob().keys.uid).fields.encode()


def _session_goes_on(_: bytes, session: Session) -> None:
    find_session([session], _sealed()[:512])
    assert Session.decode(session.encode()).encode() == session.encode()


def _identity_comes_back(data: bytes, identity: Identity) -> None:
    assert identity.document + identity.document_signature == data


def _signed_set_comes_back(data: bytes, signed: SignedPrekeySet) -> None:
    assert signed.encode() == data
    with suppress(CryptoError):
        signed.check(bob().identity, now_s=NOW_S, lowest_sid=0)


def _pair_comes_back(data: bytes, pair: OneTimePrekey) -> None:
    assert pair.encode() == data
    with suppress(CryptoError):
        pair.check(bob().identity)


def _agrees(data: bytes, key: X25519PublicKey) -> None:
    assert key.public_bytes_raw() == data
    assert any(bob().keys.agreement.agree(data))


_HEADER_KEY = bytes(range(32))


def _header(data: bytes) -> None:
    sealed = data[:SEALED_HEADER_B].ljust(SEALED_HEADER_B, b"\x00")
    opened = open_header({_HEADER_KEY: AESGCM(_HEADER_KEY)}, sealed, bytes(32))
    assert opened is None or sealed[1:] == _sealed_header()[1:]


@cache
def _sealed_header() -> bytes:
    return seal_header(AESGCM(_HEADER_KEY), bytes(12), Header(bytes(32), 1, 2, 3), bytes(32))


def _frames_come_back(decode: Callable[[bytes], Sequence[f.Frame]]) -> Callable[[bytes], None]:
    def comes_back(_: bytes, frames: Sequence[f.Frame]) -> None:
        assert decode(encode_message(frames)) == frames
        assert all(repr(frame) for frame in frames)

    return reads(decode, comes_back)


def _content_comes_back(_: bytes, parts: tuple[Part, ...]) -> None:
    assert decode_content(encode_content(parts)) == parts
    assert all(repr(part) for part in parts)


def _text_of(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _address_comes_back(_: bytes, address: RelayAddress) -> None:
    assert RelayAddress.parse(str(address)) == address
    assert address.url.isascii()


def _number_comes_back(_: bytes, number: str) -> None:
    assert parse_number(number) == number
    assert parse_number(format_number(number)) == number


def _parse_number_in(region: str | None) -> Callable[[bytes], str]:
    return lambda data: parse_number(_text_of(data), region)


def _number(data: bytes) -> None:
    for region in (None, "DE", "US"):
        reads(_parse_number_in(region), _number_comes_back, (InvalidPhoneNumber,))(data)


def _any_text(data: bytes) -> None:
    for single_line in (False, True):
        clean = sanitize(_text_of(data), max_chars=100, single_line=single_line)
        assert is_clean(clean, single_line=single_line)
        assert sanitize(clean, max_chars=100, single_line=single_line) == clean
        clean.encode()


def _client_seeds() -> list[bytes]:
    every: list[f.Frame] = [
        f.ClientHello(bytes(32)),
        f.Authenticate(1, bytes(65), 1, bytes(64)),
        f.Resume(2, bytes(32)),
        f.StartVerification(3, "+4915112345678", None),
        f.CheckCode(4, "+4915112345678", "123456"),
        f.Fetch(5, bytes(32), 1, True),
        f.Lookup(6, "+4915112345678"),
        f.Send(7, bytes(16), bytes(32), 1, 60, bytes(512)),
        f.Ack((1, 2, 3)),
        f.Publish(8, bytes(9), (bytes(9),)),
        f.Publish(9, None, (), 7),
        f.SetDeliveryToken(10, bytes(32)),
        f.SendSealed(11, bytes(32), bytes(16), bytes(32), 1, 60, bytes(512)),
    ]
    return [*(encode_message([frame]) for frame in every), encode_message(every), b"\x91\x92\xcd\x00\x01\x01"]


def _relay_seeds() -> list[bytes]:
    every: list[f.Frame] = [
        f.LoggedIn(1, bytes(32), 900, 0, 0, -1, 0, bytes(32)),
        f.Sent(1, "direct", 2),
        f.Deliver(1, bytes(16), 0, bytes(512)),
        f.Draining(1.5),
        f.Error(1, "internal", "words", 1.0),
        f.Bundle(2, bytes(65), bytes(64), bytes(9), None),
    ]
    return [*(encode_message([frame]) for frame in every), encode_message(every)]


def _signal(data: bytes) -> None:
    heard = signals.decode(data)
    if heard is not None:
        assert signals.decode(signals.encode(*heard)) == heard


def _signal_seeds() -> list[bytes]:
    said: list[signals.Signal] = [
        signals.LoggedIn(1),
        signals.MailCame((1, 2, 300)),
        signals.Cut(bytes(32), 4002, "words", 7),
        signals.StockIsLow(1, 9),
    ]
    return [signals.encode(bytes(16), one) for one in said]


def _content_seeds() -> list[bytes]:
    every: list[Part] = [
        Text(bytes(16), 0, 1, "hello \u202e"),
        Receipt(ReceiptKind.READ, (bytes(16), bytes(range(16)))),
        Profile("Ann", "+4915112345678"),
        Opening(1, bytes(32), 2),
        Delivery(bytes(32), 0),
        DeliveryWanted(),
    ]
    # A type, a length and a depth that no part has.
    odd = [msgspec.msgpack.encode([[1, bytes(16), 0, 1, []]]), b"\x91\xdd\xff\xff\xff\xff", b"\x91" * 2000]
    return [*(encode_content([part]) for part in every), encode_content(every), *odd]


def _texts(*texts: str) -> Callable[[], list[bytes]]:
    return lambda: [text.encode("utf-8", "surrogatepass") for text in texts]


def _once(*seeds: Callable[[], bytes]) -> Callable[[], list[bytes]]:
    return lambda: [seed() for seed in seeds]


def _edge_of_the_field() -> bytes:
    return (2**255 - 20).to_bytes(32, "little")


DECODERS: dict[str, Target] = {
    "client message": Target(_client_seeds, _frames_come_back(decode_client_message)),
    "relay message": Target(_relay_seeds, _frames_come_back(decode_relay_message)),
    "content": Target(_content_seeds, reads(decode_content, _content_comes_back)),
    "signal of a relay": Target(_signal_seeds, _signal),
    "document": Target(
        _once(lambda: bob().keys.document + bob().keys.document_signature),
        reads(lambda data: Identity.parse(data[:65], data[65:]), _identity_comes_back),
    ),
    "identity keys": Target(
        _once(lambda: bob().keys.encode()),
        reads(IdentityKeys.decode, lambda data, keys: _is(data, keys.encode())),
    ),
    "signed set": Target(
        _once(lambda: bob().signed.public.encode()), reads(SignedPrekeySet.decode, _signed_set_comes_back)
    ),
    "signed secrets": Target(
        _once(lambda: bob().signed.encode()),
        reads(SignedPrekeySecrets.decode, lambda data, secrets: _is(data, secrets.encode())),
    ),
    "pair": Target(_once(lambda: bob().pair.public.encode()), reads(OneTimePrekey.decode, _pair_comes_back)),
    "pair secrets": Target(
        _once(lambda: bob().pair.encode()),
        reads(OneTimePrekeySecrets.decode, lambda data, secrets: _is(data, secrets.encode())),
    ),
    "session state": Target(
        lambda: [session.encode() for session in _sessions()], reads(Session.decode, _session_goes_on)
    ),
    "sealed set-up": Target(
        _once(_sealed),
        reads(
            lambda data: open_setup(data, {3: bob().signed}, bob().keys.uid),
            lambda _, setup: _is(setup.setup_hash, setup.fields.hash),
        ),
    ),
    "set-up fields": Target(
        _once(_setup_fields), reads(SetupFields.decode, lambda data, fields: _is(data, fields.encode()))
    ),
    "pq record": Target(
        _once(
            lambda: PqRecord(FROM_OWNER, 1, 3, 5, bytes(64)).encode(),
            lambda: PqRecord(FROM_ENCAPSULATOR, 2**32 - 1, 0, 2**37 - 1, b"").encode(),
        ),
        reads(PqRecord.decode, lambda data, record: _is(data, record.encode())),
    ),
    "frame": Target(
        _once(lambda: build_frame(b"content", b"record", 100), lambda: build_frame(b"", b"", 6)),
        reads(parse_frame, lambda data, parts: _is(data, build_frame(*parts, len(data)))),
    ),
    "header": Target(_once(_sealed_header, lambda: bytes(73)), _header),
    "body": Target(
        _once(lambda: seal_body(_HEADER_KEY, bytes(12), b"frame", b"")),
        reads(
            lambda data: open_body(_HEADER_KEY, bytes(12), data, b""),
            lambda data, frame: _is(data, seal_body(_HEADER_KEY, bytes(12), frame, b"")),
        ),
    ),
    "x25519 key": Target(
        _once(lambda: X25519KeyPair(bytes(32)).public, _edge_of_the_field), reads(parse_x25519, _agrees)
    ),
    "ed25519 key": Target(
        _once(lambda: bob().keys.document[1:33], _edge_of_the_field),
        reads(parse_ed25519, lambda data, key: _is(data, key.public_bytes_raw())),
    ),
    "ml-kem-768 key": Target(
        _once(lambda: bob().signed.public.seal[:1184]),
        reads(parse_mlkem768, lambda data, key: _is(data, key.public_bytes_raw())),
    ),
    "ml-kem-1024 key": Target(
        _once(lambda: bob().signed.public.last_resort),
        reads(parse_mlkem1024, lambda data, key: _is(data, key.public_bytes_raw())),
    ),
    "relay address": Target(
        _texts(
            "zap2://abcdefghijklmnopqrstuvwxyz234567@chat.example.org:443",
            "wss://[2001:db8::1%25eth0]:65535/",
            "ws://127.0.0.1:0",
            "zap2+ws://@localhost",
            "wss://xn--e1afmkfd.example.",
        ),
        reads(lambda data: RelayAddress.parse(_text_of(data)), _address_comes_back, (InvalidAddress,)),
    ),
    "phone number": Target(
        _texts("+49 1512 3456789", "00491512345678", "(555) 010-9999;ext=5", "+٤٩١٥١٢", "+1" + "9" * 300),
        _number,
    ),
    "text": Target(
        _texts("hello\r\n\x1b]52;c;\x07", "\u202eabc\u2069", "e\u0301" * 40, "🏳️‍🌈🇩🇪", "\ud800"), _any_text
    ),
}
