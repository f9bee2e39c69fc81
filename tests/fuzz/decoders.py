"""What reads bytes or text from elsewhere: any input gives a value or a documented error, and a value comes back.

"Comes back" is the stronger half: what a decoder accepts, encoded again, is read as the same, so that no two readers
take one input for two things.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import NamedTuple

import msgspec
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


def _decoder(decode: Callable[[bytes], object], *seeds: Callable[[], bytes]) -> Target:
    def check(data: bytes) -> None:
        with suppress(CryptoError, WireError):
            decode(data)

    return Target(lambda: [seed() for seed in seeds], check)


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


def _session(data: bytes) -> None:
    session = Session.decode(data)
    find_session([session], _sealed()[:512])
    assert Session.decode(session.encode()).encode() == session.encode()


def _setup_fields_come_back(data: bytes) -> None:
    assert SetupFields.decode(data).encode() == data


def _record_comes_back(data: bytes) -> None:
    assert PqRecord.decode(data).encode() == data


def _frame_comes_back(data: bytes) -> None:
    content, record = parse_frame(data)
    assert build_frame(content, record, len(data)) == data


def _identity(data: bytes) -> None:
    identity = Identity.parse(data[:65], data[65:])
    assert identity.document + identity.document_signature == data


def _signed_set(data: bytes) -> None:
    signed = SignedPrekeySet.decode(data)
    assert signed.encode() == data
    signed.check(bob().identity, now_s=NOW_S, lowest_sid=0)


def _signed_secrets(data: bytes) -> None:
    secrets = SignedPrekeySecrets.decode(data)
    assert secrets.encode() == data


def _pair(data: bytes) -> None:
    pair = OneTimePrekey.decode(data)
    assert pair.encode() == data
    pair.check(bob().identity)


def _pair_secrets(data: bytes) -> None:
    assert OneTimePrekeySecrets.decode(data).encode() == data


def _identity_keys(data: bytes) -> None:
    assert IdentityKeys.decode(data).encode() == data


def _agreement_key(data: bytes) -> None:
    assert parse_x25519(data).public_bytes_raw() == data
    assert any(bob().keys.agreement.agree(data))


_HEADER_KEY = bytes(range(32))


def _header(data: bytes) -> None:
    sealed = data[:SEALED_HEADER_B].ljust(SEALED_HEADER_B, b"\x00")
    opened = open_header({_HEADER_KEY: AESGCM(_HEADER_KEY)}, sealed, bytes(32))
    assert opened is None or sealed[1:] == _sealed_header()[1:]


@cache
def _sealed_header() -> bytes:
    return seal_header(AESGCM(_HEADER_KEY), bytes(12), Header(bytes(32), 1, 2, 3), bytes(32))


def _body(data: bytes) -> None:
    frame = open_body(_HEADER_KEY, bytes(12), data, b"")
    assert data == seal_body(_HEADER_KEY, bytes(12), frame, b"")


def _client_message(data: bytes) -> None:
    frames = decode_client_message(data)
    assert decode_client_message(encode_message(frames)) == frames
    assert all(repr(frame) for frame in frames)


def _relay_message(data: bytes) -> None:
    frames = decode_relay_message(data)
    assert decode_relay_message(encode_message(frames)) == frames
    assert all(repr(frame) for frame in frames)


def _content(data: bytes) -> None:
    parts = decode_content(data)
    assert decode_content(encode_content(parts)) == parts
    assert all(repr(part) for part in parts)


def _text_of(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _address(data: bytes) -> None:
    with suppress(InvalidAddress):
        address = RelayAddress.parse(_text_of(data))
        assert RelayAddress.parse(str(address)) == address
        assert address.url.isascii()


def _number(data: bytes) -> None:
    text = _text_of(data)
    for region in (None, "DE", "US"):
        with suppress(InvalidPhoneNumber):
            number = parse_number(text, region)
            assert parse_number(number) == number
            assert parse_number(format_number(number)) == number


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
    ]
    return [*(encode_message([frame]) for frame in every), encode_message(every), b"\x91\x92\xcd\x00\x01\x01"]


def _relay_seeds() -> list[bytes]:
    every: list[f.Frame] = [
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
    ]
    # A type, a length and a depth that no part has.
    odd = [msgspec.msgpack.encode([[1, bytes(16), 0, 1, []]]), b"\x91\xdd\xff\xff\xff\xff", b"\x91" * 2000]
    return [*(encode_content([part]) for part in every), encode_content(every), *odd]


def _texts(*texts: str) -> Callable[[], list[bytes]]:
    return lambda: [text.encode("utf-8", "surrogatepass") for text in texts]


def _wire(decode: Callable[[bytes], None], seeds: Callable[[], list[bytes]]) -> Target:
    return Target(seeds, _decoder(decode).check)


DECODERS: dict[str, Target] = {
    "client message": _wire(_client_message, _client_seeds),
    "relay message": _wire(_relay_message, _relay_seeds),
    "content": _wire(_content, _content_seeds),
    "signal of a relay": Target(_signal_seeds, _signal),
    "document": _decoder(_identity, lambda: bob().keys.document + bob().keys.document_signature),
    "identity keys": _decoder(_identity_keys, lambda: bob().keys.encode()),
    "signed set": _decoder(_signed_set, lambda: bob().signed.public.encode()),
    "signed secrets": _decoder(_signed_secrets, lambda: bob().signed.encode()),
    "pair": _decoder(_pair, lambda: bob().pair.public.encode()),
    "pair secrets": _decoder(_pair_secrets, lambda: bob().pair.encode()),
    "session state": _decoder(_session, *(lambda at=at: _sessions()[at].encode() for at in (0, 1))),
    "sealed set-up": _decoder(lambda data: open_setup(data, {3: bob().signed}, bob().keys.uid), _sealed),
    "set-up fields": _decoder(_setup_fields_come_back, _setup_fields),
    "pq record": _decoder(
        _record_comes_back,
        lambda: PqRecord(FROM_OWNER, 1, 3, 5, bytes(64)).encode(),
        lambda: PqRecord(FROM_ENCAPSULATOR, 2**32 - 1, 0, 2**37 - 1, b"").encode(),
    ),
    "frame": _decoder(
        _frame_comes_back, lambda: build_frame(b"content", b"record", 100), lambda: build_frame(b"", b"", 6)
    ),
    "header": _decoder(_header, _sealed_header, lambda: bytes(73)),
    "body": _decoder(_body, lambda: seal_body(_HEADER_KEY, bytes(12), b"frame", b"")),
    "x25519 key": _decoder(
        _agreement_key, lambda: X25519KeyPair(bytes(32)).public, lambda: (2**255 - 20).to_bytes(32, "little")
    ),
    "ed25519 key": _decoder(
        parse_ed25519, lambda: bob().keys.document[1:33], lambda: (2**255 - 20).to_bytes(32, "little")
    ),
    "ml-kem-768 key": _decoder(parse_mlkem768, lambda: bob().signed.public.seal[:1184]),
    "ml-kem-1024 key": _decoder(parse_mlkem1024, lambda: bob().signed.public.last_resort),
    "relay address": Target(
        _texts(
            "zap2://abcdefghijklmnopqrstuvwxyz234567@chat.example.org:443",
            "wss://[2001:db8::1%25eth0]:65535/",
            "ws://127.0.0.1:0",
            "zap2+ws://@localhost",
            "wss://xn--e1afmkfd.example.",
        ),
        _address,
    ),
    "phone number": Target(
        _texts("+49 1512 3456789", "00491512345678", "(555) 010-9999;ext=5", "+٤٩١٥١٢", "+1" + "9" * 300),
        _number,
    ),
    "text": Target(
        _texts("hello\r\n\x1b]52;c;\x07", "\u202eabc\u2069", "e\u0301" * 40, "🏳️‍🌈🇩🇪", "\ud800"), _any_text
    ),
}
