"""What runs as `zap2` and as `python -m zap2`."""

from __future__ import annotations

import sys

from zap2.cli.main import run


def main() -> int:
    """Run the command of this process and give its exit code."""
    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
