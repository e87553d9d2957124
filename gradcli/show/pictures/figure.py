"""Pictures by matplotlib: their look, their title and size, and the same bytes each time."""

import textwrap
import warnings
from collections.abc import Sequence
from contextlib import suppress
from math import isnan, log10, nan
from typing import Any, BinaryIO, TypeAlias

import gradcli.show.pictures.drawing  # noqa: F401 - loads matplotlib, and so comes first

# isort: split
import matplotlib
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import LogFormatter, MaxNLocator

from gradcli.errors import UsageError, printable
from gradcli.results import part
from gradcli.show.pictures.axes import drawable, wide
from gradcli.show.pictures.contour import levels

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
"""The palette of M. Okabe and K. Ito, Color Universal Design (2008), for colour-blind readers."""
LINES = ("solid", (0, (6, 2)), (0, (1.5, 1.5)), (0, (7, 2, 1.5, 2)))
"""Line styles, which differ without colour."""
MARKERS = ("o", "s", "^", "D", "v", "P")
FAMILY = "DejaVu Sans"
BESIDE = 5
"""Names in a legend, at most, that stand in the panel."""
DIGITS = 6
"""Significant digits of the numbers in a title."""
TITLE_LINES = 4
"""A longer title is cut."""
LEAST = -307.0
"""The least exponent at the end of a log scale: a float64 below it has fewer digits."""
SPARSE = 60
"""Points of a line, at most, that are marked."""
_SETTINGS = {
    "axes.axisbelow": True, "axes.grid": True, "axes.spines.right": False, "axes.spines.top": False,
    "axes.unicode_minus": False, "figure.titlesize": 11, "figure.constrained_layout.use": True,
    "figure.constrained_layout.h_pad": 0.08, "figure.constrained_layout.w_pad": 0.08,
    "font.family": FAMILY,
    "grid.color": "#e3e3e3", "legend.edgecolor": "none", "lines.linewidth": 2, "lines.markersize": 4,
    "savefig.dpi": 150, "svg.hashsalt": "gradcli",
    "text.parse_math": False,  # a formula is text, and `$` one of its characters
}  # fmt: skip
_LEFT_OUT = {
    "png": ("Software",),
    "svg": ("Date", "Creator"),
    "pdf": ("CreationDate", "Creator", "Producer"),
}
"""What matplotlib would write into each format that differs from day to day or release to release."""

Series: TypeAlias = Sequence[tuple[str, Sequence[float | None]]]
"""Names and their numbers at steps or layers; None is a gap."""


def write(
    result: Any, form: str, file: BinaryIO, title: str | None, size: tuple[float, float] | None
) -> None:
    """Draw a result as `png`, `svg` or `pdf`, in its command's own size if there is no `size`, in
    inches, and with the title of its table if there is no `title`.
    """
    with matplotlib.rc_context(), warnings.catch_warnings(action="ignore"):
        matplotlib.rcdefaults()  # undoes the settings of a program that has loaded matplotlib
        matplotlib.rcParams.update(_SETTINGS)
        figure = part(result, "picture").picture(result)
        if size:
            figure.set_size_inches(size)
        if title is None:
            title = part(result, "show").tables(result, DIGITS)[0].title
        for panel in figure.axes:
            _set_legend(figure, panel)
        lines = [*map(printable, title.splitlines())]
        _set_title(figure, "\n".join(lines))
        named = {"Title": " ".join(lines)} if lines else {}
        figure.savefig(file, format=form, metadata={**named, **dict.fromkeys(_LEFT_OUT[form])})


def _set_legend(figure: Figure, panel: Axes) -> None:
    """The names of the lines: where they cover the least, or many above the panel."""
    _, labels = panel.get_legend_handles_labels()
    if len(labels) > BESIDE:
        width = figure.bbox.width / (7.5 * max(map(len, labels)) + 50)
        panel.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=max(1, int(width)))
    elif labels:
        panel.legend(loc="best")


def _set_title(figure: Figure, title: str) -> None:
    """A title in as many lines as the width of the figure requires."""
    if not title.strip():
        return
    text = figure.suptitle(title)
    _set_fonts(figure)
    per_line = len(title) * 0.92 * figure.bbox.width / text.get_window_extent().width
    lines = [
        line
        for each in title.splitlines()
        for line in textwrap.wrap(each, max(8, int(per_line)), break_on_hyphens=False)
    ]
    if len(lines) > TITLE_LINES:
        lines[TITLE_LINES - 1 :] = [f"{lines[TITLE_LINES - 1][:-4]} ..."]
    text.set_text("\n".join(lines))


def _set_fonts(figure: Figure) -> None:
    """Let fonts of the system draw what matplotlib's own does not have, such as Chinese.

    Raises UsageError if no font has a character.
    """
    own = font_manager.get_font(font_manager.findfont(FAMILY))
    texts = figure.findobj(Text)
    lacking = {
        char for text in texts for char in text.get_text() if not own.get_char_index(ord(char))
    }
    lacking -= {"\n"}
    families = [FAMILY]
    paths = font_manager.findSystemFonts() if lacking else []
    for path in sorted(paths, key=lambda path: ("Regular" not in path, "Sans" not in path, path)):
        with suppress(RuntimeError):  # of a font that FreeType cannot scale
            font = font_manager.get_font(path)
            if found := {char for char in lacking if font.get_char_index(ord(char))}:
                font_manager.fontManager.addfont(path)
                families.append(font.family_name)
                lacking -= found
    if lacking:
        message = f"no font of this machine has {min(lacking)!r}, which the picture needs"
        raise UsageError(message, hint="install one, or give a --title without it")
    for text in texts if len(families) > 1 else ():
        text.set_fontfamily(families)


