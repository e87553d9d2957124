"""`--check`: autograd's slopes beside closed forms and central differences, in float64.

A slope is wrong only if the function is smooth, or if autograd is wrong next to the point as well.
If autograd is right all around a point but not at it, the point itself is special, and its verdict
says how. If rounding hides a difference that would matter, the verdict `rough` leaves it open.
"""

import math
from collections.abc import Sequence, Set
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from itertools import groupby
from typing import Any, TypeAlias

import torch
from torch import Tensor

from gradcli import core
from gradcli.catalogue.operators import DRAWING
from gradcli.errors import GradcliError
from gradcli.evaluate.job import Job, in_float64
from gradcli.evaluate.rerun import Held
from gradcli.evidence.check import differences
from gradcli.evidence.check.differences import JUMP, Change, Estimate, Slopes
from gradcli.evidence.check.padding import PaddingHeld
from gradcli.evidence.check.probes import HessianProbe, HvpProbe, Pair, Probe, probe
from gradcli.evidence.check.reasons import DELIBERATE, HELD, POWERS, SELECTING, STEPWISE
from gradcli.evidence.derive.derive import ClosedForms
from gradcli.results import Checked, Result, Subject

TOLERANCE = 1e-5
"""Relative; larger if the expression itself computes in less than float64."""
FLOOR = 1e-7
"""What counts as zero, relative to the largest slope by the same input."""
NOTHING = 1e-30
"""What always counts as zero: a number this small is the rounding of others."""
RESIDUE = 1e-12
"""What rounding may leave in autograd's slope of a constant."""
BESIDE = 16.0
"""How far from a point its neighbourhood is checked, in usual steps."""
ROUGH = 0.1
"""A difference at larger steps that is uncertain by this part of itself does not count."""
FAR = 0.01
"""A slope that differs by this part of itself is not near the difference."""
SURE = 2.5e-4
"""A slope that agrees only because the difference is uncertain by a larger part of it has no
verdict."""

FAILED = frozenset({"wrong", "pytorch"})
"""Verdicts that mean that autograd's number is not the slope."""


def check(result: Result, job: Job) -> dict[str, Checked]:
    """The check of each input of each subject; by `SUBJECT.input` for several subjects."""
    checks: dict[str, Checked] = {}
    for subject in (*result.subjects, *result.underived):
        prefix = f"{subject.name}." if subject.name else ""
        prober = probe(subject, job)
        forms = None if subject.directions else ClosedForms(_wide(subject, prober), job)
        for name in prober.names:
            if (checked := compare(result, subject, name, prober, forms)) is not None:
                checks[prefix + name] = scaled(checked, prober.scale)
    return checks


SCALED = ("slopes", "difference", "left", "right", "absolute")
"""The fields that grow with the slope."""


def scaled(checked: Checked, factor: float) -> Checked:
    """The verdict on slopes, multiplied by a factor."""
    if factor == 1:
        return checked
    fields = {name: getattr(checked, name) * factor for name in SCALED}
    closed = None if checked.closed is None else checked.closed * factor
    return replace(checked, **fields, closed=closed, max_abs_error=checked.max_abs_error * factor)


def compare(
    result: Result, subject: Subject, name: str, prober: Probe, forms: ClosedForms | None = None
) -> Checked | None:
    """The check of a subject's slopes by the input `name`; None if it has none. Without `forms` only
    the catalogue's closed forms are compared.
    """
    pairs = prober.pairs(name)
    try:
        slopes = prober.slopes(prober.inputs, name, pairs) if pairs else None
    except core.NoDerivativeError:
        missing = torch.full((len(pairs),), math.nan)
        return Comparison(prober, name, pairs, missing, None, underived=True).checked()
    if slopes is None:
        return None
    closed, derived = None, False
    with suppress(GradcliError), in_float64():  # of shapes that the formula is not written for
        closed = result.closed_form(_wide(subject, prober), name)
    if closed is None and forms is not None:
        closed, derived = forms.of(name), True
    if closed is not None:
        closed = _chosen(closed, subject, pairs)
        if derived and not _tells(closed, slopes.detach().double()):
            closed = None
    return Comparison(prober, name, pairs, slopes, closed).checked()


def _tells(closed: Tensor, slopes: Tensor) -> bool:
    """Whether the slopes by a derived formula say anything about autograd's, both [pairs].

    The formula was compared with autograd at other points. If it differs at this one, both are
    rounding errors, or the point is at a kink.
    """
    floor = FLOOR * float(slopes.abs().amax())
    return math.isfinite(floor) and torch.allclose(closed, slopes, TOLERANCE, floor)


def _wide(subject: Subject, prober: Probe) -> Subject:
    return subject._replace(inputs=dict(prober.rerun.inputs), upstream=prober.rerun.upstream)


