"""The protocol a second time, from docs/protocol.md alone, in plain calls of the library.

Nothing of `zap2` computes here what is compared: a label, an order of fields, a size or a key that is used for
something else would let our own two sides agree and an outside client fail.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM1024PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, MLKEM768X25519PrivateKey, Suite
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

from tests.crypto_world import NOW_S, Person, confirmed, new_person, pq_of, seeded, state_of
from zap2.crypto import Session, initiate
from zap2.crypto.pq_state import Due


def _lp(*parts: bytes) -> bytes:
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def _hkdf(salt: bytes, ikm: bytes, info: bytes, size_b: int) -> bytes:
    return HKDF(hashes.SHA256(), size_b, salt, info).derive(ikm)


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _agree(private: bytes, public: bytes) -> bytes:
    return X25519PrivateKey.from_private_bytes(private).exchange(X25519PublicKey.from_public_bytes(public))


def _public(private: bytes) -> bytes:
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def _root(root: bytes, ikm: bytes) -> tuple[bytes, bytes, bytes]:
    keys = _hkdf(root, ikm, b"Zap2 v1 root", 96)
    return keys[:32], keys[32:64], keys[64:]


def _open_message(message: bytes, header_key: bytes, th: bytes) -> tuple[bytes, tuple[int, int, int]]:
    """Open the header of a message: ratchet key and the three counters."""
    assert message[0] == 1
    header = AESGCM(header_key).decrypt(message[1:13], message[13:73], th)
    assert len(header) == 44
    previous, number, epoch = (int.from_bytes(header[at : at + 4], "big") for at in (32, 36, 40))
    return header[:32], (previous, number, epoch)


def _open_body(message: bytes, chain_key: bytes, th: bytes) -> tuple[bytes, bytes]:
    """Open the body at the chain's position: content and post-quantum record; the rest must be zeros."""
    message_key = hmac.digest(chain_key, b"\x01", "sha256")
    material = HKDFExpand(hashes.SHA256(), 44, b"Zap2 v1 message" + message[1:13]).derive(message_key)
    frame = ChaCha20Poly1305(material[:32]).decrypt(material[32:], message[73:], th + message[:73])
    content_end = 6 + int.from_bytes(frame[:4], "big")
    record_end = content_end + int.from_bytes(frame[4:6], "big")
    assert frame[record_end:] == bytes(len(frame) - record_end)
    return frame[6:content_end], frame[content_end:record_end]


@dataclass
class _ByHand:
    """What the responder has after the first message: enough to answer, and to read the initiator's next chain."""

    th: bytes
    root: bytes
    own_header_key: bytes
    peer_next_header_key: bytes
    peer_ratchet_key: bytes
    setup_hash: bytes


def _take_up(bob: Person, payload: bytes, *, with_pair: bool) -> tuple[_ByHand, bytes, bytes]:
    """Open a sealed set-up as the page says; gives what follows from it, the content and the record."""
    signed, document = bob.signed.public.encode(), bob.keys.document
    sid, spk, lrk, seal = signed[:4], signed[20:52], signed[52:1620], signed[1620:2836]
    assert payload[:5] == b"\x02" + sid
    seal_key = MLKEM768X25519PrivateKey(
        MLKEM768PrivateKey.from_seed_bytes(bob.signed.seal_seed),
        X25519PrivateKey.from_private_bytes(bob.signed.seal_private),
    )
    info = _lp(b"Zap2 v1 sealed init", _sha256(document), sid, _sha256(signed))
    suite = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
    plaintext = suite.decrypt(payload[5:], seal_key, info=info)
    alice, alice_signature = plaintext[:65], plaintext[65:129]
    Ed25519PublicKey.from_public_bytes(alice[1:33]).verify(alice_signature, _lp(b"Zap2 v1 identity", alice))
    pair = bob.pair.public.encode() if with_pair else b""
    oid, opk, okem = pair[:4], pair[4:36], pair[36:1604]
    assert plaintext[129:134] == (b"\x01" + oid if with_pair else bytes(5))
    ek, ct, message = plaintext[134:166], plaintext[166:1734], plaintext[1734:]

    spk_private, identity_private = bob.signed.signed_prekey.private, bob.keys.agreement.private
    dh = _agree(spk_private, alice[33:]) + _agree(identity_private, ek) + _agree(spk_private, ek)
    if with_pair:
        dh += _agree(bob.pair.agreement.private, ek)
    kem_seed = bob.pair.kem_seed if with_pair else bob.signed.last_resort_seed
    ss = MLKEM1024PrivateKey.from_seed_bytes(kem_seed).decapsulate(ct)
    sk0 = _hkdf(bytes(32), b"\xff" * 32 + dh + ss, b"Zap2 v1 PQXDH X25519 ML-KEM-1024 SHA-256", 32)
    suite_name = b"X25519 ML-KEM-1024 SHA-256"
    ids = alice, document, _sha256(alice), _sha256(document)
    th = _sha256(
        _lp(b"Zap2 v1 transcript", suite_name, *ids, sid, spk, lrk, seal, oid, opk, okem, ek, ct),
    )
    keys = _hkdf(th, sk0, b"Zap2 v1 session keys", 96)
    root, header_key, own_header_key = keys[:32], keys[32:64], keys[64:]
    ratchet_key, counters = _open_message(message, header_key, th)
    assert counters == (0, 0, 0)
    root, chain_key, peer_next = _root(root, _agree(spk_private, ratchet_key))
    content, record = _open_body(message, chain_key, th)
    setup_hash = _sha256(ek + ct + alice)
    return _ByHand(th, root, own_header_key, peer_next, ratchet_key, setup_hash), content, record


