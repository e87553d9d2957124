"""Random points at which formulas are compared with autograd.

A point is a set of inputs in float64. It counts if the subject has a finite value and no kink there,
and if autograd's gradient agrees with a central difference.
"""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from itertools import product
from typing import Any

import torch
from torch import Tensor

from gradcli.errors import GradcliError
from gradcli.evaluate.job import Job, in_float64
from gradcli.evaluate.rerun import Rerun, Seen, short
from gradcli.evaluate.run import class_indices
from gradcli.evaluate.trace import raised
from gradcli.evidence.check.reasons import DELIBERATE, HELD
from gradcli.language.expressions.program import Step
from gradcli.results import Inputs, Subject, step_key

TRIES = 48
"""Points that are drawn in each of both ways, at most."""
STEP = 2.0**-17
"""The step of the central difference along a random direction."""
AGREES = 1e-4
"""To this part, autograd's directional derivative must agree with the difference."""
DIGITS = 3
"""Significant digits of the largest number of a drawn tensor, so that people can read it."""
ROUND = 60
"""Numbers of a point that can be round, at most: people do not read more, and many would be equal."""

_FIXED = frozenset(name for name, verdict in HELD.items() if verdict in ("detached", "random"))
"""Operations whose operands a difference must hold, because autograd does."""


def kept(inputs: Inputs) -> frozenset[str]:
    """The inputs, of any shapes, that keep their numbers: integers, and one-hot targets, masks and
    signs, which are all 0 or 1, or all -1 or 1, where both occur.
    """
    return frozenset(name for name, tensor in inputs.items() if _is_kept(tensor))


def _is_kept(tensor: Tensor) -> bool:
    if not tensor.is_floating_point():
        return True
    tensor = tensor.detach()
    if not tensor.numel() or float(tensor.min()) == float(tensor.max()):
        return False
    return bool(((tensor == 0) | (tensor == 1)).all() or (tensor.abs() == 1).all())


def drawn(
    inputs: Inputs, keeping: Collection[str], number: int, chance: torch.Generator,
    shapes: Mapping[str, Sequence[int]] | None = None, *, inside: bool = False,
) -> dict[str, Tensor]:  # fmt: skip
    """Point `number` in a sequence: near the given point and far, of both signs.

    The inputs in `keeping` keep their numbers; the others get the given or other `shapes`.
    `inside`: inside the range of each input's numbers, and near them.
    """
    shapes = shapes or {}
    return {
        name: tensor if name in keeping else _drawn(
            tensor.detach().double(), shapes.get(name, tensor.shape), number, chance, inside=inside
        )
        for name, tensor in inputs.items()
    }  # fmt: skip


def _drawn(
    given: Tensor, shape: Sequence[int], number: int, chance: torch.Generator, *, inside: bool
) -> Tensor:
    sizes = given[given.isfinite()].square()
    size = float(sizes.mean().sqrt()) if sizes.numel() else 0.0
    size = min(size, 1e100) or 1.0  # the root mean square
    same = tuple(shape) == tuple(given.shape)
    normal = torch.randn(tuple(shape), generator=chance, dtype=torch.float64)
    uniform = torch.rand(tuple(shape), generator=chance, dtype=torch.float64)
    if inside:
        low, high = (float(given.min()), float(given.max())) if given.numel() else (0.0, 1.0)
        between = low + (high - low) * uniform
        numbers = given * (1 + 0.1 * normal) if same and (number % 2 or low == high) else between
        size /= 10
    else:
        unit = normal / _fan(shape)
        match number % 4:
            case 1 if same:
                numbers = given + 0.3 * size * normal
            case 2:
                numbers = 2 * unit
            case 3 if same:
                signs = torch.where(normal < 0, -1.0, 1.0)
                numbers = signs * (given.abs() + 0.1 * size) * (0.5 + uniform)
            case _:
                numbers = unit
    if numbers.numel() > ROUND:
        return numbers
    scale = 10.0 ** (DIGITS - 1 - math.floor(math.log10(size)))
    rounded = (numbers * scale).round() / scale
    # Nothing is rounded to 0, which is often a kink, and which a variance must not be.
    return torch.where((rounded == 0) & (numbers != 0), numbers.sign() / scale, rounded)


