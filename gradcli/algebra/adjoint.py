"""Reverse mode on formulas: the gradient of a node by every tensor in it.

An adjoint has at most the free indices of its node, and broadcasts where it has fewer.
"""

from collections.abc import Callable, Mapping, Sequence

from gradcli.algebra.nodes import (
    Dim,
    Index,
    Node,
    along,
    arguments_of,
    call,
    delta,
    divide,
    fn,
    fresh,
    is_num,
    mul,
    neg,
    num,
    opened,
    power,
    product,
    rename,
    scale,
    sigma,
    sub,
    transformed,
)


class NoRule(Exception):
    """There is no rule for a function; its message is the reason."""


Slopes = Callable[[Node, int], Node]
"""The derivative of an elementwise function by one of its arguments."""


def gradients(
    node: Node, upstream: Node, axes: Mapping[int, Dim], slopes: Slopes, known: Node | None = None
) -> dict[str, list[tuple[tuple[Index, ...], Node]]]:
    """For every tensor in `node` the adjoints of its uses: the indices of the use, and the adjoint.

    `axes` are the free indices of `node`, of which `upstream` has some. `known` is a tensor with the
    elements of `node`, which its derivatives may use: the derivative of h = tanh(z) is 1 - h**2.
    Raises NoRule.
    """
    root = node
    found: dict[str, list[tuple[tuple[Index, ...], Node]]] = {}
    agenda = [(node, upstream, dict(axes))]
    while agenda:
        node, upstream, live = agenda.pop()
        rest = {index: dim for index, dim in live.items() if index not in node.free}
        live = {index: dim for index, dim in live.items() if index in node.free}
        upstream = sigma(rest, upstream)
        if is_num(upstream, 0):
            continue
        match node.kind:
            case "sym":
                found.setdefault(node.data[0], []).append((node.data[1], upstream))
            case "add":
                for term, each in node.data[1].items():
                    agenda.append((term, scale(each, upstream), live))
            case "mul":
                coefficient, factors = node.data
                for base, by in factors.items():
                    others = [(b, e) for b, e in factors.items() if b is not base]
                    rest_of = product(coefficient, [*others, (upstream, num(1))])
                    lowered = mul(by, power(base, sub(by, num(1))))
                    agenda.append((base, mul(rest_of, lowered), live))
                    if by.kind != "num":
                        slope = mul(rest_of, power(base, by), fn("log", base))
                        agenda.append((by, slope, live))
            case "fn":
                for place, argument in enumerate(node.data[1]):
                    if argument.kind != "num":
                        tasks = _through(node, place, upstream, live, slopes)
                        agenda += tasks if node is not root else _shared(tasks, root, known)
            case "sigma":
                over, body = opened(node)
                agenda.append((body, upstream, live | over))
            case "call":
                node, upstream, live = _everywhere(node, upstream, live)
                tasks = _CALLS.get(node.data[0], _missing)(node, upstream, live)
                agenda += tasks if node is not root else _shared(tasks, root, known)
    return found


Task = tuple[Node, Node, dict[int, Dim]]


def _shared(tasks: list[Task], root: Node, known: Node | None) -> list[Task]:
    """The same with a known tensor in place of what it was computed as."""
    if known is None:
        return tasks

    def change(node: Node) -> Node:
        if node is root:
            return known
        if node.kind == root.kind == "call" and node.data[:2] == root.data[:2]:
            names = dict(zip(root.data[2], node.data[2], strict=True))
            return rename(known, names)
        return transformed(node, change)

    return [(node, change(adjoint), live) for node, adjoint, live in tasks]


def _through(
    node: Node, place: int, upstream: Node, live: dict[int, Dim], slopes: Slopes
) -> list[Task]:
    name, arguments, _ = node.data
    if name == "where":
        if not place:
            return []
        branches = [num(0), num(0)]
        branches[place - 1] = upstream
        return [(arguments[place], fn("where", arguments[0], *branches), live)]
    slope = slopes(node, place)
    return [] if is_num(slope, 0) else [(arguments[place], mul(upstream, slope), live)]


# --- functions of whole tensors -----------------------------------------------------------------


def _missing(node: Node, upstream: Node, live: dict[int, Dim]) -> list[Task]:
    raise NoRule(f"no rule for {node.data[0]}")


def _constant(node: Node, upstream: Node, live: dict[int, Dim]) -> list[Task]:
    return []


def _everywhere(
    node: Node, upstream: Node, live: dict[int, Dim]
) -> tuple[Node, Node, dict[int, Dim]]:
    """The same with an index in place of each fixed place, picked by a factor of the adjoint."""
    name, arguments, outs, settings, sides = node.data
    if all(isinstance(out, int) for out in outs):
        return node, upstream, live
    indices = []
    for out, dim in zip(outs, sides, strict=True):
        index = out
        if isinstance(out, tuple):
            index = fresh()
            upstream, live = mul(upstream, delta(index, out, dim)), live | {index: dim}
        indices.append((index, dim))
    return call(name, arguments, indices, settings), upstream, live


def _one(node: Node) -> tuple[int, Dim, Node]:
    """The axis of a function along one index, and its argument."""
    (((index, dim),), body), *_ = arguments_of(node)
    return index, dim, body


