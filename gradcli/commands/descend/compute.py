"""`descend`: the start, and the steps that an optimiser of torch.optim takes from it."""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from itertools import islice
from math import nan

import torch
from torch import Tensor

from gradcli import core
from gradcli.commands.descend.optimizers import Chosen
from gradcli.commands.descend.request import Descend
from gradcli.commands.descend.result import DescendResult, DescentStep, Stopped, Update
from gradcli.commands.descend.updates import Updates
from gradcli.errors import GradcliError
from gradcli.evaluate.job import Job
from gradcli.evaluate.machine import evaluate
from gradcli.evaluate.origin import finite, origin
from gradcli.evaluate.run import Run, note_unreached, one_number, run_expression
from gradcli.evaluate.trace import Trace, replay
from gradcli.evaluate.watched import target_of
from gradcli.evidence.notes.notes import collect_notes
from gradcli.language.limits import ELEMENTS

CHEAP, CHEAP_STEPS = 2**13, 2**7
"""The elements and the operations of an expression, at most, that is computed at thousands of points
for a picture."""
_QUANTITIES = 8
"""The quantities of one update that are kept, about."""


def compute(request: Descend, job: Job) -> DescendResult:
    """The descent of `request` from its inputs, at most `steps` steps long.

    Raises MathError if the expression is not one number or cannot be differentiated, UsageError
    for an optimiser or an argument that PyTorch does not have.
    """
    optimizer = Chosen(request.optimizer, request.lr, request.set)
    start = run_expression(request, job)
    one_number(start.value, "descend minimizes one number")
    size = sum(tensor.numel() for tensor in start.by.values())
    total = size * (request.steps + 1)
    ELEMENTS.check(total, "the parameters of all steps", hint="use fewer --steps")
    total = size * _QUANTITIES * request.explained_steps
    ELEMENTS.check(total, "the updates", hint="use fewer --steps, or leave out --full or --explain")
    with suppress(GradcliError):  # which the first step raises too, if there is one
        core.gradients(start.value, start.by)  # what reaches each operation, for its notes
    collect_notes(job, ())
    torch.set_rng_state(start.state)  # the first step draws the numbers that this run has drawn
    steps, stopped, updates = _steps(request, optimizer, start, job)
    if not request.wrt:
        _note_moving_target(start, steps, job)
    last = steps[-1]
    return DescendResult(
        **job.header("descend", start.inputs, subjects=[start.subject]),
        expression=start.program.canonical_text,
        steps=steps,
        parameters=last.parameters,
        value=last.value,
        stopped=stopped,
        updates=updates,
        values_at=_values_at(start, job),
        optimizer=f"{optimizer.name}({optimizer.text})",
    )


def _values_at(start: Run, job: Job) -> Callable[[Sequence[Sequence[float]]], list[float]] | None:
    """The value at each of many points, by the numbers that the first step has drawn."""
    size = sum(tensor.numel() for tensor in start.by.values())
    if size > 2 or start.touched > CHEAP or len(start.program.steps) > CHEAP_STEPS:
        return None

    def value(numbers: Sequence[float]) -> float:
        rest = iter(numbers)
        moved = {
            name: tensor.new_tensor(list(islice(rest, tensor.numel()))).reshape(tensor.shape)
            for name, tensor in start.by.items()
        }
        with suppress(GradcliError):
            inputs = {**start.inputs, **moved}
            return float(replay(start.program, inputs, start.state, job.before).value)
        return nan

    def values(points: Sequence[Sequence[float]]) -> list[float]:
        with job.surroundings():
            return [value(numbers) for numbers in points]

    return values


