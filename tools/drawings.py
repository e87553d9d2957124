"""Pictures of characters read back: the dots of a drawing, so that tests can ask what is really to
be seen.
"""

import re
from dataclasses import dataclass

_BITS = ((0x40, 0x80), (0x04, 0x20), (0x02, 0x10), (0x01, 0x08))


@dataclass(frozen=True)
class Drawing:
    """One panel: its dots, counted from the lower left, and its rows as text without the axis."""

    dots: frozenset[tuple[int, int]]
    rows: list[str]

    @property
    def columns(self) -> dict[int, list[int]]:
        """The heights of the dots in each column that has some."""
        found: dict[int, list[int]] = {}
        for i, j in sorted(self.dots):
            found.setdefault(i, []).append(j)
        return found


def panels(picture: str) -> list[Drawing]:
    """The panels of a picture in braille, the topmost first."""
    found: list[list[str]] = []
    inside = False
    for line in picture.splitlines():
        side = re.match(r"^ *\S* ?[│┤]", line)
        if side:
            if not inside:
                found.append([])
            found[-1].append(line[side.end() :])
        inside = side is not None
    return [Drawing(frozenset(_dots(rows)), rows) for rows in found]


def _dots(rows: list[str]) -> list[tuple[int, int]]:
    dots = []
    for number, row in enumerate(reversed(rows)):
        for column, char in enumerate(row):
            bits = ord(char) - 0x2800
            if 0 <= bits < 256:
                dots += [
                    (2 * column + i, 4 * number + j)
                    for j in range(4)
                    for i in range(2)
                    if bits & _BITS[j][i]
                ]
    return dots
