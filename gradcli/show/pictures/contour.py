"""A surface drawn with characters, from lists of numbers: contour lines, and arrows uphill."""

import math
from bisect import bisect_right
from collections.abc import Sequence

from gradcli.show.pictures.axes import Axis, axis, drawable
from gradcli.show.pictures.canvas import Canvas, Cell, Pen
from gradcli.show.pictures.plotter import Layout, Plot, Window, flowed, words

LEVELS = 12
"""The largest number of contour lines."""
SKEW = 12.0
"""From this ratio of high to middle numbers, levels have equal ratios: with equal steps all lines
would crowd into a corner."""
EVERY = (8, 4)
"""Columns and rows from one arrow to the next."""
NAMES = "123456789abcdefghijklmnopqrstuvwxyz"
ARROWS = "→↗↑↖←↙↓↘"
ASCII_ARROWS = ">>^<<<v>"
ARROW_COLOUR, LOWEST_COLOUR = "33", "1;31"
BANDS = ("34", "36", "32", "35")
"""The colours of contour lines, in turn from the lowest."""

Axes = tuple[Sequence[float], Sequence[float]]
"""The points of the horizontal and the vertical axis, in ascending order."""
Grid = Sequence[Sequence[float]]
"""A row for each point of the horizontal axis, with a number for each of the vertical axis."""


