"""Where the functions of the catalogue are drawn: the range, and the target that a loss is held against."""

from gradcli.tables.catalogue import ALONG_LAST_DIM, BY_ROW, Activation, Loss, Target

LOW, HIGH = -6.0, 6.0
POINTS = 193
"""A step of 1/16: every point is exact in every dtype, 0 and the whole numbers among them."""

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


def has_curve(entry: Activation | Loss) -> bool:
    """Whether one number goes in and one comes out; the others mix a whole row."""
    return entry.name not in ALONG_LAST_DIM and entry.name not in BY_ROW
