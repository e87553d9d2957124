"""Evidence beside a result: the ledger, the check and what the user expected, each from the result's own subjects."""

from dataclasses import replace
from typing import Any

from gradcli.compute.check import check
from gradcli.compute.expect import expect
from gradcli.compute.job import Job
from gradcli.compute.ledger import ledger
from gradcli.compute.softmax_ledger import softmax_ledger
from gradcli.errors import UsageError
from gradcli.requests.shared import Evidence, Explained
from gradcli.results import GradEachResult, LedgerRow, PerceptronTraining, Result, SoftmaxJacobianResult


def with_evidence(request: Evidence, result: Result, job: Job) -> Result:
    """`result` with what `request` asks for added; `ok` tells whether every check and expectation holds."""
    added: dict[str, Any] = {}
    if isinstance(request, Explained) and request.explain:
        added["ledger"] = _ledgers(result, job)
    if request.check:
        added["check"] = check(result, job)
    if request.expect:
        added["expect"] = expect(request.expect, request.tol, result, job)
    if "check" in added or "expect" in added:
        added["ok"] = all(found.ok for kind in ("check", "expect") for found in added.get(kind, {}).values())
    return replace(result, **added) if added else result


def _ledgers(result: Result, job: Job) -> list[LedgerRow]:
    """The ledger of each subject, one behind the other; where there are several, every name begins with its subject."""
    if isinstance(result, GradEachResult):
        raise UsageError(
            "--explain follows one gradient, and --each makes many", cure="leave out --each, and give one point"
        )
    if isinstance(result, PerceptronTraining):
        raise UsageError("--explain follows one gradient, and --train makes many", cure="give --x, --w and --target")
    if isinstance(result, SoftmaxJacobianResult):
        return softmax_ledger(result)
    rows = []
    for subject in result.subjects:
        prefix = f"{subject.name}: " if subject.name else ""
        rows += [replace(row, name=prefix + row.name) for row in ledger(subject, job)]
    return rows
