"""Slopes by differences: of one number along one line, from both sides, each with how far it may be off.

A step too large feels the curve, one too small the rounding. So each slope is taken at several steps and half of them,
extrapolated (Richardson), and the one that changes least from a step to its half is kept.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeAlias

Change: TypeAlias = Callable[[float], tuple[float, float]]
"""From a step to the change of the number, and to the size of what changed; NaN where there is no value."""

STEPS = (256.0, 16.0, 1.0, 1 / 16, 1 / 256, 1 / 4096)
"""Multiples of the usual step, the cube root of epsilon."""
ROUNDING = 8
"""Units in the last place that a value may be off by."""
SPACING = 0.052
"""Of the usual step, between the points that tell scatter; no power of two, at which straight lines have none."""
SEEN = 17
"""Points on each side that tell it."""
SCATTER = 4.0
"""Fourth differences of numbers that scatter are up to about so many times as large as they are."""
JUMP = 1.9
"""A slope that grows by more when the step is halved is that of a jump, which makes it 2."""
BEND = 1e-3
"""Slopes from the left and the right differ where that part of the larger one lies between, and more than is in doubt."""


@dataclass(frozen=True)
class Estimate:
    """One slope; `doubt` is how far it may be off. `growth` is its factor when the step is halved: 2 at a jump, 0 unknown."""

    slope: float
    doubt: float
    growth: float = 1.0


@dataclass(frozen=True)
class Slopes:
    """The slope by central difference, and from each side; None where the function has no values there.

    Where one side alone has values, `central` is the slope from that side.
    """

    central: Estimate | None
    left: Estimate | None
    right: Estimate | None
    coarse: tuple[Estimate, ...] = ()
    """The central differences at steps above the usual one, which see past the stairs of a rounding."""

    @property
    def jumps(self) -> bool:
        """Whether the slope from a side grows as one over the step, which a value beside the others makes."""
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


def usual_step(x: float, epsilon: float) -> float:
    """The step that balances curvature and rounding for a number computed with that machine epsilon.

    A power of two, so that straight lines come out exactly.
    """
    return 2.0 ** round(math.log2(math.cbrt(epsilon) * max(1.0, abs(x)))) if math.isfinite(x) else math.nan


def quick(change: Change, x: float, epsilon: float) -> tuple[Estimate, bool]:
    """The central difference at the usual step, and whether both sides look alike there; NaN where a side has no value."""
    step = usual_step(x, epsilon)
    (up, size), (down, below) = change(step), change(-step)
    slope, gap = (up - down) / (2 * step), abs(up + down) / step
    noise = ROUNDING * epsilon * max(size, below) / step
    return Estimate(slope, noise), gap <= BEND * max(abs(up), abs(down)) / step + noise


def grain(change: Change, x: float, epsilon: float) -> float:
    """What counts as the size of the values where they scatter by more than the rounding of their own size.

    `1 - erf(x)` at 5 is 1e-12 and has the rounding of 1. The fourth differences of near points are what is no smooth curve;
    the largest of them may be those of a kink or a jump.
    """
    found = []
    for step in _bases(x, epsilon):
        fourths = [each for side in (SPACING * step, -SPACING * step) for each in _fourths(change, side)]
        found.append(sorted(fourths)[3 * len(fourths) // 4] / SCATTER if fourths else 0.0)
    return min(found) / (ROUNDING * epsilon)


def _fourths(change: Change, step: float) -> list[float]:
    """The sizes of the fourth differences on one side that are finite."""
    row = [change(step * number)[0] for number in range(1, SEEN)]
    for _ in range(4):
        row = [after - before for before, after in pairwise(row)]
    return [abs(each) for each in row if math.isfinite(each)]


def _bases(x: float, epsilon: float) -> list[float]:
    """The usual step, and where a function may change within it, near 0, one in proportion to x."""
    return [usual_step(x, epsilon), *([math.cbrt(epsilon) * abs(x)] if 0 < abs(x) < 1 else [])]


def beside(change: Change, step: float, epsilon: float) -> Estimate | None:
    """The central difference at one step and its half, extrapolated; None where there is no value."""
    (whole, _), (half, noise) = (_slopes_at(change, each, epsilon)[0] for each in (step, step / 2))
    if not (math.isfinite(whole) and math.isfinite(half)):
        return None
    return Estimate((4 * half - whole) / 3, noise)


def careful(change: Change, x: float, epsilon: float) -> Slopes:
    """The slopes at x from every step of the ladder, the least doubtful of each."""
    base, *near = _bases(x, epsilon)
    steps = [*(base * factor for factor in STEPS), *near]
    found: tuple[list[Estimate], list[Estimate], list[Estimate]] = ([], [], [])
    coarse = []
    for step in sorted(steps):
        whole, half, quarter = (_slopes_at(change, step / part, epsilon) for part in (1, 2, 4))
        for kept, order, one, two, four in zip(found, (2, 1, 1), whole, half, quarter, strict=True):
            if all(math.isfinite(each[0]) for each in (one, two, four)):
                kept.append(_extrapolated(order, one[0], two[0], *four))
                if step > base and kept is found[0]:
                    coarse.append(kept[-1])
    central, left, right = map(_least_doubtful, found)
    return Slopes(central or right or left, left, right, tuple(coarse))


def _least_doubtful(estimates: list[Estimate]) -> Estimate | None:
    """The estimate that changes least with the step, and how the slope grows at the smallest steps."""
    if not estimates:
        return None
    growth = next((each.growth for each in estimates if each.growth), 1.0)
    return replace(min(estimates, key=lambda each: each.doubt), growth=growth)


def _slopes_at(change: Change, step: float, epsilon: float) -> tuple[tuple[float, float], ...]:
    """Central, left and right slope at one step, each with what rounding may do to it."""
    (up, above), (down, below) = change(step), change(-step)
    noise = ROUNDING * epsilon * max(above, below) / step
    return ((up - down) / (2 * step), noise), (-down / step, noise), (up / step, noise)


def _extrapolated(order: int, whole: float, half: float, quarter: float, noise: float) -> Estimate:
    """What the slopes at a step, its half and its quarter tend to, with an error of `order` in the step.

    Two of them may agree by accident, as over the stairs of a rounding; three hardly do.
    """
    gain = 2**order
    doubt = max(abs(quarter - half), abs(half - whole) / gain)
    growth = abs(quarter / half) if abs(half) > ROUNDING * noise else 0.0
    return Estimate((gain * quarter - half) / (gain - 1), doubt + noise, growth)
