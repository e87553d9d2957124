"""`--out curve.png` and `curve.svg`: the picture by matplotlib, the same bytes each time."""

from math import isnan, nan
from typing import Any, BinaryIO

import gradcli.show.pictures.drawing  # noqa: F401 - loads matplotlib, and so comes first

# isort: split
import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from gradcli.commands.plot.result import PlotResult, SurfaceResult
from gradcli.show.pictures import plotter
from gradcli.show.pictures.axes import drawable, span, together
from gradcli.show.pictures.contour import levels
from gradcli.show.pictures.panels import arranged

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
"""The palette of M. Okabe and K. Ito, Color Universal Design (2008), for colour-blind readers."""
LINES = ("solid", (0, (6, 2)), (0, (1.5, 1.5)), (0, (7, 2, 1.5, 2)))
"""Line styles, which differ without colour."""
DPI = 150
ARROWS = 16
"""Arrows along each range, at most."""


def write(result: PlotResult | SurfaceResult, form: str, file: BinaryIO) -> None:
    """Draw a result of `plot` as `png` or `svg`."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # undoes the settings of a program that has loaded matplotlib
        matplotlib.rcParams["svg.hashsalt"] = "gradcli"
        matplotlib.rcParams["axes.unicode_minus"] = False
        figure = _surface(result) if isinstance(result, SurfaceResult) else _curves(result)
        left_out = {"Date": None, "Creator": None} if form == "svg" else {"Software": None}
        figure.savefig(file, format=form, dpi=DPI, metadata=left_out)


def _figure(panels: int) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(7, 4.2 if panels == 1 else 6), layout="constrained")
    axes = figure.subplots(panels, 1, sharex=True, squeeze=False)[:, 0].tolist()
    for panel in axes:
        panel.grid(True, color="#e3e3e3", linewidth=0.8)
        panel.set_axisbelow(True)
        panel.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _curves(result: PlotResult) -> Figure:
    """The panels that the terminal would show."""
    x, panels = arranged(result.x, result.curves, result.along)
    figure, axes = _figure(len(panels))
    for contents, panel in zip(panels, axes, strict=True):
        for curve in contents.curves:
            _line(panel, x, curve)
        panel.axhline(0, color="#999999", linewidth=0.8, zorder=0.5)
        if bounds := together(span(curve.y, curve.jumps) for curve in contents.curves):
            margin = 0.05 * (bounds[1] - bounds[0]) or 1.0
            panel.set_ylim(bounds[0] - margin, bounds[1] + margin)
        panel.set_ylabel(contents.title)
        for text in panel.legend(frameon=False, loc="best").get_texts():
            text.set_parse_math(False)
    axes[-1].set_xlabel(result.along, parse_math=False)
    return figure


def _line(panel: Axes, x: list[float], curve: plotter.Line) -> None:
    """A line with a gap after each jump; points between two gaps are dots."""
    number = int(curve.pen.colour == plotter.SLOPE.colour)
    if curve.pen.mark:
        number = ord(curve.pen.mark) - ord("A")
    colour, style = COLOURS[number % len(COLOURS)], LINES[number % len(LINES)]
    points: list[tuple[float, float]] = []
    for i, (a, b) in enumerate(zip(x, curve.y, strict=True)):
        points.append((a, b if drawable(b) else nan))
        if i in curve.jumps:
            points.append((a, nan))
    xs, ys = zip(*points, strict=True)
    name = curve.name
    if name.startswith("_"):
        name = f" {name}"  # without the blank matplotlib leaves it out of the legend
    panel.plot(xs, ys, label=name, linewidth=2, color=colour, linestyle=style)
    open_ends = [nan, *ys, nan]
    alone = [i for i in range(len(ys)) if isnan(open_ends[i]) and isnan(open_ends[i + 2])]
    panel.plot([xs[i] for i in alone], [ys[i] for i in alone], "o", color=colour, markersize=4)


def _surface(result: SurfaceResult) -> Figure:
    """Contour lines over filled contours, and arrows uphill."""
    first, second = result.x
    axes = [axis.double() for axis in result.x.values()]
    orders = [axis.argsort(stable=True) for axis in axes]
    x, y = (axis[order].tolist() for axis, order in zip(axes, orders, strict=True))

    def grid(tensor: Tensor) -> Any:
        ordered = tensor.double()[orders[0]][:, orders[1]].T
        return ordered.where(ordered.isfinite(), nan).numpy()

    figure = Figure(figsize=(6.4, 5.4), layout="constrained")
    panel = figure.subplots()
    value = grid(result.value)
    numbers = [number for number in value.reshape(-1).tolist() if drawable(number)]
    if steps := levels(numbers):
        panel.contourf(x, y, value, [min(numbers), *steps, max(numbers)], cmap="Blues", alpha=0.5)
        lines = panel.contour(x, y, value, steps, colors="#33566f", linewidths=1.1)
        panel.clabel(lines, fontsize=8)
    slopes = [grid(slope) for slope in result.gradients.values() if slope is not None]
    if len(slopes) == 2:
        _arrows(panel, x, y, slopes)
    panel.set_xlabel(first, parse_math=False)
    panel.set_ylabel(second, parse_math=False)
    panel.set_title(f"{result.expression}, arrows uphill", fontsize=11, parse_math=False)
    return figure


def _arrows(panel: Axes, x: list[float], y: list[float], slopes: list[Any]) -> None:
    """Arrows of one length along the gradient, in the scales of the axes."""
    across, up = slice(None, None, -(-len(x) // ARROWS)), slice(None, None, -(-len(y) // ARROWS))
    u, v = (slope[up, across] for slope in slopes)
    wide, high = (x[-1] - x[0]) or 1.0, (y[-1] - y[0]) or 1.0
    u, v = u * wide, v * high  # the direction that is uphill in the picture
    length = (u**2 + v**2) ** 0.5
    length[length == 0] = nan
    u, v = u / length, v / length
    panel.quiver(x[across], y[up], u, v, color="#d55e00", width=0.0035, scale=30, pivot="mid")
