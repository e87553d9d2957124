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


@dataclass(frozen=True)
class Strokes:
    """The characters of a frame and of the line at 0."""

    side: str
    tick_left: str
    corner: str
    below: str
    tick_below: str
    zero: str


_LINES = Strokes("│", "┤", "└", "─", "┬", "┈")
_ASCII = Strokes("|", "+", "+", "-", "+", "-")


def draw(x: Sequence[float], panels: Sequence[Panel], window: Window, *, along: str = "x") -> str:
    """The panels below each other over ascending x, in the size of the window unless it is tiny."""
    legends = [legend(panel, window) for panel in panels]
    rows = max(3, (window.height - sum(map(len, legends)) - len(panels) - 1) // len(panels))
    uprights = [_upright(panel, rows) for panel in panels]
    left = 1 + max(len(y.label(tick)) for y in uprights for tick in y.ticks or (0.0,))
    name = along[: min(NAME, max(1, (window.width - left) // 4))]
    columns = max(4, window.width - left - 2 - len(name))
    across = axis(x[0], x[-1], max(1, columns // 10))
    lines: list[list[Cell]] = []
    for panel, head, upright in zip(panels, legends, uprights, strict=True):
        canvas = Canvas(columns, rows, ascii_only=window.ascii_only)
        zero_line(canvas, upright, window)
        for number, curve in enumerate(panel.curves):
            trace(canvas, x, curve, across, upright)
            _mark(canvas, x, curve, across, upright, number, len(panel.curves))
        lines += [*head, *frame(canvas, across, upright, left, window)]
    lines[-1] += words(f" {name}")
    lines.append(below(across, left, columns))
    return "".join(f"{text(line, colour=window.colour)}\n" for line in lines)


def words(string: str, colour: str = "") -> list[Cell]:
    """Text as cells."""
    return [Cell(char, colour) for char in string]


def legend(panel: Panel, window: Window) -> list[list[Cell]]:
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


def zero_line(canvas: Canvas, upright: Axis, window: Window) -> None:
    """Draw a thin line at 0, before anything else."""
    strokes = _ASCII if window.ascii_only else _LINES
    if upright.low < 0 < upright.high:
        _, row = canvas.cell_of(0, round(upright.place(0, canvas.height)))
        for column in range(0, canvas.columns, 2 if window.ascii_only else 1):
            canvas.put(column, row, Cell(strokes.zero, DIM))


def trace(canvas: Canvas, x: Sequence[float], curve: Line, across: Axis, upright: Axis) -> None:
    """Draw the line of a curve, interrupted at gaps and jumps, cut off at the window's edges."""
    for run in _runs(canvas, x, curve, across, upright):
        (i, j), distance = run[0], 0.0
        canvas.dot(round(i), _near(j, canvas.height), curve.pen)
        for here in run[1:]:
            far = max(abs(here[0] - i), abs(here[1] - j)) >= APART
            if not (far or here is run[-1]):
                continue
            if piece := _inside((i, j), here, canvas.height):
                distance = canvas.line(*piece, curve.pen, distance)
            i, j = here


def _runs(
    canvas: Canvas, x: Sequence[float], curve: Line, across: Axis, upright: Axis
) -> Iterator[list[tuple[float, float]]]:
    """The places of a curve's points in dots, grouped into unbroken lines."""
    run: list[tuple[float, float]] = []
    for number, (a, b) in enumerate(zip(x, curve.y, strict=True)):
        if run and (number - 1 in curve.jumps or not drawable(b)):
            yield run
            run = []
        if drawable(b):
            run.append((across.place(a, canvas.width), upright.place(b, canvas.height)))
    if run:
        yield run


def _near(y: float, height: int) -> int:
    return round(y) if -1 < y < height else -1


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


def _mark(
    canvas: Canvas, x: Sequence[float], curve: Line, across: Axis, upright: Axis,
    number: int, count: int,
) -> None:  # fmt: skip
    """Put the letter of a curve on it here and there, away from other curves' letters."""
    if not curve.pen.mark:
        return
    every = max(6 * count, canvas.columns // 3)
    columns = set(range(every * (2 * number + 1) // (2 * count), canvas.columns, every))
    for a, b in zip(x, curve.y, strict=True):
        if not (drawable(a) and drawable(b)):
            continue
        j = round(upright.place(b, canvas.height)) if upright.low <= b <= upright.high else -1
        column, row = canvas.cell_of(round(across.place(a, canvas.width)), j)
        if column in columns and 0 <= row < canvas.rows:
            canvas.put(column, row, Cell(curve.pen.mark, f"1;{curve.pen.colour}"))
            columns.discard(column)


def frame(
    canvas: Canvas, across: Axis, upright: Axis, left: int, window: Window
) -> list[list[Cell]]:
    """A canvas with its axes: numbers to the left, ticks below."""
    strokes = _ASCII if window.ascii_only else _LINES
    labels = {}
    for tick in upright.ticks:
        _, row = canvas.cell_of(0, round(upright.place(tick, canvas.height)))
        labels[canvas.rows - 1 - row] = upright.label(tick)
    lines = []
    for number, line in enumerate(canvas.lines()):
        label = labels.get(number, "")
        head = words(label.rjust(left - 1) + " ")
        lines.append([*head, Cell(strokes.tick_left if label else strokes.side, DIM), *line])
    bottom = words(" " * left + strokes.corner + strokes.below * canvas.columns, DIM)
    for tick in across.ticks:
        bottom[left + 1 + _column(across, tick, canvas.columns)] = Cell(strokes.tick_below, DIM)
    return [*lines, bottom]


def _column(across: Axis, number: float, columns: int) -> int:
    return min(columns - 1, int(round(across.place(number, 2 * columns)) // 2))


def below(across: Axis, left: int, columns: int) -> list[Cell]:
    """The numbers of the horizontal axis, centred below their ticks, without those that overlap."""
    row = [" "] * (left + 1 + columns)
    for tick in across.ticks:
        label = across.label(tick)
        minus = label[0] == "-"
        middle = left + 1 + _column(across, tick, columns)
        start = max(0, min(middle - minus - (len(label) - minus) // 2, len(row) - len(label)))
        if not "".join(row[max(0, start - 1) : start + len(label) + 1]).strip():
            row[start : start + len(label)] = label
    return words("".join(row))
