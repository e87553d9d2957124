"""Where NaN and inf come from: the operation of a subject that made the first number that is not
finite.
"""

import math
from collections.abc import Sequence
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from gradcli import core
from gradcli.errors import GradcliError
from gradcli.evaluate.job import Job, default_dtype, dtype_name
from gradcli.evaluate.trace import ExecutedOp, Trace, program_of, tensors
from gradcli.results import Inputs, Subject

FEW = 64
"""Up to so many elements a list of Python numbers is quicker to look through than a tensor."""


def listed(tensor: Tensor) -> list[Any]:
    """The elements of a small tensor of any shape in row-major order, without the operations of
    PyTorch that a view would be.
    """
    rows = tensor.tolist()
    if tensor.ndim == 1:
        return rows
    if tensor.ndim == 2:
        return list(chain.from_iterable(rows))
    return [rows] if not tensor.ndim else tensor.detach().reshape(-1).tolist()


def finite(tensor: Tensor) -> bool:
    """Whether every number of a tensor of any shape and dtype is finite."""
    if tensor.is_floating_point():
        if not tensor.ndim:
            return math.isfinite(tensor.item())
        if tensor.numel() <= FEW:
            return all(map(math.isfinite, listed(tensor)))
    elif tensor.is_complex():  # of some of these PyTorch knows neither sum nor isfinite
        return finite(torch.view_as_real(tensor.detach().resolve_conj()))
    else:
        return True
    return bool(torch.isfinite(tensor.detach().sum())) or bool(
        torch.isfinite(tensor.detach()).all()
    )


def ends(x: Tensor) -> tuple[float, float]:
    """The smallest and the largest number of a tensor of any shape; 0 and 0 where it is empty, nan
    and nan where one of them is nan.
    """
    if x.numel() > FEW:
        low, high = torch.aminmax(x.detach())
        return float(low), float(high)
    found = listed(x) or [0.0]
    if any(number != number for number in found):
        return torch.nan, torch.nan
    return min(found), max(found)


def _traced(subject: Subject, inputs: Inputs, job: Job) -> Trace:
    return Trace(program_of(subject), inputs, subject.state, job.before, uses=True)


def origin(subject: Subject, job: Job) -> str:
    """What made the first number that is not finite, in words; empty where nothing did."""
    live = core.require_grad(subject.inputs, subject.by)
    trace = _traced(subject, live, job)
    steps, value = trace.operations, trace.value
    if finite(value):
        return _backward(subject, live, steps, value)
    names = {id(tensor): name for name, tensor in live.items()}
    made: dict[int, int] = {}
    for number, one in enumerate(steps):
        for tensor in one.results:
            made.setdefault(id(tensor), number)
    # From the value back over what was not finite: a mask of -inf that softmax turned into 0 is not
    # a cause.
    bad = value
    while (number := made.get(id(bad), -1)) >= 0:
        given = [tensor for tensor in tensors(steps[number].sources) if not finite(tensor)]
        if not given:
            return f"{_said(steps[number], bad)} came first{_in_float64(subject, steps, number, bad, job)}"
        bad = min(given, key=lambda tensor: made.get(id(tensor), -1))
    return f"{names[id(bad)]} itself is not finite" if id(bad) in names else ""


def _said(one: ExecutedOp, value: Tensor) -> str:
    """An operation with the numbers that it was given, at the first element that is not finite:
    `log(0) = -inf`.
    """
    bad = _first_bad(value)
    result = _number(value.detach().reshape(-1)[bad])
    given = []
    for operand in one.operands:
        if isinstance(operand, Tensor):
            try:
                given.append(_number(operand.detach().broadcast_to(value.shape).reshape(-1)[bad]))
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
    bad = ~torch.isfinite(
        torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor
    )
    return (bad.any(-1) if tensor.is_complex() else bad).reshape(-1).to(torch.uint8).argmax()


