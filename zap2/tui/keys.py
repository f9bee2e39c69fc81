"""Making key bindings, each with an id by which people can put it on another key."""

from __future__ import annotations

from textual._ansi_sequences import ANSI_SEQUENCES_KEYS
from textual.binding import Binding
from textual.keys import Keys


def know_alt_enter() -> None:
    """Let Alt+Enter count as Ctrl+J on terminals without the newer keyboard protocol.

    There it comes as Esc and Enter in one, of which Textual reports the Enter alone: half of a text would be sent.
    """
    if isinstance(ANSI_SEQUENCES_KEYS, dict):
        ANSI_SEQUENCES_KEYS.setdefault("\x1b\r", (Keys.ControlJ,))


def bind(
    key: str,
    action: str,
    words: str,
    id: str,
    *,
    show: bool = False,
    priority: bool = False,
    display: str = "",
) -> Binding:
    """Bind `key` (several with commas) to an action. `words` say what it does, in help and palette."""
    return Binding(key, action, words, show=show, key_display=display or None, priority=priority, id=id)
