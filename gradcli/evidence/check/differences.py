"""Slopes by differences: of one number along one line, from both sides, each with its uncertainty.

A step too large shows the curvature, one too small the rounding, so slopes are taken in windows of
many sizes. In each, the quotients at its step, its half and its quarter are extrapolated to step 0,
and their changes tell how far the result may be off (C. Ridders, "Accurate computation of F'(x) and
F'(x)F''(x)", Advances in Engineering Software 4, 1982). The effect of rounding is measured, not
assumed: by the fourth differences of the points in the window (J. More and S. Wild, "Estimating
computational noise", SIAM J. Sci. Comput. 33, 2011). The surest window is kept among those that
agree with all smaller ones (O. Lepski's rule for the choice of a bandwidth, 1990): in a window of
many periods of a sine all quotients are small and look sure.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeAlias

Change: TypeAlias = Callable[[float], tuple[float, float]]
"""From a step to the change of the number, and to the size of what changed; NaN without a value."""

LARGEST = 2.0**12
"""The largest window, in usual steps."""
SMALLEST = 2.0**-12
"""The smallest window, in the usual step of numbers up to 1; smaller ones only if that is too
coarse."""
FACTOR = 16.0
"""From one window to the next."""
POINTS = 8
"""Points of a window on each side."""
ULPS = 16
"""Units in the last place of x that a window spans at least, on each side."""
ROUNDING = 8
"""Units in the last place that a value may be off by."""
SCATTER = 4.0
"""Fourth differences of numbers that scatter are up to about this many times as large as they
are."""
BETWEEN = 8 * (math.sqrt(2) - 1)
"""The position of a further point, between the third and the fourth."""
NOTHING = 2.0**-1020
"""The least size of a window."""
LENIENT = 2.0
"""Two estimates agree if they are at most this many times further apart than they are uncertain."""
UNRESOLVED = 0.02
"""If scatter is this part of the range of the values, a window does not follow the function."""
JUMP = 1.9
"""If a slope grows by more than this when the step is halved, it is that of a jump, which makes it
2."""
BEND = 1e-3
"""Slopes from the left and the right differ if this part of the larger one lies between, and more
than the doubt."""


@dataclass(frozen=True)
class Estimate:
    """One slope, up to `doubt`. `growth` is its factor per halved step: 2 at a jump, 0 unknown."""

    slope: float
    doubt: float
    growth: float = 1.0


@dataclass(frozen=True)
class Slopes:
    """The slope by central difference, and from each side; None if there are no values there.

    If only one side has values, `central` is the slope from that side. `rivals` are the slopes from
    windows of all sizes in which both sides look alike: in small ones `1e8 + x` is one stair of its
    rounding. `confirmed` means that several windows agree on `central`. If none do, the function
    may change faster than a step can follow, as `sin` at 1e300.
    """

    central: Estimate | None
    left: Estimate | None
    right: Estimate | None
    rivals: tuple[Estimate, ...] = ()
    blurred: tuple[Estimate, ...] = ()
    """From windows that are unresolved because of scatter no larger than the rounding of x or of 1,
    as of `1 + tanh(x)`."""
    confirmed: bool = True
    steps: tuple[float, ...] = ()
    """The steps of the windows, the smallest first."""

    @property
    def jumps(self) -> bool:
        """Whether the slope from a side grows as 1 / step, as next to a value off the curve."""
        return any(side is not None and side.growth > JUMP for side in (self.left, self.right))

    @property
    def diverges(self) -> bool:
        """Whether the slope from a side grows without bound."""
        return any(side is not None and side.growth > 1.2 for side in (self.left, self.right))

    @property
    def bends(self) -> bool:
        """Whether the slopes from both sides differ."""
        if self.left is None or self.right is None:
            return False
        gap = abs(self.right.slope - self.left.slope)
        largest = max(abs(self.left.slope), abs(self.right.slope))
        return gap > BEND * largest + 4 * (self.left.doubt + self.right.doubt)


def power_of_two(number: float) -> float:
    """The power of two nearest to a number above 0; with such steps straight lines are exact."""
    return 2.0 ** round(math.log2(number))


def usual_step(x: float, epsilon: float) -> float:
    """The step that balances curvature and rounding for a number of that machine epsilon: about its
    cube root times the number (W. Press et al., "Numerical Recipes", 3rd edition, section 5.7).
    """
    return power_of_two(math.cbrt(epsilon) * max(1.0, abs(x))) if math.isfinite(x) else math.nan


def central_difference(change: Change, x: float, epsilon: float) -> tuple[Estimate, bool]:
    """The central difference at the usual step (NaN without values), and whether sides agree."""
    step = usual_step(x, epsilon)
    (up, size), (down, below) = change(step), change(-step)
    slope, gap = (up - down) / (2 * step), abs(up + down) / step
    noise = ROUNDING * epsilon * max(size, below) / step
    return Estimate(slope, noise), gap <= BEND * max(abs(up), abs(down)) / step + noise


def richardson(change: Change, x: float, step: float, epsilon: float) -> Estimate | None:
    """The central difference extrapolated from three steps (L. Richardson, 1911), or None."""
    return _from_window(_window(change, x, step), epsilon).central


def ridders(change: Change, x: float, epsilon: float) -> Slopes:
    """The slopes at x from windows of many sizes, each extrapolated as Ridders does."""
    if not math.isfinite(x):
        return Slopes(None, None, None)
    windows = _windows(change, x, epsilon)
    resolved = [window for window in windows if _resolved(window, epsilon)]
    by_window = [_from_window(window, epsilon) for window in resolved or windows]
    centrals = [slopes.central for slopes in by_window]
    central = _nearest(centrals)
    left, right = _nearest([s.left for s in by_window]), _nearest([s.right for s in by_window])
    rivals = tuple(map(_surest, _runs(slopes.central for slopes in by_window if not slopes.bends)))
    fine = ROUNDING**2 * epsilon * max(1.0, abs(x))
    unresolved = (window for window in windows if window not in resolved)
    hazy = (window for window in unresolved if all(side.scatter <= fine for side in window))
    blurred = tuple(filter(None, (_from_window(window, epsilon).central for window in hazy)))
    confirmed = bool(resolved) and len(next(_runs(centrals), ())) > 1
    steps = tuple(above.step for _, above in windows)
    return Slopes(central or right or left, left, right, rivals, blurred, confirmed, steps)


@dataclass(frozen=True)
class _Side:
    """The changes at a window's points on one side, in order from x; `step` has the side's sign."""

    step: float
    changes: tuple[float, ...]
    size: float
    misfit: float
    """How far the value at `BETWEEN` is from the curve through its neighbours: a sine may look
    smooth at regular points."""

    @property
    def scatter(self) -> float:
        """How far the values are from any smooth curve."""
        row = self.changes
        for _ in range(4):
            row = tuple(after - before for before, after in pairwise(row))
        return max(self.misfit, *(abs(each) / SCATTER for each in row if math.isfinite(each)), 0.0)

    @property
    def reach(self) -> float:
        """The largest change."""
        return max((abs(number) for number in self.changes if math.isfinite(number)), default=0.0)

    @property
    def quotients(self) -> tuple[float, float, float]:
        """The slopes over the whole step, half of it and a quarter."""
        parts = (1, 2, 4)
        whole, half, quarter = (self.changes[POINTS // n - 1] / (self.step / n) for n in parts)
        return whole, half, quarter


_Window: TypeAlias = tuple[_Side, _Side]


def _window(change: Change, x: float, step: float) -> _Window:
    return _side(change, x, -step), _side(change, x, step)


def _side(change: Change, x: float, step: float) -> _Side:
    points = [change(step * number / POINTS) for number in range(1, POINTS + 1)]
    changes = tuple(delta for delta, _ in points)
    offset = (x + step * BETWEEN / POINTS) - x
    misfit = abs(change(offset)[0] - _cubic(offset * POINTS / step, changes))
    size = max(size for _, size in points)
    return _Side(step, changes, size, misfit if math.isfinite(misfit) else 0.0)


def _cubic(at: float, changes: Sequence[float]) -> float:
    """The cubic through the four points around `BETWEEN`, by Lagrange's formula."""
    nodes = range(int(BETWEEN) - 1, int(BETWEEN) + 3)

    def weight(node: int) -> float:
        return math.prod((at - other) / (node - other) for other in nodes if other != node)

    return sum(weight(node) * changes[node - 1] for node in nodes)


