"""A rectangle of character cells to draw in: dots of braille, 2 x 4 to a cell, or one ASCII
character to a cell.
"""

from collections.abc import Iterable
from dataclasses import dataclass

_BRAILLE = 0x2800
_BITS = ((0x40, 0x80), (0x04, 0x20), (0x02, 0x10), (0x01, 0x08))
"""The bit of each dot of a cell, from the lowest row up, left and right."""


@dataclass(frozen=True)
class Pen:
    """How a line looks: so many dots on and so many off, its ANSI colour, the character that stands
    for it in ASCII.

    `mark` is a letter that is put on the line here and there; empty where the line is told by its
    look.
    """

    on: int = 1
    off: int = 0
    colour: str = ""
    ascii: str = "*"
    mark: str = ""

    def draws(self, behind: float) -> bool:
        """Whether a dot is drawn that has so many behind it."""
        return int(behind) % (self.on + self.off) < self.on


@dataclass(frozen=True)
class Cell:
    """One character and its ANSI colour, such as `36` or `2;33`; empty for none."""

    char: str = " "
    colour: str = ""


class Canvas:
    """Cells that are being drawn in; dots are counted from the lower left."""

    def __init__(self, columns: int, rows: int, *, ascii_only: bool) -> None:
        self.columns, self.rows = columns, rows
        self._across, self._up = (1, 1) if ascii_only else (2, 4)
        self._ascii_only = ascii_only
        self._dots: dict[tuple[int, int], int] = {}
        self._pens: dict[tuple[int, int], list[Pen]] = {}
        self._cells: dict[tuple[int, int], Cell] = {}

    @property
    def width(self) -> int:
        """Dots from left to right."""
        return self.columns * self._across

    @property
    def height(self) -> int:
        """Dots from the bottom to the top."""
        return self.rows * self._up

    def cell_of(self, i: int, j: int) -> tuple[int, int]:
        """Column and row, from the lower left, of the cell that holds a dot."""
        return i // self._across, j // self._up

    def dot(self, i: int, j: int, pen: Pen) -> None:
        """One dot; what lies outside is dropped."""
        if not (0 <= i < self.width and 0 <= j < self.height):
            return
        place = self.cell_of(i, j)
        if self._ascii_only:
            pens = self._pens.setdefault(place, [])
            if pen not in pens:
                pens.append(pen)
            shown = pens[place[0] % len(pens)]  # lines that run together take turns
            self._cells[place] = Cell(shown.ascii, shown.colour)
            return
        dots = self._dots.get(place, 0) | _BITS[j % 4][i % 2]
        self._dots[place] = dots
        self._cells[place] = Cell(chr(_BRAILLE + dots), pen.colour)

    def line(
        self, start: tuple[float, float], end: tuple[float, float], pen: Pen, behind: float = 0.0
    ) -> float:
        """A straight line between two places in dots, `behind` of which its pattern has behind it;
        how many that are then.
        """
        (x0, y0), (x1, y1) = start, end
        length = max(abs(x1 - x0), abs(y1 - y0))
        steps = max(1, round(length))
        for k in range(steps + 1):
            if self._ascii_only or pen.draws(behind + length * k / steps):
                self.dot(round(x0 + (x1 - x0) * k / steps), round(y0 + (y1 - y0) * k / steps), pen)
        return behind + length

    def put(self, column: int, row: int, cell: Cell) -> None:
        """A character into a cell."""
        self._cells[column, row] = cell

    def lines(self) -> list[list[Cell]]:
        """The cells of each row, the topmost first."""
        blank = Cell()
        return [
            [self._cells.get((column, row), blank) for column in range(self.columns)]
            for row in reversed(range(self.rows))
        ]


def sample(pen: Pen, cells: int, *, ascii_only: bool) -> list[Cell]:
    """A piece of a line, for a legend."""
    canvas = Canvas(cells, 1, ascii_only=ascii_only)
    level = canvas.height // 4
    canvas.line((0, level), (canvas.width - 1, level), pen)
    return canvas.lines()[0]


def text(cells: Iterable[Cell], *, colour: bool) -> str:
    """Cells as text, with ANSI codes where there is colour, and without blanks at the end."""
    found: list[str] = []
    now = ""
    row = list(cells)
    while row and row[-1].char == " ":
        row.pop()
    for cell in row:
        wanted = cell.colour if colour and cell.char != " " else now if cell.char == " " else ""
        if wanted != now:
            found.append(
                f"\x1b[0m\x1b[{wanted}m"
                if now and wanted
                else f"\x1b[{wanted}m"
                if wanted
                else "\x1b[0m"
            )
            now = wanted
        found.append(cell.char)
    if now:
        found.append("\x1b[0m")
    return "".join(found)
