"""Other people's X3DH and Double Ratchet (PyPI `X3DH`, `DoubleRatchet`), set to the protocol's algorithms.

Used to talk to Zap2's own code in tests/interop and to race it in bench. Their coroutines never wait for anything,
so they are run to their end without an event loop.
"""

from __future__ import annotations

import os
from collections.abc import Coroutine
from typing import Any, TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand
from doubleratchet import DoubleRatchet, EncryptedMessage, Header
from doubleratchet import aead as their_aead
from doubleratchet import kdf as their_kdf
from doubleratchet.recommended import HashFunction, aead_aes_hmac, kdf_hkdf, kdf_separate_hmacs
from doubleratchet.recommended.diffie_hellman_ratchet_curve25519 import DiffieHellmanRatchet
from x3dh import Bundle, IdentityKeyFormat
from x3dh import HashFunction as AgreementHash
from x3dh import State as StockedState
from x3dh.base_state import BaseState

T = TypeVar("T")

CHAIN_CONSTANT = b"\x02\x01"
ROOT_INFO = b"Zap2 v1 root"
X3DH_INFO = b"Zap2 v1 PQXDH X25519 ML-KEM-1024 SHA-256"


def finish(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    raise AssertionError("the coroutine waited for something")


class AgreementState(BaseState):
    """X3DH with identity keys as Ed25519."""

    @staticmethod
    def _encode_public_key(key_format: IdentityKeyFormat, pub: bytes) -> bytes:
        return b"".join([b"\x01" if key_format is IdentityKeyFormat.CURVE_25519 else b"\x02", pub])

    @classmethod
    def make(cls, one_time_keys: int) -> AgreementState:
        """Make a party with some one-time keys."""
        state: AgreementState = cls.create(IdentityKeyFormat.ED_25519, AgreementHash.SHA_256, X3DH_INFO)
        state.generate_pre_keys(one_time_keys)
        return state


class ShippedState(StockedState):
    """X3DH as the package ships it: a stock of one-time keys, refilled and published at each use."""

    @staticmethod
    def _encode_public_key(key_format: IdentityKeyFormat, pub: bytes) -> bytes:
        return AgreementState._encode_public_key(key_format, pub)

    def _publish_bundle(self, bundle: Bundle) -> None:
        self.published = bundle


class ChainKdf(kdf_separate_hmacs.KDF):
    """HMAC-SHA256 with 0x02 for the chain and 0x01 for the message."""

    @staticmethod
    def _get_hash_function() -> HashFunction:
        return HashFunction.SHA_256


class RootKdf(kdf_hkdf.KDF):
    """HKDF-SHA256 with Zap2's label."""

    @staticmethod
    def _get_hash_function() -> HashFunction:
        return HashFunction.SHA_256

    @staticmethod
    def _get_info() -> bytes:
        return ROOT_INFO


class RecommendedAead(aead_aes_hmac.AEAD):
    """The AEAD that the package itself recommends: AES-256-CBC and HMAC-SHA256."""

    @staticmethod
    def _get_hash_function() -> HashFunction:
        return HashFunction.SHA_256

    @staticmethod
    def _get_info() -> bytes:
        return b"Zap2 test AEAD"


class PlainRatchet(DoubleRatchet):
    """Their ratchet with headers in the clear."""

    @staticmethod
    def _build_associated_data(associated_data: bytes, header: Header) -> bytes:
        return associated_data + encode_header(header)


def encode_header(header: Header, pq_epoch: int = 0) -> bytes:
    """Write a header as the protocol does, 44 bytes."""
    counters = (header.previous_sending_chain_length, header.sending_chain_length, pq_epoch)
    return bytes(header.ratchet_pub) + b"".join(counter.to_bytes(4, "big") for counter in counters)


def decode_header(encoded: bytes) -> Header:
    """Read a header of 44 bytes."""
    return Header(encoded[:32], int.from_bytes(encoded[32:36], "big"), int.from_bytes(encoded[36:40], "big"))


def parameters(aead: type[their_aead.AEAD], root_kdf: type[their_kdf.KDF]) -> dict[str, Any]:
    """Give the arguments that their ratchet takes beside keys and message."""
    return {
        "diffie_hellman_ratchet_class": DiffieHellmanRatchet,
        "root_chain_kdf": root_kdf,
        "message_chain_kdf": ChainKdf,
        "message_chain_constant": CHAIN_CONSTANT,
        "dos_protection_threshold": 1000,
        "max_num_skipped_message_keys": 2000,
        "aead": aead,
    }


class Zap2Peer:
    """Their ratchet speaking Zap2's wire format: header encryption, nonce in the message key, padding.

    Written from the specification alone, with none of Zap2's code. It passes over the records of the post-quantum
    ratchet, so that a session with it stays at epoch 0.
    """

    def __init__(self, shared: bytes, transcript_hash: bytes, first: bytes, second: bytes) -> None:
        """Take RK, TH, the initiator's first header key and the responder's next one."""
        self._shared, self._transcript_hash = shared, transcript_hash
        self._first, self._second = first, second
        self._ratchet: DoubleRatchet | None = None
        self._peer_public = b""
        self._own_private = b""
        self._next_is_sending = False
        self._sending_key = self._receiving_key = b""
        self._next_sending = self._next_receiving = b""
        self._old_keys: list[bytes] = []
        self._nonce = b""
        peer = self

        class HeaderRootKdf(their_kdf.KDF):
            """Derives 96 bytes and keeps the third block as the next header key."""

            @staticmethod
            async def derive(key: bytes, data: bytes, length: int) -> bytes:
                derived = HKDF(hashes.SHA256(), 96, key, ROOT_INFO).derive(data)
                peer._take_header_key(derived[64:])
                return derived[:length]

        class BodyAead(their_aead.AEAD):
            """ChaCha20-Poly1305 under a key that the header's nonce enters."""

            @staticmethod
            async def encrypt(plaintext: bytes, key: bytes, associated_data: bytes) -> bytes:
                material = HKDFExpand(hashes.SHA256(), 44, b"Zap2 v1 message" + peer._nonce).derive(key)
                return ChaCha20Poly1305(material[:32]).encrypt(material[32:], plaintext, associated_data)

            @staticmethod
            async def decrypt(ciphertext: bytes, key: bytes, associated_data: bytes) -> bytes:
                material = HKDFExpand(hashes.SHA256(), 44, b"Zap2 v1 message" + peer._nonce).derive(key)
                return ChaCha20Poly1305(material[:32]).decrypt(material[32:], ciphertext, associated_data)

        class HeaderRatchet(DoubleRatchet):
            """Their ratchet with the encrypted header as associated data."""

            @staticmethod
            def _build_associated_data(associated_data: bytes, header: Header) -> bytes:
                return associated_data + peer._current_header(header)

        self._class = HeaderRatchet
        self._parameters = parameters(BodyAead, HeaderRootKdf)
        self._sealed_header: bytes | None = None
        self._written_header = b""

    def begin_as_initiator(self, peer_public: bytes) -> None:
        """Take the responder's signed prekey; the first `encrypt` begins."""
        self._peer_public = peer_public
        self._next_sending, self._next_receiving = self._first, self._second
        self._next_is_sending = True

    def begin_as_responder(self, own_private: bytes) -> None:
        """Take the own signed prekey; the first `decrypt` begins."""
        self._own_private = own_private
        self._next_sending, self._next_receiving = self._second, self._first

    def encrypt(self, content: bytes) -> bytes:
        """Encrypt into the smallest size."""
        size = next(size for size in (512, 1024, 2048, 4096) if size >= len(content) + 6 + 89)
        frame = len(content).to_bytes(4, "big") + b"\x00\x00" + content
        frame += bytes(size - 89 - len(frame))
        self._nonce, self._sealed_header = os.urandom(12), None
        if self._ratchet is None:
            self._ratchet, message = finish(
                self._class.encrypt_initial_message(
                    **self._parameters,
                    shared_secret=self._shared,
                    recipient_ratchet_pub=self._peer_public,
                    message=frame,
                    associated_data=self._transcript_hash,
                )
            )
        else:
            message = finish(self._ratchet.encrypt_message(frame, self._transcript_hash))
        return self._written_header + bytes(message.ciphertext)

    def decrypt(self, payload: bytes) -> bytes:
        """Decrypt one payload."""
        sealed, ciphertext = payload[:73], payload[73:]
        self._nonce, self._sealed_header = sealed[1:13], sealed
        header = decode_header(self._open_header(sealed))
        message = EncryptedMessage(header, ciphertext)
        if self._ratchet is None:
            self._ratchet, frame = finish(
                self._class.decrypt_initial_message(
                    **self._parameters,
                    shared_secret=self._shared,
                    own_ratchet_priv=self._own_private,
                    message=message,
                    associated_data=self._transcript_hash,
                )
            )
        else:
            frame = finish(self._ratchet.decrypt_message(message, self._transcript_hash))
        length, record = int.from_bytes(frame[:4], "big"), int.from_bytes(frame[4:6], "big")
        assert not any(frame[6 + length + record :])
        content: bytes = frame[6 : 6 + length]
        return content

    def _take_header_key(self, key: bytes) -> None:
        if self._next_is_sending:
            self._sending_key, self._next_sending = self._next_sending, key
        else:
            self._old_keys.append(self._receiving_key)
            self._receiving_key, self._next_receiving = self._next_receiving, key
        self._next_is_sending = not self._next_is_sending

    def _current_header(self, header: Header) -> bytes:
        if self._sealed_header is not None:
            return self._sealed_header
        sealed = AESGCM(self._sending_key).encrypt(self._nonce, encode_header(header), self._transcript_hash)
        self._written_header = b"\x01" + self._nonce + sealed
        return self._written_header

    def _open_header(self, sealed: bytes) -> bytes:
        for key in [self._receiving_key, self._next_receiving, *self._old_keys]:
            if key:
                try:
                    return AESGCM(key).decrypt(sealed[1:13], sealed[13:], self._transcript_hash)
                except InvalidTag:
                    continue
        raise AssertionError("no header key opens this header")
