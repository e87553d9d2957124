"""The ranges over which the functions of the catalogue are drawn, and the targets of losses."""

import math

from gradcli.catalogue.functions import Loss, Target

LOW, HIGH = -6.0, 6.0
CURVE, SURFACE = 128, 32
"""The least number of steps of a curve, and of each axis of a surface."""


def steps(low: float, high: float, least: int) -> int:
    """The number of steps in a finite range: at least `least`, a power of two, but not twice that.

    A step is a power of two if both ends are multiples of it. Then every point is exact, and 0 and
    the whole numbers, at which functions have their kinks, are among them.
    """
    size = math.frexp(abs(high - low))[1] - least.bit_length()
    step = math.ldexp(1.0, size)
    whole = step and low % step == high % step == 0
    return round(abs(high - low) / step) if whole else least * 3 // 2


POINTS = steps(LOW, HIGH, CURVE) + 1
"""The points of a function that is given without a range."""

UNIT_POINTS = 127
"""The points of a prediction that is a probability, from 1/128 to 127/128."""

PROBABILITIES = frozenset({"bce"})
"""Losses whose prediction is a probability: PyTorch refuses one over [-6, 6]."""

_TARGETS: dict[Target, float] = {"real": 0.0, "probability": 1.0, "count": 1.0, "sign": 1.0}
_SHOWS_MORE = {"hinge_embedding": -1.0}
"""With a target of 1 this loss is pred itself."""


def target(entry: Loss) -> float:
    """The target of a curve of this loss."""
    return _SHOWS_MORE.get(entry.name, _TARGETS.get(entry.target, 0.0))
