"""Where the functions of the catalogue are drawn: the range, and the target that a loss is held
against.
"""

import math

from gradcli.catalogue.functions import Loss, Target

LOW, HIGH = -6.0, 6.0
CURVE, SURFACE = 128, 32
"""So many steps at least fill the range of a curve, and each of the two of a surface, where every
pair is computed."""


def steps(low: float, high: float, least: int) -> int:
    """Into how many steps a range of finite ends is divided: from `least`, a power of two, to less
    than twice as many.

    A step is a power of two wherever both ends are multiples of it. Then every point is exact, with
    0 and the whole numbers among them, where functions have their kinks.
    """
    size = math.frexp(abs(high - low))[1] - least.bit_length()
    step = math.ldexp(1.0, size)
    whole = step and low % step == high % step == 0
    return round(abs(high - low) / step) if whole else least * 3 // 2


POINTS = steps(LOW, HIGH, CURVE) + 1
"""The points of a function that is named alone."""

UNIT_POINTS = 127
"""The points of a prediction that is a probability, from 1/128 to 127/128."""

PROBABILITIES = frozenset({"bce"})
"""Losses whose prediction itself is a probability: over [-6, 6] PyTorch refuses it."""

_TARGETS: dict[Target, float] = {"real": 0.0, "probability": 1.0, "count": 1.0, "sign": 1.0}
_SHOWS_MORE = {"hinge_embedding": -1.0}
"""With a target of 1 this loss is pred itself."""


def target(entry: Loss) -> float:
    """The target that a curve of this loss has."""
    return _SHOWS_MORE.get(entry.name, _TARGETS.get(entry.target, 0.0))
