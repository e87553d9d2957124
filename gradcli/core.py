"""The autograd wiring: the one place where gradcli asks PyTorch to differentiate.

Everything here takes tensors that PyTorch has recorded and returns plain, detached numbers. What
PyTorch refuses becomes a `MathError` here, once.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor

from gradcli.errors import MathError

Via = Literal["grad", "backward"]
ROW_OVERHEAD = 125_000
VECTORISE_FROM = 3.75e9
"""One vjp costs as much as reading this many elements (50 us), and torch.func as much as reading
that many (1.5 s), most of it for modules that its first call loads. Measured once; a choice by the
clock would make last digits vary."""
CHUNK = 2**22
"""Elements that one vectorised step may hold, so that memory stays near that of the result."""


class NoDerivativeError(MathError):
    """PyTorch has the function but no derivative of it, such as `torch.heaviside`."""


@contextmanager
def refusals() -> Iterator[None]:
    """Turn what PyTorch says against a derivative into a MathError with the hint."""
    try:
        yield
    except RuntimeError as error:
        raise _refusal(error) from None


def _refusal(error: RuntimeError) -> Exception:
    """The error that says in our words what PyTorch said against a derivative."""
    if isinstance(error, torch.OutOfMemoryError):
        return error
    words = str(error).split(" (Triggered internally")[0].strip()
    if missing := re.search(r"derivative for (\S+) is not implemented", words):
        return NoDerivativeError(
            f"PyTorch has no derivative of torch.{missing[1].removeprefix('aten::')}",
            why_entry="step-activation",
            hint="use a smooth approximation, such as sigmoid for a step",
        )
    if "does not require grad" in words:
        return MathError(
            "the result does not depend on any input through differentiable operations",
            hint="comparisons, argmax, rounding to integers and constants have no gradient",
            why_entry="no-grad",
        )
    return MathError(f"PyTorch cannot differentiate this: {words}")


def require_grad(tensors: Mapping[str, Tensor], names: Sequence[str]) -> dict[str, Tensor]:
    """The same tensors, shapes and dtypes kept, those in `names` as leaves that record what is done
    with them.
    """
    return {
        name: t.detach().requires_grad_() if name in names else t for name, t in tensors.items()
    }


def alias(tensor: Tensor) -> Tensor:
    """The same numbers in the same shape, with a place of their own in the graph: the gradient by
    it is what passes through it.
    """
    return tensor.view_as(tensor) if tensor.layout == torch.strided else tensor.clone()


def gradients(
    output: Tensor,
    inputs: Mapping[str, Tensor],
    *,
    upstream: Tensor | None = None,
    via: Via = "grad",
    keep: bool = False,
) -> dict[str, Tensor | None]:
    """The gradient of `output` by each input, in the shape of the input: the vjp of `upstream`
    (shape of `output`).

    Without `upstream`, `output` holds one number. `via` chooses autograd.grad or output.backward(),
    the numbers are the same. None stands for an input that is not on the path. `keep` keeps the
    graph for a further call. Raises MathError where PyTorch cannot differentiate.
    """
    try:  # not `refusals`, for speed: this is what every job of a batch passes
        if (
            upstream is not None
        ):  # handed to autograd itself, an upstream gradient makes it load SymPy: half a second
            output = (output * upstream).sum()
        if via == "backward":
            for tensor in inputs.values():
                tensor.retain_grad()  # for steps on the way; a leaf keeps its gradient anyway
                tensor.grad = None
            output.backward(retain_graph=keep)  # type: ignore[no-untyped-call]
            return {name: materialize_zeros(tensor.grad) for name, tensor in inputs.items()}
        found = _grad(output, tuple(inputs.values()), keep=keep)
    except RuntimeError as error:
        raise _refusal(error) from None
    return dict(zip(inputs, map(materialize_zeros, found), strict=True))


def materialize_zeros(gradient: Tensor | None) -> Tensor | None:
    """The same gradient, shape and dtype kept, its zeros in memory: for sgn PyTorch gives a tensor
    without any, and reading that may crash it.
    """
    return gradient.clone() if gradient is not None and gradient._is_zerotensor() else gradient


_engine = getattr(torch.autograd.Variable, "_execution_engine", None)


def _grad(output: Tensor, inputs: tuple[Tensor, ...], *, keep: bool) -> tuple[Tensor | None, ...]:
    """`torch.autograd.grad` of one number.

    For a small job a third of its time goes into checks in Python of what is known here. So the
    engine below it is asked directly, with the arguments that it would be given, and only where
    there is nothing to be refused.
    """
    if _engine is None or not (
        inputs and output.requires_grad and output.numel() == 1 and output.is_floating_point()
    ):
        return torch.autograd.grad(output, inputs, retain_graph=keep, allow_unused=True)
    upstream = (torch.ones_like(output),)
    given = ((output,), upstream, keep, False, inputs, True)
    found: tuple[Tensor | None, ...] = _engine.run_backward(*given, accumulate_grad=False)
    return found


def slopes(function: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    """Value and dy_i/dx_i of an elementwise function at x, both in the shape of x: the gradient of
    the sum.
    """
    x = x.detach().requires_grad_()
    y = function(x)
    slope = gradients(y.sum(), {"x": x})["x"]
    return y.detach(), torch.zeros_like(x) if slope is None else slope


def diagonal_slopes(function: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    """Value and dy_i/dx_i, both in the shape of x, of a function that mixes its last dimension: one
    vjp for each place along it.
    """
    if not x.ndim:
        return slopes(function, x)
    x = x.detach().requires_grad_()
    y = function(x)
    diagonal = torch.zeros_like(x)
    for i in range(x.shape[-1]):
        slope = gradients(y[..., i].sum(), {"x": x}, keep=True)["x"]
        if slope is not None:
            diagonal[..., i] = slope[..., i]
    return y.detach(), diagonal


def jacobian(
    function: Callable[[dict[str, Tensor]], Tensor],
    output: Tensor,
    inputs: Mapping[str, Tensor],
    touched: int,
) -> dict[str, Tensor | None]:
    """d output / d input, each of shape output.shape + input.shape, by one vjp per output or by all
    of them vectorised.

    `output` is what `function` returned for `inputs`; `touched` is the number of elements that one
    vjp reads, which decides what is quicker. None stands for an input that is not on the path.
    """
    if output.numel() * (ROW_OVERHEAD + touched) <= VECTORISE_FROM:
        return jacobian_rows(output, inputs)
    on_path = {
        name: inputs[name]
        for name, slope in gradients(output.sum(), inputs, keep=True).items()
        if slope is not None
    }
    try:
        blocks = _jacobian_vectorised(function, output, inputs, on_path)
    except (
        RuntimeError
    ):  # an operation that torch.func cannot vectorise, such as one that depends on the data
        return jacobian_rows(output, inputs)
    return {name: blocks.get(name) for name in inputs}


def _jacobian_vectorised(
    function: Callable[[dict[str, Tensor]], Tensor],
    output: Tensor,
    inputs: Mapping[str, Tensor],
    by: Mapping[str, Tensor],
) -> dict[str, Tensor]:
    """The rows by `torch.func`, a bounded number at a time, written straight into the result: no
    second copy of it.
    """

    def of_chosen(*values: Tensor) -> Tensor:
        return function({**inputs, **dict(zip(by, values, strict=True))})

    vjp = torch.func.vjp(of_chosen, *(tensor.detach() for tensor in by.values()))[1]
    rows = output.numel()
    blocks = {name: tensor.new_empty(rows, *tensor.shape) for name, tensor in by.items()}
    size = max(1, CHUNK // (rows + sum(tensor.numel() for tensor in by.values())))
    for start in range(0, rows, size):
        stop = min(start + size, rows)
        upstream = output.new_zeros(stop - start, rows)
        upstream[torch.arange(stop - start), torch.arange(start, stop)] = 1
        found = torch.func.vmap(vjp)(upstream.view(stop - start, *output.shape))
        for block, part in zip(blocks.values(), found, strict=True):
            block[start:stop] = part
    return {name: block.view(output.shape + by[name].shape) for name, block in blocks.items()}


def jacobian_rows(output: Tensor, inputs: Mapping[str, Tensor]) -> dict[str, Tensor | None]:
    """d output / d input by one vjp per element of `output`, each of shape output.shape +
    input.shape.

    None stands for an input that is not on the path.
    """
    rows: dict[str, Tensor | None] = dict.fromkeys(inputs)
    flat = output.reshape(-1)
    for i in range(output.numel()):
        for name, row in gradients(flat[i], inputs, keep=True).items():
            if row is None:
                continue
            block = rows[name]
            if block is None:
                block = rows[name] = row.new_zeros(output.numel(), *row.shape)
            block[i] = row
    return {
        name: None if block is None else block.view(output.shape + inputs[name].shape)
        for name, block in rows.items()
    }


def hessian(
    output: Tensor, inputs: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], dict[str, dict[str, Tensor]]]:
    """Gradient and Hessian of one number: gradients[a] in the shape of a, hessian[a][b] of shape
    a.shape + b.shape.

    What does not depend on an input has derivative 0 by it.
    """
    with refusals():
        wanted = list(inputs.values())
        found = torch.autograd.grad(output, wanted, create_graph=True, materialize_grads=True)
    slopes = dict(zip(inputs, found, strict=True))
    blocks: dict[str, dict[str, Tensor]] = {}
    for name, slope in slopes.items():
        rows = jacobian_rows(slope, inputs) if slope.requires_grad else dict.fromkeys(inputs)
        blocks[name] = {
            other: slope.new_zeros(slope.shape + inputs[other].shape)
            if block is None
            else block.detach()
            for other, block in rows.items()
        }
    return {name: slope.detach().clone() for name, slope in slopes.items()}, blocks


@dataclass(eq=False)
class GradNode:
    """One node of PyTorch's graph. `operands` are the nodes that it passes gradients on to;
    `function` is PyTorch's object.

    `leaf` is the input where the node only hands over its gradient. `gradients` are those that
    reached the node, one for each output of its operation, None where none did.
    """

    name: str
    function: Any
    leaf: Tensor | None
    operands: list["GradNode"] = field(default_factory=list)
    gradients: tuple[Tensor | None, ...] = ()


def graph(output: Tensor, upstream: Tensor | None = None) -> list[GradNode]:
    """The graph that PyTorch recorded for `output`, its node first, with the gradients that one
    backward pass brings.

    `upstream` is as in `gradients`, and ones where `output` is not one number. The graph is freed.
    """
    with refusals():
        if not output.requires_grad:
            raise RuntimeError("does not require grad")
    upstream = torch.ones_like(output, requires_grad=False) if upstream is None else upstream
    root: Any = output.grad_fn or alias(output).grad_fn.next_functions[0][0]  # type: ignore[union-attr]
    nodes: dict[Any, GradNode] = {}
    agenda = [root]
    for function in agenda:
        if function not in nodes:
            nodes[function] = GradNode(
                function.name(), function, getattr(function, "variable", None)
            )
            agenda.extend(other for other, _ in function.next_functions if other is not None)
    hooks = []
    for function, node in nodes.items():
        node.operands = [nodes[other] for other, _ in function.next_functions if other is not None]
        hooks.append(function.register_prehook(partial(setattr, node, "gradients")))
    inputs = {
        str(number): node.leaf
        for number, node in enumerate(nodes.values())
        if node.leaf is not None
    }
    gradients(output, inputs, upstream=upstream, via="backward")
    for hook in hooks:
        hook.remove()
    return list(nodes.values())
