"""How one operation passes a gradient on to one operand: in numbers, or in words and shapes.

A local derivative is PyTorch's own, of the operation alone. It is given only if upstream * local,
summed over what was broadcast, is what autograd passed on; anything else is a rule in words.
"""

import math
from collections.abc import Mapping, Sequence
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
"""Rounding errors by which equal numbers may differ, relative to the largest term of a sum."""
_TABLES = (
    CATALOGUE, derivative_rules.MOVES, derivative_rules.ALONG, derivative_rules.RULES, derivative_rules.SYNONYMS,
    derivative_rules.ELEMENTWISE,
)  # fmt: skip
_MODULES = {name.replace("_", ""): name for table in _TABLES for name in table}
"""The functions by the names of their modules in lower case, without dimensions: `LayerNorm`,
`BatchNorm1d`."""


@dataclass(frozen=True)
class Local:
    """The local derivative in numbers, in the result's shape, or for a 0-d result in the operand's;
    or the rule in words; and the rule as it is shown.
    """

    value: Tensor | str
    rule: str


def in_words(text: str) -> Local:
    """A rule in words alone."""
    return Local(text, text)


def local_rule(
    names: Names, operation: ExecutedOp, use: Use, reached: Sequence[tuple[Tensor, Tensor]],
    product: Tensor
) -> Local:  # fmt: skip
    """How `operation` made `product`, the gradient that it passed on to `use`.

    `reached` are results and their upstream gradients, each in the result's shape.
    """
    name = known_as(operation)
    shapes = f"{', '.join(_shape(upstream) for _, upstream in reached)} -> {_shape(product)}"
    if name in derivative_rules.MOVES:
        return in_words(f"{derivative_rules.MOVES[name]}: {shapes}")
    text = ""
    if len(operation.results) == 1:
        result, upstream = reached[0]
        if name == "@" and result.ndim:
            return in_words(_matmul(names, operation, use, result))
        text = formula(names, operation, use, result, name)
        if not result.ndim or is_elementwise(operation):
            rule = text or rule_for(names, operation, use, name)
            rule = rule or f"d {operation.name} / d operand, element by element"
            slope = in_numbers(operation, use, result, upstream, product)
            return Local(f"upstream * ({rule})" if slope is None else slope, rule)
    rule = rule_for(names, operation, use, name)
    if rule.endswith(derivative_rules.AVERAGED):  # of each row
        text, rule = rule.removesuffix(derivative_rules.AVERAGED), ""
    words = rule or (text and f"upstream * ({text})")
    return in_words(f"{words or f'vjp of {operation.name}'}: {shapes}")


def known_as(operation: ExecutedOp) -> str:
    """The name of an operation in the tables of rules."""
    name = operation.name
    if operation.step.kind == "apply":
        module = name.lower()
        name = _MODULES.get(module) or _MODULES.get(module[:-2], name)
    binary = any(isinstance(other, Tensor) for other in operation.arguments[1:2])
    if name in ("max", "min") and binary:
        return f"{name}imum"
    name = derivative_rules.SYNONYMS.get(name, name)
    if name in ("norm", "matrix_norm"):
        return "matrix_norm" if _is_of_matrices(operation) else "norm"
    if name == "diag" and operation.arguments[0].ndim == 1:
        return "diag_embed"
    if name == "index" and _gathers(operation.arguments[1]):
        return "index by numbers"
    if name not in derivative_rules.SETTINGS:
        return name
    key, place, default, meanings = derivative_rules.SETTINGS[name]
    return name + meanings.get(_setting(operation, key, place, default), "")


def _gathers(index: Any) -> bool:
    """Whether an index holds lists or tensors of numbers, which may choose an element twice."""
    parts = index if isinstance(index, tuple) else (index,)
    return any(
        isinstance(part, list) or (isinstance(part, Tensor) and part.dtype != torch.bool)
        for part in parts
    )


def _setting(operation: ExecutedOp, key: str, place: int, default: Any = None) -> Any:
    """A parameter of a function or a module as given, otherwise its default."""
    if operation.step.kind == "apply":
        module = operation.operands[0]
        if key == "use_input_stats":
            return module.training or not module.track_running_stats
        return getattr(module, key, default)
    return operation.keywords.get(key, (*operation.arguments, *[default] * place, default)[place])


