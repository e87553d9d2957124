"""`--check`: autograd's slopes beside closed forms and central differences, in float64, with a
verdict on each.

A slope is wrong only where the function is smooth, or where autograd is wrong beside the point as
well. Where autograd is right all around a point but not on it, the point itself is special, and its
verdict says how. Where rounding hides a difference that would matter there is no verdict, and that
is said.
"""

import math
from collections.abc import Container, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

from gradcli import core
from gradcli.catalogue.functions import CATALOGUE
from gradcli.catalogue.operators import DRAWING
from gradcli.errors import GradcliError
from gradcli.evaluate.job import Job, once_more
from gradcli.evaluate.rerun import Held, short
from gradcli.evidence.check.differences import (
    JUMP,
    Change,
    Estimate,
    Slopes,
    central_difference,
    richardson,
    ridders,
    usual_step,
)
from gradcli.evidence.check.probes import HessianProbe, Pair, Probe, probe
from gradcli.evidence.notes.notes import at_kink
from gradcli.results import Checked, Result, Subject

TOLERANCE = 1e-5
"""Relative; wider where the expression itself computes in less than float64."""
FLOOR = 1e-7
"""What counts as zero, relative to the largest slope by the same input."""
NOTHING = 1e-30
"""What counts as zero anyway: that small, a number is the rounding of others."""
RESIDUE = 1e-12
"""What rounding may leave in autograd's slope of a constant."""
BESIDE = 16.0
"""How far from a point its neighbourhood is looked at, in usual steps."""
ROUGH = 0.1
"""A difference at larger steps that is in doubt by this part of itself tells nothing."""
SURE = 2.5e-4
"""A slope that agrees only because the difference is in doubt by a larger part of it has no
verdict."""

STEPWISE = frozenset(
    {"round", "floor", "ceil", "trunc", "fix", "sign", "sgn", "//"}
    | {name for name, entry in CATALOGUE.items() if entry.derivative is None}
)
"""Operations that are constant between jumps."""

HELD = {
    **dict.fromkeys(("detach", "detach_copy"), "detached"),
    **dict.fromkeys(("bernoulli", "normal", "poisson", "multinomial"), "random"),
    **dict.fromkeys(STEPWISE, "between-jumps"),
}
"""Operations through which autograd passes no gradient, and the verdict: proved by holding their
operands."""

DELIBERATE = {
    **dict.fromkeys(
        (
            "cholesky",
            "cholesky_ex",
            "cholesky_inverse",
            "cholesky_solve",
            "eigh",
            "eigvalsh",
            "ldl_factor",
            "ldl_factor_ex",
            "matrix_sqrth",
        ),
        "symmetric",
    ),
    **dict.fromkeys(
        ("gumbel_softmax", "fake_quantize_per_tensor_affine", "fake_quantize_per_channel_affine"),
        "straight-through",
    ),
    "ctc_loss": "assumes-log-softmax",
}
"""Operations whose gradient PyTorch defines otherwise than as the slope, and the verdict."""

SELECTING = frozenset(
    {"where", "sort", "msort", "topk", "median", "nanmedian", "kthvalue", "mode", "quantile", "nanquantile", "cummax", "cummin",
     "aminmax", "renorm", "cdist", "pdist", "dist", "fmod", "remainder", "%"}
)  # fmt: skip
"""Operations that may bend, beside those whose kinks are known."""

POWERS = frozenset({"pow", "**", "float_power"})
"""Operations whose second derivative PyTorch has wrong at exponent 0."""

FAILED = frozenset({"wrong", "pytorch"})
"""Verdicts that say that autograd's number is not the slope."""


def check(result: Result, job: Job) -> dict[str, Checked]:
    """What autograd found for each input of each subject, compared; several subjects are told apart
    as `SUBJECT.input`.
    """
    found: dict[str, Checked] = {}
    for subject in (*result.subjects, *result.underived):
        prefix = f"{subject.name}." if subject.name else ""
        looked = probe(subject, job)
        for name in subject.by:
            if (compared := compare(result, subject, name, looked)) is not None:
                found[prefix + name] = compared
    return found


def compare(result: Result, subject: Subject, name: str, looked: Probe) -> Checked | None:
    """The slopes of a subject by the input `name`, compared; None where it has none."""
    pairs = looked.pairs(name)
    try:
        slopes = looked.slopes(looked.inputs, name, pairs) if pairs else None
    except core.NoDerivativeError:
        return _Comparison(
            looked, name, pairs, torch.full((len(pairs),), math.nan), None, underived=True
        ).checked()
    if slopes is None:
        return None
    return _Comparison(
        looked, name, pairs, slopes, _closed_form(result, subject, name, looked, pairs)
    ).checked()


