"""Zap2's sessions against other people's Double Ratchet, X3DH and Olm (`python -m bench.crypto_bench`).

All contenders run in one process and in turns, in a new random order each round, so that a busy machine slows all
of them alike; the ratio, a median over rounds of the same round's numbers, is what to compare between machines.
Zap2 does more in each row: header encryption, padding to 2048 bytes, ML-KEM and a sealed set-up. Storage is apart.
Times are the processor's, not the clock's. The primitives alone, below which nothing can go, are in `crypto_floor`.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import time
from collections.abc import Callable
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from vodozemac import Account
from x3dh import Bundle, IdentityKeyFormat
from x3dh import HashFunction as AgreementHash
from x3dh.base_state import BaseState

from bench import crypto_floor
from tests.crypto_world import NOW_S, Person, new_person, set_up
from tests.olm import vodozemac_sessions, vodozemac_set_up
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
    find_session,
    initiate,
    open_setup,
)
from zap2.crypto.header import Header, seal_header
from zap2.crypto.primitives import X25519KeyPair
from zap2.crypto.ratchet_state import OldChain, RatchetState, ReceivingChain
from zap2.crypto.session_state import SessionOrigin, new_state

_CONTENT = bytes(1024)
_AD = b"associated data of a session...."

Timed = Callable[[int], float]


def zap2_chain(count: int) -> float:
    """Encrypt and decrypt messages of one direction; gives seconds."""
    sender, receiver = _zap2_sessions()
    start = time.process_time()
    for _ in range(count):
        sender, payload = sender.encrypt(_CONTENT, rng=os.urandom, now_s=NOW_S)
        receiver, _ = receiver.decrypt(payload, now_s=NOW_S)
    return time.process_time() - start


def zap2_chain_encoded(count: int) -> float:
    """As `zap2_chain`, with both sessions encoded after each message as the vault stores them."""
    sender, receiver = _zap2_sessions()
    start = time.process_time()
    for _ in range(count):
        sender, payload = sender.encrypt(_CONTENT, rng=os.urandom, now_s=NOW_S)
        sender.encode()
        receiver, _ = receiver.decrypt(payload, now_s=NOW_S)
        receiver.encode()
    return time.process_time() - start


def zap2_ping_pong(count: int) -> float:
    """Encrypt and decrypt messages whose direction alternates; gives seconds."""
    sender, receiver = _zap2_sessions()
    start = time.process_time()
    for _ in range(count):
        sender, payload = sender.encrypt(_CONTENT, rng=os.urandom, now_s=NOW_S)
        receiver, _ = receiver.decrypt(payload, now_s=NOW_S)
        sender, receiver = receiver, sender
    return time.process_time() - start


def zap2_set_up(count: int) -> float:
    """Check a fetched bundle, begin, seal a first message, open and accept it; gives seconds.

    The responder's signed set is in memory, as the engine has it; everything else is decoded.
    """
    alice, bob = new_person("bench a"), new_person("bench b")
    signed, document = bob.signed.public.encode(), bob.keys.document
    pairs = [OneTimePrekeySecrets.generate(bob.keys, oid=oid, rng=os.urandom) for oid in range(count)]
    stored = [(pair.public.encode(), pair.encode()) for pair in pairs]
    seconds = 0.0
    for public, secrets in stored:
        fetched = (document, bob.keys.document_signature, signed, public)
        start = time.process_time()
        _set_up_once(alice, bob, fetched, secrets)
        seconds += time.process_time() - start
    return seconds


def their_chain(count: int) -> float:
    """As `zap2_chain`."""
    sender, receiver = _their_ratchets()
    start = time.process_time()
    for _ in range(count):
        message = finish(sender.encrypt_message(_CONTENT, _AD))
        finish(receiver.decrypt_message(message, _AD))
    return time.process_time() - start


def their_ping_pong(count: int) -> float:
    """As `zap2_ping_pong`."""
    sender, receiver = _their_ratchets()
    start = time.process_time()
    for _ in range(count):
        message = finish(sender.encrypt_message(_CONTENT, _AD))
        finish(receiver.decrypt_message(message, _AD))
        sender, receiver = receiver, sender
    return time.process_time() - start


def their_shipped_set_up(count: int) -> float:
    """As `zap2_set_up`, with no KEM and no sealing, and the package's own `State` with its stock of 100 keys."""
    arguments = IdentityKeyFormat.ED_25519, AgreementHash.SHA_256, X3DH_INFO
    alice, bob = ShippedState.create(*arguments), ShippedState.create(*arguments)
    start = time.process_time()
    for _ in range(count):
        _their_set_up_once(alice, bob, bob.published)
    return time.process_time() - start


def their_bare_set_up(count: int) -> float:
    """As `their_shipped_set_up`, with one key at a time, so that the time of keeping a stock is left out."""
    alice, bob = AgreementState.make(0), AgreementState.make(0)
    seconds = 0.0
    for _ in range(count):
        bob.generate_pre_keys(1)
        bundle = bob.bundle
        start = time.process_time()
        _their_set_up_once(alice, bob, bundle)
        seconds += time.process_time() - start
        bob.delete_pre_key(next(iter(bundle.pre_keys)))
    return seconds


def vodozemac_chain(count: int) -> float:
    """As `zap2_chain`, by compiled code: no header encryption, padding or ML-KEM."""
    sender, receiver = vodozemac_sessions()
    start = time.process_time()
    for _ in range(count):
        receiver.decrypt(sender.encrypt(_CONTENT))
    return time.process_time() - start


