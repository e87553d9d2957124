"""Sums over indices as text: sums and means of elements, norms, look-ups."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from itertools import permutations
from typing import TYPE_CHECKING

from gradcli.algebra.indices import sigma as summed
from gradcli.algebra.nodes import ONE, Dim, Node, NoRuleError, num, ratio
from gradcli.algebra.products import powers, product, without
from gradcli.algebra.signs import is_even
from gradcli.algebra.terms import combine, terms
from gradcli.algebra.writing import chains, layouts
from gradcli.algebra.writing.layouts import DIAGONAL, KEPT, Axes, Binds, Text, as_floats, length

if TYPE_CHECKING:
    from gradcli.algebra.writing.writer import Writer


def sigma(w: "Writer", node: Node, axes: Axes) -> Text:
    """A sum over indices. Raises NoRuleError."""
    over, body = w.open(node)
    if len(powers(body)[1]) > chains.FACTORS:
        inner = _innermost(w, over, body)
        if inner is not None:
            return w.write(summed(*inner), axes)
    texts = [text for _, text in wholes(w, over, body, axes, "sum")]
    texts += _by_places(w, over, body, axes)
    texts += chains.chains(w, over, body, axes)
    apart = None
    if body.kind == "add":
        with suppress(NoRuleError):  # of one of the terms
            apart = w.write(combine((each, summed(over, it)) for each, it in terms(body)), axes)
            texts.append(apart)
    if not texts:
        raise NoRuleError("no short text for a sum")
    return layouts.by_matrices(apart, len(terms(body)), min(texts, key=_length))


def wholes(
    w: "Writer", over: Mapping[int, Dim], body: Node, axes: Axes, reduction: str
) -> Iterator[tuple[Collection[Dim], Text]]:
    """The elements reduced along all sides, then along some while the others are summed inside: the
    sides, and the text.
    """
    for elements, left in ((body, over), *_nested(w, over, body).items()):
        for text in reduced(w, left, elements, axes, reduction):
            yield left.values(), text


def _length(text: Text) -> int:
    """The length of a sum's text; a matrix comes before a vector in brackets: X.T @ (p - y)."""
    late = text.chain and text.text.startswith("(") and not text.text.endswith(")")
    return length(text) + 4 * late


_AXES = 6
"""Axes that elements are written out along before they are summed, at most, unless an input has more."""


def reduced(
    w: "Writer", over: Mapping[int, Dim], body: Node, axes: Axes, reduction: str
) -> Iterator[Text]:
    """The elements written out, then summed along their axes."""
    own = tuple(index for index in axes if index in body.free)
    if len(own) + len(over) > max(_AXES, *map(len, w.tensors.values())):
        return  # each axis more is a factor of memory
    for order in _orders(body, own, tuple(over)):
        try:
            text = w.write(body, order)
        except NoRuleError:
            continue
        if text.layout == order:
            text = as_floats(body, text) if reduction == "mean" else text
            dims = sorted(order.index(index) for index in over)
            listed = str(dims[0]) if len(dims) == 1 else f"({', '.join(map(str, dims))})"
            kept = keeps(over, order, axes)
            listed += KEPT * kept
            left = tuple(index for index in order if index not in over)
            found = f"{reduction}({text.text}, {listed})"
            if not own and not kept:
                found = f"{reduction}({text.text})"
                if reduction == "sum" and text.text.endswith(DIAGONAL) and text.binds == Binds.ATOM:
                    found = f"trace({text.text.removesuffix(DIAGONAL)})"
            elif text.binds == Binds.ATOM and len(text.text) < 16:
                found = f"{text.text}.{reduction}({listed})"
            yield w.laid(Text(found), axes if kept else left, axes)


def keeps(over: Collection[int], order: Axes, axes: Axes) -> bool:
    """Whether the reduction of these indices gives the axes, if it keeps the sides as 1."""
    return tuple(None if index in over else index for index in order) == axes


def _orders(body: Node, own: Axes, over: Axes) -> list[Axes]:
    """Orders of axes for the elements of a sum: those of the tensors in it, and the plain one."""
    found: dict[Axes, None] = {}
    agenda = [body]
    wanted = {*own, *over}
    while agenda and len(found) < 4:
        node = agenda.pop()
        if node.kind == "sym":
            indices = tuple(i for i in node.data[1] if isinstance(i, int))
            if set(indices) == wanted and len(indices) == len(wanted):
                found[indices] = None
        elif node.kind in ("add", "mul", "fn"):
            agenda += node.data[1]
    orders = permutations((*own, *over)) if len(wanted) <= 3 else [(*own, *over)]
    for order in orders:
        if tuple(index for index in order if index in own) == own:
            found[order] = None
    return list(found)


