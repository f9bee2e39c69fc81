"""Beginning a session: with somebody's prekeys, or from somebody's sealed set-up (docs/protocol.md, "Session set-up").

ML-KEM encapsulation draws its own randomness from the operating system: the library offers nothing else.
"""

from __future__ import annotations

from typing import Final

from zap2.crypto import pq_ratchet
from zap2.crypto.identity import IdentityKeys
from zap2.crypto.pqxdh import Transcript, agree_initiator, agree_responder, derive_session_keys
from zap2.crypto.prekeys import OneTimePrekeySecrets, PrekeyBundle, SignedPrekeySecrets
from zap2.crypto.primitives import (
    X25519KeyPair,
    decapsulate_mlkem1024,
    mlkem1024_from_seed,
)
from zap2.crypto.sealed import Setup, SetupFields
from zap2.crypto.session import RATCHET, Session
from zap2.crypto.session_state import PendingSetup, SessionOrigin, new_state
from zap2.errors import PrekeyRefused
from zap2.ids import RandomBytes

_SAME_ACCOUNT: Final = "An account cannot have a session with itself."


def initiate(keys: IdentityKeys, bundle: PrekeyBundle, *, now_s: int, rng: RandomBytes) -> Session:
    """Begin a session with somebody whose prekeys were fetched and checked.

    Nothing is sent yet: every payload of the session carries the set-up until the other side has answered.

    Args:
        keys: one's own identity.
        bundle: of which `Identity.parse` and both `check`s passed.
        now_s: Unix time.
        rng: for the ephemeral key.

    Raises:
        PrekeyRefused: the signed set has expired since it was checked, or is one's own.
        InvalidKey: a key of the bundle must not be used.
    """
    peer, signed_set, one_time = bundle.identity, bundle.signed_set, bundle.one_time
    if now_s >= signed_set.expires_s:
        raise PrekeyRefused("This signed prekey set has expired.")
    if peer.uid == keys.uid:
        raise PrekeyRefused(_SAME_ACCOUNT)
    ephemeral = X25519KeyPair.generate(rng)
    kem_key = one_time.encapsulation_key if one_time is not None else signed_set.last_resort_key
    kem_secret, kem_ciphertext = kem_key.encapsulate()
    secret = agree_initiator(
        identity=keys.agreement,
        ephemeral=ephemeral,
        peer_identity=peer.agreement_key,
        peer_signed_prekey=signed_set.signed_prekey,
        peer_one_time=one_time.agreement_key if one_time is not None else None,
        kem_secret=kem_secret,
    )
    transcript_hash = Transcript(
        keys.identity, peer, signed_set, one_time, ephemeral.public, kem_ciphertext
    ).hash()
    first = derive_session_keys(secret, transcript_hash)
    ratchet = RATCHET.start_initiator(
        root_key=first.root_key,
        header_key=first.initiator_header_key,
        peer_next_header_key=first.responder_next_header_key,
        peer=signed_set.signed_prekey,
    )
    fields = SetupFields(
        keys.document,
        keys.document_signature,
        one_time.oid if one_time is not None else None,
        ephemeral.public,
        kem_ciphertext,
    )
    origin = SessionOrigin(
        transcript_hash, fields.hash, peer.document, peer.document_signature, True, one_time is not None
    )
    pending = PendingSetup(fields.encode(), signed_set.sid, signed_set.seal, signed_set.digest)
    return Session(new_state(origin, ratchet, pending, pq_ratchet.start(is_initiator=True)))


def accept(
    keys: IdentityKeys,
    setup: Setup,
    signed_secrets: SignedPrekeySecrets,
    one_time_secrets: OneTimePrekeySecrets | None,
) -> Session:
    """Take up a session that somebody else began; then `decrypt` the set-up's message with it.

    Only when that succeeded is the set-up genuine: delete the one-time pair and store the session then, not before.

    Args:
        keys: one's own identity.
        setup: what `open_setup` gave; its `setup_hash` must not have been seen before.
        signed_secrets: of the set `setup.sid`.
        one_time_secrets: of the pair `setup.oid`; None exactly if that is None.

    Raises:
        PrekeyRefused: these are not the prekeys that the set-up names, or it names one's own account.
        InvalidKey: a key of the sender must not be used.
    """
    one_time, peer, fields = one_time_secrets, setup.identity, setup.fields
    if signed_secrets.public.sid != setup.sid or setup.oid != (one_time.public.oid if one_time else None):
        raise PrekeyRefused("These are not the prekeys that the set-up was made with.")
    if peer.uid == keys.uid:
        raise PrekeyRefused(_SAME_ACCOUNT)
    kem_seed = one_time.kem_seed if one_time is not None else signed_secrets.last_resort_seed
    secret = agree_responder(
        identity=keys.agreement,
        signed_prekey=signed_secrets.signed_prekey,
        one_time=one_time.agreement if one_time is not None else None,
        peer_identity=peer.agreement_key,
        peer_ephemeral=fields.ephemeral,
        kem_secret=decapsulate_mlkem1024(mlkem1024_from_seed(kem_seed), fields.kem_ciphertext),
    )
    transcript_hash = Transcript(
        peer,
        keys.identity,
        signed_secrets.public,
        one_time.public if one_time is not None else None,
        fields.ephemeral,
        fields.kem_ciphertext,
    ).hash()
    first = derive_session_keys(secret, transcript_hash)
    ratchet = RATCHET.start_responder(
        root_key=first.root_key,
        peer_header_key=first.initiator_header_key,
        next_header_key=first.responder_next_header_key,
        own=signed_secrets.signed_prekey,
    )
    origin = SessionOrigin(
        transcript_hash,
        setup.setup_hash,
        peer.document,
        peer.document_signature,
        False,
        one_time is not None,
    )
    return Session(new_state(origin, ratchet, None, pq_ratchet.start(is_initiator=False)))
