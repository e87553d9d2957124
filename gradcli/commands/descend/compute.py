"""`descend`: the steps that an optimiser of torch.optim takes down an expression, with the start in
front.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from gradcli import core
from gradcli.commands.descend.optimizers import Chosen
from gradcli.commands.descend.request import Descend
from gradcli.commands.descend.result import DescendResult, DescentStep, Stopped
from gradcli.evaluate.job import Job
from gradcli.evaluate.machine import evaluate
from gradcli.evaluate.origin import finite, origin
from gradcli.evaluate.run import Run, note_unreached, one_number, run_expression
from gradcli.evaluate.trace import Trace
from gradcli.evaluate.watched import target_of
from gradcli.evidence.notes.notes import collect_notes
from gradcli.language.limits import ELEMENTS


def compute(request: Descend, job: Job) -> DescendResult:
    """The descent of `request` from its inputs, at most `steps` steps long.

    Raises MathError where the expression is not one number or cannot be differentiated, UsageError
    for an optimiser or an argument that PyTorch does not have.
    """
    optimizer = Chosen(request.optimizer, request.lr, request.set)
    start = run_expression(request, job)
    one_number(start.value, "descend minimizes one number")
    size = sum(tensor.numel() for tensor in start.by.values())
    ELEMENTS.check(
        (request.steps + 1) * size, "the parameters of all steps", hint="use fewer --steps"
    )
    collect_notes(job, ())
    torch.set_rng_state(
        start.state
    )  # so that the first step draws what a program without this look would draw
    steps, stopped = _steps(request, optimizer, start, job)
    if not request.wrt:
        _note_moving_target(start, steps, job)
    last = steps[-1]
    return DescendResult(
        **job.header("descend", start.inputs, subjects=[start.subject]),
        expression=start.program.canonical_text,
        steps=steps, parameters=last.parameters, value=last.value, stopped=stopped,
        optimizer=f"{optimizer.name}({optimizer.text})",
    )  # fmt: skip


def _note_moving_target(start: Run, steps: Sequence[DescentStep], job: Job) -> None:
    """Remark on the inputs that have moved, where the target of a loss is made of one of them."""
    first, last = steps[0].parameters, steps[-1].parameters
    moved = [name for name in start.by if not torch.equal(first[name], last[name])]
    if len(moved) < 2:
        return
    trace = Trace(start.program, {**start.inputs, **start.by}, None, job.before)
    for loss, target in filter(
        None, (target_of(one.step, one.sources) for one in trace.operations)
    ):
        if not (isinstance(target, Tensor) and target.requires_grad):
            continue
        slopes = core.gradients(target.sum(), {name: start.by[name] for name in moved}, keep=True)
        if made_of := [name for name, slope in slopes.items() if slope is not None]:
            moving = f"{', '.join(moved[:-1])} and {moved[-1]}"
            said = f"{moving} move, and so does the target of {loss} ({', '.join(made_of)})"
            job.note("moving-target", f"{said}; --wrt NAMES keeps all other inputs fixed")
            return


def _steps(
    request: Descend, chosen: Chosen, start: Run, job: Job
) -> tuple[list[DescentStep], Stopped]:
    """The start and every step, and why there are no more."""
    live = core.require_grad(
        {name: tensor.detach().clone() for name, tensor in start.by.items()}, list(start.by)
    )
    inputs = {**start.inputs, **live}
    optimizer = chosen.over(list(live.values()))
    ready: list[Tensor] = []

    def value() -> Tensor:
        return evaluate(start.program, inputs, job.before).value.reshape(())

    def closure() -> Tensor:
        """The value, and its gradient in each parameter's `.grad`; an optimiser may ask for it
        several times in a step.
        """
        loss = ready.pop() if ready else value()
        for name, slope in core.gradients(loss, live, via="backward").items():
            if slope is None:
                note_unreached(start, name, job, "it does not move")
        return loss

    steps: list[DescentStep] = []
    for number in range(request.steps + 1):
        job.begin_step(number, request.steps)
        loss = value()
        found = {name: tensor.detach().clone() for name, tensor in live.items()}
        steps.append(
            DescentStep(number, loss.detach().clone(), found)
        )  # it may be a view of a parameter
        if not all(map(finite, (loss, *found.values()))):
            job.note("not-a-number", _diverged(steps, start, job))
            return steps, "diverged"
        if (
            number
            and request.min_move is not None
            and _moved(steps[-2], steps[-1]) <= request.min_move
        ):
            return steps, "tolerance"
        if number < request.steps:
            ready.append(loss)
            with chosen.refusals():
                optimizer.step(closure)  # type: ignore[arg-type]
    return steps, "steps"


_CURE = "a smaller --lr may help (gradcli why learning-rate)"


def _diverged(steps: list[DescentStep], start: Run, job: Job) -> str:
    """Where the first number that is not finite came from: the last step, or the gradient of the
    one before.
    """
    cause = ""
    for step in steps[-1:-3:-1]:
        if not cause and all(map(finite, step.parameters.values())):
            cause = origin(start.subject._replace(inputs={**start.inputs, **step.parameters}), job)
    if len(steps) == 1:
        return f"NaN or inf at the start: {cause or 'a parameter itself is not finite'}"
    return f"NaN or inf after step {steps[-1].step}: {cause or 'the step was too large'}; {_CURE}"


def _moved(before: DescentStep, after: DescentStep) -> float:
    """How far the parameter that moved most has moved."""
    moves = [(after.parameters[name] - old).abs() for name, old in before.parameters.items()]
    return max((float(move.max()) for move in moves if move.numel()), default=0.0)