def _back(node: Node, live: dict[int, Dim], axes: Sequence[tuple[int, Dim]]) -> dict[int, Dim]:
    """The free indices of an argument: those of the result's axes replaced by the argument's."""
    return {i: d for i, d in live.items() if i not in node.data[2]} | dict(axes)


def _axes(node: Node) -> list[tuple[int, Dim]]:
    """The axes of the result."""
    return list(zip(node.data[2], node.data[4], strict=True))


def _softmax(node: Node, upstream: Node, live: dict[int, Dim]) -> list[Task]:
    index, dim, body = _one(node)
    (out,) = node.data[2]
    here = rename(node, {out: index})
    mean = sigma({out: dim}, mul(upstream, node))
    adjoint = mul(here, sub(rename(upstream, {out: index}), mean))
    return [(body, adjoint, _back(node, live, [(index, dim)]))]


def _logsumexp(node: Node, upstream: Node, live: dict[int, Dim]) -> list[Task]:
    index, dim, body = _one(node)
    softmax = along("softmax", body, index, dim, index)
    return [(body, mul(upstream, softmax), live | {index: dim})]


def _extreme(node: Node, upstream: Node, live: dict[int, Dim]) -> list[Task]:
    index, dim, body = _one(node)
    chosen = fn("where", fn("==", body, node), num(1), num(0))
    return [(body, mul(upstream, chosen), live | {index: dim})]


def _prod(node: Node, upstream: Node, live: dict[int, Dim]) -> list[Task]:
    index, dim, body = _one(node)
    return [(body, divide(mul(upstream, node), body), live | {index: dim})]


def _linear(back: str) -> Callable[[Node, Node, dict[int, Dim]], list[Task]]:
    """The rule of a linear function of a tensor, whose transpose is `back`."""

    def rule(node: Node, upstream: Node, live: dict[int, Dim]) -> list[Task]:
        (axes, body), *_ = arguments_of(node)
        adjoint = upstream
        if back in _POINTS or not upstream.free.isdisjoint(node.data[2]):
            settings = node.data[3]
            if back == "roll":
                settings = (-settings[0],)
            adjoint = call(back, [(_axes(node), upstream)], axes, settings)
        return [(body, adjoint, _back(node, live, axes))]

    return rule


_POINTS = frozenset({"pad", "slice", "rcumsum", "cumsum", "tril", "triu"})
"""Those that change a tensor whose elements are all equal."""


def _joined(node: Node, upstream: Node, live: dict[int, Dim]) -> list[Task]:
    """cat: the part of the adjoint at each argument; stack: at each place."""
    (out,) = node.data[2]
    tasks: list[Task] = []
    before: tuple[Dim, ...] = ()
    for place, (axes, body) in enumerate(arguments_of(node)):
        part = upstream
        if not axes:
            part = rename(upstream, {out: (place,)})
        elif out in upstream.free:
            ((_, dim),) = axes
            bounds = (before or 0, (*before, dim), 1)
            part = call("slice", [(_axes(node), upstream)], axes, bounds)
            before = (*before, dim)
        tasks.append((body, part, _back(node, live, axes)))
    return tasks


def _matrix(node: Node) -> tuple[int, int, list[tuple[int, Dim]], Node]:
    (axes, body), *_ = arguments_of(node)
    (row, _), (column, _) = axes
    return row, column, axes, body


def _inv(node: Node, upstream: Node, live: dict[int, Dim]) -> list[Task]:
    row, column, axes, body = _matrix(node)
    first, second = node.data[2]
    left, right = _element(node, first, row), _element(node, column, second)
    adjoint = neg(sigma(dict(_axes(node)), mul(left, upstream, right)))
    return [(body, adjoint, _back(node, live, axes))]


def _element(node: Node, row: Index, column: Index) -> Node:
    """An element of the same matrix-valued function."""
    _, arguments, _, _, (dim, _) = node.data
    return call("inv", arguments, [(row, dim), (column, dim)])


def _det(node: Node, upstream: Node, live: dict[int, Dim]) -> list[Task]:
    row, column, axes, body = _matrix(node)
    inverse = call("inv", node.data[1], [(column, axes[0][1]), (row, axes[0][1])])
    local = inverse if node.data[0] == "logdet" else mul(node, inverse)
    return [(body, mul(upstream, local), live | dict(axes))]


_CALLS: Mapping[str, Callable[[Node, Node, dict[int, Dim]], list[Task]]] = {
    "softmax": _softmax, "logsumexp": _logsumexp, "max": _extreme, "min": _extreme, "prod": _prod,
    "cumsum": _linear("rcumsum"), "rcumsum": _linear("cumsum"), "flip": _linear("flip"), "roll": _linear("roll"), "slice": _linear("pad"),
    "pad": _linear("slice"), "tril": _linear("tril"), "triu": _linear("triu"), "reshape": _linear("reshape"),
    "cat": _joined, "stack": _joined, "inv": _inv, "det": _det, "logdet": _det, "one_hot": _constant,
    "arange": _constant,
}  # fmt: skip
"""The rule of each function of whole tensors: the nodes that its adjoint goes on to."""
