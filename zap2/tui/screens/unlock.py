"""Opens a profile with its passphrase."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Button, Input, Static

from zap2.client.api import Client, Entrance, Notice
from zap2.errors import SignupUnfinished
from zap2.tui.keys import bind
from zap2.tui.words import error_words
from zap2.tui.work import Failed, ask


class Entered(Message):
    """A profile is open: by its passphrase, or because it was just made."""

    def __init__(self, client: Client, notice: Notice | None = None) -> None:
        super().__init__()
        self.client = client
        self.notice = notice


class Unfinished(Message):
    """There is a vault and no account: the first run has to go on."""

    def __init__(self, error: SignupUnfinished) -> None:
        super().__init__()
        self.error = error


class UnlockScreen(Screen[None]):
    """Asks for the passphrase until it is right."""

    CSS_PATH = "entrance.tcss"
    EXPLANATION = (
        "Unlocking",
        "Everything that this profile knows is encrypted with a key that only the passphrase opens. Nobody can "
        "reset it. To use another profile, quit and start 'zap2 chat --profile NAME'.",
    )
    BINDINGS: ClassVar[list[BindingType]] = [bind("f1", "app.explain", "Help", "app.help")]

    def __init__(self, entrance: Entrance) -> None:
        super().__init__()
        self._entrance = entrance

    def compose(self) -> ComposeResult:
        """Make the field."""
        with VerticalScroll(classes="card", can_focus=False):
            yield Static("Zap2", classes="card-title")
            yield Static(f"Profile: {self._entrance.profile}", classes="card-text", markup=False)
            yield Static("Passphrase", classes="field-label")
            yield Input(password=True, id="passphrase", compact=True)
            yield Static("", id="unlock-error", classes="field-error", markup=False)
            with Horizontal(classes="card-buttons"):
                yield Button("Unlock", id="unlock", variant="primary", compact=True)
                yield Button("Quit", id="quit", compact=True)
        yield Static("Enter unlocks · F1 help · Ctrl+Q quits", classes="foot")

    @on(Input.Submitted, "#passphrase")
    @on(Button.Pressed, "#unlock")
    def _unlock(self) -> None:
        field = self.query_one("#passphrase", Input)
        if not field.value:
            self._say("Write your passphrase.")
        elif not field.disabled:
            self._busy(True)
            self._say("Opening the vault; this takes a moment on purpose…")
            ask(
                self,
                self._entrance.unlock(field.value),
                lambda client: Entered(client, self._entrance.notice),
                exclusive=True,
            )

    @on(Button.Pressed, "#quit")
    async def _quit(self) -> None:
        await self.run_action("app.quit")

    @on(Failed)
    def _failed(self, message: Failed) -> None:
        message.stop()
        if isinstance(message.error, SignupUnfinished):
            self.post_message(Unfinished(message.error))
            return
        self._busy(False)
        self._say(f"! {error_words(message.error)}")
        field = self.query_one("#passphrase", Input)
        field.focus()
        field.action_select_all()

    def _busy(self, busy: bool) -> None:
        self.query_one("#passphrase").disabled = busy
        self.query_one("#unlock").disabled = busy

    def _say(self, words: str) -> None:
        self.query_one("#unlock-error", Static).update(words)
