"""The operations of expressions as formulas, each by its definition in index notation.

Elementwise functions and losses are those of the catalogue. What has no entry here has no rule.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from gradcli.algebra.adjoint import NoRule
from gradcli.algebra.nodes import (
    Dim,
    Index,
    Node,
    add,
    along,
    call,
    delta,
    divide,
    fn,
    fresh,
    mul,
    neg,
    num,
    power,
    rename,
    sigma,
    size,
    sub,
)
from gradcli.algebra.walk import (
    Value,
    broadcast,
    elementwise,
    formula,
    length,
    packed,
    plain,
    tensor,
    unpacked,
)
from gradcli.catalogue import derivative_rules
from gradcli.catalogue.functions import CATALOGUE, Activation, Loss

Rule = Callable[..., Any]

_BY_MODULE = {name.replace("_", ""): name for name in CATALOGUE}
_ALIASES = {
    **{alias: name for alias, name in derivative_rules.SYNONYMS.items() if name.isidentifier()},
    "true_divide": "div", "divide": "div", "subtract": "sub", "multiply": "mul", "float_power": "pow", "mm": "matmul",
    "mv": "matmul", "bmm": "matmul", "frobenius_norm": "norm", "matrix_norm": "norm", "linear_norm": "norm",
    "swapaxes": "transpose", "swapdims": "transpose", "movedim": "moveaxis", "view_as": "reshape_as",
}  # fmt: skip


def apply(name: str, arguments: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
    """The value of a function, method, property or module. Raises NoRule."""
    name = name.removeprefix("catalogue.")
    if (
        entry := CATALOGUE.get(name) or CATALOGUE.get(_BY_MODULE.get(name.lower(), ""))
    ) is not None:
        rule = _OWN.get(entry.name)
        if rule is not None:
            return _called(entry.name, rule, arguments, keywords)
        return _catalogued(entry, arguments, keywords)
    name = _ALIASES.get(name, name)
    if name in ("max", "min") and len(arguments) > 1 and isinstance(arguments[1], Value):
        name += "imum"
    rule = _RULES.get(name) or _RULES.get(name.lower())
    if rule is not None:
        return _called(name, rule, arguments, keywords)
    if name in _DEFINITIONS:
        return _defined(name, arguments, keywords)
    if name in (*derivative_rules.FORMULAS, "digamma") and name.isidentifier() and not keywords:
        return elementwise(lambda *nodes: fn(name, *nodes), *map(tensor, arguments))
    raise NoRule(f"no rule for {name}")


def _defined(name: str, arguments: Sequence[Any], keywords: Mapping[str, Any]) -> Value:
    """A function by its definition in PyTorch's terms."""
    parameters, text = _DEFINITIONS[name]
    names: dict[str, Any] = {}
    for parameter in parameters:
        key, _, default = parameter.partition("=")
        names[key] = float(default) if default else None
    names |= dict(zip(names, arguments, strict=False)) | keywords
    if len(arguments) > len(parameters) or set(names) - {p.partition("=")[0] for p in parameters}:
        raise NoRule(f"no rule for {name} with these arguments")
    return formula(text, names)


_DEFINITIONS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "lerp": (("input", "end", "weight"), "input + weight*(end - input)"),
    "addcmul": (("input", "tensor1", "tensor2", "value=1"), "input + value*tensor1*tensor2"),
    "addcdiv": (("input", "tensor1", "tensor2", "value=1"), "input + value*tensor1/tensor2"),
    "addmm": (("input", "mat1", "mat2", "beta=1", "alpha=1"), "beta*input + alpha*(mat1 @ mat2)"),
    "addmv": (("input", "mat", "vec", "beta=1", "alpha=1"), "beta*input + alpha*(mat @ vec)"),
    "baddbmm": (("input", "batch1", "batch2", "beta=1", "alpha=1"), "beta*input + alpha*(batch1 @ batch2)"),
    "addr": (("input", "vec1", "vec2", "beta=1", "alpha=1"), "beta*input + alpha*outer(vec1, vec2)"),
    "pairwise_distance": (("x1", "x2", "p=2", "eps=1e-6"), "norm(x1 - x2 + eps, p, -1)"),
    "cdist": (("x1", "x2", "p=2"), "norm(x1[:, None] - x2, p, -1)"),
    "gaussian_nll_loss": (("input", "target", "var"), "mean(log(var) + (input - target)**2/var)/2"),
    "margin_ranking_loss": (("input1", "input2", "target", "margin=0"), "mean(relu(margin - target*(input1 - input2)))"),
    "sinc": (("input",), "sin(pi*input)/(pi*input)"),
    "diff": (("input",), "input[1:] - input[:-1]"),
    "bilinear": (("input1", "input2", "weight"), "einsum('bi,oij,bj->bo', input1, weight, input2)"),
}  # fmt: skip
"""Parameters, some with defaults, and the definition of functions that others make up."""


