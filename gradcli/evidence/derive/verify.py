"""Formulas compared with autograd in float64: at random points, and at other sizes of the inputs.

Polynomials that differ seldom agree at a random point (J. Schwartz, "Fast probabilistic algorithms
for verification of polynomial identities", J. ACM 27, 1980). Here this is a test, not a proof.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from gradcli import core
from gradcli.algebra.nodes import Dim
from gradcli.algebra.walk import Value
from gradcli.errors import GradcliError
from gradcli.evaluate.job import in_float64
from gradcli.evaluate.machine import evaluate, evaluated
from gradcli.evaluate.rerun import widened
from gradcli.evaluate.run import Run
from gradcli.evidence.points import drawn, kept
from gradcli.language.assignment import in_expression
from gradcli.results import Inputs

TOLERANCE = 1e-9
"""The largest difference, relative to the largest element of the gradient."""
POINTS = 3
SIZES = 2
BETWEEN = 4
"""Pairs of numbers of an expression between which a formula that compares is tried, at most."""
FIRM = 6
"""Sides that are tried longer although the algebra takes them to be of their size, at most."""
LARGEST = 100_000
"""Elements of all inputs beyond which smaller inputs are drawn."""
_TRIES = 24
_SMALL = 1e-3
"""Gradients below this are compared absolutely."""
_NUDGE = 1e-12
"""The relative change of the inputs that must not move the gradient of a well-conditioned point."""

Place: TypeAlias = tuple[str, int]
"""An input and one of its axes."""


class Verified(NamedTuple):
    """At how many random points and other sizes a formula holds, and its largest relative error."""

    points: int
    sizes: int
    max_rel_error: float


class Point(NamedTuple):
    """Inputs with the value's upstream gradient, the named steps that are computed from them, and
    autograd's gradients by inputs and steps, each in the shape of what it is by.
    """

    names: dict[str, Tensor]
    steps: dict[str, Tensor]
    gradients: dict[str, Tensor]

    def finite(self, name: str) -> bool:
        """Whether autograd's gradient by `name` is finite, as one is that is 0 off the path."""
        return name not in self.gradients or bool(self.gradients[name].isfinite().all())


