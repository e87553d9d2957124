"""`hessian`: second derivatives, eigenvalues, and the kind of a stationary point."""

from collections.abc import Mapping

import torch
from torch import Tensor

from gradcli import core
from gradcli.commands.hessian.request import Hessian
from gradcli.commands.hessian.result import HessianResult, PointKind, ProductResult, joint
from gradcli.errors import UsageError
from gradcli.evaluate.directions import Directions
from gradcli.evaluate.job import Job
from gradcli.evaluate.run import Run, note_unreached, one_number, run_expression
from gradcli.language.limits import ELEMENTS

STATIONARY = 1e-6
"""A gradient is zero when none of its elements exceeds this times (1 + |value|)."""
FLAT = 1e-6
"""An eigenvalue is zero when it does not exceed this times the largest one."""


def compute(request: Hessian, job: Job) -> HessianResult | ProductResult:
    """The Hessian of an expression that is one number, or its product with a direction.

    Raises MathError if it is not one number, SizeError for a Hessian with too many elements, and
    what a direction raises.
    """
    along = Directions(request.hvp, job, "--hvp")
    run = run_expression(request, job, along.made)
    along.fit(run.inputs)
    value = one_number(run.value, "hessian needs one number")
    return _product(run, value, along, job) if along else _whole(run, value, job)


def _product(run: Run, value: Tensor, along: Mapping[str, Tensor], job: Job) -> ProductResult:
    for name in along:
        if name not in run.by:
            message = f"--hvp: {name} is not in the Hessian, so it has no direction"
            raise UsageError(message, hint=f"--wrt chooses {', '.join(run.by)}: add {name}")
    slopes, products = core.hessian_product(value, run.by, along)
    hvp = {name: slopes[name].new_zeros(slopes[name].shape) for name in run.by}
    hvp |= {name: found for name, found in products.items() if found is not None}
    for name, slope in slopes.items():
        if products[name] is None and not bool(slope.any()):
            _note_unreached(run, name, job)
    subject = run.subject._replace(kind="hvp", directions=along)
    return ProductResult(
        **job.header("hessian", run.inputs, subjects=[subject]),
        expression=run.program.canonical_text,
        value=value,
        gradients=slopes,
        hvp=hvp,
    )


def _note_unreached(run: Run, name: str, job: Job) -> None:
    """Note an input by which autograd returns None; its derivatives are shown as 0."""
    if core.gradients(run.value, {name: run.by[name]}, keep=True)[name] is None:
        note_unreached(run, name, job.note, "its derivatives are 0")


def _whole(run: Run, value: Tensor, job: Job) -> HessianResult:
    ELEMENTS.check(sum(tensor.numel() for tensor in run.by.values()) ** 2, "the Hessian")
    slopes, blocks = core.hessian(value, run.by)
    eigenvalues = _eigenvalues(joint(blocks))
    for name, slope in slopes.items():
        if not any(bool(block.any()) for block in (slope, *blocks[name].values())):
            _note_unreached(run, name, job)
    largest = [float(slope.abs().max()) for slope in slopes.values() if slope.numel()]
    bound = STATIONARY * (1 + abs(float(value.detach())))
    stationary = max(largest, default=0.0) <= bound < torch.inf
    return HessianResult(
        **job.header("hessian", run.inputs, subjects=[run.subject._replace(kind="hessian")]),
        expression=run.program.canonical_text,
        value=value,
        gradients=slopes,
        hessian=blocks,
        eigenvalues=eigenvalues,
        stationary=stationary,
        kind=_kind(eigenvalues) if stationary else None,
    )


def _eigenvalues(matrix: Tensor) -> Tensor:
    """The eigenvalues, [n], of a symmetric matrix, [n, n], ascending and in its dtype.

    They are computed in float64, and NaN if the matrix is not finite.
    """
    if not bool(torch.isfinite(matrix).all()):
        return matrix.new_full(matrix.shape[:1], torch.nan)
    eigenvalues: Tensor = torch.linalg.eigvalsh(matrix.double())
    return eigenvalues.to(matrix.dtype)


def _kind(eigenvalues: Tensor) -> PointKind | None:
    """The kind of a stationary point by the signs of its eigenvalues; None if not finite."""
    if not bool(torch.isfinite(eigenvalues).all()):
        return None
    tolerance = FLAT * float(eigenvalues.abs().max()) if eigenvalues.numel() else 0.0
    up, down = bool((eigenvalues > tolerance).any()), bool((eigenvalues < -tolerance).any())
    if up and down:
        return "saddle"
    if bool((eigenvalues.abs() <= tolerance).any()) or not (up or down):
        return "degenerate"
    return "minimum" if up else "maximum"