def _fan(shape: Sequence[int]) -> float:
    """What keeps products with such a tensor near 1 (Y. LeCun, "Efficient BackProp", 1998)."""
    count = math.prod(shape)
    if len(shape) < 2 or not count:
        return float(max(1.0, count / 4) ** 0.25)
    return math.sqrt(count / min(shape[0], shape[-1]))


class Sampler:
    """The points of one subject, the same in every run.

    The inputs in `keeping` and class indices keep their numbers, unless that would keep all of them. With
    `upstreams` an upstream gradient is drawn as well.
    """

    def __init__(
        self, subject: Subject, job: Job, keeping: Collection[str], *, upstreams: bool = False
    ) -> None:
        self.rerun = Rerun(subject, job)
        self._subject, self._job = subject, job
        self.inputs = self.rerun.inputs
        with in_float64():
            keeping = {*keeping, *class_indices(self.rerun.program, self.inputs)}
        moving = {name for name, tensor in self.inputs.items() if tensor.is_floating_point()}
        self.keeping = frozenset(keeping if moving - set(keeping) else self.inputs.keys() - moving)
        self.upstreams = upstreams
        names = {short(step) for step in self.rerun.program.steps}
        self._deliberate = not names.isdisjoint(DELIBERATE)
        self._fixed = _FIXED & names
        self._chance = torch.Generator().manual_seed(0)
        self._found: list[Seen] = []
        self._fresh = self._counting()

    def given(self) -> Seen:
        """The given point, whether it counts or not. Raises GradcliError."""
        return self.rerun.observe(self.inputs, self.rerun.upstream)

    def points(self) -> Iterator[Seen]:
        """The random points that count: first near and far, then inside the given range."""
        yield from self._found
        while (seen := next(self._fresh, None)) is not None:
            self._found.append(seen)
            yield seen

    def _counting(self) -> Iterator[Seen]:
        for inside, number in product((False, True), range(TRIES)):
            point = drawn(self.inputs, self.keeping, number, self._chance, inside=inside)
            if (seen := self.at(point)) is not None:
                yield seen

    def at(self, inputs: Inputs) -> Seen | None:
        """The subject at a point, of the shapes of `inputs`; None if the point does not count."""
        upstream = self.rerun.upstream
        if upstream is not None and self.upstreams:
            normal = torch.randn(upstream.shape, generator=self._chance, dtype=torch.float64)
            upstream = (normal * 100).round() / 100
        try:
            saturated: list[Step] = []
            seen = self.rerun.observe(inputs, upstream, partial(_watch, saturated))
            return seen if not saturated and self.counts(seen) else None
        except GradcliError:
            return None

    def counts(self, seen: Seen) -> bool:
        """Whether the value is finite and has no kink here, and autograd agrees with a central
        difference in a random direction, extrapolated from two steps (L. Richardson, 1911). Raises
        GradcliError if PyTorch refuses a point beside this one.
        """
        if not bool(seen.value.isfinite().all()):
            return False
        if self._deliberate or not seen.value.is_floating_point():
            return True
        if seen.upstream is None and seen.value.numel() != 1:
            upstream = torch.linspace(1, 2, seen.value.numel(), dtype=torch.float64)
            seen = self.rerun.observe(seen.inputs, upstream.reshape(seen.value.shape))
        moved_by = [name for name in self.rerun.by if name not in self.keeping]
        error, bend, room = self._beside(self.rerun, seen, moved_by, self._chance)
        return max(abs(error), abs(bend)) <= room

    def bends(self, seen: Seen, step: str) -> bool:
        """Whether the value has a kink by a step, of this name. Raises GradcliError as above."""
        if self._deliberate or seen.steps[step].is_complex():
            return False
        key = step_key(step)
        inputs = {**self._subject.inputs, key: torch.zeros_like(seen.steps[step])}
        subject = self._subject._replace(program=raised(self.rerun.program, step), inputs=inputs)
        moved = seen._replace(inputs={**seen.inputs, key: inputs[key]})
        chance = torch.Generator().manual_seed(0)  # so that the points do not depend on the lines
        _, bend, room = self._beside(Rerun(subject, self._job), moved, [key], chance)
        return not abs(bend) <= room

    def _beside(
        self, rerun: Rerun, seen: Seen, moved_by: Sequence[str], chance: torch.Generator
    ) -> tuple[float, float, float]:
        """From points on both sides along a random direction: the error of autograd's slope, the
        difference of the slopes on the two sides, and how large either may be at a point that counts.
        """
        slopes = {n: g for n in moved_by if (g := seen.gradients.get(n)) is not None}
        if not all(bool(slope.isfinite().all()) for slope in slopes.values()):
            return math.inf, 0.0, 0.0
        held = rerun.operands(self._fixed, seen.inputs) if self._fixed else None
        ways = {}
        for name, slope in slopes.items():
            normal = torch.randn(slope.shape, generator=chance, dtype=torch.float64)
            ways[name] = normal * (1 + seen.inputs[name].abs())
        parts = [(slope * ways[name]).reshape(-1) for name, slope in slopes.items()]
        terms = torch.cat(parts) if parts else torch.zeros(1)

        def weighted(value: Tensor) -> float:
            return float(value if seen.upstream is None else (value * seen.upstream).sum())

        def rise(step: float) -> float:
            moved = {name: seen.inputs[name] + step * way for name, way in ways.items()}
            value = rerun.value({**seen.inputs, **moved}, held)
            return (weighted(value.detach()) - weighted(seen.value)) / abs(step)

        (right, left), (near_right, near_left) = ((rise(h), rise(-h)) for h in (STEP, STEP / 2))
        difference = (4 * (near_right - near_left) - (right - left)) / 6
        bend = 2 * (near_right + near_left) - (right + left)  # without what curvature adds
        noise = 16 * rerun.coarsest / STEP * float(seen.value.abs().sum()) + 1e-11
        room = AGREES * float(terms.abs().sum()) + noise
        return difference - float(terms.sum()), bend, room


