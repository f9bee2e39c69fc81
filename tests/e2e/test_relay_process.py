"""The relay as a real process: what it prints, how it stops, and what survives `kill -9`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
from dataclasses import dataclass, field
from pathlib import Path

from websockets.exceptions import ConnectionClosed

from tests.relay_client import NUMBERS, FrameClient, Person, connected, logged_in, new_person
from tests.relay_process import RelayProcess, relay_process
from zap2.wire import frames as f
from zap2.wire.fields import CloseCode
from zap2.wire.statements import relay_fingerprint


async def test_it_prints_what_to_hand_out_and_the_key_is_the_one_in_the_address(tmp_path: Path) -> None:
    async with relay_process(tmp_path / "data") as relay:
        async with connected(relay.port) as client:
            assert relay_fingerprint(client.greeting.relay_key) == relay.address.fingerprint
        await relay.says("listening")
        relay.process.send_signal(signal.SIGTERM)
        assert await relay.ended() == 0
    out = "".join(relay.out)
    assert out.startswith(f"zap2+ws://{relay.address.fingerprint}@127.0.0.1:{relay.port}\n")
    assert f"zap2 chat --relay {relay.address}\n" in out
    assert "█" in out  # the QR code


async def test_the_log_has_the_code_and_nothing_of_the_person(tmp_path: Path) -> None:
    async with relay_process(tmp_path / "data", "log") as relay, connected(relay.port) as client:
        person, number = Person(), NUMBERS[67]
        await client.get(f.VerificationStarted, lambda rid: f.StartVerification(rid, number))
        line = await relay.says("verification code")
        assert line.rstrip().endswith("for the number ending in 67 (valid 10 minutes)")
        (code,) = re.findall("[0-9]{6}", line)
        ticket = await client.get(f.Ticket, lambda rid: f.CheckCode(rid, number, code))
        await client.register(person, ticket.ticket)
        await client.log_in(person)
        await client.mail_to(person, b"plain text?!" + bytes(500))
        await relay.kill()
    log = "".join(relay.err)
    for secret in (number[1:], number[-6:], person.token.hex(), person.uid.hex(), "plain text"):
        assert secret not in log


async def test_sigterm_tells_the_clients_and_loses_nothing(tmp_path: Path) -> None:
    async with relay_process(tmp_path / "data") as relay:
        ada = await new_person(relay.port, NUMBERS[0])
        async with logged_in(relay.port, ada) as client:
            burst = [asyncio.create_task(client.mail_to(ada)) for _ in range(200)]
            await asyncio.wait(burst, return_when=asyncio.FIRST_COMPLETED)
            relay.process.send_signal(signal.SIGTERM)
            assert await client.closed() == CloseCode.GOING_AWAY
            draining = await client.next_pushed()
            assert isinstance(draining, f.Draining)
            assert draining.reconnect_after_s > 0
            answers = await asyncio.gather(*burst, return_exceptions=True)
        assert await relay.ended() == 0
        sent = sum(isinstance(answer, f.Sent) for answer in answers)
        assert sent
    async with relay_process(tmp_path / "data") as relay, logged_in(relay.port, ada) as client:
        for _ in range(sent):
            deliver = await client.next_mail()
            await client.send(f.Ack((deliver.seq,)))
        relay.process.send_signal(signal.SIGINT)
        assert await relay.ended() == 0


@dataclass
class _Sender:
    """Keeps 8 sends in flight until the connection dies, and notes which were answered."""

    answered: list[bytes] = field(default_factory=list)
    more: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def run(self, client: FrameClient, to: Person) -> None:
        lanes = [asyncio.create_task(self._lane(client, to)) for _ in range(8)]
        for lane in lanes:
            with contextlib.suppress(ConnectionClosed, ConnectionError):
                await lane

    async def has(self, count: int) -> None:
        async with self.more:
            await self.more.wait_for(lambda: len(self.answered) >= count)

    async def _lane(self, client: FrameClient, to: Person) -> None:
        while True:
            name = os.urandom(16)
            if isinstance(await client.mail_to(to, bytes(1024), name), f.Sent):
                self.answered.append(name)
                async with self.more:
                    self.more.notify_all()


async def _drain(relay: RelayProcess, person: Person, last: bytes) -> list[bytes]:
    """Give the ids of a mailbox's mail, in order, up to one that is sent now."""
    names: list[bytes] = []
    async with logged_in(relay.port, person) as client:
        await client.mail_to(person, bytes(512), last)
        while not names or names[-1] != last:
            deliver = await client.next_mail()
            names.append(deliver.envelope_id)
            await client.send(f.Ack((deliver.seq,)))
        await client.ask(f.RenewToken)  # the relay has seen the last Ack
    return names


async def test_kill_9_loses_nothing_that_was_answered(tmp_path: Path) -> None:
    """Absent receiver: every answered message is in the mailbox after the crash, once, in order."""
    async with relay_process(tmp_path / "data") as relay:
        ada, bob = await new_person(relay.port, NUMBERS[0]), await new_person(relay.port, NUMBERS[1])
    sender = _Sender()
    for round_ in range(3):
        async with relay_process(tmp_path / "data") as relay, logged_in(relay.port, ada) as client:
            sending = asyncio.create_task(sender.run(client, bob))
            await sender.has(len(sender.answered) + 50 + 37 * round_)
            await relay.kill()
            await sending
    async with relay_process(tmp_path / "data") as relay:
        names = await _drain(relay, bob, os.urandom(16))
        assert set(sender.answered) <= set(names)
        assert len(set(names)) == len(names)
        # Nothing of it comes again after it was acknowledged.
        last = os.urandom(16)
        assert await _drain(relay, bob, last) == [last]


async def test_kill_9_with_the_receiver_online_loses_nothing(tmp_path: Path) -> None:
    """Between them, what the receiver got before the crash and what it gets after has every answered message."""
    async with relay_process(tmp_path / "data") as relay:
        ada, bob = await new_person(relay.port, NUMBERS[0]), await new_person(relay.port, NUMBERS[1])
        sender = _Sender()
        received: list[bytes] = []

        async def receive(client: FrameClient) -> None:
            with contextlib.suppress(ConnectionClosed):
                while True:
                    deliver = await client.mail.get()
                    received.append(deliver.envelope_id)
                    await client.send(f.Ack((deliver.seq,)))

        async with logged_in(relay.port, bob) as receiver, logged_in(relay.port, ada) as client:
            receiving = asyncio.create_task(receive(receiver))
            sending = asyncio.create_task(sender.run(client, bob))
            await sender.has(150)
            await relay.kill()
            await sending
            receiving.cancel()
    async with relay_process(tmp_path / "data") as relay:
        received += await _drain(relay, bob, os.urandom(16))
    assert set(sender.answered) <= set(received)
