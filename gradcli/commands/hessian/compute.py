"""`hessian`: second derivatives, eigenvalues, and the kind of a stationary point."""

import torch
from torch import Tensor

from gradcli import core
from gradcli.commands.hessian.request import Hessian
from gradcli.commands.hessian.result import HessianResult, PointKind
from gradcli.evaluate.job import Job
from gradcli.evaluate.run import leads_to_result, one_number, run_expression
from gradcli.language.limits import ELEMENTS

STATIONARY = 1e-6
"""A gradient is zero when none of its elements exceeds this times (1 + |value|)."""
FLAT = 1e-6
"""An eigenvalue is zero when it does not exceed this times the largest one."""


def compute(request: Hessian, job: Job) -> HessianResult:
    """The Hessian of an expression that is one number.

    Raises MathError if it is not one number, SizeError for a Hessian with too many elements.
    """
    run = run_expression(request, job)
    value = one_number(run.value, "hessian needs one number")
    sizes = {name: tensor.numel() for name, tensor in run.by.items()}
    ELEMENTS.check(sum(sizes.values()) ** 2, "the Hessian")
    slopes, blocks = core.hessian(value, run.by)
    rows = [
        torch.cat([block.reshape(sizes[a], sizes[b]) for b, block in row.items()], dim=1)
        for a, row in blocks.items()
    ]
    eigenvalues = _eigenvalues(torch.cat(rows))
    for name, slope in slopes.items():
        zero = not any(bool(block.any()) for block in (slope, *blocks[name].values()))
        if zero and not leads_to_result(run, name):
            job.note("unused-input", f"the result does not depend on {name}: its derivatives are 0")
    largest = [float(slope.abs().max()) for slope in slopes.values() if slope.numel()]
    stationary = max(largest, default=0.0) <= STATIONARY * (1 + abs(float(value.detach())))
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
