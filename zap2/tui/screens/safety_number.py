"""Comparing safety numbers: the only way to know that nobody stands in between."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Button, Static

from zap2.client.api import Client, ContactView, SafetyNumberView
from zap2.ids import Uid
from zap2.tui.qr import qr_lines
from zap2.tui.screens.dialog import Dialog
from zap2.tui.work import Failed, ask

_READ_ALOUD = 4
"""Groups in a row; twelve groups make three rows."""


def digit_rows(groups: list[str]) -> str:
    """Write the groups row by row, in the order in which they are read aloud."""
    rows = [groups[i : i + _READ_ALOUD] for i in range(0, len(groups), _READ_ALOUD)]
    return "\n".join("  ".join(row) for row in rows)


class SafetyNumberScreen(Dialog[bool]):
    """Shows the safety number; its result is what the person found, None when nothing was compared."""

    EXPLANATION = (
        "Safety number",
        "It is made from both people's identity keys. If you and the other person see the same 60 digits, you "
        "talk to each other and to nobody in between. Compare them in person or in a call where you know the "
        "voice, never through this relay alone.",
    )

    class Computed(Message):
        """The number is there."""

        def __init__(self, number: SafetyNumberView) -> None:
            super().__init__()
            self.number = number

    class Recorded(Message):
        """The vault knows what was found."""

        def __init__(self, matches: bool) -> None:
            super().__init__()
            self.matches = matches

    def __init__(self, client: Client, peer: Uid, title: str) -> None:
        super().__init__()
        self._client = client
        self._peer = peer
        self._title = title

    def compose(self) -> ComposeResult:
        """Make the parts; the number comes when it is computed."""
        with VerticalScroll(classes="dialog", id="safety", can_focus=True):
            yield Static(f"Safety number with {self._title}", classes="dialog-title", markup=False)
            yield Static(
                "Open the same screen on both sides. Read the groups to each other, in person or in a call where "
                "you know the voice.",
                classes="dialog-text",
            )
            yield Static("computing…", id="digits", markup=False)
            yield Static("", id="state", markup=False)
            yield Static("", id="safety-error", classes="field-error", markup=False)
            with Horizontal(classes="dialog-buttons"):
                yield Button("Close", id="close", compact=True)
                yield Button("They do not match", id="differ", compact=True)
                yield Button("They match", id="match", variant="primary", compact=True)
            yield Static("", id="qr", markup=False)

    def on_mount(self) -> None:
        """Compute in the background."""
        self.say("#safety-error", "")
        for button in ("#differ", "#match"):
            self.query_one(button).disabled = True
        self.query_one("#close").focus()
        self.call_after_refresh(self._compute)

    def _compute(self) -> None:
        ask(self, self._client.safety_number(self._peer), self.Computed)

    @on(Computed)
    def _computed(self, message: Computed) -> None:
        number = message.number
        self.query_one("#digits", Static).update(digit_rows(list(number.groups())))
        words = (
            "◆ You compared it before: verified."
            if number.is_verified
            else "◇ Not compared yet. 'They match' marks this contact as verified."
        )
        self.query_one("#state", Static).update(words)
        self.query_one("#qr", Static).update(Content("\n".join(qr_lines(number.qr_text))))
        for button in ("#differ", "#match"):
            self.query_one(button).disabled = False
        self.call_after_refresh(self._show_digits)

    def _show_digits(self) -> None:
        """Where not everything fits, begin at what is to be read."""
        digits = self.query_one("#digits")
        if digits.region.bottom > self.query_one("#safety").content_region.bottom or digits.region.y < 0:
            digits.scroll_visible(top=True, animate=False)

    @on(Failed)
    def _failed(self, message: Failed) -> None:
        message.stop()
        self.say_error("#safety-error", message.error)

    @on(Button.Pressed, "#close")
    def _close(self) -> None:
        self.dismiss(None)

    @on(Button.Pressed, "#match")
    def _match(self) -> None:
        self._record(True)

    @on(Button.Pressed, "#differ")
    def _differ(self) -> None:
        self._record(False)

    def _record(self, matches: bool) -> None:
        def recorded(_: ContactView) -> Message:
            return self.Recorded(matches)

        ask(self, self._client.set_verified(self._peer, is_verified=matches), recorded)

    @on(Recorded)
    def _recorded(self, message: Recorded) -> None:
        if message.matches:
            self.dismiss(True)
            return
        self.query_one("#state", Static).update("■ Marked as not verified.")
        self.say(
            "#safety-error",
            "! Different numbers mean that somebody may read along, or that one of you set Zap2 up again. Make sure "
            "that both look at this same screen. If the numbers still differ, do not write anything secret here, "
            "and tell the other person by another way.",
        )