def _watch(saturated: list[Step], step: Step, value: Any) -> None:
    """Note an activation that is 1 to the last digits: what is computed of 1 - a is then noise."""
    if short(step).lower() in _SATURATING and isinstance(value, Tensor):
        size = value.detach().abs()
        if bool(((size > 1 - SATURATED) & (size < 1 + SATURATED)).any()):
            saturated.append(step)


_SATURATING = frozenset({"sigmoid", "tanh", "erf", "expit"})
SATURATED = 1e-12
"""How near to 1 that is."""


def round_points(inputs: Inputs, keeping: Collection[str]) -> list[dict[str, Tensor]]:
    """Points in small whole numbers and halves, in the inputs' shapes, the roundest first.

    First the given point with one input changed, then points with all of them chosen again.
    """
    free = [name for name, tensor in inputs.items() if name not in keeping]
    if sum(inputs[name].numel() for name in free) > ROUND:
        return []
    chance = torch.Generator().manual_seed(0)
    pools = (
        [2.0], [1.0, 2.0], [1.0, 2.0, 3.0], [-1.0], [-2.0, -1.0, 1.0, 2.0], [0.5], [0.5, -1.0, 2.0, 3.0]
    )  # fmt: skip

    def chosen(tensor: Tensor, pool: Sequence[float]) -> Tensor:
        places = torch.randint(len(pool), tuple(tensor.shape), generator=chance)
        return torch.tensor(pool, dtype=torch.float64)[places]

    found = [{**inputs, name: chosen(inputs[name], pool)} for name in free for pool in pools]
    for pool in pools * 4:
        found.append({**inputs, **{name: chosen(inputs[name], pool) for name in free}})

    def cost(point: Inputs) -> int:
        texts = (str(point[name].tolist()) for name in free)
        return sum(len(text.replace(".0", "")) for text in texts)

    return sorted(found, key=cost)
