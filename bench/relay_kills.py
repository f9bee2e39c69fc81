"""A relay that dies again and again under load (`python -m bench.relay_kills [--power]`), and what that costs.

Without `--power` it dies by `kill -9`; with `--store postgresql` its mail is in a PostgreSQL of the tests, which dies
with it now and then. With it, its data is on an ext4 file system in a file, and at each death only
what the device held is left, as when the power fails; that needs root and loop devices.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from tests.relay_kills import Database, Disk, Folder, LoopDisk, die_often


def main() -> None:
    """Run the rounds and print the toll; fails when anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--power", action="store_true", help="cut the power instead of killing the process")
    parser.add_argument(
        "--store", choices=["sqlite", "postgresql"], default="sqlite", help="what keeps the mail"
    )
    parser.add_argument("--seed", type=int, default=int(time.time()))
    chosen = parser.parse_args()
    # It says that it cannot write to a relay that is dead, which is what this is about.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=Path.cwd())))
        disk: Disk = Folder(folder / "data")
        if chosen.power:
            disk = stack.enter_context(LoopDisk(folder))
        elif chosen.store == "postgresql":
            disk = Database(folder / "data")
        toll = asyncio.run(die_often(disk, chosen.rounds, random.Random(chosen.seed)))
    death = "power cuts" if chosen.power else "times kill -9"
    print(f"{toll.rounds} {death}, {chosen.store}, seed {chosen.seed}")
    print(f"{toll.sent} sent, {toll.answered} answered, {toll.direct} of them direct")
    print(
        f"{toll.lost} lost, {toll.out_of_order} out of order, {toll.came_again} acknowledged ones came again"
    )
    if toll.lost or toll.out_of_order:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