def rule_for(names: Names, operation: ExecutedOp, use: Use, name: str) -> str:
    """The rule in the table for an operation and the role of its operand."""
    if name == "einsum" and (found := _einsum(names, operation, use)):
        return found
    if name in derivative_rules.NORMS:
        return _of_norm(operation, name)
    if name.startswith(("cross_entropy", "nll_loss")) and not _is_of_classes(operation, use):
        return ""
    text = by_role(derivative_rules.RULES, operation, use, name)
    text = text or derivative_rules.ALONG.get(name, "")
    if "correction" in text:
        return text.replace("correction", f"{_correction(operation):g}")
    place = _roles(operation, name).index("weight") if "upstream*weight" in text else 0
    if place and _setting(operation, "weight", place) is None:
        text = text.replace("upstream*weight", "upstream")
    return text


def by_role(
    table: Mapping[str, Mapping[str, str]], operation: ExecutedOp, use: Use, name: str
) -> str:
    """What a table has for an operation and the role of its operand, or for any; empty if nothing."""
    place = use.place[0] - (operation.step.kind == "apply")
    named = place - len(operation.arguments)
    roles = _roles(operation, name)
    role = operation.step.keywords[named] if named >= 0 else "".join(roles[place : place + 1])
    role = role.removeprefix(".").replace(".", "_")  # a parameter of a module
    texts = table.get(name, {})
    return texts.get(role) or texts.get("", "")


def _roles(operation: ExecutedOp, name: str) -> Sequence[str]:
    """The roles of the operands of an operation, by place."""
    by_name = derivative_rules.ROLES
    plain = name.partition(" ")[0]
    return by_name.get(operation.step.name) or by_name.get(plain, ("input", "other"))


def _is_of_classes(operation: ExecutedOp, use: Use) -> bool:
    """Whether the target of a loss is classes, not probabilities, given or by label smoothing, and
    no deprecated parameter replaces `reduction`.
    """
    target = [*operation.arguments[1:2], operation.keywords.get("target")][0]
    alike = isinstance(target, Tensor) and target.shape == use.tensor.shape
    replaced = (_setting(operation, key, at) for key, at in (("size_average", 3), ("reduce", 5)))
    smooth = _setting(operation, "label_smoothing", 7)
    return not (alike or smooth or any(each is not None for each in replaced))


def _correction(operation: ExecutedOp) -> float:
    """The correction of a variance, subtracted from the number of its terms."""
    flags = (value for value in operation.arguments[1:] if isinstance(value, bool))
    unbiased = operation.keywords.get("unbiased", next(flags, True))
    correction: float | None = operation.keywords.get("correction")
    return unbiased if correction is None else correction


def _of_norm(operation: ExecutedOp, name: str) -> str:
    """The rule of a norm, or of what is divided by it, for the given order."""
    texts, order = derivative_rules.NORMS[name], _order(operation)
    order = 2 if order in (None, "fro") else order
    general = isinstance(order, int | float) and 0 < order < math.inf
    return texts.get(order) or (texts.get("p", "").format(p=order) if general else "")


def _order(operation: ExecutedOp) -> Any:
    """The order of a norm as given; None for the default."""
    key = next((key for key in ("p", "ord") if key in operation.keywords), "p")
    return _setting(operation, key, 1)


def _is_of_matrices(operation: ExecutedOp) -> bool:
    """Whether a norm is one of matrices that no norm of all their numbers equals."""
    order, dim = _order(operation), _setting(operation, "dim", 2)
    dims = operation.uses[0].tensor.shape if dim is None else dim
    several = operation.step.name == "linalg.norm" and isinstance(dims, tuple | list)
    named = (several and len(dims) == 2) or operation.name == "matrix_norm"
    return order == "nuc" or (named and order not in (None, "fro"))


def _einsum(names: Names, operation: ExecutedOp, use: Use) -> str:
    """The rule of an einsum as another, if each of the operand's dimensions is also elsewhere."""
    equation = operation.arguments[0] if operation.arguments else None
    if not isinstance(equation, str) or "." in equation:
        return ""
    left, arrow, out = equation.replace(" ", "").partition("->")
    terms, operands = left.split(","), names.operands(operation)[1:]
    if len(use.place) > 1 or not arrow or len(operands) != len(terms):
        return ""
    at = use.place[0] - 1
    own, _ = terms.pop(at), operands.pop(at)
    if len(set(own)) < len(own) or not {*out, *"".join(terms)}.issuperset(own):
        return ""
    return f"einsum('{','.join([out, *terms])}->{own}', {', '.join(['upstream', *operands])})"


