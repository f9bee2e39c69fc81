"""A relay as a process of its own, run as `zap2 serve` runs it: for kill -9, signals and what it prints."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from zap2.address import RelayAddress

_SCRIPT = """
import sys
from pathlib import Path
from zap2.server.options import RelayOptions
from zap2.server.serve import run
port, data, verify, store, tokens, *keys = sys.argv[1:]
shared = Path(keys[0]) if keys else None
options = RelayOptions(
    port=int(port), data_dir=Path(data), keys_dir=shared, verify=verify, store=store, tokens=tokens
)
raise SystemExit(run(options))
"""


@dataclass
class RelayProcess:
    """A relay that runs; `out` and `err` grow as it writes."""

    process: asyncio.subprocess.Process
    address: RelayAddress
    out: list[str] = field(default_factory=list)
    err: list[str] = field(default_factory=list)
    readers: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def port(self) -> int:
        return self.address.port

    async def kill(self) -> None:
        """End it as a power cut of the process does."""
        self.process.send_signal(signal.SIGKILL)
        await self.ended()

    async def ended(self) -> int:
        """Wait for its end; give the exit code."""
        async with asyncio.timeout(20):
            code = await self.process.wait()
            await asyncio.gather(*self.readers)
        return code

    async def says(self, words: str) -> str:
        """Wait until a line of its log has these words; give the line."""
        for _ in range(2_000):
            for line in self.err:
                if words in line:
                    return line
            await asyncio.sleep(0.005)
        raise TimeoutError(f"the relay never said {words!r}: {self.err}")


@asynccontextmanager
async def relay_process(
    data_dir: Path,
    verify: str = "none",
    port: int = 0,
    store: str = "sqlite",
    tokens: str = "store",
    keys_dir: Path | None = None,
) -> AsyncIterator[RelayProcess]:
    """Run a relay on a free port; kill it in the end if the test has not."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _SCRIPT,
        str(port),
        str(data_dir),
        verify,
        store,
        tokens,
        *([str(keys_dir)] if keys_dir is not None else []),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    first = (await asyncio.wait_for(process.stdout.readline(), 20)).decode()
    if not first:
        raise AssertionError((await process.stderr.read()).decode())
    relay = RelayProcess(process, RelayAddress.parse(first.strip()), [first])
    relay.readers = [
        asyncio.create_task(_collect(process.stdout, relay.out)),
        asyncio.create_task(_collect(process.stderr, relay.err)),
    ]
    try:
        yield relay
    finally:
        if process.returncode is None:
            await relay.kill()


async def _collect(stream: asyncio.StreamReader, lines: list[str]) -> None:
    while line := await stream.readline():
        lines.append(line.decode())
