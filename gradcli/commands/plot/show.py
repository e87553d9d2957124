"""The picture of `plot`, curves or contours, with a caption of its numbers; the table of CSV."""

import textwrap
from dataclasses import replace

import torch
from torch import Tensor

from gradcli.commands.plot.result import PlotResult, SurfaceResult
from gradcli.show import numbers
from gradcli.show.pictures import contour
from gradcli.show.pictures.axes import ascending, drawable
from gradcli.show.pictures.panels import curves
from gradcli.show.pictures.plotter import Window
from gradcli.show.pieces import FilledColumn, matrix_table, one_number, single, table_of
from gradcli.show.table import Column, Table

ROWS = 25
"""Points in a table for another page, of many."""
SIDE = 9
"""Numbers of each of two ranges in such a table."""


def picture(result: PlotResult | SurfaceResult, window: Window, digits: int) -> str:
    """The picture, and the caption below it."""
    caption = textwrap.wrap(_caption(result, digits), window.width, break_on_hyphens=False)
    if len(caption) > max(1, window.height // 8):  # the picture comes first
        short = _caption(result, digits, short=True)
        caption = textwrap.wrap(short, window.width, break_on_hyphens=False)
    rest = replace(window, height=window.height - len(caption))
    dim, end = ("\x1b[2m", "\x1b[0m") if window.colour else ("", "")
    below = "".join(f"{dim}{line}{end}\n" for line in caption)
    if isinstance(result, SurfaceResult):
        return _surface(result, rest) + below
    return curves(result.x, result.curves, result.along, rest) + below


def _surface(result: SurfaceResult, window: Window) -> str:
    first, second = result.x
    (x, y), value, slopes = in_order(result)
    if min(len(x), len(y)) < 2:
        return "no two points of a range are finite\n"
    axes, values = (numbers.flat(x), numbers.flat(y)), value.tolist()
    arrows = (slopes[0].tolist(), slopes[1].tolist()) if slopes else None
    return contour.draw(axes, values, arrows, window, (first, second), result.expression)


def in_order(result: SurfaceResult) -> tuple[list[Tensor], Tensor, list[Tensor]]:
    """The ranges in ascending order, without the points that cannot be drawn; value and slopes there,
    [first, second] and float64; no slopes unless there are two.
    """
    orders = [ascending(axis.tolist()) for axis in result.x.values()]
    axes = [axis[order] for axis, order in zip(result.x.values(), orders, strict=True)]
    known = [slope for slope in result.gradients.values() if slope is not None]
    value, *slopes = (tensor.double()[orders[0]][:, orders[1]] for tensor in (result.value, *known))
    return axes, value, slopes if len(slopes) == 2 else []


def _caption(result: PlotResult | SurfaceResult, digits: int, *, short: bool = False) -> str:
    """The dtype and the inputs, and unless `short` the least and greatest value."""
    parts = [result.dtype]
    for name, tensor in single(result.inputs).items():
        scalar = f"{name}={one_number(tensor, digits)}" if tensor.ndim == 0 else ""
        parts.append(scalar or f"{name} {numbers.shape_text(tensor)}")
    parts += result.modules
    if short:
        return ", ".join(parts)
    if isinstance(result, SurfaceResult):
        values = {"value": result.value}
    else:
        values = {curve.name: curve.value for curve in result.curves}
    for name, value in values.items():
        shown = [number for number in map(float, numbers.flat(value)) if drawable(number)]
        if shown:
            low, high = (numbers.significant(end, digits) for end in (min(shown), max(shown)))
            parts.append(f"{name if len(values) > 1 else 'value'} from {low} to {high}")
    return ", ".join(parts)


def document(result: PlotResult | SurfaceResult, digits: int) -> list[Table]:
    """The points as a table, evenly chosen ones of many; of two ranges the values as a matrix, and
    with --full a row for each pair.
    """
    (every,) = tables(result, digits)
    caption = _caption(result, digits)
    if isinstance(result, PlotResult):
        return [replace(every, rows=ROWS, caption=caption)]
    return [_grid(result, digits, caption), replace(every, title="", more=True)]


def _grid(result: SurfaceResult, digits: int, caption: str) -> Table:
    """The values as a matrix, SIDE numbers of each range at most."""
    (first, x), (second, y) = result.x.items()
    across, down = (
        torch.linspace(0, len(axis) - 1, min(SIDE, len(axis))).long() for axis in (y, x)
    )
    headings = [f"{second} = {text}" for text in numbers.texts(y[across], digits)]
    rows = [f"{first} = {text}" for text in numbers.texts(x[down], digits)]
    matrix = result.value.reshape(len(x), len(y))[down][:, across]
    return matrix_table(first, rows, headings, matrix, result.expression, caption)


def tables(result: PlotResult | SurfaceResult, digits: int) -> list[Table]:
    """All points; the screen shows the picture instead."""
    return [_pairs(result) if isinstance(result, SurfaceResult) else _points(result)]


def _points(result: PlotResult) -> Table:
    """One row per point."""
    columns: list[FilledColumn] = [(result.along, result.x)]
    for curve in result.curves:
        slope = "" if curve.derivative is None else curve.derivative
        heading = Column(f"{curve.name}'", f"d_{curve.name}")
        columns += [(curve.name, curve.value), (heading, slope)]
    names = ", ".join(curve.name for curve in result.curves)
    return table_of(len(result.x), columns, f"{names} and derivative at {result.along}")


def _pairs(result: SurfaceResult) -> Table:
    """One row per pair of points."""
    grid = torch.meshgrid(*result.x.values(), indexing="ij")
    columns: list[FilledColumn] = [
        (name, axis.reshape(-1)) for name, axis in zip(result.x, grid, strict=True)
    ]
    columns.append(("value", result.value.reshape(-1)))
    for name, slope in result.gradients.items():
        cells = "" if slope is None else slope.reshape(-1)
        columns.append((Column(f"d/d{name}", f"d_{name}"), cells))
    return table_of(result.value.numel(), columns, result.expression, keys=2)
