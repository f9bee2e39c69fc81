"""What the screen says: glyphs and words for states, days and times. Pure."""

from __future__ import annotations

from datetime import date, datetime
from typing import Final

from zap2.client.api import ContactState, LinkState, LinkView, MessageState, SessionState, Trust
from zap2.errors import Zap2Error

STATE_GLYPHS: Final = {
    MessageState.QUEUED: "·",
    MessageState.SENT: "→",
    MessageState.DELIVERED: "✓",
    MessageState.READ: "✓✓",
    MessageState.FAILED: "!",
}

STATE_MEANINGS: Final = {
    MessageState.QUEUED: "stored here; goes out as soon as the relay can be reached",
    MessageState.SENT: "safe at the relay, waiting for the other device",
    MessageState.DELIVERED: "stored on the other device",
    MessageState.READ: "it was on the other person's screen",
    MessageState.FAILED: "it does not go out by itself; press r on it to try again",
}

TRUST_GLYPHS: Final = {Trust.VERIFIED: "◆", Trust.FIRST_USE: "◇"}

_TRUST_WORDS: Final = {Trust.VERIFIED: "verified", Trust.FIRST_USE: "not compared yet"}

SESSION_MEANINGS: Final = {
    SessionState.NONE: "none yet; the first message sets it up",
    SessionState.FINE: "fine",
    SessionState.SUSPECT: "out of step; it is set up anew by itself as soon as that is allowed",
    SessionState.REPAIRING: "being set up anew; messages wait and go out afterwards",
    SessionState.REPAIRED: "set up anew within the last day, and fine; the safety number is the same",
    SessionState.BROKEN: "broken, and not repaired by itself any more; ask them, then set it up anew below",
}

_SESSION_ALARMS: Final = {
    SessionState.SUSPECT: "! session out of step",
    SessionState.REPAIRING: "… session being set up anew",
    SessionState.BROKEN: "! session broken (F2)",
}

_WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


def state_label(state: MessageState) -> str:
    """Give glyph and word of a message's state."""
    return f"{STATE_GLYPHS[state]} {state.value}"


LONGEST_STATE_LABEL: Final = max(len(state_label(state)) for state in MessageState)


def trust_words(trust: Trust, state: ContactState, *, is_self: bool = False) -> str:
    """Say how sure one is whom one talks to, with its glyph."""
    if is_self:
        return "◆ only you read this"
    if state is ContactState.REQUEST:
        return "◇ wants to write to you"
    if state is ContactState.BLOCKED:
        return "■ blocked"
    return f"{TRUST_GLYPHS[trust]} {_TRUST_WORDS[trust]}"


NUMBER_ALARM: Final = "! your number is another account's (F7)"
"""For the status line, once a number was taken over."""


def session_alarm(session: SessionState) -> str:
    """Say in a few words what is the matter with a session; empty when nothing is."""
    return _SESSION_ALARMS.get(session, "")


NAME_CHARS: Final = 64
"""What others, and lists, show of a name."""


def too_long_words(name: str) -> str:
    """Say that a name is too long; empty where it is not."""
    if len(name) <= NAME_CHARS:
        return ""
    return f"! It has {len(name)} characters; a name has {NAME_CHARS} at most."


def missing_words(count: int, author: str) -> str:
    """Say that messages before one are not here."""
    return f"⋯ {plural(count, 'message', 'messages')} from {author} {'has' if count == 1 else 'have'} not arrived yet"


def link_words(link: LinkView, remaining_s: float | None, *, is_short: bool = False) -> str:
    """Say how the link is; `remaining_s` counts down to the next try, and little room has no word for `offline`."""
    match link.state:
        case LinkState.ONLINE:
            words = "● online"
        case LinkState.CONNECTING:
            words = "○ connecting…"
        case LinkState.NOT_TRUSTED:
            return "! the relay's key is not the one you trust"
        case LinkState.OFFLINE if link.refused:
            return f"! {link.detail.rstrip('.')} · F3 says what to do"
        case LinkState.OFFLINE:
            words = "○ offline"
            if remaining_s is not None:
                words = "○" if is_short else f"{words},"
                words += f" next try in {countdown(remaining_s)}" if remaining_s > 0 else " trying now"
    return f"{words} · {link.detail.rstrip('.')}" if link.detail else words


def countdown(seconds: float) -> str:
    """Write a waiting time as a person says it: whole seconds, minutes from a minute and a half on."""
    whole = max(0, int(seconds + 0.999))
    if whole < 90:
        return f"{whole} s"
    if whole < 5400:
        return f"{(whole + 59) // 60} min"
    return f"{(whole + 3599) // 3600} h"


def day_words(day: date, today: date) -> str:
    """Name a day for a separator of the transcript."""
    days_ago = (today - day).days
    if days_ago == 0:
        return "Today"
    if days_ago == 1:
        return "Yesterday"
    name = f"{_WEEKDAYS[day.weekday()]} {day.day} {_MONTHS[day.month - 1]}"
    return name if day.year == today.year else f"{name} {day.year}"


def time_words(at: datetime) -> str:
    """Write the time of day."""
    return f"{at.hour:02}:{at.minute:02}"


def moment_words(at: datetime) -> str:
    """Write date and time in full, with seconds."""
    return f"{_WEEKDAYS[at.weekday()]} {at.day} {_MONTHS[at.month - 1]} {at.year}, {at:%H:%M:%S}"


def when_words(at: datetime, today: date) -> str:
    """Write a moment in at most six cells, for the conversation list."""
    days_ago = (today - at.date()).days
    if days_ago <= 0:
        return time_words(at)
    if days_ago == 1:
        return "yest."
    if days_ago < 7:
        return _WEEKDAYS[at.weekday()][:3]
    if at.year == today.year:
        return f"{at.day} {_MONTHS[at.month - 1][:3]}"
    return str(at.year)


def error_words(error: Zap2Error) -> str:
    """Say what happened and what to do about it."""
    said = str(error).strip()
    wait_s = getattr(error, "retry_after_s", None)
    hint = error.hint.strip()
    if wait_s is not None and not hint:
        hint = f"Try again in {countdown(float(wait_s))}."
    return f"{said}\n{hint}" if hint else said


def plural(count: int, one: str, many: str) -> str:
    """Write a count with its noun."""
    return f"{count} {one if count == 1 else many}"
