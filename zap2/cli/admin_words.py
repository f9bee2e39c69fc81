"""What `zap2 admin` prints for a host: figures with what they mean, accounts as a table, what was done. Pure."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any, Final

from zap2.server.limits import Limits

_MIB: Final = 1024 * 1024
_NAME_CELLS: Final = 14
_VALUE_CELLS: Final = 12

STATS_MEAN: Final = {
    "up_s": "seconds since the relay started",
    "connections": "open connections now, logged in or not",
    "online": "devices that are logged in now",
    "accounts": "accounts in all",
    "blocked": "of these, accounts that you blocked",
    "envelopes": "encrypted messages that wait to be fetched",
    "envelopes_b": "bytes that these take",
    "invites": "invites that are still good",
    "accepted": "messages taken since the start",
    "store_s": "seconds that the last round of writing to the store took; above 0.1 for minutes: a slow disk",
    "loop_lag_s": "seconds by which the relay was late last; above 0.2: the processor is full",
    "is_draining": "whether the relay is sending its clients away, to end or because it was drained",
    "refused": "requests that were refused since the start, by reason",
}
"""What each figure of `zap2 admin stats` is; also of its JSON."""


def stats_words(done: Mapping[str, Any]) -> str:
    """Write figures, one a line: name, value, meaning."""
    lines = []
    for name, value in sorted(done.items(), key=lambda item: item[0] == "refused"):
        shown = _shown(value)
        lines.append(f"{name:<{_NAME_CELLS}}{shown:<{_VALUE_CELLS}}{STATS_MEAN.get(name, '')}".rstrip())
        if isinstance(value, Mapping):
            lines += [f"  {count:>{_VALUE_CELLS - 2}}  {code}" for code, count in sorted(value.items())]
    return "\n".join(lines)


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return str(sum(value.values()))
    return str(value)


_ROW: Final = "{:<52}  {:<10}  {:>8}  {:>10}  {}"
_HEADER: Final = _ROW.format("ACCOUNT", "LAST USED", "MESSAGES", "SIZE", "MARKS")


def accounts_words(done: Sequence[Mapping[str, Any]]) -> str:
    """Write accounts as a table with a header."""
    return "\n".join([_HEADER, *map(_account, done)])


def _account(account: Mapping[str, Any]) -> str:
    last = datetime.date(1970, 1, 1) + datetime.timedelta(days=account["active_day"])
    marks = [
        word
        for word, is_so in (
            ("online", account["is_online"]),
            ("unlisted", not account["is_listed"]),
            ("blocked", account["is_blocked"]),
            ("PIN", account["has_pin"]),
            ("no number", not account["has_number"]),
        )
        if is_so
    ]
    size = f"{account['size_b'] / 1024:,.0f} KiB"
    return _ROW.format(account["uid"], str(last), account["envelopes"], size, " ".join(marks)).rstrip()


def blocked_words(uid: str) -> str:
    """Say what blocking did."""
    return (
        f"Blocked: {uid}\n"
        "Its connections have ended, it cannot log in, and nobody finds it by number. Its mail is kept.\n"
        f"`zap2 admin unblock {uid}` lets it in again."
    )


def unblocked_words(uid: str) -> str:
    """Say what unblocking did."""
    return f"Let in again: {uid}\nIt logs in by itself within five minutes, and finds its mail."


def quota_words(uid: str, messages: int | None, mib: int | None) -> str:
    """Say which bounds a mailbox has now; None is the relay's own bound."""
    limits = Limits()
    most = f"{messages:,}" if messages is not None else f"{limits.mailbox_messages:,} (the relay's bound)"
    size = f"{mib:,} MiB" if mib is not None else f"{limits.mailbox_size_b // _MIB:,} MiB (the relay's bound)"
    return f"Mailbox of {uid}\nat most {most} messages that wait, and {size}; whoever writes to a full one is told so."


def invites_hint(count: int, days: int) -> str:
    """Say what to do with invites."""
    which = "it makes" if count == 1 else "each makes"
    span = "1 day" if days == 1 else f"{days} days"
    return (
        f"{which} one account within {span}, where the relay runs with --registration invite; Zap2 asks for it, and"
        " `zap2 signup` takes it with --invite. It cannot be shown again"
    )
