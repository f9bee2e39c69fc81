"""The pages of the first run: each is a title, words, fields with their errors, and nothing that decides."""

from __future__ import annotations

from typing import Final

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Button, Static

from zap2.client.api import RelayView, VerificationView
from zap2.phone import format_number
from zap2.tui.type_ahead import PromptInput

STEPS: Final = ("relay", "invite", "phone", "code", "name", "passphrase", "pin")
"""All that there can be; `route` says which ones there are."""

TITLES: Final = {
    "relay": "Which relay?",
    "invite": "Your invite",
    "phone": "Your phone number",
    "code": "The six-digit code",
    "name": "Your name",
    "passphrase": "A passphrase",
    "pin": "The registration PIN of your number",
}

CODE_DIGITS: Final = 6

FIRST_FIELD: Final = {step: f"#{step}-field" for step in STEPS}


def route(
    relay: RelayView | None, verification: VerificationView | None, *, is_pin_needed: bool
) -> tuple[str, ...]:
    """Give the steps of a first run, as far as they are known by now.

    Args:
        relay: what answered; None before one did.
        verification: what it said about the number; None before it did.
        is_pin_needed: another account has the number.
    """
    asks_code = relay is None or relay.verification != "none"
    if verification is not None:
        asks_code = verification.is_needed
    left_out = {
        "invite": relay is None or relay.registration != "invite",
        "code": not asks_code,
        "pin": not is_pin_needed,
    }
    return tuple(step for step in STEPS if not left_out.get(step, False))


class Step(Vertical):
    """One page of the wizard."""

    def __init__(self, step: str) -> None:
        super().__init__(id=f"step-{step}", classes="step")
        self.step = step

    def compose(self) -> ComposeResult:
        """Make the fields of this step."""
        match self.step:
            case "relay":
                yield Static("", id="relay-words", classes="card-text", markup=False)
                yield _label("Relay address")
                yield PromptInput(
                    placeholder="for example zap2://fingerprint@host:port", id="relay-field", compact=True
                )
                yield _error(self.step)
            case "invite":
                yield _text(
                    "This relay takes new people by invite only. Its host makes invites and gives you one; each "
                    "is good for one account. To move your number here from another device you need one too."
                )
                yield _label("Invite")
                yield PromptInput(
                    placeholder="for example abcd-efgh-ijkl-mnop", id="invite-field", compact=True
                )
                yield _error(self.step)
                yield _text("Capitals, blanks and hyphens in it do not matter.", "note")
            case "phone":
                yield _label("Phone number, with country code")
                yield PromptInput(placeholder="for example +49 1512 3456789", id="phone-field", compact=True)
                yield _error(self.step)
                yield _text(
                    "Friends find you by it. The relay keeps a keyed hash of it, not the number.", "note"
                )
            case "code":
                yield Static("", id="code-words", classes="card-text", markup=False)
                yield _label("Code")
                yield PromptInput(
                    placeholder="for example 123456", id="code-field", compact=True, max_length=12
                )
                yield _error(self.step)
                yield Button("New code", id="resend", compact=True)
            case "name":
                yield _text("People you write to see this name. The relay never does.")
                yield _label("Name")
                yield PromptInput(placeholder="for example Ada", id="name-field", compact=True)
                yield _error(self.step)
            case "passphrase":
                yield _text(
                    "It encrypts everything on this computer. Nobody can reset it: if you forget it, your "
                    "messages are gone."
                )
                yield _label("Passphrase")
                yield PromptInput(password=True, id="passphrase-field", compact=True)
                yield Static("", id="strength", classes="note", markup=False)
                yield _label("The same once more")
                yield PromptInput(password=True, id="again-field", compact=True)
                yield _error(self.step)
            case _:
                yield _text(
                    "Your number belongs to another account at this relay, with a registration PIN. If that account "
                    "is yours, write its PIN: the number then moves to this new profile. Messages do not move along, "
                    "and your contacts see a new safety number."
                )
                yield _label("Registration PIN")
                yield PromptInput(password=True, id="pin-field", compact=True)
                yield _error(self.step)
                yield _text(
                    "It is not the code, and not your passphrase. Without it, take another number.", "note"
                )


def _text(words: str, kind: str = "card-text") -> Static:
    return Static(words, classes=kind, markup=False)


def _error(step: str) -> Static:
    return Static("", id=f"{step}-error", classes="field-error", markup=False)


def _label(words: str) -> Static:
    return Static(words, classes="field-label", markup=False)


def which_relay_words(*, is_offered: bool, unfinished: str = "") -> str:
    """Say what a relay is for, and which address to write.

    Args:
        is_offered: the field holds one already.
        unfinished: why an earlier signup of this profile did not come to its end; empty where there was none.
    """
    if unfinished:
        return (
            f"{unfinished}\n\nGo through the steps once more, and write the passphrase that you chose then: nothing is "
            "lost."
        )
    where = (
        "Enter takes the one below."
        if is_offered
        else "Ask its host for the address. No relay yet? Quit, and `zap2 chat --serve` hosts one."
    )
    return f"A relay keeps encrypted messages until they are fetched. Your friends must use the same one. {where}"


def relay_words(relay: RelayView) -> str:
    """Say which relay answered, and how sure one may be that it is the right one."""
    groups = " ".join(relay.fingerprint[i : i + 4] for i in range(0, len(relay.fingerprint), 4))
    if relay.is_pinned:
        sure = "✓ It has the key that your address names."
    else:
        sure = (
            "! Your address named no key, so this one is trusted from now on. Ask the host whether the "
            "fingerprint is the same."
        )
    secret = (
        "✓ The connection is encrypted (TLS)."
        if relay.is_encrypted
        else "! The connection itself is not encrypted. Messages still are; who writes to whom can be seen."
    )
    return f"Key  {groups}\n{sure}\n{secret}"


def code_words(verification: VerificationView) -> str:
    """Say where the code is."""
    how = {
        "log": "Ask the relay's host for it: it stands in the relay's log.",
        "smtp": "It comes by mail.",
        "webhook": "It comes by text message.",
    }.get(verification.method, "")
    return f"The relay made a code for {format_number(verification.number)}. {how}".strip()