def _closed_form(
    result: Result, subject: Subject, name: str, looked: Probe, pairs: Sequence[Pair]
) -> Tensor | None:
    """The slopes of the pairs in closed form; None where the result knows none."""
    try:
        with once_more(torch.float64):
            wide = subject._replace(inputs=dict(looked.inputs), upstream=looked.rerun.upstream)
            found = result.closed_form(wide, name)
    except GradcliError:  # shapes that the formula is not written for
        return None
    if found is None:
        return None
    if subject.kind == "jacobian":
        return torch.stack([found[row, place] for row, place in pairs if row is not None])
    return found.reshape(-1)[[place for _, place in pairs]]


_Row: TypeAlias = tuple[str, float, float, float, float]
"""Verdict, difference, slopes from the left and the right (NaN unless they differ), and what counts
as zero."""


class _Comparison:
    """All that is known of the slopes by one input."""

    def __init__(
        self, looked: Probe, name: str, pairs: Sequence[Pair], slopes: Tensor, closed: Tensor | None,
        *, underived: bool = False,
    ) -> None:  # fmt: skip
        self.probe, self.name, self.pairs, self.underived = looked, name, pairs, underived
        self.slopes, self.closed = slopes.detach().double(), closed
        self.x = looked.inputs[name].detach().reshape(-1)
        self.epsilon = looked.rerun.coarsest
        self.tolerance = max(TOLERANCE, 4 * self.epsilon ** (2 / 3))
        self.floor = _floor(self.slopes)
        self.operations = [step for step in looked.rerun.program.steps if step.name]
        self._place = -1
        self._moved: dict[float, Tensor | None] = {}
        self._held: Held = None

    def checked(self) -> Checked:
        """The verdict on every slope, and the largest errors of those that can be compared."""
        columns = list(zip(*self._rows(), strict=True))
        verdicts, (differences, lefts, rights, floors) = list(columns[0]), columns[1:]
        difference = self._tensor(differences)
        references = (
            [difference]
            if self.closed is None
            else [difference, torch.where(self.closed.isfinite(), self.closed, difference)]
        )
        absolute = torch.stack([(self.slopes - one).abs() for one in references]).amax(0)
        largest = torch.stack([self.slopes, *references]).abs().amax(0)
        relative = absolute / (largest + self._tensor(floors) / self.tolerance)
        compared = torch.tensor([verdict in ("ok", "flat", *FAILED) for verdict in verdicts])
        absolute, relative = (
            each.masked_fill(~compared, math.nan) for each in (absolute, relative)
        )
        return Checked(
            max_abs_error=float(absolute[compared].max()) if compared.any() else 0.0,
            max_rel_error=float(relative[compared].max()) if compared.any() else 0.0,
            ok=FAILED.isdisjoint(verdicts),
            slopes=self.slopes,
            closed=self.closed,
            difference=difference,
            verdicts=verdicts,
            places=[self.probe.label(self.name, pair) for pair in self.pairs],
            left=self._tensor(lefts),
            right=self._tensor(rights),
            absolute=absolute,
            relative=relative,
            remarks=self._remarks(verdicts),
        )

    @staticmethod
    def _tensor(values: Any) -> Tensor:
        return torch.tensor(values, dtype=torch.float64)

    def _remarks(self, verdicts: Sequence[str]) -> list[str]:
        found = [
            f"autograd, closed form and difference in float64, relative tolerance {self.tolerance:.1g}"
        ]
        if self.closed is None:
            found = [
                f"autograd and central difference in float64, relative tolerance {self.tolerance:.1g}"
            ]
        if (total := self.probe.total(self.name)) > len(self.pairs):
            found.append(f"{len(self.pairs)} of {total} slopes, evenly spaced")
        names = {short(step) for step in self.operations}
        drawing = sorted(name for name in names if name in DRAWING or "dropout" in name.lower())
        if drawing:
            found.append(f"{', '.join(drawing)} drew the same numbers for every evaluation")
        if (
            "pytorch" in verdicts
            and isinstance(self.probe, HessianProbe)
            and not names.isdisjoint(POWERS)
        ):
            found.append(
                "PyTorch's mixed second derivative of pow (base, exponent) is 0 at exponent 0, but should be 1/base"
            )
        return found

    def _rows(self) -> list[_Row]:
        """All rows, made one element of the input after the other, so that the values near one
        serve all of its rows.
        """
        found: dict[int, _Row] = {}
        for at in sorted(range(len(self.pairs)), key=lambda at: self.pairs[at][1]):
            if self.pairs[at][1] != self._place:
                self._place, self._moved = self.pairs[at][1], {}
            found[at] = self._row(at)
        return [found[at] for at in range(len(self.pairs))]

    def _row(self, at: int) -> _Row:
        row, place = self.pairs[at]
        slope, x = float(self.slopes[at]), float(self.x[place])
        change = self._change(row, place)
        if self.underived or math.isfinite(slope):
            central, alike = central_difference(change, x, self.epsilon)
            if alike and (self.underived or self._agree(slope, central)):
                verdict = "none" if self.underived else self._against_closed(at)
                return verdict, central.slope, math.nan, math.nan, self._zero(central)
        slopes = ridders(change, x, self.epsilon)
        verdict = self._verdict(at, slopes)
        found, sides = slopes.central, (slopes.left, slopes.right)
        if found and verdict in ("ok", "flat", "rough"):
            found = min(
                (found, *slopes.rivals, *slopes.blurred), key=lambda each: abs(each.slope - slope)
            )
        floor = self._zero(found) if found else self.floor
        difference = (
            found.slope if found and verdict not in ("jump", "infinite", "undefined") else math.nan
        )
        if verdict in ("kink", "jump", "undefined") and slopes.left and slopes.right:
            left, right = (
                math.copysign(math.inf, side.slope)
                if verdict != "kink" and side.growth > JUMP
                else side.slope
                for side in sides
                if side
            )
            return verdict, difference, left, right, floor
        return verdict, difference, math.nan, math.nan, floor

    def _against_closed(self, at: int) -> str:
        """The verdict where autograd agrees with the difference: it must agree with the closed form
        too.
        """
        closed = math.nan if self.closed is None else float(self.closed[at])
        slope = float(self.slopes[at])
        if math.isfinite(closed) and not self._near(slope, closed, self.floor):
            return "wrong"
        return "flat" if slope == 0 and self._has(STEPWISE) else "ok"

    def _has(self, names: Container[str]) -> bool:
        return any(short(step) in names or step.name in names for step in self.operations)

    def _verdict(self, at: int, slopes: Slopes) -> str:
        row, place = self.pairs[at]
        slope, central = float(self.slopes[at]), slopes.central
        if self.underived and central is not None:
            return "undefined" if slopes.jumps or slopes.bends else "none"
        if central is None or not math.isfinite(float(self.x[place])):
            return "nan" if math.isnan(slope) else "infinite"
        smooth = not (slopes.bends or slopes.diverges)
        one_sided = slopes.left is None or slopes.right is None
        if (smooth and self._agree(slope, central)) or any(
            self._agree(slope, each) for each in slopes.rivals
        ):
            return "edge" if one_sided else self._against_closed(at)
        if smooth and self._hidden(slope, slopes):
            known = self.closed is not None and math.isfinite(float(self.closed[at]))
            return self._against_closed(at) if known else "edge" if one_sided else "rough"
        if math.isinf(slope) and slopes.diverges:
            return "infinite"
        if self._right_beside(at, slopes) and not (math.isnan(slope) and smooth):
            if one_sided:
                return "edge"
            if (
                smooth
                and slopes.confirmed
                and not (self._has(STEPWISE | SELECTING) or self._at_kink())
            ):
                return "pytorch"
            if slopes.confirmed or not smooth:
                return "jump" if slopes.jumps else "kink"
        if self._held_agrees(at):
            return next(verdict for name, verdict in HELD.items() if self._has({name}))
        if row is None and not bool(self.probe.base.isfinite().all()):
            return "nan" if bool(self.probe.base.isnan().any()) else "infinite"
        if found := next(
            (DELIBERATE[short(step)] for step in self.operations if short(step) in DELIBERATE), ""
        ):
            return found
        if any("hermitian" in step.keywords for step in self.operations):
            return "symmetric"
        return "wrong" if slopes.confirmed or math.isnan(slope) else "rough"

    def _hidden(self, slope: float, slopes: Slopes) -> bool:
        """Whether the slope lies within what rounding may have done to the difference."""
        rivals = [each for each in slopes.rivals if each.doubt < ROUGH * abs(each.slope)]
        seen = [slopes.central, *rivals, *slopes.blurred]
        return any(each and self._near(slope, each.slope, self._zero(each)) for each in seen)

    def _at_kink(self) -> bool:
        """Whether some operation is at a kink of its own, which may cancel in the whole: `relu(x) -
        relu(-x)` is x.
        """
        return at_kink(self.probe.rerun.watched())

    def _zero(self, central: Estimate) -> float:
        """What counts as zero beside a difference."""
        return self.floor + central.doubt + (RESIDUE if central.slope == 0 else 0.0)

    def _agree(self, slope: float, central: Estimate, floor: float | None = None) -> bool:
        """Whether a slope agrees with a difference as closely as a wrong one would not."""
        floor = self.floor if floor is None else floor
        sure = SURE * max(abs(slope), abs(central.slope))
        doubt = central.doubt if slope == 0 else min(central.doubt, sure)
        return self._near(slope, central.slope, floor + doubt)

    def _near(self, one: float, other: float, zero: float) -> bool:
        return bool(abs(one - other) <= self.tolerance * max(abs(one), abs(other)) + zero)

    # --- the function along one line -------------------------------------------------------------

    def _change(self, row: int | None, place: int, origin: float = 0.0) -> Change:
        """How the number of `row` changes along the input's element at `place`, from `origin` away
        from its value.
        """

        def change(step: float) -> tuple[float, float]:
            moved, base = self._at(place, origin + step), self._at(place, origin)
            if moved is None or base is None:
                return math.nan, 0.0
            delta, size = self.probe.change(moved, base, row)
            return (delta, size) if math.isfinite(delta) else (math.nan, 0.0)

        return change

    def _at(self, place: int, offset: float) -> Tensor | None:
        """The vector with one element of the input moved by `offset`; None where PyTorch has no
        value there.
        """
        if offset == 0 and self._held is None:
            return self.probe.base
        if offset not in self._moved:
            try:
                self._moved[offset] = self.probe.value(self._inputs(place, offset), self._held)
            except GradcliError:
                self._moved[offset] = None
        return self._moved[offset]

    def _inputs(self, place: int, offset: float) -> dict[str, Tensor]:
        moved = self.x.clone()
        moved[place] += offset
        tensor = self.probe.inputs[self.name]
        return {**self.probe.inputs, self.name: moved.reshape(tensor.shape)}

    def _right_beside(self, at: int, slopes: Slopes) -> bool:
        """Whether autograd agrees with the difference a little to the left and to the right,
        wherever there are values.

        A little is some usual steps; beside a kink or a jump also less, because another one may be
        as near.
        """
        row, place = self.pairs[at]
        usual = usual_step(float(self.x[place]), self.epsilon)
        less = slopes.steps if slopes.bends or slopes.diverges else ()
        for step in (usual / 4, *(step for step in reversed(less) if step < usual / 4)):
            seen = [self._right_at(row, place, side * 4 * BESIDE * step, step) for side in (-1, 1)]
            if False not in seen and True in seen:
                return True
        return False

    def _right_at(self, row: int | None, place: int, offset: float, step: float) -> bool | None:
        x = float(self.x[place]) + offset
        difference = richardson(self._change(row, place, offset), x, step, self.epsilon)
        if difference is None:
            return None
        near = [pair for pair in self.pairs if pair[0] == row]
        found = self.probe.slopes(self._inputs(place, offset), self.name, near)
        if found is None:
            return self._agree(0.0, difference)
        return self._agree(float(found[near.index((row, place))]), difference, _floor(found))

    def _held_agrees(self, at: int) -> bool:
        """Whether autograd is right about the function in which what carries no gradient keeps its
        value.
        """
        if not self._has(HELD):
            return False
        row, place = self.pairs[at]
        kept, self._moved = self._moved, {}
        self._held = self.probe.rerun.operands(frozenset(HELD))
        try:
            return self._hidden(
                float(self.slopes[at]),
                ridders(self._change(row, place), float(self.x[place]), self.epsilon),
            )
        finally:
            self._held, self._moved = None, kept


def _floor(slopes: Tensor) -> float:
    """What counts as zero among these slopes."""
    finite = slopes[slopes.isfinite()]
    return NOTHING + (FLOOR * float(finite.abs().max()) if finite.numel() else 0.0)
