"""Sums of products as chains of `@`, and as traces."""

from collections.abc import Iterator, Mapping, Sequence, Set
from itertools import combinations, permutations
from typing import TYPE_CHECKING

from gradcli.algebra.indices import rename, sigma
from gradcli.algebra.nodes import ONE, Dim, Node, NoRuleError, fresh, is_num
from gradcli.algebra.products import mul, power, powers
from gradcli.algebra.writing.layouts import Axes, Binds, Text, as_floats, length

if TYPE_CHECKING:
    from gradcli.algebra.writing.writer import Writer

FACTORS = 6
"""Factors of a chain, at most: all ways to part them are tried."""


def chains(w: "Writer", over: Mapping[int, Dim], body: Node, axes: Axes) -> Iterator[Text]:
    """Products of matrices and vectors for a sum of products."""
    own = tuple(index for index in axes if index in body.free)
    coefficient, factors = powers(body)
    if coefficient != 1 or len(factors) > FACTORS:
        return
    if len(factors) == 1 and not own:
        ((base, by),) = factors
        if is_num(by, 2) and len(over) == 1:
            text = w.write(base, tuple(over))
            if text.binds == Binds.ATOM:
                yield Text(f"{text.text} @ {text.text}", Binds.PRODUCT, (), chain=True)
        return
    items = [power(base, by) for base, by in factors]
    if len(axes) == 2 and None in axes:  # X.T @ w, a column
        yield from _matrices(w, over, items, *axes, keep=True)
    if not own:
        found = _matrices(w, over, items, None, None)
    elif len(own) == 1:
        found = _matrices(w, over, items, own[0], None)
        row = _matrices(w, over, items, None, own[0])
        # A.T @ g, as textbooks write it, unless g @ A is much shorter.
        if row and (not found or len(found[0].text) > len(row[0].text) + 3):
            found = row
    else:
        found = _matrices(w, over, items, own[-2], own[-1], own[:-2])
        for left, right in permutations(own, 2) if len(own) > 2 and not found else ():
            batch = tuple(index for index in own if index not in (left, right))
            found = sorted([*found, *_matrices(w, over, items, left, right, batch)], key=length)[:1]
    if not found and len(own) + len(over) > 3:
        found = _einsum(w, items, own, tuple(over))
    for text in found:
        yield w.laid(text, text.layout, axes)
    if not own and len(items) > 1:
        yield from _traces(w, over, items)


def _matrices(
    w: "Writer", over: Mapping[int, Dim], items: Sequence[Node], left: int | None, right: int | None,
    batch: Axes = (), *, keep: bool = False,
) -> list[Text]:  # fmt: skip
    """The shortest way to write the product with rows `left` and columns `right` as `a @ b`.

    Without rows or columns an operand is a vector; with `keep` it is a matrix of one row or column.
    """
    found: list[tuple[int, Text]] = []
    for inner, a, b in _splits(over, items, {left, *batch}, {right, *batch}):
        if (left is not None) > (left in a.free) or (right is not None) > (right in b.free):
            continue
        one: Axes = tuple(i for i in (*batch, left, inner) if i in a.free or (keep and i is None))
        other: Axes = tuple(
            i for i in (*batch, inner, right) if i in b.free or (keep and i is None)
        )
        if batch and (len(one) - 2) % len(batch) + (len(other) - 2) % len(batch):
            continue
        if batch and len(one) == len(other) == 2:
            continue
        try:
            x, y = w.write(a, one), w.write(b, other)
        except NoRuleError:
            continue
        if x.layout != one or y.layout != other:
            continue
        x, y = as_floats(a, x), as_floats(b, y)
        before = x.text if x.chain and "/" not in x.text else x.within(Binds.POWER)
        layout = tuple(index for index in (*batch, left, right) if keep or index is not None)
        text = f"{before} @ {y.within(Binds.POWER)}"
        late = 4 if before.startswith("(") and not y.text.startswith("(") else 0
        product = Text(text, Binds.PRODUCT, layout, chain=True)
        found.append((length(product) + late, product))
    return [text for _, text in sorted(found, key=lambda it: it[0])[:1]]


def _einsum(w: "Writer", items: Sequence[Node], own: Axes, over: Axes) -> list[Text]:
    """The product as `einsum`, if no `@` writes it."""
    alike: dict[frozenset[int], Node] = {}
    for item in items:
        alike[item.free] = mul(alike.get(item.free, ONE), item)
    letters = dict(zip((*own, *over), "ijklmnopqrstuvwxyz", strict=False))
    operands = []
    for free, node in alike.items():
        whole = node.kind == "sym" and free.issuperset(node.data[1])
        order = node.data[1] if whole else tuple(i for i in (*over, *own) if i in free)
        text = w.write(node, order)
        if text.layout != order or len(alike) < 2:
            return []
        operands.append(as_floats(node, text))
    layouts = [*(text.layout for text in operands), own]
    *left, right = ("".join(letters[i] for i in axes if i is not None) for axes in layouts)
    listed = ", ".join(text.text for text in operands)
    return [Text(f"einsum('{','.join(left)}->{right}', {listed})", layout=own)]


def _traces(w: "Writer", over: Mapping[int, Dim], items: Sequence[Node]) -> Iterator[Text]:
    """A sum of products over all indices, as the trace of a product of matrices."""
    for index in over:
        holders = [place for place, item in enumerate(items) if index in item.free]
        if len(holders) == 2:
            other = fresh()
            changed = list(items)
            changed[holders[1]] = rename(items[holders[1]], {index: other})
            rest = {i: d for i, d in over.items() if i != index}
            for text in _matrices(w, rest, changed, index, other):
                yield Text(f"trace({text.text})")


def _splits(
    over: Mapping[int, Dim], items: Sequence[Node], rows: Set[int | None], columns: Set[int | None]
) -> Iterator[tuple[int, Node, Node]]:
    """Every way to part factors in two that share exactly one summed index: it, and the products,
    which have no other free indices than `rows` and `columns`.
    """
    for size in range(1, len(items)):
        for chosen in combinations(range(len(items)), size):
            first = [items[place] for place in chosen]
            second = [item for place, item in enumerate(items) if place not in chosen]
            left = frozenset[int]().union(*(item.free for item in first))
            right = frozenset[int]().union(*(item.free for item in second))
            shared = [index for index in over if index in left and index in right]
            fit = left <= over.keys() | rows and right <= over.keys() | columns
            if len(shared) == 1 and fit:
                rest = {i: d for i, d in over.items() if i not in shared}
                a = sigma({i: d for i, d in rest.items() if i in left}, mul(*first))
                b = sigma({i: d for i, d in rest.items() if i in right}, mul(*second))
                yield shared[0], a, b
