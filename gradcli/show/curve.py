"""A small curve in the terminal: numbers over their count, in braille dots or in ASCII, on a log scale where they span much."""

import math

from gradcli.show import numbers
from gradcli.show.table import Curve

ROWS, COLUMNS = 8, 60
"""Characters that the curve takes at most."""
DIGITS = 4
SPAN = 1000.0
"""From here the largest number stands so far above the smallest that only a logarithm shows both."""

_BRAILLE = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""The dots of one character, four rows of two."""


def draw(curve: Curve, width: int | None, *, ascii_only: bool) -> str:
    """The lines of a curve: its largest and smallest number beside the first and last row, its ends below."""
    points = [(i, number) for i, number in enumerate(numbers.flat(curve.values)) if math.isfinite(number)]
    ys = [number for _, number in points]
    low, high, last = min(ys), max(ys), len(curve.values) - 1
    logarithmic = low > 0 and high / low >= SPAN
    labels = [numbers.significant(number, DIGITS) for number in (high, low)]
    left = max(map(len, labels))
    columns = max(4, min(COLUMNS, (width or COLUMNS + left + 3) - left - 3))
    down, across = (1, 1) if ascii_only else (4, 2)
    rows = ROWS if high > low else 1
    cells = [[0] * columns for _ in range(rows)]
    for i, number in points:
        x = round(i / max(1, last) * (columns * across - 1))
        y = round((1 - _part(number, low, high, logarithmic=logarithmic)) * (rows * down - 1))
        cells[y // down][x // across] |= 1 if ascii_only else _BRAILLE[y % 4][x % 2]
    bar = "|" if ascii_only else "\u2502"
    lines = [f"{curve.name} by {curve.along}{', log scale' if logarithmic else ''}"]
    for number, row in enumerate(cells):
        label = labels[0] if number == 0 else labels[1] if number == rows - 1 else ""
        text = "".join(("*" if cell else " ") if ascii_only else chr(0x2800 + cell) if cell else " " for cell in row)
        lines.append(f"{label:>{left}} {bar} {text}".rstrip())
    lines.append(f"{'':>{left}}   0{last!s:>{columns - 1}}")
    return "\n".join(lines)


def _part(number: float, low: float, high: float, *, logarithmic: bool) -> float:
    """How far up a number lies between `low` (0) and `high` (1); half where all are the same."""
    if high <= low:
        return 0.5
    if logarithmic:
        return (math.log(number) - math.log(low)) / (math.log(high) - math.log(low))
    return number / (high - low) - low / (high - low)