def _chosen(closed: Tensor, subject: Subject, pairs: Sequence[Pair]) -> Tensor:
    if subject.kind in ("jacobian", "hessian"):
        return torch.stack([closed[row, place] for row, place in pairs if row is not None])
    return closed.reshape(-1)[[place for _, place in pairs]]


_Row: TypeAlias = tuple[str, float, float, float, float]
"""Verdict, difference, slopes from the left and the right (NaN unless they differ), and what counts
as zero."""


class _Line:
    """A probe's vector while one element of an input moves, perhaps with some operands held, or
    within a context. Each value is computed once.
    """

    def __init__(
        self, prober: Probe, name: str, place: int, held: Held = None,
        around: AbstractContextManager[Any] | None = None,
    ) -> None:  # fmt: skip
        self._probe, self._name, self.place = prober, name, place
        self._held, self._around = held, around or nullcontext()
        self._start = prober.inputs[name].detach()
        self.x = float(self._start.reshape(-1)[place])
        self._values: dict[float, Tensor | None] = {0.0: prober.base} if held is None else {}

    def inputs(self, offset: float) -> dict[str, Tensor]:
        """The probe's inputs with the element moved by `offset`."""
        moved = self._start.reshape(-1).clone()
        moved[self.place] += offset
        return {**self._probe.inputs, self._name: moved.reshape(self._start.shape)}

    def at(self, offset: float) -> Tensor | None:
        """The vector with the element moved by `offset`; None if it has no value."""
        if offset not in self._values:
            self._values[offset] = None
            with suppress(GradcliError), self._around:
                self._values[offset] = self._probe.value(self.inputs(offset), self._held)
        return self._values[offset]

    def change(self, row: int | None, origin: float = 0.0) -> Change:
        """The change of the number of `row` along the line, from `origin`."""

        def change(step: float) -> tuple[float, float]:
            moved, base = self.at(origin + step), self.at(origin)
            if moved is None or base is None:
                return math.nan, 0.0
            delta, size = self._probe.change(moved, base, row)
            return (delta, size) if math.isfinite(delta) else (math.nan, 0.0)

        return change


