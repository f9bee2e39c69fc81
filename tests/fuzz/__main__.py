"""Run the fuzzers: `python -m tests.fuzz guided` (every target, by coverage) or `python -m tests.fuzz envelopes`.

What `guided` finds interesting stays in `.fuzz/TARGET/corpus`, so that a later run goes on from there; an input that
is a fault is written beside it, and `python -m tests.fuzz.guided TARGET FILE` tries it again.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import subprocess
import sys
import time
from pathlib import Path

from tests.fuzz.envelopes import ATTACKS
from tests.fuzz.targets import TARGETS


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.partition("\n")[0])
    ways = parser.add_subparsers(dest="way", required=True)
    guided = ways.add_parser("guided", help="look for new code in every target, or in those named")
    guided.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    guided.add_argument("--seconds", type=int, default=20, help="for each target (20)")
    guided.add_argument(
        "--folder", type=Path, default=Path(".fuzz"), help="where corpora and faults go (.fuzz)"
    )
    envelopes = ways.add_parser(
        "envelopes", help="try random and mutated envelopes on everything that receives"
    )
    envelopes.add_argument("--count", type=int, default=1_000_000, help="for each receiver (1000000)")
    envelopes.add_argument("--seed", type=int, default=1)
    envelopes.add_argument("--only", choices=list(ATTACKS), help="one receiver alone")
    return parser.parse_args()


def _guide(name: str, seconds: int, folder: Path) -> tuple[bool, str]:
    """Run one target in a process of its own; gives whether it is sound, and libFuzzer's last words."""
    home = folder / name.replace(" ", "-")
    corpus = home / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for seed in TARGETS[name].seeds():
        (corpus / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)
    options = [f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=1024", "-print_final_stats=1"]
    log = home / "log"
    with log.open("wb") as out:
        ended = subprocess.run(
            [
                *(sys.executable, "-m", "tests.fuzz.guided", name),
                *(*options, f"-artifact_prefix={home}/", str(corpus)),
            ],
            stdout=out,
            stderr=out,
            check=False,
        )
    lines = log.read_text("utf-8", "replace").splitlines()
    done = [line for line in lines if line.startswith("Done ")]
    covered = [line.split(" corp:")[0] for line in lines if " cov: " in line]
    return ended.returncode == 0, f"{(done or ['no end: see ' + str(log)])[-1]}; {(covered or [''])[-1]}"


def _run_guided(names: list[str], seconds: int, folder: Path) -> int:
    if importlib.util.find_spec("atheris") is None:
        print("Coverage-guided fuzzing needs the extra: pip install -e '.[test,fuzz]' (Linux).")
        return 2
    faults = []
    for name in names or TARGETS:
        is_sound, words = _guide(name, seconds, folder)
        print(f"{'sound' if is_sound else 'FAULT'}  {name}: {words}", flush=True)
        if not is_sound:
            faults.append(name)
    return 1 if faults else 0


def _run_envelopes(count: int, seed: int, only: str | None) -> int:
    for name in [only] if only else ATTACKS:
        start = time.perf_counter()
        sizes_b = ATTACKS[name](count, seed)
        seconds = time.perf_counter() - start
        likely = sum(number for size_b, number in sizes_b.items() if size_b in (512, 1024, 4096, 65536))
        print(
            f"{name}: {sizes_b.total():,} envelopes in {seconds:.0f} s, {likely:,} of a genuine size;"
            " documented errors alone, no change of state, genuine mail read afterwards",
            flush=True,
        )
    return 0


def main() -> int:
    """Do what the command line says."""
    given = _parse()
    if given.way == "guided":
        return _run_guided(given.targets, given.seconds, given.folder)
    return _run_envelopes(given.count, given.seed, given.only)


if __name__ == "__main__":
    sys.exit(main())
