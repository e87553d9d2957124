"""How one operation passes a gradient on to one operand: a local derivative in numbers, or its rule
in words and shapes.

A local derivative is PyTorch's own, of the operation alone. It is given only where upstream *
local, summed over what was broadcast, is what autograd passed on; all else is told in words.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from gradcli import core
from gradcli.catalogue import derivative_rules
from gradcli.catalogue.functions import CATALOGUE
from gradcli.evaluate.naming import Names
from gradcli.evaluate.trace import ExecutedOp, Use
from gradcli.evidence.explain.local_formulas import formula

_ULPS = 64
"""Rounding errors that numbers which are the same may differ by, counted on the largest term of a
sum."""
_TABLES = (
    CATALOGUE,
    derivative_rules.MOVES,
    derivative_rules.ALONG,
    derivative_rules.RULES,
    derivative_rules.SYNONYMS,
)
_MODULES = {name.replace("_", ""): name for table in _TABLES for name in table}
"""The names of functions by those of their modules in lower case, without the dimensions:
`LayerNorm`, `BatchNorm1d`."""


@dataclass(frozen=True)
class Local:
    """The local derivative in numbers, or else the rule in words, and the rule as it is shown."""

    value: Tensor | str
    rule: str


def told(text: str) -> Local:
    """A rule that words alone say."""
    return Local(text, text)


def local_rule(
    called: Names,
    operation: ExecutedOp,
    use: Use,
    reached: Sequence[tuple[Tensor, Tensor]],
    product: Tensor,
) -> Local:
    """How `operation` made `product`, what it passed on to `use`, from `reached`: results and their
    upstream gradients, each in the result's shape.
    """
    name = _known_as(operation)
    shapes = f"{', '.join(_shape(upstream) for _, upstream in reached)} -> {_shape(product)}"
    if name in derivative_rules.MOVES:
        return told(f"{derivative_rules.MOVES[name]}: {shapes}")
    text = ""
    if len(operation.results) == 1:
        result, upstream = reached[0]
        if name == "@" and result.ndim:
            return told(_matmul(called, operation, use, result))
        text = formula(called, operation, use, result, name)
        if not result.ndim or _is_elementwise(operation, name):
            rule = (
                text
                or _told(called, operation, use, name)
                or f"d {operation.name} / d operand, element by element"
            )
            slope = _derivative(operation, use, result, upstream, product)
            return Local(f"upstream * ({rule})" if slope is None else slope, rule)
    words = _told(called, operation, use, name) or (text and f"upstream * ({text})")
    return told(f"{words or f'vjp of {operation.name}'}: {shapes}")


def _known_as(operation: ExecutedOp) -> str:
    """The name under which the rules know an operation."""
    name = operation.name
    if operation.step.kind == "apply":
        squeezed = name.lower()
        name = next(
            (_MODULES[each] for each in (squeezed, squeezed[:-2]) if each in _MODULES), name
        )
    if name in ("max", "min") and any(
        isinstance(other, Tensor) for other in operation.arguments[1:2]
    ):
        return f"{name}imum"
    name = derivative_rules.SYNONYMS.get(name, name)
    if name not in derivative_rules.SETTINGS:
        return name
    key, place, default, meanings = derivative_rules.SETTINGS[name]
    return name + meanings.get(_setting(operation, key, place, default), "")


def _setting(operation: ExecutedOp, key: str, place: int, default: Any = None) -> Any:
    """A parameter of a function or a module as it was given, else its default."""
    if operation.step.kind == "apply":
        return getattr(operation.operands[0], key, default)
    return operation.keywords.get(key, (*operation.arguments, *[default] * place, default)[place])


def _told(called: Names, operation: ExecutedOp, use: Use, name: str) -> str:
    """The rule that the table has for an operation and the role of its operand."""
    if name == "einsum" and (found := _einsum(called, operation, use)):
        return found
    plain = name.partition(" ")[0]
    if name in ("norm", "normalize"):
        return _of_norm(operation, name)
    names = derivative_rules.ROLES.get(operation.step.name) or derivative_rules.ROLES.get(
        plain, ("input", "other")
    )
    place = use.place[0] - (operation.step.kind == "apply")
    named = place - len(operation.arguments)
    role = (
        operation.step.keywords[named] if named >= 0 else names[place] if place < len(names) else ""
    )
    table = derivative_rules.RULES.get(name, {})
    text = table.get(role) or table.get("") or derivative_rules.ALONG.get(name, "")
    if name in ("var", "std"):
        return text.replace("correction", f"{_correction(operation):g}")
    if "upstream*weight" in text and _setting(operation, "weight", names.index("weight")) is None:
        text = text.replace("upstream*weight", "upstream")
    return text


def _correction(operation: ExecutedOp) -> float:
    """What a variance leaves out of the number of its terms."""
    given = [
        *(value for value in operation.arguments[1:] if isinstance(value, bool)),
        *operation.keywords.values(),
    ]
    known = operation.keywords.get("correction")
    return 1 if known is None and False not in given else known or 0


def _of_norm(operation: ExecutedOp, name: str) -> str:
    """The rule of a norm, or of what is divided by it, for the p that was given."""
    key = next((key for key in ("p", "ord") if key in operation.keywords), "p")
    p = _setting(operation, key, 1, 2)
    whole, other = derivative_rules.NORMS[name]
    if p in (None, 2, "fro"):
        return whole
    if p == math.inf:
        return derivative_rules.MAXIMUM_NORM if name == "norm" else ""
    return other.format(p=f"{p:g}") if isinstance(p, int | float) and p > 0 else ""


def _einsum(called: Names, operation: ExecutedOp, use: Use) -> str:
    """The rule of an einsum as another one, where every dimension of the operand is in it once, and
    in something else too.
    """
    equation = operation.arguments[0] if operation.arguments else None
    if not isinstance(equation, str) or "." in equation:
        return ""
    terms, arrow, out = equation.replace(" ", "").partition("->")
    parts, names = terms.split(","), called.operands(operation)[1:]
    at = use.place[-1] - (len(use.place) == 1)
    if len(use.place) > 1 or not arrow or len(names) != len(parts):
        return ""
    own, others = (
        parts[at],
        [(part, text) for i, (part, text) in enumerate(zip(parts, names, strict=True)) if i != at],
    )
    seen = {*out, *(letter for part, _ in others for letter in part)}
    if len(set(own)) < len(own) or not seen.issuperset(own):
        return ""
    equation = ",".join([out, *(part for part, _ in others)])
    return f"einsum('{equation}->{own}', {', '.join(['upstream', *(text for _, text in others)])})"


def _is_elementwise(operation: ExecutedOp, name: str) -> bool:
    """Whether each number of the result is made from one number of each operand, whatever these
    are.
    """
    if name in derivative_rules.FORMULAS or name in derivative_rules.ELEMENTWISE:
        return True
    if name in CATALOGUE:
        return CATALOGUE[name].mixes != "row"
    return _is_pointwise(operation.name)


@cache
def _is_pointwise(name: str) -> bool:
    """Whether PyTorch itself marks a function as elementwise."""
    packets = (getattr(torch.ops.aten, each, None) for each in (name, f"special_{name}"))
    overloads = [
        getattr(packet, each)
        for packet in packets
        if packet is not None
        for each in packet.overloads()
    ]
    return any(torch.Tag.pointwise in overload.tags for overload in overloads)


def close(left: Tensor, right: Tensor, terms: Sequence[Tensor]) -> bool:
    """Whether two tensors of one shape are the same numbers but for rounding, when they are sums of
    `terms`.
    """
    kind = torch.finfo(left.dtype)
    scale = sum((term.abs() for term in terms), torch.zeros_like(left.abs()))
    near = (left - right).abs() <= _ULPS * (kind.eps * scale + kind.smallest_normal)
    return bool((near | (left == right) | (left.isnan() & right.isnan())).all())


def _shape(tensor: Tensor) -> str:
    return str(list(tensor.shape))


def _derivative(
    operation: ExecutedOp, use: Use, result: Tensor, upstream: Tensor, product: Tensor
) -> Tensor | None:
    """d result / d operand, in the operand's shape where the result is one number, else element by
    element.

    None where an operand does not grow to the shape of the result, or where upstream * local is not
    `product` in floating point, as where PyTorch keeps an infinite local derivative from meeting an
    upstream 0.
    """
    operand = use.tensor.detach()
    if (
        result.is_complex()
        or operand.is_complex()
        or result.layout != torch.strided
        or operand.layout != torch.strided
    ):
        return None
    whole = not result.ndim
    try:
        leaf = (operand if whole else operand.expand(result.shape)).clone().requires_grad_()
        value = operation.again(use, leaf)
        if not isinstance(value, Tensor) or value.shape != result.shape:
            return None
        slope = core.gradients(value.sum(), {"": leaf}, keep=True)[""]
        if slope is None:
            return None
    except (
        Exception
    ):  # whatever PyTorch says where an operand cannot grow to the shape of the result
        return None
    terms = (upstream.reshape(()) if whole else upstream) * slope
    passed, scale = (
        term.sum_to_size(operand.shape).to(product.dtype) for term in (terms, terms.abs())
    )
    return slope if close(passed, product, [scale]) else None


def _matmul(called: Names, operation: ExecutedOp, use: Use, result: Tensor) -> str:
    """The rule of a matrix product, a vector as the row or column that it stands for."""
    names = called.operands(operation)
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
