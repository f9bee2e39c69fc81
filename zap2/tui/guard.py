"""The last gate before the terminal: no control or direction character of anybody's text gets past it.

Text from others is sanitised where it enters; this filter sees every segment of every widget and is there for
the day when something slips through. Textual itself lets ESC, C1 and bidi characters in text reach the terminal.
"""

from __future__ import annotations

import re
from typing import Final

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

_FORBIDDEN: Final = re.compile(
    "["
    "\x00-\x1f\x7f-\x9f"  # C0, DEL, C1
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # direction marks, embeddings, overrides, isolates
    "\u2028\u2029"  # separators that some terminals take as line feeds
    "\ufff9-\ufffb"  # interlinear annotation
    "\U000e0000-\U000e0fff"  # invisible tags
    "]"
)


def harmless(text: str) -> str:
    """Give one line of text without what steers a terminal or the direction of text."""
    return text if text.isascii() and text.isprintable() else _FORBIDDEN.sub("", text)


class TerminalGuard(LineFilter):
    """Drops forbidden characters from every segment.

    They are dropped and not replaced, because all of them were measured as zero cells wide: anything visible
    in their place would push the rest of the line out of its column. Styles lose hyperlinks: Zap2 paints none.
    """

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Give the segments with only harmless characters in them."""
        safe: list[Segment] = []
        for text, style, _ in segments:
            if style is not None and style.link is not None:
                style = style.update_link(None)
            safe.append(Segment(harmless(text), style))
        return safe
