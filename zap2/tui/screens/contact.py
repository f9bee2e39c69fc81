"""What is known of one person, and what one can do about them."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.message import Message
from textual.widgets import Button, Input, Static

from zap2.client.api import Client, ContactChanged, ContactState, ContactView, SessionState, Trust
from zap2.ids import format_uid
from zap2.phone import format_number
from zap2.tui.clock import Clock
from zap2.tui.screens.dialog import Confirm, Dialog, facts_table
from zap2.tui.words import SESSION_MEANINGS, moment_words, too_long_words, trust_words
from zap2.tui.work import Failed, Happened, ask

_TRUST_MEANS = {
    Trust.FIRST_USE: "Their keys came from the relay at first contact. Compare safety numbers to be sure.",
    Trust.VERIFIED: "You made sure that these keys are theirs. You are told at once if they ever change.",
}

_SINCE = {
    ContactState.ACCEPTED: "Added",
    ContactState.REQUEST: "First wrote",
    ContactState.BLOCKED: "Known since",
}

_NO_ONE_TIME_PREKEY = (
    "less protected than usual, because their relay had no one-time prekey left; later ones are not"
)

_SEALED = "sealed: the relay is not told that what you send them comes from you"
_NOT_SEALED = "the relay sees who writes, until they have accepted you and answered"


def repair_question(title: str) -> Confirm:
    """Ask before a session is set up anew."""
    return Confirm(
        f"Set up the session with {title} anew?",
        "For when messages do not get through: both sides agree on new keys for this conversation, and what never "
        "arrived is sent again. Nothing is lost, and the safety number stays the same.",
        yes="Set up anew",
    )


def block_question(title: str) -> Confirm:
    """Ask before somebody is blocked."""
    return Confirm(
        f"Block {title}?",
        "What they send from now on is dropped. They are not told, and your conversation stays here. "
        "You can unblock them later: F2 in the conversation.",
        yes="Block",
    )


class ContactScreen(Dialog[str]):
    """Shows a contact; its result is "safety-number" when the person wants to compare."""

    EXPLANATION = (
        "A contact",
        "The name in the field is yours and only you see it. Tab moves between the buttons, Esc closes.",
    )

    class Loaded(Message):
        """A new view of the contact."""

        def __init__(self, contact: ContactView) -> None:
            super().__init__()
            self.contact = contact

    def __init__(self, client: Client, contact: ContactView, clock: Clock) -> None:
        super().__init__()
        self._client = client
        self._contact = contact
        self._clock = clock
        self._own_name = contact.title

    def compose(self) -> ComposeResult:
        """Make the parts; `_show` fills them."""
        with VerticalScroll(classes="dialog", can_focus=False):
            yield Static("", id="contact-title", classes="dialog-title", markup=False)
            yield Static("", id="contact-trust", markup=False)
            yield Static("", id="contact-facts", classes="dialog-text", markup=False)
            yield Static("Name for you (empty: the name they chose)", classes="field-label")
            yield Input(value=self._own_name, id="rename", compact=True)
            yield Static("", id="contact-error", classes="field-error", markup=False)
            with Horizontal(classes="dialog-buttons"):
                yield Button("Close", id="close", compact=True)
                yield Button("Block", id="block", compact=True)
                yield Button("Accept", id="accept", compact=True)
                yield Button("Set up the session anew", id="repair", compact=True)
                yield Button("Safety number", id="compare", variant="primary", compact=True)

    def on_mount(self) -> None:
        """Fill in what is known."""
        self.say("#contact-error", "")
        self._show(self._contact)
        self.query_one("#compare").focus()

    def _show(self, contact: ContactView) -> None:
        self._contact = contact
        self.query_one("#contact-title", Static).update(contact.title)
        trust = trust_words(contact.trust, contact.state)
        means = _TRUST_MEANS[contact.trust] if contact.state is ContactState.ACCEPTED else ""
        self.query_one("#contact-trust", Static).update(f"{trust}\n{means}".rstrip())
        self.query_one("#contact-facts", Static).update(facts_table(self._facts(contact)))
        self.query_one("#block").display = contact.state is not ContactState.BLOCKED
        has_session = contact.session is not SessionState.NONE
        self.query_one("#repair").display = has_session and contact.state is ContactState.ACCEPTED
        accept = self.query_one("#accept", Button)
        accept.display = contact.state is not ContactState.ACCEPTED
        accept.label = "Unblock" if contact.state is ContactState.BLOCKED else "Accept"

    def _facts(self, contact: ContactView) -> list[tuple[str, str]]:
        facts = [
            ("Their name", contact.profile_name or "not known yet"),
            (
                "Phone number",
                format_number(contact.number) if contact.number else "not confirmed by the relay",
            ),
            (_SINCE[contact.state], moment_words(self._clock.local(contact.added_at_ms))),
            ("Session", SESSION_MEANINGS[contact.session]),
        ]
        if contact.has_one_time_prekey is False:
            facts.append(("First message", _NO_ONE_TIME_PREKEY))
        if contact.state is ContactState.ACCEPTED and contact.session is not SessionState.NONE:
            facts.append(("Sender", _SEALED if contact.is_sealed else _NOT_SEALED))
        return [*facts, ("Account", format_uid(contact.uid))]

    @on(Happened)
    def _happened(self, message: Happened) -> None:
        event = message.event
        if isinstance(event, ContactChanged) and event.contact.uid == self._contact.uid:
            self._show(event.contact)

    @on(Loaded)
    def _loaded(self, message: Loaded) -> None:
        self.say("#contact-error", "")
        self._show(message.contact)

    @on(Failed)
    def _failed(self, message: Failed) -> None:
        message.stop()
        self.say_error("#contact-error", message.error)

    @on(Input.Submitted, "#rename")
    def _rename(self, event: Input.Submitted) -> None:
        name = event.value.strip()
        if too_long := too_long_words(name):
            self.say("#contact-error", too_long)
        else:
            ask(self, self._client.rename(self._contact.uid, name), self.Loaded)

    @on(Input.Changed, "#rename")
    def _naming(self, event: Input.Changed) -> None:
        self.say("#contact-error", too_long_words(event.value.strip()))

    @on(Button.Pressed, "#close")
    def _close(self) -> None:
        self.dismiss(None)

    @on(Button.Pressed, "#compare")
    def _compare(self) -> None:
        self.dismiss("safety-number")

    @on(Button.Pressed, "#accept")
    def _accept(self) -> None:
        ask(self, self._client.accept(self._contact.uid), self.Loaded)

    @on(Button.Pressed, "#block")
    def _block(self) -> None:
        def decided(yes: bool | None) -> None:
            if yes:
                ask(self, self._client.block(self._contact.uid), self.Loaded)

        self.app.push_screen(block_question(self._contact.title), decided)

    @on(Button.Pressed, "#repair")
    def _repair(self) -> None:
        def decided(yes: bool | None) -> None:
            if yes:
                ask(self, self._client.repair(self._contact.uid), self.Loaded)

        self.app.push_screen(repair_question(self._contact.title), decided)
