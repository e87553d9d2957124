"""The autograd wiring: the one place where gradcli asks PyTorch to differentiate.

Everything here takes tensors that PyTorch has recorded and returns plain, detached numbers. What PyTorch refuses becomes
a `MathError` here, once.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor

from gradcli.errors import MathError

Via = Literal["grad", "backward"]

class NoDerivativeError(MathError):
    """PyTorch has the function but no derivative of it, such as `torch.heaviside`."""


@contextmanager
def refusals() -> Iterator[None]:
    """Turn what PyTorch says against a derivative into a MathError with the cure."""
    try:
        yield
    except (RuntimeError, NotImplementedError) as error:
        words = str(error).split(" (Triggered internally")[0].strip()
        if missing := re.search(r"derivative for (\S+) is not implemented", words):
            name = missing[1].removeprefix("aten::")
            raise NoDerivativeError(
                f"PyTorch has no derivative of torch.{name}", topic="step-activation",
                cure="use a smooth stand-in, such as sigmoid for a step",
            ) from None
        if "does not require grad" in words:
            raise MathError(
                "the result does not depend on any input through differentiable operations",
                cure="comparisons, argmax, rounding to integers and constants have no gradient", topic="no-grad",
            ) from None
        if isinstance(error, torch.OutOfMemoryError):
            raise
        raise MathError(f"PyTorch cannot differentiate this: {words}") from None


def leaves(tensors: Mapping[str, Tensor], names: Sequence[str]) -> dict[str, Tensor]:
    """The same tensors, those in `names` as leaves that record what is done with them."""
    return {name: t.detach().requires_grad_() if name in names else t for name, t in tensors.items()}


def gradients(
    output: Tensor, inputs: Mapping[str, Tensor], *, upstream: Tensor | None = None, via: Via = "grad", keep: bool = False
) -> dict[str, Tensor | None]:
    """The gradient of `output` by each input, in the shape of the input: the vjp of `upstream` (shape of `output`).

    Without `upstream`, `output` holds one number. `via` chooses autograd.grad or output.backward(), the numbers are the
    same. None stands for an input that is not on the path. `keep` keeps the graph for a further call.
    Raises MathError where PyTorch cannot differentiate.
    """
    with refusals():
        if via == "backward":
            for tensor in inputs.values():
                tensor.retain_grad()  # for steps on the way; a leaf keeps its gradient anyway
                tensor.grad = None
            output.backward(upstream, retain_graph=keep)
            return {name: tensor.grad for name, tensor in inputs.items()}
        found = torch.autograd.grad(output, list(inputs.values()), upstream, retain_graph=keep, allow_unused=True)
        return dict(zip(inputs, found, strict=True))


def slopes(function: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    """Value and dy_i/dx_i of an elementwise function at x, both in the shape of x: the vjp of ones."""
    x = x.detach().requires_grad_()
    y = function(x)
    slope = gradients(y, {"x": x}, upstream=torch.ones_like(y))["x"]
    return y.detach(), torch.zeros_like(x) if slope is None else slope


def diagonal_slopes(function: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    """Value and dy_i/dx_i of a function that mixes the last dimension of x: one vjp for each place along it."""
    if not x.ndim:
        return slopes(function, x)
    x = x.detach().requires_grad_()
    y = function(x)
    diagonal = torch.zeros_like(x)
    upstream = torch.zeros_like(y)
    for i in range(x.shape[-1]):
        upstream.zero_()[..., i] = 1
        slope = gradients(y, {"x": x}, upstream=upstream, keep=True)["x"]
        if slope is not None:
            diagonal[..., i] = slope[..., i]
    return y.detach(), diagonal


def jacobian_rows(output: Tensor, inputs: Mapping[str, Tensor]) -> dict[str, Tensor | None]:
    """d output / d input by one vjp per element of `output`, each of shape output.shape + input.shape.

    None stands for an input that is not on the path.
    """
    rows: dict[str, Tensor | None] = dict.fromkeys(inputs)
    upstream = torch.zeros_like(output)
    flat = upstream.view(-1)
    for i in range(output.numel()):
        flat[i] = 1
        for name, row in gradients(output, inputs, upstream=upstream, keep=True).items():
            if row is None:
                continue
            block = rows[name]
            if block is None:
                block = rows[name] = row.new_zeros(output.numel(), *row.shape)
            block[i] = row
        flat[i] = 0
    return {name: None if block is None else block.view(output.shape + inputs[name].shape) for name, block in rows.items()}