class Points:
    """Points of one expression that was run, drawn when they are needed: PyTorch may abort at sizes
    that an operation was not made for. `sides` are the inputs as the algebra knows them; without
    them there are no other sizes. `dropped` are sides of size 1 that it takes to be of that size,
    each by its inputs and axes. `masks`: inputs of zeros and ones, or of signs, keep their numbers,
    as integers always do.
    """

    def __init__(
        self, run: Run, sides: Mapping[str, Value], upstream: str,
        dropped: Sequence[Collection[Place]], *, masks: bool = False
    ) -> None:  # fmt: skip
        self.run = run
        self._upstream = upstream
        self._sides = sides
        roots = {dim.root for value in sides.values() for dim in value.sides if dim}
        self.free = sorted(
            (d for d in roots if not (d.fixed or d.cut or d.parts)),
            key=lambda dim: list(dim.places),
        )
        fixed = sorted(sorted(place[:2] for place in dim.places) for dim in roots if dim.fixed)
        firm = [frozenset[Place]().union(*dropped), *dropped, *map(frozenset, fixed)]
        firm += [frozenset([place]) for places in fixed for place in places]
        self._firm = [places for places in dict.fromkeys(firm) if places]
        self._large = sum(tensor.numel() for tensor in run.inputs.values()) > LARGEST
        self._chance = torch.Generator().manual_seed(0)
        self._inputs = {name: widened(tensor) for name, tensor in run.inputs.items()}
        self._given = {name: tuple(tensor.shape) for name, tensor in self._inputs.items()}
        keeping = kept(self._inputs) | run.indices
        floats = {name for name, t in run.inputs.items() if t.dtype.is_floating_point}
        self.masks = (keeping & floats) - run.indices
        self.keeping = keeping if masks else keeping - self.masks

    @cached_property
    def given(self) -> Point | None:
        """The given point, whose gradients need not be finite; None if the value is not. Raises
        GradcliError.
        """
        return self._computed(self._inputs)

    @cached_property
    def random(self) -> list[Point]:
        """Up to three points of the given shapes, near and far, of both signs where the expression
        allows it; of small shapes if the given ones hold many numbers and it can be computed there.
        """
        found = self._drawn(self._shapes(0), POINTS) if self._large else []
        return found or self._drawn(self._given, POINTS)

    @cached_property
    def between(self) -> list[Point]:
        """Points of the given shapes where all inputs are near one number, midway between two numbers
        of the expression, those that lie closest: between the bounds of a clamp both operands of a
        minimum may be equal, and a quotient or an exponential of a difference is near 1.
        """
        constants = (step.value for step in self.run.program.steps if step.kind == "constant")
        sizes = {float(it) for it in constants if isinstance(it, int | float) and math.isfinite(it)}
        numbers = sorted(sizes | {-size for size in sizes})
        found = []
        for low, high in sorted(pairwise(numbers), key=lambda pair: pair[1] - pair[0])[:BETWEEN]:
            inputs = dict(self._inputs)
            for name in [] if self._large else [n for n in inputs if n not in self.keeping]:
                normal = torch.randn(inputs[name].shape, generator=self._chance).double()
                inputs[name] = (low + high) / 2 + (high - low) / 20 * normal
            point = self._at(inputs)
            if point is not None and self._steady(point, inputs):
                found.append(point)
        return found

    @cached_property
    def resized(self) -> list[Point]:
        """Points of up to two other sizes, if the expression can be computed there: of longer sides,
        or of multiples, as those that are cut into equal parts need.
        """
        found: list[Point] = []
        for more, times in ((1, 1), (2, 1), (3, 1), (0, 2), (0, 3)) if self.free else ():
            found += self._drawn(self._shapes(more, times), 1)
            if len(found) == SIZES:
                break
        return found

    @cached_property
    def beyond(self) -> dict[str, Point]:
        """Points where sides are longer that the algebra takes to be of their size, because the
        expression drops them or gives it, if the expression can be computed there; by the condition
        that they do not meet.
        """
        longest = max((size for shape in self._given.values() for size in shape), default=0)
        found: dict[str, Point] = {}
        for places in [] if self._large else self._firm[:FIRM]:
            shapes = {name: [*shape] for name, shape in self._given.items()}
            size = max(shapes[name][axis] for name, axis in places)
            for name, axis in places:
                shapes[name][axis] = longest + 2
            # A parameter of a module is as long as the module says.
            own = all("." not in name for name, _ in places)
            for point in self._drawn(shapes, 1, tries=2) if own else ():
                listed = [f"{in_expression(name)}.shape[{axis}]" for name, axis in sorted(places)]
                verb = "is" if len(listed) == 1 else "are"
                found[f"{' and '.join(listed)} {verb} {size}"] = point
        return found

    def _shapes(self, more: int, times: int = 1) -> dict[str, tuple[int, ...]]:
        """The inputs' shapes with each free side so many times as long and longer by about `more`;
        short ones if they are large.
        """
        sizes = {}
        for place, dim in enumerate(self.free):
            size = min(dim.size, 3 + place) if self._large else dim.size
            sizes[dim] = times * size + more + (more and place % 2)
        return self._given | {
            name: tuple(1 if d is None else _length(d.root, sizes) for d in value.sides)
            for name, value in self._sides.items()
        }

    def _drawn(
        self, shapes: Mapping[str, Sequence[int]], wanted: int, *, tries: int = _TRIES
    ) -> list[Point]:
        found: list[Point] = []
        for attempt in range(tries):
            number, inside = attempt % (tries // 2), attempt >= tries // 2
            inputs = drawn(self._inputs, self.keeping, number, self._chance, shapes, inside=inside)
            inputs |= {name: self._picked(name, shapes[name]) for name in self.keeping}
            point = self._at(inputs)
            if point is not None and self._steady(point, inputs):
                found.append(point)
                if len(found) == wanted:
                    break
        return found

    def _picked(self, name: str, shape: Sequence[int]) -> Tensor:
        """An input that keeps its numbers: in another shape, some of them."""
        given = self._inputs[name]
        if tuple(given.shape) == tuple(shape) or not given.numel():
            return given
        places = torch.randint(given.numel(), (math.prod(shape),), generator=self._chance)
        return given.reshape(-1)[places].reshape(tuple(shape))

    def _at(self, inputs: Inputs, upstream: Tensor | None = None) -> Point | None:
        """The point at these inputs, of any shapes; None if it is refused or not finite there."""
        try:
            point = self._computed(inputs, upstream)
        except GradcliError:
            return None
        return point if point and all(map(point.finite, point.gradients)) else None

    def _computed(self, inputs: Inputs, upstream: Tensor | None = None) -> Point | None:
        """The point at these inputs, with a random upstream gradient unless it is given, in the shape
        of the value; None if the value is not finite. Raises GradcliError.
        """
        run = self.run
        live = core.require_grad(inputs, tuple(run.by))
        with in_float64():
            value, steps, *_ = evaluate(run.program, live)
            if not bool(value.isfinite().all()):
                return None
            if upstream is None:
                kind = torch.promote_types(value.dtype, torch.float64)  # a count has no derivative
                upstream = torch.randn(value.shape, dtype=kind, generator=self._chance)
            named = {n: step for n, step in steps.items() if step.requires_grad and n not in live}
            # An input may be called dNAME: it goes before the gradient of the step NAME.
            by = {f"d{n}": t for n, t in named.items()} | {name: live[name] for name in run.by}
            if not value.requires_grad:
                found: dict[str, Tensor | None] = dict.fromkeys(by)
            elif self._upstream:
                found = core.gradients(value, by, upstream=upstream)
            elif value.numel() == 1:
                found = core.gradients(value.reshape(()), by)
            else:
                return None
        gradients = {name: t for name, t in found.items() if t is not None}
        names = {**inputs, **({self._upstream: upstream} if self._upstream else {})}
        own = {name: step.detach() for name, step in steps.items() if name not in inputs}
        return Point(names, own, gradients)

    def _steady(self, point: Point, inputs: Inputs) -> bool:
        """Whether the point is well conditioned: a nudge hardly moves the gradients."""
        nudged = {n: t if n in self.keeping else t * (1 + _NUDGE) for n, t in inputs.items()}
        other = self._at(nudged, point.names.get(self._upstream))
        if other is None or other.gradients.keys() != point.gradients.keys():
            return False
        return all(error(other.gradients[n], g) < TOLERANCE for n, g in point.gradients.items())


def _length(dim: Dim, sizes: Mapping[Dim, int]) -> int:
    """The size of a side, where some have other sizes."""
    if dim.parts and not dim.fixed:
        return math.prod(_length(part.root, sizes) for part in dim.parts)
    if dim.cut and not dim.fixed:
        return _length(dim.cut[0].root, sizes) - dim.cut[1]
    return sizes.get(dim, dim.size)


def error(found: Tensor, right: Tensor) -> float:
    """The largest difference of two tensors of one shape, relative to the largest element."""
    if found.shape != right.shape:
        return math.inf
    if not right.numel():
        return 0.0
    difference = float((found.double() - right.double()).abs().max())
    size = float(right.abs().max())
    return difference / size if size > _SMALL else difference


def holds(text: str, name: str, point: Point, known: Mapping[str, Tensor]) -> float:
    """The error of a formula for the gradient `name` at a point; infinite if it cannot be computed.

    It may read the inputs and the upstream gradient, and `known`: further names, of any shapes.
    """
    names = {**point.names, **known}
    try:
        with in_float64():
            found = evaluated(text, names)
    except GradcliError:
        return math.inf
    right = point.gradients.get(name)
    if right is None:
        return math.inf if bool(found.count_nonzero()) else 0.0
    return error(found, right)
