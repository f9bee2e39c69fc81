"""What hostile clients do, each as fast as they can (`python -m bench.relay_attacks PORT KIND`).

It ends with its standard input. They come from a few addresses of the loopback. A connection that the relay closes
is replaced by another one. Some kinds log in first, with an account of their own.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import struct
import sys
import time
from collections.abc import Callable
from typing import Final

from tests.relay_client import NUMBERS, Person, new_person
from zap2.wire import frames as f
from zap2.wire.codec import decode_relay_message, encode_message
from zap2.wire.fields import MAX_MESSAGE_SIZE_B, SUBPROTOCOL
from zap2.wire.frames import Frame
from zap2.wire.statements import login_statement

_CONNECTIONS: Final = 20
_SLOW_CONNECTIONS: Final = 2_000
_SOURCES: Final = 4
_UPGRADE: Final = (
    "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    f"Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nSec-WebSocket-Version: 13\r\n"
    f"Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n"
).encode()
_PING, _PONG, _TEXT, _BINARY, _CONTINUATION = 9, 10, 1, 2, 0


def ws_frame(opcode: int, data: bytes, fin: bool = True) -> bytes:
    """Give a WebSocket frame as a client sends it; its mask is zero."""
    head = bytes([opcode | (0x80 if fin else 0)])
    if len(data) < 126:
        return head + bytes([0x80 | len(data)]) + bytes(4) + data
    if len(data) < 65536:
        return head + b"\xfe" + struct.pack(">H", len(data)) + bytes(4) + data
    return head + b"\xff" + struct.pack(">Q", len(data)) + bytes(4) + data


def _message(*frames: Frame) -> bytes:
    return ws_frame(_BINARY, encode_message(frames))


def _fragments(message: bytes, count: int) -> bytes:
    """Give a message in as many fragments."""
    size_b = -(-len(message) // count)
    parts = [message[at : at + size_b] for at in range(0, len(message), size_b)]
    return b"".join(
        ws_frame(_CONTINUATION if n else _BINARY, part, n == len(parts) - 1) for n, part in enumerate(parts)
    )


_hello: Final = _message(f.ClientHello(bytes(32)))
_acks: Final = f.Ack(tuple(range(1 << 40, (1 << 40) + 256)))
_samples: Final[list[Frame]] = [
    f.Authenticate(1, bytes(65), 1, bytes(64)),
    f.Resume(2, bytes(32)),
    f.StartVerification(3, NUMBERS[1]),
    f.CheckCode(4, NUMBERS[1], "123456"),
    f.Register(5, bytes(32), bytes(65), bytes(64), 1, bytes(64)),
    f.Publish(6, bytes(2900), (bytes(1668),)),
    f.Fetch(7, bytes(32), 1, True),
    f.Lookup(8, NUMBERS[0]),
    f.Send(9, bytes(16), bytes(32), 1, 60, bytes(512)),
    f.Ack((1, 2, 3)),
]


def _damaged(dice: random.Random) -> bytes:
    message = bytearray(encode_message(dice.sample(_samples, 3)))
    for _ in range(dice.randint(0, 3)):
        message[dice.randrange(len(message))] = dice.randrange(256)
    return ws_frame(_BINARY, bytes(message))


_rid = iter(range(1, 1 << 32))


def _lookups(dice: random.Random) -> bytes:
    return _message(*(f.Lookup(next(_rid), NUMBERS[0]) for _ in range(64)))


def _sends(dice: random.Random) -> bytes:
    return _message(*(f.Send(next(_rid), os.urandom(16), bytes(32), 1, 60, bytes(512)) for _ in range(64)))


ATTACKS: Final[dict[str, tuple[bool, Callable[[random.Random], bytes]]]] = {
    "pings": (False, lambda dice: ws_frame(_PING, b"") * 2_000),
    "pongs": (True, lambda dice: ws_frame(_PONG, b"") * 2_000),
    "fragments": (True, lambda dice: _fragments(encode_message([_acks]), 60) * 20),
    "unending message": (True, lambda dice: ws_frame(_CONTINUATION, b"") * 100),
    "acks of nothing": (True, lambda dice: _message(*[_acks] * 60)),
    "requests": (True, _lookups),
    "sends to nobody": (True, _sends),
    "damaged frames": (False, _damaged),
    "damaged frames after log-in": (True, _damaged),
    "text": (False, lambda dice: ws_frame(_TEXT, b"hello")),
    "too large": (False, lambda dice: ws_frame(_BINARY, bytes(MAX_MESSAGE_SIZE_B + 1))),
    "truncated": (False, lambda dice: ws_frame(_BINARY, bytes(60_000))[: dice.randrange(60_000)]),
}
"""What is sent on an open connection again and again, and whether after the log-in."""
BARE: Final = (
    "slow handshakes",
    "half-closed",
    "connections",
    "hellos",
    "no websocket",
    "bytes one by one",
    "a little of many",
)
"""What is done with sockets otherwise."""


class Attacker:
    """One who attacks in one way, on one connection after another.

    Args:
        port: the relay's.
        kind: one of `ATTACKS` or `BARE`.
        person: an account of their own.
        source: the address to come from; None for whichever the system takes.
    """

    def __init__(self, port: int, kind: str, person: Person, source: str | None = None) -> None:
        self._port, self._kind, self._person = port, kind, person
        self._source = (source, 0) if source else None
        self._dice = random.Random(person.uid)

    async def run(self) -> None:
        """Attack until cancelled."""
        while True:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                reader, writer = await asyncio.open_connection(
                    "127.0.0.1", self._port, local_addr=self._source
                )
                try:
                    await self._attack(reader, writer)
                finally:
                    writer.transport.abort()
            await asyncio.sleep(0)

    async def _attack(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._kind in BARE:
            await self._bare(reader, writer)
            return
        needs_login, make = ATTACKS[self._kind]
        greeting = await self._open(reader, writer)
        if needs_login:
            await self._log_in(reader, writer, greeting)
        if self._kind == "unending message":
            writer.write(ws_frame(_BINARY, b"", fin=False))
        reading = asyncio.create_task(_read_on(reader))
        try:
            while not reading.done():
                writer.write(make(self._dice))
                await writer.drain()
                await asyncio.sleep(0)
        finally:
            reading.cancel()

    async def _bare(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._kind == "slow handshakes":
            for byte in _UPGRADE:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(0.02)
        elif self._kind == "half-closed":
            await self._open(reader, writer)
            writer.write_eof()
            await _read_on(reader)
        elif self._kind == "hellos":
            await self._open(reader, writer)
        elif self._kind == "no websocket":
            writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await _read_on(reader)
        elif self._kind == "a little of many":
            await self._open(reader, writer)
            while not writer.is_closing():
                # All of them at the same moment.
                await asyncio.sleep(1 - time.time() % 1)
                writer.write(ws_frame(_PING, b"") * 12)
                await writer.drain()
        elif self._kind == "bytes one by one":
            await self._open(reader, writer)
            for byte in ws_frame(_BINARY, bytes(20_000)):
                writer.write(bytes([byte]))
                await asyncio.sleep(0)

    async def _open(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> f.Greeting:
        writer.write(_UPGRADE)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(_hello)
        (greeting,) = await _frames(reader)
        assert isinstance(greeting, f.Greeting)
        return greeting

    async def _log_in(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, greeting: f.Greeting
    ) -> None:
        keys = self._person.keys
        statement = login_statement(greeting.relay_key, greeting.challenge, self._person.uid, 1)
        writer.write(_message(f.Authenticate(next(_rid), keys.document, 1, keys.sign(statement))))
        await _frames(reader)


async def _frames(reader: asyncio.StreamReader) -> list[f.RelayFrame]:
    size_b = (await reader.readexactly(2))[1]
    if size_b == 126:
        (size_b,) = struct.unpack(">H", await reader.readexactly(2))
    return decode_relay_message(await reader.readexactly(size_b))


async def _read_on(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(OSError):
        while await reader.read(65536):
            pass


async def _attack(port: int, kind: str) -> None:
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    os.setpriority(os.PRIO_PROCESS, 0, 19)
    count = _SLOW_CONNECTIONS if kind in ("slow handshakes", "a little of many") else _CONNECTIONS
    people = [await new_person(port, NUMBERS[100 + n]) for n in range(_CONNECTIONS)]
    attackers = [
        asyncio.create_task(
            Attacker(port, kind, people[n % len(people)], f"127.0.2.{1 + n % _SOURCES}").run()
        )
        for n in range(count)
    ]
    print(count, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    for attacker in attackers:
        attacker.cancel()
    for result in await asyncio.gather(*attackers, return_exceptions=True):
        if isinstance(result, Exception) and not isinstance(result, asyncio.CancelledError):
            raise result


def main() -> None:
    """Attack in one way until standard input ends."""
    import uvloop

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("port", type=int)
    parser.add_argument("kind", choices=[*ATTACKS, *BARE])
    chosen = parser.parse_args()
    uvloop.run(_attack(chosen.port, chosen.kind))


if __name__ == "__main__":
    main()