def draw(
    axes: Axes, value: Grid, slopes: tuple[Grid, Grid] | None, window: Window,
    names: tuple[str, str], title: str,
) -> str:  # fmt: skip
    """The surface over two ascending ranges, the first to the right; `slopes` are its gradient."""
    steps = levels([number for row in value for number in row if drawable(number)])
    head = _legend(title, steps, names, window, arrows=slopes is not None)
    rows = max(3, window.height - len(head) - 2)
    upright = axis(axes[1][0], axes[1][-1], max(2, rows // 3))
    plot = Plot(Layout(window, axes[0][0], axes[0][-1], [upright], names[0]), rows, upright)
    _lines(plot, _Surface(axes, value, plot), steps)
    if slopes is not None:
        _arrows(plot, [_Surface(axes, slope, plot) for slope in slopes])
    _lowest(plot, axes, value)
    return plot.layout.text([*head, *plot.framed()])


def levels(found: Sequence[float]) -> list[float]:
    """Round numbers between the smallest and the largest, in equal steps, or 1, 3, 10 ... if most
    numbers are small.
    """
    ordered = sorted(found)
    if not ordered or ordered[0] == ordered[-1]:
        return []
    low, middle, high = ordered[0], ordered[len(ordered) // 2], ordered[-1]
    if low > -1e-6 * high and middle > 0 and high - low > SKEW * (middle - low):
        first = math.floor(math.log10(max(ordered[len(ordered) // 10], high * 1e-4)))
        powers = range(first, math.ceil(math.log10(high)) + 1)
        ladder = [factor * 10.0**power for power in powers for factor in (1, 3)]
        return [level for level in ladder if low < level < high][-LEVELS:]
    return [tick for tick in axis(low, high, LEVELS).ticks if low < tick < high]


class _Surface:
    """Numbers over the axes, interpolated at the dots of a plot."""

    def __init__(self, axes: Axes, value: Grid, plot: Plot) -> None:
        self._value = value
        self._across = _weights(axes[0], plot.layout.across, plot.width)
        self._upright = _weights(axes[1], plot.upright, plot.height)

    def at(self, i: int, j: int) -> float:
        """The number at a dot."""
        (a, s), (b, t) = self._across[i], self._upright[j]
        low, high = self._value[a], self._value[a + 1]
        left, right = low[b] * (1 - t) + low[b + 1] * t, high[b] * (1 - t) + high[b + 1] * t
        return left * (1 - s) + right * s


def _weights(points: Sequence[float], along: Axis, dots: int) -> list[tuple[int, float]]:
    """For each dot of an axis, the index of the point at or below it, and the part of the step from
    that point to the dot.
    """
    found = []
    for dot in range(dots):
        number = along.low + (along.high - along.low) * dot / max(1, dots - 1)
        i = min(max(bisect_right(points, number) - 1, 0), len(points) - 2)
        gap = points[i + 1] - points[i]
        found.append((i, min(max((number - points[i]) / gap, 0.0), 1.0) if gap > 0 else 0.0))
    return found


def _lines(plot: Plot, surface: _Surface, steps: Sequence[float]) -> None:
    """Draw a dot if a level lies between it and its neighbour to the right or above, and the name
    of the level here and there.
    """
    bands = {
        (i, j): bisect_right(steps, number)
        for i in range(plot.width)
        for j in range(plot.height)
        if drawable(number := surface.at(i, j))
    }
    places: dict[int, list[tuple[int, int]]] = {}
    for (i, j), band in bands.items():
        for other in (bands.get((i + 1, j), band), bands.get((i, j + 1), band)):
            if other != band:
                level = min(band, other)
                plot.dot(i, j, Pen(colour=_colour(level), ascii=_name(level)))
                places.setdefault(level, []).append(plot.cell_of(i, j))
                break
    for level, cells in places.items():
        for column, row in _spread(cells, plot):
            plot.put(column, row, Cell(_name(level), f"1;{_colour(level)}"))


def _name(level: int) -> str:
    return NAMES[level % len(NAMES)]


def _colour(level: int) -> str:
    return BANDS[level % len(BANDS)]


def _spread(cells: Sequence[tuple[int, int]], canvas: Canvas) -> list[tuple[int, int]]:
    """Some of the cells of a contour line, far from each other."""
    chosen: list[tuple[int, int]] = []
    for column, row in sorted(set(cells), key=lambda cell: (cell[0] * 7 + cell[1] * 3) % 11):
        distances = [(abs(column - c), abs(row - r)) for c, r in chosen]
        if all(i > canvas.columns // 3 or j > canvas.rows // 2 for i, j in distances):
            chosen.append((column, row))
    return chosen


def _arrows(plot: Plot, slopes: Sequence[_Surface]) -> None:
    """Draw the direction of steepest ascent, as it looks in the picture, on a grid of cells."""
    arrows = ASCII_ARROWS if plot.ascii_only else ARROWS
    across, upright = plot.layout.across, plot.upright
    wide, high = plot.width // plot.columns, plot.height // plot.rows
    scale_x = plot.columns / (across.high - across.low)
    scale_y = 2 * plot.rows / (upright.high - upright.low)
    for column in range(EVERY[0] // 2, plot.columns, EVERY[0]):
        for row in range(EVERY[1] // 2, plot.rows, EVERY[1]):
            dot = column * wide + wide // 2, row * high + high // 2
            right, up = slopes[0].at(*dot) / scale_x, slopes[1].at(*dot) / scale_y
            if drawable(right) and drawable(up) and (right or up):
                eighth = round(math.atan2(up, right) / (math.pi / 4)) % 8
                plot.put(column, row, Cell(arrows[eighth], ARROW_COLOUR))


def _lowest(plot: Plot, axes: Axes, value: Grid) -> None:
    """Mark the lowest point."""
    points = [(z, i, j) for i, row in enumerate(value) for j, z in enumerate(row) if drawable(z)]
    if points:
        _, i, j = min(points)
        plot.put(*plot.cell_at(axes[0][i], axes[1][j]), Cell("o", LOWEST_COLOUR))


def _legend(
    title: str, steps: Sequence[float], names: tuple[str, str], window: Window, *, arrows: bool
) -> list[list[Cell]]:
    entries = [words(title, "1")]
    for level, number in enumerate(steps):
        entries.append(words(f"{_name(level)}: {number:g}", _colour(level)))
    entries.append(words("o: smallest", LOWEST_COLOUR))
    if arrows:
        entries.append(words("arrows: uphill", ARROW_COLOUR))
    entries.append(words(f"up: {names[1]}", "2"))
    return flowed(entries, window.width)
