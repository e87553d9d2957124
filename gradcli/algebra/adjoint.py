"""Reverse mode on formulas: the gradient of a node by every tensor in it.

The method is that of Laue, Mitterreiter and Giesen (see nodes.py), where an adjoint has the indices
of its node. Here it may lack some, and broadcasts along these.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import chain

from gradcli.algebra import nodes
from gradcli.algebra.elementwise import chosen, fn
from gradcli.algebra.indices import along, arguments_of, call, opened, rename, sigma, transformed
from gradcli.algebra.nodes import ONE, ZERO, Bounds, Dim, Index, Node, NoRuleError
from gradcli.algebra.products import divide, mul, neg, power, product, scale, without
from gradcli.algebra.terms import add, sub
from gradcli.algebra.walk import Value, formula
from gradcli.catalogue import derivative_rules
from gradcli.catalogue.functions import CATALOGUE

Task = tuple[Node, Node, dict[int, Dim]]
"""A node, its adjoint, and the indices of either with their sides."""
Uses = dict[str, list[tuple[tuple[Index, ...], Node]]]
"""For every tensor its uses: their indices, and their adjoints."""


def gradients(
    root: Node, upstream: Node, axes: Mapping[int, Dim], known: Node | None
) -> tuple[Uses, dict[str, str]]:
    """The adjoints of all uses of tensors in a node, whose own adjoint is `upstream`, and the tensors
    on whose way there is no rule, with the reason.

    `axes` are the free indices of the node. `known` is a tensor with the same elements, which its
    derivatives may use: the derivative of h = tanh(z) is 1 - h**2.
    """
    lost: dict[str, str] = {}
    found: Uses = {}
    agenda: list[Task] = [(root, upstream, dict(axes))]
    while agenda:
        node, upstream, live = agenda.pop()
        summed = {index: dim for index, dim in live.items() if index not in node.free}
        live = {index: dim for index, dim in live.items() if index in node.free}
        upstream = sigma(summed, upstream)
        if upstream is ZERO:
            continue
        tasks: list[Task] = []
        match node.kind:
            case "sym":
                found.setdefault(node.data[0], []).append((node.data[1], upstream))
            case "add":
                tasks = [(term, scale(c, upstream), live) for term, c in node.data[1].items()]
            case "mul":
                coefficient, factors = node.data
                for base, by in factors.items():
                    rest = product(coefficient, [*without(factors.items(), base), (upstream, ONE)])
                    lowered = mul(by, power(base, sub(by, ONE)))
                    tasks.append((base, mul(rest, lowered), live))
                    if by.kind != "num":
                        tasks.append((by, mul(rest, power(base, by), fn("log", base)), live))
            case "fn":
                for place, argument in enumerate(node.data[1]):
                    try:
                        if argument.kind != "num":
                            tasks.append((argument, _through(node, place, upstream), live))
                    except NoRuleError as error:
                        lost |= dict.fromkeys(nodes.names_of(argument), str(error))
            case "sigma":
                over, body = opened(node)
                tasks = [(body, upstream, live | over)]
            case "call":
                try:
                    tasks = _by_arguments(*_everywhere(node, upstream, live))
                except NoRuleError as error:
                    lost |= dict.fromkeys(nodes.names_of(node), str(error))
        if known is not None and node is root and node.kind in ("fn", "call"):
            tasks = [(each, _in_terms_of(known, root, adj), axes) for each, adj, axes in tasks]
        agenda += tasks
    return found, lost


def _in_terms_of(known: Node, root: Node, adjoint: Node) -> Node:
    """An adjoint with a known tensor in place of what it was computed as."""
    if adjoint is root:
        return known
    if root.kind == "call" and adjoint.is_call(root.data[0]) and adjoint.data[1] == root.data[1]:
        return rename(known, dict(zip(root.data[2], adjoint.data[2], strict=True)))
    return transformed(adjoint, lambda child: _in_terms_of(known, root, child))


def _through(node: Node, place: int, upstream: Node) -> Node:
    """The adjoint of one argument of an elementwise function."""
    if not node.is_fn("where"):
        return mul(upstream, _slope(node, place))
    if not place:
        return ZERO
    branches = (upstream, ZERO) if place == 1 else (ZERO, upstream)
    return chosen(node.argument, *branches)


def _slope(node: Node, place: int) -> Node:
    """The derivative of an elementwise function by one argument. Raises NoRuleError."""
    name, arguments, settings = node.data
    if name in _SLOPES:
        return _SLOPES[name][place](*arguments)
    if name in _FLAT:
        return ZERO
    formulas = derivative_rules.FORMULAS.get(name)
    if formulas is not None:
        names = dict(zip("abc", map(Value, arguments), strict=False))
        return formula(formulas[place], {**names, "y": Value(node)}).node
    entry = CATALOGUE.get(name)
    if entry is None:
        raise NoRuleError(f"no rule for {name}")
    # Without the branch that PyTorch takes to avoid an overflow.
    text = "sigmoid(beta*x)" if name == "softplus" else entry.derivative
    if text is None:
        raise NoRuleError(f"PyTorch has no derivative of {name}")
    bound = entry.defaults | dict(settings)
    return formula(text, {"x": Value(arguments[0]), **bound}).node


def _first(symbol: str, other: Node) -> str:
    """How the first of two operands compares with the other, if it is the one that counts at a tie:
    both may be equal everywhere in a region, as in minimum(r*A, clamp(r, 0.8, 1.2)*A).
    """
    return symbol if other.kind == "num" else f"{symbol}="


_SLOPES: Mapping[str, tuple[Callable[..., Node], ...]] = {
    "maximum": (lambda a, b: chosen(fn(_first(">", b), a, b)), lambda a, b: chosen(fn(">", b, a))),
    "minimum": (lambda a, b: chosen(fn(_first("<", b), a, b)), lambda a, b: chosen(fn("<", b, a))),
    "relu": (lambda a: chosen(fn(">", a, ZERO)),),
    "polygamma": (lambda n, a: ZERO, lambda n, a: fn("polygamma", add(n, ONE), a)),
}
_FLAT = frozenset({"<", "<=", ">", ">=", "==", "!=", "&", "|", "detach"})


# --- functions of whole tensors -----------------------------------------------------------------


def _everywhere(node: Node, upstream: Node, live: dict[int, Dim]) -> Task:
    """The same with an index in place of each fixed place, picked by a factor of the adjoint."""
    name, arguments, outs, settings, sides = node.data
    if all(isinstance(out, int) for out in outs):
        return node, upstream, live
    indices = []
    for out, dim in zip(outs, sides, strict=True):
        index = out
        if isinstance(out, tuple):
            index = nodes.fresh()
            upstream, live = mul(upstream, nodes.delta(index, out, dim)), live | {index: dim}
        indices.append((index, dim))
    return call(name, arguments, indices, settings), upstream, live


def _by_arguments(node: Node, upstream: Node, live: dict[int, Dim]) -> list[Task]:
    """The adjoints of the arguments of a function of whole tensors."""
    name, _, outs, *_ = node.data
    arguments = arguments_of(node)
    if name in _CONSTANT:
        return []
    if name in ("cat", "stack"):
        adjoints = _joined(node, upstream, arguments)
    elif name in _RULES:
        adjoints = [_RULES[name](node, upstream, *arguments[0])]
    else:
        raise NoRuleError(f"no rule for {name}")
    outer = {index: dim for index, dim in live.items() if index not in outs}
    pairs = zip(arguments, adjoints, strict=True)
    return [(body, adjoint, outer | dict(axes)) for (axes, body), adjoint in pairs]


def _result(node: Node) -> list[tuple[int, Dim]]:
    """The axes of the result."""
    return list(zip(node.data[2], node.data[4], strict=True))


def _joined(node: Node, upstream: Node, arguments: Sequence[tuple[Bounds, Node]]) -> list[Node]:
    """cat: the part of the adjoint at each argument; stack: at each place."""
    (out,) = node.data[2]
    parts = []
    before: tuple[Dim, ...] = ()
    for place, (axes, _) in enumerate(arguments):
        part = upstream
        if not axes:
            part = rename(upstream, {out: (place,)})
        elif out in upstream.free:
            after = (*before, axes[0][1])
            part = call("slice", [(_result(node), upstream)], axes, (before or 0, after, 1))
            before = after
        parts.append(part)
    return parts


def _softmax(node: Node, upstream: Node, axes: Bounds, body: Node) -> Node:
    ((out, dim),), ((index, _),) = _result(node), axes
    here = rename(node, {out: index})
    mean = sigma({out: dim}, mul(upstream, node))
    return mul(here, sub(rename(upstream, {out: index}), mean))


def _logsumexp(node: Node, upstream: Node, axes: Bounds, body: Node) -> Node:
    ((index, dim),) = axes
    return mul(upstream, along("softmax", body, index, dim, index))


def _inv(node: Node, upstream: Node, axes: Bounds, body: Node) -> Node:
    """The Matrix Cookbook, equation 60: -inv(X).T @ G @ inv(X).T."""
    (row, dim), (column, _) = axes
    first, second = node.data[2]
    left, right = (
        call("inv", node.data[1], [(i, dim), (j, dim)]) for i, j in ((first, row), (column, second))
    )
    return neg(sigma(dict(_result(node)), mul(left, upstream, right)))


def _det(node: Node, upstream: Node, axes: Bounds, body: Node) -> Node:
    """The Matrix Cookbook, equations 49 and 57: det(X)*inv(X).T, and inv(X).T for its logarithm."""
    inverse = call("inv", node.data[1], axes[::-1])
    return mul(upstream, inverse if node.data[0] == "logdet" else mul(node, inverse))


def _extremum(node: Node, upstream: Node, axes: Bounds, body: Node) -> Node:
    """max and min. Expressions that are joined may be equal in a region, as r*A and
    clamp(r, 0.8, 1.2)*A are, and share the adjoint there.
    """
    largest = chosen(fn("==", body, node))
    joined = (each.children for each in nodes.within(body) if each.is_call("cat", "stack"))
    computed = any(each.kind != "sym" for each in chain.from_iterable(joined))
    return mul(upstream, divide(largest, sigma(dict(axes), largest)) if computed else largest)


_VARIED = frozenset({"pad", "slice", "rcumsum", "cumsum", "tril", "triu"})
"""Those that change a tensor whose elements are all equal."""


def _linear(back: str, node: Node, upstream: Node, axes: Bounds, body: Node) -> Node:
    """The rule of a linear function of a tensor, whose transpose is `back`."""
    if back not in _VARIED and upstream.free.isdisjoint(node.data[2]):
        return upstream
    settings = (-node.data[3][0],) if back == "roll" else node.data[3]
    return call(back, [(_result(node), upstream)], axes, settings)


Rule = Callable[[Node, Node, Bounds, Node], Node]
_RULES: Mapping[str, Rule] = {
    "softmax": _softmax, "logsumexp": _logsumexp,
    "max": _extremum, "min": _extremum,
    "prod": lambda node, upstream, axes, body: divide(mul(upstream, node), body),
    "inv": _inv, "det": _det, "logdet": _det,
    **{name: partial(_linear, name) for name in ("flip", "roll", "tril", "triu", "reshape")},
    "cumsum": partial(_linear, "rcumsum"), "rcumsum": partial(_linear, "cumsum"),
    "slice": partial(_linear, "pad"), "pad": partial(_linear, "slice"),
}  # fmt: skip
"""The adjoint of the argument of a function: from a node, its adjoint, and the axes and elements of
the argument."""
_CONSTANT = frozenset({"one_hot", "arange"})
