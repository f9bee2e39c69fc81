"""The words for what the engine and the transport report in codes."""

from __future__ import annotations

from typing import Final

from zap2.client.api import MeView, Notice, NoticeLevel
from zap2.engine.effects import AlertCode
from zap2.engine.sealing import ACCOUNT_GONE, BLOCKED, EXPIRED, REFUSED
from zap2.ids import Uid, conversation_with
from zap2.phone import format_number

_FAILURES: Final = {
    ACCOUNT_GONE: "The relay knows no such account any more.",
    EXPIRED: "It waited 30 days and could not be delivered.",
    REFUSED: "The relay refused this message.",
    BLOCKED: "You blocked this person before it had left. Unblock them (F2) and try again, if you want it to go.",
}

_ALERTS: Final[dict[AlertCode, tuple[NoticeLevel, str]]] = {
    AlertCode.FALSE_KEYS: (
        NoticeLevel.SECURITY,
        "The relay handed out keys for {title} that are not {title}'s, or are outdated. They were refused and nothing"
        " was sent; your messages wait. Tell the relay's host if this goes on.",
    ),
    AlertCode.FALSE_NUMBER: (
        NoticeLevel.SECURITY,
        "{title} claims a phone number that the relay's directory gives to somebody else. The number is not shown.",
    ),
    AlertCode.NUMBER_MOVED: (
        NoticeLevel.SECURITY,
        "The phone number of {title} belongs to another account now: a new device, or somebody else. Compare safety"
        " numbers before you trust it; if you verified {title}, nothing is sent until you accept.",
    ),
    AlertCode.GAP: (
        NoticeLevel.WARNING,
        "Messages from {title} are missing: one arrived from further ahead than can be caught up.",
    ),
    AlertCode.CLONE: (
        NoticeLevel.SECURITY,
        "Two copies of your session with {title} are in use: a restored backup, or somebody has copied keys."
        " The session is being set up anew; ask {title} whether they restored a backup.",
    ),
    AlertCode.REPAIRED: (
        NoticeLevel.INFORMATION,
        "The session with {title} was set up anew and what was missing is sent again. The safety number is the same.",
    ),
    AlertCode.BROKEN: (
        NoticeLevel.WARNING,
        "The session with {title} broke too often today and is left alone now. Ask {title} whether their device is"
        " well, then set the session up anew from the contact screen.",
    ),
    AlertCode.UNKNOWN_CONTENT: (
        NoticeLevel.WARNING,
        "{title} sent something that this version of Zap2 cannot show. Upgrading may help.",
    ),
}


_NUMBER_LOST: Final = "Your number {number} belongs to another account at your relay now."
AFTER_THE_NUMBER: Final = (
    "Your conversations and contacts go on: they know your account, not the number. Nobody else finds you by the"
    " number any more. To have a number again, sign up anew, under another --profile name."
)
"""What it means that a number was lost, and what to do."""


def number_lost_words(me: MeView) -> str:
    """Say that one's number is another account's."""
    return _NUMBER_LOST.format(number=format_number(me.number))


def number_notice(me: MeView) -> Notice:
    """Say whose one's number is now."""
    if me.has_number:
        return Notice(
            NoticeLevel.WARNING, "number-back", f"Your number {format_number(me.number)} is yours again."
        )
    words = f"{number_lost_words(me)} If that was not you, tell the relay's host. {AFTER_THE_NUMBER}"
    return Notice(NoticeLevel.SECURITY, "number-lost", words)


def takeover_notice(*, has_pin: bool) -> Notice:
    """Tell who signed up with a number that was another account's what became of that, and of the PIN."""
    pin = (
        "Its registration PIN holds for this account now; F7 or `zap2 profile pin` changes it."
        if has_pin
        else "This account has no registration PIN: F7 or `zap2 profile pin` sets one, with which you can move the "
        "number again."
    )
    words = f"Your number was another account's until now; that one has lost it, and is told so. {pin}"
    return Notice(NoticeLevel.SECURITY, "number-taken-over", words)


def signed_up_unheard_notice() -> Notice:
    """Tell who gave a PIN and never heard the relay's answer, but found the account there, what nobody knows."""
    words = (
        "The relay has your account, but its answer was lost, and with it whether the registration PIN that you gave "
        "holds for it: F7 or `zap2 profile pin` sets one."
    )
    return Notice(NoticeLevel.WARNING, "signed-up-unheard", words)


def failure_words(code: str | None) -> str | None:
    """Say why a message failed; None for a message that did not."""
    return None if code is None else _FAILURES.get(code, "It could not be sent.")


def alert_notice(code: AlertCode, uid: Uid, title: str) -> Notice:
    """Put an alert about a contact into words; `title` must be sanitised."""
    level, text = _ALERTS[code]
    return Notice(level, code.value, text.format(title=title), conversation_with(uid))
