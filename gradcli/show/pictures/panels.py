"""Curves arranged in panels: which curves share their axes, with values above derivatives. Also the
small curve below a table.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from torch import Tensor

from gradcli.show import numbers
from gradcli.show.pictures import plotter
from gradcli.show.pictures.axes import ascending, span, together, wide
from gradcli.show.pictures.plotter import DASHED, SLOPE, Panel, Window
from gradcli.show.table import LineChart

if TYPE_CHECKING:  # a table does without the machine
    from gradcli.evaluate.curves import Curve

COMPARABLE = 0.2
"""Curves share their axes if each fills at least this part of the height."""
ROWS, COLUMNS = 11, 72
"""The largest size of a small curve in characters."""


def small(chart: LineChart, window: Window) -> str:
    """Numbers at 0, 1, 2, ..., no wider than the window, on a log scale if their range is wide."""
    name, ys = chart.name, [float(number) for number in numbers.flat(chart.values)]
    finite = [y for y in ys if math.isfinite(y)]
    if wide(finite) and min(finite) > 0:
        name = f"log10 of {name}"
        ys = [math.log10(y) if math.isfinite(y) else y for y in ys]
    window = replace(window, width=min(window.width, COLUMNS), height=ROWS)
    return plotter.draw(
        range(len(ys)), [Panel((plotter.Line(name, ys),))], window, along=chart.along
    )


def curves(x: Tensor, drawn: "Sequence[Curve]", along: str, window: Window) -> str:
    """Curves over x [points] as text: one with its derivative, several above their derivatives."""
    points, panels = arranged(x, drawn, along)
    if not points:
        return "no point of the range is finite\n"
    return plotter.draw(points, panels, window, along=along)


def arranged(x: Tensor, curves: "Sequence[Curve]", along: str) -> tuple[list[float], list[Panel]]:
    """The finite points of x [points] in ascending order, and the panels of the curves there."""
    places = numbers.flat(x)
    order = ascending(places)
    values, slopes = [], []
    for number, curve in enumerate(curves):
        pen = plotter.pen(number) if len(curves) > 1 else plotter.SOLID
        name = curve.label or curve.name
        values.append(plotter.Line(name, _at(curve.value, order), curve.jumps, pen))
        if curve.derivative is not None:
            slope = f"d {curve.name}" if len(curves) > 1 else f"d/d{along}"
            slopes.append(plotter.Line(slope, _at(curve.derivative, order), curve.slope_jumps, pen))
    return [float(places[i]) for i in order], _panels(values, slopes)


def _panels(values: list[plotter.Line], slopes: list[plotter.Line]) -> list[Panel]:
    """One curve and its derivative share a panel if both can be read; else values come first."""
    if not slopes:
        return [Panel(tuple(values))]
    if len(values) == 1 and _comparable([*values, *slopes]):
        return [Panel((values[0], replace(slopes[0], pen=DASHED)))]
    if len(values) == 1:
        return [Panel(tuple(values)), Panel((replace(slopes[0], pen=SLOPE),))]
    return [Panel(tuple(values), "value"), Panel(tuple(slopes), "derivative")]


def _comparable(lines: list[plotter.Line]) -> bool:
    spans = [span(line.y, line.jumps) for line in lines]
    whole = together(spans)
    if whole is None:
        return True
    heights = [high - low for low, high in filter(None, spans) if high > low]
    return all(height >= COMPARABLE * (whole[1] - whole[0]) for height in heights)


def _at(tensor: Tensor, order: Sequence[int]) -> list[float]:
    """The numbers of a tensor [points] in this order."""
    values = numbers.flat(tensor)
    return [float(values[i]) for i in order]
