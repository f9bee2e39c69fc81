"""One target under atheris, which lets libFuzzer look for inputs that reach new code (`make fuzz` runs them all).

    python -m tests.fuzz.guided TARGET [libFuzzer's options and folders, or a file to try again]

Needs the `fuzz` extra. Atheris instruments modules as they are imported, so it comes before anything of Zap2.
"""

from __future__ import annotations

import sys


def main(arguments: list[str]) -> None:
    """Fuzz one target until libFuzzer's options end it; a fault ends it with another exit code than 0."""
    import atheris

    with atheris.instrument_imports(include=["zap2"]):
        from tests.fuzz.targets import TARGETS
    target = TARGETS[arguments[0]]

    def try_one(data: bytes) -> None:
        target.check(data)

    atheris.Setup([sys.argv[0], *arguments[1:]], try_one)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
