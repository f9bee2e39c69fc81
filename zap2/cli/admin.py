"""`zap2 admin`: a host looks after the relay on this machine, over the socket in its data folder."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
from pathlib import Path
from typing import Any, Final

from zap2.cli import arguments as reading
from zap2.cli.admin_words import (
    accounts_words,
    blocked_words,
    invites_hint,
    quota_words,
    stats_words,
    unblocked_words,
)
from zap2.cli.console import say, warn
from zap2.cli.places import relay_data_dir
from zap2.errors import Unreachable, UsageError
from zap2.server.admin_socket import MAX_LINE_B, reachable
from zap2.server.backup import back_up, restore
from zap2.server.move import MOVED_FILE, move_to_postgres
from zap2.server.operator import MAX_INVITES, MAX_LISTED

_PATIENCE_S: Final = 60.0
_DAY_S: Final = 24 * 3600
_MIB_B: Final = 1024 * 1024
_WHO: Final = "WHO: a phone number, or an account as `zap2 admin accounts` lists it"
_WITH_WHAT: Final = {
    "block": _WHO,
    "unblock": _WHO,
    "quota": _WHO,
    "backup": "FILE: where to write the backup",
    "restore": "FILE: the backup",
}
ACTIONS: Final = ("stats", "accounts", "invite", *_WITH_WHAT, "drain", "move")
_EXPLAINED: Final = """\
actions, while the relay runs:
  stats         figures of the relay, each with what it means
  accounts      list accounts, with the mail that waits for them; [--limit N]
  invite        make invites, for `zap2 serve --registration invite`; each is good for one account:
                [--count N] [--days N]
  block WHO     shut an account out: it cannot log in, and nobody finds it; its mail is kept
  unblock WHO   let an account in again
  quota WHO     how much may wait in somebody's mailbox: [--messages N] [--mib N]; what is left out
                is as for everybody (10,000 messages, 64 MiB)
  drain         send all clients away one after another, then end the relay: [--over SECONDS].
                For one of several relays; SIGTERM (Ctrl+C, systemctl stop) ends a single one
actions, whether it runs or not:
  backup FILE   write everything to a new file: mail, accounts and the relay's keys
actions, while it does not run:
  restore FILE  make a data folder of a backup; the folder of --data must be new or empty
  move          carry everything from SQLite over to PostgreSQL: --to URL

WHO is a phone number, or an account as `accounts` lists it. The relay is found by its data folder:
name the one that `zap2 serve --data` has, as the user that the relay runs as (or root).

