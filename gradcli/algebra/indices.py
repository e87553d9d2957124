"""Sums over indices, functions of whole tensors, and the renaming of indices in any node.

A finished sum or an argument of a function binds indices. They have negative numbers, by depth, so
that equal sums are one node, and no free index equals a bound one. `opened` gives them other names.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import permutations
from operator import is_
from typing import Any, TypeAlias

from gradcli.algebra import elementwise, nodes, products, terms
from gradcli.algebra.nodes import ONE, Bounds, Dim, Index, Node, Power

Argument: TypeAlias = tuple[Bounds, Node]
"""A tensor as an argument: its axes, and its elements."""
Outs: TypeAlias = Sequence[tuple[Index, Dim]]
"""The axes of what a call returns, some of them at fixed places."""
Settings: TypeAlias = tuple[Any, ...]


def opened(node: Node) -> tuple[dict[int, Dim], Node]:
    """A sum over indices with new names of them: the indices, and what is summed."""
    axes, body = _opened(*node.data)
    return dict(axes), body


def arguments_of(node: Node) -> list[tuple[list[tuple[int, Dim]], Node]]:
    """The arguments of a call with new names of their axes."""
    return [_opened(*argument) for argument in node.data[1]]


def _opened(bounds: Bounds, body: Node) -> tuple[list[tuple[int, Dim]], Node]:
    names = {bound: nodes.fresh() for bound, _ in bounds}
    return [(names[bound], dim) for bound, dim in bounds], rename(body, names)


def _closed_names(body: Node, count: int) -> list[int]:
    """Names of indices bound around a body: those inside it are smaller."""
    return [-body.depth - 1 - place for place in range(count)]


# --- sums ---------------------------------------------------------------------------------------


def size(dim: Dim) -> Node:
    """The size of a side: the product of the sizes of those that it joins."""
    root = dim.root
    joins = root.parts and not (root.fixed or root.places)
    return products.mul(*map(size, root.parts)) if joins else nodes.size(root)


def sigma(bounds: Mapping[int, Dim], body: Node) -> Node:
    """The sum of `body` over some of its indices."""
    if not bounds:
        return body
    over = dict(bounds)
    while (simpler := _contracted(over, body)) is not None:
        body = simpler
    coefficient, factors = products.powers(body)
    outside: list[Node] = [nodes.num(coefficient)]
    live = frozenset[int]().union(*(base.free | by.free for base, by in factors))
    for index in [index for index in over if index not in live]:
        outside.append(size(over.pop(index)))
    inside = []
    for base, by in factors:
        if (base.free | by.free).isdisjoint(over):
            outside.append(products.power(base, by))
        else:
            inside.append((base, by))
    for some, own in _components(over, inside):
        outside.append(_one_sum(some, products.product(1, own)))
    return products.mul(*outside)


def _contracted(over: dict[int, Dim], body: Node) -> Node | None:
    """The body after one step: an inner sum opened, an index replaced by an equal one; `over` changes
    with it. None if nothing is left to do.
    """
    factors = [base for base, by in products.powers(body)[1] if by is ONE]
    for base in factors:
        if base.kind == "sigma" and not base.free.isdisjoint(over):
            new, inner = opened(base)
            over |= new
            return products.mul(products.divide(body, base), inner)
        if base.kind == "delta":
            left, right, _ = base.data
            if left not in over:
                left, right = right, left
            if left in over:
                del over[left]
                return rename(products.divide(body, base), {left: right})
        if base.is_call("softmax", "one_hot") and base.data[2][0] in over:
            rest = products.divide(body, base)
            if base.data[2][0] not in rest.free:  # its elements add up to 1
                del over[base.data[2][0]]
                return rest
        if base.is_call("inv") and (found := _inverse(base, factors, over)) is not None:
            other, unit = found
            return products.mul(products.divide(products.divide(body, base), other), unit)
    return None


def _inverse(inverse: Node, factors: list[Node], over: dict[int, Dim]) -> tuple[Node, Node] | None:
    """inv(X) @ X = eye: the other factor, and what replaces both; the index is no longer in `over`."""
    (((row, rows), (column, _)), matrix), *_ = inverse.data[1]
    first, second = inverse.data[2]
    for outer, inner, at, beside in ((first, second, row, column), (second, first, column, row)):
        for factor in factors if inner in over else ():
            if factor is inverse or inner not in factor.free:
                continue
            for index in factor.free - {inner}:
                if rename(matrix, {at: inner, beside: index}) is factor:
                    del over[inner]
                    return factor, nodes.delta(outer, index, rows)
    return None


def _components(
    over: Mapping[int, Dim], factors: list[Power]
) -> list[tuple[dict[int, Dim], list[Power]]]:
    """Factors in groups that share no summed index, each with its indices."""
    groups: list[tuple[set[int], list[Power]]] = []
    for base, by in factors:
        own = {index for index in base.free | by.free if index in over}
        joined = [group for group in groups if not group[0].isdisjoint(own)]
        groups = [group for group in groups if group[0].isdisjoint(own)]
        members = [each for _, several in joined for each in several]
        groups.append((own.union(*(group[0] for group in joined)), [*members, (base, by)]))
    return [({index: over[index] for index in over if index in some}, own) for some, own in groups]


def _one_sum(over: dict[int, Dim], body: Node) -> Node:
    """One sum whose factors all share indices."""
    if body.kind == "add":
        constant, found = body.data
        if constant or any(not over.keys() <= term.free for term in found):
            apart = [(each, sigma(over, term)) for each, term in terms.terms(body)]
            return terms.combine(apart)
    if len(over) == 1:
        (index,) = over
        place = nodes.state().shares.get(body.data[0]) if body.kind == "sym" else None
        if place is not None and body.data[1][place] == index:
            return ONE
    names = _closed_names(body, len(over))
    orders = permutations(over) if len(over) < 4 else [_by_occurrence(over, body)]
    # Of the bodies that differ by the order of names, the one that was made first stands for all.
    made = [(with_indices(body, order, names), order) for order in orders]
    inner, order = min(made, key=lambda it: it[0].number)
    bounds = tuple((name, over[index].root) for name, index in zip(names, order, strict=True))
    crossed = any(map(_is_crossed, [base for base, _ in products.powers(inner)[1]]))
    node = nodes.interned("sigma", (bounds, inner), (bounds, inner), [inner], 60 if crossed else 3)
    node.free = node.free.difference(names)
    node.depth = max(node.depth, body.depth + len(names))
    return node


def _is_crossed(total: Node) -> bool:
    """Whether this sum of terms has three sides, and no tensor in it all of them: that is slow."""
    own = total.data[1] if total.kind == "add" and len(total.free) > 2 else ()
    factors = [base for term in own for base, _ in products.powers(term)[1]]
    return factors != [] and all(b.free != total.free or b.kind == "add" for b in factors)


def _by_occurrence(over: Mapping[int, Dim], body: Node) -> list[int]:
    order: dict[int, None] = {}
    for base, by in sorted(products.powers(body)[1], key=lambda it: it[0].weight):
        order |= dict.fromkeys(sorted(i for i in base.free | by.free if i in over))
    return list(order)


# --- functions of whole tensors -----------------------------------------------------------------


def call(
    name: str, arguments: Sequence[Argument], outs: Outs = (), settings: Settings = ()
) -> Node:
    """An element of what a function of whole tensors returns, at the indices `outs`."""
    if name == "softmax" and (rest := _varying(*arguments[0])) is not None:
        return call(name, [(arguments[0][0], rest)], outs)
    taken = _taken(name, arguments, outs, settings)
    if taken is not None:
        return taken
    indices = tuple(index for index, _ in outs)
    closed = []
    for axes, body in arguments:
        names = _closed_names(body, len(axes))
        inner = with_indices(body, [index for index, _ in axes], names)
        bounds = tuple((new, dim.root) for new, (_, dim) in zip(names, axes, strict=True))
        closed.append((bounds, inner))
    if name == "inv":
        indices = _symmetric(*closed[0], indices)
    data = (name, tuple(closed), indices, settings, tuple(dim.root for _, dim in outs))
    weight = len(name) + 2 + 3 * len(outs)
    node = nodes.interned("call", data, data, [it for _, it in closed], weight)
    own = {index for index in indices if isinstance(index, int)}
    inside = (body.free.difference(i for i, _ in axes) for axes, body in arguments)
    node.free = frozenset(own.union(*inside))
    node.depth = max((body.depth + len(axes) for axes, body in arguments), default=0)
    return node


def _varying(axes: Bounds, body: Node) -> Node | None:
    """A sum without its terms that are the same along an axis; None if there are none."""
    if body.kind != "add":
        return None
    ((index, _),) = axes
    shift = terms.combine(
        (each, term) for each, term in terms.terms(body) if index not in term.free
    )
    rest = terms.sub(body, shift)
    return None if nodes.ZERO in (shift, rest) else rest


def along(name: str, body: Node, index: int, dim: Dim, out: Index | None = None) -> Node:
    """A function along one index of `body`: one number for each place `out`, or one in all."""
    return call(name, [([(index, dim)], body)], () if out is None else [(out, dim)])


def _taken(name: str, arguments: Sequence[Argument], outs: Outs, settings: Settings) -> Node | None:
    """The element at a fixed place of a function that only moves elements, what a second move makes
    of the first, zeros with zeros around them, and the determinant of a power of a matrix; otherwise
    None.
    """
    if name == "det":
        return _det_of_product(*arguments[0])
    if name == "pad" and arguments[0][1] is nodes.ZERO:
        return nodes.ZERO
    moves = name in ("reshape", "slice")
    if moves and (undone := _undone(name, *arguments[0], outs, settings)):
        return undone
    if not outs or not isinstance(outs[0][0], tuple):
        return None
    (place,) = outs[0][0]  # type: ignore[misc]
    if name == "slice" and place >= 0:
        (((index, dim),), body), *_ = arguments
        start = settings[0] if isinstance(settings[0], int) else nodes.count_of(settings[0], dim)
        return rename(body, {index: (start + place * settings[2],)})
    if name == "stack":
        return arguments[place][1]
    if name == "cat" and place >= 0:
        for ((index, dim),), body in arguments:
            if place < dim.size:
                return rename(body, {index: (place,)})
            place -= dim.size
    return None


def _undone(name: str, axes: Bounds, body: Node, outs: Outs, settings: Settings) -> Node | None:
    """f(x.reshape(2, 3)).reshape(6) and f(cat([x, h]))[:len(x)] as f(x) for an elementwise function f;
    None for anything else.
    """
    names = tuple(index for index, _ in axes)
    undoes = "cat" if name == "slice" else name
    indices, sides = [index for index, _ in outs], [dim.root for _, dim in outs]
    first = nodes.count_of(settings[0], axes[0][1]) if settings else 0

    def change(node: Node) -> Node:
        if node.kind in ("add", "mul", "fn") and not node.free.isdisjoint(names):
            return _rebuilt(node, change)
        at = 0
        for own, inner in node.data[1] if node.is_call(undoes) else ():
            if node.data[2] == names and at == first and [dim.root for _, dim in own] == sides:
                return with_indices(inner, [index for index, _ in own], indices)
            at += own[0][1].size
        return node

    found = change(body)
    return found if found.free.isdisjoint(names) else None


def _det_of_product(axes: Bounds, body: Node) -> Node | None:
    """The determinant of a power of a matrix as that power of its determinant."""
    if body.kind != "sigma" or any(dim.root is not axes[0][1].root for _, dim in body.data[0]):
        return None
    factors = products.powers(body.data[1])[1]
    names = {base.data[0] if base.kind == "sym" and by is ONE else None for base, by in factors}
    name = names.pop()
    if names or name is None or len(factors) != len(body.data[0]) + 1:
        return None
    whole = call("det", [(axes, nodes.sym(name, [index for index, _ in axes]))])
    return products.power(whole, nodes.num(len(factors)))


def _symmetric(axes: Bounds, body: Node, outs: tuple[Index, ...]) -> tuple[Index, ...]:
    """The indices of an inverse, in one order where the matrix is symmetric."""
    known = nodes.state().symmetric
    if body not in known:
        (row, _), (column, _) = axes
        known[body] = rename(body, {row: column, column: row}) is body
    return tuple(sorted(outs, key=str)) if known[body] else outs


# --- walking ------------------------------------------------------------------------------------


def rename(node: Node, names: Mapping[int, Index]) -> Node:
    """A node with other names of its free indices, all at once."""
    own = {old: new for old, new in names.items() if old in node.free and old != new}
    return _renamed(node, own, {}) if own else node


def with_indices(node: Node, before: Sequence[Any], after: Iterable[Index]) -> Node:
    """A node with the indices `after` in place of its indices `before`, one for one."""
    return rename(node, dict(zip(before, after, strict=True)))


def _renamed(node: Node, names: Mapping[int, Index], done: dict[Node, Node]) -> Node:
    if node.free.isdisjoint(names):
        return node
    found = done.get(node)
    if found is None:
        match node.kind:
            case "sym":
                found = nodes.sym(node.data[0], _moved(node.data[1], names))
            case "delta":
                left, right = _moved(node.data[:2], names)
                found = nodes.delta(left, right, node.data[2])
            case _:
                found = _rebuilt(node, lambda child: _renamed(child, names, done), names)
        done[node] = found
    return found


def _moved(indices: Sequence[Index], names: Mapping[int, Index]) -> list[Index]:
    return [names.get(index, index) if isinstance(index, int) else index for index in indices]


def _rebuilt(
    node: Node, change: Callable[[Node], Node], names: Mapping[int, Index] | None = None
) -> Node:
    """A node with changed children, and other names of a call's indices. The change must not bring
    in bound indices of other sums: `transformed` opens sums before.
    """
    match node.kind:
        case "add":
            constant, found = node.data
            changed = [change(term) for term in found]
            if all(map(is_, changed, found)):
                return node
            return terms.combine([(constant, ONE), *zip(found.values(), changed, strict=True)])
        case "mul":
            coefficient, factors = node.data
            bases = [change(base) for base in factors]
            exponents = [by if by.kind == "num" else change(by) for by in factors.values()]
            if all(map(is_, bases, factors)) and all(map(is_, exponents, factors.values())):
                return node
            return products.product(coefficient, zip(bases, exponents, strict=True))
        case "fn":
            name, arguments, settings = node.data
            changed = [change(argument) for argument in arguments]
            same = all(map(is_, changed, arguments))
            return node if same else elementwise.fn(name, *changed, settings=settings)
        case "sigma":
            bounds, body = node.data
            return sigma(dict(bounds), change(body))
        case "call":
            name, arguments, outs, settings, sides = node.data
            made = [(axes, change(body)) for axes, body in arguments]
            moved = list(zip(_moved(outs, names or {}), sides, strict=True))
            return call(name, made, moved, settings)
    return node


def transformed(
    node: Node, change: Callable[[Node], Node], openings: dict[Node, Any] | None = None
) -> Node:
    """A node with changed children, the bound indices of its sums and calls opened for the change.

    With `openings` a node is opened once, so that a change may know its parts again.
    """
    if node.kind not in ("sigma", "call"):
        return _rebuilt(node, change)
    opening = None if openings is None else openings.get(node)
    if opening is None:
        opening = [_opened(*node.data)] if node.kind == "sigma" else arguments_of(node)
        if openings is not None:
            openings[node] = opening
    made = [(axes, change(body)) for axes, body in opening]
    if all(new is old for (_, new), (_, old) in zip(made, opening, strict=True)):
        return node
    if node.kind == "sigma":
        ((over, body),) = made
        return sigma(dict(over), body)
    name, _, outs, settings, sides = node.data
    return call(name, made, list(zip(outs, sides, strict=True)), settings)


def substituted(node: Node, values: Mapping[str, Callable[[Sequence[Index]], Node]]) -> Node:
    """A node with some tensors replaced: the element at the indices, for each."""
    done: dict[Node, Node] = {}

    def change(node: Node) -> Node:
        if node not in done:
            known = node.kind == "sym" and node.data[0] in values
            done[node] = values[node.data[0]](node.data[1]) if known else transformed(node, change)
        return done[node]

    return change(node)
