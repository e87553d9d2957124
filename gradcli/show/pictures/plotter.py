"""Curves drawn with characters, from lists of numbers.

draw([0, 1, 2], [Panel((Line("loss", [9, 4, 1]),))], Window(60, 12), along="step")
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from gradcli.show.pictures.axes import Axis, axis, drawable, span, together
from gradcli.show.pictures.canvas import Canvas, Cell, Pen, sample, text

DIM = "2"
SAMPLE = 6
"""The cells of a line in a legend."""
APART = 1.5
"""The least distance of two points in dots: closer ones make a line ragged."""
NAME = 12
"""The longest name at the end of an axis in characters."""
SOLID, DASHED = Pen(1, 0, "36", "*"), Pen(4, 4, "33", ".")
"""The lines of a single function and of its derivative in the same panel."""
SLOPE = replace(DASHED, on=1, off=0)
"""The line of a derivative in a panel of its own."""

MANY = (
    Pen(1, 0, "36"), Pen(6, 4, "33"), Pen(1, 2, "35"), Pen(8, 2, "32"), Pen(2, 2, "34"), Pen(3, 6, "31"),
)  # fmt: skip
"""The lines of several functions in one panel: they differ in pattern, colour and letter."""


def pen(number: int) -> Pen:
    """The pen of one of several curves."""
    letter = chr(ord("A") + number % 26)
    return replace(MANY[number % len(MANY)], ascii=letter, mark=letter)


@dataclass(frozen=True)
class Line:
    """One curve: its name, its numbers (not finite: a gap), and the points before a jump."""

    name: str
    y: Sequence[float]
    jumps: Collection[int] = ()
    pen: Pen = SOLID


@dataclass(frozen=True)
class Panel:
    """Curves that share their axes."""

    curves: tuple[Line, ...]
    title: str = ""


@dataclass(frozen=True)
class Window:
    """The size of a picture in characters, and whether it may have colour and more than ASCII."""

    width: int = 80
    height: int = 23
    colour: bool = False
    ascii_only: bool = False


_LINES, _ASCII = tuple("│┤└─┬┈"), tuple("|++-+-")
"""The characters of a frame: its side, there beside a number, the corner, the line below, there above
a number; and of the line at 0.
"""


class Layout:
    """What panels over one horizontal axis share: the window, the axis from `low` to `high` and its
    width in characters, and the room to the left for the numbers of the vertical axes.
    """

    def __init__(
        self, window: Window, low: float, high: float, uprights: Sequence[Axis], along: str
    ) -> None:
        self.window = window
        self.left = 1 + max(len(y.label(tick)) for y in uprights for tick in y.ticks or (0.0,))
        self._name = along[: min(NAME, max(1, (window.width - self.left) // 4))]
        self.columns = max(4, window.width - self.left - 2 - len(self._name))
        self.across = axis(low, high, max(1, self.columns // 10))

    def column(self, tick: float) -> int:
        """The column of the whole picture that a number of the horizontal axis is in."""
        place = int(round(self.across.place(tick, 2 * self.columns)) // 2)
        return self.left + 1 + min(self.columns - 1, place)

    def text(self, lines: list[list[Cell]]) -> str:
        """The panels, whose lines these are, as text above the name and the numbers of the axis."""
        lines = [*lines[:-1], lines[-1] + words(f" {self._name}"), self._below()]
        return "".join(f"{text(line, colour=self.window.colour)}\n" for line in lines)

    def _below(self) -> list[Cell]:
        """The numbers of the axis, centred below their ticks, without those that overlap."""
        row = [" "] * (self.left + 1 + self.columns)
        for tick in self.across.ticks:
            label = self.across.label(tick)
            minus = label[0] == "-"
            middle = self.column(tick)
            start = max(0, min(middle - minus - (len(label) - minus) // 2, len(row) - len(label)))
            if not "".join(row[max(0, start - 1) : start + len(label) + 1]).strip():
                row[start : start + len(label)] = label
        return words("".join(row))


class Plot(Canvas):
    """A canvas of so many rows between the axis of a layout and a vertical one."""

    def __init__(self, layout: Layout, rows: int, upright: Axis) -> None:
        super().__init__(layout.columns, rows, ascii_only=layout.window.ascii_only)
        self.layout, self.upright = layout, upright
        self._strokes = _ASCII if self.ascii_only else _LINES

    def place(self, x: float, y: float) -> tuple[float, float]:
        """The place of a point in dots."""
        return self.layout.across.place(x, self.width), self.upright.place(y, self.height)

    def cell_at(self, x: float, y: float) -> tuple[int, int]:
        """The column and row of the cell that a point is in."""
        i, j = self.place(x, y)
        return self.cell_of(round(i), round(j))

    def _row(self, y: float) -> int:
        return self.cell_at(self.layout.across.low, y)[1]

    def draw_zero(self) -> None:
        """Draw a thin line at 0, before anything else."""
        if self.upright.low < 0 < self.upright.high:
            for column in range(0, self.columns, 2 if self.ascii_only else 1):
                self.put(column, self._row(0), Cell(self._strokes[-1], DIM))

    def framed(self) -> list[list[Cell]]:
        """The lines of the canvas with its axes: numbers to the left, ticks below."""
        side, beside, corner, line, above, _ = self._strokes
        left, ticks = self.layout.left, self.upright.ticks
        labels = {self.rows - 1 - self._row(tick): self.upright.label(tick) for tick in ticks}
        lines = []
        for number, cells in enumerate(self.lines()):
            label = labels.get(number, "")
            head = words(label.rjust(left - 1) + " ")
            lines.append([*head, Cell(beside if label else side, DIM), *cells])
        bottom = words(" " * left + corner + line * self.columns, DIM)
        for tick in self.layout.across.ticks:
            bottom[self.layout.column(tick)] = Cell(above, DIM)
        return [*lines, bottom]


def draw(x: Sequence[float], panels: Sequence[Panel], window: Window, *, along: str = "x") -> str:
    """The panels below each other over ascending x, in the size of the window unless it is tiny."""
    legends = [_legend(panel, window) for panel in panels]
    rows = max(3, (window.height - sum(map(len, legends)) - len(panels) - 1) // len(panels))
    uprights = [_upright(panel, rows) for panel in panels]
    layout = Layout(window, x[0], x[-1], uprights, along)
    lines: list[list[Cell]] = []
    for panel, legend, upright in zip(panels, legends, uprights, strict=True):
        plot = Plot(layout, rows, upright)
        plot.draw_zero()
        for number, curve in enumerate(panel.curves):
            _trace(plot, x, curve)
            _mark(plot, x, curve, number, len(panel.curves))
        lines += [*legend, *plot.framed()]
    return layout.text(lines)


def words(string: str, colour: str = "") -> list[Cell]:
    """Text as cells."""
    return [Cell(char, colour) for char in string]


def _legend(panel: Panel, window: Window) -> list[list[Cell]]:
    """The names of a panel's lines, in as many rows as the width requires."""
    entries = [words(panel.title, "1")] if panel.title else []
    for curve in panel.curves:
        pen = curve.pen
        piece = sample(pen, SAMPLE, ascii_only=window.ascii_only)
        has_mark = pen.mark and not window.ascii_only
        mark = words(f"{pen.mark} ", f"1;{pen.colour}") if has_mark else []
        entries.append([*mark, *piece, Cell(), *words(curve.name)])
    return flowed(entries, window.width)