zap2 admin invite --count 5 --days 14
zap2 admin block +12025550143
zap2 admin backup relay.tar --data /var/lib/zap2
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `zap2 admin`."""
    parser.epilog = _EXPLAINED
    parser.add_argument(
        "action",
        metavar="ACTION",
        choices=ACTIONS,
        help="what to do: one of those below, with what stands there",
    )
    parser.usage = "zap2 admin ACTION [options]"
    parser.add_argument("what", nargs="?", help=argparse.SUPPRESS)
    parser.add_argument(
        "--data",
        metavar="DIR",
        type=reading.folder,
        help="the relay's data folder (default: zap2/relay in the user's data folder, as for `zap2 serve`)",
    )
    parser.add_argument(
        "--json", action="store_true", help="print JSON, for scripts; not with backup, restore, move"
    )
    parser.add_argument(
        "--count",
        metavar="N",
        type=reading.count,
        default=1,
        help=f"invite: how many, at most {MAX_INVITES} (default: %(default)s)",
    )
    parser.add_argument(
        "--days",
        metavar="N",
        type=reading.count,
        default=7,
        help="invite: for how many days they are good (default: %(default)s)",
    )
    parser.add_argument(
        "--limit",
        metavar="N",
        type=reading.count,
        default=MAX_LISTED,
        help="accounts: how many to list, at most and by default %(default)s",
    )
    parser.add_argument(
        "--messages", metavar="N", type=reading.count, help="quota: how many messages may wait in the mailbox"
    )
    parser.add_argument(
        "--mib", metavar="N", type=reading.count, help="quota: how many MiB may wait in the mailbox"
    )
    parser.add_argument(
        "--over",
        metavar="SECONDS",
        type=reading.seconds,
        default=30.0,
        help="drain: over how many seconds clients are sent away (default: %(default)g)",
    )
    parser.add_argument(
        "--to",
        metavar="URL",
        default=os.environ.get("ZAP2_STORE", ""),
        help="move: an empty PostgreSQL database, postgresql://user@host:port/database; also from ZAP2_STORE, which"
        " other users of this machine cannot read as they can an argument",
    )


def run(arguments: argparse.Namespace) -> int:
    """Do one thing, and give 0."""
    if (arguments.what is None) == (arguments.action in _WITH_WHAT):
        needs = f"needs {_WITH_WHAT[arguments.action]}" if arguments.what is None else "takes nothing more"
        raise UsageError(
            f"`zap2 admin {arguments.action}` {needs}.", "`zap2 admin --help` shows how it is used."
        )
    if arguments.count > MAX_INVITES:
        raise UsageError(f"`zap2 admin invite` makes at most {MAX_INVITES} invites at once.")
    data_dir = arguments.data or relay_data_dir()
    match arguments.action:
        case "backup":
            size_b = back_up(data_dir, Path(arguments.what))
            say(f"{Path(arguments.what)}: {size_b:,} bytes. It holds the relay's keys: keep it to yourself.")
        case "restore":
            restore(Path(arguments.what), data_dir)
            say(f"Restored into {data_dir}; `zap2 serve --data {data_dir}` starts it.")
        case "move":
            _move(data_dir, arguments.to)
        case _:
            done = ask(data_dir, _question(arguments))
            if arguments.json:
                say(json.dumps(done))
            else:
                _show(arguments, done)
    return 0


def ask(data_dir: Path, question: dict[str, Any]) -> Any:
    """Ask the relay that runs on a data folder.

    Raises:
        Unreachable: none runs there, or it does not answer.
        UsageError: it refused, and why.
    """
    try:
        with reachable(data_dir) as path, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(_PATIENCE_S)
            connection.connect(path)
            connection.sendall(json.dumps(question).encode() + b"\n")
            with connection.makefile("rb") as answers:
                answer = json.loads(answers.readline(MAX_LINE_B))
    except (OSError, ValueError, AttributeError) as error:
        raise Unreachable(
            f"No relay answers on the data folder {data_dir}.",
            "Is it running, and is this its folder? Name it with --data; only its own user may ask.",
        ) from error
    if "error" in answer:
        raise UsageError(answer["error"], answer.get("hint", ""))
    return answer["done"]


def _move(data_dir: Path, url: str) -> None:
    if not url.startswith(("postgresql://", "postgres://")):
        raise UsageError(
            "`zap2 admin move` needs --to postgresql://user@host:port/database.",
            "Or give the URL in ZAP2_STORE, where other users of this machine cannot read it.",
        )
    moved = asyncio.run(move_to_postgres(data_dir, url))
    say(
        f"Moved accounts: {moved.accounts:,}, waiting envelopes: {moved.envelopes:,}. Start the relay as before, with"
        f" --store (or ZAP2_STORE) naming that database. The old one is {data_dir / MOVED_FILE}: nothing uses it."
    )


def _question(arguments: argparse.Namespace) -> dict[str, Any]:
    question: dict[str, Any] = {"do": arguments.action}
    match arguments.action:
        case "accounts":
            question["limit"] = arguments.limit
        case "invite":
            question |= {"count": arguments.count, "ttl_s": arguments.days * _DAY_S}
        case "block" | "unblock":
            question["who"] = arguments.what
        case "quota":
            size_b = arguments.mib * _MIB_B if arguments.mib is not None else None
            question |= {"who": arguments.what, "max_messages": arguments.messages, "max_size_b": size_b}
        case "drain":
            question["over_s"] = arguments.over
    return question


def _show(arguments: argparse.Namespace, done: Any) -> None:
    match arguments.action:
        case "stats":
            say(stats_words(done))
        case "accounts" if not done:
            warn("this relay has no accounts yet")
        case "accounts":
            say(accounts_words(done))
            if len(done) >= min(arguments.limit, MAX_LISTED):
                warn(f"these are {len(done)} accounts, and there may be more; `zap2 admin stats` counts all")
        case "invite":
            say("\n".join(done))
            warn(invites_hint(len(done), arguments.days))
        case "block":
            say(blocked_words(done))
        case "unblock":
            say(unblocked_words(done))
        case "quota":
            say(quota_words(done, arguments.messages, arguments.mib))
        case _:
            say("The relay takes no new connections, and ends when all clients have left.")