def _windows(change: Change, x: float, epsilon: float) -> list[_Window]:
    """The windows by size, the smallest first."""
    least = max(ULPS * epsilon * abs(x), NOTHING)
    smallest = power_of_two(max(SMALLEST * usual_step(0.0, epsilon), least))
    count = 1 + int(math.log(max(1.0, LARGEST * usual_step(x, epsilon) / smallest), FACTOR))
    steps = {smallest * FACTOR**number for number in range(count)}
    if 0 < abs(x) < 1:  # near 0 a function may change with x itself
        near = power_of_two(max(least, math.cbrt(epsilon) * abs(x)))
        steps |= {near, near * FACTOR}
    windows = [_window(change, x, step) for step in sorted(steps)]
    while not _resolved(windows[0], epsilon) and windows[0][1].step > FACTOR * least:
        windows.insert(0, _window(change, x, windows[0][1].step / FACTOR))
    return windows


def _resolved(window: _Window, epsilon: float) -> bool:
    """Whether the values follow a curve, or scatter by no more than their own rounding."""
    limits = (max(UNRESOLVED * it.reach, ROUNDING**2 * epsilon * it.size) for it in window)
    return all(side.scatter <= limit for side, limit in zip(window, limits, strict=True))


def _from_window(window: _Window, epsilon: float) -> Slopes:
    """The slopes from one window."""
    left, right = window
    noise = max(side.scatter + ROUNDING * epsilon * side.size for side in window) / right.step
    both = [(one + other) / 2 for one, other in zip(left.quotients, right.quotients, strict=True)]
    below, above = (_extrapolated(1, side.quotients, noise) for side in window)
    return Slopes(_extrapolated(2, both, noise), below, above)


def _extrapolated(order: int, quotients: Sequence[float], noise: float) -> Estimate | None:
    """The limit of the slopes over a step, its half and its quarter.

    Their errors are of `order` in the step, and of twice that; `noise` is that of the values over
    the step. None if there is no value.
    """
    if not all(map(math.isfinite, quotients)):
        return None
    (whole, half, quarter), gain = quotients, 2**order
    coarse, fine = (gain * half - whole) / (gain - 1), (gain * quarter - half) / (gain - 1)
    slope = fine + (fine - coarse) / (gain**2 - 1)
    growth = abs(quarter / half) if abs(half) > ROUNDING * 4 * noise else 0.0
    return Estimate(slope, max(abs(slope - fine), abs(slope - coarse)) + 4 * noise, growth)


def _runs(estimates: Iterable[Estimate | None]) -> Iterator[list[Estimate]]:
    """The estimates in runs of neighbours that agree with one another, smallest windows first."""
    run: list[Estimate] = []
    for estimate in estimates:
        if estimate is None:
            continue
        gaps = ((abs(estimate.slope - it.slope), estimate.doubt + it.doubt) for it in run)
        if any(gap > LENIENT * doubt for gap, doubt in gaps):
            yield run
            run = []
        run.append(estimate)
    if run:
        yield run


def _surest(run: Sequence[Estimate]) -> Estimate:
    return min(run, key=lambda estimate: estimate.doubt)


def _nearest(estimates: Sequence[Estimate | None]) -> Estimate | None:
    """The slope from the smallest windows that agree, with the growth at small steps, or None."""
    growth = next((it.growth for it in estimates if it is not None and it.growth), 1.0)
    return next((replace(_surest(run), growth=growth) for run in _runs(estimates)), None)
