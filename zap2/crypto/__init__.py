"""The end-to-end protocol: identity, prekeys, session set-up, ratchet, padding, safety number.

Pure: no I/O, no clock; time and randomness come as arguments, except that ML-KEM encapsulation and HPKE draw their
own randomness, because the library offers nothing else. docs/protocol.md is the specification.

The way of a session: `initiate` (with a checked `PrekeyBundle`) or `open_setup` and `accept`, then `Session.encrypt`
and `Session.decrypt`, each of which gives the session to store.
"""

from zap2.crypto.identity import Identity, IdentityKeys
from zap2.crypto.padding import PAYLOAD_SIZES_B
from zap2.crypto.prekeys import (
    ONE_TIME_PREKEY_B,
    SIGNED_PREKEY_KEPT_S,
    SIGNED_PREKEY_ROTATION_S,
    SIGNED_PREKEY_SET_B,
    SIGNED_PREKEY_VALID_S,
    OneTimePrekey,
    OneTimePrekeySecrets,
    PrekeyBundle,
    SignedPrekeySecrets,
    SignedPrekeySet,
)
from zap2.crypto.safety_number import SafetyNumber, safety_number
from zap2.crypto.sealed import MAX_CONTENT_B, Setup, is_sealed_setup, open_setup
from zap2.crypto.session import PqEpochs, Session
from zap2.crypto.setup import accept, initiate
from zap2.crypto.trial import find_session

__all__ = [
    "MAX_CONTENT_B",
    "ONE_TIME_PREKEY_B",
    "PAYLOAD_SIZES_B",
    "SIGNED_PREKEY_KEPT_S",
    "SIGNED_PREKEY_ROTATION_S",
    "SIGNED_PREKEY_SET_B",
    "SIGNED_PREKEY_VALID_S",
    "Identity",
    "IdentityKeys",
    "OneTimePrekey",
    "OneTimePrekeySecrets",
    "PqEpochs",
    "PrekeyBundle",
    "SafetyNumber",
    "Session",
    "Setup",
    "SignedPrekeySecrets",
    "SignedPrekeySet",
    "accept",
    "find_session",
    "initiate",
    "is_sealed_setup",
    "open_setup",
    "safety_number",
]
