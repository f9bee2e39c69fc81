"""What Zap2's protocol cannot cost less than: the primitives of a message and of a set-up, and nothing else.

Each is called in the cheapest way that `cryptography` and the standard library offer, in a loop that keeps nothing.
All functions give seconds of the processor's time for both sides together.
"""

from __future__ import annotations

import os
import time

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mlkem import (
    MLKEM768PrivateKey,
    MLKEM768PublicKey,
    MLKEM1024PrivateKey,
    MLKEM1024PublicKey,
)
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PublicKey,
    Suite,
)
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

from tests.crypto_world import confirmed, new_person

_SHA256 = hashes.SHA256()
_TRANSCRIPT_HASH = bytes(32)
_HEADER = bytes(44)
_FRAME = bytes(2048 - 73 - 16)
_INFO = b"Zap2 v1 message"
_SUITE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


def chain(count: int) -> float:
    """Messages of 2048 bytes in one chain: two positions, the header and the body there and back."""
    key = os.urandom(32)
    header_key = AESGCM(key)
    start = time.process_time()
    for _ in range(count):
        nonce = os.urandom(12)
        _step_chain(key)
        header = header_key.encrypt(nonce, _HEADER, _TRANSCRIPT_HASH)
        material = HKDFExpand(_SHA256, 44, _INFO + nonce).derive(key)
        associated_data = _TRANSCRIPT_HASH + header
        body = ChaCha20Poly1305(material[:32]).encrypt(material[32:], _FRAME, associated_data)
        header_key.decrypt(nonce, header, _TRANSCRIPT_HASH)
        _step_chain(key)
        material = HKDFExpand(_SHA256, 44, _INFO + nonce).derive(key)
        ChaCha20Poly1305(material[:32]).decrypt(material[32:], body, associated_data)
    return time.process_time() - start


def ping_pong(count: int) -> float:
    """As `chain`, with a new ratchet key, root step and header key each, and ML-KEM as often as an epoch begins."""
    seconds, peer, epoch_at = chain(count), _x25519_public(), _messages_an_epoch()
    root_key = os.urandom(32)
    start = time.process_time()
    for number in range(count):
        own = X25519PrivateKey.from_private_bytes(os.urandom(32))
        own.public_key().public_bytes_raw()
        for _ in range(2):
            agreed = own.exchange(X25519PublicKey.from_public_bytes(peer))
            keys = HKDF(_SHA256, 96, root_key, b"Zap2 v1 root").derive(agreed)
            AESGCM(keys[64:])
        if number % epoch_at == 0:
            _pass_epoch()
    return time.process_time() - start + seconds


def set_up(count: int) -> float:
    """A set-up with its first message; the responder's signed set is in memory."""
    person, peer = new_person("floor"), _x25519_public()
    signed, pair, seal = person.signed.public, person.pair, person.signed.seal_key
    statement = b"statement"
    signature, signer = person.keys.sign(statement), person.identity.signing_key
    private = X25519PrivateKey.from_private_bytes(os.urandom(32))
    start = time.process_time()
    for _ in range(count):
        for _ in range(4):  # the responder's identity, signed set and one-time pair; the initiator's identity
            Ed25519PublicKey.from_public_bytes(signer).verify(signature, statement)
        MLKEM1024PublicKey.from_public_bytes(signed.last_resort)
        _, ciphertext = MLKEM1024PublicKey.from_public_bytes(pair.public.kem_key).encapsulate()
        for _ in range(3):  # ephemeral key and ratchet key; the responder's one-time key
            X25519PrivateKey.from_private_bytes(os.urandom(32)).public_key().public_bytes_raw()
        for _ in range(10):  # four agreements and one root step, twice
            private.exchange(X25519PublicKey.from_public_bytes(peer))
        MLKEM768PrivateKey.from_seed_bytes(os.urandom(64)).public_key().public_bytes_raw()
        for _ in range(6):  # both stages and a root step, twice
            HKDF(_SHA256, 96, _TRANSCRIPT_HASH, _INFO).derive(peer)
        message = bytes(4096 - 5 - 1136 - 1734)
        sealed = _SUITE.encrypt(bytes(1734) + message, _parse_seal(signed.seal), info=_INFO)
        _SUITE.decrypt(sealed, seal, info=_INFO)
        MLKEM1024PrivateKey.from_seed_bytes(pair.kem_seed).decapsulate(ciphertext)
    return time.process_time() - start + chain(count)


def trials(count: int) -> float:
    """Try so many header keys on a header that none of them fits."""
    keys = [AESGCM(os.urandom(32)) for _ in range(count)]
    nonce, header = os.urandom(12), os.urandom(60)
    start = time.process_time()
    for key in keys:
        try:
            key.decrypt(nonce, header, _TRANSCRIPT_HASH)
        except InvalidTag:
            continue
    return time.process_time() - start


def _step_chain(key: bytes) -> None:
    first = HMAC(key, _SHA256)
    second = first.copy()
    first.update(b"\x01")
    second.update(b"\x02")
    first.finalize(), second.finalize()


def _pass_epoch() -> None:
    own = MLKEM768PrivateKey.from_seed_bytes(os.urandom(64))
    public = own.public_key().public_bytes_raw()
    _, ciphertext = MLKEM768PublicKey.from_public_bytes(public).encapsulate()
    own.decapsulate(ciphertext)


def _messages_an_epoch() -> int:
    """Look how many messages in ping-pong an epoch takes."""
    at_alice, at_bob, rng = confirmed()
    count = 0
    while at_alice.pq_epoch.sending < 10:
        at_alice, payload = at_alice.encrypt(bytes(1024), rng=rng, now_s=0)
        at_bob, _ = at_bob.decrypt(payload, now_s=0)
        at_alice, at_bob, count = at_bob, at_alice, count + 1
    return round(count / 10)


def _parse_seal(seal: bytes) -> MLKEM768X25519PublicKey:
    kem, agreement = MLKEM768PublicKey.from_public_bytes(seal[:1184]), seal[1184:]
    return MLKEM768X25519PublicKey(kem, X25519PublicKey.from_public_bytes(agreement))


def _x25519_public() -> bytes:
    return X25519PrivateKey.generate().public_key().public_bytes_raw()
