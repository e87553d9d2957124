"""Curves of single functions of the catalogue, and where a curve jumps.

Whether a function is steep or jumps cannot be told from two points. So PyTorch is asked for the
points between them.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from gradcli import core
from gradcli.catalogue.functions import Loss
from gradcli.catalogue.ranges import target
from gradcli.evaluate import implementations
from gradcli.evaluate.refusals import translated
from gradcli.language.calls import Call
from gradcli.results import Subject, aside


@dataclass(frozen=True)
class Curve:
    """A function at the points of x: its value and derivative, both in the shape of x.

    `jumps` are the numbers of the points, in ascending order of x, between which and the next one
    the value jumps; `slope_jumps` those where the derivative does.
    """

    name: str
    value: Tensor
    derivative: Tensor | None
    jumps: tuple[int, ...] = aside()
    slope_jumps: tuple[int, ...] = aside()
    label: str = aside()
    """What the picture calls it, where that is more than the name."""


NO_DERIVATIVE = "PyTorch has no derivative of {}: it is 0 off x = 0, and at x = 0 there is none"
"""Of a step of the catalogue."""

At = Callable[[float], tuple[float, float]]
"""Value and derivative at one more point."""

VISIBLE = 0.004
"""A step smaller than this part of the whole height fits into a dot."""
SMALLER, HALVINGS = 1 / 8, 16
"""A step that is not a jump shrinks by this factor within that many halvings."""
COARSE = 1e-4
"""The grain from which a dtype has too few numbers for halving: float16 and bfloat16."""
POLE = 8.0
"""So many times larger than its neighbours a value between them is on its way to infinity."""


def unary(call: Call) -> implementations.Unary:
    """A function of one number for each: the activation, or the elements of the loss with its
    target.
    """
    if not isinstance(call.entry, Loss):
        return implementations.activation(call)
    aim, elements = target(call.entry), implementations.elements(call)
    if elements is None:  # the norm of one difference is not a sum of elements
        norm = implementations.loss(call)
        aims = torch.full_like
        return lambda x: torch.stack([norm(one, aims(one, aim)) for one in x.reshape(-1)]).reshape(
            x.shape
        )
    return lambda x: elements(x, torch.full_like(x, aim))


def subject(call: Call, x: Tensor) -> Subject:
    """The function of the catalogue as an expression of one number of x."""
    if not isinstance(call.entry, Loss):
        return Subject(call.text, call.applied("x"), {"x": x}, ("x",), call=call)
    inputs = {"x": x, "target": x.new_tensor(target(call.entry))}
    return Subject(
        call.text, call.compared("sum", "x"), inputs, ("x",), call=call
    )  # of one element


def of_call(call: Call, x: Tensor) -> Curve:
    """The function of the catalogue at every point of x, all at once: it is elementwise."""
    function = unary(call)
    with translated(call.text, {"x": x}):
        try:
            value, slope = core.slopes(function, x)
        except core.NoDerivativeError:
            value, slope = function(x), None

    def at(number: float) -> tuple[float, float]:
        point = x.new_tensor(number)
        if slope is None:
            return float(function(point)), math.nan
        found, derivative = core.slopes(function, point)
        return float(found), float(derivative)

    label = f"{call.text}, target {target(call.entry):g}" if isinstance(call.entry, Loss) else ""
    return with_jumps(call.text, x, value, slope, at, label)


def with_jumps(
    name: str, x: Tensor, value: Tensor, slope: Tensor | None, at: At, label: str = ""
) -> Curve:
    """The curve through these points, all [points], its jumps found by asking `at` for points
    between them.
    """
    order = torch.argsort(x, stable=True)
    places, y = x.detach()[order].tolist(), value.detach()[order].tolist()
    grain = torch.finfo(x.dtype).eps
    found = set(jumps(places, y, lambda number: at(number)[0], grain))
    if slope is None:
        return Curve(name, value, slope, tuple(sorted(found)), (), label)
    steep = jumps(places, slope.detach()[order].tolist(), lambda number: at(number)[1], grain)
    # At a pole such as that of 1/x**2 the value is the same on both sides, and it is the slope that
    # turns.
    for i, place in steep.items():
        if abs(at(place)[0]) > POLE * max(abs(y[i]), abs(y[i + 1])):
            found.add(i)
    return Curve(
        name, value, slope, tuple(sorted(found)), tuple(sorted(found | steep.keys())), label
    )


def jumps(
    x: Sequence[float], y: Sequence[float], at: Callable[[float], float], grain: float
) -> dict[int, float]:
    """The numbers of the points between which and the next one y jumps, and where it does about; x
    ascends.

    Each step that can be seen is halved: that of a jump stays. Where there are too many to ask,
    such as for random numbers, the others count as jumps too: nothing is known that a line could
    stand for. `grain` is the dtype's: steps that are its own rounding are none, and where it has
    few numbers between two points, their neighbours must tell.
    """
    finite = sorted(number for number in y if math.isfinite(number))
    if len(finite) < 2:
        return {}
    tenth = len(finite) // 10
    height = (finite[-1 - tenth] - finite[tenth]) or finite[-1] - finite[0]
    budget = 8 * len(x) + 2000
    found: dict[int, float] = {}
    steps = [abs(b - a) for a, b in pairwise(y)]
    for i, step in enumerate(steps):
        largest = max(abs(y[i]), abs(y[i + 1]))
        seen = max(VISIBLE * height, 4 * grain * height, 4 * grain * largest)
        if not step > seen or not math.isfinite(step):
            continue
        if grain > COARSE or x[i + 1] - x[i] <= 32 * grain * max(abs(x[i]), abs(x[i + 1])):
            if step > POLE * max([*steps[max(0, i - 1) : i], *steps[i + 1 : i + 2]], default=0.0):
                found[i] = x[i]
        elif budget <= 0:
            found[i] = x[i]
        else:
            place, asked = _jump((x[i], y[i]), (x[i + 1], y[i + 1]), at)
            budget -= asked
            if place is not None:
                found[i] = place
    return found


def _jump(
    left: tuple[float, float], right: tuple[float, float], at: Callable[[float], float]
) -> tuple[float | None, int]:
    """Where a step stays however close its ends come, None where it does not; and how many points
    were asked for.
    """
    whole = abs(right[1] - left[1])
    for asked in range(1, HALVINGS + 1):
        middle = left[0] + (right[0] - left[0]) / 2
        if not left[0] < middle < right[0]:
            break
        y = at(middle)
        if not math.isfinite(y):
            return middle, asked
        below, above = abs(y - left[1]), abs(right[1] - y)
        left, right = (left, (middle, y)) if below > above else ((middle, y), right)
        if max(below, above) < SMALLER * whole:
            return None, asked
    return left[0], HALVINGS
