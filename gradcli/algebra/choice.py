"""The shortest form of a formula: expanded, factored, over one denominator, with sums joined.

Every node is first made of the shortest forms of its parts, then changed step by step as long as
that shortens it.
"""

from collections.abc import Iterator
from itertools import combinations
from typing import Any

from gradcli.algebra.indices import opened, rename, sigma, transformed
from gradcli.algebra.nodes import ONE, Node, Number, num, number, spent, whole
from gradcli.algebra.products import divide, mul, power, powers, product, without
from gradcli.algebra.signs import is_negative
from gradcli.algebra.terms import Term, add, combine, sub, terms

_EXPANDED = 1.2
"""How much shorter an expanded form must be, as a factor."""
_FACTORED = 0.97
"""The same of a factored form, which wins a tie."""
_TERMS = 40
"""Terms of an expanded product, at most."""
_STEPS = 8


class Simplifier:
    """Finds short forms, and remembers them."""

    def __init__(self) -> None:
        self._done: dict[Node, Node] = {}
        self._openings: dict[Node, Any] = {}

    def __call__(self, node: Node) -> Node:
        """The shortest form that was found. Raises TooLongError."""
        found = self._done.get(node)
        if found is not None:
            return found
        found = transformed(node, self, self._openings)
        for _ in range(_STEPS):
            better = min(_variants(found), key=_cost, default=(found, 1.0))
            if _cost(better) >= found.weight:
                break
            found = transformed(better[0], self, self._openings)
        self._done[node] = found
        return found


def _cost(variant: tuple[Node, float]) -> float:
    return variant[0].weight * variant[1]


def _variants(node: Node) -> Iterator[tuple[Node, float]]:
    """Other forms of a node, each with the factor by which it must be shorter."""
    if spent():
        return
    match node.kind:
        case "add":
            yield from ((variant, _FACTORED) for variant in _factored(node))
            for form in (_over_one_denominator, _joined_sums, _flat):
                yield from ((variant, 1.0) for variant in form(node))
        case "mul":
            yield from _multiplied_out(node)
        case "sigma":
            over, body = opened(node)
            for variant, handicap in _multiplied_out(body):
                if variant.kind == "add":
                    apart = [(each, sigma(over, term)) for each, term in terms(variant)]
                    yield combine(apart), handicap
                yield sigma(over, variant), handicap


# --- sums ---------------------------------------------------------------------------------------


def _factored(node: Node) -> Iterator[Node]:
    """Common factors in front of the terms that have them."""
    found = terms(node)
    holders: dict[Node, dict[int, Node]] = {}
    for place, (_, term) in enumerate(found):
        for base, by in powers(term)[1]:
            holders.setdefault(base, {})[place] = by
    for base, exponents in holders.items():
        first, *others = exponents.values()
        above = [number(sub(by, first)) for by in others]
        if not others or None in above or spent():
            continue
        lowest = min([0, *(by for by in above if by is not None)])
        factor = power(base, add(first, num(lowest)))
        inside = combine([(found[p][0], divide(found[p][1], factor)) for p in exponents])
        rest = [term for place, term in enumerate(found) if place not in exponents]
        yield combine([*rest, (1, mul(factor, _again(inside)))])


def _again(node: Node) -> Node:
    """The same after one more step, if that shortens it."""
    if node.kind != "add":
        return node
    return min([node, *_factored(node), *_joined_sums(node)], key=lambda it: it.weight)


def _over_one_denominator(node: Node) -> Iterator[Node]:
    """The terms over their common denominator, the numerator multiplied out."""
    below: dict[Node, Number] = {}
    for _, term in terms(node):
        for base, by in powers(term)[1]:
            if is_negative(by):
                below[base] = min(below.get(base, 0), by.data)
    if below:
        denominator = product(1, [(base, num(-by)) for base, by in below.items()])
        for numerator in _distributed(denominator, node):
            yield divide(numerator, denominator)


def _distributed(factor: Node, total: Node) -> Iterator[Node]:
    """A factor times the terms of a sum: as they are, multiplied out, and short again."""
    above = [(each, mul(term, factor)) for each, term in terms(total)]
    yield combine(above)
    yield from _multiplied(above)


