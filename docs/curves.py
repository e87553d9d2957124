"""Draws docs/images/curves/*.svg: each function of the catalogue with its derivative, from what
`gradcli plot --json` prints.

Each picture brings its own background, so that it can be read on a light page and on a dark one,
and loads nothing.
"""

import json
import math
import shlex
from collections.abc import Callable, Iterator, Sequence
from html import escape
from itertools import pairwise
from pathlib import Path

from docs.pictures import IMAGES

Run = Callable[..., str]
"""Runs gradcli with these words, and gives what it prints."""

WIDTH, HEIGHT = 460, 240
LEFT, RIGHT, TOP, BOTTOM = 44, 446, 36, 212
"""The frame of the axes, in pixels."""
TICKS = 7
"""Marks on an axis, at most."""
FLOOR, STEEP = 0.05, 7.0
"""A line is broken at a step larger than FLOOR, and than STEEP times those two points away."""

STYLE = (
    "text{font:12px 'DejaVu Sans Mono',Menlo,Consolas,'Liberation Mono',monospace;fill:#d7dae0}"
    "text.dim{fill:#99a1ad}text.cyan,circle.cyan{fill:#5cc5d8}text.yellow,circle.yellow{fill:#e0b35c}"
    "line{stroke:#353b47}line.zero{stroke:#6a7280}"
    "path{fill:none;stroke-width:2;stroke-linejoin:round}path.cyan{stroke:#5cc5d8}"
    "path.yellow{stroke:#e0b35c;stroke-dasharray:6 3}"
)

ROWS = {
    "softmax": ("softmax(stack([x, 0*x]))[0]",),
    "log_softmax": ("log_softmax(stack([x, 0*x]))[0]",),
    "softmin": ("softmin(stack([x, 0*x]))[0]",),
    "bce": ("bce(x, y)", "x=0.01,0.99", "y=1"),
    "cross_entropy": ("cross_entropy(stack([x, 0*x]), y)", "x=-6,6", "y=0"),
    "nll": ("nll(stack([x, 0*x]), y)", "x=-6,6", "y=0"),
    "multilabel_margin": ("multilabel_margin(stack([x, 0*x]), tensor([0, -1]))",),
    "multilabel_soft_margin": ("multilabel_soft_margin(stack([x, 0*x]), tensor([1.0, 0.0]))",),
    "multi_margin": ("multi_margin(stack([x, 0*x]), y)", "x=-6,6", "y=0"),
}
"""What is drawn where a name alone does not give a curve over [-6, 6]: the first of two logits moves, and the
other one is 0."""


def path(name: str) -> Path:
    """Where the picture of a function lies."""
    return IMAGES / "curves" / f"{name}.svg"


def command(name: str) -> str:
    """The command that draws the curve of a function."""
    return shlex.join(("gradcli", "plot", *ROWS.get(name, (name,))))


def draw(name: str, run: Run) -> str:
    """The picture of a function, as the program computes it now."""
    found = json.loads(run(*shlex.split(command(name))[1:], "--json"))
    curve, x = found["curves"][0], [float(number) for number in found["x"]]
    value = [float(number) for number in curve["value"]]
    slope = [float(number) for number in curve["derivative"] or ()]
    low, high = _window(value, slope)
    across, up = _scale(min(x), max(x), LEFT, RIGHT), _scale(low, high, BOTTOM, TOP)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" role="img">',
        f"<title>{escape(command(name), quote=False)}</title>",
        f"<style>{STYLE}</style>",
        f'<clipPath id="frame"><rect x="{LEFT}" y="{TOP - 2}" width="{RIGHT - LEFT}" height="{BOTTOM - TOP + 4}"/></clipPath>',
        '<rect width="100%" height="100%" rx="8" fill="#1d2129"/>',
        f'<text class="cyan" x="{LEFT}" y="22">{escape(name, quote=False)}</text>',
    ]
    if slope:
        lines += [f'<text class="yellow" x="{RIGHT}" y="22" text-anchor="end">derivative</text>']
    lines += _axes(min(x), max(x), across, low, high, up)
    for numbers, colour in ((slope, "yellow"), (value, "cyan")):
        lines += _line(
            [(across(a), up(b)) for a, b in zip(x, numbers, strict=False)], _breaks(numbers), colour
        )
    return "\n".join([*lines, "</svg>\n"])


