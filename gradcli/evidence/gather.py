"""Evidence beside a result: the ledger, the check and what the user expected, each from the result's own subjects."""

from dataclasses import replace
from typing import Any

from gradcli.commands.softmax_jacobian.ledger import softmax_ledger
from gradcli.errors import UsageError
from gradcli.evaluate.job import Job
from gradcli.evidence.check.compare import check
from gradcli.evidence.check.pointwise import check_points
from gradcli.evidence.check.probes import element, one_hot
from gradcli.evidence.expect.expect import expect
from gradcli.evidence.explain.ledger import ledger
from gradcli.options.shared import Evidence, Explained
from gradcli.results import (
    FlowResult,
    GradEachResult,
    JacobianResult,
    LedgerRow,
    PerceptronTraining,
    PlotResult,
    Result,
    SoftmaxJacobianResult,
    Subject,
    SurfaceResult,
)


def with_evidence(request: Evidence, result: Result, job: Job) -> Result:
    """`result` with what `request` asks for added; `ok` tells whether every check and expectation holds."""
    added: dict[str, Any] = {}
    if isinstance(request, Explained) and request.explain:
        added["ledger"] = _ledgers(result, job)
    if request.check:
        if isinstance(result, GradEachResult | PlotResult | SurfaceResult | FlowResult):
            added["check"] = check_points(result, job)
        else:
            added["check"] = check(result, job)
    if request.expect:
        added["expect"] = expect(request.expect, request.tol, result, job, _next_step(request, result))
    if "check" in added or "expect" in added:
        added["ok"] = all(found.ok for kind in ("check", "expect") for found in added.get(kind, {}).values())
    return replace(result, **added) if added else result


def _next_step(request: Evidence, result: Result) -> str:
    """What may help with a number that is off and fits no slip: the ledger, where there is one."""
    if isinstance(result, GradEachResult | PlotResult | SurfaceResult):
        shows = "grad --explain at one of the points shows each step"
    elif not isinstance(request, Explained) or isinstance(result, PerceptronTraining) or _is_long(result):
        shows = "--check compares PyTorch's gradient with differences"
    else:
        shows = "the chain rule shows each step" if request.explain else "--explain shows each step"
    return f"no known slip gives your value: {shows}"


def _ledgers(result: Result, job: Job) -> list[LedgerRow]:
    """The ledger of each subject, one behind the other; where there are several, every name begins with its subject."""
    if isinstance(result, GradEachResult):
        raise UsageError(
            "--explain follows one gradient, but --each computes many", cure="leave out --each and give one point"
        )
    if isinstance(result, PerceptronTraining):
        raise UsageError("--explain follows one gradient, but --train computes many", cure="give --x, --w and --target")
    if isinstance(result, SoftmaxJacobianResult):
        return softmax_ledger(result)
    rows = []
    for subject in _explained(result):
        prefix = f"{subject.name}: " if subject.name else ""
        rows += [replace(row, name=prefix + row.name) for row in ledger(subject, job)]
    return rows


EXPLAINED = 20
"""Rows of a Jacobian that are explained, at most."""


def _is_long(result: Result) -> bool:
    return isinstance(result, JacobianResult) and result.value.numel() > EXPLAINED


def _explained(result: Result) -> list[Subject]:
    """What has a ledger of its own: each subject, and of a Jacobian each of its rows.

    Raises UsageError where a Jacobian has too many.
    """
    if not isinstance(result, JacobianResult) or result.value.ndim == 0:
        return list(result.subjects)
    (subject,), value = result.subjects, result.value
    if _is_long(result):
        raise UsageError(
            f"--explain follows at most {EXPLAINED} rows of a Jacobian, and this one has {value.numel()}",
            cure=f"explain one row: gradcli grad EXPR NAME=T --row {','.join('0' for _ in value.shape)} --explain",
        )
    return [
        subject._replace(name=element(result.output, row, value), upstream=one_hot(value.detach(), row))
        for row in range(value.numel())
    ]
