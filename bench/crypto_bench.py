"""Zap2's sessions against other people's Double Ratchet and X3DH (`python -m bench.crypto_bench`).

All contenders run in one process and in turns, in a new random order each round, so that a busy machine slows all
of them alike; the ratio, a median over rounds of the same round's numbers, is what to compare between machines.
Zap2 does more in each row: header encryption, padding to 2048 bytes, ML-KEM and a sealed set-up. Storage is apart.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import time
from collections.abc import Callable

from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, MLKEM768X25519PrivateKey, Suite
from x3dh import Bundle, IdentityKeyFormat
from x3dh import HashFunction as AgreementHash
from x3dh.base_state import BaseState

from tests.crypto_world import NOW_S, Person, new_person, set_up
from tests.syndace import (
    X3DH_INFO,
    AgreementState,
    PlainRatchet,
    RecommendedAead,
    RootKdf,
    ShippedState,
    finish,
    parameters,
)
from zap2.crypto import (
    Identity,
    OneTimePrekey,
    OneTimePrekeySecrets,
    PrekeyBundle,
    Session,
    SignedPrekeySet,
    accept,
    initiate,
    open_setup,
)
from zap2.crypto.body import open_body, seal_body
from zap2.crypto.prekeys import parse_seal
from zap2.crypto.primitives import (
    MLKEM768KeyPair,
    X25519KeyPair,
    decapsulate_mlkem1024,
    hkdf_sha256,
    hmac_sha256_pair,
    mlkem768_from_seed,
    mlkem1024_from_seed,
    parse_mlkem1024,
)
from zap2.crypto.ratchet_state import OldChain, RatchetState, ReceivingChain
from zap2.crypto.session_state import SessionOrigin, new_state

_CONTENT = bytes(1024)
_AD = b"associated data of a session...."

Timed = Callable[[int], float]


def zap2_chain(count: int) -> float:
    """Encrypt and decrypt messages of one direction; gives seconds."""
    sender, receiver = _zap2_sessions()
    start = time.perf_counter()
    for _ in range(count):
        sender, payload = sender.encrypt(_CONTENT, rng=os.urandom, now_s=NOW_S)
        receiver, _ = receiver.decrypt(payload, now_s=NOW_S)
    return time.perf_counter() - start


def zap2_chain_encoded(count: int) -> float:
    """As `zap2_chain`, with both sessions encoded after each message as the vault stores them."""
    sender, receiver = _zap2_sessions()
    start = time.perf_counter()
    for _ in range(count):
        sender, payload = sender.encrypt(_CONTENT, rng=os.urandom, now_s=NOW_S)
        sender.encode()
        receiver, _ = receiver.decrypt(payload, now_s=NOW_S)
        receiver.encode()
    return time.perf_counter() - start


def zap2_ping_pong(count: int) -> float:
    """Encrypt and decrypt messages whose direction alternates; gives seconds."""
    sender, receiver = _zap2_sessions()
    start = time.perf_counter()
    for _ in range(count):
        sender, payload = sender.encrypt(_CONTENT, rng=os.urandom, now_s=NOW_S)
        receiver, _ = receiver.decrypt(payload, now_s=NOW_S)
        sender, receiver = receiver, sender
    return time.perf_counter() - start


def zap2_set_up(count: int) -> float:
    """Check a fetched bundle, begin, seal a first message, open and accept it; gives seconds."""
    alice, bob = new_person("bench a"), new_person("bench b")
    signed, document = bob.signed.public.encode(), bob.keys.document
    pairs = [OneTimePrekeySecrets.generate(bob.keys, oid=oid, rng=os.urandom) for oid in range(count)]
    stored_set = bob.signed.encode()
    stored = [(pair.public.encode(), pair.encode()) for pair in pairs]
    seconds = 0.0
    for public, secrets in stored:
        fetched = (document, bob.keys.document_signature, signed, public)
        start = time.perf_counter()
        _set_up_once(alice, bob, fetched, stored_set, secrets)
        seconds += time.perf_counter() - start
    return seconds


def their_chain(count: int) -> float:
    """As `zap2_chain`."""
    sender, receiver = _their_ratchets()
    start = time.perf_counter()
    for _ in range(count):
        message = finish(sender.encrypt_message(_CONTENT, _AD))
        finish(receiver.decrypt_message(message, _AD))
    return time.perf_counter() - start


def their_ping_pong(count: int) -> float:
    """As `zap2_ping_pong`."""
    sender, receiver = _their_ratchets()
    start = time.perf_counter()
    for _ in range(count):
        message = finish(sender.encrypt_message(_CONTENT, _AD))
        finish(receiver.decrypt_message(message, _AD))
        sender, receiver = receiver, sender
    return time.perf_counter() - start


def their_shipped_set_up(count: int) -> float:
    """As `zap2_set_up`, with no KEM and no sealing, and the package's own `State` with its stock of 100 keys."""
    arguments = IdentityKeyFormat.ED_25519, AgreementHash.SHA_256, X3DH_INFO
    alice, bob = ShippedState.create(*arguments), ShippedState.create(*arguments)
    start = time.perf_counter()
    for _ in range(count):
        _their_set_up_once(alice, bob, bob.published)
    return time.perf_counter() - start


