"""A small curve below a table: numbers at 0, 1, 2, ..., on a log scale if their range is wide."""

import math

from gradcli.show import numbers
from gradcli.show.pictures import plotter
from gradcli.show.pictures.axes import wide
from gradcli.show.pictures.plotter import Panel, Window
from gradcli.show.table import LineChart

ROWS, COLUMNS = 11, 72
"""The largest size of the curve in characters."""


def draw(curve: LineChart, window: Window) -> str:
    """The lines of a curve, no wider than the window."""
    ys = [float(number) for number in numbers.flat(curve.values)]
    finite = [y for y in ys if math.isfinite(y)]
    name = curve.name
    if wide(finite) and min(finite) > 0:
        name = f"log10 of {name}"
        ys = [math.log10(y) if math.isfinite(y) else y for y in ys]
    panel = Panel((plotter.Line(name, ys),))
    return plotter.draw(range(len(ys)), [panel], window, along=curve.along).rstrip("\n")
