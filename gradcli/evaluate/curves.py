"""Curves of single functions of the catalogue, and the places where a curve jumps.

Two points do not show whether a function is steep or jumps, so PyTorch computes points between
them.
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

    `jumps` are the numbers of the points, in ascending order of x, after which the value jumps;
    `slope_jumps` those after which the derivative does.
    """

    name: str
    value: Tensor
    derivative: Tensor | None
    jumps: tuple[int, ...] = aside()
    slope_jumps: tuple[int, ...] = aside()
    label: str = aside()
    """The name in the picture, if it is more than `name`."""


NO_DERIVATIVE = "PyTorch has no derivative of {}: it is 0 off x = 0, and at x = 0 there is none"
"""For a step function of the catalogue."""

At = Callable[[float], tuple[float, float]]
"""Value and derivative at one more point."""

VISIBLE = 0.004
"""A step smaller than this part of the whole height is not visible."""
SMALLER, HALVINGS = 1 / 8, 16
"""A step that is not a jump shrinks by this factor within that many halvings."""
COARSE = 1e-4
"""The grain from which a dtype has too few numbers for halving: float16 and bfloat16."""
POLE = 8.0
"""A value this many times larger than its neighbours is near a pole."""


def unary(call: Call) -> implementations.Unary:
    """A function of one number, elementwise: an activation, or a loss at the catalogue's target."""
    if not isinstance(call.entry, Loss):
        return implementations.activation(call)
    aim, elements = target(call.entry), implementations.elements(call)
    if elements is None:  # the norm of one difference is not a sum of elements
        norm = implementations.loss(call)

        def of_each(x: Tensor) -> Tensor:
            values = [norm(number, torch.full_like(number, aim)) for number in x.reshape(-1)]
            return torch.stack(values).reshape(x.shape)

        return of_each
    return lambda x: elements(x, torch.full_like(x, aim))


def subject(call: Call, x: Tensor) -> Subject:
    """The function of the catalogue as an expression of one number x."""
    if not isinstance(call.entry, Loss):
        return Subject(call.text, call.applied("x"), {"x": x}, ("x",), call=call)
    inputs = {"x": x, "target": x.new_tensor(target(call.entry))}
    text = call.compared("sum", "x")  # of one element
    return Subject(call.text, text, inputs, ("x",), call=call)


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
        value, derivative = core.slopes(function, point)
        return float(value), float(derivative)

    label = f"{call.text}, target {target(call.entry):g}" if isinstance(call.entry, Loss) else ""
    return with_jumps(call.text, x, value, slope, at, label)


def with_jumps(
    name: str, x: Tensor, value: Tensor, slope: Tensor | None, at: At, label: str = ""
) -> Curve:
    """The curve through these points, all [points], its jumps found by `at` between them."""
    order = torch.argsort(x, stable=True)
    places, y = x.detach()[order].tolist(), value.detach()[order].tolist()
    grain = torch.finfo(x.dtype).eps
    value_jumps = set(jumps(places, y, lambda number: at(number)[0], grain))
    if slope is None:
        return Curve(name, value, slope, tuple(sorted(value_jumps)), (), label)
    steep = jumps(places, slope.detach()[order].tolist(), lambda number: at(number)[1], grain)
    # At a pole such as that of 1/x**2 only the slope jumps: the values on both sides are equal.
    for i, place in steep.items():
        if abs(at(place)[0]) > POLE * max(abs(y[i]), abs(y[i + 1])):
            value_jumps.add(i)
    slope_jumps = tuple(sorted(value_jumps | steep.keys()))
    return Curve(name, value, slope, tuple(sorted(value_jumps)), slope_jumps, label)


def jumps(
    x: Sequence[float], y: Sequence[float], at: Callable[[float], float], grain: float
) -> dict[int, float]:
    """The numbers of the points after which y jumps, and about where; x ascends.

    Each visible step is halved; a jump stays as large. If there are too many to halve, as for
    random numbers, the rest count as jumps too, because a line between those points would claim to
    know the function. `grain` is the dtype's epsilon: steps within its rounding do not count, and
    if it has few numbers between two points, the steps beside decide.
    """
    finite = sorted(number for number in y if math.isfinite(number))
    if len(finite) < 2:
        return {}
    tenth = len(finite) // 10
    height = (finite[-1 - tenth] - finite[tenth]) or finite[-1] - finite[0]
    budget = 8 * len(x) + 2000
    places: dict[int, float] = {}
    steps = [abs(b - a) for a, b in pairwise(y)]
    for i, step in enumerate(steps):
        largest = max(abs(y[i]), abs(y[i + 1]))
        visible = max(VISIBLE * height, 4 * grain * height, 4 * grain * largest)
        if not step > visible or not math.isfinite(step):
            continue
        if grain > COARSE or x[i + 1] - x[i] <= 32 * grain * max(abs(x[i]), abs(x[i + 1])):
            if step > POLE * max([*steps[max(0, i - 1) : i], *steps[i + 1 : i + 2]], default=0.0):
                places[i] = x[i]
        elif budget <= 0:
            places[i] = x[i]
        else:
            place, count = _jump((x[i], y[i]), (x[i + 1], y[i + 1]), at)
            budget -= count
            if place is not None:
                places[i] = place
    return places


def _jump(
    left: tuple[float, float], right: tuple[float, float], at: Callable[[float], float]
) -> tuple[float | None, int]:
    """Where a step stays however close its ends come, or None; and how many points were used."""
    whole = abs(right[1] - left[1])
    for count in range(1, HALVINGS + 1):
        middle = left[0] + (right[0] - left[0]) / 2
        if not left[0] < middle < right[0]:
            break
        y = at(middle)
        if not math.isfinite(y):
            return middle, count
        below, above = abs(y - left[1]), abs(right[1] - y)
        left, right = (left, (middle, y)) if below > above else ((middle, y), right)
        if max(below, above) < SMALLER * whole:
            return None, count
    return left[0], HALVINGS
