"""What all dialogs share: a box over the screen, Esc closes it, and words for what did not work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, TypeVar

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from zap2.errors import Zap2Error
from zap2.tui.keys import bind
from zap2.tui.words import error_words

T = TypeVar("T")


class Dialog(ModalScreen[T]):
    """A modal screen whose result is None when it is closed without doing anything."""

    CSS_PATH = "dialog.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("escape", "close", "Close", "dialog.close"),
        bind("f1,question_mark", "app.explain", "Help", "app.help"),
        bind("down", "app.focus_next", "Next field", "dialog.next"),
        bind("up", "app.focus_previous", "Field before", "dialog.previous"),
    ]

    def action_close(self) -> None:
        """Close without doing anything."""
        self.dismiss(None)

    def say(self, selector: str, words: str) -> None:
        """Show words in a line of the dialog; empty words hide it."""
        line = self.query_one(selector, Static)
        line.update(words)
        line.display = bool(words)

    def say_error(self, selector: str, error: Zap2Error) -> None:
        """Show what went wrong and what to do."""
        self.say(selector, f"! {error_words(error)}")


def facts_table(facts: Sequence[tuple[str, str]]) -> Table:
    """Set names and what is known of them side by side; long words stay in their column."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts:
        table.add_row(Text(name), Text(value))
    return table


class Confirm(Dialog[bool]):
    """Asks before something that cannot be taken back quickly."""

    EXPLANATION = ("A question", "Left and Right or Tab choose, Enter answers, Esc changes nothing.")
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("right", "app.focus_next", "Next answer", "question.next"),
        bind("left", "app.focus_previous", "Answer before", "question.previous"),
    ]

    def __init__(self, question: str, consequence: str, *, yes: str, no: str = "Cancel") -> None:
        super().__init__()
        self._question = question
        self._consequence = consequence
        self._yes = yes
        self._no = no

    def compose(self) -> ComposeResult:
        """Make question and answers."""
        with VerticalScroll(classes="dialog", can_focus=False):
            yield Static(self._question, classes="dialog-title", markup=False)
            yield Static(self._consequence, classes="dialog-text", markup=False)
            with Horizontal(classes="dialog-buttons"):
                yield Button(self._no, id="no", compact=True)
                yield Button(self._yes, id="yes", variant="primary", compact=True)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Answer."""
        event.stop()
        self.dismiss(event.button.id == "yes")
