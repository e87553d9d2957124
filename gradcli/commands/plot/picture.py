"""`--out curve.png` and `curve.svg`: the same picture by matplotlib, byte for byte the same each
time.
"""

from math import isnan
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
"""Okabe and Ito's, which colour-blind people tell apart."""
LINES = ("solid", (0, (6, 2)), (0, (1.5, 1.5)), (0, (7, 2, 1.5, 2)))
"""Lines that are told apart without colour."""
DPI = 150
ARROWS = 16
"""Arrows along each range, at most."""


def write(result: PlotResult | SurfaceResult, form: str, file: BinaryIO) -> None:
    """Draw a result of `plot` as `png` or `svg`."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # whatever was set where matplotlib was loaded already
        matplotlib.rcParams["svg.hashsalt"] = "gradcli"
        matplotlib.rcParams["axes.unicode_minus"] = False
        figure = _surface(result) if isinstance(result, SurfaceResult) else _curves(result)
        unsaid = {"Date": None, "Creator": None} if form == "svg" else {"Software": None}
        figure.savefig(file, format=form, dpi=DPI, metadata=unsaid)


def _figure(panels: int) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(7, 4.2 if panels == 1 else 6), layout="constrained")
    axes = figure.subplots(panels, 1, sharex=True, squeeze=False)[:, 0].tolist()
    for each in axes:
        each.grid(True, color="#e3e3e3", linewidth=0.8)
        each.set_axisbelow(True)
        for side in ("top", "right"):
            each.spines[side].set_visible(False)
    return figure, axes


def _curves(result: PlotResult) -> Figure:
    """The panels that the terminal would show."""
    x, panels = arranged(result.x, result.curves, result.along)
    figure, axes = _figure(len(panels))
    for panel, each in zip(panels, axes, strict=True):
        for curve in panel.curves:
            _line(each, x, curve)
        each.axhline(0, color="#999999", linewidth=0.8, zorder=0.5)
        if bounds := together(span(curve.y, curve.jumps) for curve in panel.curves):
            margin = 0.05 * (bounds[1] - bounds[0]) or 1.0
            each.set_ylim(bounds[0] - margin, bounds[1] + margin)
        each.set_ylabel(panel.title)
        for text in each.legend(frameon=False, loc="best").get_texts():
            text.set_parse_math(False)
    axes[-1].set_xlabel(result.along, parse_math=False)
    return figure


def _line(panel: Axes, x: list[float], curve: plotter.Line) -> None:
    """A line with a gap behind each jump; points between two gaps are dots."""
    number = (
        ord(curve.pen.mark) - ord("A")
        if curve.pen.mark
        else int(curve.pen.colour == plotter.SLOPE.colour)
    )
    colour = COLOURS[number % len(COLOURS)]
    xs: list[float] = []
    ys: list[float] = []
    for i, (a, b) in enumerate(zip(x, curve.y, strict=True)):
        xs.append(a)
        ys.append(b if drawable(b) else float("nan"))
        if i in curve.jumps:
            xs.append(a)
            ys.append(float("nan"))
    name = (
        f" {curve.name}" if curve.name.startswith("_") else curve.name
    )  # matplotlib hides what begins with _
    panel.plot(xs, ys, label=name, linewidth=2, color=colour, linestyle=LINES[number % len(LINES)])
    open_ends = [float("nan"), *ys, float("nan")]
    alone = [i for i in range(len(ys)) if isnan(open_ends[i]) and isnan(open_ends[i + 2])]
    panel.plot([xs[i] for i in alone], [ys[i] for i in alone], "o", color=colour, markersize=4)


def _surface(result: SurfaceResult) -> Figure:
    """Contour lines over a wash of colour, and arrows uphill."""
    first, second = result.x
    axes = [result.x[name].double() for name in (first, second)]
    orders = [axis_.argsort(stable=True) for axis_ in axes]
    x, y = (axis_[order].tolist() for axis_, order in zip(axes, orders, strict=True))

    def grid(tensor: Tensor) -> Any:
        found = tensor.double()[orders[0]][:, orders[1]].T
        return found.where(found.isfinite(), float("nan")).numpy()

    figure = Figure(figsize=(6.4, 5.4), layout="constrained")
    panel = figure.subplots()
    value = grid(result.value)
    found = [number for number in value.reshape(-1).tolist() if drawable(number)]
    if steps := levels(found):
        panel.contourf(x, y, value, [min(found), *steps, max(found)], cmap="Blues", alpha=0.5)
        lines = panel.contour(x, y, value, steps, colors="#33566f", linewidths=1.1)
        panel.clabel(lines, fontsize=8)
    known = [
        grid(slope)
        for slope in (result.gradients[first], result.gradients[second])
        if slope is not None
    ]
    if len(known) == 2:
        _arrows(panel, x, y, known)
    panel.set_xlabel(first, parse_math=False)
    panel.set_ylabel(second, parse_math=False)
    panel.set_title(f"{result.expression}, arrows uphill", fontsize=11, parse_math=False)
    return figure


def _arrows(panel: Axes, x: list[float], y: list[float], slopes: list[Any]) -> None:
    """Arrows of one length along the gradient as it looks in the picture."""
    across, up = slice(None, None, -(-len(x) // ARROWS)), slice(None, None, -(-len(y) // ARROWS))
    u, v = (slope[up, across] for slope in slopes)
    wide, high = (x[-1] - x[0]) or 1.0, (y[-1] - y[0]) or 1.0
    u, v = u * wide, v * high  # uphill in data is uphill on paper only after the axes' own scales
    length = (u**2 + v**2) ** 0.5
    length[length == 0] = float("nan")
    panel.quiver(
        x[across],
        y[up],
        u / length,
        v / length,
        color="#d55e00",
        width=0.0035,
        scale=30,
        pivot="mid",
    )
