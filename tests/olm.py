"""Olm, as PyPI `vodozemac` speaks it, over Zap2's own ratchet core.

Used to talk to vodozemac in tests/interop and to race it in bench. What Olm has and Zap2 has not is written here,
from Olm's specification: the triple agreement, the message format (version 3, protobuf-like fields, a MAC of 8
bytes), AES-256-CBC, and a first chain that needs no agreement. The chains are those of `zap2.crypto.ratchet`.

Olm's headers do not say how many messages the chain before had (PN). So the core is told at each turn that 40 more
were sent on it than came, which is how many late messages vodozemac itself bears with.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives import hashes, hmac, padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from vodozemac import Account, AnyOlmMessage, Curve25519PublicKey
from vodozemac import Session as VodozemacSession

from zap2.crypto.header import Header
from zap2.crypto.primitives import X25519KeyPair, hkdf_sha256
from zap2.crypto.ratchet import DoubleRatchet, RatchetLabels
from zap2.crypto.ratchet_state import RatchetState, ReceivingChain, SendingChain
from zap2.ids import RandomBytes

OLM_RATCHET: Final = DoubleRatchet(
    RatchetLabels(root_info=b"OLM_RATCHET", message_key_input=b"\x01", chain_key_input=b"\x02")
)

_NO_KEY: Final = bytes(32)
"""In the place of header keys, which Olm has not."""

_VERSION: Final = b"\x03"
_MAC_B: Final = 8
_LATE: Final = 40
_PREKEY, _NORMAL = 0, 1

# Tags of a message, and of a prekey message: number of the field << 3 | type.
_RATCHET_KEY, _INDEX, _CIPHERTEXT = 0x0A, 0x10, 0x22
_ONE_TIME_KEY, _BASE_KEY, _IDENTITY_KEY, _MESSAGE = 0x0A, 0x12, 0x1A, 0x22


@dataclass
class OlmParty:
    """Zap2's ratchet as one side of an Olm session; payloads are a byte for the kind and Olm's bytes."""

    rng: RandomBytes
    identity: X25519KeyPair = field(init=False)
    one_time: X25519KeyPair = field(init=False)
    _state: RatchetState | None = field(init=False, default=None, repr=False)
    _prekey_fields: bytes = field(init=False, default=b"", repr=False)

    def __post_init__(self) -> None:
        self.identity, self.one_time = X25519KeyPair.generate(self.rng), X25519KeyPair.generate(self.rng)

    def begin(self, peer_identity: bytes, peer_one_time: bytes) -> None:
        """Set up with somebody's identity key and one-time key; every payload repeats it until one comes back."""
        base, ratchet = X25519KeyPair.generate(self.rng), X25519KeyPair.generate(self.rng)
        root_key, chain_key = _first_keys(
            self.identity.agree(peer_one_time) + base.agree(peer_identity) + base.agree(peer_one_time)
        )
        sending = SendingChain(chain_key, 0, _NO_KEY, 0)
        self._state = RatchetState(root_key, ratchet, None, sending, 0, _NO_KEY, None, _NO_KEY, (), {})
        self._prekey_fields = (
            _bytes_field(_ONE_TIME_KEY, peer_one_time)
            + _bytes_field(_BASE_KEY, base.public)
            + _bytes_field(_IDENTITY_KEY, self.identity.public)
        )

    def send(self, content: bytes) -> bytes:
        """Encrypt a content."""
        assert self._state is not None
        step = OLM_RATCHET.send(self._state, rng=self.rng)
        self._state = step.state
        message = _seal(step.message_key, step.header, content)
        if not self._prekey_fields:
            return bytes([_NORMAL]) + message
        return bytes([_PREKEY]) + _VERSION + self._prekey_fields + _bytes_field(_MESSAGE, message)

    def receive(self, payload: bytes) -> bytes:
        """Decrypt a payload; the first one sets the session up."""
        message = payload[1:]
        if payload[0] == _PREKEY:
            prekey_fields = _fields_of(message)
            message = _bytes_of(prekey_fields, _MESSAGE)
            if self._state is None:
                self._answer(prekey_fields, message)
        assert self._state is not None
        fields = _fields_of(message[:-_MAC_B])
        key, number = _bytes_of(fields, _RATCHET_KEY), fields[_INDEX]
        assert isinstance(number, int)
        receiving = self._state.receiving
        missing = receiving.count + _LATE if receiving is not None else 0
        self._state, message_key = OLM_RATCHET.receive(self._state, Header(key, missing, number, 0), now_s=0)
        self._prekey_fields = b""
        return _open(message_key, message, _bytes_of(fields, _CIPHERTEXT))

    def _answer(self, prekey_fields: dict[int, int | bytes], message: bytes) -> None:
        base, peer = _bytes_of(prekey_fields, _BASE_KEY), _bytes_of(prekey_fields, _IDENTITY_KEY)
        assert _bytes_of(prekey_fields, _ONE_TIME_KEY) == self.one_time.public
        root_key, chain_key = _first_keys(
            self.one_time.agree(peer) + self.identity.agree(base) + self.one_time.agree(base)
        )
        public = _bytes_of(_fields_of(message[:-_MAC_B]), _RATCHET_KEY)
        receiving = ReceivingChain(1, public, chain_key, 0, _NO_KEY, 0)
        self._state = RatchetState(root_key, None, public, None, 0, _NO_KEY, receiving, _NO_KEY, (), {})


