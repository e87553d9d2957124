"""Axes: the range of numbers that a picture shows, and the round numbers beside it (P. Heckbert,
"Nice numbers for graph labels", Graphics Gems, 1990).
"""

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

LARGEST = 1e300
"""A larger number is drawn as a gap: differences of such numbers may not be finite."""


SPAN = 1000.0
"""The ratio of largest to smallest number from which a scale is logarithmic."""


def wide(numbers: Sequence[float]) -> bool:
    """Whether numbers, none of them negative, span orders of magnitude; zeros do not count."""
    positive = [number for number in numbers if number > 0]
    return bool(positive) and min(numbers) >= 0 and max(positive) / min(positive) >= SPAN


def drawable(number: float) -> bool:
    """Whether a number has a place in a picture."""
    return abs(number) < LARGEST  # false for nan too


def ascending(numbers: Sequence[float]) -> list[int]:
    """The places of the numbers that can be drawn, in ascending order of these."""
    places = (i for i in range(len(numbers)) if drawable(numbers[i]))
    return sorted(places, key=numbers.__getitem__)


@dataclass(frozen=True)
class Axis:
    """The range of numbers that is shown, and the round numbers in it that have a label."""

    low: float
    high: float
    ticks: tuple[float, ...]
    step: float

    def place(self, number: float, dots: int) -> float:
        """The position of a number in a row of `dots`."""
        return (number - self.low) / (self.high - self.low) * (dots - 1)

    def label(self, tick: float) -> str:
        """A tick in enough digits to tell it from the next one."""
        largest = max(abs(self.low), abs(self.high))
        decimals = max(0, -math.floor(math.log10(self.step) + 1e-9))
        if largest < 1e6 and decimals <= 4:
            text = f"{tick or 0.0:.{decimals}f}"
            return text.rstrip("0").rstrip(".") if decimals else text
        digits = max(1, math.ceil(math.log10(largest / self.step) + 1e-9) + 1)
        return f"{tick:.{min(digits, 16)}g}"


def axis(low: float, high: float, most: int, *, widen: bool = False) -> Axis:
    """An axis from `low` to `high` with up to `most` ticks; `widen` extends it to ticks nearby."""
    if not high - low > 1e-9 * max(abs(low), abs(high), 1e-290):
        margin = abs(low) / 2 or 1.0
        low, high = low - margin, high + margin
    step = _step((high - low) / max(1, most))
    if widen:
        outer_low, outer_high = math.floor(low / step) * step, math.ceil(high / step) * step
        near = 0.12 * (high - low)
        low = outer_low if low - outer_low <= near else low
        high = outer_high if outer_high - high <= near else high
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return Axis(low, high, tuple(k * step for k in range(first, last + 1)), step)


def _step(least: float) -> float:
    """The smallest of 1, 2, 5, 10 ... that is at least `least`."""
    unit = 10.0 ** math.floor(math.log10(least))
    steps = (factor * unit for factor in (1, 2, 5, 10, 20))
    return next(step for step in steps if step >= least * (1 - 1e-9))


def span(y: Sequence[float], jumps: Collection[int] = ()) -> tuple[float, float] | None:
    """The range of a curve's numbers to show; None if no number can be drawn.

    The range holds all numbers unless the curve has a pole. The largest numbers near a pole depend
    only on how close the points are to it.
    """
    shown = sorted(number for number in y if drawable(number))
    if not shown:
        return None
    low, high = shown[0], shown[-1]
    if any(_is_pole(y, i, jumps) for i in range(len(y))):
        cut = len(shown) // 20
        inner_low, inner_high = shown[cut], shown[-1 - cut]
        reach = inner_high - inner_low
        if reach > 0 and high - low > 3 * reach:
            low, high = max(low, inner_low - reach / 4), min(high, inner_high + reach / 4)
    return low, high


def _is_pole(y: Sequence[float], i: int, jumps: Collection[int]) -> bool:
    """Whether point i is next to a gap or jump, and clearly larger than its other neighbour."""
    if not drawable(y[i]):
        return False
    for before, after, jump in ((i - 1, i + 1, i), (i + 1, i - 1, i - 1)):
        inside = 0 <= before < len(y) and 0 <= after < len(y)
        gap = inside and (jump in jumps or not drawable(y[after]))
        if gap and drawable(y[before]) and abs(y[i]) > 1.25 * abs(y[before]) > 0:
            return True
    return False


def together(spans: Iterable[tuple[float, float] | None]) -> tuple[float, float] | None:
    """The smallest span that contains all `spans`; None if there are none."""
    known = [span for span in spans if span is not None]
    return (min(low for low, _ in known), max(high for _, high in known)) if known else None
