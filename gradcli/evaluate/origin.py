"""The origin of NaN and inf: the operation of a subject that made the first non-finite number."""

import math
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from gradcli import core
from gradcli.errors import GradcliError
from gradcli.evaluate.job import Job, default_dtype, dtype_name
from gradcli.evaluate.trace import ExecutedOp, Trace, program_of, replay, tensors
from gradcli.language.expressions.program import Step
from gradcli.results import Inputs, Subject

FEW = 64
"""Up to this many elements a list of Python numbers is faster to search than a tensor."""


def listed(tensor: Tensor) -> list[Any]:
    """The elements of a small tensor of any shape in row-major order; up to 2-D without PyTorch."""
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
    elif tensor.is_complex():  # PyTorch has neither sum nor isfinite for some of these
        return finite(torch.view_as_real(tensor.detach().resolve_conj()))
    else:
        return True
    tensor = tensor.detach()
    return bool(torch.isfinite(tensor.sum())) or bool(torch.isfinite(tensor).all())


def ends(x: Tensor) -> tuple[float, float]:
    """The smallest and largest number of a tensor of any shape; 0, 0 if empty, nan with any nan."""
    if x.numel() > FEW:
        low, high = torch.aminmax(x.detach())
        return float(low), float(high)
    numbers = listed(x) or [0.0]
    total = sum(numbers)
    if total != total and any(number != number for number in numbers):
        return torch.nan, torch.nan
    return min(numbers), max(numbers)


def _traced(subject: Subject, inputs: Inputs, job: Job) -> Trace:
    return Trace(program_of(subject), inputs, subject.state, job.before, uses=True)


def origin(subject: Subject, job: Job) -> str:
    """What made the first number that is not finite, in words; empty if nothing did."""
    live = core.require_grad(subject.inputs, subject.by)
    trace = _traced(subject, live, job)
    if not finite(trace.value):
        return _made(trace.value, subject, trace, job)
    forward = subject.kind == "jvp"
    found = _forward(subject, job) if forward else _backward(subject, live, trace)
    found = found or _second(subject, live, job)
    step = next((step for step in trace.steps.values() if not finite(step)), None)
    return found if found or step is None else _made(step, subject, trace, job)


def _made(bad: Tensor, subject: Subject, trace: Trace, job: Job) -> str:
    """The operation that made the first non-finite number on the way to `bad`."""
    operations = trace.operations
    names = {id(tensor): name for name, tensor in trace.inputs.items()}
    made: dict[int, int] = {}
    for number, op in enumerate(operations):
        for tensor in op.results:
            made.setdefault(id(tensor), number)
    # Go back over what is not finite: a mask of -inf that softmax turned into 0 is not a cause.
    while (number := made.get(id(bad), -1)) >= 0:
        sources = [tensor for tensor in tensors(operations[number].sources) if not finite(tensor)]
        if not sources:
            dtype = _in_float64(subject, operations[number], number, bad, job)
            return f"{_described(operations[number], bad)} came first{dtype}"
        bad = min(sources, key=lambda tensor: made.get(id(tensor), -1))
    return f"{names[id(bad)]} itself is not finite" if id(bad) in names else ""


def _described(op: ExecutedOp, value: Tensor) -> str:
    """An operation with its numbers at the first element that is not finite: `log(0) = -inf`."""
    bad = _first_bad(value)
    operands = []
    for operand in op.operands:
        if isinstance(operand, Tensor):
            try:
                operands.append(_number(operand.broadcast_to(value.shape), bad))
            except RuntimeError:
                operands.append(f"[{', '.join(map(str, operand.shape))}]")
        elif isinstance(operand, int | float):
            operands.append(f"{operand:.6g}")
    name = _name(op.step)
    text = f"{name}({', '.join(operands)})"
    if op.step.kind == "operator":
        text = f" {name} ".join(operands) if len(operands) > 1 else name + operands[0]
    return f"{text} = {_number(value, bad)}"


def _name(step: Step) -> str:
    return step.name.rpartition(".")[2] or step.kind


def _first_bad(tensor: Tensor) -> Tensor:
    """The place of the first element that is not finite, in row-major order."""
    if tensor.is_complex():
        real = torch.view_as_real(tensor.detach().resolve_conj())
        bad = ~torch.isfinite(real).all(-1)
    else:
        bad = ~torch.isfinite(tensor.detach())
    return bad.reshape(-1).to(torch.uint8).argmax()


def _number(tensor: Tensor, place: Tensor) -> str:
    number = tensor.detach().reshape(-1)[place].item()
    return str(number) if isinstance(number, complex) else f"{number:.6g}"


def _in_float64(subject: Subject, op: ExecutedOp, number: int, value: Tensor, job: Job) -> str:
    """The hint if the dtype is the cause: in float64 the number or its operand is representable."""
    if value.dtype == torch.float64 or not value.is_floating_point():
        return ""
    floating = {n: t.detach().double() for n, t in subject.inputs.items() if t.is_floating_point()}
    try:
        with default_dtype(torch.float64):
            wide = _traced(subject, {**subject.inputs, **floating}, job).operations[number]
    except GradcliError:
        return ""
    at, limits = _first_bad(value), torch.finfo(value.dtype)
    place = next(i for i, tensor in enumerate(op.results) if tensor is value)
    exact = wide.results[place].detach().reshape(-1)[at]
    if not bool(exact.isfinite()):
        return ""
    if float(exact.abs()) > limits.max:
        return f"; the largest {dtype_name(value)} is {limits.max:.6g}, try --dtype float64"
    for narrow, source in zip(tensors(op.sources), tensors(wide.sources), strict=True):
        if narrow.shape == value.shape and source.is_floating_point():
            small = float(source.detach().reshape(-1)[at].abs())
            if narrow.detach().reshape(-1)[at] == 0 and 0 < small < limits.tiny:
                return f"; the 0 is really {small:.6g}, too small for {dtype_name(value)}: try --dtype float64"
    return ""