class VodozemacParty:
    """vodozemac's account and session, behind the same face."""

    def __init__(self) -> None:
        self._account = Account()
        self._account.generate_one_time_keys(1)
        (one_time,) = self._account.one_time_keys.values()
        self.identity_key, self.one_time_key = self._account.curve25519_key.to_bytes(), one_time.to_bytes()
        self._session: VodozemacSession | None = None
        self._peer_identity = b""

    def begin(self, peer_identity: bytes, peer_one_time: bytes) -> None:
        """Set up with somebody's identity key and one-time key."""
        self._session = self._account.create_outbound_session(
            Curve25519PublicKey.from_bytes(peer_identity), Curve25519PublicKey.from_bytes(peer_one_time)
        )

    def expect(self, peer_identity: bytes) -> None:
        """Take the identity key of whoever will set up."""
        self._peer_identity = peer_identity

    def send(self, content: bytes) -> bytes:
        """Encrypt a content."""
        assert self._session is not None
        kind, message = self._session.encrypt(content).to_parts()
        return bytes([kind]) + message

    def receive(self, payload: bytes) -> bytes:
        """Decrypt a payload; the first one sets the session up where `begin` did not."""
        message = AnyOlmMessage.from_parts(payload[0], payload[1:])
        if self._session is not None:
            return bytes(self._session.decrypt(message))
        prekey_message = message.to_pre_key()
        assert prekey_message is not None
        self._session, content = self._account.create_inbound_session(
            Curve25519PublicKey.from_bytes(self._peer_identity), prekey_message
        )
        return bytes(content)


def vodozemac_sessions() -> tuple[VodozemacSession, VodozemacSession]:
    """Give both sides of a vodozemac session on which each has read something, for a race."""
    alice, bob = Account(), Account()
    bob.generate_one_time_keys(1)
    (one_time,) = bob.one_time_keys.values()
    at_alice = alice.create_outbound_session(bob.curve25519_key, one_time)
    first = at_alice.encrypt(b"hello").to_pre_key()
    assert first is not None
    at_bob, _ = bob.create_inbound_session(alice.curve25519_key, first)
    at_alice.decrypt(at_bob.encrypt(b"hello back"))
    return at_alice, at_bob


def vodozemac_set_up(alice: Account, bob: Account, one_time: Curve25519PublicKey, content: bytes) -> None:
    """Begin with a one-time key of Bob's, write once, and let him read it: one set-up of a race."""
    first = alice.create_outbound_session(bob.curve25519_key, one_time).encrypt(content).to_pre_key()
    assert first is not None
    _, read = bob.create_inbound_session(alice.curve25519_key, first)
    assert read == content


def _first_keys(agreed: bytes) -> tuple[bytes, bytes]:
    keys = hkdf_sha256(salt=b"", ikm=agreed, info=b"OLM_ROOT", length_b=64)
    return keys[:32], keys[32:]


def _message_keys(message_key: bytes) -> tuple[Cipher[modes.CBC], bytes]:
    keys = hkdf_sha256(salt=b"", ikm=message_key, info=b"OLM_KEYS", length_b=80)
    return Cipher(algorithms.AES256(keys[:32]), modes.CBC(keys[64:])), keys[32:64]


def _seal(message_key: bytes, header: Header, content: bytes) -> bytes:
    cipher, mac_key = _message_keys(message_key)
    padder, encryptor = padding.PKCS7(128).padder(), cipher.encryptor()
    ciphertext = encryptor.update(padder.update(content) + padder.finalize()) + encryptor.finalize()
    message = (
        _VERSION
        + _bytes_field(_RATCHET_KEY, header.ratchet_key)
        + bytes([_INDEX])
        + _varint(header.number)
        + _bytes_field(_CIPHERTEXT, ciphertext)
    )
    return message + _mac(mac_key, message)


def _open(message_key: bytes, message: bytes, ciphertext: bytes) -> bytes:
    cipher, mac_key = _message_keys(message_key)
    assert message[-_MAC_B:] == _mac(mac_key, message[:-_MAC_B])
    decryptor, unpadder = cipher.decryptor(), padding.PKCS7(128).unpadder()
    padded = decryptor.update(ciphertext) + decryptor.finalize()
    return unpadder.update(padded) + unpadder.finalize()


def _mac(key: bytes, message: bytes) -> bytes:
    code = hmac.HMAC(key, hashes.SHA256())
    code.update(message)
    return code.finalize()[:_MAC_B]


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*encoded, number])


def _bytes_field(tag: int, value: bytes) -> bytes:
    return bytes([tag]) + _varint(len(value)) + value


def _fields_of(message: bytes) -> dict[int, int | bytes]:
    """Read version and fields; those of type 2 are bytes, the others numbers."""
    assert message[:1] == _VERSION
    fields: dict[int, int | bytes] = {}
    at = 1
    while at < len(message):
        tag = message[at]
        number, at = _read_varint(message, at + 1)
        if tag & 7 == 2:
            fields[tag], at = message[at : at + number], at + number
        else:
            fields[tag] = number
    return fields


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        number |= (message[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if message[at - 1] < 0x80:
            return number, at


def _bytes_of(fields: dict[int, int | bytes], tag: int) -> bytes:
    value = fields[tag]
    assert isinstance(value, bytes)
    return value