def _window(value: Sequence[float], slope: Sequence[float]) -> tuple[float, float]:
    """From where to where the axis goes up: all of the value, and of the derivative as much again
    on each side.
    """
    finite = [number for number in value if math.isfinite(number)]
    low, high = min(finite), max(finite)
    height = high - low
    steep = [
        min(max(number, low - height), high + height) for number in slope if math.isfinite(number)
    ]
    return min([low, *steep]), max([high, *steep])


def _scale(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    return lambda number: start + (end - start) * (number - low) / (high - low)


def _axes(
    left: float,
    right: float,
    across: Callable[[float], float],
    low: float,
    high: float,
    up: Callable[[float], float],
) -> Iterator[str]:
    """A grid with its numbers; the lines of 0 are brighter."""
    for number in _ticks(left, right):
        kind = ' class="zero"' if number == 0 else ""
        yield f'<line{kind} x1="{across(number):.1f}" y1="{TOP}" x2="{across(number):.1f}" y2="{BOTTOM}"/>'
        yield f'<text class="dim" x="{across(number):.1f}" y="{BOTTOM + 18}" text-anchor="middle">{number:g}</text>'
    for number in _ticks(low, high):
        kind = ' class="zero"' if number == 0 else ""
        yield f'<line{kind} x1="{LEFT}" y1="{up(number):.1f}" x2="{RIGHT}" y2="{up(number):.1f}"/>'
        yield f'<text class="dim" x="{LEFT - 6}" y="{up(number) + 4:.1f}" text-anchor="end">{number:g}</text>'


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers between two others, no more than TICKS of them."""
    power = 10.0 ** math.floor(math.log10((high - low) / TICKS))
    for step in (power, 2 * power, 5 * power, 10 * power):
        found = [
            round(step * k, 12) for k in range(math.ceil(low / step), math.floor(high / step) + 1)
        ]
        if len(found) <= TICKS:
            return found
    raise AssertionError("ten steps are never too many")


def _breaks(numbers: Sequence[float]) -> set[int]:
    """The points behind which a line is broken."""
    steps = [abs(b - a) for a, b in pairwise(numbers)]
    return {
        i
        for i, step in enumerate(steps)
        if step > FLOOR
        and step > STEEP * max([*steps[max(0, i - 2) : max(0, i - 1)], *steps[i + 2 : i + 3]])
    }


def _line(points: Sequence[tuple[float, float]], breaks: set[int], colour: str) -> Iterator[str]:
    """A line with gaps, and a dot for each point that stands alone, such as the slope that PyTorch
    picks at a kink.
    """
    ends = sorted({-1, *breaks, len(points) - 1})
    pieces = [points[a + 1 : b + 1] for a, b in pairwise(ends)]
    drawn = "".join(
        "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in piece)
        for piece in map(_corners, pieces)
        if len(piece) > 1
    )
    if drawn:
        yield f'<path class="{colour}" clip-path="url(#frame)" d="{drawn}"/>'
    for piece in pieces:
        if len(piece) == 1:
            yield f'<circle class="{colour}" cx="{piece[0][0]:.1f}" cy="{piece[0][1]:.1f}" r="3"/>'


def _corners(piece: Sequence[tuple[float, float]]) -> Sequence[tuple[float, float]]:
    """A piece without the points inside its level stretches."""
    return [
        point
        for i, point in enumerate(piece)
        if not (
            0 < i < len(piece) - 1
            and abs(piece[i - 1][1] - point[1]) + abs(piece[i + 1][1] - point[1]) < 1e-6
        )
    ]
