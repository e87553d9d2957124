"""How one operation passes a gradient on to one operand: a local derivative in numbers, or its rule in words and shapes.

A local derivative is PyTorch's own, of the operation alone. It is given only where upstream * local, summed over what was
broadcast, is what autograd passed on; all else is told in words.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gradcli import core
from gradcli.compute.local_formulas import formula
from gradcli.compute.tape import Operation, Tape, Use
from gradcli.tables import rules
from gradcli.tables.catalogue import ALONG_LAST_DIM, find_activation

_ULPS = 64
"""Rounding errors that numbers which are the same may differ by, counted on the largest term of a sum."""


@dataclass(frozen=True)
class Local:
    """The local derivative in numbers or words, and its formula where it has one."""

    value: Tensor | str
    formula: str = ""


def local_rule(
    tape: Tape, operation: Operation, use: Use, reached: Sequence[tuple[Tensor, Tensor]], product: Tensor
) -> Local:
    """How `operation` made `product`, what it passed on to `use`, from `reached`: results and their upstream gradients."""
    name = _known_as(operation)
    shapes = f"{', '.join(_shape(upstream) for _, upstream in reached)} -> {_shape(product)}"
    if name in rules.MOVES:
        return Local(f"{rules.MOVES[name]}: {shapes}")
    if len(operation.results) == 1:
        result, upstream = reached[0]
        slope = _derivative(operation, use, result, upstream, product, known=_is_elementwise(name))
        if slope is not None:
            return Local(slope, formula(tape, operation, use, result, name))
        if name == "@":
            return Local(_matmul(tape, operation, use, result))
        if name == "linear" and not operation.step.keywords:
            return Local(f"{rules.LINEAR[use.place[0]]}: {shapes}")
    if name in rules.ALONG:
        return Local(f"{rules.ALONG[name]}: {shapes}")
    return Local(f"vjp of {operation.name}: {shapes}")


def _known_as(operation: Operation) -> str:
    """The name under which the rules know an operation."""
    name = operation.name
    if name in ("max", "min") and any(isinstance(other, Tensor) for other in operation.arguments[1:2]):
        return f"{name}imum"
    return rules.SYNONYMS.get(name, name)


def close(left: Tensor, right: Tensor, terms: Sequence[Tensor]) -> bool:
    """Whether two tensors are the same numbers but for rounding, when they are sums of `terms`."""
    kind = torch.finfo(left.dtype)
    scale = sum((term.abs() for term in terms), torch.zeros_like(left.abs()))
    near = (left - right).abs() <= _ULPS * (kind.eps * scale + kind.smallest_normal)
    return bool((near | (left == right) | (left.isnan() & right.isnan())).all())


def _shape(tensor: Tensor) -> str:
    return str(list(tensor.shape))


def _is_elementwise(name: str) -> bool:
    activation = find_activation(name)
    return name in rules.FORMULAS or (activation is not None and activation.name not in ALONG_LAST_DIM)


def _derivative(
    operation: Operation, use: Use, result: Tensor, upstream: Tensor, product: Tensor, *, known: bool
) -> Tensor | None:
    """d result / d operand, in the operand's shape where the result is one number, else element by element.

    None where the operation is not of that kind, or where upstream * local is not `product` in floating point, as where
    PyTorch keeps an infinite local derivative from meeting an upstream 0.
    """
    operand = use.tensor.detach()
    if result.is_complex() or operand.is_complex() or result.layout != torch.strided or operand.layout != torch.strided:
        return None
    whole = result.numel() == 1
    try:
        leaf = (operand if whole else operand.expand(result.shape)).clone().requires_grad_()
        value = operation.again(use, leaf)
        if not isinstance(value, Tensor) or value.shape != result.shape:
            return None
        slope = core.gradients(value.sum(), {"": leaf}, keep=True)[""]
        if slope is None or not (whole or known or _is_diagonal(value, leaf, slope)):
            return None
    except Exception:  # whatever PyTorch says where an operand cannot grow to the shape of the result
        return None
    terms = (upstream.reshape(()) if whole else upstream) * slope
    passed, scale = (term.sum_to_size(operand.shape).to(product.dtype) for term in (terms, terms.abs()))
    return slope if close(passed, product, [scale]) else None


def _is_diagonal(value: Tensor, leaf: Tensor, slope: Tensor) -> bool:
    """Whether each element depends on its own operand alone: then any upstream gradient is passed on times the slope."""
    probe = 1.5 + torch.sin(torch.arange(1, value.numel() + 1, device=value.device)).view(value.shape).to(value.dtype)
    passed = core.gradients(value, {"": leaf}, upstream=probe)[""]
    return passed is not None and close(passed, probe * slope, [probe * slope])


def _matmul(tape: Tape, operation: Operation, use: Use, result: Tensor) -> str:
    """The rule of a matrix product, a vector as the row or column that it stands for."""
    names = tape.operands(operation)
    left, right = (tuple(operand.shape) for operand in operation.arguments[:2])
    batch = tuple(result.shape[: result.ndim - (len(left) > 1) - (len(right) > 1)])
    left, right = left if len(left) > 1 else (1, *left), right if len(right) > 1 else (*right, 1)
    upstream = [*batch, left[-2], right[-1]]
    if use.place[0] == 0:
        factor = [*right[:-2], right[-1], right[-2]]
        words, shapes = f"upstream @ {_transposed(names[1])}", f"{upstream} @ {factor}"
        made, wanted = (*batch, *left[-2:]), left
    else:
        factor = [*left[:-2], left[-1], left[-2]]
        words, shapes = f"{_transposed(names[0])} @ upstream", f"{factor} @ {upstream}"
        made, wanted = (*batch, *right[-2:]), right
    summed = "" if made == wanted else f", summed to {list(wanted)}"
    return f"dL/d{_atom(names[use.place[0]])} = {words}: {shapes} = {list(made)}{summed}"


def _transposed(name: str) -> str:
    return name.removesuffix(".T") if name.endswith(".T") else f"{_atom(name)}^T"


def _atom(name: str) -> str:
    """A name as it can stand beside ^T and behind d."""
    return name if name.isidentifier() else f"({name})"
