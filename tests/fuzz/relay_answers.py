"""Keys that a relay hands out for somebody, into the engine: changed anywhere, they set up nothing and lock nothing."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from tests.fuzz.decoders import Target
from tests.fuzz.receiving import Recipe, vault_of
from tests.sim.quiet import Quiet
from zap2.engine import inputs
from zap2.engine.effects import Alert, AlertCode, FetchKeys, SendEnvelope


class KeysUnderAttack:
    """Ann's engine, which waits for Ben's keys to send him her first text, and the keys that the relay has."""

    def __init__(self) -> None:
        self._world = Quiet()
        self._ann, ben = self._world.ann, self._world.ben
        self._world.give(self._ann, inputs.AddContact(ben.uid, ben.number))
        self._world.say(self._ann, ben, "first text")
        (request,) = [one for one in self._ann.requests if isinstance(one, FetchKeys)]
        answer = self._world.relay.answer(self._ann.uid, request)
        assert isinstance(answer, inputs.KeysFetched)
        assert answer.one_time is not None
        self.genuine = answer
        self._before = vault_of(self._ann)

    def check(self, fetched: inputs.KeysFetched) -> None:
        """Try keys that are not Ben's: the person is told, and nothing else happens."""
        effects = self._ann.engine.handle(fetched, self._world.now_ms)
        assert effects == [Alert(AlertCode.FALSE_KEYS, self.genuine.uid)]
        assert vault_of(self._ann) == self._before

    def check_alive(self) -> None:
        """See that the text goes out with the genuine ones after everything."""
        effects = self._ann.engine.handle(self.genuine, self._world.now_ms)
        assert any(isinstance(effect, SendEnvelope) for effect in effects)


def keys_of(data: bytes, genuine: inputs.KeysFetched) -> inputs.KeysFetched | None:
    """Change genuine keys by a recipe; None if only what a relay may do was done: nothing, or keeping the pair back."""
    recipe = Recipe(data)
    assert genuine.one_time is not None
    fields = [genuine.document, genuine.document_signature, genuine.signed_set, genuine.one_time]
    while recipe.rest:
        which, at, change = recipe.number() % 4, recipe.number(2), recipe.number()
        field = bytearray(fields[which])
        if change == 0:
            del field[at:]
        elif field:
            field[at % len(field)] ^= change
        fields[which] = bytes(field)
    fetched = inputs.KeysFetched(genuine.uid, *fields)
    return None if fetched in (genuine, replace(genuine, one_time=None)) else fetched


@cache
def _under_attack() -> KeysUnderAttack:
    return KeysUnderAttack()


def _check(data: bytes) -> None:
    fetched = keys_of(data, _under_attack().genuine)
    if fetched is not None:
        _under_attack().check(fetched)


RELAY_ANSWERS: dict[str, Target] = {
    "keys of a relay": Target(
        lambda: [
            b"",
            *(bytes([field, 0, 1, 0x80]) for field in range(4)),
            *(bytes([field, 0, 9, 0]) for field in range(4)),
            b"\x02\x00\x00\x01\x03\x00\x00\x01",
        ],
        _check,
    )
}