def is_elementwise(operation: ExecutedOp) -> bool:
    """Whether each number of the result depends on one number of each operand."""
    name = known_as(operation)
    if name in derivative_rules.FORMULAS or name in derivative_rules.ELEMENTWISE:
        return True
    if name in CATALOGUE:
        return CATALOGUE[name].mixes != "row"
    return _is_pointwise(operation.name)


@cache
def _is_pointwise(name: str) -> bool:
    """Whether PyTorch marks a function as elementwise."""
    packets = (getattr(torch.ops.aten, path, None) for path in (name, f"special_{name}"))
    found = (getattr(packet, each) for packet in packets if packet for each in packet.overloads())
    return any(torch.Tag.pointwise in overload.tags for overload in found)


def close(left: Tensor, right: Tensor, terms: Sequence[Tensor]) -> bool:
    """Whether two sums of `terms`, of one shape, are the same but for rounding."""
    limits = torch.finfo(left.dtype)
    scale = sum((term.abs() for term in terms), torch.zeros_like(left.abs()))
    near = (left - right).abs() <= _ULPS * (limits.eps * scale + limits.smallest_normal)
    return bool((near | (left == right) | (left.isnan() & right.isnan())).all())


def _shape(tensor: Tensor) -> str:
    return str(list(tensor.shape))


def in_numbers(
    operation: ExecutedOp, use: Use, result: Tensor, passed: Tensor, product: Tensor
) -> Tensor | None:
    """d result / d operand, in the operand's shape if the result is one number, else elementwise.

    `passed` is the upstream gradient in the shape of the result, or the tangent in that of the
    operand. None if an operand does not expand to the shape of the result, or if passed * local,
    summed over what was broadcast, is not `product`: PyTorch does not multiply an infinite local
    derivative by an upstream 0.
    """
    local = slope(operation, use, result.shape if result.ndim else use.tensor.shape)
    if local is None:
        return None
    terms = passed * local
    total, scale = (t.sum_to_size(product.shape).to(product.dtype) for t in (terms, terms.abs()))
    return local if close(total, product, [scale]) else None


def slope(
    operation: ExecutedOp, use: Use, shape: Sequence[int], upstream: Tensor | None = None
) -> Tensor | None:
    """The gradient of the operation's only result by one operand, expanded to `shape` first.

    `upstream` has the shape of the result, and is 1 everywhere by default. None if PyTorch refuses
    it, or the result has another shape then.
    """
    result, operand = operation.results[0], use.tensor.detach()
    if any(tensor.is_complex() or tensor.layout != torch.strided for tensor in (result, operand)):
        return None
    try:
        leaf = operand.expand(shape).clone().requires_grad_()
        value = operation.again({use.place: leaf})
        if not isinstance(value, Tensor) or value.shape != result.shape:
            return None
        value = value.sum() if upstream is None else value
        return core.gradients(value, {"": leaf}, upstream=upstream, keep=True)[""]
    except Exception:  # whatever PyTorch raises if an operand cannot expand to the shape
        return None


def _matmul(names: Names, operation: ExecutedOp, use: Use, result: Tensor) -> str:
    """The rule of a matrix product, a vector as the row or column that it is used as."""
    texts = names.operands(operation)
    left, right = (tuple(operand.shape) for operand in operation.arguments[:2])
    batch = tuple(result.shape[: result.ndim - (len(left) > 1) - (len(right) > 1)])
    left, right = left if len(left) > 1 else (1, *left), right if len(right) > 1 else (*right, 1)
    upstream = [*batch, left[-2], right[-1]]
    if use.place[0] == 0:
        factor = [*right[:-2], right[-1], right[-2]]
        words, shapes = f"upstream @ {_transposed(texts[1])}", f"{upstream} @ {factor}"
        made, target = (*batch, *left[-2:]), left
    else:
        factor = [*left[:-2], left[-1], left[-2]]
        words, shapes = f"{_transposed(texts[0])} @ upstream", f"{factor} @ {upstream}"
        made, target = (*batch, *right[-2:]), right
    summed = "" if made == target else f", summed to {list(target)}"
    return f"dL/d{_atom(texts[use.place[0]])} = {words}: {shapes} = {list(made)}{summed}"


def _transposed(name: str) -> str:
    return name.removesuffix(".T") if name.endswith(".T") else f"{_atom(name)}^T"


def _atom(name: str) -> str:
    """A name as it can be written before ^T and after d."""
    return name if name.isidentifier() else f"({name})"
