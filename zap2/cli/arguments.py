"""Reading the command line: global options before or after the command, errors in one line."""

from __future__ import annotations

import argparse
import os
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NoReturn

from zap2 import __version__
from zap2.cli.commands import COMMANDS, CommandModule
from zap2.errors import UsageError

DEFAULT_PROFILE: Final = "default"

_LITERAL: Final = "\0"

_EXIT_CODES: Final = """\
exit codes:
  0  done
  1  an error that has no code of its own; not every line of `send --lines` was sent; `signup` needs the code
     that was sent; `send` to a number that is no contact yet did not reach the relay, and nothing is queued
  2  used wrongly: nothing was done
  3  refused by the relay
  4  unreachable: what was to be sent is queued and goes out later
  5  wrong passphrase
  6  not trusted: a key or a safety number is not the expected one
  7  the profile cannot be used: open elsewhere (also in a chat), damaged, or from a newer version
  130, 143, 129  interrupted by Ctrl+C, ended by SIGTERM, or by a terminal that closed
"""


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are `UsageError`s instead of an exit."""

    def error(self, message: str) -> NoReturn:
        """Report what is wrong with the arguments.

        Raises:
            UsageError: always.
        """
        raise UsageError(
            f"{message[:1].upper()}{message[1:]}.", f"`{self.prog} --help` shows how it is used."
        )


def parse(arguments: Sequence[str]) -> tuple[CommandModule, argparse.Namespace]:
    """Find the command and read its arguments.

    Raises:
        UsageError: there is no such command or option, or a value is missing or wrong.
        SystemExit: `--help` or `--version` was printed.
    """
    given, literal = _split_literal(arguments)
    first = _first_parser().parse_args(given)
    if first.command is None:
        raise UsageError("There is no command.", "`zap2 --help` lists them; `zap2 demo` shows what this is.")
    if first.command not in COMMANDS:
        raise UsageError(f"There is no command {first.command!r}.", "`zap2 --help` lists the commands.")
    command = COMMANDS[first.command]
    module = command.load()
    parser = Parser(
        prog=f"zap2 {first.command}",
        description=f"{command.summary[:1].upper()}{command.summary[1:]}.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    module.add_arguments(parser)
    _add_global_options(parser, uses_profile=command.uses_profile)
    parsed = parser.parse_intermixed_args([*first.rest, *map(_mark, literal)], namespace=first)
    for name, value in vars(parsed).items():
        setattr(parsed, name, _unmark(value))
    return module, parsed


def add_profile_option(parser: argparse.ArgumentParser) -> None:
    """Declare `--profile`, for commands that use one."""
    parser.add_argument(
        "--profile", metavar="NAME", default=DEFAULT_PROFILE, help="the profile to use (default: %(default)s)"
    )


def folder(text: str) -> Path:
    """Read the path of a folder, which need not be there yet."""
    if not text.strip():
        raise argparse.ArgumentTypeError("an empty path names no folder")
    path = Path(text)
    if path.exists() and not path.is_dir():
        raise argparse.ArgumentTypeError(f"{text} is a file, not a folder")
    return path


def seconds(text: str) -> float:
    """Read a duration in seconds, 0 or more."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return value


def count(text: str) -> int:
    """Read a whole number of 1 or more."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if not 1 <= value <= 1_000_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to 1,000,000")
    return value


def port(text: str) -> int:
    """Read a TCP port, 0 for any free one."""
    try:
        value = int(text)
    except ValueError:
        value = -1
    if not 0 <= value <= 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port")
    return value


def _split_literal(arguments: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """Split at the first `--`: what comes after it is words, whatever it looks like."""
    if "--" not in arguments:
        return arguments, ()
    at = list(arguments).index("--")
    return arguments[:at], arguments[at + 1 :]


def _mark(word: str) -> str:
    # argparse would look for an option here; no argument of a process can hold a NUL of its own.
    return _LITERAL + word if word.startswith("-") else word


def _unmark(value: object) -> object:
    if isinstance(value, list):
        return [_unmark(one) for one in value]
    return value.removeprefix(_LITERAL) if isinstance(value, str) else value


def _first_parser() -> Parser:
    width = max(map(len, COMMANDS))
    listing = "\n".join(f"  {name:<{width}}  {command.summary}" for name, command in COMMANDS.items())
    parser = Parser(
        prog="zap2",
        usage="zap2 [global options] COMMAND [options]",
        description="A terminal messenger with end-to-end encryption, its own relay and an encrypted vault.",
        epilog=f"commands (`zap2 COMMAND --help` explains one):\n{listing}\n\n{textwrap.dedent(_EXIT_CODES)}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"zap2 {__version__}")
    parser.add_argument("command", nargs="?", metavar="COMMAND", help=argparse.SUPPRESS)
    parser.add_argument("rest", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    _add_global_options(parser)
    parser.set_defaults(
        config_dir=os.environ.get("ZAP2_CONFIG_DIR") or None,
        passphrase_file=os.environ.get("ZAP2_PASSPHRASE_FILE") or None,
        passphrase_fd=None,
    )
    return parser


def _add_global_options(parser: argparse.ArgumentParser, *, uses_profile: bool = True) -> None:
    # Without defaults of their own: what stands before the command must survive the parser of the command.
    group = parser.add_argument_group(
        "global options", None if uses_profile else "Of no use here: they are about people's profiles."
    )
    group.add_argument(
        "--config-dir",
        metavar="DIR",
        type=folder,
        default=argparse.SUPPRESS,
        help="where profiles are kept (also ZAP2_CONFIG_DIR)",
    )
    group.add_argument(
        "--passphrase-file",
        metavar="FILE",
        default=argparse.SUPPRESS,
        help="read the passphrase from a file (also ZAP2_PASSPHRASE_FILE)",
    )
    group.add_argument(
        "--passphrase-fd",
        metavar="N",
        type=int,
        default=argparse.SUPPRESS,
        help="read the passphrase from an open file descriptor",
    )