def vodozemac_ping_pong(count: int) -> float:
    """As `vodozemac_chain`."""
    sender, receiver = vodozemac_sessions()
    start = time.process_time()
    for _ in range(count):
        receiver.decrypt(sender.encrypt(_CONTENT))
        sender, receiver = receiver, sender
    return time.process_time() - start


def vodozemac_set_ups(count: int) -> float:
    """As `zap2_set_up`, by vodozemac: three agreements, no signatures, KEM or sealing."""
    alice, bob = Account(), Account()
    seconds = 0.0
    for _ in range(count):
        bob.generate_one_time_keys(1)
        (one_time,) = bob.one_time_keys.values()
        start = time.process_time()
        vodozemac_set_up(alice, bob, one_time, _CONTENT)
        seconds += time.process_time() - start
    return seconds


def find_among(*, old_keys: int, fits: str) -> float:
    """Find the session of an envelope among 500 with 2 live and some old header keys each.

    Args:
        old_keys: of each session.
        fits: the key that opens it, in the session that is tried last: "live", "old", or "none".
    """
    sessions = [_session_with_keys(old_keys) for _ in range(500)]
    keys = sessions[-1].receiving_keys
    fitting = {"live": [*keys.live.values()], "old": [*keys.old.values()], "none": [AESGCM(os.urandom(32))]}
    header = seal_header(fitting[fits][-1], os.urandom(12), Header(bytes(32), 0, 0, 0), keys.transcript_hash)
    payload = header + bytes(512 - len(header))
    find_session(sessions, payload)
    find_session(sessions, b"\x01" + os.urandom(511))
    start = time.process_time()
    found = find_session(sessions, payload)
    seconds = time.process_time() - start
    assert found is (None if fits == "none" else sessions[-1])
    return seconds


_FLOOR: Final = "primitives alone"

_ROWS: dict[str, tuple[int, dict[str, Timed]]] = {
    "one chain, 1 KiB": (
        1500,
        {
            "Zap2": zap2_chain,
            "DoubleRatchet": their_chain,
            "Zap2, states encoded": zap2_chain_encoded,
            "vodozemac": vodozemac_chain,
            _FLOOR: crypto_floor.chain,
        },
    ),
    "ping-pong, 1 KiB": (
        400,
        {
            "Zap2": zap2_ping_pong,
            "DoubleRatchet": their_ping_pong,
            "vodozemac": vodozemac_ping_pong,
            _FLOOR: crypto_floor.ping_pong,
        },
    ),
    "set-up with first message": (
        60,
        {
            "Zap2": zap2_set_up,
            "X3DH, as shipped": their_shipped_set_up,
            "X3DH, bare": their_bare_set_up,
            "vodozemac": vodozemac_set_ups,
            _FLOOR: crypto_floor.set_up,
        },
    ),
}


_FITTING: Final = {
    "live": "the next one of the last fits",
    "old": "an old one of the last fits",
    "none": "none fits",
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
            word = f"Zap2 takes {1 / ratio:.2f} times as long" if name == _FLOOR else f"Zap2 is x{ratio:.2f}"
            print(
                f"  {name:24}{median:9.0f}/s  [{min(values):.0f}..{max(values):.0f}]"
                f"  {1e6 / median:7.1f} us   {word}"
            )
    print("finding the session of an envelope among 500")
    for old_keys, fits in ((0, "live"), (0, "none"), (5, "live"), (5, "old"), (5, "none")):
        trials = 500 * (2 if fits == "live" else 2 + old_keys)
        times_ms = sorted(1000 * find_among(old_keys=old_keys, fits=fits) for _ in range(rounds))
        floor_ms = statistics.median(1000 * crypto_floor.trials(trials) for _ in range(rounds))
        name = f"{2 + old_keys} header keys each, {_FITTING[fits]}"
        print(
            f"  {name:48}{statistics.median(times_ms):6.2f} ms  [{times_ms[0]:.2f}..{times_ms[-1]:.2f}]"
            f"  {trials} trials alone {floor_ms:.2f} ms"
        )


def _session_with_keys(old_keys: int) -> Session:
    """Give a session with 2 live and some old header keys, all of them random."""
    old = tuple(OldChain(number + 1, os.urandom(32), os.urandom(32), 0, NOW_S) for number in range(old_keys))
    receiving = ReceivingChain(old_keys + 1, os.urandom(32), os.urandom(32), 0, os.urandom(32), 0)
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
    alice: Person, bob: Person, fetched: tuple[bytes, bytes, bytes, bytes], secrets: bytes
) -> None:
    document, signature, signed, pair = fetched
    identity = Identity.parse(document, signature)
    signed_set, one_time = SignedPrekeySet.decode(signed), OneTimePrekey.decode(pair)
    signed_set.check(identity, now_s=NOW_S, lowest_sid=0)
    one_time.check(identity)
    begun = initiate(alice.keys, PrekeyBundle(identity, signed_set, one_time), now_s=NOW_S, rng=os.urandom)
    _, payload = begun.encrypt(_CONTENT, rng=os.urandom, now_s=NOW_S)
    setup = open_setup(payload, {bob.signed.public.sid: bob.signed}, bob.keys.uid)
    accepted = accept(bob.keys, setup, bob.signed, OneTimePrekeySecrets.decode(secrets))
    accepted.decrypt(setup.message, now_s=NOW_S)


if __name__ == "__main__":
    main()
