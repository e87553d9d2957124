"""`grad`: the value of an expression, and its gradient by each input and each named step."""

import shlex
from collections.abc import Callable
from math import prod

import torch
from torch import Tensor

from gradcli import core
from gradcli.compute.job import Job
from gradcli.compute.refusals import translated
from gradcli.errors import MathError, ShapeError, UsageError
from gradcli.evaluate import evaluate
from gradcli.requests.grad import Grad
from gradcli.results import GradResult, Intermediate
from gradcli.text import expression


def grad(request: Grad, job: Job) -> GradResult:
    """The program of `request` run and differentiated.

    Raises MathError where there is nothing to differentiate, or where the result is not one number and no upstream gradient
    was chosen.
    """
    inputs, defaults = (_fn_inputs if request.fn else _named_inputs)(request, job)
    program = expression.parse(request.source(job.read_stdin), request.input_names)
    chosen = job.wrt(request.wrt, inputs, _default_wrt(request, inputs, defaults))
    live = core.leaves(inputs, chosen)
    outcome = evaluate(program, live, job)
    value = outcome.value
    upstream, seed = _upstream(request, value, job)
    steps = {name: step for name, step in outcome.intermediates.items() if step.requires_grad}
    found = core.gradients(value, {**{name: live[name] for name in chosen}, **steps}, upstream=upstream, via=request.via)
    for name in chosen:
        if found[name] is None:
            job.note("unused-input", f"the result does not depend on {name}: its gradient is null")
    whole = [name for name in inputs if name not in chosen and not inputs[name].is_floating_point() and not request.wrt]
    return GradResult(
        **job.header("grad", inputs, defaults),
        expression=program.understood,
        value=value,
        gradients={name: found.get(name) for name in inputs if name in chosen or name in whole},
        intermediates={name: Intermediate(step, found.get(name)) for name, step in outcome.intermediates.items()},
        seed=seed,
    )


def _named_inputs(request: Grad, job: Job) -> tuple[dict[str, Tensor], list[str]]:
    return {item.name: job.tensor(item.literal) for item in request.inputs}, []


def _fn_inputs(request: Grad, job: Job) -> tuple[dict[str, Tensor], list[str]]:
    """x, w, b and for a loss y; w = 1, b = 0 and y = ones in the shape of x*w + b where they are not given."""
    given = {name: getattr(request, name) for name in request.input_names}
    inputs = {name: job.tensor(literal) for name, literal in given.items() if literal is not None}
    for name, default in (("w", 1.0), ("b", 0.0)):
        inputs.setdefault(name, job.number(default))
    if "y" in given and given["y"] is None:
        x, w, b = inputs["x"], inputs["w"], inputs["b"]
        with translated("x*w + b", x=x, w=w, b=b):
            inputs["y"] = torch.ones(torch.broadcast_shapes(x.shape, w.shape, b.shape), dtype=job.dtype, device=job.device)
    defaults = [name for name, literal in given.items() if literal is None]
    return {name: inputs[name] for name in given}, defaults


def _default_wrt(request: Grad, inputs: dict[str, Tensor], defaults: list[str]) -> list[str]:
    """Every floating-point input that the user gave; with --fn not the target."""
    left_out = {*defaults, *(["y"] if request.fn else [])}
    return [name for name, tensor in inputs.items() if tensor.is_floating_point() and name not in left_out]


def _upstream(request: Grad, value: Tensor, job: Job) -> tuple[Tensor | None, str]:
    """The upstream gradient in the shape of the result, and what to call it; None where the result is one number."""
    if request.row is not None:
        return _one_hot(value, request.row), f"row {','.join(map(str, request.row))}"
    if request.vjp is not None:
        upstream = job.tensor(request.vjp).to(value.dtype)
        if upstream.shape != value.shape:
            raise ShapeError(
                f"--vjp: the upstream gradient has shape {list(upstream.shape)}, the result has {list(value.shape)}",
                cure="give one number for each element of the result", topic="vjp-shape",
            )  # fmt: skip
        return upstream, "the result with the given upstream gradient"
    if value.numel() != 1:
        raise MathError(
            f"the result is not one number: its shape is {list(value.shape)}", cure=_cures(request, value), topic="non-scalar"
        )
    return None, ""


def _one_hot(value: Tensor, row: tuple[int, ...]) -> Tensor:
    """1 at the chosen element, 0 elsewhere; negative indices count from the end."""
    inside = len(row) == value.ndim and all(-size <= i < size for i, size in zip(row, value.shape, strict=True))
    if not inside:
        wanted = ",".join(str(size - 1) for size in value.shape)
        cure = f"the last one is --row {wanted}" if value.numel() and value.ndim else "leave out --row"
        raise UsageError(f"--row {','.join(map(str, row))}: the result has shape {list(value.shape)}", cure=cure)
    upstream = torch.zeros_like(value, requires_grad=False)
    upstream[row] = 1
    return upstream


def _cures(request: Grad, value: Tensor) -> str:
    """The ways out of a result that is not one number, as commands to copy."""
    words = _words(request)
    first = ",".join("0" for _ in value.shape)
    ones = f"ones({','.join(map(str, value.shape))})"
    return "\n".join([f"{words} --row {first}", f"{words} --vjp {shlex.quote(ones)}"])


def _words(request: Grad) -> str:
    """The command as it was given."""
    if request.fn is not None:
        given = [(f"--{name}", getattr(request, name)) for name in request.input_names if getattr(request, name) is not None]
        return " ".join(["gradcli grad --fn", shlex.quote(request.fn.text), *(f"{k} {shlex.quote(v.source.text)}" for k, v in given)])
    assert request.expression is not None
    inputs = [shlex.quote(f"{item.name}={item.literal.source.text}") for item in request.inputs]
    return " ".join(["gradcli grad", shlex.quote(request.expression.given.text), *inputs])