def _nested(w: "Writer", over: Mapping[int, Dim], body: Node) -> dict[Node, dict[int, Dim]]:
    """The same with one index or more summed inside: the elements, and what is left to sum."""
    key = body, frozenset(over)
    found = w.nested.get(key)
    if found is None:
        found = w.nested[key] = {}
        coefficient, factors = powers(body)
        for index, dim in over.items() if len(over) > 1 else ():
            having = [(base, by) for base, by in factors if index in base.free | by.free]
            if len(having) < len(factors):
                inner = w.stand_in(summed({index: dim}, product(1, having)))
                rest = [factor for factor in factors if factor not in having]
                left = {i: d for i, d in over.items() if i != index}
                elements = product(coefficient, [*rest, (inner, ONE)])
                for each, others in ((elements, left), *_nested(w, left, elements).items()):
                    found.setdefault(each, others)
    return found


def _innermost(
    w: "Writer", over: Mapping[int, Dim], body: Node
) -> tuple[dict[int, Dim], Node] | None:
    """The same with the one index summed inside that leaves the smallest matrix, as the first product
    of a backward pass does; None if all leave a tensor of more axes.
    """

    def size(nested: Node) -> int:
        """The axes of what is summed inside, the last factor."""
        return len(powers(nested)[1][-1][0].free)

    found = _nested(w, over, body)
    best = min(found, key=size, default=None)
    return (found[best], best) if best is not None and size(best) <= 2 else None


def norm(w: "Writer", base: Node, axes: Axes) -> Text | None:
    """The root of a sum of squares; None for any other sum."""
    if base.kind != "sigma":
        return None
    over, body = w.open(base)
    coefficient, factors = powers(body)
    if coefficient != 1 or not all(is_even(by) for _, by in factors):
        return None
    inner = product(1, [(each, num(ratio(by.data, 2))) for each, by in factors])
    own = tuple(index for index in axes if index in inner.free)
    for order in _orders(inner, own, tuple(over)):
        text = w.write(inner, order)
        if text.layout == order and (not own or len(over) == 1):
            dim = f", dim={order.index(next(iter(over)))}" if own else ""
            found = f"norm({text.text}{dim})"
            if own and keeps(over, order, axes):
                return Text(f"{found[:-1]}{KEPT})", layout=axes)
            left = tuple(index for index in order if index not in over)
            return w.laid(Text(found), left, axes)
    return None


def _by_places(w: "Writer", over: Mapping[int, Dim], body: Node, axes: Axes) -> Iterator[Text]:
    """Products with one-hot rows: W[s], a[arange(n), t], and zeros_like(W).index_add(0, s, r)."""
    coefficient, factors = powers(body)
    for hot, by in factors:
        if not hot.is_call("one_hot") or by is not ONE:
            continue
        (((), places),), (out,) = hot.data[1], hot.data[2]
        rest = without(factors, hot)
        if out in over:
            tables = [base for base, _ in rest if out in base.free]
            rows = _rows(w, tables[0], out, places) if len(tables) == 1 else None
            if rows is not None:
                left = {index: dim for index, dim in over.items() if index != out}
                found = product(coefficient, [*without(rest, tables[0]), (rows, ONE)])
                yield w.write(summed(left, found), axes)
        elif len(places.free) == 1 and places.free <= over.keys() and axes == w.like_axes:
            (row,) = places.free
            left = {i: d for i, d in over.items() if i != row}
            inner = summed(left, product(coefficient, rest))
            order = (row, *axes[1:])
            if axes and axes[0] == out and inner.free <= set(order):
                text, at = w.write(inner, order), w.write(places, (row,))
                if text.layout == order:
                    added = f"zeros_like({w.like}).index_add(0, {at.text}, {text.text})"
                    yield Text(added, layout=axes)


def _rows(w: "Writer", table: Node, out: int, places: Node) -> Node | None:
    """A table indexed by `out` as the tensor of its elements at the places; None if it is not a tensor."""
    if table.kind != "sym" or not all(isinstance(i, int) for i in table.data[1]):
        return None
    name, indices = w.named(table), table.data[1]
    if name is None:
        return None
    at = indices.index(out)
    rows = tuple(sorted(places.free, reverse=True))
    if places.kind == "sym" and places.free.issuperset(places.data[1]):
        rows = places.data[1]
    written = w.write(places, rows)
    if written.layout != rows:
        return None
    if at == 0 and places.free.isdisjoint(indices):
        return w.given(f"{name}[{written.text}]", (*rows, *indices[1:]))
    if at == 1 and rows == indices[:1]:
        text = f"{name}[arange({name}.shape[0]), {written.text}]"
        return w.given(text, (*rows, *indices[2:]))
    return None