def flowed(entries: Sequence[list[Cell]], width: int) -> list[list[Cell]]:
    """Entries side by side, in as many rows as the width requires; a wider entry is broken."""
    rows: list[list[Cell]] = [[]]
    for entry in entries:
        if rows[-1] and len(rows[-1]) + 3 + len(entry) > width:
            rows.append([])
        rows[-1] += [*words("   " if rows[-1] else ""), *entry]
        while len(rows[-1]) > width:  # at a blank if there is one
            cut = next((i for i in range(width, 0, -1) if rows[-1][i].char == " "), width)
            rest = rows[-1][cut + (rows[-1][cut].char == " ") :]
            del rows[-1][cut:]
            rows.append(rest)
    return rows


def _upright(panel: Panel, rows: int) -> Axis:
    """The vertical axis of a panel."""
    low, high = together(span(curve.y, curve.jumps) for curve in panel.curves) or (-1.0, 1.0)
    return axis(low, high, max(3 if rows >= 6 else 2, rows // 3), widen=True)


def _trace(plot: Plot, x: Sequence[float], curve: Line) -> None:
    """Draw the line of a curve, interrupted at gaps and jumps, cut off at the window's edges."""
    for run in _runs(plot, x, curve):
        (i, j), distance = run[0], 0.0
        plot.dot(round(i), round(j) if -1 < j < plot.height else -1, curve.pen)
        for here in run[1:]:
            far = max(abs(here[0] - i), abs(here[1] - j)) >= APART
            if not (far or here is run[-1]):
                continue
            if piece := _inside((i, j), here, plot.height):
                distance = plot.line(*piece, curve.pen, distance)
            i, j = here


def _runs(plot: Plot, x: Sequence[float], curve: Line) -> Iterator[list[tuple[float, float]]]:
    """The places of a curve's points in dots, grouped into unbroken lines."""
    run: list[tuple[float, float]] = []
    for number, (a, b) in enumerate(zip(x, curve.y, strict=True)):
        if run and (number - 1 in curve.jumps or not drawable(b)):
            yield run
            run = []
        if drawable(b):
            run.append(plot.place(a, b))
    if run:
        yield run


def _inside(
    start: tuple[float, float], end: tuple[float, float], height: int
) -> tuple[tuple[float, float], tuple[float, float]] | None:
    """The part of a straight line that lies in the window; None if there is none."""
    low, high = -0.5, height - 0.5
    (x0, y0), (x1, y1) = start, end
    if (y0 < low and y1 < low) or (y0 > high and y1 > high):
        return None
    slope = (x1 - x0) / (y1 - y0) if y1 != y0 else 0.0

    def cut(x: float, y: float) -> tuple[float, float]:
        edge = min(max(y, low), high)
        return (x if edge == y else x0 + (edge - y0) * slope), edge

    return cut(x0, y0), cut(x1, y1)


def _mark(plot: Plot, x: Sequence[float], curve: Line, number: int, count: int) -> None:
    """Put the letter of a curve on it here and there, away from other curves' letters."""
    if not curve.pen.mark:
        return
    every = max(6 * count, plot.columns // 3)
    columns = set(range(every * (2 * number + 1) // (2 * count), plot.columns, every))
    for a, b in zip(x, curve.y, strict=True):
        if drawable(a) and plot.upright.low <= b <= plot.upright.high:
            column, row = plot.cell_at(a, b)
            if column in columns:
                plot.put(column, row, Cell(curve.pen.mark, f"1;{curve.pen.colour}"))
                columns.discard(column)
