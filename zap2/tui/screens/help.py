"""Explains what is focused, and lists the keys that work there."""

from __future__ import annotations

from collections.abc import Iterator

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.content import Content
from textual.dom import DOMNode
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Static

from zap2.tui.screens.dialog import Dialog

_KEY_CELLS = 16
"""The column of keys; wide enough for one of any name."""

_GENERAL = (
    "Zap2",
    "Messages are encrypted on this computer and opened only on the other one; the relay in between cannot read "
    "them. States of what you send: · queued here, → sent to the relay, ✓ delivered to the other device, ✓✓ read, "
    "! failed. ◆ verified: you compared safety numbers; ◇ not compared yet.",
)


def explanation(focused: Widget | None, screen: Screen[object]) -> tuple[str, str]:
    """Find the words for what is focused: its own, or those of the nearest thing around it."""
    nodes: list[DOMNode] = list(focused.ancestors_with_self) if focused is not None else [screen]
    for node in nodes:
        words = getattr(node, "EXPLANATION", None)
        if words is not None:
            title, text = words
            return str(title), str(text)
    return _GENERAL


def key_rows(screen: Screen[object], key_of: dict[str, str]) -> Iterator[tuple[str, str]]:
    """List (keys, words) of our bindings that work now, each action once; fields edit with the usual keys."""
    rows: dict[str, tuple[list[str], str]] = {}
    for _, binding, enabled, _ in screen.active_bindings.values():
        if enabled and binding.id and binding.description:
            keys, _words = rows.setdefault(binding.action, ([], binding.description))
            shown = _key_name(binding, key_of)
            if shown not in keys:
                keys.append(shown)
    for keys, words in rows.values():
        yield _fitting(keys), words


def _fitting(keys: list[str]) -> str:
    """Join as many keys as the column holds, at least one."""
    shown = keys[0]
    for key in keys[1:]:
        if len(shown) + 2 + len(key) <= _KEY_CELLS:
            shown += f", {key}"
    return shown


def _key_name(binding: Binding, key_of: dict[str, str]) -> str:
    return "+".join(key_of.get(part, part.capitalize()) for part in binding.key.split("+"))


_KEY_NAMES = {
    "pageup": "PgUp",
    "pagedown": "PgDn",
    "question_mark": "?",
    "escape": "Esc",
    "up": "↑",
    "down": "↓",
    "left": "←",
    "right": "→",
    "backspace": "⌫",
    "delete": "Del",
    "super": "Cmd",
}


class HelpScreen(Dialog[None]):
    """Help for where one is."""

    EXPLANATION = _GENERAL

    def __init__(self, focused: Widget | None, screen: Screen[object]) -> None:
        super().__init__()
        self._title, self._text = explanation(focused, screen)
        self._keys = list(key_rows(screen, _KEY_NAMES))

    def compose(self) -> ComposeResult:
        """Make the words and the keys."""
        widest = max((len(keys) for keys, _ in self._keys), default=0)
        table = "\n".join(f"{keys:<{widest}}  {words}" for keys, words in self._keys)
        with VerticalScroll(classes="dialog", id="help"):
            yield Static(self._title, classes="dialog-title")
            yield Static(Content(self._text), classes="dialog-text")
            yield Static("Keys here", classes="field-label")
            yield Static(Content(table), id="keys")
            if self._title != _GENERAL[0]:
                yield Static("Signs", classes="field-label")
                yield Static(Content(_GENERAL[1]), classes="dialog-text")
            yield Static("Esc closes this.", classes="dialog-note")
