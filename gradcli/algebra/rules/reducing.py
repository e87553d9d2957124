"""Sums, means, norms and other reductions, and functions along one axis."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from gradcli.algebra.elementwise import fn
from gradcli.algebra.indices import along, sigma
from gradcli.algebra.nodes import ONE, Dim, Node, NoRuleError, num
from gradcli.algebra.products import divide, mul, power, root
from gradcli.algebra.terms import add, sub
from gradcli.algebra.walk import Axis, Value, elementwise, length, packed, plain, tensor, unpacked

Rule = Callable[..., Any]
"""A function, method, property or module: a value from its arguments."""


def count(sides: Sequence[Dim | None]) -> Value:
    """The number of elements of a tensor with these sides, as a plain number."""
    found = Value(ONE, (), 1)
    for dim in sides:
        side = length(dim)
        found = elementwise(mul, found, side).but(count=(found.count or 0) * (side.count or 0))
    return found


def dims(value: Value, dim: Any) -> list[int]:
    """The axes that `dim` names, from the first; all without it. Raises NoRuleError."""
    total = len(value.sides)
    if dim is None or dim == ():
        return list(range(total))
    found = [plain(d) for d in (dim if isinstance(dim, tuple | list) else [dim])]
    if not total:
        return []
    if any(not isinstance(d, int) or not -total <= d < total for d in found):
        raise NoRuleError("no rule for this dim")
    return sorted({d % total for d in found})


def reduced(
    value: Value, dim: Any, keepdim: Any, compute: Callable[[dict[int, Dim], Node], Node]
) -> Value:
    """A value with some axes taken away by `compute`."""
    gone = dims(value, dim)
    node, axes = unpacked(value)
    over = {index: side for d in gone for index, side in [axes[d]] if side is not None}
    kept: list[Axis] = [(None, None) if d in gone else axis for d, axis in enumerate(axes)]
    left = kept if keepdim else [axis for d, axis in enumerate(kept) if d not in gone]
    return packed(compute(over, node), left)


def total(value: Any, dim: Any = None, keepdim: Any = False) -> Value:
    """The sum along some or all dimensions; of a list, that of its tensors."""
    if isinstance(value, list | tuple):
        return elementwise(add, *map(tensor, value))
    return reduced(tensor(value), dim, keepdim, sigma)


def _terms(value: Value, dim: Any) -> Node:
    return count([value.sides[d] for d in dims(value, dim)]).node


def mean(value: Any, dim: Any = None, keepdim: Any = False) -> Value:
    """The mean along some or all dimensions."""
    value = tensor(value)
    terms = _terms(value, dim)
    return reduced(value, dim, keepdim, lambda over, node: divide(sigma(over, node), terms))


def var(
    value: Value, dim: Any = None, unbiased: Any = True, keepdim: Any = False,
    correction: Any = None
) -> Value:  # fmt: skip
    """The variance, unbiased unless `correction` says otherwise."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    centred = elementwise(sub, value, mean(value, dim, keepdim=True))
    below = sub(_terms(value, dim), num(int(unbiased) if correction is None else correction))

    def compute(over: dict[int, Dim], node: Node) -> Node:
        return divide(sigma(over, power(node, num(2))), below)

    return reduced(centred, dim, keepdim, compute)


def _var_mean(value: Value, dim: Any = None, **settings: Any) -> tuple[Value, Value]:
    along = None if isinstance(dim, bool) else dim
    return var(value, dim, **settings), mean(value, along, settings.get("keepdim", False))


def _norm(value: Any, p: Any = 2, dim: Any = None, keepdim: Any = False) -> Value:
    """norm, of vectors. Raises NoRuleError for the other norms of a matrix."""
    value = tensor(value)
    order = 2 if p in (None, "fro") else p
    if order == math.inf:
        sizes = elementwise(lambda node: fn("abs", node), value)
        return _over_one("max", sizes, dim, keepdim)
    if not isinstance(order, int | float):
        raise NoRuleError("no rule for this norm")
    by = num(order)
    powers = elementwise(lambda node: power(fn("abs", node), by), value)
    return elementwise(lambda node: power(node, divide(ONE, by)), total(powers, dim, keepdim))


def _of_matrix(value: Any, p: Any = None, dim: Any = None, keepdim: Any = False) -> Value:
    """linalg.norm and matrix_norm, of which only the Frobenius norm of a matrix is one of its elements.
    Raises NoRuleError for the others.
    """
    value = tensor(value)
    sizes = [0 if (side := value.sides[at]) is None else side.root.size for at in dims(value, dim)]
    if p not in (None, "fro") and len(sizes) == 2 and min(sizes) > 1:
        raise NoRuleError("no rule for this norm")
    return _norm(value, p, dim, keepdim)


def _extreme(name: str, value: Any, dim: Any = None, keepdim: Any = False) -> Any:
    """The largest or smallest; along a dimension the pair of its values and an unknown index."""
    found = _over_one(name, value, dim, keepdim)
    return found if dim is None else (found, None)


def _over_one(name: str, value: Any, dim: Any = None, keepdim: Any = False) -> Value:
    def compute(over: dict[int, Dim], node: Node) -> Node:
        if len(over) > 1:
            raise NoRuleError(f"no rule for {name} of a matrix")
        return next((along(name, node, *axis) for axis in over.items()), node)

    return reduced(tensor(value), dim, keepdim, compute)


def keeping(name: str, value: Value, dim: Any) -> Value:
    """A function along one or several dimensions that keeps them, as softmax does."""
    node, axes = unpacked(value)
    for at in dims(value, dim):
        index, side = axes[at]
        if side is not None:
            node = along(name, node, index, side, index)
        elif name == "softmax":
            node = ONE
    return packed(node, axes)


def _along_one(name: str, value: Any, dim: Any = None) -> Value:
    value = tensor(value)
    if dim is None and len(value.sides) != 1:
        raise NoRuleError(f"no rule for {name} of a matrix")
    return keeping(name, value, 0 if dim is None else dim)


RULES: Mapping[str, Rule] = {
    "sum": total, "mean": mean, "var": var, "std": lambda *all, **more: elementwise(root, var(*all, **more)),
    "var_mean": _var_mean, "norm": _norm,
    "linalg.norm": _of_matrix, "matrix_norm": partial(_of_matrix, dim=(-2, -1)),
    "max": partial(_extreme, "max"), "min": partial(_extreme, "min"), "values": lambda pair: pair[0],
    "amax": partial(_over_one, "max"), "amin": partial(_over_one, "min"), "prod": partial(_over_one, "prod"),
    "softmax": partial(_along_one, "softmax"), "cumsum": partial(_along_one, "cumsum"),
    "numel": lambda value: count(value.sides),
}  # fmt: skip
