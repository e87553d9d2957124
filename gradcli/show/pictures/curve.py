"""A small curve under a table: numbers over their count, on a log scale where they span much."""

import math

from gradcli.show import numbers
from gradcli.show.pictures import plotter
from gradcli.show.pictures.plotter import Panel, Window
from gradcli.show.table import LineChart

ROWS, COLUMNS = 11, 72
"""Characters that the curve takes at most."""
SPAN = 1000.0
"""From here the largest number stands so far above the smallest that only a logarithm shows
both."""


def draw(curve: LineChart, window: Window) -> str:
    """The lines of a curve, no wider than the window."""
    ys = [float(number) for number in numbers.flat(curve.values)]
    finite = [y for y in ys if math.isfinite(y)]
    name = curve.name
    if finite and min(finite) > 0 and max(finite) / min(finite) >= SPAN:
        name = f"log10 of {name}"
        ys = [math.log10(y) if math.isfinite(y) else y for y in ys]
    panel = Panel((plotter.Line(name, ys),))
    return plotter.draw(range(len(ys)), [panel], window, along=curve.along).rstrip("\n")
