"""Registration PINs: without it nobody takes over the number of an account that is in use."""

from __future__ import annotations

import asyncio
from typing import Final

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from zap2.errors import Refused
from zap2.ids import Uid
from zap2.server.services import Peer, Services, login_of, require
from zap2.server.store.members_port import PinHash
from zap2.server.store.port import TooSoon
from zap2.wire.fields import ErrorCode
from zap2.wire.frames import Done, SetListed, SetPin

# RFC 9106, section 4, the second recommended option.
_MEMORY_KIB: Final = 64 * 1024
_ITERATIONS: Final = 3
_LANES: Final = 4
_SALT_SIZE_B: Final = 16
_HASH_SIZE_B: Final = 32


async def set_pin(services: Services, peer: Peer, frame: SetPin) -> Done:
    """Keep a slow hash of the PIN, or remove it."""
    uid = login_of(peer).uid
    require(services.limiter.pins_per_account, uid, services.now_ms())
    encoded = None if frame.pin is None else await hashed_pin(services, uid, frame.pin)
    if not await services.members.set_pin(uid, encoded):
        raise _number_lost()
    return Done(frame.rid)


async def set_listed(services: Services, peer: Peer, frame: SetListed) -> Done:
    """Choose whether others find the account by its number."""
    uid = login_of(peer).uid
    require(services.limiter.pins_per_account, uid, services.now_ms())
    if not await services.members.set_listed(uid, frame.listed):
        raise _number_lost()
    return Done(frame.rid)


async def hashed_pin(services: Services, uid: Uid, pin: str) -> str:
    """Give the slow hash of an account's PIN, as the store keeps it."""
    pin_key, salt = services.keys.pin_key(uid, pin), services.rng(_SALT_SIZE_B)
    async with services.slow_hashing:
        return await asyncio.to_thread(_hash, pin_key, salt)


async def right_pin(services: Services, peer: Peer, uid: Uid, pin: str, now_ms: int) -> None:
    """Return if this is the account's PIN.

    Raises:
        Refused: `wrong-pin`; `too-many-tries` with the time after which there are new ones; `rate-limited`.
    """
    wrong_pins = services.limiter.wrong_pins_per_source
    require(wrong_pins, peer.source, now_ms)
    taken = await services.members.take_pin_try(uid, now_ms)
    if isinstance(taken, TooSoon):
        raise Refused(ErrorCode.TOO_MANY_TRIES, "Too many wrong PINs; wait.", taken.retry_after_s)
    if taken is not None:
        pin_key = services.keys.pin_key(uid, pin)
        async with services.slow_hashing:
            if await asyncio.to_thread(_matches, pin_key, taken):
                wrong_pins.give_back(peer.source, now_ms)
                return
    raise Refused(ErrorCode.WRONG_PIN, "This is not the account's registration PIN.")


def _number_lost() -> Refused:
    return Refused(ErrorCode.NUMBER_LOST, "Another account has taken over this account's number.")


def _hash(pin_key: bytes, salt: bytes) -> str:
    return Argon2id(
        salt=salt, length=_HASH_SIZE_B, iterations=_ITERATIONS, lanes=_LANES, memory_cost=_MEMORY_KIB
    ).derive_phc_encoded(pin_key)


def _matches(pin_key: bytes, expected: PinHash) -> bool:
    try:
        Argon2id.verify_phc_encoded(pin_key, expected.encoded)
    except InvalidKey:
        return False
    return True
