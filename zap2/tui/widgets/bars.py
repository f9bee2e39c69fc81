"""Bars above a conversation: what must be read, and who wants to write."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import Button, Static

from zap2.client.api import Notice
from zap2.ids import ConversationId
from zap2.tui.keys import bind


class NoticeBar(Vertical):
    """Security notices, one after the other; each stays until it is dismissed."""

    class Emptied(Message):
        """The last notice was dismissed."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._notices: list[Notice] = []

    def compose(self) -> ComposeResult:
        """Make the text and the button."""
        yield Static("", id="notice-text", markup=False)
        yield NoticeButton("I have read this (F8)", id="notice-dismiss", compact=True)

    def on_mount(self) -> None:
        """Hide while there is nothing to say."""
        self.display = False

    @property
    def notices(self) -> list[Notice]:
        """What has not been dismissed."""
        return list(self._notices)

    def add(self, notice: Notice) -> None:
        """Show a notice, or keep it for when those before it are dismissed; the same one twice counts once."""
        if notice not in self._notices:
            self._notices.append(notice)
        self._show()

    def _show(self) -> None:
        self.display = bool(self._notices)
        if self._notices:
            more = len(self._notices) - 1
            after = f"\n(and {more} more)" if more else ""
            self.query_one("#notice-text", Static).update(f"! Security: {self._notices[0].text}{after}")

    @on(Button.Pressed, "#notice-dismiss")
    def _pressed(self, event: Button.Pressed) -> None:
        event.stop()
        self.dismiss()

    def dismiss(self) -> None:
        """The notice that is shown was read."""
        if self._notices:
            self._notices.pop(0)
        self._show()
        if not self._notices:
            self.post_message(self.Emptied())


class NoticeButton(Button):
    """Dismisses a notice."""

    EXPLANATION = (
        "A security notice",
        "Something happened that may concern your safety. It stays here until you say that you have read it: "
        "F8 from anywhere, or Enter on this button.",
    )


class RequestButton(Button):
    """Answers a message request."""

    EXPLANATION = (
        "A message request",
        "Somebody who is not among your contacts wrote to you. Until you accept they do not learn that you have "
        "seen it. Blocking drops whatever they send, without telling them. Left and Right choose, Enter does it.",
    )

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("left,right", "other", "The other answer", "request.other"),
    ]

    def action_other(self) -> None:
        """Go to the other button."""
        for button in self.screen.query(RequestButton):
            if button is not self:
                button.focus()


class RequestBar(Vertical):
    """Asks whether somebody new may write."""

    class Answered(Message):
        """The person decided."""

        def __init__(self, conversation: ConversationId, accepted: bool) -> None:
            super().__init__()
            self.conversation = conversation
            self.accepted = accepted

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._conversation: ConversationId | None = None

    def compose(self) -> ComposeResult:
        """Make the question and its two answers."""
        yield Static("", id="request-text", markup=False)
        with Horizontal():
            yield RequestButton("Accept", id="request-accept", variant="primary", compact=True)
            yield RequestButton("Block", id="request-block", compact=True)

    def on_mount(self) -> None:
        """Hide while nobody asks."""
        self.display = False

    def ask(self, conversation: ConversationId | None, title: str = "") -> None:
        """Show the question, or hide it with None."""
        self._conversation = conversation
        self.display = conversation is not None
        if conversation is not None:
            words = (
                f"{title} wants to write to you. They learn nothing until you accept; answering accepts too."
            )
            self.query_one("#request-text", Static).update(words)

    @on(Button.Pressed)
    def _answer(self, event: Button.Pressed) -> None:
        event.stop()
        if self._conversation is not None:
            self.post_message(self.Answered(self._conversation, event.button.id == "request-accept"))
