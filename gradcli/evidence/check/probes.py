"""What `--check` compares for each kind of result: a vector, its slopes by autograd, and a choice.

A slope is named by a pair: the row (an element of the vector, or None for the whole with its
upstream gradient), and the place of an input's element. A gradient has one row, a Jacobian many, an
activation that mixes a dimension its diagonal, and a Hessian is the Jacobian of autograd's
gradient.
"""

import math
from collections.abc import Iterable, Mapping, Sequence, Set
from functools import cached_property
from itertools import accumulate, pairwise, product
from typing import TypeAlias

import torch
from torch import Tensor

from gradcli.evaluate.job import Job
from gradcli.evaluate.rerun import Held, Rerun, short, widened
from gradcli.evidence.check.differences import power_of_two
from gradcli.evidence.check.reasons import HELD
from gradcli.evidence.notes.notes import at_kink
from gradcli.results import Inputs, Subject, element, one_hot

Pair: TypeAlias = tuple[int | None, int]

CHECKED = 200
"""Slopes that are checked for one input; of more, this many are chosen evenly."""
WORK = 500_000_000
"""Elements that the differences for one input may read: some seconds in all."""


class Probe:
    """One number, or a vector with an upstream gradient: a slope for each element of an input."""

    def __init__(self, subject: Subject, job: Job) -> None:
        self.subject = subject
        self.rerun = Rerun(subject, job)
        self.base = self.value(self.inputs)

    @property
    def inputs(self) -> Inputs:
        """The inputs in their shapes, in float64 unless they are integers or bools."""
        return self.rerun.inputs

    @property
    def upstream(self) -> Tensor | None:
        """The upstream gradient, in the shape of the value; None if that is one number."""
        return self.rerun.upstream

    @property
    def epsilon(self) -> float:
        """The largest machine epsilon that the value was computed with."""
        return self.rerun.coarsest

    @cached_property
    def operations(self) -> Set[str]:
        """The names of the operations, `detach` and `Tensor.detach`; `hermitian` if one assumes it."""
        steps = self.rerun.program.steps
        keywords = {"hermitian"} if any("hermitian" in step.keywords for step in steps) else set()
        return {name for step in steps for name in (step.name, short(step)) if name} | keywords

    def at_kink(self) -> bool:
        """Whether an operation is at a kink of its own."""
        return at_kink(self.rerun.watched())

    def held(self) -> Held:
        """The operands of the operations that carry no gradient, to be held constant; None if these
        count as a mistake.
        """
        return self.rerun.operands(frozenset(HELD))

    @cached_property
    def whole(self) -> Tensor:
        """The value of the expression at its own inputs, in its own shape."""
        return self.rerun.value(self.rerun.inputs)

    method = "autograd"
    """What computes the slopes."""
    scale = 1.0
    """The factor from the slopes to the numbers of the result."""

    @property
    def names(self) -> Sequence[str]:
        """What the slopes are by, each a name of `inputs`."""
        return self.rerun.by

    patience: float = math.inf
    """How many wrong slopes by one input are looked at closely; others may be far off and smooth."""

    def value(self, inputs: Inputs, held: Held = None) -> Tensor:
        """The vector, flat: shape [n]."""
        return self.rerun.value(inputs, held).detach().reshape(-1).double()

    def rows(self, name: str) -> Sequence[int | None]:
        """The rows of the slopes by the input `name`."""
        return (None,)

    def pairs(self, name: str) -> list[Pair]:
        """The slopes to check by the input `name`: rows and places, both chosen evenly."""
        rows, columns, room = self.rows(name), self.inputs[name].numel(), self.affordable
        chosen = evenly(len(rows), max(int(room**0.5), room // max(1, columns)))
        places = evenly(columns, max(1, room // max(1, len(chosen))))
        return [(rows[row], place) for row, place in product(chosen, places)]

    def total(self, name: str) -> int:
        """The number of slopes by the input `name`."""
        return len(self.rows(name)) * self.inputs[name].numel()

    def slopes(self, inputs: Inputs, name: str, pairs: Sequence[Pair]) -> Tensor | None:
        """Autograd's slopes for the pairs at `inputs`, [pairs]; None if `name` is off the path."""
        gradient = self.rerun.gradients(inputs, self.upstream)[name]
        return None if gradient is None else gradient.reshape(-1)[[place for _, place in pairs]]

    def change(self, moved: Tensor, base: Tensor, row: int | None) -> tuple[float, float]:
        """The change of `row` from `base` to `moved`, both [rows], and its size; NaN: no value."""
        if row is not None or base.numel() == 1:
            before, after = float(base[row or 0]), float(moved[row or 0])
            if not math.isfinite(before):
                return math.nan, 0.0
            factor = 1.0 if self.upstream is None or row is not None else float(self.upstream)
            size = abs(after * factor)
            delta = 0.0 if after == before else (after - before) * factor
            return delta, size if math.isfinite(size) else 0.0
        different = (moved != base) & ~(moved.isnan() & base.isnan())
        deltas, sizes = moved - base, moved.abs()
        if self.upstream is not None:
            upstream = self.upstream.reshape(-1)
            deltas, sizes = deltas * upstream, sizes * upstream.abs()
        finite = sizes.isfinite()
        if not bool(different.any()):  # it may be below the resolution of the largest number
            return 0.0, float(sizes[finite].max()) if bool(finite.any()) else 0.0
        return float(deltas[different].sum()), float(sizes[different & finite].sum())

    def label(self, name: str, pair: Pair) -> str:
        """The name of a slope, such as `w[0,1]`."""
        return element(name, pair[1], self.inputs[name])

    @property
    def affordable(self) -> int:
        """How many slopes by one input can be checked in some seconds."""
        touched = self.base.numel() + sum(tensor.numel() for tensor in self.rerun.inputs.values())
        return max(8, min(CHECKED, WORK // max(1, 3 * touched)))


class JacobianProbe(Probe):
    """A vector: a slope for each of its elements, the rows, by each element of an input."""

    def rows(self, name: str) -> Sequence[int | None]:
        """All rows of the Jacobian, or the chosen one."""
        chosen = self.subject.row
        return range(self.base.numel()) if chosen is None else (chosen,)

    def slopes(self, inputs: Inputs, name: str, pairs: Sequence[Pair]) -> Tensor | None:
        """Autograd's slopes for the pairs at `inputs`, [pairs], by a vjp for each row."""
        rows = sorted({row for row, _ in pairs if row is not None})
        upstreams = [one_hot(self.whole, row) for row in rows]
        gradients = [by_name[name] for by_name in self.rerun.rows(inputs, upstreams)]
        if all(gradient is None for gradient in gradients):
            return None
        by_row = dict(zip(rows, gradients, strict=True))
        slopes = [_at(by_row[row], place, self.base) for row, place in pairs if row is not None]
        return torch.stack(slopes)

    def label(self, name: str, pair: Pair) -> str:
        """The name of a slope, such as `y[0] / x[1]`."""
        assert pair[0] is not None
        output = element(self.subject.output, pair[0], self.whole)
        return f"{output} / {Probe.label(self, name, pair)}"


class DiagonalProbe(JacobianProbe):
    """An activation that mixes its inputs: each output by its own input."""

    def pairs(self, name: str) -> list[Pair]:
        """The diagonal, chosen evenly."""
        return [(place, place) for place in evenly(self.inputs[name].numel(), self.affordable)]

    def total(self, name: str) -> int:
        """The number of elements of the input `name`."""
        return self.inputs[name].numel()

    label = Probe.label


class HessianProbe(Probe):
    """Autograd's gradient as the vector: its slopes are the Hessian."""

    def value(self, inputs: Inputs, held: Held = None) -> Tensor:
        """The gradient for all inputs, flat, one after the other: shape [n]."""
        return _gradient(self.rerun, inputs, held)

    def rows(self, name: str) -> Sequence[int | None]:
        """The elements of all inputs."""
        return range(self.base.numel())

    def slopes(self, inputs: Inputs, name: str, pairs: Sequence[Pair]) -> Tensor | None:
        """The second derivatives for the pairs at `inputs`, [pairs]."""
        blocks = self.rerun.hessian(inputs)[1]
        columns = self.inputs[name].numel()
        matrix = torch.cat([row[name].reshape(-1, columns) for row in blocks.values()])
        return torch.stack([matrix[row, place] for row, place in pairs if row is not None])

    def label(self, name: str, pair: Pair) -> str:
        """The name of a second derivative, such as `w[0] x[1]`."""
        row = pair[0] or 0
        other, rows = next((n, some) for n, some in _ranges(self.rerun).items() if row in some)
        beside = element(other, row - rows.start, self.inputs[other])
        return f"{beside} {super().label(name, pair)}"


class JvpProbe(Probe):
    """The slopes of a vector along one line, on which the place is one number: its one input.

    The direction is scaled so that its largest element is about 1, and the line begins at the size of
    the largest input, so that steps along it are such as they would be along an axis.
    """

    method = "forward mode"

    def __init__(self, subject: Subject, job: Job) -> None:
        along = {name: widened(tensor) for name, tensor in subject.directions.items()}
        self.scale = _power(along.values()) or 1.0
        self._along = {name: tensor / self.scale for name, tensor in along.items()}
        start = _power(subject.inputs[name] for name in along)
        self._start = torch.tensor(start, dtype=torch.float64)
        super().__init__(subject, job)

    @property
    def names(self) -> Sequence[str]:
        """The one name of the slopes."""
        return (self.subject.output,)

    @property
    def inputs(self) -> Inputs:
        """The place on the line, 0-d float64, by each name of the slopes."""
        return dict.fromkeys(self.names, self._start)

    def value(self, inputs: Inputs, held: Held = None) -> Tensor:
        """The vector at a place on the line, flat: shape [n]."""
        return super().value(self._at(inputs), held)

    def _at(self, inputs: Inputs) -> Inputs:
        """The inputs of the expression at a place on the line; all names but one are at the start."""
        step = sum(inputs[name] - self._start for name in self.names)
        given = self.rerun.inputs
        return {**given, **{name: given[name] + step * t for name, t in self._along.items()}}

    def rows(self, name: str) -> Sequence[int | None]:
        """The rows of a name of slopes."""
        return range(self.base.numel())

    def slopes(self, inputs: Inputs, name: str, pairs: Sequence[Pair]) -> Tensor:
        """PyTorch's slopes for the pairs at a place on the line, [pairs]."""
        found = self._slopes(self._at(inputs))
        return found.detach().double()[[row for row, _ in pairs if row is not None]]

    def _slopes(self, inputs: Inputs) -> Tensor:
        return self.rerun.jvp(inputs, self._along).reshape(-1)

    def label(self, name: str, pair: Pair) -> str:
        """The name of a slope, such as `jvp[1]`."""
        return element(name, pair[0] or 0, self.whole)


class HvpProbe(JvpProbe):
    """The slopes of autograd's gradient along one line, which are the Hessian's product."""

    method = "autograd"

    @property
    def names(self) -> Sequence[str]:
        """The inputs by which the gradient is."""
        return self.rerun.by

    def value(self, inputs: Inputs, held: Held = None) -> Tensor:
        """The gradient at a place on the line by all inputs, flat: shape [n]."""
        return _gradient(self.rerun, self._at(inputs), held)

    def rows(self, name: str) -> range:
        """The rows of the gradient for one input."""
        return _ranges(self.rerun)[name]

    def _slopes(self, inputs: Inputs) -> Tensor:
        return torch.cat([p.reshape(-1) for p in self.rerun.hvp(inputs, self._along).values()])

    def label(self, name: str, pair: Pair) -> str:
        """The element of the input."""
        return element(name, (pair[0] or 0) - self.rows(name).start, self.rerun.inputs[name])


def _gradient(rerun: Rerun, inputs: Inputs, held: Held) -> Tensor:
    """Autograd's gradient for all inputs, flat, one after the other: shape [n]."""
    found = rerun.gradients(inputs, held=held).items()
    parts = (torch.zeros_like(inputs[name]) if g is None else g for name, g in found)
    return torch.cat([part.reshape(-1) for part in parts]).double()


def _ranges(rerun: Rerun) -> dict[str, range]:
    """The places of each input's elements in the gradient by all."""
    stops = [0, *accumulate(rerun.inputs[name].numel() for name in rerun.by)]
    return {name: range(*ends) for name, ends in zip(rerun.by, pairwise(stops), strict=True)}


def _power(tensors: Iterable[Tensor]) -> float:
    """The power of two next to the largest finite element of tensors of any shapes; 0 if that is 0."""
    sizes = (t[t.isfinite()].abs() for t in (tensor.detach() for tensor in tensors))
    largest = max((float(size.max()) for size in sizes if size.numel()), default=0.0)
    return power_of_two(largest) if largest else 0.0


_PROBES: Mapping[str, type[Probe]] = {
    "gradient": Probe, "jacobian": JacobianProbe, "diagonal": DiagonalProbe, "hessian": HessianProbe, "jvp": JvpProbe,
    "hvp": HvpProbe,
}  # fmt: skip


def probe(subject: Subject, job: Job) -> Probe:
    """The probe of a subject."""
    return _PROBES[subject.kind](subject, job)


def evenly(size: int, count: int) -> list[int]:
    """At most `count` of the numbers below `size`, with the first and the last."""
    if size <= count:
        return list(range(size))
    return [i * (size - 1) // max(1, count - 1) for i in range(count)]


def _at(gradient: Tensor | None, place: int, base: Tensor) -> Tensor:
    return base.new_zeros(()) if gradient is None else gradient.reshape(-1)[place].double()
