"""Draw the pictures of docs/images from the real screens: `python -m bench.screenshots`.

The people and messages come from the test stage; time stands still, so a picture changes only when the screen does.
With `--png DIR` every picture is also rendered with rsvg-convert, to look at.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.tui.seeds import furnished
from tests.tui.stage import StageClient, StoppedClock
from tests.tui.stage_door import StageEntrance
from zap2.tui import themes
from zap2.tui.app import Zap2App
from zap2.tui.screens.chat import ChatScreen

CELL_WIDTH: Final = 12.2
"""The width of a cell in the SVG that Textual draws."""

_FONTS: Final = "'Fira Code','DejaVu Sans Mono',Menlo,Consolas,monospace"


@dataclass(frozen=True, slots=True)
class Picture:
    """One screen to draw: after `keys`, in a terminal of `size` cells."""

    name: str
    size: tuple[int, int]
    keys: Sequence[str] = ()
    theme: str = themes.DARK
    door: str = "open"
    """"open": the chat; "locked": the passphrase is asked; "new": the wizard."""
    conversation: str = "Ada Lovelace"


PICTURES: Final = (
    Picture("chat", (100, 30)),
    Picture("chat-light", (100, 30), theme=themes.LIGHT),
    Picture("safety-number", (100, 38), ("f4",)),
    Picture("narrow", (40, 20)),
    Picture("palette", (100, 30), ("ctrl+p",)),
    Picture("wizard", (80, 24), door="new"),
)


def clean(svg: str) -> str:
    """Make the SVG self-contained and the same in every run.

    Web fonts and addresses go, and text that begins with spaces is moved to where its first letter stands, because
    some renderers drop leading spaces.
    """
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r"\s*<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r"terminal-\d+", "zap2", svg)
    svg = svg.replace("font-family: Fira Code, monospace;", f"font-family: {_FONTS};")

    pattern = r'(<text [^>]*?)x="([\d.]+)"( y="[\d.]+") textLength="([\d.]+)"([^>]*)>((?:&#160;)+)([^<]+)'

    def reorder(match: re.Match[str]) -> str:
        head, x, y, length, rest, spaces, text = match.groups()
        count = len(spaces) // len("&#160;")
        moved, shorter = float(x) + count * CELL_WIDTH, float(length) - count * CELL_WIDTH
        return f'{head}x="{moved:.1f}"{y} textLength="{shorter:.1f}"{rest}>{text}'

    svg = re.sub(pattern, reorder, svg)
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"


async def draw(picture: Picture) -> str:
    """Run the app on the stage and give its screen as SVG."""
    client, _ = furnished()
    entrance = StageEntrance(client if picture.door != "new" else StageClient(), picture.door != "new")
    app = Zap2App(
        entrance,
        opened=client if picture.door == "open" else None,
        clock=StoppedClock().clock(),
        theme=picture.theme,
    )
    async with app.run_test(size=picture.size) as pilot:
        await pilot.pause()
        await pilot.pause()
        if isinstance(app.screen, ChatScreen):
            wanted = [view.id for view in app.screen.inbox.listed() if view.title == picture.conversation]
            app.screen.open(wanted[0])
            await pilot.pause()
        for key in picture.keys:
            await pilot.press(key)
        await pilot.pause(0.3)
        return clean(app.export_screenshot(title="Zap2"))


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw all pictures, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    parser.add_argument("--png", type=Path)
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    for picture in PICTURES:
        if options.names and picture.name not in options.names:
            continue
        path = options.out / f"{picture.name}.svg"
        path.write_text(asyncio.run(draw(picture)), encoding="utf-8")
        print(path)
        if options.png:
            target = options.png / f"{picture.name}.png"
            subprocess.run(["rsvg-convert", "--output", str(target), str(path)], check=True)


if __name__ == "__main__":
    main()
