"""What `plot` prints: its result as curves or as a contour, with a line below that says of what numbers it is made."""

import textwrap
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from gradcli.results import Curve, PlotResult, SurfaceResult
from gradcli.show import numbers
from gradcli.show.pictures import contour, plotter
from gradcli.show.pictures.axes import drawable, span, together
from gradcli.show.pictures.plotter import DASHED, SLOPE, Panel, Window

COMPARABLE = 0.2
"""Curves share their axes where each fills so much of the height."""


def render(result: PlotResult | SurfaceResult, window: Window, digits: int) -> str:
    """The picture, and the line below it."""
    said = textwrap.wrap(_caption(result, digits), window.width, break_on_hyphens=False)
    if len(said) > max(1, window.height // 8):  # the picture comes first
        said = textwrap.wrap(_caption(result, digits, short=True), window.width, break_on_hyphens=False)
    room = replace(window, height=window.height - len(said))
    drawn = _surface(result, room) if isinstance(result, SurfaceResult) else _curves(result, room)
    dim = "".join(f"\x1b[2m{line}\x1b[0m\n" if window.colour else f"{line}\n" for line in said)
    return drawn + dim


def _curves(result: PlotResult, window: Window) -> str:
    return curves(result.x, result.curves, result.along, window)


def curves(x: Tensor, found: Sequence[Curve], along: str, window: Window) -> str:
    """One curve with its derivative; several of them above, and their derivatives below."""
    points, panels = arranged(x, found, along)
    return plotter.draw(points, panels, window, along=along) if points else "no point of the range is finite\n"


def arranged(x: Tensor, found: Sequence[Curve], along: str) -> tuple[list[float], list[Panel]]:
    """The points in ascending order, and the panels with the curves through them."""
    places = numbers.flat(x)
    order = sorted((i for i in range(len(places)) if drawable(places[i])), key=places.__getitem__)
    values, slopes = [], []
    for number, curve in enumerate(found):
        pen = plotter.pen(number) if len(found) > 1 else plotter.SOLID
        name = curve.label or curve.name
        values.append(plotter.Curve(name, _at(curve.value, order), curve.jumps, pen))
        if curve.derivative is not None:
            slope = f"d {curve.name}" if len(found) > 1 else f"d/d{along}"
            slopes.append(plotter.Curve(slope, _at(curve.derivative, order), curve.slope_jumps, pen))
    return [float(places[i]) for i in order], _panels(values, slopes)


def _panels(values: list[plotter.Curve], slopes: list[plotter.Curve]) -> list[Panel]:
    """A curve and its derivative in one panel, where both can be read there; else values above derivatives."""
    if not slopes:
        return [Panel(tuple(values))]
    if len(values) == 1 and _comparable([*values, *slopes]):
        return [Panel((values[0], replace(slopes[0], pen=DASHED)))]
    if len(values) == 1:
        return [Panel(tuple(values)), Panel((replace(slopes[0], pen=SLOPE),))]
    return [Panel(tuple(values), "value"), Panel(tuple(slopes), "derivative")]


def _comparable(found: list[plotter.Curve]) -> bool:
    spans = [span(curve.y, curve.jumps) for curve in found]
    whole = together(spans)
    if whole is None:
        return True
    heights = [high - low for low, high in filter(None, spans) if high > low]
    return all(height >= COMPARABLE * (whole[1] - whole[0]) for height in heights)


def _at(tensor: Tensor, order: Sequence[int]) -> list[float]:
    found: list[Any] = numbers.flat(tensor)
    return [float(found[i]) for i in order]


def _surface(result: SurfaceResult, window: Window) -> str:
    """The surface with the axes in ascending order."""
    first, second = result.x
    places = [numbers.flat(axis) for axis in result.x.values()]
    orders = [sorted((i for i in range(len(axis)) if drawable(axis[i])), key=axis.__getitem__) for axis in places]
    if min(map(len, orders)) < 2:
        return "no two points of a range are finite\n"
    axes = ([places[0][i] for i in orders[0]], [places[1][j] for j in orders[1]])

    def grid(tensor: Tensor) -> list[list[float]]:
        rows: list[list[float]] = tensor.double().tolist()
        return [[rows[i][j] for j in orders[1]] for i in orders[0]]

    slopes = [result.gradients[name] for name in (first, second)]
    known = [grid(slope) for slope in slopes if slope is not None]
    arrows = (known[0], known[1]) if len(known) == 2 else None
    return contour.draw(axes, grid(result.value), arrows, window, (first, second), result.expression)


def _caption(result: PlotResult | SurfaceResult, digits: int, *, short: bool = False) -> str:
    """The dtype and the inputs, and unless `short` the least and greatest value."""
    said = [result.dtype]
    for name, tensor in result.inputs.items():
        if tensor.ndim:
            said.append(f"{name} {numbers.shape_text(tensor)}")
        else:
            said.append(f"{name}={numbers.significant(numbers.flat(tensor)[0], digits)}")
    values = {"value": result.value} if isinstance(result, SurfaceResult) else {c.name: c.value for c in result.curves}
    for name, value in values.items() if not short else ():
        finite = [number for number in map(float, numbers.flat(value)) if drawable(number)]
        if finite:
            low, high = (numbers.significant(number, digits) for number in (min(finite), max(finite)))
            said.append(f"{name if len(values) > 1 else 'value'} from {low} to {high}")
    return ", ".join(said)
