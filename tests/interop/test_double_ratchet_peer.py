"""Conversations with other people's X3DH and Double Ratchet: both roles, loss, reordering."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import xeddsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from doubleratchet import EncryptedMessage
from doubleratchet import Header as TheirHeader
from x3dh import Bundle, IdentityKeyFormat
from x3dh import Header as AgreementHeader

from tests.conversations import CONVERSATIONS, Traffic, converse
from tests.crypto_world import NOW_S, new_person, seeded
from tests.syndace import (
    AgreementState,
    PlainRatchet,
    RecommendedAead,
    RootKdf,
    Zap2Peer,
    encode_header,
    finish,
    parameters,
)
from zap2.crypto import Session, pq_ratchet
from zap2.crypto.header import Header
from zap2.crypto.pqxdh import agree_initiator, agree_responder
from zap2.crypto.primitives import X25519KeyPair
from zap2.crypto.ratchet import DoubleRatchet, RatchetLabels
from zap2.crypto.ratchet_state import RatchetState
from zap2.crypto.session_state import SessionOrigin, new_state

_CURVE = IdentityKeyFormat.CURVE_25519


class _Zap2Session:
    """Our whole session: header encryption, body and padding."""

    def __init__(self, session: Session, seed: int) -> None:
        self._session, self._rng = session, seeded(seed)

    def send(self, content: bytes) -> bytes:
        self._session, payload = self._session.encrypt(content, rng=self._rng, now_s=NOW_S)
        self._session = Session.decode(self._session.encode())
        return payload

    def receive(self, payload: bytes) -> bytes:
        self._session, content = self._session.decrypt(payload, now_s=NOW_S)
        return content


@pytest.mark.parametrize("we_begin", [True, False])
def test_session_talks_to_their_ratchet_on_the_wire(we_begin: bool) -> None:
    """Every byte that leaves a session is read by their ratchet with the wire format put around it, and back."""
    traffic = Traffic()
    for seed in range(CONVERSATIONS):
        rng = seeded(seed)
        root_key, transcript_hash, first, second = rng(32), rng(32), rng(32), rng(32)
        prekey = X25519KeyPair.generate(rng)
        person = new_person(1)
        origin = SessionOrigin(
            transcript_hash,
            bytes(32),
            person.keys.document,
            person.keys.document_signature,
            we_begin,
            True,
        )
        ratchet = DoubleRatchet(RatchetLabels())
        theirs = Zap2Peer(root_key, transcript_hash, first, second)
        if we_begin:
            state = ratchet.start_initiator(
                root_key=root_key, header_key=first, peer_next_header_key=second, peer=prekey.public
            )
            theirs.begin_as_responder(prekey.private)
        else:
            state = ratchet.start_responder(
                root_key=root_key, peer_header_key=first, next_header_key=second, own=prekey
            )
            theirs.begin_as_initiator(prekey.public)
        ours = _Zap2Session(
            Session(new_state(origin, state, None, pq_ratchet.start(is_initiator=we_begin))), seed
        )

        if we_begin:
            traffic += converse(seed, (ours.send, theirs.encrypt), (ours.receive, theirs.decrypt))
        else:
            traffic += converse(seed, (theirs.encrypt, ours.send), (theirs.decrypt, ours.receive))
    traffic.check()


class _Zap2Core:
    """Our core alone, under the AEAD that their package recommends, with headers in the clear."""

    def __init__(self, state: RatchetState, seed: int) -> None:
        self._core, self._state, self._rng = DoubleRatchet(RatchetLabels()), state, seeded(seed)

    def send(self, content: bytes) -> bytes:
        step = self._core.send(self._state, rng=self._rng)
        self._state = step.state
        header = encode_header(
            TheirHeader(step.header.ratchet_key, step.header.previous_count, step.header.number)
        )
        return header + bytes(finish(RecommendedAead.encrypt(content, step.message_key, b"AD" + header)))

    def receive(self, payload: bytes) -> bytes:
        encoded, ciphertext = payload[:44], payload[44:]
        counters = [int.from_bytes(encoded[at : at + 4], "big") for at in (32, 36, 40)]
        header = Header(encoded[:32], *counters)
        self._state, key = self._core.receive(self._state, header, now_s=NOW_S)
        return bytes(finish(RecommendedAead.decrypt(ciphertext, key, b"AD" + encoded)))


class _TheirCore:
    """Their ratchet with headers in the clear."""

    def __init__(self, root_key: bytes, *, peer: bytes = b"", own: bytes = b"") -> None:
        self._root_key, self._peer, self._own = root_key, peer, own
        self._ratchet: PlainRatchet | None = None

    def send(self, content: bytes) -> bytes:
        if self._ratchet is None:
            self._ratchet, message = finish(
                PlainRatchet.encrypt_initial_message(
                    **parameters(RecommendedAead, RootKdf),
                    shared_secret=self._root_key,
                    recipient_ratchet_pub=self._peer,
                    message=content,
                    associated_data=b"AD",
                )
            )
        else:
            message = finish(self._ratchet.encrypt_message(content, b"AD"))
        return encode_header(message.header) + bytes(message.ciphertext)

    def receive(self, payload: bytes) -> bytes:
        counters = [int.from_bytes(payload[at : at + 4], "big") for at in (32, 36)]
        message = EncryptedMessage(TheirHeader(payload[:32], *counters), payload[44:])
        if self._ratchet is None:
            self._ratchet, content = finish(
                PlainRatchet.decrypt_initial_message(
                    **parameters(RecommendedAead, RootKdf),
                    shared_secret=self._root_key,
                    own_ratchet_priv=self._own,
                    message=message,
                    associated_data=b"AD",
                )
            )
            return bytes(content)
        return bytes(finish(self._ratchet.decrypt_message(message, b"AD")))


@pytest.mark.parametrize("we_begin", [True, False])
def test_core_talks_to_their_ratchet_after_their_x3dh(we_begin: bool) -> None:
    """X3DH of theirs and stage one of ours agree, and the two ratchets talk with the package's own AEAD."""
    traffic = Traffic()
    for seed in range(CONVERSATIONS):
        rng = seeded(f"core {seed}")
        core = DoubleRatchet(RatchetLabels())
        their_state = AgreementState.make(seed % 2)
        if we_begin:
            root_key, their_private, their_public = _agree_with_their_bundle(their_state, rng)
            ours = _Zap2Core(
                core.start_initiator(
                    root_key=root_key, header_key=bytes(32), peer_next_header_key=bytes(32), peer=their_public
                ),
                seed,
            )
            theirs = _TheirCore(root_key, own=their_private)
            sides = (ours.send, theirs.send), (ours.receive, theirs.receive)
        else:
            root_key, prekey = _be_agreed_with(their_state, rng, with_pair=bool(seed % 2))
            ours = _Zap2Core(
                core.start_responder(
                    root_key=root_key, peer_header_key=bytes(32), next_header_key=bytes(32), own=prekey
                ),
                seed,
            )
            theirs = _TheirCore(root_key, peer=prekey.public)
            sides = (theirs.send, ours.send), (theirs.receive, ours.receive)
        traffic += converse(seed, *sides)
    traffic.check()


