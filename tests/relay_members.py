"""People with phone numbers at a relay inside the test's process, which sends codes."""

from __future__ import annotations

from tests.relay_client import FrameClient, Person, connected, logged_in
from tests.relay_host import RelayHost
from zap2.wire import frames as f

PIN = "correct horse"
DAY_S = 24 * 3600


async def prove(host: RelayHost, client: FrameClient, number: str) -> f.Answer:
    """Ask for a code and give it back."""
    started = await client.get(f.VerificationStarted, lambda rid: f.StartVerification(rid, number))
    code = host.codes.sent[-1][1]
    return await client.ask(lambda rid: f.CheckCode(rid, started.number, code))


async def ticket_of(host: RelayHost, client: FrameClient, number: str) -> bytes:
    """Prove a number."""
    host.clock.advance(300)  # codes of the same number have to wait for each other
    answer = await prove(host, client, number)
    assert isinstance(answer, f.Ticket), answer
    return answer.ticket


async def member_of(host: RelayHost, number: str, pin: str | None = None) -> Person:
    """Sign somebody up, with a PIN perhaps."""
    person = Person()
    async with connected(host.port) as client:
        await client.register(person, await ticket_of(host, client, number))
        await client.log_in(person)
        if pin is not None:
            await client.get(f.Done, lambda rid: f.SetPin(rid, pin))
    return person


async def found(host: RelayHost, asking: Person, number: str) -> f.Answer:
    """Ask whose a number is."""
    async with logged_in(host.port, asking) as client:
        return await client.ask(lambda rid: f.Lookup(rid, number))


async def take_over(host: RelayHost, number: str, pin: str | None = None) -> tuple[Person, f.Registered]:
    """Sign a new person up with a number that is somebody's."""
    person = Person()
    async with connected(host.port) as client:
        ticket = await ticket_of(host, client, number)
        answer = await client.get(f.Registered, lambda rid: client.registration(rid, person, ticket, pin=pin))
    return person, answer
