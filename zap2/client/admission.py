"""What a person gives a relay to be let in: an invite of its host, the registration PIN of a number."""

from __future__ import annotations

import unicodedata
from typing import Final

from zap2.errors import UsageError

MIN_PIN_CHARS: Final = 4
MAX_PIN_CHARS: Final = 64
_MAX_INVITE_CHARS: Final = 64


def check_pin(pin: str) -> str:
    """Give a registration PIN as it goes to the relay, the same whatever keyboard it was typed on.

    Raises:
        UsageError: it is too short or too long.
    """
    pin = unicodedata.normalize("NFC", pin.strip())
    if not MIN_PIN_CHARS <= len(pin) <= MAX_PIN_CHARS:
        raise UsageError(
            f"A registration PIN has {MIN_PIN_CHARS} to {MAX_PIN_CHARS} characters.",
            "Digits or words, as you like; it is not your passphrase.",
        )
    return pin


def check_invite(invite: str) -> str:
    """Give an invite as it goes to the relay, for which capitals, blanks and hyphens do not matter.

    Raises:
        UsageError: it is empty or too long to be one.
    """
    invite = invite.strip()
    if not 1 <= len(invite) <= _MAX_INVITE_CHARS:
        raise UsageError(
            "This is no invite.", "It looks like abcd-efgh-ijkl-mnop; ask the relay's host for one."
        )
    return invite