def panels(
    count: int, height: float, *, ratios: Sequence[float] | None = None, shared: bool = False
) -> tuple[Figure, list[Axes]]:
    """A figure of that height in inches, and its panels below each other."""
    figure = Figure(figsize=(7, height))
    axes = figure.subplots(count, 1, sharex=shared, squeeze=False, height_ratios=ratios)
    figure.align_ylabels()
    return figure, axes[:, 0].tolist()


def line(
    panel: Axes, x: Sequence[float], y: Sequence[float | None], label: str, number: int = 0, *,
    marked: bool = False,
) -> None:  # fmt: skip
    """The line of this number through points: a gap where a number has no place in the panel, and a
    dot for a point between two gaps, or a marker for each.
    """
    floor = 0.0 if panel.get_yscale() == "log" else float("-inf")
    ys = [b if b is not None and drawable(b) and b > floor else nan for b in y]
    colour = COLOURS[number % len(COLOURS)]
    name = f" {label}" if label.startswith("_") else label  # matplotlib leaves out `_a`
    marker = MARKERS[number % len(MARKERS)] if marked else ""
    style = LINES[number % len(LINES)]
    panel.plot(x, ys, label=name, color=colour, linestyle=style, marker=marker)
    open_ends = [nan, *ys, nan]
    alone = [i for i in range(len(ys)) if isnan(open_ends[i]) and isnan(open_ends[i + 2])]
    if alone and not marked:
        panel.plot([x[i] for i in alone], [ys[i] for i in alone], "o", color=colour)


def series(panel: Axes, x: Sequence[int], named: Series, *, log: bool = False) -> None:
    """A line for each name through numbers at steps or layers (None: a gap), on a log scale if that is
    wanted, or needed to see them. A number that has no place is marked at the edge of the panel.
    """
    numbers = [y for _, ys in named for y in ys if y is not None and drawable(y)]
    positive = [y for y in numbers if y > 0]
    if positive and (log or wide(numbers)):
        panel.set_yscale("log")
        panel.yaxis.set_major_formatter(_Powers())
        panel.yaxis.set_minor_formatter(_Powers(labelOnlyBase=False, minor_thresholds=(2, 0.5)))
        low, high = log10(min(positive)), log10(max(positive))
        margin = max(0.05 * (high - low), (1 - high + low) / 2, 0.1)  # at least one power of ten
        panel.set_ylim(10 ** max(low - margin, LEAST), 10 ** (high + margin))
    for number, (name, ys) in enumerate(named):
        line(panel, x, ys, name, number, marked=len(x) <= SPARSE)
        pairs = [(a, b) for a, b in zip(x, ys, strict=True) if b is not None]
        zeros = [a for a, b in pairs if b == 0 and panel.get_yscale() == "log"]
        lost = [a for a, b in pairs if not drawable(b)]
        for places, edge, marker, meaning in (
            (zeros, 0, 7, "exactly 0"),
            (lost, 1, 6, "not finite"),
        ):
            known = meaning in panel.get_legend_handles_labels()[1]
            if places:
                panel.plot(
                    places, [edge] * len(places), marker=marker, markersize=6, linestyle="none",
                    color=COLOURS[number % len(COLOURS)], transform=panel.get_xaxis_transform(),
                    label=None if known else meaning,
                )  # fmt: skip
    panel.xaxis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10]))
    if len(x) == 1:
        panel.set_xlim(x[0] - 0.5, x[0] + 0.5)
    if not numbers:
        panel.set_yticks([])


def contours(panel: Axes, x: Sequence[float], y: Sequence[float], value: Any) -> None:
    """Contour lines over filled contours of an array, [y, x], NaN where nothing is drawn."""
    numbers = [number for number in value.reshape(-1).tolist() if drawable(number)]
    if steps := levels(numbers):
        panel.contourf(x, y, value, [min(numbers), *steps, max(numbers)], cmap="Blues", alpha=0.5)
        lines = panel.contour(x, y, value, steps, colors="#33566f", linewidths=1.1)
        panel.clabel(lines, fontsize=8)


def path(panel: Axes, x: Sequence[float], y: Sequence[float], end: str) -> None:
    """A path from point to point, with its start and its end."""
    marker = "o" if len(x) <= 4 * SPARSE else ""
    colour = COLOURS[1]
    panel.plot(x, y, color=colour, linewidth=1.2, marker=marker, markersize=3)
    panel.plot(
        x[:1], y[:1], "o", color=colour, markerfacecolor="white", markersize=7, label="start"
    )
    panel.plot(x[-1:], y[-1:], "*", color=colour, markeredgecolor="black", markersize=12, label=end)


class _Powers(LogFormatter):
    """The numbers of a log scale with powers of ten as in print."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        if not super().__call__(x, pos):
            return ""
        mantissa, exponent = f"{x:.0e}".split("e")
        power = str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
        return f"10{power}" if mantissa == "1" else f"{mantissa}·10{power}"
