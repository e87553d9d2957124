"""Curves of single functions of the catalogue, and the places where a curve jumps.

Two points do not show whether a function is steep or jumps, so PyTorch computes points between
them.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor

from gradcli import core
from gradcli.catalogue.derivative_rules import ELEMENTWISE, FORMULAS, SYNONYMS
from gradcli.catalogue.functions import ACTIVATIONS, CATALOGUE, Loss
from gradcli.catalogue.operators import RANDOM
from gradcli.catalogue.ranges import target
from gradcli.evaluate import implementations
from gradcli.evaluate.refusals import translated
from gradcli.language.calls import Call
from gradcli.language.expressions.program import Expression, Step, once
from gradcli.results import Subject, aside

Point = tuple[float, float]
"""A place and what was computed there."""


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

At = Callable[[list[float]], list[tuple[float, float]]]
"""Value and derivative at more points."""

VISIBLE = 0.004
"""A step smaller than this part of the whole height is not visible."""
SMALLER, HALVINGS = 1 / 8, 16
"""A step that is not a jump shrinks by this factor within that many halvings."""
COARSE = 1e-4
"""The grain from which a dtype has too few numbers for halving: float16 and bfloat16."""
POLE = 8.0
"""A value this many times larger than its neighbours is near a pole."""


POINTWISE = (
    {*FORMULAS, *ELEMENTWISE, *(name for name in ACTIVATIONS if not CATALOGUE[name].mixes)}
    - {"fill"}  # which takes its number from a tensor of no dimensions
    - RANDOM
)
"""Elementwise functions and operators that draw no random numbers."""


@once
def pointwise(program: Expression) -> bool:
    """Whether all steps are known to be elementwise, if the inputs are of one shape and dtype or
    0-d: one run then computes all points.
    """
    return all(map(_elementwise, program.steps))


def _elementwise(step: Step) -> bool:
    match step.kind:
        case "constant" | "load" | "store" | "drop":
            return True
        case "compare":
            return step.take == 2 and not step.name.endswith("in")
        case "operator" | "call" | "method":
            name = step.name.rpartition(".")[2]
            return SYNONYMS.get(name, name) in POINTWISE and (name != "where" or step.take == 3)
    return False


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
    """The function of the catalogue as an expression of x, the range [points]."""
    if not isinstance(call.entry, Loss):
        return Subject(call.text, call.applied("x"), {"x": x}, ("x",), call=call)
    inputs = {"x": x, "target": x.new_tensor(target(call.entry))}
    text = call.compared("sum", "x")  # of one element
    return Subject(call.text, text, inputs, ("x",), call=call)


def of_call(call: Call, x: Tensor) -> Curve:
    """The function of the catalogue at x [points], all at once: it is elementwise."""
    function = unary(call)
    with translated(call.text, {"x": x}):
        try:
            value, slope = core.slopes(function, x)
        except core.NoDerivativeError:
            value, slope = function(x), None

    def at(numbers: list[float]) -> list[tuple[float, float]]:
        points = x.new_tensor(numbers)
        if slope is None:
            return [(number, math.nan) for number in function(points).tolist()]
        value, derivative = core.slopes(function, points)
        return list(zip(value.tolist(), derivative.tolist(), strict=True))

    label = f"{call.text}, target {target(call.entry):g}" if isinstance(call.entry, Loss) else ""
    return with_jumps(call.text, x, value, slope, at, label)


def with_jumps(
    name: str, x: Tensor, value: Tensor, slope: Tensor | None, at: At, label: str = ""
) -> Curve:
    """The curve through these points, all [points], its jumps found by `at` between them."""
    order = torch.argsort(x, stable=True)
    places, y = x.detach()[order].tolist(), value.detach()[order].tolist()
    grain = torch.finfo(x.dtype).eps
    known: dict[float, tuple[float, float]] = {}

    def computed(which: int, numbers: list[float]) -> list[float]:
        """The values, or the derivatives if `which` is 1."""
        new = [number for number in dict.fromkeys(numbers) if number not in known]
        known.update(zip(new, at(new) if new else (), strict=True))
        return [known[number][which] for number in numbers]

    value_jumps = set(jumps(places, y, partial(computed, 0), grain))
    if slope is None:
        return Curve(name, value, slope, tuple(sorted(value_jumps)), (), label)
    steep = jumps(places, slope.detach()[order].tolist(), partial(computed, 1), grain)
    # At a pole such as that of 1/x**2 only the slope jumps: the values on both sides are equal.
    for i, peak in zip(steep, computed(0, [*steep.values()]), strict=True):
        if abs(peak) > POLE * max(abs(y[i]), abs(y[i + 1])):
            value_jumps.add(i)
    slope_jumps = tuple(sorted(value_jumps | steep.keys()))
    return Curve(name, value, slope, tuple(sorted(value_jumps)), slope_jumps, label)


def jumps(
    x: Sequence[float], y: Sequence[float], at: Callable[[list[float]], list[float]], grain: float
) -> dict[int, float]:
    """The numbers of the points after which y jumps, and about where; x ascends.

    Each visible step is bisected, all of them at once; a jump stays as large. If there are too many
    to halve, as for random numbers, the rest count as jumps too, because nothing is known of the
    function between those points. `grain` is the dtype's epsilon: steps within its
    rounding do not count, and if it has few numbers between two points, the steps beside decide.
    """
    finite = sorted(number for number in y if math.isfinite(number))
    if len(finite) < 2:
        return {}
    tenth = len(finite) // 10
    height = (finite[-1 - tenth] - finite[tenth]) or finite[-1] - finite[0]
    places: dict[int, float] = {}
    halved: dict[int, tuple[Point, Point]] = {}
    steps = [abs(b - a) for a, b in pairwise(y)]
    for i, step in enumerate(steps):
        largest = max(abs(y[i]), abs(y[i + 1]))
        visible = max(VISIBLE * height, 4 * grain * height, 4 * grain * largest)
        if not step > visible or not math.isfinite(step):
            continue
        if grain > COARSE or x[i + 1] - x[i] <= 32 * grain * max(abs(x[i]), abs(x[i + 1])):
            if step > POLE * max([*steps[max(0, i - 1) : i], *steps[i + 1 : i + 2]], default=0.0):
                places[i] = x[i]
        else:
            halved[i] = (x[i], y[i]), (x[i + 1], y[i + 1])
    budget = 8 * len(x) + 2000
    for _ in range(HALVINGS):
        middles = {}
        for i, (left, right) in halved.items():
            middle = left[0] + (right[0] - left[0]) / 2
            if left[0] < middle < right[0]:
                middles[i] = middle
        budget -= len(middles)
        if not middles or budget < 0:
            break
        for (i, middle), found in zip(middles.items(), at([*middles.values()]), strict=True):
            left, right = halved[i]
            below, above = abs(found - left[1]), abs(right[1] - found)
            if not math.isfinite(found):
                places[i] = middle
                del halved[i]
            elif max(below, above) < SMALLER * steps[i]:
                del halved[i]
            else:
                point = middle, found
                halved[i] = (left, point) if below > above else (point, right)
    return places | {i: left[0] for i, (left, _) in halved.items()}
