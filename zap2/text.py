"""Text from others, made harmless to look at.

Whatever another person or a relay wrote passes through `sanitize` before it becomes a view, a log line, a
notification or an export. What steers a terminal or the direction of text becomes a visible U+FFFD; what is only
invisible is dropped; what writing systems and emoji need stays. The rules are decided in one scan from left to
right that looks at what was already let through, so that a second pass changes nothing.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

REPLACEMENT: Final = "\ufffd"
ELLIPSIS: Final = "…"
MAX_MARKS: Final = 5
"""Marks kept on one base character: pointed and cantillated Hebrew needs five, stacks that cover other lines more."""

_TAB_AS: Final = "    "
_LINE_BREAKS: Final = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
# Nothing of these blocks is ever changed: printable ASCII and Latin, Greek, Cyrillic, Armenian, CJK, kana, hangul.
_PLAIN: Final = re.compile(
    "[\n\x20-\x7e\xa1-\xac\xae-\u02ff\u0370-\u0482\u048a-\u0588\u2010-\u2027\u3001-\u3029\u3041-\u3096\u309b-\u30ff"
    "\u4e00-\u9fff\uac00-\ud7a3\uff01-\uff9f]*"
)

_JOINERS: Final = frozenset("\u200c\u200d")
_ZERO_WIDTH_JOINER: Final = "\u200d"
_EMOJI_SELECTORS: Final = frozenset("\ufe0e\ufe0f")
_KEYCAP_BASES: Final = frozenset("0123456789#*")
# Emoji that Unicode does not count as "other symbols".
_EMOJI_OTHERS: Final = frozenset("\u203c\u2049\u2139\u2194\u2195\u21a9\u21aa\u25fd\u25fe\u3030")
_DIRECTION_MARKS: Final = frozenset("\u200e\u200f\u061c")
# Letters and marks that print nothing: Hangul fillers, the grapheme joiner, inherent vowels of Khmer, Mongolian
# variation selectors.
_BLANKS: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0")
_BLANK_BRAILLE: Final = "\u2800"
# Format characters that print: number and verse signs of Arabic, Syriac and Kaithi.
_VISIBLE_FORMATS: Final = frozenset(
    "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"
)
# Format characters that change how their neighbours read: embeddings, overrides, isolates, digit shapes, annotations.
_STEERING: Final = frozenset(
    "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u206a\u206b\u206c\u206d\u206e\u206f\ufff9\ufffa\ufffb\ufffc"
)
_JOINING_SCRIPTS: Final = (
    (0x0600, 0x0DFF),  # Arabic, Syriac, N'Ko, the scripts of India and Sri Lanka
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x18AF),  # Khmer, Mongolian
    (0xA840, 0xA8FF),
    (0xFB50, 0xFDCF),  # presentation forms of Arabic
    (0xFE70, 0xFEFC),
    (0x10D00, 0x10D3F),
    (0x11000, 0x11FFF),
    (0x1E900, 0x1E95F),
)


def sanitize(text: str, *, max_chars: int | None = None, single_line: bool = False) -> str:
    """Make text from somebody else harmless to show; paint the result as plain text, never as markup.

    The result may be empty, also when `text` is not. `sanitize(sanitize(x)) == sanitize(x)` with equal arguments.

    Args:
        text: any string, also one with lone surrogates.
        max_chars: the most code points of the result, at least 0; what is longer is cut between two visible
            characters and ends in an ellipsis. None for no bound.
        single_line: for names and titles: every run of white space becomes one space, none at either end.
    """
    if not _PLAIN.fullmatch(text):
        text = _scan(_LINE_BREAKS.sub("\n", text))
    if single_line:
        text = " ".join(text.split())
    if max_chars is not None and len(text) > max_chars:
        text = _cut(text, max_chars)
    return text


def is_clean(text: str, *, single_line: bool = False) -> bool:
    """Say whether `sanitize` would leave the text as it is."""
    return sanitize(text, single_line=single_line) == text


def _scan(text: str) -> str:
    out: list[str] = []
    before = "\n"  # the last character let through, joiners and selectors not counted
    joiner = ""  # a joiner that waits for what it joins
    marks = 0
    can_select = False
    for char in text:
        if char in _JOINERS:
            joiner = joiner or char
            continue
        if _selects_variant(char):
            if can_select and not joiner and _takes_selector(before, char):
                out.append(char)
                can_select = False
            continue
        char = _shown(char)
        if not char:
            continue
        if _is_mark(char):
            if before.isspace() or marks == MAX_MARKS:
                continue
            marks += 1
        else:
            marks = 0
        if joiner and _joins(before, joiner, char):
            out.append(joiner)
        joiner = ""
        out.append(char)
        before = char[-1]
        can_select = True
    return "".join(out)


def _shown(char: str) -> str:
    """Give what is shown for one character: itself, a replacement, or nothing."""
    if char == "\n":
        return char
    if char == "\t":
        return _TAB_AS
    if char == _BLANK_BRAILLE:
        return " "
    if char in _STEERING:
        return REPLACEMENT
    if char in _BLANKS or char in _DIRECTION_MARKS:
        return ""
    category = unicodedata.category(char)
    if category in ("Cc", "Cs"):
        return REPLACEMENT
    if category == "Cf":
        return char if char in _VISIBLE_FORMATS else ""
    if category == "Cn":
        return _shown_unassigned(ord(char), char)
    return char


def _shown_unassigned(code: int, char: str) -> str:
    if code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF:
        return REPLACEMENT
    # Reserved for invisible characters to come (Unicode's Default_Ignorable_Code_Point).
    if code == 0x2065 or 0xFFF0 <= code <= 0xFFF8 or 0xE0000 <= code <= 0xE0FFF:
        return ""
    return char


def _is_mark(char: str) -> bool:
    """Say whether a character is drawn onto the one before it; vowels and finals of Hangul are, in terminals."""
    return (
        unicodedata.category(char[0])[0] == "M"
        or "\u1161" <= char <= "\u11ff"
        or "\ud7b0" <= char <= "\ud7fb"
    )


def _is_emoji(char: str) -> bool:
    # By block as well: emoji newer than this Python's tables count as unassigned.
    return 0x1F000 <= ord(char) <= 0x1FAFF or char in _EMOJI_OTHERS or unicodedata.category(char) == "So"


def _is_of_joining_script(char: str) -> bool:
    code = ord(char)
    return any(first <= code <= last for first, last in _JOINING_SCRIPTS)


def _joins(before: str, joiner: str, after: str) -> bool:
    if joiner == _ZERO_WIDTH_JOINER and _is_emoji(before) and _is_emoji(after[0]):
        return REPLACEMENT not in (before, after)
    return _is_of_joining_script(before) and _is_of_joining_script(after[0])


def _selects_variant(char: str) -> bool:
    return "\ufe00" <= char <= "\ufe0f" or "\U000e0100" <= char <= "\U000e01ef"


def _takes_selector(before: str, selector: str) -> bool:
    if selector in _EMOJI_SELECTORS:
        return before != REPLACEMENT and (before in _KEYCAP_BASES or _is_emoji(before))
    is_ideograph = (
        "\u4e00" <= before <= "\u9fff"
        or "\u3400" <= before <= "\u4dbf"
        or "\U00020000" <= before <= "\U0003ffff"
    )
    return is_ideograph and selector >= "\U000e0100"


def _cut(text: str, max_chars: int) -> str:
    if max_chars < 1:
        return ""
    end = max_chars - 1
    while end > 0 and (_continues(text[end]) or text[end - 1] in _JOINERS):
        end -= 1
    return text[:end].rstrip() + ELLIPSIS


def _continues(char: str) -> bool:
    """Say whether a character belongs to the visible character before it."""
    return (
        char in _JOINERS or _selects_variant(char) or _is_mark(char) or "\U0001f3fb" <= char <= "\U0001f3ff"
    )
