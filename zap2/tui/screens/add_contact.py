"""Finds somebody by phone number."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.message import Message
from textual.widgets import Button, Input, Static

from zap2.client.api import Client, ContactView
from zap2.tui.screens.dialog import Dialog
from zap2.tui.words import too_long_words
from zap2.tui.work import Failed, ask


class AddContactScreen(Dialog[ContactView]):
    """Asks for a number and a name; its result is the contact that was added."""

    EXPLANATION = (
        "Adding somebody",
        "Both of you must use the same relay. Write the phone number under which they signed up, with its country "
        "code. The name is only for you; without one you see the name that they chose.",
    )

    class Added(Message):
        """The relay knew the number."""

        def __init__(self, contact: ContactView) -> None:
            super().__init__()
            self.contact = contact

    def __init__(self, client: Client) -> None:
        super().__init__()
        self._client = client

    def compose(self) -> ComposeResult:
        """Make the fields."""
        with VerticalScroll(classes="dialog", can_focus=False):
            yield Static("Add somebody", classes="dialog-title")
            yield Static("Phone number, with country code", classes="field-label")
            yield Input(placeholder="for example +49 1512 3456789", id="number", compact=True)
            yield Static("", id="number-error", classes="field-error", markup=False)
            yield Static("Name for you (may stay empty)", classes="field-label")
            yield Input(placeholder="as they call themselves", id="name", compact=True)
            yield Static("", id="name-error", classes="field-error", markup=False)
            yield Static(
                "The relay tells you who registered this number. Compare safety numbers with them later to be "
                "sure that nobody stands in between.",
                classes="dialog-note",
            )
            with Horizontal(classes="dialog-buttons"):
                yield Button("Cancel", id="cancel", compact=True)
                yield Button("Add", id="add", variant="primary", compact=True)

    def on_mount(self) -> None:
        """No error yet."""
        self.say("#number-error", "")
        self.say("#name-error", "")

    @on(Button.Pressed, "#cancel")
    def _cancel(self) -> None:
        self.dismiss(None)

    @on(Input.Submitted)
    @on(Button.Pressed, "#add")
    def _add(self) -> None:
        number = self.query_one("#number", Input).value.strip()
        name = self.query_one("#name", Input).value.strip()
        if not number:
            self.say("#number-error", "! Write the phone number of the person you want to add.")
            self.query_one("#number").focus()
            return
        if too_long := too_long_words(name):
            self.say("#name-error", too_long)
            self.query_one("#name").focus()
            return
        self.say("#number-error", "Asking the relay…")
        self.query_one("#add").disabled = True
        ask(self, self._client.add_contact(number, name), self.Added, exclusive=True)

    @on(Added)
    def _added(self, message: Added) -> None:
        self.dismiss(message.contact)

    @on(Failed)
    def _failed(self, message: Failed) -> None:
        message.stop()
        self.query_one("#add").disabled = False
        self.say_error("#number-error", message.error)
        self.query_one("#number").focus()

    @on(Input.Changed, "#number")
    def _typing(self) -> None:
        self.say("#number-error", "")

    @on(Input.Changed, "#name")
    def _naming(self, event: Input.Changed) -> None:
        self.say("#name-error", too_long_words(event.value.strip()))