def _multiplied(found: list[Term]) -> Iterator[Node]:
    """The sum of terms that are multiplied out, and the same after one more step."""
    flat = combine([(each, expanded(term)) for each, term in found])
    yield flat
    if flat.kind == "add":
        yield _again(flat)


def _flat(node: Node) -> Iterator[Node]:
    """Every term multiplied out: terms may cancel."""
    if expanded(node) is not node:
        yield from _multiplied(terms(node))


def _joined_sums(node: Node) -> Iterator[Node]:
    """Sums over indices that share a factor, as one: X.T @ a - X.T @ b."""
    found = terms(node)
    for first, second in combinations(found, 2):
        if spent():
            return
        joined = _joined(first, second)
        if joined is not None:
            rest = [term for term in found if term is not first and term is not second]
            yield combine([*rest, (1, joined)])


def _joined(first: Term, second: Term) -> Node | None:
    """Two terms, each with one sum over the same sides, as one sum; None if they are not such."""
    sums = []
    for _, term in (first, second):
        own = [base for base, by in powers(term)[1] if base.kind == "sigma" and by is ONE]
        if len(own) != 1:
            return None
        sums += own
    left, right = sums
    outer = [divide(first[1], left), divide(second[1], right)]
    if outer[0] is not outer[1] and any(node.free for node in outer):
        return None
    over, body = opened(left)
    unused = dict(over)
    names: dict[int, int] = {}
    for name, dim in right.data[0]:
        index = next((i for i, d in unused.items() if d is dim), None)
        if index is None:
            return None
        names[name] = index
        del unused[index]
    if unused:
        return None
    other = rename(right.data[1], names)
    front = {each for each, by in powers(body)[1] if by is ONE}
    shared = [each for each, by in powers(other)[1] if by is ONE and each in front]
    common = mul(*(each for each in shared if not each.free.isdisjoint(over)))
    rest = combine([
        (first[0], mul(outer[0], divide(body, common))),
        (second[0], mul(outer[1], divide(other, common))),
    ])  # fmt: skip
    return sigma(over, mul(common, rest))


# --- products -----------------------------------------------------------------------------------


def expanded(node: Node) -> Node:
    """A product with its sums multiplied out, and a sum with its terms; others unchanged."""
    if node.kind == "add":
        return combine([(each, expanded(term)) for each, term in terms(node)])
    if node.kind != "mul":
        return node
    coefficient, factors = powers(node)
    sums: list[Node] = []
    rest = []
    count = 1
    for base, by in factors:
        times = whole(by) or 0
        if base.kind == "add" and 0 < times < 4:
            count *= len(terms(base)) ** times
            if count > _TERMS:
                return node
            sums += [base] * times
        else:
            rest.append((base, by))
    found = [(coefficient, product(1, rest))]
    for total in sums:
        pairs = [(one, other) for one in found for other in terms(total)]
        found = terms(combine([(a * b, mul(term, factor)) for (a, term), (b, factor) in pairs]))
    return combine(found)


def _multiplied_out(node: Node) -> Iterator[tuple[Node, float]]:
    """A sum times the factors that its terms are divided by; then all of it."""
    if node.kind != "mul":
        return
    coefficient, factors = powers(node)
    for total, by in factors:
        if total.kind != "add":
            continue
        others = without(factors, total)
        if by.kind == "num":
            for form in _over_one_denominator(total):
                yield product(coefficient, [*others, (form, by)]), 1.0
        if by is not ONE:
            continue
        inside = [each for _, term in terms(total) for each in powers(term)[1]]
        held = {base for base, _ in inside}
        below = {base for base, e in inside if is_negative(e)}
        cancelled = [(base, e) for base, e in others if base in below]
        if cancelled:
            keep = without(others, *below)
            for form in _distributed(product(1, cancelled), total):
                yield product(coefficient, [*keep, (form, ONE)]), 1.0
        # One factor at a time: a term may be its inverse in disguise.
        for base, e in others:
            if is_negative(e) or (base.kind == "add" and base not in held):
                continue
            form = next(_distributed(power(base, e), total))
            yield product(coefficient, [*without(others, base), (form, ONE)]), _EXPANDED
    flat = expanded(node)
    if flat is not node:
        yield flat, _EXPANDED
