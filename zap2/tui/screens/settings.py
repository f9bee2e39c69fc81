"""Oneself at the relay: the registration PIN, and whether others find one by the phone number."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.message import Message
from textual.widgets import Button, Input, Static

from zap2.client.admission import check_pin
from zap2.client.api import Client, MeChanged, MembershipView, MeView
from zap2.client.words import AFTER_THE_NUMBER, number_lost_words
from zap2.errors import UsageError
from zap2.phone import format_number
from zap2.tui.screens.dialog import Confirm, Dialog
from zap2.tui.work import Failed, Happened, ask

_PIN_MEANS = (
    "A registration PIN lets you take your number to a new profile or device, and keeps everybody else from it. "
    "Without one the number stays with this account for as long as you use it."
)
_REMOVE = (
    "Your number then stays with this account for as long as you use it: without a PIN you cannot take it to a new "
    "profile either."
)


class SettingsScreen(Dialog[None]):
    """Sets and removes the PIN, and lists the number or not; the relay is asked before anything is shown as done."""

    EXPLANATION = (
        "You, at your relay",
        "The PIN is a secret between you and the relay; it is neither your passphrase nor a code. Write it down: "
        "you need it on the day on which this computer is gone. Whoever is not found by number can still write to "
        "others, and hear from those who know them.",
    )

    class Loaded(Message):
        """What the relay keeps now."""

        def __init__(self, membership: MembershipView, done: str = "") -> None:
            super().__init__()
            self.membership = membership
            self.done = done

    def __init__(self, client: Client) -> None:
        super().__init__()
        self._client = client
        self._is_listed = True

    def compose(self) -> ComposeResult:
        """Make the parts; `_show` fills them."""
        me = self._client.me
        with VerticalScroll(classes="dialog", can_focus=False):
            yield Static("You, at your relay", classes="dialog-title")
            yield Static(f"{me.name} · {format_number(me.number)}", classes="dialog-text", markup=False)
            yield Static("", id="number-lost", classes="dialog-text", markup=False)
            with Vertical(id="pin-part"):
                yield Static("", id="pin-state", markup=False)
                yield Static(_PIN_MEANS, classes="dialog-text", markup=False)
                yield Static("New PIN", classes="field-label")
                yield Input(password=True, placeholder="4 to 64 characters", id="pin", compact=True)
                yield Static("The same once more", classes="field-label")
                yield Input(password=True, id="pin-again", compact=True)
            yield Static("", id="settings-said", classes="field-error", markup=False)
            yield Static("", id="listed-state", classes="dialog-note", markup=False)
            with Horizontal(classes="dialog-buttons"):
                yield Button("Close", id="close", compact=True)
                yield Button("Set PIN", id="set-pin", variant="primary", compact=True)
                yield Button("Remove PIN", id="remove-pin", compact=True)
                yield Button("", id="listed", compact=True)

    def on_mount(self) -> None:
        """Ask what the relay keeps."""
        self.say("#settings-said", "")
        self._show_number(self._client.me)
        self._load(self.Loaded(MembershipView(has_pin=False, is_listed=True)))
        ask(self, self._client.membership(), self.Loaded)
        self.query_one("#pin" if self._client.me.has_number else "#close").focus()

    def _show_number(self, me: MeView) -> None:
        """Offer nothing that concerns a number which is another account's; say what that means instead."""
        self.say("#number-lost", "" if me.has_number else f"! {number_lost_words(me)}\n\n{AFTER_THE_NUMBER}")
        for part in ("#pin-part", "#set-pin", "#listed", "#listed-state"):
            self.query_one(part).display = me.has_number
        if not me.has_number:
            self.query_one("#remove-pin").display = False

    @on(Happened)
    def _happened(self, message: Happened) -> None:
        if isinstance(message.event, MeChanged):
            self._show_number(message.event.me)
            ask(self, self._client.membership(), self.Loaded)

    @on(Loaded)
    def _load(self, message: Loaded) -> None:
        membership = message.membership
        self._is_listed = membership.is_listed
        self.query_one("#pin-state", Static).update(
            "Registration PIN: set" if membership.has_pin else "Registration PIN: none"
        )
        self.query_one("#remove-pin").display = membership.has_pin and self._client.me.has_number
        self.query_one("#listed-state", Static).update(
            "Others at your relay find you by your number."
            if membership.is_listed
            else "Nobody finds you by your number."
        )
        self.query_one("#listed", Button).label = (
            "Hide my number" if membership.is_listed else "Let others find me"
        )
        self.query_one("#settings-said").set_class(bool(message.done), "-done")
        if message.done:
            self.say("#settings-said", message.done)

    @on(Input.Submitted)
    @on(Button.Pressed, "#set-pin")
    def _set_pin(self) -> None:
        first, again = self.query_one("#pin", Input), self.query_one("#pin-again", Input)
        try:
            pin = check_pin(first.value)
        except UsageError as error:
            self.say_error("#settings-said", error)
            first.focus()
            return
        if not again.value:
            self.say("#settings-said", "")
            again.focus()
        elif again.value.strip() != first.value.strip():
            self.say("#settings-said", "! The two are not the same.")
            again.focus()
        else:
            self.say("#settings-said", "Asking the relay…")

            def done(membership: MembershipView) -> Message:
                return self.Loaded(membership, "✓ The relay has the PIN. Write it down.")

            ask(self, self._client.set_pin(pin), done)
            first.value = again.value = ""

    @on(Button.Pressed, "#remove-pin")
    def _remove_pin(self) -> None:
        def decided(yes: bool | None) -> None:
            if yes:
                self.say("#settings-said", "Asking the relay…")
                ask(
                    self,
                    self._client.set_pin(None),
                    lambda membership: self.Loaded(membership, "✓ There is no PIN any more."),
                )

        self.app.push_screen(Confirm("Remove the registration PIN?", _REMOVE, yes="Remove"), decided)

    @on(Button.Pressed, "#listed")
    def _switch_listed(self) -> None:
        self.say("#settings-said", "Asking the relay…")
        ask(
            self,
            self._client.set_listed(is_listed=not self._is_listed),
            lambda membership: self.Loaded(membership, "✓ Done."),
        )

    @on(Button.Pressed, "#close")
    def _close(self) -> None:
        self.dismiss(None)

    @on(Failed)
    def _failed(self, message: Failed) -> None:
        message.stop()
        self.query_one("#settings-said").remove_class("-done")
        self.say_error("#settings-said", message.error)
