"""The way of `zap2 admin` to a running relay: a Unix socket in the data folder, which only the host may open.

One connection, one question: a line of JSON, `{"do": …, …}`, and a line of JSON in answer, `{"done": …}`, or
`{"error": …, "hint": …}` with words for a person.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from zap2.errors import UsageError
from zap2.server.operator import MAX_INVITES, MAX_LISTED, Operator

_log = logging.getLogger("zap2.relay")
SOCKET_FILE: Final = "admin.sock"
MAX_LINE_B: Final = 1024 * 1024
_PATIENCE_S: Final = 30.0
_MAX_PATH_B: Final = 100


class Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `zap2 admin` asks; a command leaves out what it does not need."""

    do: str
    who: str = ""
    count: int = 1
    ttl_s: int = 7 * 24 * 3600
    limit: int = MAX_LISTED
    max_messages: int | None = None
    max_size_b: int | None = None
    over_s: float = 0.0


class AdminSocket:
    """Answers `zap2 admin`.

    Args:
        data_dir: the relay's data folder; the socket is made in it with mode 0600.
        operator: who does what is asked.
        drain: begins the relay's end, spread over so many seconds.
    """

    def __init__(self, data_dir: Path, operator: Operator, drain: Callable[[float], None]) -> None:
        self._data_dir = data_dir
        self._operator = operator
        self._drain = drain
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Make the socket, in place of one that a killed relay left; where that cannot be, the log says so."""
        if not hasattr(socket, "AF_UNIX"):
            return  # Windows
        try:
            with contextlib.suppress(FileNotFoundError):
                (self._data_dir / SOCKET_FILE).unlink()
            with reachable(self._data_dir) as path:
                listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                listening.setblocking(False)
                umask = os.umask(0o177)
                try:
                    listening.bind(path)
                finally:
                    os.umask(umask)
            self._server = await asyncio.start_unix_server(self._serve, sock=listening, limit=MAX_LINE_B)
        except OSError as error:
            _log.warning(
                "`zap2 admin` cannot reach this relay: no socket in its data folder: %s", error.strerror
            )

    async def stop(self) -> None:
        """Remove the socket."""
        if self._server is not None:
            self._server.close()
            self._server = None
            with contextlib.suppress(OSError):
                (self._data_dir / SOCKET_FILE).unlink()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                answer = await self._answer(await reader.readline())
                writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()
        except (OSError, ValueError, TimeoutError):
            pass  # It went away, or sent something endless.
        finally:
            writer.close()

    async def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            return {"done": await self._do(msgspec.json.decode(line, type=Question))}
        except msgspec.DecodeError:
            return {
                "error": "The relay does not understand this.",
                "hint": "Use the same version of Zap2 for both.",
            }
        except UsageError as error:
            return {"error": str(error), "hint": error.hint}
        except Exception:
            _log.exception("`zap2 admin` could not be answered")
            return {"error": "The relay could not do this.", "hint": "Its log says why."}

    async def _do(self, question: Question) -> Any:
        operator = self._operator
        match question.do:
            case "stats":
                return await operator.stats()
            case "accounts":
                accounts = await operator.accounts(question.who, question.limit)
                return [msgspec.to_builtins(account) for account in accounts]
            case "invite":
                return await operator.invites(min(question.count, MAX_INVITES), question.ttl_s)
            case "block":
                return await operator.block(question.who)
            case "unblock":
                return await operator.unblock(question.who)
            case "quota":
                return await operator.quota(question.who, question.max_messages, question.max_size_b)
            case "drain":
                self._drain(question.over_s)
                return None
            case _:
                raise UsageError(
                    "The relay does not know this command.", "Use the same version of Zap2 for both."
                )


@contextlib.contextmanager
def reachable(data_dir: Path) -> Iterator[str]:
    """Give a path of the socket that is short enough for the system to bind or connect to."""
    path = str(data_dir / SOCKET_FILE)
    if len(os.fsencode(path)) <= _MAX_PATH_B:
        yield path
        return
    # Linux offers a short name for every open folder; elsewhere the system says that the path is too long.
    folder = os.open(data_dir, os.O_RDONLY)
    try:
        short = f"/proc/self/fd/{folder}"
        yield f"{short}/{SOCKET_FILE}" if os.path.isdir(short) else path
    finally:
        os.close(folder)
