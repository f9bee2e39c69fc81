"""A relay's Error frame as an error of ours: its words made harmless, and a hint that helps."""

from __future__ import annotations

import math
import re
from typing import Final

from zap2.client.words import AFTER_THE_NUMBER
from zap2.errors import Refused
from zap2.text import sanitize
from zap2.wire.fields import ErrorCode
from zap2.wire.frames import Error

UNKNOWN_CODE: Final = "refused"
"""In place of a code that is not written like one."""

_MAX_WORDS: Final = 300
_CODE: Final = re.compile(r"[a-z][a-z0-9-]{0,39}")

_HINTS: Final[dict[str, str]] = {
    ErrorCode.BAD_REQUEST: "Perhaps Zap2 has to be upgraded, here or at the relay.",
    ErrorCode.UNAUTHENTICATED: "Try again; the link logs in anew by itself.",
    ErrorCode.TOKEN_EXPIRED: "Try again; the link logs in anew by itself.",
    ErrorCode.TOKEN_UNKNOWN: "Try again; the link logs in anew by itself.",
    ErrorCode.BAD_SIGNATURE: "The relay knows other keys for this account. Ask its host.",
    ErrorCode.INVALID_NUMBER: "Write it with its country code, for example +49 1512 3456789.",
    ErrorCode.WRONG_CODE: "Look at the code again; after five wrong ones you need a new one.",
    ErrorCode.CODE_EXPIRED: "Ask for a new code.",
    ErrorCode.TOO_MANY_TRIES: "Ask for a new code.",
    ErrorCode.RESEND_TOO_SOON: "The code that was sent is good until it was used.",
    ErrorCode.NUMBER_REGISTERED: "Use the profile that belongs to this number, or sign up with another number.",
    ErrorCode.TICKET_INVALID: "Prove the number again: ask for a new code.",
    ErrorCode.REGISTRATION_CLOSED: "Ask the relay's host for an account, or choose another relay.",
    ErrorCode.INVITE_NEEDED: "Ask the relay's host for an invite.",
    ErrorCode.CODE_NOT_SENT: "Ask for a new code in a while; if it goes on, tell the relay's host.",
    ErrorCode.PIN_NEEDED: "Give the registration PIN that you set when this number was yours.",
    ErrorCode.WRONG_PIN: "Look at the PIN again; after five wrong ones the relay waits for a day.",
    ErrorCode.NUMBER_LOST: AFTER_THE_NUMBER,
    ErrorCode.ACCOUNT_BLOCKED: "Ask the relay's host.",
    ErrorCode.NOT_FOUND: "Check the number; the other person may use another relay, or none yet.",
    ErrorCode.NO_PREKEYS: "They have to come online once before you can write to them.",
    ErrorCode.DELIVERY_REFUSED: "Nothing to do: it goes out over the connection that is logged in.",
    ErrorCode.MAILBOX_FULL: "It goes out when the other person has come online.",
    ErrorCode.TOO_LARGE: "Shorten it, or send it in several messages.",
    ErrorCode.RATE_LIMITED: "Wait a while and try again.",
    ErrorCode.DRAINING: "The relay restarts; try again in a moment.",
    ErrorCode.INTERNAL: "Try again; if it goes on, tell the relay's host.",
}


def of_error_frame(frame: Error) -> Refused:
    """Make an error of a relay's refusal. Codes that this version does not know are kept."""
    code = frame.code if _CODE.fullmatch(frame.code) else UNKNOWN_CODE
    words = sanitize(frame.message, max_chars=_MAX_WORDS, single_line=True)
    hint = _HINTS.get(code, "")
    if code == ErrorCode.TOO_MANY_TRIES and frame.retry_after_s is not None:
        # Of PINs, not of codes: there is no new one to ask for.
        hint = f"There are new tries in {math.ceil(frame.retry_after_s / 3600)} h."
    return Refused(code, words or "The relay refused this.", frame.retry_after_s, hint)