def their_bare_set_up(count: int) -> float:
    """As `their_shipped_set_up`, with one key at a time, so that the time of keeping a stock is left out."""
    alice, bob = AgreementState.make(0), AgreementState.make(0)
    seconds = 0.0
    for _ in range(count):
        bob.generate_pre_keys(1)
        bundle = bob.bundle
        start = time.perf_counter()
        _their_set_up_once(alice, bob, bundle)
        seconds += time.perf_counter() - start
        bob.delete_pre_key(next(iter(bundle.pre_keys)))
    return seconds


def floor_chain(count: int) -> float:
    """Only the primitives that a message of a chain cannot do without."""
    key, nonce, frame = os.urandom(32), os.urandom(12), bytes(1959)
    start = time.perf_counter()
    for _ in range(count):
        for _ in range(2):
            hmac_sha256_pair(key, b"\x01", b"\x02")
        open_body(key, nonce, seal_body(key, nonce, frame, _AD), _AD)
    return time.perf_counter() - start


def floor_ping_pong(count: int) -> float:
    """Only the primitives that a message with a new ratchet key cannot do without."""
    peer = X25519KeyPair.generate(os.urandom)
    start = time.perf_counter()
    for _ in range(count):
        own = X25519KeyPair.generate(os.urandom)
        for _ in range(2):
            hkdf_sha256(salt=_AD, ikm=own.agree(peer.public), info=b"floor", length_b=96)
    return time.perf_counter() - start + floor_chain(count)


def floor_set_up(count: int) -> float:
    """Only the primitives that a set-up cannot do without, on both sides together."""
    alice, bob = new_person("floor a"), new_person("floor b")
    signed, peer = bob.signed, X25519KeyPair.generate(os.urandom).public
    identity, statement = bob.identity, b"statement"
    signature, agreement = bob.keys.sign(statement), X25519KeyPair(signed.seal_private).key
    suite = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
    start = time.perf_counter()
    for _ in range(count):
        for _ in range(4):
            identity.verify(statement, signature)
        parse_mlkem1024(signed.public.last_resort)
        seal = parse_seal(signed.public.seal)
        _, ciphertext = parse_mlkem1024(bob.pair.public.kem_key).encapsulate()
        for _ in range(5):  # ephemeral and ratchet key; the responder's signed, one-time and seal key
            X25519KeyPair.generate(os.urandom)
        for _ in range(10):  # four agreements and one root step, twice
            alice.keys.agreement.agree(peer)
        _ = MLKEM768KeyPair.generate(os.urandom).public
        for _ in range(6):
            hkdf_sha256(salt=_AD, ikm=_AD, info=b"floor", length_b=96)
        for _ in range(2):
            hmac_sha256_pair(peer, b"\x01", b"\x02")
        body = seal_body(peer, _AD[:12], bytes(1000), _AD)
        sealed = suite.encrypt(bytes(1734) + body, seal, info=_AD)
        secret = MLKEM768X25519PrivateKey(mlkem768_from_seed(signed.seal_seed), agreement)
        suite.decrypt(sealed, secret, info=_AD)
        decapsulate_mlkem1024(mlkem1024_from_seed(bob.pair.kem_seed), ciphertext)
        open_body(peer, _AD[:12], body, _AD)
    return time.perf_counter() - start


def find_session(count: int, *, turns: int) -> float:
    """Try a stranger's envelope on 500 sessions with 2 + `turns` header keys each, so that all fail."""
    sessions = [_session_with_keys(turns) for _ in range(500)]
    payload = b"\x01" + os.urandom(511)
    for session in sessions:
        session.recognises(payload)
    start = time.perf_counter()
    for _ in range(count):
        assert not any(session.recognises(payload) for session in sessions)
    return time.perf_counter() - start


_ROWS: dict[str, tuple[int, dict[str, Timed]]] = {
    "one chain, 1 KiB": (
        1500,
        {
            "Zap2": zap2_chain,
            "DoubleRatchet": their_chain,
            "Zap2, states encoded": zap2_chain_encoded,
            "primitives alone": floor_chain,
        },
    ),
    "ping-pong, 1 KiB": (
        400,
        {"Zap2": zap2_ping_pong, "DoubleRatchet": their_ping_pong, "primitives alone": floor_ping_pong},
    ),
    "set-up with first message": (
        60,
        {
            "Zap2": zap2_set_up,
            "X3DH, as shipped": their_shipped_set_up,
            "X3DH, bare": their_bare_set_up,
            "primitives alone": floor_set_up,
        },
    ),
}


