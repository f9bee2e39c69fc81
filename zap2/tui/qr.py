"""A QR code as lines of half blocks, two modules a cell in height."""

from __future__ import annotations

from typing import Final

QUIET_MODULES: Final = 2
"""Light modules around the code; readers want some even where the standard's four do not fit."""

_CELLS: Final = {(False, False): " ", (True, False): "▀", (False, True): "▄", (True, True): "█"}


def qr_lines(text: str) -> list[str]:
    """Draw `text` as a QR code, a full block being dark: paint it dark on light.

    All lines have the same length. Source: ISO/IEC 18004, by way of segno.
    """
    import segno

    matrix = segno.make(text, error="l", boost_error=False, micro=False).matrix
    side = len(matrix) + 2 * QUIET_MODULES

    def is_dark(row: int, column: int) -> bool:
        row -= QUIET_MODULES
        column -= QUIET_MODULES
        inside = 0 <= row < len(matrix) and 0 <= column < len(matrix)
        return inside and bool(matrix[row][column])

    return [
        "".join(_CELLS[is_dark(row, column), is_dark(row + 1, column)] for column in range(side))
        for row in range(0, side, 2)
    ]