def _number(element: Tensor) -> str:
    number = element.item()
    return str(number) if isinstance(number, complex) else f"{number:.6g}"


def _in_float64(
    subject: Subject, steps: Sequence[ExecutedOp], number: int, value: Tensor, job: Job
) -> str:
    """That the dtype is to blame: in float64 the element that is not finite is too large for it, or
    its operand too small.
    """
    if value.dtype == torch.float64 or not value.is_floating_point():
        return ""
    wide = {
        name: t.detach().double() if t.is_floating_point() else t
        for name, t in subject.inputs.items()
    }
    try:
        with default_dtype(torch.float64):
            again = _traced(subject, wide, job).operations
    except GradcliError:
        return ""
    at, limits = _first_bad(value), torch.finfo(value.dtype)
    place = next(i for i, tensor in enumerate(steps[number].results) if tensor is value)
    found = again[number].results[place].detach().reshape(-1)[at]
    if bool(found.isfinite()) and float(found.abs()) > limits.max:
        return f"; the largest {dtype_name(value)} is {limits.max:.6g}, try --dtype float64"
    for was, now in zip(
        tensors(steps[number].sources), tensors(again[number].sources), strict=True
    ):
        if was.shape == value.shape and now.is_floating_point() and bool(found.isfinite()):
            zero, small = was.detach().reshape(-1)[at], float(now.detach().reshape(-1)[at].abs())
            if zero == 0 and 0 < small < limits.tiny:
                return f"; the 0 is really {small:.6g}, too small for {dtype_name(value)}: try --dtype float64"
    return ""


def _backward(
    subject: Subject, live: dict[str, Tensor], steps: Sequence[ExecutedOp], value: Tensor
) -> str:
    """The operation that, going backward, turned a finite gradient into the one of an input that is
    not.
    """
    if not value.requires_grad:
        return ""
    wanted = {name: live[name] for name in subject.by}
    for number, one in enumerate(steps):
        for place, operand in enumerate(one.operands):
            if isinstance(operand, Tensor) and operand.requires_grad:
                wanted[f"{number} {place}"] = operand
        for place, result in enumerate(one.results):
            if result.requires_grad:
                wanted[f"{number} out {place}"] = result
    upstream = subject.upstream if subject.upstream is not None else torch.ones_like(value)
    found = core.gradients(value, wanted, upstream=upstream)
    broken = {
        key for key, gradient in found.items() if gradient is not None and not finite(gradient)
    }
    # What is not finite on its way back may be dropped again, by where; so only ways that end in an
    # input count.
    reaching = {id(live[name]) for name in subject.by if name in broken}
    turns: list[tuple[int, int]] = []
    for number, one in enumerate(steps):
        inside = [
            place
            for place, source in enumerate(one.sources)
            if id(source) in reaching
            and (not isinstance(source, Tensor) or f"{number} {place}" in broken)
        ]
        if inside:
            reaching |= {id(one.value), *map(id, one.results)}
            if not any(f"{number} out {place}" in broken for place in range(len(one.results))):
                turns += [(number, place) for place in inside if f"{number} {place}" in broken]
    for number, place in turns[::-1]:
        passed, reached = found[f"{number} {place}"], found.get(f"{number} out 0")
        if passed is not None and reached is not None:
            return _turned(steps[number], steps[number].operands[place], reached, passed)
    return ""


def _turned(one: ExecutedOp, operand: Tensor, reached: Tensor, passed: Tensor) -> str:
    bad = _first_bad(passed)
    upstream = (
        f"the gradient {_number(reached.reshape(-1)[bad])}"
        if reached.shape == passed.shape
        else "a finite gradient"
    )
    name = one.step.name.rpartition(".")[2] or one.step.kind
    at, result = _number(operand.detach().reshape(-1)[bad]), _number(passed.reshape(-1)[bad])
    return f"in the backward pass, {name} at {at} turns {upstream} into {result}"