def main() -> None:
    """Run the rounds and print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    order = random.Random(0)
    for row, (count, contenders) in _ROWS.items():
        rates: dict[str, list[float]] = {name: [] for name in contenders}
        for _ in range(rounds):
            names = list(contenders)
            order.shuffle(names)
            for name in names:
                rates[name].append(count / contenders[name](count))
        print(row)
        for name, values in rates.items():
            ratio = statistics.median(
                ours / theirs for ours, theirs in zip(rates["Zap2"], values, strict=True)
            )
            median = statistics.median(values)
            print(
                f"  {name:24}{median:9.0f}/s  [{min(values):.0f}..{max(values):.0f}]"
                f"  {1e6 / median:7.1f} us   Zap2 is x{ratio:.2f}"
            )
    print("finding the session of an envelope among 500, when none fits")
    for name, turns in (("2 header keys each", 0), ("7 header keys each", 5)):
        times_ms = sorted(1000 * find_session(1, turns=turns) for _ in range(rounds))
        print(f"  {name:24}{statistics.median(times_ms):9.2f} ms  [{times_ms[0]:.2f}..{times_ms[-1]:.2f}]")


def _session_with_keys(turns: int) -> Session:
    """Give a session that tries as many header keys as one after some turns; its keys are random."""
    old = tuple(OldChain(number + 1, os.urandom(32), os.urandom(32), 0, NOW_S) for number in range(turns))
    receiving = ReceivingChain(turns + 1, os.urandom(32), os.urandom(32), 0, os.urandom(32), 0)
    ratchet = RatchetState(
        os.urandom(32), None, None, None, 0, os.urandom(32), receiving, os.urandom(32), old, {}
    )
    origin = SessionOrigin(os.urandom(32), bytes(32), bytes(65), bytes(64), True, True)
    return Session(new_state(origin, ratchet, None, None))


def _zap2_sessions() -> tuple[Session, Session]:
    """Give two sides, of which the first is to send."""
    at_alice, at_bob = set_up(new_person("bench a"), new_person("bench b"))
    for _ in range(2):
        at_bob, payload = at_bob.encrypt(b"", rng=os.urandom, now_s=NOW_S)
        at_alice, _ = at_alice.decrypt(payload, now_s=NOW_S)
        at_alice, payload = at_alice.encrypt(b"", rng=os.urandom, now_s=NOW_S)
        at_bob, _ = at_bob.decrypt(payload, now_s=NOW_S)
    return at_bob, at_alice


def _their_ratchets() -> tuple[PlainRatchet, PlainRatchet]:
    secret, prekey = os.urandom(32), X25519KeyPair.generate(os.urandom)
    chosen = parameters(RecommendedAead, RootKdf)
    alice, message = finish(
        PlainRatchet.encrypt_initial_message(
            **chosen,
            shared_secret=secret,
            recipient_ratchet_pub=prekey.public,
            message=b"",
            associated_data=_AD,
        )
    )
    bob, _ = finish(
        PlainRatchet.decrypt_initial_message(
            **chosen,
            shared_secret=secret,
            own_ratchet_priv=prekey.private,
            message=message,
            associated_data=_AD,
        )
    )
    return bob, alice


def _their_set_up_once(alice: BaseState, bob: BaseState, bundle: Bundle) -> None:
    chosen = parameters(RecommendedAead, RootKdf)
    secret, associated_data, header = finish(alice.get_shared_secret_active(bundle))
    _, message = finish(
        PlainRatchet.encrypt_initial_message(
            **chosen,
            shared_secret=secret,
            recipient_ratchet_pub=bundle.signed_pre_key,
            message=_CONTENT,
            associated_data=associated_data,
        )
    )
    secret, associated_data, prekey = finish(bob.get_shared_secret_passive(header))
    finish(
        PlainRatchet.decrypt_initial_message(
            **chosen,
            shared_secret=secret,
            own_ratchet_priv=prekey.priv,
            message=message,
            associated_data=associated_data,
        )
    )


def _set_up_once(
    alice: Person, bob: Person, fetched: tuple[bytes, bytes, bytes, bytes], stored_set: bytes, secrets: bytes
) -> None:
    document, signature, signed, pair = fetched
    identity = Identity.parse(document, signature)
    signed_set, one_time = SignedPrekeySet.decode(signed), OneTimePrekey.decode(pair)
    signed_set.check(identity, now_s=NOW_S, lowest_sid=0)
    one_time.check(identity)
    begun = initiate(alice.keys, PrekeyBundle(identity, signed_set, one_time), now_s=NOW_S, rng=os.urandom)
    _, payload = begun.encrypt(_CONTENT, rng=os.urandom, now_s=NOW_S)
    own_set = type(bob.signed).decode(stored_set)
    setup = open_setup(payload, {own_set.public.sid: own_set}, bob.keys.uid)
    accepted = accept(bob.keys, setup, own_set, OneTimePrekeySecrets.decode(secrets))
    accepted.decrypt(setup.message, now_s=NOW_S)


if __name__ == "__main__":
    main()
