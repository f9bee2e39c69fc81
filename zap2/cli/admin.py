"""`zap2 admin`: a host looks after the relay on this machine, over the socket in its data folder."""

from __future__ import annotations

import argparse
import asyncio
import datetime
import json
import os
import socket
from pathlib import Path
from typing import Any, Final

from zap2.cli import arguments as reading
from zap2.cli.console import say
from zap2.cli.places import relay_data_dir
from zap2.errors import Unreachable, UsageError
from zap2.server.admin_socket import MAX_LINE_B, reachable
from zap2.server.backup import back_up, restore
from zap2.server.move import MOVED_FILE, move_to_postgres

_PATIENCE_S: Final = 60.0
_DAY_S: Final = 24 * 3600
_WITH_WHAT: Final = ("block", "unblock", "quota", "backup", "restore")
_ALL: Final = ("stats", "accounts", "invite", *_WITH_WHAT, "drain", "move")
_ACTIONS: Final = """\
actions:
  stats         connections, accounts, mail, refusals
  accounts      list accounts
  invite        make invites, each good for one account: [--count N] [--days N]
  block WHO     shut an account out
  unblock WHO   let an account in again
  quota WHO     give a mailbox bounds of its own, or the relay's again: [--messages N] [--mib N]
  drain         send all clients away one after another, then end the relay: [--over SECONDS]
  backup FILE   write a backup; the relay may run
  restore FILE  make a new data folder of a backup
  move          carry everything from SQLite over to PostgreSQL, while no relay runs: --to URL
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `zap2 admin`."""
    parser.epilog = _ACTIONS
    parser.add_argument("action", metavar="ACTION", choices=_ALL, help="what to do, see below")
    parser.add_argument("what", metavar="WHO|FILE", nargs="?", help="a phone number or a uid; or a backup")
    parser.add_argument(
        "--data",
        metavar="DIR",
        type=reading.folder,
        help="the relay's data folder (default: as for `zap2 serve`)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--count", metavar="N", type=reading.count, default=1, help="invite: how many")
    parser.add_argument("--days", metavar="N", type=reading.count, default=7, help="invite: good for so long")
    parser.add_argument(
        "--limit", metavar="N", type=reading.count, default=1_000, help="accounts: at most so many"
    )
    parser.add_argument("--messages", metavar="N", type=reading.count, help="quota: messages in the mailbox")
    parser.add_argument("--mib", metavar="N", type=reading.count, help="quota: MiB in the mailbox")
    parser.add_argument(
        "--over", metavar="SECONDS", type=reading.seconds, default=30.0, help="drain: how long it takes"
    )
    parser.add_argument(
        "--to",
        metavar="URL",
        default=os.environ.get("ZAP2_STORE", ""),
        help="move: an empty database, postgresql://user@host:port/database; also from ZAP2_STORE",
    )


def run(arguments: argparse.Namespace) -> int:
    """Do one thing, and give 0."""
    if (arguments.what is None) == (arguments.action in _WITH_WHAT):
        needs = "needs WHO or FILE" if arguments.what is None else "takes nothing more"
        raise UsageError(
            f"`zap2 admin {arguments.action}` {needs}.", "`zap2 admin --help` shows how it is used."
        )
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
            say(json.dumps(done) if arguments.json else _words(arguments.action, done))
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
            size_b = arguments.mib * 1024 * 1024 if arguments.mib is not None else None
            question |= {"who": arguments.what, "max_messages": arguments.messages, "max_size_b": size_b}
        case "drain":
            question["over_s"] = arguments.over
    return question


def _words(action: str, done: Any) -> str:
    match action:
        case "stats":
            refused = ", ".join(f"{code} {count}" for code, count in sorted(done.pop("refused").items()))
            return "\n".join(
                [*(f"{name:<14}{value}" for name, value in done.items()), f"refused       {refused}"]
            )
        case "accounts":
            return "\n".join(_account(account) for account in done)
        case "invite":
            return "\n".join(done)
        case "drain":
            return "The relay takes no new connections, and ends when all clients have left."
        case _:
            return f"{action}: {done}"


def _account(account: dict[str, Any]) -> str:
    last = datetime.date(1970, 1, 1) + datetime.timedelta(days=account["active_day"])
    marks = [
        word
        for word, is_so in (
            ("online", account["is_online"]),
            ("unlisted", not account["is_listed"]),
            ("blocked", account["is_blocked"]),
            ("PIN", account["has_pin"]),
        )
        if is_so
    ]
    return (
        f"{account['uid']}  {last}  {account['envelopes']:>6} waiting  {account['size_b'] / 1024:>8.0f} KiB"
        f"  {' '.join(marks)}"
    ).rstrip()
