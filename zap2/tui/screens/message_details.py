"""Everything that is known of one message."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Button, Static

from zap2.client.api import MessageState, MessageView
from zap2.ids import format_message_id
from zap2.tui.clock import Clock
from zap2.tui.screens.dialog import Dialog, facts_table
from zap2.tui.words import STATE_MEANINGS, moment_words, state_label

_SEALED = "sealed: the relay was not told whom it came from"
_RECEIVED = "proved by the encryption; only their device knows whether the relay saw who sent it"
_NAMED = "known to the relay, which cannot read the message"


class MessageDetails(Dialog[str]):
    """Shows a message's times and state; its result is "copy" or "retry"."""

    EXPLANATION = (
        "A message",
        "'Sent' is the time that its author's device wrote; 'stored' is when it came in here.",
    )

    def __init__(self, message: MessageView, clock: Clock) -> None:
        super().__init__()
        self._message = message
        self._clock = clock

    def compose(self) -> ComposeResult:
        """Make the facts."""
        message = self._message
        facts = [
            ("From", "you" if message.is_mine else message.author_name),
            ("Sent", moment_words(self._clock.local(message.sent_at_ms))),
            ("Stored", moment_words(self._clock.local(message.received_at_ms))),
        ]
        if message.state is not None:
            facts.append(("State", f"{state_label(message.state)}: {STATE_MEANINGS[message.state]}"))
        if message.failure:
            facts.append(("Because", message.failure))
        if message.pq_epoch is not None:
            facts.append(("Encrypted", _encryption_words(message.pq_epoch)))
        if message.is_sealed is not None:
            facts.append(("Sender", _SEALED if message.is_sealed else _NAMED))
        elif not message.is_mine:
            facts.append(("Sender", _RECEIVED))
        facts.append(("Id", format_message_id(message.id)))
        with VerticalScroll(classes="dialog", can_focus=False):
            yield Static("Message", classes="dialog-title")
            yield Static(facts_table(facts), markup=False)
            yield Static(message.text, classes="quoted", markup=False)
            with Horizontal(classes="dialog-buttons"):
                yield Button("Close", id="close", variant="primary", compact=True)
                yield Button("Copy text", id="copy", compact=True)
                if message.state is MessageState.FAILED:
                    yield Button("Send again", id="retry", compact=True)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Close with what is wanted."""
        event.stop()
        self.dismiss(None if event.button.id == "close" else event.button.id)


def _encryption_words(pq_epoch: int) -> str:
    if pq_epoch == 0:
        return "with a key of its own; post-quantum since the set-up, not renewed since"
    return f"with a key of its own; post-quantum, renewed for the {_ordinal(pq_epoch)} time"


def _ordinal(number: int) -> str:
    endings = {1: "st", 2: "nd", 3: "rd"}
    is_teen = 10 < number % 100 < 14
    return f"{number}{'th' if is_teen else endings.get(number % 10, 'th')}"
