"""Evidence for a result: the ledger, the check and the user's expectations."""

from dataclasses import replace
from typing import Any

from gradcli.evaluate.job import Job
from gradcli.evidence.check.compare import check
from gradcli.evidence.check.pointwise import check_points
from gradcli.evidence.expect.expect import expect
from gradcli.evidence.explain.forward import forward_ledger
from gradcli.evidence.explain.ledger import ledger
from gradcli.options.shared import EvidenceOptions, ExpectOptions, ExplainOptions
from gradcli.results import Result


def with_evidence(request: ExpectOptions, result: Result, job: Job) -> Result:
    """`result` with the evidence for `request`; `ok`: whether every check and expectation holds."""
    added: dict[str, Any] = {}
    if isinstance(request, ExplainOptions) and request.explain:
        added |= _ledgers(result, job)
    if isinstance(request, EvidenceOptions) and request.check:
        added["check"] = {} if result.points else check(result, job)
        for points in result.points:
            added["check"] |= check_points(result, points, job)
    if request.expect:
        found = expect(request.expect, request.tol, result, job, _next_step(request, result))
        added["expect"], added["first_wrong"] = found
    if verdicts := [added[kind] for kind in ("check", "expect") if kind in added]:
        added["ok"] = all(verdict.ok for named in verdicts for verdict in named.values())
    return replace(result, **added) if added else result


def _ledgers(result: Result, job: Job) -> dict[str, Any]:
    """The ledger of gradients, and that of forward mode, each if there is something to follow."""
    if (rows := result.written_out()) is not None:
        return {"ledger": rows}
    subjects = result.explained()
    along = [subject for subject in subjects if subject.kind == "jvp"]
    back = [subject for subject in subjects if subject.kind != "jvp"]
    found: dict[str, Any] = {}
    if back or not along:
        found["ledger"] = [row for subject in back for row in ledger(subject, job)]
    if along:
        found["forward"] = [row for subject in along for row in forward_ledger(subject, job)]
    return found


def _next_step(request: ExpectOptions, result: Result) -> str:
    """What may help with an unexpected number without a slip: the ledger, if there is one."""
    if any(points.what == "points" for points in result.points):
        shows = "grad --explain at one of the points shows each step"
    elif not isinstance(request, EvidenceOptions):
        shows = "name its steps, h = ...; ..., to compare the value of each"
    elif not isinstance(request, ExplainOptions) or not result.explainable:
        shows = "--check compares PyTorch's gradient with differences"
    else:
        shown = "the chain rule" if request.explain else "--explain"
        shows = f"{shown} shows each step, and gradcli derive finds the formula"
    return shows