def _backward(subject: Subject, live: dict[str, Tensor], trace: Trace) -> str:
    """The operation that, in the backward pass, turned a finite gradient into a non-finite one."""
    value = trace.value
    if not value.requires_grad:
        return ""
    inputs = [live[name] for name in subject.by]
    steps = [step for step in trace.steps.values() if step.requires_grad]
    upstream = subject.upstream if subject.upstream is not None else torch.ones_like(value)
    gradients = trace.reached((*inputs, *steps), upstream)
    broken = {number for number, gradient in gradients.items() if not finite(gradient)}
    # A non-finite gradient may be dropped again, by where, so only paths that end in an input count;
    # if it reaches none, those that end in a step, whose gradient is shown too.
    reaching = broken & {*map(id, inputs)} or broken & {*map(id, steps)}
    turns: list[tuple[ExecutedOp, Tensor]] = []
    for op in trace.operations:
        pairs = zip(op.sources, op.operands, strict=True)
        on_path = [operand for source, operand in pairs if id(source) in reaching]
        bad = [operand for operand in on_path if id(operand) in broken]
        if bad or not all(isinstance(operand, Tensor) for operand in on_path):
            reaching |= {id(op.value), *map(id, op.results)}
            if broken.isdisjoint(map(id, op.results)):
                turns += [(op, operand) for operand in bad]
    for op, operand in turns[::-1]:
        if given := next((id(each) for each in op.results if id(each) in gradients), None):
            before, after = gradients[given], gradients[id(operand)]
            where = "in the backward pass"
            return _turning(where, _name(op.step), operand, "gradient", before, after)
    return ""


def _second(subject: Subject, live: dict[str, Tensor], job: Job) -> str:
    """The last operation whose own second derivative is not finite, and reaches an input."""
    if subject.kind not in ("hessian", "hvp"):
        return ""
    trace = _traced(subject, live, job)
    reached = trace.reached((), None, keep=True)
    leaves = {name: live[name] for name in subject.by}
    for op in trace.followed[::-1]:
        own = {use.place: use.tensor.detach().requires_grad_() for use in op.uses}
        made = zip(tensors(op.again(own)), op.results, strict=True)
        parts = [(r * reached[id(old)]).sum() for r, old in made if id(old) in reached]
        total = sum(parts, torch.zeros(()))
        if not total.requires_grad:
            continue
        named = {str(place): leaf for place, leaf in own.items()}
        along = {name: torch.ones_like(leaf) for name, leaf in named.items()}
        products = core.hessian_product(total, named, along)[1]
        for use, second in zip(op.uses, products.values(), strict=True):
            if second is None or finite(second):
                continue
            back = core.gradients(use.tensor, leaves, upstream=second, keep=True)
            if not all(g is None or finite(g) for g in back.values()):
                bad = _first_bad(second)
                at, number = _number(use.tensor, bad), _number(second, bad)
                return f"in the second backward pass, {_name(op.step)} at {at} gives {number}"
    return ""


def _forward(subject: Subject, job: Job) -> str:
    """The operation that, in forward mode, turned finite tangents into one that is not."""
    found: list[str] = []
    operands: list[list[Any]] = []

    def before(step: Step, given: list[Any]) -> None:
        job.before(step, given)
        operands.append([*given])

    def after(step: Step, value: Any) -> None:
        given = [(x, forward.tangent(x)) for x in tensors(operands.pop()) if _real(x)]
        made = (forward.tangent(x) for x in tensors(value) if _real(x))
        broken = next((tangent for tangent in made if not finite(tangent)), None)
        if found or broken is None or not all(finite(t) for x in given for t in x):
            return
        moving = ((x, tangent) for x, tangent in given if bool(tangent.any()))
        x, tangent = next(moving, (broken, broken))
        found.append(_turning("in forward mode", _name(step), x, "tangent", tangent, broken))

    with core.forward_mode() as forward:
        plain = {name: tensor.detach() for name, tensor in subject.inputs.items()}
        duals = forward.duals(plain, subject.directions)
        replay(program_of(subject), duals, subject.state, before, after)
    return "".join(found)


def _real(x: Tensor) -> bool:
    return x.is_floating_point() and x.layout == torch.strided


def _turning(
    where: str, name: str, operand: Tensor, what: str, before: Tensor, after: Tensor
) -> str:
    """An operation at an operand that turned a gradient or a tangent into one that is not finite."""
    bad = _first_bad(after)
    given = f"a finite {what}"
    if before.shape == after.shape:
        given = f"the {what} {_number(before, bad)}"
    place = f" at {_number(operand, bad)}" if operand.shape == after.shape else ""
    return f"{where}, {name}{place} turns {given} into {_number(after, bad)}"
