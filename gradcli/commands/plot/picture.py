"""The picture of `plot` in a file: curves in panels, or contours with arrows uphill."""

from math import nan
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from gradcli.commands.plot.result import PlotResult, SurfaceResult
from gradcli.commands.plot.show import in_order
from gradcli.show.pictures import figure, plotter
from gradcli.show.pictures.axes import span, together
from gradcli.show.pictures.panels import arranged

ARROWS = 16
"""Arrows along each range, at most."""


def picture(result: PlotResult | SurfaceResult) -> Figure:
    """The panels that the terminal would show."""
    return _surface(result) if isinstance(result, SurfaceResult) else _curves(result)


def _curves(result: PlotResult) -> Figure:
    x, panels = arranged(result.x, result.curves, result.along)
    drawn, axes = figure.panels(len(panels), 4.2 if len(panels) == 1 else 6, shared=True)
    for contents, panel in zip(panels, axes, strict=True):
        for curve in contents.curves:
            _line(panel, x, curve)
        panel.axhline(0, color="#999999", linewidth=0.8, zorder=0.5)
        if bounds := together(span(curve.y, curve.jumps) for curve in contents.curves):
            margin = 0.05 * (bounds[1] - bounds[0]) or 1.0
            panel.set_ylim(bounds[0] - margin, bounds[1] + margin)
        panel.set_ylabel(contents.title)
    axes[-1].set_xlabel(result.along)
    return drawn


def _line(panel: Axes, x: list[float], curve: plotter.Line) -> None:
    """A line with a gap after each jump."""
    number = int(curve.pen.colour == plotter.SLOPE.colour)
    if curve.pen.mark:
        number = ord(curve.pen.mark) - ord("A")
    points: list[tuple[float, float]] = []
    for i, (a, b) in enumerate(zip(x, curve.y, strict=True)):
        points.append((a, b))
        if i in curve.jumps:
            points.append((a, nan))
    figure.line(panel, [a for a, _ in points], [b for _, b in points], curve.name, number)


def _surface(result: SurfaceResult) -> Figure:
    """Contour lines over filled contours, and arrows uphill."""
    first, second = result.x
    axes, value, slopes = in_order(result)
    x, y = (axis.tolist() for axis in axes)

    def grid(tensor: Tensor) -> Any:
        return tensor.where(tensor.isfinite(), nan).T.numpy()

    drawn, (panel,) = figure.panels(1, 5.6)
    panel.set_xlabel(first)
    panel.set_ylabel(second)
    if min(len(x), len(y)) > 1:
        figure.contours(panel, x, y, grid(value))
        if slopes:
            _arrows(panel, x, y, [*map(grid, slopes)])
    return drawn


def _arrows(panel: Axes, x: list[float], y: list[float], slopes: list[Any]) -> None:
    """Arrows of one length along the gradient, in the scales of the axes."""
    across, up = slice(None, None, -(-len(x) // ARROWS)), slice(None, None, -(-len(y) // ARROWS))
    u, v = (slope[up, across] for slope in slopes)
    u, v = u * (x[-1] - x[0]), v * (y[-1] - y[0])  # the direction that is uphill in the picture
    length = (u**2 + v**2) ** 0.5
    length[length == 0] = nan
    if not (length > 0).any():
        return
    u, v = u / length, v / length
    panel.quiver(x[across], y[up], u, v, color="#d55e00", width=0.0035, scale=30, pivot="mid")
    panel.set_title("arrows: uphill", loc="right", fontsize=9, color="#d55e00")
