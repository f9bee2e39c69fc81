"""Measure and break text by terminal cells, never inside what a person sees as one character. Pure.

Widths are those of `rich.cells`, which are the ones that Textual paints with.
"""

from __future__ import annotations

from typing import Final

from rich.cells import cell_len, split_graphemes

__all__ = ["cell_len", "clip", "clusters", "expand", "wrap"]

TAB_CELLS: Final = 4
MIN_WIDTH: Final = 2
"""The widest single character; nothing narrower can be laid out."""

Span = tuple[int, int]


def expand(text: str) -> str:
    """Replace tabs by spaces up to the next tab stop, so that every character has a width."""
    return text.expandtabs(TAB_CELLS) if "\t" in text else text


def clusters(text: str) -> list[tuple[int, int, int]]:
    """Split text into (start, end, cells) of what stays together: combining marks, joined emoji, flags."""
    spans, _ = split_graphemes(text)
    merged: list[tuple[int, int, int]] = []
    flag_open = False
    for start, end, counted in spans:
        # Around a joiner that joins nothing the library counts less than it paints.
        cells = counted if end - start == 1 else max(counted, cell_len(text[start:end]))
        is_regional = "\U0001f1e6" <= text[start] <= "\U0001f1ff"
        if is_regional and flag_open:
            first, _, first_cells = merged[-1]
            merged[-1] = (first, end, first_cells + cells)
            flag_open = False
        else:
            merged.append((start, end, cells))
            flag_open = is_regional
    return merged


def wrap(text: str, width: int) -> list[Span]:
    """Break text into lines of at most `width` cells (at least `MIN_WIDTH`).

    Gives (start, end) of each line in `text`. Lines break at newlines, else at spaces, which are left out at
    the break, else between characters. An empty text is one empty line.
    """
    width = max(width, MIN_WIDTH)
    if text.isascii():
        if len(text) <= width and "\n" not in text:
            return [(0, len(text))]
        broken = _wrap_ascii
    else:
        broken = _wrap_cells
    lines: list[Span] = []
    start = 0
    while True:
        end = text.find("\n", start)
        if end < 0:
            broken(text, start, len(text), width, lines)
            return lines
        broken(text, start, end, width, lines)
        start = end + 1


def _wrap_ascii(text: str, start: int, end: int, width: int, lines: list[Span]) -> None:
    while end - start > width:
        cut = text.rfind(" ", start, start + width + 1)
        stop = _rstrip(text, start, cut) if cut > start else start
        if stop > start:
            lines.append((start, stop))
            start = _skip_spaces(text, cut, end)
            if start == end:
                return
        else:
            lines.append((start, start + width))
            start += width
    lines.append((start, end))


def _wrap_cells(text: str, start: int, end: int, width: int, lines: list[Span]) -> None:
    if end - start <= width // 2:
        lines.append((start, end))
        return
    base = start
    parts = [(s + base, e + base, cells) for s, e, cells in clusters(text[start:end])]
    index = 0
    while True:
        used = 0
        last = index
        while last < len(parts) and used + parts[last][2] <= width:
            used += parts[last][2]
            last += 1
        if last == len(parts):
            lines.append((start, end))
            return
        limit = parts[last][0]
        cut = text.rfind(" ", start, limit + 1)
        stop = _rstrip(text, start, cut) if cut > start else start
        if stop > start and not _is_joined(parts, cut):
            lines.append((start, stop))
            while parts[index][0] < cut:
                index += 1
            # A space with a combining mark on it is text like any other.
            while index < len(parts) and text[parts[index][0] : parts[index][1]] == " ":
                index += 1
        else:
            lines.append((start, limit))
            index = last
        if index == len(parts):
            return
        start = parts[index][0]


def _is_joined(parts: list[tuple[int, int, int]], at: int) -> bool:
    """Whether a space carries a combining mark and so is no place to break."""
    return any(start <= at < end and end - start > 1 for start, end, _ in parts)


def _rstrip(text: str, start: int, end: int) -> int:
    while end > start and text[end - 1] == " ":
        end -= 1
    return end


def _skip_spaces(text: str, start: int, end: int) -> int:
    while start < end and text[start] == " ":
        start += 1
    return start


def clip(text: str, width: int) -> str:
    """Shorten one line of text to at most `width` cells, with an ellipsis where something is missing."""
    if cell_len(text) <= width:
        return text
    if width < 1:
        return ""
    used = 0
    end = 0
    for _, stop, cells in clusters(text):
        if used + cells > width - 1:
            break
        used += cells
        end = stop
    clipped = text[:end].rstrip(" ") + "…"
    return clipped if cell_len(clipped) <= width else "…"
