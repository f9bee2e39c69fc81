"""People as a relay has them: each with an account and with prekeys that others can fetch."""

from __future__ import annotations

import os
import time
from typing import Final

from tests.relay_client import Person, logged_in, new_person
from zap2.crypto.prekeys import OneTimePrekeySecrets, SignedPrekeySecrets
from zap2.wire import frames as f

_PAIRS: Final = 10


async def published_person(port: int, number: str) -> Person:
    """Make an account at a relay that asks for no proof, and publish a signed set and a few one-time pairs."""
    person = await new_person(port, number)
    signed_set = SignedPrekeySecrets.generate(
        person.keys, sid=1, now_s=int(time.time()), rng=os.urandom
    ).public
    pairs = tuple(
        OneTimePrekeySecrets.generate(person.keys, oid=oid, rng=os.urandom).public.encode()
        for oid in range(_PAIRS)
    )
    async with logged_in(port, person) as client:
        await client.get(f.Published, lambda rid: f.Publish(rid, signed_set.encode(), pairs))
    return person