def _called(name: str, rule: Rule, arguments: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
    named = {_KEYS.get(key, key): value for key, value in keywords.items()}
    named = {key: value for key, value in named.items() if key not in _IGNORED}
    try:
        return rule(*arguments, **named)
    except (TypeError, AttributeError, IndexError, KeyError, ValueError) as error:
        raise NoRule(f"no rule for {name} with these arguments") from error


_KEYS = {"axis": "dim", "axes": "dim", "keepdims": "keepdim", "ddof": "correction", "p": "ord"}
_IGNORED = frozenset({"dtype", "inplace", "device", "requires_grad"})


# --- slopes of elementwise functions ------------------------------------------------------------


def slope(node: Node, place: int) -> Node:
    """The derivative of an elementwise function by one argument. Raises NoRule."""
    name, arguments, settings = node.data
    if name in _SLOPES:
        return _SLOPES[name][place](*arguments)
    if name in ("<", "<=", ">", ">=", "==", "!=", "&", "|", "detach"):
        return num(0)
    formulas = derivative_rules.FORMULAS.get(name)
    if formulas is not None:
        names = dict(zip("abc", map(Value, arguments), strict=False))
        return formula(formulas[place], {**names, "y": Value(node)}).node
    entry = CATALOGUE.get(name)
    if entry is None:
        raise NoRule(f"no rule for {name}")
    text = _OWN_SLOPES.get(name, entry.derivative)
    if text is None:
        raise NoRule(f"PyTorch has no derivative of {name}")
    bound = {parameter.name: parameter.default for parameter in entry.parameters} | dict(settings)
    return formula(text, {"x": Value(arguments[0]), **bound}).node


_OWN_SLOPES = {"softplus": "sigmoid(beta*x)"}
"""Without the branch that PyTorch takes to avoid an overflow."""


def _half(symbol: str) -> tuple[Callable[[Node, Node], Node], ...]:
    def pick(a: Node, b: Node) -> Node:
        return fn("where", fn(symbol, a, b), num(1), num(0))

    return pick, lambda a, b: pick(b, a)


_SLOPES: Mapping[str, tuple[Callable[..., Node], ...]] = {
    "maximum": _half(">"), "minimum": _half("<"), "relu": (lambda a: fn("where", fn(">", a, num(0)), num(1), num(0)),),
    "pi": (),
}  # fmt: skip


# --- catalogue ----------------------------------------------------------------------------------


def _catalogued(
    entry: Activation | Loss, arguments: Sequence[Any], keywords: Mapping[str, Any]
) -> Value:
    names = [*entry.operands, *(parameter.name for parameter in entry.parameters)]
    if isinstance(entry, Loss):
        names = [*entry.operands]
    bound = {p.name: p.default for p in entry.parameters} | dict(
        zip(names, arguments, strict=False)
    )
    if len(arguments) > len(names):
        raise NoRule(f"no rule for {entry.name} with these arguments")
    for key, value in keywords.items():
        bound[{"input": entry.operands[0]}.get(key, key)] = value
    bound.pop("inplace", None)
    if isinstance(entry, Activation):
        if entry.mixes:
            raise NoRule(f"no rule for {entry.name}")
        x = tensor(bound.pop("x"))
        defaults = {p.name: p.default for p in entry.parameters}
        if any(isinstance(value, Value) for value in bound.values()) or entry.name in ("silu",):
            return formula(entry.formula, {"x": x, **bound})
        settings = tuple((key, value) for key, value in bound.items() if value != defaults[key])
        return elementwise(lambda node: fn(entry.name, node, settings=settings), x)
    return _loss(entry, bound)


def _loss(entry: Loss, bound: dict[str, Any]) -> Value:
    pred, target = tensor(bound.pop("pred")), tensor(bound.pop("target"))
    reduction = bound.pop("reduction", entry.reduction)
    weighted = bound.get("weight") is not None
    for key in ("weight", "pos_weight"):
        if key in bound and bound[key] is None:
            bound[key] = 1
    if entry.name == "multi_margin":
        return _multi_margin(pred, target, reduction, **bound)
    if (entry.mixes == "row" and entry.name not in _OWN_LOSSES) or (
        weighted and reduction == "mean" and entry.name in ("mse", "l1")
    ):
        raise NoRule(f"no rule for {entry.name} with these arguments")
    text = _OWN_LOSSES.get(entry.name, entry.formula)
    found = formula(text, {"pred": pred, "target": target, **bound})
    if entry.reduction or (reduction == "none" and not entry.mixes):
        return found
    sides = broadcast(pred.sides, target.sides)
    if entry.mixes == "row":
        found, sides = _mean(found, -1), sides[:-1]
        if reduction == "none":
            return found
    whole = _sum(found.but(sides=sides))
    if reduction == "batchmean":
        return elementwise(divide, whole, length(pred.sides[0]))
    return whole if reduction == "sum" else elementwise(divide, whole, _count(sides))


_OWN_LOSSES = {
    "bce": "-weight*(target*log(pred) + (1 - target)*log(1 - pred))",
    "bce_with_logits": "-weight*(pos_weight*target*log(sigmoid(pred)) + (1 - target)*log(1 - sigmoid(pred)))",
    "kl_div": "exp(target)*(target - pred) if log_target else target*(log(target) - pred)",
    "soft_margin": "-log(sigmoid(target*pred))",
    "multilabel_soft_margin": "-weight*(target*log(sigmoid(pred)) + (1 - target)*log(1 - sigmoid(pred)))",
}
"""Formulas without the bounds that keep PyTorch's numbers finite, which hide what cancels."""


def _multi_margin(
    pred: Value, target: Value, reduction: str, p: int, margin: float, weight: Any
) -> Value:
    """The margins of all classes, less that of the class itself, which is the margin."""
    classes = pred.sides[-1]
    if weight != 1 or classes is None or margin <= 0 or len(target.sides) != len(pred.sides) - 1:
        raise NoRule("no rule for multi_margin with these arguments")
    own = _sum(elementwise(mul, _one_hot(target, length(classes)), pred), -1, keepdim=True)
    margins = elementwise(
        lambda a, b: power(fn("relu", add(num(margin), sub(a, b))), num(p)), pred, own
    )
    rest = elementwise(lambda a: sub(a, num(margin**p)), _sum(margins, -1))
    found = elementwise(divide, rest, length(classes))
    if reduction == "none":
        return found
    whole = _sum(found)
    return whole if reduction == "sum" else elementwise(divide, whole, _count(found.sides))


# --- sums and products --------------------------------------------------------------------------


def _count(sides: Sequence[Dim | None]) -> Value:
    found = Value(num(1), (), 1)
    for dim in sides:
        side = length(dim)
        found = elementwise(mul, found, side).but(count=(found.count or 0) * (side.count or 0))
    return found


def _dims(value: Value, dim: Any) -> list[int]:
    """The axes that `dim` names, from the first; all without it."""
    if dim is None or dim == ():
        return list(range(len(value.sides)))
    dims = dim if isinstance(dim, tuple | list) else [dim]
    found = [plain(d) for d in dims]
    count = len(value.sides)
    if not count:
        return []
    if any(not isinstance(d, int) or not -count <= d < count for d in found):
        raise NoRule("no rule for this dim")
    return sorted({d % count for d in found})


def _reduced(
    value: Value, dim: Any, keepdim: Any, compute: Callable[[dict[int, Dim], Node], Node]
) -> Value:
    """A value with some axes taken away by `compute`."""
    dims = _dims(value, dim)
    node, indices = unpacked(value)
    over = {indices[d]: side for d in dims if (side := value.sides[d]) is not None}
    node = compute(over, node)
    if keepdim:
        kept = [None if d in dims else index for d, index in enumerate(indices)]
        return packed(node, kept, [None if d in dims else s for d, s in enumerate(value.sides)])
    rest = [d for d in range(len(indices)) if d not in dims]
    return packed(node, [indices[d] for d in rest], [value.sides[d] for d in rest])


def _sum(value: Any, dim: Any = None, keepdim: Any = False) -> Value:
    if isinstance(value, list | tuple):
        first, *rest = map(tensor, value)
        return elementwise(add, first, *rest)
    return _reduced(tensor(value), dim, keepdim, sigma)


def _mean(value: Any, dim: Any = None, keepdim: Any = False) -> Value:
    value = tensor(value)
    terms = _count([value.sides[d] for d in _dims(value, dim)])
    return _reduced(value, dim, keepdim, lambda over, node: divide(sigma(over, node), terms.node))


def _var(
    value: Value,
    dim: Any = None,
    unbiased: Any = True,
    keepdim: Any = False,
    correction: Any = None,
) -> Value:
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    if correction is None:
        correction = 1 if unbiased else 0
    centred = elementwise(sub, value, _mean(value, dim, keepdim=True))
    terms = _count([value.sides[d] for d in _dims(value, dim)]).node
    below = sub(terms, num(correction))
    return _reduced(
        centred, dim, keepdim, lambda over, node: divide(sigma(over, power(node, num(2))), below)
    )


def _std(*arguments: Any, **keywords: Any) -> Value:
    return _root(_var(*arguments, **keywords))


def _root(value: Any, by: Fraction = Fraction(1, 2)) -> Value:
    return elementwise(lambda node: power(node, num(by)), tensor(value))


def _norm(value: Any, ord: Any = 2, dim: Any = None, keepdim: Any = False) -> Value:
    value = tensor(value)
    order = 2 if ord in (None, "fro") else ord
    if order == math.inf:
        return _extreme("max")(elementwise(lambda n: fn("abs", n), value), dim, keepdim)
    if not isinstance(order, int | float):
        raise NoRule("no rule for this norm")
    p = num(order)
    found = _reduced(value, dim, keepdim, lambda over, node: sigma(over, power(fn("abs", node), p)))
    return elementwise(lambda node: power(node, divide(num(1), p)), found)


def _extreme(name: str, *, pair: bool = False) -> Rule:
    """The largest or smallest; with `pair` along a dimension its values and an unknown index."""

    def rule(value: Any, dim: Any = None, keepdim: Any = False) -> Any:
        value = tensor(value)

        def compute(over: dict[int, Dim], node: Node) -> Node:
            if len(over) > 1:
                raise NoRule(f"no rule for {name} of a matrix")
            for index, side in over.items():
                node = along(name, node, index, side)
            return node

        found = _reduced(value, dim, keepdim, compute)
        return found if dim is None or not pair else (found, None)

    return rule


def _one_dim(name: str, *, over: bool) -> Rule:
    """A function along one dimension: `over` takes it away, as logsumexp does."""

    def rule(value: Any, dim: Any = None, keepdim: Any = False) -> Value:
        value = tensor(value)
        if isinstance(dim, tuple | list) and len(dim) == 1:
            (dim,) = dim
        if dim is None and len(value.sides) != 1:
            raise NoRule(f"no rule for {name} of a matrix")
        (at,) = _dims(value, 0 if dim is None else dim) or [None]
        if at is None:
            return value
        side = value.sides[at]
        if over:

            def compute(some: dict[int, Dim], node: Node) -> Node:
                for index, dim_ in some.items():
                    node = along(name, node, index, dim_)
                return node

            return _reduced(value, at, keepdim, compute)
        if side is None:
            return Value(num(1), value.sides) if name == "softmax" else value
        node, indices = unpacked(value)
        out = along(name, node, indices[at], side, indices[at])
        return packed(out, indices, value.sides)

    return rule


def _log_softmax(value: Any, dim: Any = None) -> Value:
    return elementwise(lambda node: fn("log", node), _one_dim("softmax", over=False)(value, dim))


def _softmin(value: Any, dim: Any = None) -> Value:
    return _one_dim("softmax", over=False)(elementwise(neg, tensor(value)), dim)  # type: ignore[no-any-return]


def _matmul(left: Value, right: Value) -> Value:
    a, rows = unpacked(left)
    b, columns = unpacked(right)
    if not rows or not columns:
        raise NoRule("no rule for @ of a number")
    inner, other = rows.pop(), columns.pop(-2 if len(columns) > 1 else -1)
    sides, others = list(left.sides), list(right.sides)
    one, two = sides.pop(), others.pop(-2 if len(others) > 1 else -1)
    shared = one.merge(two) if one is not None and two is not None else None
    if (one is None) != (two is None):
        raise NoRule("no rule for a product along a side of size 1")
    b = rename(b, {other: inner})
    last = [(columns.pop(), others.pop())] if len(right.sides) > 1 else []
    first = [(rows.pop(), sides.pop())] if len(left.sides) > 1 else []
    batch: list[tuple[int, Dim | None]] = []
    for place in range(1, max(len(rows), len(columns)) + 1):
        index, side = (rows[-place], sides[-place]) if place <= len(rows) else (None, None)
        match_, other_side = (
            (columns[-place], others[-place]) if place <= len(columns) else (None, None)
        )
        if index is None:
            index, side = match_, other_side
        elif match_ is not None:
            b = rename(b, {match_: index})
            side = broadcast((side,), (other_side,))[0]
        batch.insert(0, (index, side))  # type: ignore[arg-type]
    node = sigma({} if shared is None else {inner: shared}, mul(a, b))
    axes = [*batch, *first, *last]
    return packed(node, [index for index, _ in axes], [side for _, side in axes])


def _dot(left: Value, right: Value) -> Value:
    return _sum(elementwise(mul, left, right))


def _outer(left: Value, right: Value) -> Value:
    return elementwise(mul, _index(left, (slice(None), None)), right)


def _linear(x: Value, weight: Value, bias: Any = None) -> Value:
    z = _matmul(x, _swapped(weight, -1, -2)) if len(weight.sides) > 1 else _matmul(x, weight)
    return z if bias is None else elementwise(add, z, bias)


def _einsum(equation: str, *operands: Any) -> Value:
    if len(operands) == 1 and isinstance(operands[0], list | tuple):
        operands = tuple(operands[0])
    left, arrow, out = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if "." in equation or len(terms) != len(operands):
        raise NoRule("no rule for this einsum")
    letters = "".join(terms)
    if not arrow:
        out = "".join(sorted(c for c in set(letters) if letters.count(c) == 1))
    names = {letter: fresh() for letter in sorted(set(letters))}
    sides: dict[str, Dim | None] = {}
    nodes = []
    for term, operand in zip(terms, operands, strict=True):
        node, indices = unpacked(operand)
        nodes.append(rename(node, {i: names[c] for c, i in zip(term, indices, strict=True)}))
        for letter, side in zip(term, operand.sides, strict=True):
            sides[letter] = broadcast((sides.get(letter),), (side,))[0]
    over = {names[c]: side for c, side in sides.items() if c not in out and side is not None}
    return packed(sigma(over, mul(*nodes)), [names[c] for c in out], [sides[c] for c in out])


# --- axes ---------------------------------------------------------------------------------------


def _permuted(value: Value, order: Sequence[int]) -> Value:
    node, indices = unpacked(value)
    return packed(node, [indices[i] for i in order], [value.sides[i] for i in order])


def _swapped(value: Value, first: int, second: int) -> Value:
    order = list(range(len(value.sides)))
    if not order:
        return value
    order[first], order[second] = order[second], order[first]
    return _permuted(value, order)


def _transposed(value: Value) -> Value:
    return _permuted(value, list(range(len(value.sides)))[::-1])


def _permute(value: Value, *dims: Any) -> Value:
    if len(dims) == 1 and isinstance(dims[0], tuple | list):
        dims = tuple(dims[0])
    return _permuted(value, [d % len(value.sides) for d in map(plain, dims)])


def _moveaxis(value: Value, source: Any, destination: Any) -> Value:
    count = len(value.sides)
    order = [d for d in range(count) if d != source % count]
    order.insert(destination % count, source % count)
    return _permuted(value, order)


def _unsqueeze(value: Value, dim: Any) -> Value:
    at = plain(dim) % (len(value.sides) + 1)
    return _index(value, (*[slice(None)] * at, None, Ellipsis))


def _squeeze(value: Value, dim: Any = None) -> Value:
    dims = _dims(value, dim)
    keep = [d for d, side in enumerate(value.sides) if d not in dims or side is not None]
    if dim is None and any(s is not None and s.root.size == 1 for s in value.sides):
        raise NoRule("no rule for squeeze of an open side")
    node, indices = unpacked(value)
    return packed(node, [indices[d] for d in keep], [value.sides[d] for d in keep])


def _reshape(value: Value, *shape: Any) -> Value:
    if len(shape) == 1 and isinstance(shape[0], tuple | list):
        shape = tuple(shape[0])
    if len(shape) == 1 and isinstance(shape[0], str):
        raise NoRule("no rule for reshape")
    counts = [plain(s) for s in shape]
    total = math.prod(side.root.size if side else 1 for side in value.sides)
    if -1 in counts:
        rest = math.prod(c for c in counts if c != -1)
        counts[counts.index(-1)] = total // rest
    if math.prod(counts) != total:
        raise NoRule("no rule for reshape")
    return _reshaped(value, counts, [_side_of(s) for s in shape])


def _side_of(given: Any) -> Dim | None:
    """The side whose size was given as one, such as len(x)."""
    if isinstance(given, Value) and given.node.kind == "size":
        return given.node.data  # type: ignore[no-any-return]
    return None


def _reshaped(value: Value, counts: Sequence[int], given: Sequence[Dim | None]) -> Value:
    node, indices = unpacked(value)
    old = [(i, s) for i, s in zip(indices, value.sides, strict=True) if s is not None]
    new = [c for c in counts if c != 1]
    if [s.root.size for _, s in old] == new:  # only sides of size 1 come or go
        for count, side, (_, known) in zip(
            new, [g for c, g in zip(counts, given, strict=True) if c != 1], old, strict=True
        ):
            del count
            if side is not None:
                known.merge(side)
        axes = iter(old)
        placed = [(None, None) if count == 1 else next(axes) for count in counts]
        return packed(node, [i for i, _ in placed], [s for _, s in placed])
    sides = [side or Dim(count, fixed=not _free(count, counts)) if count != 1 else None
             for count, side in zip(counts, given, strict=True)]  # fmt: skip
    outs = [(fresh() if side is not None else None, side) for side in sides]
    inner = [(i, s) for i, s in outs if i is not None and s is not None]
    made = call("reshape", [(old, node)], inner)
    return packed(made, [i for i, _ in outs], sides)


def _free(count: int, counts: Sequence[int]) -> bool:
    return len(counts) == 1


def _flatten(value: Value, start_dim: Any = 0, end_dim: Any = -1) -> Value:
    count = len(value.sides)
    if not count:
        return _index(value, (None,))
    first, last = start_dim % count, end_dim % count
    lengths = [side.root.size if side else 1 for side in value.sides]
    counts = [*lengths[:first], math.prod(lengths[first : last + 1]), *lengths[last + 1 :]]
    given = [*value.sides[:first], None, *value.sides[last + 1 :]]
    if first == last:
        return value
    return _reshaped(value, counts, given)


def _expanded(value: Value, *shape: Any) -> Value:
    if len(shape) == 1 and isinstance(shape[0], tuple | list):
        shape = tuple(shape[0])
    sides: list[Dim | None] = []
    offset = len(shape) - len(value.sides)
    for place, given in enumerate(shape):
        own = value.sides[place - offset] if place >= offset else None
        count = plain(given)
        if count == -1 or (count == 1 and own is None):
            sides.append(own)
        else:
            dim = _side_of(given) or Dim(count, fixed=True)
            sides.append(own.merge(dim) if own is not None else dim)
    return Value(value.node, tuple(sides))


def _expand_as(value: Value, other: Value) -> Value:
    return Value(value.node, broadcast(value.sides, other.sides))


# --- places -------------------------------------------------------------------------------------


def _index(value: Any, places: Any) -> Any:
    if isinstance(value, tuple | list):
        return value[plain(places) if isinstance(places, Value) else places]
    places = list(places) if isinstance(places, tuple) else [places]
    given = sum(place is not None and place is not Ellipsis for place in places)
    if not any(place is Ellipsis for place in places):
        places.append(Ellipsis)
    at = next(i for i, place in enumerate(places) if place is Ellipsis)
    places[at : at + 1] = [slice(None)] * (len(value.sides) - given)
    node, indices = unpacked(value)
    own = iter(zip(indices, value.sides, strict=True))
    outs: list[tuple[int | None, Dim | None]] = []
    looked_up: list[tuple[Value, int, Dim]] = []
    for place in places:
        if place is None:
            outs.append((None, None))
            continue
        index, side = next(own)
        if isinstance(place, slice):
            node, out = _sliced(node, index, side, place)
            outs.append(out)
        elif (number := plain(place)) is not None and not isinstance(number, bool):
            if side is not None:
                node = rename(node, {index: (int(number),)})
        elif isinstance(place, Value) and side is not None:
            looked_up.append((place, index, side))
            if len(looked_up) == 1:
                outs.append((-1, None))
        else:
            raise NoRule("no rule for this index")
    if looked_up:
        node, axes = _looked_up(node, looked_up)
        spot = outs.index((-1, None))
        outs[spot : spot + 1] = axes
    return packed(node, [i for i, _ in outs], [s for _, s in outs])


def _sliced(
    node: Node, index: int, side: Dim | None, place: slice
) -> tuple[Node, tuple[int | None, Dim | None]]:
    start, stop, step = (
        None if p is None else plain(p) for p in (place.start, place.stop, place.step)
    )
    count = side.root.size if side is not None else 1
    first, last, by = slice(start, stop, step).indices(count)
    if (first, by) == (0, 1) and last >= count:
        return node, (index, side)
    taken = len(range(first, last, by))
    if side is None or not taken:
        raise NoRule("no rule for this slice")
    if taken == 1:
        part = None
        return rename(node, {index: (first,)}), (None, part)
    dim, out = Dim(taken), fresh()
    made = call("slice", [([(index, side)], node)], [(out, dim)], (first, last, by))
    return made, (out, dim)


def _looked_up(
    node: Node, found: list[tuple[Value, int, Dim]]
) -> tuple[Node, list[tuple[int | None, Dim | None]]]:
    """`a[arange(n), t]` and `a[t]`: sums of one-hot rows times the elements."""
    shapes = broadcast(*(places.sides for places, _, _ in found))
    axes: list[tuple[int | None, Dim | None]] = [
        (None if side is None else fresh(), side) for side in shapes
    ]
    over: dict[int, Dim] = {}
    factors = []
    for places, index, side in found:
        last = len(places.sides) - 1
        names = {last - i: axes[i + len(axes) - len(places.sides)][0] for i in range(last + 1)}
        kept: dict[int, Index] = {i: name for i, name in names.items() if name is not None}
        text = rename(places.node, kept)
        if places.node.kind == "call" and places.node.data[0] == "arange":
            (out,) = text.data[2]
            row = shapes[-1]
            if row is None or row.root is not side.root:
                side.merge(row or side)
            node = rename(node, {index: out})
            continue
        over[index] = side
        factors.append(call("one_hot", [([], text)], [(index, side)]))
    return sigma(over, mul(node, *factors)), axes


def _arange(*bounds: Any) -> Value:
    if len(bounds) != 1:
        raise NoRule("no rule for arange with these arguments")
    side = _side_of(bounds[0]) or Dim(plain(bounds[0]), fixed=True)
    return Value(call("arange", [], [(0, side)]), (side,))


def _one_hot(places: Value, classes: Any) -> Value:
    node, indices = unpacked(places)
    side, out = _side_of(classes) or Dim(plain(classes), fixed=True), fresh()
    made = call("one_hot", [([], node)], [(out, side)])
    return packed(made, [*indices, out], [*places.sides, side])


def _gather(value: Value, dim: Any, index: Value) -> Value:
    (at,) = _dims(value, dim)
    node, indices = unpacked(value)
    side = value.sides[at]
    if side is None:
        raise NoRule("no rule for gather")
    picked, own = unpacked(index)
    names = {own[i]: indices[i] for i in range(len(indices)) if i != at}
    picked = rename(picked, names)
    sides = [
        broadcast((value.sides[i],), (index.sides[i],))[0] if i != at else index.sides[at]
        for i in range(len(indices))
    ]
    hot = call("one_hot", [([], picked)], [(indices[at], side)])
    outs = [own[at] if i == at else indices[i] for i in range(len(indices))]
    return packed(sigma({indices[at]: side}, mul(node, hot)), outs, sides)


def _select(value: Value, dim: Any, place: Any) -> Any:
    at = plain(dim) % len(value.sides)
    return _index(value, (*[slice(None)] * at, place))


def _flip(value: Value, *dims: Any) -> Value:
    listed = dims[0] if len(dims) == 1 else dims
    node, indices = unpacked(value)
    for at in _dims(value, listed):
        side = value.sides[at]
        if side is not None:
            node = along("flip", node, indices[at], side, indices[at])
    return packed(node, indices, value.sides)


def _chunk(value: Value, chunks: Any, dim: Any = 0) -> tuple[Any, ...]:
    at = plain(dim) % len(value.sides)
    side = value.sides[at]
    return _split(value, -(-(side.root.size if side else 1) // plain(chunks)), at)


def _split(value: Value, sizes: Any, dim: Any = 0) -> tuple[Any, ...]:
    at = plain(dim) % len(value.sides)
    side = value.sides[at]
    total = side.root.size if side else 1
    parts = list(map(plain, sizes)) if isinstance(sizes, tuple | list) else []
    if not parts:
        by = plain(sizes)
        parts = [min(by, total - start) for start in range(0, total, by)]
    starts = [sum(parts[:place]) for place in range(len(parts))]
    before = [slice(None)] * at
    return tuple(
        _index(value, (*before, slice(start, start + part)))
        for start, part in zip(starts, parts, strict=True)
    )


def _roll(value: Value, shifts: Any, dims: Any = 0) -> Value:
    (at,) = _dims(value, dims)
    side = value.sides[at]
    if side is None or (dims == 0 and len(value.sides) > 1):
        raise NoRule("no rule for roll with these arguments")
    node, indices = unpacked(value)
    axis = [(indices[at], side)]
    return packed(call("roll", [(axis, node)], axis, (plain(shifts),)), indices, value.sides)


def _cat(values: Sequence[Any], dim: Any = 0) -> Value:
    first = values[0]
    at = plain(dim) % len(first.sides)
    out, arguments, total = fresh(), [], 0
    unpacked_ = [unpacked(value) for value in values]
    rest = unpacked_[0][1]
    sides = list(first.sides)
    for value, (node, indices) in zip(values, unpacked_, strict=True):
        side = value.sides[at]
        if side is None:
            raise NoRule("no rule for cat along a side of size 1")
        names = {
            mine: theirs
            for i, (mine, theirs) in enumerate(zip(indices, rest, strict=True))
            if i != at
        }
        for i, other in enumerate(value.sides):
            if i != at:
                sides[i] = broadcast((sides[i],), (other,))[0]
        arguments.append(([(indices[at], side)], rename(node, names)))
        total += side.root.size
    whole = Dim(total)
    sides[at] = whole
    made = call("cat", arguments, [(out, whole)])
    return packed(made, [out if i == at else index for i, index in enumerate(rest)], sides)


def _stack(values: Sequence[Any], dim: Any = 0) -> Value:
    tensors = list(map(tensor, values))
    at = plain(dim) % (len(tensors[0].sides) + 1)
    sides = list(broadcast(*(value.sides for value in tensors)))
    indices = [fresh() for _ in sides]
    arguments = []
    for value in tensors:
        node, own = unpacked(value)
        arguments.append(([], rename(node, dict(zip(own, indices, strict=True)))))
    out, whole = fresh(), Dim(len(tensors), fixed=True)
    made = call("stack", arguments, [(out, whole)])
    return packed(made, [*indices[:at], out, *indices[at:]], [*sides[:at], whole, *sides[at:]])


# --- matrices -----------------------------------------------------------------------------------


def _square(value: Value) -> tuple[Node, list[int], Dim]:
    node, indices = unpacked(value)
    row, column = value.sides[-2:]
    if row is None or column is None:
        raise NoRule("no rule for a matrix of one element")
    return node, indices, row.merge(column)


def _trace(value: Value) -> Value:
    node, (row, column), side = _square(value)
    return packed(sigma({row: side}, rename(node, {column: row})), [], [])


def _diagonal(value: Value, offset: Any = 0) -> Value:
    if offset or len(value.sides) > 2:
        raise NoRule("no rule for this diagonal")
    if len(value.sides) == 1:
        node, (index,) = unpacked(value)
        (side,) = value.sides
        if side is None:
            raise NoRule("no rule for diag of one number")
        other = fresh()
        return packed(mul(node, delta(index, other, side)), [index, other], [side, side])
    node, (row, column), side = _square(value)
    return packed(rename(node, {column: row}), [row], [side])


def _of_matrix(name: str) -> Rule:
    def rule(value: Value) -> Value:
        node, indices, side = _square(value)
        axes = [(index, side) for index in indices[-2:]]
        made = call(name, [(axes, node)])
        return packed(made, indices[:-2], value.sides[:-2])

    return rule


def _inv(value: Value) -> Value:
    node, indices, side = _square(value)
    axes = [(index, side) for index in indices[-2:]]
    outs = [(fresh(), side), (fresh(), side)]
    made = call("inv", [(axes, node)], outs)
    return packed(made, [*indices[:-2], *(i for i, _ in outs)], value.sides)


def _solve(a: Value, b: Value) -> Value:
    return _matmul(_inv(a), b)


def _matrix_power(value: Value, n: Any) -> Value:
    count = plain(n)
    if not isinstance(count, int) or not -3 <= count <= 4 or not count:
        raise NoRule("no rule for this power of a matrix")
    base = _inv(value) if count < 0 else value
    found = base
    for _ in range(abs(count) - 1):
        found = _matmul(found, base)
    return found


def _eye(n: Any, m: Any = None) -> Value:
    side = _side_of(n) or Dim(plain(n), fixed=True)
    if m is not None and plain(m) != side.root.size:
        raise NoRule("no rule for eye that is not square")
    return Value(delta(0, 1, side), (side, side))


def _triangle(name: str) -> Rule:
    def rule(value: Value, diagonal: Any = 0) -> Value:
        node, indices = unpacked(value)
        axes = [
            (i, s) for i, s in zip(indices[-2:], value.sides[-2:], strict=True) if s is not None
        ]
        outs = [(fresh(), s) for _, s in axes]
        if len(axes) != 2:
            raise NoRule(f"no rule for {name} of one row")
        made = call(name, [(axes, node)], outs, (diagonal,))
        return packed(made, [*indices[:-2], *(i for i, _ in outs)], value.sides)

    return rule


# --- layers and losses of rows ------------------------------------------------------------------


def _cross_entropy(pred: Value, target: Value, *, logs: bool = True, **settings: Any) -> Value:
    """Cross entropy, or without `logs` nll, of a vector or of rows."""
    reduction = settings.pop("reduction", "mean")
    smoothing = settings.pop("label_smoothing", 0.0)
    weight = settings.pop("weight", None)
    if any(value is not None and key != "ignore_index" for key, value in settings.items()):
        raise NoRule("no rule for cross_entropy with these arguments")
    if weight is not None and smoothing:
        raise NoRule("no rule for cross_entropy with weights and smoothing")
    if len(pred.sides) > 2 or pred.sides[-1] is None:
        raise NoRule("no rule for cross_entropy of these shapes")
    rows = _log_softmax(pred, -1) if logs else pred
    classes = pred.sides[-1]
    if len(target.sides) == len(pred.sides) and logs:
        hot = target
    else:
        hot = _one_hot(target, length(classes))
        if len(hot.sides) != len(pred.sides):
            raise NoRule("no rule for cross_entropy of these shapes")
    if smoothing:
        hot = elementwise(
            lambda h: add(mul(num(1 - smoothing), h), divide(num(smoothing), size(classes))), hot
        )
    if weight is not None:
        hot = elementwise(mul, hot, weight)
    losses = elementwise(neg, _sum(elementwise(mul, hot, rows), -1))
    if reduction == "none":
        return losses
    total = _sum(losses)
    if reduction == "sum":
        return total
    return elementwise(divide, total, _count(losses.sides) if weight is None else _sum(hot))


def _normalised(x: Value, dims: Any, weight: Any, bias: Any, eps: Any) -> Value:
    centred = elementwise(sub, x, _mean(x, dims, keepdim=True))
    below = elementwise(
        lambda n: power(add(n, num(eps)), num(Fraction(1, 2))),
        _var(x, dims, correction=0, keepdim=True),
    )
    found = elementwise(divide, centred, below)
    found = found if weight is None else elementwise(mul, found, weight)
    return found if bias is None else elementwise(add, found, bias)


def _layer_norm(
    x: Value, shape: Any, weight: Any = None, bias: Any = None, eps: Any = 1e-5
) -> Value:
    count = len(shape) if isinstance(shape, tuple | list) else 1
    return _normalised(x, tuple(range(-count, 0)), weight, bias, eps)


def _rms_norm(x: Value, shape: Any, weight: Any = None, eps: Any = None) -> Value:
    if eps is None:
        raise NoRule("no rule for rms_norm without eps")
    squares = _mean(elementwise(lambda n: power(n, num(2)), x), -1, keepdim=True)
    found = elementwise(divide, x, _root(elementwise(lambda n: add(n, num(eps)), squares)))
    return found if weight is None else elementwise(mul, found, weight)


def _normalize(x: Value, ord: Any = 2, dim: Any = 1, eps: Any = 0) -> Value:
    return elementwise(divide, x, _norm(x, ord, dim, keepdim=True))


def _cosine(x: Value, y: Value, dim: Any = 1, eps: Any = 0) -> Value:
    above = _sum(elementwise(mul, x, y), dim)
    return elementwise(divide, above, elementwise(mul, _norm(x, 2, dim), _norm(y, 2, dim)))


def _attention(
    query: Value, key: Value, value: Value, attn_mask: Any = None, scale: Any = None, **more: Any
) -> Value:
    if more and any(more.values()):
        raise NoRule("no rule for scaled_dot_product_attention with these arguments")
    scores = _matmul(query, _swapped(key, -1, -2))
    if scale is None:
        scores = elementwise(divide, scores, _root(length(query.sides[-1]).but(count=None)))
    else:
        scores = elementwise(mul, scores, tensor(scale))
    if attn_mask is not None:
        scores = elementwise(add, scores, attn_mask)
    return _matmul(_one_dim("softmax", over=False)(scores, -1), value)


# --- elementwise --------------------------------------------------------------------------------


def _of(compute: Callable[..., Node]) -> Rule:
    return lambda *values: elementwise(compute, *map(tensor, values))


def _where(condition: Any, left: Any, right: Any) -> Value:
    return elementwise(lambda c, a, b: fn("where", c, a, b), *map(tensor, (condition, left, right)))


def _clamp(value: Any, min: Any = None, max: Any = None) -> Value:
    value = tensor(value)
    if min is not None:
        value = elementwise(lambda a, b: fn("maximum", a, b), value, tensor(min))
    if max is not None:
        value = elementwise(lambda a, b: fn("minimum", a, b), value, tensor(max))
    return value


def _add(left: Any, right: Any, alpha: Any = 1) -> Value:
    return elementwise(lambda a, b: add(a, mul(num(alpha), b)), tensor(left), tensor(right))


def _like(number: int) -> Rule:
    return lambda value: Value(num(number), value.sides)


def _filled(number: int) -> Rule:
    def rule(*shape: Any) -> Value:
        listed = shape[0] if len(shape) == 1 and isinstance(shape[0], tuple | list) else shape
        sides = [
            _side_of(s) or (None if plain(s) == 1 else Dim(plain(s), fixed=True)) for s in listed
        ]
        return Value(num(number), tuple(sides))

    return rule


def _literal(value: Any) -> Value:
    def nested(item: Any) -> Value:
        if isinstance(item, list | tuple):
            return _stack([nested(each) for each in item])
        return tensor(item)

    return nested(value)


def _same(value: Any, *_: Any, **__: Any) -> Any:
    return value


def _size(value: Value, dim: Any = None) -> Any:
    sides = tuple(length(side) for side in value.sides)
    return sides if dim is None else sides[plain(dim)]


_RULES: Mapping[str, Rule] = {
    "index": _index, "sum": _sum, "mean": _mean, "average": _mean, "var": _var, "std": _std, "norm": _norm, "matmul": _matmul,
    "dot": _dot, "inner": _dot, "vdot": _dot, "outer": _outer, "linear": _linear, "einsum": _einsum, "trace": _trace,
    "diagonal": _diagonal, "diag": _diagonal, "det": _of_matrix("det"), "logdet": _of_matrix("logdet"), "inv": _inv,
    "inverse": _inv, "solve": _solve, "matrix_power": _matrix_power, "eye": _eye, "tril": _triangle("tril"),
    "triu": _triangle("triu"), "softmax": _one_dim("softmax", over=False), "log_softmax": _log_softmax, "softmin": _softmin,
    "logsoftmax": _log_softmax,
    "logsumexp": _one_dim("logsumexp", over=True), "cumsum": _one_dim("cumsum", over=False),
    "prod": _one_dim("prod", over=True), "max": _extreme("max", pair=True), "min": _extreme("min", pair=True), "values": lambda pair: pair[0], "amax": _extreme("max"),
    "amin": _extreme("min"), "T": _transposed, "t": _transposed, "mT": lambda v: _swapped(v, -1, -2), "transpose": _swapped,
    "permute": _permute, "moveaxis": _moveaxis, "unsqueeze": _unsqueeze, "squeeze": _squeeze, "reshape": _reshape,
    "view": _reshape, "reshape_as": lambda v, o: _reshape(v, *_size(o)), "flatten": _flatten, "ravel": _flatten,
    "expand": _expanded, "broadcast_to": _expanded, "expand_as": _expand_as, "flip": _flip, "roll": _roll, "chunk": _chunk, "split": _split, "cat": _cat, "stack": _stack,
    "select": _select, "gather": _gather, "arange": _arange, "one_hot": _one_hot, "embedding": lambda places, table: _index(table, places),
    "layer_norm": _layer_norm, "rms_norm": _rms_norm, "normalize": _normalize, "cosine_similarity": _cosine,
    "scaled_dot_product_attention": _attention,
    "where": _where, "clamp": _clamp, "maximum": _of(lambda a, b: fn("maximum", a, b)),
    "minimum": _of(lambda a, b: fn("minimum", a, b)), "add": _add,
    "sub": lambda a, b, alpha=1: _add(a, b, -alpha), "mul": _of(mul), "div": _of(divide), "pow": _of(power), "neg": _of(neg),
    "square": _of(lambda a: power(a, num(2))), "sqrt": _root, "rsqrt": lambda v: _root(v, Fraction(-1, 2)),
    "reciprocal": _of(lambda a: power(a, num(-1))), "exp": _of(lambda a: fn("exp", a)),
    "exp2": _of(lambda a: power(num(2), a)), "expm1": _of(lambda a: sub(fn("exp", a), num(1))),
    "log1p": _of(lambda a: fn("log", add(num(1), a))), "log2": _of(lambda a: divide(fn("log", a), fn("log", num(2)))),
    "log10": _of(lambda a: divide(fn("log", a), fn("log", num(10)))),
    "logit": _of(lambda a: fn("log", divide(a, sub(num(1), a)))),
    "xlogy": _of(lambda a, b: mul(a, fn("log", b))), "hypot": _of(lambda a, b: power(add(power(a, num(2)), power(b, num(2))), num(Fraction(1, 2)))),
    "zeros_like": _like(0), "ones_like": _like(1), "zeros": _filled(0), "ones": _filled(1), "tensor": _literal,
    "detach": _of(lambda a: fn("detach", a)), "shape": _size, "size": _size, "len": lambda v: length(v.sides[0]),
    "numel": lambda v: _count(v.sides), "ndim": lambda v: len(v.sides), "dim": lambda v: len(v.sides),
    **dict.fromkeys(("clone", "contiguous", "float", "double", "to", "type_as", "positive", "identity"), _same),
}  # fmt: skip
"""By the name of the function, method, property or module."""

_OWN: Mapping[str, Rule] = {
    "softmax": _RULES["softmax"], "log_softmax": _log_softmax, "softmin": _softmin, "cross_entropy": _cross_entropy,
    "nll": lambda *values, **settings: _cross_entropy(*values, logs=False, **settings),
    "sigmoid": _of(lambda a: fn("sigmoid", a)), "tanh": _of(lambda a: fn("tanh", a)), "relu": _of(lambda a: fn("relu", a)),
    "logsigmoid": _of(lambda a: fn("log", fn("sigmoid", a))),
}  # fmt: skip
"""Entries of the catalogue whose definition is better known to the algebra."""
