"""The four themes. Every text colour reaches a contrast of 4.5:1 on every ground it is painted on; a test holds it.

Beside Textual's own names a theme defines those that the style sheets use for text: `dim` for what is secondary,
`name-mine` and `name-theirs`, `good`, `warn` and `bad` for states, `mark` for what is new. No meaning rests on
colour alone: each has a word or a glyph.
"""

from __future__ import annotations

from typing import Final

from textual.theme import Theme

DARK: Final = "zap2-dark"
LIGHT: Final = "zap2-light"
HIGH_CONTRAST: Final = "zap2-high-contrast"
MONOCHROME: Final = "zap2-monochrome"

LABELS: Final = {
    DARK: "Dark",
    LIGHT: "Light",
    HIGH_CONTRAST: "High contrast",
    MONOCHROME: "Monochrome",
}

TEXT_NAMES: Final = ("dim", "name-mine", "name-theirs", "good", "warn", "bad", "mark")
GROUND_NAMES: Final = ("background", "surface", "panel")


def _theme(name: str, *, dark: bool, grounds: tuple[str, str, str, str], **texts: str) -> Theme:
    """Make a theme. `grounds`: background, surface, panel, the ground of what is selected."""
    background, surface, panel, selected = grounds
    foreground, accent, rule = texts["foreground"], texts["accent"], texts["rule"]
    return Theme(
        name=name,
        dark=dark,
        primary=accent,
        secondary=accent,
        accent=accent,
        warning=texts["warn"],
        error=texts["bad"],
        success=texts["good"],
        foreground=foreground,
        background=background,
        surface=surface,
        panel=panel,
        boost=surface,
        variables={
            "dim": texts["dim"],
            "name-mine": texts["mine"],
            "name-theirs": accent,
            "good": texts["good"],
            "warn": texts["warn"],
            "bad": texts["bad"],
            "mark": texts["warn"],
            "rule": rule,
            "selected": selected,
            "text": foreground,
            "text-muted": texts["dim"],
            "text-disabled": texts["dim"],
            "border": accent,
            "border-blurred": rule,
            "block-cursor-foreground": foreground,
            "block-cursor-background": selected,
            "block-cursor-text-style": "bold",
            "block-cursor-blurred-foreground": foreground,
            "block-cursor-blurred-background": selected,
            "block-hover-background": panel,
            "input-selection-background": selected,
            "input-selection-foreground": foreground,
            "input-cursor-background": foreground,
            "input-cursor-foreground": background,
            "scrollbar": rule,
            "scrollbar-hover": texts["dim"],
            "scrollbar-active": accent,
            "scrollbar-background": background,
            "scrollbar-background-hover": background,
            "scrollbar-background-active": background,
            "scrollbar-corner-color": background,
            "button-foreground": foreground,
            "button-color-foreground": background,
            "button-focus-text-style": "bold",
        },
    )


THEMES: Final = (
    _theme(
        DARK,
        dark=True,
        grounds=("#12161c", "#171c24", "#1f2630", "#2a3747"),
        foreground="#dbe1e9",
        accent="#7cb7f2",
        mine="#e3b778",
        dim="#98a4b3",
        good="#84cfae",
        warn="#f0b866",
        bad="#ff9a8f",
        rule="#36414f",
    ),
    _theme(
        LIGHT,
        dark=False,
        grounds=("#fbfbf9", "#f4f4f0", "#eaeae5", "#d9e4f0"),
        foreground="#1d232b",
        accent="#10569b",
        mine="#7d4a00",
        dim="#535d69",
        good="#0d6044",
        warn="#854500",
        bad="#a31d17",
        rule="#c3c7cb",
    ),
    _theme(
        HIGH_CONTRAST,
        dark=True,
        grounds=("#000000", "#000000", "#141414", "#00306b"),
        foreground="#ffffff",
        accent="#8fd0ff",
        mine="#ffd75e",
        dim="#d5d5d5",
        good="#8dffc8",
        warn="#ffd75e",
        bad="#ffb3ab",
        rule="#a0a0a0",
    ),
    _theme(
        MONOCHROME,
        dark=True,
        grounds=("#000000", "#000000", "#1c1c1c", "#3c3c3c"),
        foreground="#e6e6e6",
        accent="#ffffff",
        mine="#ffffff",
        dim="#b4b4b4",
        good="#ffffff",
        warn="#ffffff",
        bad="#ffffff",
        rule="#585858",
    ),
)


def default_variables() -> dict[str, str]:
    """Give values for our own names, for the moment before a theme of ours is set."""
    return {name: value for theme in THEMES[:1] for name, value in theme.variables.items()}