def _agree_with_their_bundle(
    theirs: AgreementState, rng: Callable[[int], bytes]
) -> tuple[bytes, bytes, bytes]:
    """Begin with their bundle; gives the secret and both halves of their signed prekey."""
    seed = rng(32)
    own_private = xeddsa.seed_to_priv(seed)
    own = X25519KeyPair(own_private)
    ephemeral = X25519KeyPair.generate(rng)
    bundle = theirs.bundle
    signed = AgreementState._encode_public_key(_CURVE, bundle.signed_pre_key)
    Ed25519PublicKey.from_public_bytes(bundle.identity_key).verify(bundle.signed_pre_key_sig, signed)
    one_time = next(iter(bundle.pre_keys), None)
    secret = agree_initiator(
        identity=own,
        ephemeral=ephemeral,
        peer_identity=xeddsa.ed25519_pub_to_curve25519_pub(bundle.identity_key),
        peer_signed_prekey=bundle.signed_pre_key,
        peer_one_time=one_time,
        kem_secret=b"",
    )
    header = AgreementHeader(
        xeddsa.priv_to_ed25519_pub(own_private), ephemeral.public, bundle.signed_pre_key, one_time
    )
    their_secret, _, their_prekey = finish(
        theirs.get_shared_secret_passive(header, require_pre_key=one_time is not None)
    )
    assert their_secret == secret
    return secret, their_prekey.priv, bundle.signed_pre_key


def _be_agreed_with(
    theirs: AgreementState, rng: Callable[[int], bytes], *, with_pair: bool
) -> tuple[bytes, X25519KeyPair]:
    """Let them begin with a bundle of ours; gives the secret and our signed prekey."""
    own_private = xeddsa.seed_to_priv(rng(32))
    own, prekey, one_time = (
        X25519KeyPair(own_private),
        X25519KeyPair.generate(rng),
        X25519KeyPair.generate(rng),
    )
    signature = xeddsa.ed25519_priv_sign(
        own_private, AgreementState._encode_public_key(_CURVE, prekey.public), rng(64)
    )
    bundle = Bundle(
        xeddsa.priv_to_ed25519_pub(own_private),
        prekey.public,
        signature,
        frozenset([one_time.public] if with_pair else []),
    )
    their_secret, _, header = finish(theirs.get_shared_secret_active(bundle, require_pre_key=with_pair))
    secret = agree_responder(
        identity=own,
        signed_prekey=prekey,
        one_time=one_time if with_pair else None,
        peer_identity=xeddsa.ed25519_pub_to_curve25519_pub(header.identity_key),
        peer_ephemeral=header.ephemeral_key,
        kem_secret=b"",
    )
    assert their_secret == secret
    return secret, prekey