def _write(by_hand: _ByHand, private: bytes, chain_key: bytes, content: bytes) -> bytes:
    """Write the first message of the responder's first chain, without a post-quantum record."""
    nonce = b"nonce of it."
    header = _public(private) + bytes(12)
    eh = b"\x01" + nonce + AESGCM(by_hand.own_header_key).encrypt(nonce, header, by_hand.th)
    message_key = hmac.digest(chain_key, b"\x01", "sha256")
    material = HKDFExpand(hashes.SHA256(), 44, b"Zap2 v1 message" + nonce).derive(message_key)
    frame = len(content).to_bytes(4, "big") + bytes(2) + content
    body = ChaCha20Poly1305(material[:32]).encrypt(material[32:], frame.ljust(423, b"\x00"), by_hand.th + eh)
    return eh + body


@pytest.mark.parametrize("with_pair", [True, False])
def test_a_session_is_what_the_page_says(with_pair: bool) -> None:
    """Sealed set-up, key agreement, transcript, header, body, frame, first turns: read and written by hand."""
    alice, bob = new_person("alice"), new_person("bob")
    at_alice = initiate(alice.keys, bob.bundle(with_pair=with_pair), now_s=NOW_S, rng=alice.rng)
    at_alice, payload = at_alice.encrypt(b"hello", rng=alice.rng, now_s=NOW_S)
    assert len(payload) == 4096
    by_hand, content, record = _take_up(bob, payload, with_pair=with_pair)
    assert content == b"hello"
    assert record[:5] == b"\x01" + (1).to_bytes(4, "big")
    assert at_alice.session_id == _sha256(by_hand.th)
    assert at_alice.setup_hash == by_hand.setup_hash

    private = seeded("ratchet key by hand")(32)
    root, chain_key, _ = _root(by_hand.root, _agree(private, by_hand.peer_ratchet_key))
    answer = _write(by_hand, private, chain_key, b"answer by hand")
    assert len(answer) == 512
    at_alice, read = at_alice.decrypt(answer, now_s=NOW_S)
    assert read == b"answer by hand"

    for number, text in enumerate((b"next", b"after that")):
        at_alice, payload = at_alice.encrypt(text, rng=alice.rng, now_s=NOW_S)
        ratchet_key, counters = _open_message(payload, by_hand.peer_next_header_key, by_hand.th)
        assert counters == (1, number, 0)
        if number == 0:
            _, chain_key, _ = _root(root, _agree(private, ratchet_key))
        assert _open_body(payload, chain_key, by_hand.th)[0] == text
        chain_key = hmac.digest(chain_key, b"\x02", "sha256")


def test_prekeys_are_what_the_page_says() -> None:
    """Layout, numbers and signed bytes of document, set and pair."""
    bob = new_person("bob")
    document, signed, pair = bob.keys.document, bob.signed.public.encode(), bob.pair.public.encode()
    key = Ed25519PublicKey.from_public_bytes(document[1:33])
    assert document == b"\x01" + key.public_bytes_raw() + _public(bob.keys.agreement.private)
    key.verify(bob.keys.document_signature, _lp(b"Zap2 v1 identity", document))
    numbers = b"".join(n.to_bytes(s, "big") for n, s in ((3, 4), (NOW_S, 8), (NOW_S + 37 * 86_400, 8)))
    assert signed[:20] == numbers
    parts = signed[:20], signed[20:52], signed[52:1620], signed[1620:2836]
    key.verify(signed[2836:], _lp(b"Zap2 v1 signed prekey set", document, *parts))
    key.verify(
        pair[1604:], _lp(b"Zap2 v1 one-time prekey pair", document, pair[:4], pair[4:36], pair[36:1604])
    )
    assert pair[:4] == (7).to_bytes(4, "big")


def test_an_epoch_enters_the_root_after_the_agreement() -> None:
    """The owner's half-step is HKDF(RK, DH ‖ pq, "Zap2 v1 root"), under a new ratchet key and the header key owed."""
    sides: list[Session] = list(confirmed("fold")[:2])
    rng = seeded("fold by hand")
    for number in range(40):
        sender, receiver = number % 2, 1 - number % 2
        pq, before = pq_of(sides[sender]), state_of(sides[sender])
        sides[sender], payload = sides[sender].encrypt(bytes(80), rng=rng, now_s=NOW_S)
        if isinstance(pq, Due):
            break
        sides[receiver], _ = sides[receiver].decrypt(payload, now_s=NOW_S)
    assert isinstance(pq, Due)
    after, th = state_of(sides[sender]), sides[sender]._state.origin.transcript_hash
    assert after.own is not None
    assert before.peer is not None
    assert before.own is not None
    assert after.own.private != before.own.private
    root, chain_key, next_header_key = _root(
        before.root_key, _agree(after.own.private, before.peer) + pq.secret
    )
    ratchet_key, (_, position, epoch) = _open_message(payload, before.next_sending_header_key, th)
    assert (ratchet_key, position, epoch) == (_public(after.own.private), 0, pq.epoch)
    assert _open_body(payload, chain_key, th)[0] == bytes(80)
    assert (after.root_key, after.next_sending_header_key) == (root, next_header_key)
