"""Curves arranged for a picture: which of them share their axes, values above derivatives."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from gradcli.evaluate.curves import Curve
from gradcli.show import numbers
from gradcli.show.pictures import plotter
from gradcli.show.pictures.axes import drawable, span, together
from gradcli.show.pictures.plotter import DASHED, SLOPE, Panel, Window

COMPARABLE = 0.2
"""Curves share their axes where each fills so much of the height."""


def curves(x: Tensor, found: Sequence[Curve], along: str, window: Window) -> str:
    """One curve over x, [points], with its derivative; several of them above, and their derivatives
    below.
    """
    points, panels = arranged(x, found, along)
    return (
        plotter.draw(points, panels, window, along=along)
        if points
        else "no point of the range is finite\n"
    )


def arranged(x: Tensor, found: Sequence[Curve], along: str) -> tuple[list[float], list[Panel]]:
    """The points of x, [points], in ascending order, and the panels with the curves through
    them.
    """
    places = numbers.flat(x)
    order = sorted((i for i in range(len(places)) if drawable(places[i])), key=places.__getitem__)
    values, slopes = [], []
    for number, curve in enumerate(found):
        pen = plotter.pen(number) if len(found) > 1 else plotter.SOLID
        name = curve.label or curve.name
        values.append(plotter.Line(name, _at(curve.value, order), curve.jumps, pen))
        if curve.derivative is not None:
            slope = f"d {curve.name}" if len(found) > 1 else f"d/d{along}"
            slopes.append(plotter.Line(slope, _at(curve.derivative, order), curve.slope_jumps, pen))
    return [float(places[i]) for i in order], _panels(values, slopes)


def _panels(values: list[plotter.Line], slopes: list[plotter.Line]) -> list[Panel]:
    """A curve and its derivative in one panel, where both can be read there; else values above
    derivatives.
    """
    if not slopes:
        return [Panel(tuple(values))]
    if len(values) == 1 and _comparable([*values, *slopes]):
        return [Panel((values[0], replace(slopes[0], pen=DASHED)))]
    if len(values) == 1:
        return [Panel(tuple(values)), Panel((replace(slopes[0], pen=SLOPE),))]
    return [Panel(tuple(values), "value"), Panel(tuple(slopes), "derivative")]


def _comparable(found: list[plotter.Line]) -> bool:
    spans = [span(curve.y, curve.jumps) for curve in found]
    whole = together(spans)
    if whole is None:
        return True
    heights = [high - low for low, high in filter(None, spans) if high > low]
    return all(height >= COMPARABLE * (whole[1] - whole[0]) for height in heights)


def _at(tensor: Tensor, order: Sequence[int]) -> list[float]:
    found: list[Any] = numbers.flat(tensor)
    return [float(found[i]) for i in order]
