"""A rectangle of character cells to draw in: 2 x 4 braille dots or one ASCII character per cell."""

from collections.abc import Iterable
from dataclasses import dataclass

_BRAILLE = 0x2800
_BITS = ((0x40, 0x80), (0x04, 0x20), (0x02, 0x10), (0x01, 0x08))
"""The bits of a cell's dots, left and right, from the lowest row up."""


@dataclass(frozen=True)
class Pen:
    """The look of a line: `on` dots drawn and `off` dots left out in turn, its ANSI colour, its
    ASCII character, and a letter `mark` that is put on the line here and there (empty: none).
    """

    on: int = 1
    off: int = 0
    colour: str = ""
    ascii: str = "*"
    mark: str = ""

    def draws(self, distance: float) -> bool:
        """Whether the dot at this distance from the line's start is drawn."""
        return int(distance) % (self.on + self.off) < self.on


@dataclass(frozen=True)
class Cell:
    """One character and its ANSI colour, such as `36` or `2;33` (empty: none)."""

    char: str = " "
    colour: str = ""


class Canvas:
    """Cells to draw in; dots, columns and rows are counted from the lower left."""

    def __init__(self, columns: int, rows: int, *, ascii_only: bool) -> None:
        self.columns, self.rows = columns, rows
        self._across, self._up = (1, 1) if ascii_only else (2, 4)
        self.ascii_only = ascii_only
        self._dots: dict[tuple[int, int], int] = {}
        self._pens: dict[tuple[int, int], list[Pen]] = {}
        self._cells: dict[tuple[int, int], Cell] = {}

    @property
    def width(self) -> int:
        """The number of dots from left to right."""
        return self.columns * self._across

    @property
    def height(self) -> int:
        """The number of dots from bottom to top."""
        return self.rows * self._up

    def cell_of(self, i: int, j: int) -> tuple[int, int]:
        """The column and row of the cell that contains a dot."""
        return i // self._across, j // self._up

    def dot(self, i: int, j: int, pen: Pen) -> None:
        """Draw one dot; a dot outside is dropped."""
        if not (0 <= i < self.width and 0 <= j < self.height):
            return
        place = self.cell_of(i, j)
        if self.ascii_only:
            pens = self._pens.setdefault(place, [])
            if pen not in pens:
                pens.append(pen)
            shown = pens[place[0] % len(pens)]  # lines that overlap take turns
            self._cells[place] = Cell(shown.ascii, shown.colour)
            return
        dots = self._dots.get(place, 0) | _BITS[j % 4][i % 2]
        self._dots[place] = dots
        self._cells[place] = Cell(chr(_BRAILLE + dots), pen.colour)

    def line(
        self, start: tuple[float, float], end: tuple[float, float], pen: Pen, distance: float = 0.0
    ) -> float:
        """Draw a straight line between two places in dots, whose pattern continues at `distance`;
        return the distance at its end.
        """
        (x0, y0), (x1, y1) = start, end
        length = max(abs(x1 - x0), abs(y1 - y0))
        steps = max(1, round(length))
        for k in range(steps + 1):
            if self.ascii_only or pen.draws(distance + length * k / steps):
                self.dot(round(x0 + (x1 - x0) * k / steps), round(y0 + (y1 - y0) * k / steps), pen)
        return distance + length

    def put(self, column: int, row: int, cell: Cell) -> None:
        """Put a character into a cell."""
        self._cells[column, row] = cell

    def lines(self) -> list[list[Cell]]:
        """The cells of each row, the topmost first."""
        blank, columns = Cell(), range(self.columns)
        rows = reversed(range(self.rows))
        return [[self._cells.get((column, row), blank) for column in columns] for row in rows]


def sample(pen: Pen, cells: int, *, ascii_only: bool) -> list[Cell]:
    """A piece of a line, for a legend."""
    canvas = Canvas(cells, 1, ascii_only=ascii_only)
    level = canvas.height // 4
    canvas.line((0, level), (canvas.width - 1, level), pen)
    return canvas.lines()[0]


def text(cells: Iterable[Cell], *, colour: bool) -> str:
    """Cells as text without blanks at the end, with ANSI codes if `colour`."""
    row = list(cells)
    while row and row[-1].char == " ":
        row.pop()
    if not colour:
        return "".join(cell.char for cell in row)
    parts: list[str] = []
    current = ""
    for cell in row:
        if cell.char != " " and cell.colour != current:
            reset = "\x1b[0m" if current else ""
            parts.append(reset + (f"\x1b[{cell.colour}m" if cell.colour else ""))
            current = cell.colour
        parts.append(cell.char)
    if current:
        parts.append("\x1b[0m")
    return "".join(parts)
