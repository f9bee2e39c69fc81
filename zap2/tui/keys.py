"""Making key bindings, each with an id by which people can put it on another key."""

from __future__ import annotations

from textual.binding import Binding


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