def _note_moving_target(start: Run, steps: Sequence[DescentStep], job: Job) -> None:
    """Note which inputs moved if the target of a loss is made of one of them, or if by their names
    some are data and others parameters or predictions.
    """
    first, last = steps[0].parameters, steps[-1].parameters
    moved = [name for name in start.by if not torch.equal(first[name], last[name])]
    if len(moved) < 2:
        return
    names = f"{', '.join(moved[:-1])} and {moved[-1]}"
    trace = Trace(start.program, {**start.inputs, **start.by}, None, job.before)
    by = {name: start.by[name] for name in moved}
    targets = [target_of(operation.step, operation.sources) for operation in trace.operations]
    for loss, target in filter(None, targets):
        if not (isinstance(target, Tensor) and target.requires_grad):
            continue
        slopes = core.gradients(target.sum(), by, keep=True)
        if made_of := [name for name, slope in slopes.items() if slope is not None]:
            text = f"{names} move, and so does the target of {loss} ({', '.join(made_of)})"
            modules = dict.fromkeys(name.split(".")[0] for name in moved if "." in name)
            kept = f"--wrt {','.join(modules) or 'NAMES'} keeps all other inputs fixed"
            job.note("moving-target", f"{text}; {kept}")
            return
    data = [name for name in moved if _DATA.fullmatch(name)]
    words = len(data) < len(moved) and any(len(name) > 2 for name in data)  # such as `target`
    if words or (data and any("." in name or _FITTED.fullmatch(name) for name in moved)):
        others = dict.fromkeys(n.split(".")[0] for n in start.by if not _DATA.fullmatch(n))
        are, them = ("are", "them") if len(data) > 1 else ("is", "it")
        text = f"{names} move; if {' and '.join(data)} {are} data"
        job.note("moving-target", f"{text}, --wrt {','.join(others)} keeps {them} fixed")


_DATA = re.compile(r"[xXyYt]\d?|inputs?|data|targets?|labels?")
_FITTED = re.compile(
    r"[wWb](_?\d|_\w+)?|weights?|bias|theta|[oO]|out(puts?)?|logits|pred(ict(ed|ions?)|s)?|y_?(hat|pred)"
)
"""Usual names of data, and of parameters or predictions."""


def _steps(
    request: Descend, chosen: Chosen, start: Run, job: Job
) -> tuple[list[DescentStep], Stopped, list[Update] | None]:
    """The start and every step, why the descent ended, and with --explain the updates in numbers."""
    live = core.require_grad(_copies(start.by), list(start.by))
    inputs = {**start.inputs, **live}
    optimizer = chosen.over(list(live.values()))
    ready: list[Tensor] = []
    slopes: dict[str, Tensor | None] = {}
    """The gradients at the start of the step, of which an optimiser may compute several."""
    updates = Updates(optimizer, live) if request.explain else None

    def value() -> Tensor:
        return evaluate(start.program, inputs, job.before).value.reshape(())

    def closure() -> Tensor:
        """The value, 0-d, with the gradients in `.grad`; an optimiser may call it several times."""
        loss = ready.pop() if ready else value()
        for name, slope in core.gradients(loss, live, via="backward").items():
            slopes.setdefault(name, slope)
            if slope is None:
                note_unreached(start, name, job.note, "it does not move")
        return loss

    steps: list[DescentStep] = []
    stopped: Stopped = "steps"
    for number in range(request.steps + 1):
        job.begin_step(number, request.steps)
        loss, parameters = value(), _copies(live)
        copy = loss.detach().clone()  # the value may be a view of a parameter
        steps.append(DescentStep(number, copy, parameters))
        if not all(map(finite, (loss, *parameters.values()))):
            job.note("not-a-number", _diverged(steps, start, job))
            stopped = "diverged"
            break
        least = request.min_move
        if number and least is not None and _largest_move(*steps[-2:]) <= least:
            stopped = "tolerance"
            break
        if number < request.steps:
            ready.append(loss)
            slopes.clear()
            explained = updates if number < request.explained_steps else None
            with explained.recording(number + 1, slopes) if explained else nullcontext():
                chosen.step(optimizer, closure)
    if updates and updates.formulas is None:
        text = f"gradcli has no formulas for the {chosen.name} of this PyTorch"
        job.note("pytorch", f"{text}: the updates show only what it keeps")
    return steps, stopped, updates.rows if updates else None


def _copies(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


def _diverged(steps: list[DescentStep], start: Run, job: Job) -> str:
    """Where the first number that is not finite came from: the last step, or the one before."""
    cause = ""
    for step in steps[-1:-3:-1]:
        if not cause and all(map(finite, step.parameters.values())):
            cause = origin(start.subject._replace(inputs={**start.inputs, **step.parameters}), job)
    if len(steps) == 1:
        return f"NaN or inf at the start: {cause or 'a parameter itself is not finite'}"
    where = f"NaN or inf after step {steps[-1].step}: {cause or 'the step was too large'}"
    return f"{where}; a smaller --lr may help (gradcli why learning-rate)"


def _largest_move(before: DescentStep, after: DescentStep) -> float:
    """The largest change of any element of a parameter."""
    moves = [(after.parameters[name] - old).abs() for name, old in before.parameters.items()]
    return max((float(move.max()) for move in moves if move.numel()), default=0.0)
