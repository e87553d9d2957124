"""`check`: the user's code called, its gradients compared, and each difference put into a sentence."""

from typing import Any

import torch
from torch import Tensor

from gradcli import core
from gradcli.commands.check import kinds
from gradcli.commands.check.arguments import as_tensor
from gradcli.commands.check.calling import Calls, RefusedError
from gradcli.commands.check.kinds import Own, Recorded, WithGradient
from gradcli.commands.check.probe import few_threads, upstream_of
from gradcli.commands.check.request import Check
from gradcli.commands.check.result import CheckedInput, CheckResult
from gradcli.commands.check.targets import own_code
from gradcli.commands.check.verdicts import Faults, Verdicts, joined, of, share, text_of
from gradcli.errors import MathError, UsageError
from gradcli.evaluate.job import Job, seed
from gradcli.evaluate.machine import evaluate
from gradcli.language.suggest import did_you_mean
from gradcli.results import element

SAME = 1e-7
"""How close the value must be to that of --like, relative to the largest element."""


def compute(request: Check, job: Job) -> CheckResult:
    """The check of the user's code. Raises CodeError for what it raises, UsageError for its inputs."""
    calls = Calls(request.target.module, request.seed)
    inputs = {item.name: job.tensor(item.literal) for item in request.inputs}
    own = own_code(request, calls, inputs)
    own.by = _by(request, own, job)
    outputs = [output.detach() for output in own.outputs(own.inputs)]
    total = sum(output.numel() for output in outputs)
    weighted = not isinstance(own, WithGradient)
    upstream = upstream_of(total)
    if upstream is not None and not weighted:
        upstream = torch.ones_like(upstream)
    own.find_inputs(upstream)
    own.by = _by(request, own, job)
    reason, finding = None, ""
    checks: dict[str, CheckedInput] = {}
    like: dict[str, Tensor | None] = {}
    try:
        given, faults = _gradients(own, upstream)
        if request.like is not None:
            like = _like(own, outputs, upstream, job)
        with few_threads(own):
            verdicts = Verdicts(own, upstream, given, faults, like, outputs)
            verdicts.check_drift()
            checks = verdicts.all(request.second)
    except RefusedError as refused:
        reason, finding = refused.reason, refused.text
    for name, function in own.mutated.items():
        text = f"{function} changes {name} in place: copy it first, or write an operation that makes a new one"
        if name not in checks:
            reason, finding = reason or "mutates", finding or text
        else:
            text = joined(text, checks[name].finding)
            checks[name] = of(checks[name], ok=False, reason="mutates", slip=None, finding=text)
    numbers = {n: torch.tensor(v) for n, v in own.arguments.values.items() if n not in own.inputs}
    headings = "autograd" if own.plain else "yours", "--like" if like else "autograd"
    return CheckResult(
        **job.header("check", own.inputs | numbers), target=request.target.given.text,
        value=outputs[0] if len(outputs) == 1 else outputs, check=checks,
        ok=reason is None and all(each.ok for each in checks.values()), reason=reason,
        finding=finding, settings=[*own.arguments.settings],
        weights="one fixed random upstream gradient" if weighted else "ones",
        headings=dict(zip(("autograd", "closed form"), headings, strict=True)),
    )  # fmt: skip


def _by(request: Check, own: Own, job: Job) -> list[str]:
    """The inputs that need a gradient. Raises UsageError, MathError."""
    try:
        return job.wrt(request.wrt, own.inputs, own.chosen(request.wrt))
    except MathError as error:
        if own.inputs:
            raise
        takes = [*own.arguments.signature.parameters]
        example = " ".join(f"{name}=..." for name in takes) or "NAME=T"
        hint = f"give its inputs: gradcli check {request.target.given.text} {example}"
        raise MathError(f"{own.name} has no input with a gradient", hint=hint) from error


def _gradients(own: Own, upstream: Tensor | None) -> tuple[dict[str, Any], Faults]:
    """The gradient for each input, and those that PyTorch refuses. Raises RefusedError for all.

    A refused shape is one input's: each is then differentiated by alone, so that the others count.
    What the code prints is shown until then.
    """
    given: dict[str, Any] = {}
    faults: Faults = {}
    by = own.by
    try:
        return own.gradients(own.inputs, upstream), faults
    except RefusedError as refused:
        returned = own.returned if isinstance(own, Recorded) else None
        one = len(by) == 1 or (returned is not None and refused.index is not None)
        if refused.reason == "count" or not one:
            refused.text = refused.text.replace("{name}", "its input")
            raise
        for name in by:
            own.by = [name]
            try:
                given |= own.gradients(own.inputs, upstream)
            except RefusedError as error:
                at = error.index
                tensor = None if returned is None or at is None else as_tensor(returned[at])
                faults[name] = error.text.replace("{name}", name), tensor
        own.by = by
        return given, faults
    finally:
        own.calls.quiet = True


def _like(
    own: Own, outputs: list[Tensor], upstream: Tensor | None, job: Job
) -> dict[str, Tensor | None]:
    """The gradients of --like, by name. Raises RefusedError if its value is another one."""
    program = job.program
    missing = [name for name in program.names if name not in own.inputs]
    if missing:
        hint = did_you_mean(missing[0], own.inputs) or f"the inputs are {', '.join(own.inputs)}"
        raise UsageError(f"--like: there is no input {missing[0]!r}", hint=hint)
    by = [name for name in own.by if name in program.names]
    live = core.require_grad({name: own.inputs[name] for name in program.names}, by)
    seed(job.seed, job.device)  # as before each call of the user's code
    expected = evaluate(program, live, job.before).value
    mine = kinds.flattened(outputs)
    shapes: list[Any] = [list(output.shape) for output in outputs]
    shape, wanted = shapes[0] if len(shapes) == 1 else shapes, list(expected.shape)
    if (len(outputs) == 1 and shape != wanted) or mine.numel() != expected.numel():
        text = f"{own.name} returns shape {shape}, and the expression has shape {wanted}"
        raise RefusedError("forward", text)
    flat = expected.detach().reshape(-1).double()
    size = float(flat[flat.isfinite()].abs().max()) if bool(flat.isfinite().any()) else 0.0
    same = torch.isclose(mine, flat, SAME, SAME * size, equal_nan=True)
    if not bool(same.all()):
        at = int((~same).int().argmax())
        place = element("value", at, expected if len(outputs) == 1 else mine)
        text = f"{place} is {text_of(mine[at])}, and the expression gives {text_of(flat[at])}"
        raise RefusedError("forward", text + share(int((~same).sum()), len(flat)))
    leaves = {name: live[name] for name in by}
    slopes = kinds.slopes(expected.reshape(-1), leaves, upstream) if by else None
    return {name: (slopes or {}).get(name) for name in own.by}
