"""Under every kind of attack the relay stays up, others' mail goes on in order, and nothing stays in its memory."""

from __future__ import annotations

import asyncio
import gc

import pytest

from bench.relay_attacks import ATTACKS, BARE, Attacker
from tests.relay_client import NUMBERS, logged_in, new_person
from tests.relay_host import RelayHost, relay_host
from zap2.server.intake import Intake
from zap2.server.session import Session
from zap2.wire import frames as f

_ATTACKERS = 4
_MESSAGES = 10
_MOST_WAITING_B = 1024 * 1024


def _alive() -> int:
    """Count what is there of connections."""
    gc.collect()
    return sum(type(thing) in (Session, Intake) for thing in gc.get_objects())


async def _until_forgotten(before: int) -> None:
    """Wait until no more is there than before, but for the one that the relay's ticker looked at last."""
    for _ in range(200):
        if _alive() <= before + 2:
            return
        await asyncio.sleep(0.02)
    raise TimeoutError(f"{_alive()} instead of {before} stayed")


def _waiting_b() -> int:
    """Give the most that one connection has received and not handled."""
    rests = (thing._rest for thing in gc.get_objects() if type(thing) is Intake)
    return max(len(rest) for rest in [*rests, b""] if rest is not None)


async def _until_alone(host: RelayHost) -> None:
    for _ in range(4_000):
        if host.relay.connection_count == 2:
            return
        await asyncio.sleep(0.005)
    raise TimeoutError(f"{host.relay.connection_count} connections are left")


@pytest.mark.parametrize("kind", [*ATTACKS, *BARE])
async def test_others_go_on_and_nothing_stays(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    async with relay_host() as host:
        ada, bob, *hostile = [await new_person(host.port, number) for number in NUMBERS[: 2 + _ATTACKERS]]
        async with logged_in(host.port, ada) as sender, logged_in(host.port, bob) as receiver:
            before = _alive()
            attacks = [asyncio.create_task(Attacker(host.port, kind, person).run()) for person in hostile]
            most_waiting_b = 0
            for number in range(_MESSAGES):
                name = number.to_bytes(16, "big")
                assert isinstance(await sender.mail_to(bob, envelope_id=name), f.Sent)
                delivery = await receiver.next_mail()
                assert delivery.envelope_id == name
                await receiver.send(f.Ack((delivery.seq,)))
                if number % 5 == 4:
                    most_waiting_b = max(most_waiting_b, _waiting_b())
            assert not any(attack.done() for attack in attacks)
            for attack in attacks:
                attack.cancel()
            await asyncio.gather(*attacks, return_exceptions=True)
            await _until_alone(host)
            assert most_waiting_b < _MOST_WAITING_B
            await _until_forgotten(before)
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []
