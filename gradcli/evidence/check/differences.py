"""Slopes by differences: of one number along one line, from both sides, each with how far it may be
off.

A step too large feels the curve, one too small the rounding. So slopes are taken in windows of many
sizes. In each, the quotients at its step, its half and its quarter are extrapolated to step 0, and
their changes say how far the result may be off (C. Ridders, "Accurate computation of F'(x) and
F'(x)F''(x)", Advances in Engineering Software 4, 1982). How far rounding puts it off is measured,
not assumed: by the fourth differences of the points in the window (J. More and S. Wild, "Estimating
computational noise", SIAM J. Sci. Comput. 33, 2011). Of the windows the surest is kept among those
that agree with all smaller ones (O. Lepski's rule for the choice of a bandwidth, 1990): in a window
of many periods of a sine all quotients are small and look sure.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeAlias

Change: TypeAlias = Callable[[float], tuple[float, float]]
"""From a step to the change of the number, and to the size of what changed; NaN where there is no
value."""

LARGEST = 2.0**12
"""The largest window, in usual steps."""
SMALLEST = 2.0**-12
"""The smallest window, in the usual step of numbers up to 1; smaller ones only where that is too
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
"""Fourth differences of numbers that scatter are up to about so many times as large as they are."""
BETWEEN = 8 * (math.sqrt(2) - 1)
"""Where a further point is, between the third and the fourth."""
NOTHING = 2.0**-1020
"""The least size of a window."""
LENIENT = 2.0
"""How many times further apart than is in doubt two estimates may be that agree."""
UNRESOLVED = 0.02
"""Scatter by that part of the range of the values says that a window does not follow the
function."""
JUMP = 1.9
"""A slope that grows by more when the step is halved is that of a jump, which makes it 2."""
BEND = 1e-3
"""Slopes from the left and the right differ where that part of the larger one lies between, and
more than is in doubt."""


@dataclass(frozen=True)
class Estimate:
    """One slope; `doubt` is how far it may be off. `growth` is its factor when the step is halved:
    2 at a jump, 0 unknown.
    """

    slope: float
    doubt: float
    growth: float = 1.0


@dataclass(frozen=True)
class Slopes:
    """The slope by central difference, and from each side; None where the function has no values
    there.

    Where one side alone has values, `central` is the slope from that side. `rivals` are what
    windows of all sizes say in which both sides look alike: in small ones `1e8 + x` is one stair of
    its rounding. `confirmed`: several windows agree on `central`. Where none do, the function may
    change faster than a step can follow, as `sin` at 1e300.
    """

    central: Estimate | None
    left: Estimate | None
    right: Estimate | None
    rivals: tuple[Estimate, ...] = ()
    blurred: tuple[Estimate, ...] = ()
    """From windows that are not resolved because of scatter as small as the rounding of x or of 1,
    as of `1 + tanh(x)`."""
    confirmed: bool = True
    steps: tuple[float, ...] = ()
    """The steps of the windows, the smallest first."""

    @property
    def jumps(self) -> bool:
        """Whether the slope from a side grows as one over the step, which a value beside the others
        makes.
        """
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


def _power(number: float) -> float:
    """The nearest power of two, with which straight lines come out exactly."""
    return 2.0 ** round(math.log2(number))


def usual_step(x: float, epsilon: float) -> float:
    """The step that balances curvature and rounding for a number computed with that machine
    epsilon.
    """
    return _power(math.cbrt(epsilon) * max(1.0, abs(x))) if math.isfinite(x) else math.nan


def central_difference(change: Change, x: float, epsilon: float) -> tuple[Estimate, bool]:
    """The central difference at the usual step, and whether both sides look alike there; NaN where
    a side has no value.
    """
    step = usual_step(x, epsilon)
    (up, size), (down, below) = change(step), change(-step)
    slope, gap = (up - down) / (2 * step), abs(up + down) / step
    noise = ROUNDING * epsilon * max(size, below) / step
    return Estimate(slope, noise), gap <= BEND * max(abs(up), abs(down)) / step + noise


def richardson(change: Change, x: float, step: float, epsilon: float) -> Estimate | None:
    """The central difference at one step, its half and its quarter, extrapolated; None where there
    is no value.
    """
    return _seen(_window(change, x, step), epsilon).central


def ridders(change: Change, x: float, epsilon: float) -> Slopes:
    """The slopes at x from windows of many sizes."""
    if not math.isfinite(x):
        return Slopes(None, None, None)
    windows = _windows(change, x, epsilon)
    resolved = [window for window in windows if _resolved(window, epsilon)]
    seen = [_seen(window, epsilon) for window in resolved or windows]
    sides = (
        [each.central for each in seen],
        [each.left for each in seen],
        [each.right for each in seen],
    )
    central, below, above = map(_nearest, sides)
    rivals = tuple(_surest(run) for run in _runs(each.central for each in seen if not each.bends))
    fine = ROUNDING**2 * epsilon * max(1.0, abs(x))
    hazy = [
        window
        for window in windows
        if window not in resolved and all(side.scatter <= fine for side in window)
    ]
    blurred = tuple(filter(None, (_seen(window, epsilon).central for window in hazy)))
    confirmed = bool(resolved) and len(next(_runs(sides[0]), ())) > 1
    steps = tuple(right.step for _, right in windows)
    return Slopes(central or above or below, below, above, rivals, blurred, confirmed, steps)


@dataclass(frozen=True)
class _Side:
    """The changes at the points of a window on one side, in order from x; `step` has the side's
    sign.
    """

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
        return max((abs(each) for each in self.changes if math.isfinite(each)), default=0.0)

    @property
    def quotients(self) -> tuple[float, float, float]:
        """The slopes over the whole step, half of it and a quarter."""
        whole, half, quarter = (
            self.changes[POINTS // part - 1] / (self.step / part) for part in (1, 2, 4)
        )
        return whole, half, quarter


_Window: TypeAlias = tuple[_Side, _Side]


def _window(change: Change, x: float, step: float) -> _Window:
    return _side(change, x, -step), _side(change, x, step)


def _side(change: Change, x: float, step: float) -> _Side:
    points = [change(step * number / POINTS) for number in range(1, POINTS + 1)]
    changes = tuple(delta for delta, _ in points)
    offset = (x + step * BETWEEN / POINTS) - x
    seen, curve = change(offset)[0], _cubic(offset * POINTS / step, changes)
    return _Side(
        step,
        changes,
        max(size for _, size in points),
        abs(seen - curve) if math.isfinite(seen - curve) else 0.0,
    )


def _cubic(at: float, changes: Sequence[float]) -> float:
    """The curve through the four points around `BETWEEN`."""
    nodes = range(int(BETWEEN) - 1, int(BETWEEN) + 3)
    weights = (
        math.prod((at - other) / (node - other) for other in nodes if other != node)
        for node in nodes
    )
    return sum(weight * changes[node - 1] for node, weight in zip(nodes, weights, strict=True))


def _windows(change: Change, x: float, epsilon: float) -> list[_Window]:
    """The windows by their size, the smallest first."""
    least = max(ULPS * epsilon * abs(x), NOTHING)
    smallest = _power(max(SMALLEST * usual_step(0.0, epsilon), least))
    count = 1 + int(math.log(max(1.0, LARGEST * usual_step(x, epsilon) / smallest), FACTOR))
    steps = {smallest * FACTOR**number for number in range(count)}
    if 0 < abs(x) < 1:  # near 0 a function may change with x itself
        near = _power(max(least, math.cbrt(epsilon) * abs(x)))
        steps |= {near, near * FACTOR}
    found = [_window(change, x, step) for step in sorted(steps)]
    while not _resolved(found[0], epsilon) and found[0][1].step > FACTOR * least:
        found.insert(0, _window(change, x, found[0][1].step / FACTOR))
    return found


def _resolved(window: _Window, epsilon: float) -> bool:
    """Whether the values follow a curve, or scatter by no more than their own rounding."""
    return all(
        side.scatter <= max(UNRESOLVED * side.reach, ROUNDING**2 * epsilon * side.size)
        for side in window
    )


def _seen(window: _Window, epsilon: float) -> Slopes:
    """The slopes that one window tells."""
    left, right = window
    noise = max(side.scatter + ROUNDING * epsilon * side.size for side in window) / right.step
    both = [(one + other) / 2 for one, other in zip(left.quotients, right.quotients, strict=True)]
    return Slopes(
        _extrapolated(2, both, noise), _extrapolated(1, left.quotients, noise), _extrapolated(1, right.quotients, noise)
    )  # fmt: skip


def _extrapolated(order: int, quotients: Sequence[float], noise: float) -> Estimate | None:
    """What the slopes over a step, its half and its quarter tend to, with errors of `order` and
    twice that in the step.

    `noise` is that of the values over the step. None where there is no value.
    """
    if not all(map(math.isfinite, quotients)):
        return None
    (whole, half, quarter), gain = quotients, 2**order
    coarse, fine = (
        (gain * after - before) / (gain - 1) for before, after in ((whole, half), (half, quarter))
    )
    slope = fine + (fine - coarse) / (gain**2 - 1)
    growth = abs(quarter / half) if abs(half) > ROUNDING * 4 * noise else 0.0
    return Estimate(slope, max(abs(slope - fine), abs(slope - coarse)) + 4 * noise, growth)


def _runs(estimates: Iterable[Estimate | None]) -> Iterator[list[Estimate]]:
    """The estimates in runs of neighbours that agree with one another, that of the smallest windows
    first.
    """
    run: list[Estimate] = []
    for each in estimates:
        if each is None:
            continue
        if any(_contradict(each, other) for other in run):
            yield run
            run = []
        run.append(each)
    if run:
        yield run


def _surest(run: Sequence[Estimate]) -> Estimate:
    return min(run, key=lambda each: each.doubt)


def _contradict(one: Estimate, other: Estimate) -> bool:
    return abs(one.slope - other.slope) > LENIENT * (one.doubt + other.doubt)


def _nearest(estimates: Sequence[Estimate | None]) -> Estimate | None:
    """What the smallest windows that agree tell, with the growth at small steps; None where there
    is no value.
    """
    growth = next((each.growth for each in estimates if each is not None and each.growth), 1.0)
    return next((replace(_surest(run), growth=growth) for run in _runs(estimates)), None)