class Comparison:
    """What is known of the slopes by one input; `slopes` and `closed` are [pairs]."""

    def __init__(
        self, prober: Probe, name: str, pairs: Sequence[Pair], slopes: Tensor, closed: Tensor | None,
        *, underived: bool = False,
    ) -> None:  # fmt: skip
        self.probe, self.name, self.pairs, self.underived = prober, name, pairs, underived
        self.slopes, self.closed = slopes.detach().double(), closed
        self.epsilon = prober.epsilon
        self.tolerance = max(TOLERANCE, 4 * self.epsilon ** (2 / 3))
        self.floor = _floor(self.slopes)
        self.names = prober.operations
        self._patience = prober.patience

    def checked(self) -> Checked:
        """The verdict on every slope, and the largest errors of those that can be compared."""
        columns = zip(*self._rows(), strict=True)
        verdicts: list[str] = list(next(columns))
        difference, left, right, floors = (torch.tensor(c, dtype=torch.float64) for c in columns)
        references = [difference]
        if self.closed is not None:
            references.append(torch.where(self.closed.isfinite(), self.closed, difference))
        absolute = torch.stack([(self.slopes - r).abs() for r in references]).amax(0)
        largest = torch.stack([self.slopes, *references]).abs().amax(0)
        relative = absolute / (largest + floors / self.tolerance)
        compared = torch.tensor([verdict in ("ok", "flat", *FAILED) for verdict in verdicts])
        absolute = absolute.masked_fill(~compared, math.nan)
        relative = relative.masked_fill(~compared, math.nan)
        worst, most = (
            float(e[compared].max()) if compared.any() else 0.0 for e in (absolute, relative)
        )
        places = [self.probe.label(self.name, pair) for pair in self.pairs]
        return Checked(
            worst, most, FAILED.isdisjoint(verdicts), self.slopes, self.closed, difference,
            verdicts, places,
            left, right, absolute, relative, self._remarks(verdicts),
        )  # fmt: skip

    def _remarks(self, verdicts: Sequence[str]) -> list[str]:
        closed = self.closed is not None
        others = ", closed form and difference" if closed else " and central difference"
        compared = f"{self.probe.method}{others}"
        remarks = [f"{compared} in float64, relative tolerance {self.tolerance:.1g}"]
        if (total := self.probe.total(self.name)) > len(self.pairs):
            remarks.append(f"{len(self.pairs)} of {total} slopes, evenly spaced")
        if drawing := sorted(n for n in self.names if n in DRAWING or "dropout" in n.lower()):
            remarks.append(f"{', '.join(drawing)} drew the same numbers for every evaluation")
        second = "pytorch" in verdicts and isinstance(self.probe, HessianProbe)
        if second and self._has(POWERS):
            mixed = "PyTorch's mixed second derivative of pow (base, exponent)"
            remarks.append(f"{mixed} is 0 at exponent 0, but should be 1/base")
        return remarks

    def _rows(self) -> list[_Row]:
        """All rows, computed input element by element, so that its rows share the values near it."""
        rows: dict[int, _Row] = {}
        by_place = sorted(range(len(self.pairs)), key=self._place)
        for place, several in groupby(by_place, self._place):
            line = _Line(self.probe, self.name, place)
            rows |= {at: self._row(at, line) for at in several}
        return [rows[at] for at in range(len(self.pairs))]

    def _place(self, at: int) -> int:
        return self.pairs[at][1]

    def _row(self, at: int, line: _Line) -> _Row:
        slope, x, change = float(self.slopes[at]), line.x, line.change(self.pairs[at][0])
        if self.underived or math.isfinite(slope):
            central, alike = differences.central_difference(change, x, self.epsilon)
            if alike and (self.underived or self._agree(slope, central)):
                verdict = "none" if self.underived else self._against_closed(at)
                return verdict, central.slope, math.nan, math.nan, self._zero(central)
            if alike and self._patience <= 0 and self._far(slope, central):
                return "wrong", central.slope, math.nan, math.nan, self._zero(central)
        slopes = differences.ridders(change, x, self.epsilon)
        verdict, estimate = self._verdict(at, line, slopes), slopes.central
        self._patience -= verdict == "wrong"
        difference, left, right, floor = math.nan, math.nan, math.nan, self.floor
        if estimate:
            if verdict in ("ok", "flat", "rough"):
                estimates = (estimate, *slopes.rivals, *slopes.blurred)
                estimate = min(estimates, key=lambda estimate: abs(estimate.slope - slope))
            floor = self.floor if verdict in FAILED else self._zero(estimate)
            if verdict not in ("jump", "infinite", "undefined"):
                difference = estimate.slope
        if verdict in ("kink", "jump", "undefined") and slopes.left and slopes.right:
            left, right = slopes.left.slope, slopes.right.slope
            if verdict != "kink":
                left = math.copysign(math.inf, left) if slopes.left.growth > JUMP else left
                right = math.copysign(math.inf, right) if slopes.right.growth > JUMP else right
        return verdict, difference, left, right, floor

    def _against_closed(self, at: int) -> str:
        """The verdict if autograd agrees with the difference: it must match the closed form too."""
        closed = math.nan if self.closed is None else float(self.closed[at])
        slope = float(self.slopes[at])
        if math.isfinite(closed) and not self._near(slope, closed, self.floor):
            return "wrong"
        return "flat" if slope == 0 and self._has(STEPWISE) else "ok"

    def _has(self, names: Set[str]) -> bool:
        return not self.names.isdisjoint(names)

    def _verdict(self, at: int, line: _Line, slopes: Slopes) -> str:
        row = self.pairs[at][0]
        slope, central = float(self.slopes[at]), slopes.central
        if self.underived and central is not None:
            return "undefined" if slopes.jumps or slopes.bends else "none"
        if central is None or not math.isfinite(line.x):
            return "nan" if math.isnan(slope) else "infinite"
        smooth = not (slopes.bends or slopes.diverges)
        one_sided = slopes.left is None or slopes.right is None
        agrees = smooth and self._agree(slope, central)
        deliberate = next((v for name, v in DELIBERATE.items() if name in self.names), "")
        if agrees or any(self._agree(slope, rival) for rival in slopes.rivals):
            return "edge" if one_sided else self._against_closed(at)
        if smooth and self._hidden(slope, slopes):
            known = self.closed is not None and math.isfinite(float(self.closed[at]))
            return self._against_closed(at) if known else "edge" if one_sided else "rough"
        if math.isinf(slope) and slopes.diverges:
            return "infinite"
        if math.isnan(slope) and self._gradient_jumps(line):
            return "undefined"
        if self._right_beside(at, line, slopes) and not (math.isnan(slope) and smooth):
            if one_sided:
                return "edge"
            # An operation may have a kink where the whole has none: relu(x) - relu(-x) is x.
            bent = self._has(STEPWISE | SELECTING) or self.probe.at_kink()
            if smooth and slopes.confirmed and not bent:
                return deliberate or "pytorch"
            if slopes.jumps:
                return "undefined" if math.isnan(slope) else "jump"
            if slopes.confirmed or not smooth:
                return "inner-kink" if smooth else "kink"
        if self._held_agrees(at, line):
            return next(verdict for name, verdict in HELD.items() if self._has({name}))
        if self._padding_agrees(at, line):
            return "padding"
        if row is None and not bool(self.probe.base.isfinite().all()):
            return "nan" if bool(self.probe.base.isnan().any()) else "infinite"
        if deliberate:
            return deliberate
        return "wrong" if slopes.confirmed or math.isnan(slope) else "rough"

    def _gradient_jumps(self, line: _Line) -> bool:
        """Whether a gradient that is differentiated again jumps along the line: then it has no
        derivative, though some of its elements may be constant.
        """
        if not isinstance(self.probe, HessianProbe | HvpProbe):
            return False
        moved = line.at(differences.usual_step(line.x, self.epsilon))
        if moved is None:
            return False
        most = int((moved - self.probe.base).abs().nan_to_num().argmax())
        return differences.ridders(line.change(most), line.x, self.epsilon).jumps

    def _hidden(self, slope: float, slopes: Slopes) -> bool:
        """Whether the slope lies within the rounding error of the difference."""
        rivals = (each for each in slopes.rivals if each.doubt < ROUGH * abs(each.slope))
        estimates = (slopes.central, *rivals, *slopes.blurred)
        return any(each and self._near(slope, each.slope, self._zero(each)) for each in estimates)

    def _zero(self, central: Estimate) -> float:
        """What counts as zero beside a difference."""
        return self.floor + central.doubt + (RESIDUE if central.slope == 0 else 0.0)

    def _agree(self, slope: float, central: Estimate, floor: float | None = None) -> bool:
        """Whether a slope agrees with a difference as closely as a wrong one would not."""
        floor = self.floor if floor is None else floor
        sure = SURE * max(abs(slope), abs(central.slope))
        doubt = central.doubt if slope == 0 else min(central.doubt, sure)
        return self._near(slope, central.slope, floor + doubt)

    def _far(self, slope: float, central: Estimate) -> bool:
        """Whether a slope is off by so much that no closer look will find it right."""
        gap = abs(slope - central.slope)
        return gap > FAR * max(abs(slope), abs(central.slope)) + 4 * self._zero(central)

    def _near(self, a: float, b: float, zero: float) -> bool:
        return bool(abs(a - b) <= self.tolerance * max(abs(a), abs(b)) + zero)

    def _right_beside(self, at: int, line: _Line, slopes: Slopes) -> bool:
        """Whether autograd agrees with the difference a little to the left and to the right.

        Sides without values do not count. A little is some usual steps; beside a kink or a jump
        also less, because another one may be as near.
        """
        usual = differences.usual_step(line.x, self.epsilon)
        less = slopes.steps if slopes.bends or slopes.diverges else ()
        for step in (usual / 4, *(step for step in reversed(less) if step < usual / 4)):
            sides = [self._right_at(at, line, side * 4 * BESIDE * step, step) for side in (-1, 1)]
            if False not in sides and True in sides:
                return True
        return False

    def _right_at(self, at: int, line: _Line, offset: float, step: float) -> bool | None:
        row, x = self.pairs[at][0], line.x + offset
        difference = differences.richardson(line.change(row, offset), x, step, self.epsilon)
        if difference is None:
            return None
        near = [pair for pair in self.pairs if pair[0] == row]
        slopes = self.probe.slopes(line.inputs(offset), self.name, near)
        if slopes is None:
            return self._agree(0.0, difference)
        return self._agree(float(slopes[near.index(self.pairs[at])]), difference, _floor(slopes))

    def _held_agrees(self, at: int, line: _Line) -> bool:
        """Whether autograd is right if what carries no gradient keeps its value."""
        if not self._has(HELD.keys()) or (held := self.probe.held()) is None:
            return False
        return self._agrees_along(at, _Line(self.probe, self.name, line.place, held))

    def _padding_agrees(self, at: int, line: _Line) -> bool:
        """Whether autograd is right if the rows of padding_idx keep their values."""
        if not self._has({"embedding"}):
            return False
        with (padding := PaddingHeld()):
            self.probe.value(self.probe.inputs)
        held = _Line(self.probe, self.name, line.place, around=padding)
        return bool(padding.rows) and self._agrees_along(at, held)

    def _agrees_along(self, at: int, line: _Line) -> bool:
        """Whether autograd is right where the function runs along another line."""
        slopes = differences.ridders(line.change(self.pairs[at][0]), line.x, self.epsilon)
        return self._hidden(float(self.slopes[at]), slopes)


def _floor(slopes: Tensor) -> float:
    """What counts as zero among these slopes."""
    finite = slopes[slopes.isfinite()]
    return NOTHING + (FLOOR * float(finite.abs().max()) if finite.numel() else 0.0)
