"""What `plot` prints: its result as curves or as a contour, with a line below that says of what
numbers it is made.
"""

import textwrap
from dataclasses import replace

import torch
from torch import Tensor

from gradcli.commands.plot.result import PlotResult, SurfaceResult
from gradcli.show import numbers
from gradcli.show.pictures import contour
from gradcli.show.pictures.axes import drawable
from gradcli.show.pictures.panels import curves
from gradcli.show.pictures.plotter import Window
from gradcli.show.table import Block, Cells, Column, Table


def picture(result: PlotResult | SurfaceResult, window: Window, digits: int) -> str:
    """The picture, and the line below it."""
    said = textwrap.wrap(_caption(result, digits), window.width, break_on_hyphens=False)
    if len(said) > max(1, window.height // 8):  # the picture comes first
        said = textwrap.wrap(
            _caption(result, digits, short=True), window.width, break_on_hyphens=False
        )
    room = replace(window, height=window.height - len(said))
    drawn = (
        _surface(result, room)
        if isinstance(result, SurfaceResult)
        else curves(result.x, result.curves, result.along, room)
    )
    dim = "".join(f"\x1b[2m{line}\x1b[0m\n" if window.colour else f"{line}\n" for line in said)
    return drawn + dim


def _surface(result: SurfaceResult, window: Window) -> str:
    """The surface with the axes in ascending order."""
    first, second = result.x
    places = [numbers.flat(axis) for axis in result.x.values()]
    orders = [
        sorted((i for i in range(len(axis)) if drawable(axis[i])), key=axis.__getitem__)
        for axis in places
    ]
    if min(map(len, orders)) < 2:
        return "no two points of a range are finite\n"
    axes = ([places[0][i] for i in orders[0]], [places[1][j] for j in orders[1]])

    def grid(tensor: Tensor) -> list[list[float]]:
        rows: list[list[float]] = tensor.double().tolist()
        return [[rows[i][j] for j in orders[1]] for i in orders[0]]

    slopes = [result.gradients[name] for name in (first, second)]
    known = [grid(slope) for slope in slopes if slope is not None]
    arrows = (known[0], known[1]) if len(known) == 2 else None
    return contour.draw(
        axes, grid(result.value), arrows, window, (first, second), result.expression
    )


def _caption(result: PlotResult | SurfaceResult, digits: int, *, short: bool = False) -> str:
    """The dtype and the inputs, and unless `short` the least and greatest value."""
    said = [result.dtype]
    for name, tensor in result.inputs.items():
        if tensor.ndim:
            said.append(f"{name} {numbers.shape_text(tensor)}")
        else:
            said.append(f"{name}={numbers.significant(numbers.flat(tensor)[0], digits)}")
    values = (
        {"value": result.value}
        if isinstance(result, SurfaceResult)
        else {c.name: c.value for c in result.curves}
    )
    for name, value in values.items() if not short else ():
        finite = [number for number in map(float, numbers.flat(value)) if drawable(number)]
        if finite:
            low, high = (
                numbers.significant(number, digits) for number in (min(finite), max(finite))
            )
            said.append(f"{name if len(values) > 1 else 'value'} from {low} to {high}")
    return ", ".join(said)


def tables(result: PlotResult | SurfaceResult, digits: int) -> list[Table]:
    """The table of CSV; on the screen the picture takes its place."""
    return [_pairs(result) if isinstance(result, SurfaceResult) else _points(result)]


def _points(result: PlotResult) -> Table:
    """One row per point."""
    columns: list[Column] = [Column(result.along)]
    cells: list[Cells] = [result.x]
    for curve in result.curves:
        columns += [Column(curve.name), Column(f"d_{curve.name}")]
        cells += [curve.value, "" if curve.derivative is None else curve.derivative]
    return Table(tuple(columns), (Block(len(result.x), tuple(cells)),))


def _pairs(result: SurfaceResult) -> Table:
    """One row per pair of points."""
    grid = torch.meshgrid(*result.x.values(), indexing="ij")
    columns = [
        *map(Column, result.x),
        Column("value"),
        *(Column(f"d_{name}") for name in result.gradients),
    ]
    slopes = ("" if slope is None else slope.reshape(-1) for slope in result.gradients.values())
    cells = (*(axis.reshape(-1) for axis in grid), result.value.reshape(-1), *slopes)
    return Table(tuple(columns), (Block(result.value.numel(), cells),))
