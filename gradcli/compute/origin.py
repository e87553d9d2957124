"""Where NaN and inf come from: the operation of a subject that made the first number that is not finite."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from gradcli import core
from gradcli.compute.job import Job, default_dtype, dtype_name
from gradcli.compute.program import program_of
from gradcli.errors import GradcliError
from gradcli.evaluate.machine import After, Before, Evaluation, evaluate
from gradcli.results import Subject
from gradcli.text.program import Step

FEW = 64
"""Up to so many elements a list of Python numbers is quicker to look through than a tensor."""


def listed(tensor: Tensor) -> list[Any]:
    """The elements of a small tensor in row-major order, without the operations of PyTorch that a view would be."""
    rows = tensor.tolist()
    if tensor.ndim == 1:
        return rows
    if tensor.ndim == 2:
        return list(chain.from_iterable(rows))
    return [rows] if not tensor.ndim else tensor.detach().reshape(-1).tolist()


def finite(tensor: Tensor) -> bool:
    """Whether every number of a tensor is finite."""
    if tensor.is_floating_point():
        if not tensor.ndim:
            return math.isfinite(tensor.item())
        if tensor.numel() <= FEW:
            return all(map(math.isfinite, listed(tensor)))
    elif tensor.is_complex():  # of some of these PyTorch knows neither sum nor isfinite
        return finite(torch.view_as_real(tensor.detach().resolve_conj()))
    else:
        return True
    return bool(torch.isfinite(tensor.detach().sum())) or bool(torch.isfinite(tensor.detach()).all())


def run_again(subject: Subject, inputs: dict[str, Tensor], before: Before, after: After | None = None) -> Evaluation:
    """The value and the named steps of a subject at `inputs`, with the random numbers that it drew the first time."""
    if subject.state is not None:
        torch.set_rng_state(subject.state)
    return evaluate(program_of(subject), inputs, before, after)


@dataclass(frozen=True)
class Done:
    """One operation of a run; each operand that records is an alias of its own, with a gradient of its own."""

    step: Step
    operands: list[Any]
    value: Any


def done(subject: Subject, inputs: dict[str, Tensor], job: Job) -> tuple[list[Done], Tensor]:
    """Every operation of a subject in the order in which it ran, and the value."""
    found: list[Done] = []
    latest: list[Any] = []

    def before(step: Step, operands: list[Any]) -> None:
        job.before(step, operands)
        operands[:] = [core.alias(x) if isinstance(x, Tensor) and x.requires_grad else x for x in operands]
        latest[:] = operands

    def after(step: Step, value: Any) -> None:
        found.append(Done(step, list(latest), value))

    return found, run_again(subject, inputs, before, after).value


def origin(subject: Subject, job: Job) -> str:
    """What made the first number that is not finite, in words; empty where nothing did."""
    for name, tensor in subject.inputs.items():
        if not finite(tensor):
            return f"{name} itself is not finite"
    live = core.leaves(subject.inputs, subject.by)
    steps, value = done(subject, live, job)
    for number, one in enumerate(steps):
        if isinstance(one.value, Tensor) and not finite(one.value):
            return f"{_said(one)} came first{_too_large(subject, number, one.value, job)}"
    return _backward(subject, steps, value)


def _said(one: Done) -> str:
    """An operation with the numbers that it was given, at the first element that is not finite: `log(0) = -inf`."""
    bad = _first_bad(one.value)
    result = _number(one.value.detach().reshape(-1)[bad])
    given = []
    for operand in one.operands:
        if isinstance(operand, Tensor):
            try:
                given.append(_number(operand.detach().broadcast_to(one.value.shape).reshape(-1)[bad]))
            except RuntimeError:
                given.append(f"[{', '.join(map(str, operand.shape))}]")
        elif isinstance(operand, int | float):
            given.append(f"{operand:.6g}")
    name = one.step.name.rpartition(".")[2] or one.step.kind
    if one.step.kind == "operator":
        return f"{f' {name} '.join(given) if len(given) > 1 else name + given[0]} = {result}"
    return f"{name}({', '.join(given)}) = {result}"


def _first_bad(tensor: Tensor) -> Tensor:
    """The place of the first element that is not finite, in row-major order."""
    tensor = tensor.detach()
    bad = ~torch.isfinite(torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor)
    return (bad.any(-1) if tensor.is_complex() else bad).reshape(-1).to(torch.uint8).argmax()


def _number(element: Tensor) -> str:
    number = element.item()
    return str(number) if isinstance(number, complex) else f"{number:.6g}"


def _too_large(subject: Subject, number: int, value: Tensor, job: Job) -> str:
    """That the dtype is to blame, where the same operation is finite in float64."""
    if value.dtype == torch.float64 or not value.is_floating_point():
        return ""
    wide = {name: t.detach().double() if t.is_floating_point() else t for name, t in subject.inputs.items()}
    try:
        with default_dtype(torch.float64):
            steps, _ = done(subject, wide, job)
    except GradcliError:
        return ""
    if number < len(steps) and isinstance(steps[number].value, Tensor) and finite(steps[number].value):
        return f"; {dtype_name(value)} ends at {torch.finfo(value.dtype).max:.6g}, try --dtype float64"
    return ""


def _backward(subject: Subject, steps: Sequence[Done], value: Tensor) -> str:
    """The operation that, going backward, turned a finite gradient into one that is not."""
    if not value.requires_grad:
        return ""
    wanted: dict[str, Tensor] = {}
    for number, one in enumerate(steps):
        for place, tensor in [(-1, one.value), *enumerate(one.operands)]:
            if isinstance(tensor, Tensor) and tensor.requires_grad:
                wanted[f"{number} {place}"] = tensor
    upstream = subject.upstream if subject.upstream is not None else torch.ones_like(value)
    found = core.gradients(value, wanted, upstream=upstream)
    for number in reversed(range(len(steps))):
        reached = found.get(f"{number} -1")
        if reached is None or not finite(reached):
            continue
        for place, operand in enumerate(steps[number].operands):
            passed = found.get(f"{number} {place}")
            if passed is not None and not finite(passed):
                return _turned(steps[number], operand, reached, passed)
    return ""


def _turned(one: Done, operand: Tensor, reached: Tensor, passed: Tensor) -> str:
    bad = _first_bad(passed)
    upstream = (
        f"the gradient {_number(reached.reshape(-1)[bad])}" if reached.shape == passed.shape else "a finite gradient"
    )
    name = one.step.name.rpartition(".")[2] or one.step.kind
    at, result = _number(operand.detach().reshape(-1)[bad]), _number(passed.reshape(-1)[bad])
    return f"going backward, {name} at {at} turns {upstream} into {result}"
