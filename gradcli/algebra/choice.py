"""The shortest form of a formula: expanded, factored, over one denominator, with sums joined.

Every node is first made of the shortest forms of its parts, then changed step by step as long as
that shortens it.
"""

from collections.abc import Iterator
from typing import Any

from gradcli.algebra.nodes import (
    Node,
    Number,
    bound_as,
    combine,
    divide,
    is_num,
    mul,
    num,
    number,
    opened,
    parts,
    power,
    powers,
    product,
    sigma,
    spent,
    transformed,
)

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
        """The shortest form that was found. Raises TooLong."""
        found = self._done.get(node)
        if found is not None:
            return found
        found = transformed(node, self, self._openings)
        for _ in range(_STEPS):
            better = min(_variants(found), key=_cost, default=(found, 1.0))
            if _cost(better) >= found.weight:
                break
            found = better[0]
            found = transformed(found, self, self._openings)
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
                    split = combine([(each, sigma(over, term)) for each, term in _terms(variant)])
                    yield split, handicap
                yield sigma(over, variant), handicap


def _terms(node: Node) -> list[tuple[Number, Node]]:
    constant, terms = node.data
    found = [(each, term) for term, each in terms.items()]
    return [*found, (constant, num(1))] if constant else found


# --- sums ---------------------------------------------------------------------------------------


def _factored(node: Node) -> Iterator[Node]:
    """Common factors in front of the terms that have them."""
    terms = _terms(node)
    holders: dict[Node, list[int]] = {}
    for place, (_, term) in enumerate(terms):
        for base, by in powers(term)[1]:
            if by.kind == "num" and term.kind != "num":
                holders.setdefault(base, []).append(place)
    for base, places in holders.items():
        if len(places) < 2 or spent():
            continue
        exponents = []
        for place in places:
            by = dict(powers(terms[place][1])[1])[base]
            exponents.append(by.data)
        lowest = min(exponents)
        factor = power(base, num(lowest))
        inside = combine([(terms[p][0], divide(terms[p][1], factor)) for p in places])
        rest = [terms[p] for p in range(len(terms)) if p not in places]
        inner = inside
        if inside.kind == "add":
            inner = _again(inside)
        yield combine([*rest, (1, mul(factor, inner))])


def _again(node: Node) -> Node:
    return min([node, *_factored(node), *_joined_sums(node)], key=lambda it: it.weight)


def _over_one_denominator(node: Node) -> Iterator[Node]:
    """The terms over their common denominator, the numerator multiplied out."""
    terms = _terms(node)
    below: dict[Node, Number] = {}
    for _, term in terms:
        for base, by in powers(term)[1]:
            value = number(by)
            if value is not None and value < 0:
                below[base] = min(below.get(base, 0), value)
    if not below:
        return
    denominator = product(1, [(base, num(-by)) for base, by in below.items()])
    above = [(each, mul(term, denominator)) for each, term in terms]
    numerator = combine(above)
    yield divide(numerator, denominator)
    expanded = combine([(each, expanded_of(term)) for each, term in above])
    yield divide(expanded, denominator)
    if expanded.kind == "add":
        yield divide(_again(expanded), denominator)


def _flat(node: Node) -> Iterator[Node]:
    """Every term multiplied out: terms may cancel."""
    terms = _terms(node)
    flat = combine([(each, expanded_of(term)) for each, term in terms])
    if flat is not node:
        yield flat
        if flat.kind == "add":
            yield _again(flat)


def _joined_sums(node: Node) -> Iterator[Node]:
    """Sums over indices that share a factor, as one: X.T @ a - X.T @ b."""
    terms = _terms(node)
    for first in range(len(terms)):
        for second in range(first + 1, len(terms)):
            if spent():
                return
            joined = _joined(terms[first], terms[second])
            if joined is not None:
                rest = [t for p, t in enumerate(terms) if p not in (first, second)]
                yield combine([*rest, (1, joined)])


def _joined(first: tuple[Number, Node], second: tuple[Number, Node]) -> Node | None:
    one = [base for base, by in powers(first[1])[1] if base.kind == "sigma" and is_num(by, 1)]
    two = [base for base, by in powers(second[1])[1] if base.kind == "sigma" and is_num(by, 1)]
    if len(one) != 1 or len(two) != 1:
        return None
    (left,), (right,) = one, two
    outer = [divide(first[1], left), divide(second[1], right)]
    if outer[0] is not outer[1] and any(node.free for node in outer):
        return None
    if [d for _, d in left.data[0]] != [d for _, d in right.data[0]]:
        if {d for _, d in left.data[0]} != {d for _, d in right.data[0]}:
            return None
    over, body = opened(left)
    names = [name for name, _ in right.data[0]]
    by_dim: dict[object, list[int]] = {}
    for index, dim in over.items():
        by_dim.setdefault(dim, []).append(index)
    targets = [by_dim[dim].pop(0) if by_dim.get(dim) else -1 for _, dim in right.data[0]]
    if -1 in targets or any(by_dim.values()):
        return None
    other = bound_as(names, right.data[1], targets)
    front = {each for each, by in powers(body)[1] if is_num(by, 1)}
    shared = [each for each, by in powers(other)[1] if is_num(by, 1) and each in front]
    shared = [each for each in shared if not each.free.isdisjoint(over)]
    common = mul(*shared)
    rest = combine([
        (first[0], mul(outer[0], divide(body, common))),
        (second[0], mul(outer[1], divide(other, common))),
    ])  # fmt: skip
    return sigma(over, mul(common, rest))


# --- products -----------------------------------------------------------------------------------


def expanded_of(node: Node) -> Node:
    """A product with its sums multiplied out; others unchanged."""
    if node.kind == "add":
        return combine([(each, expanded_of(term)) for each, term in _terms(node)])
    if node.kind != "mul":
        return node
    coefficient, factors = powers(node)
    sums: list[Node] = []
    rest: list[tuple[Node, Node]] = []
    count = 1
    for base, by in factors:
        value = number(by)
        if base.kind == "add" and value is not None and value.denominator == 1 and 0 < value < 4:
            count *= len(_terms(base)) ** int(value)
            if count > _TERMS:
                return node
            sums += [base] * int(value)
        else:
            rest.append((base, by))
    found = [(coefficient, product(1, rest))]
    for total in sums:
        found = [
            (each * other, mul(term, factor))
            for each, term in found
            for other, factor in _terms(total)
        ]
        collected = combine(found)
        found = _terms(collected) if collected.kind == "add" else [parts(collected)]
    return combine(found)


def _multiplied_out(node: Node) -> Iterator[tuple[Node, float]]:
    """A sum times the factors that its terms are divided by; then all of it."""
    if node.kind != "mul":
        return
    coefficient, factors = powers(node)
    for total, by in factors:
        if total.kind != "add":
            continue
        if by.kind == "num":
            rest = [(b, e) for b, e in factors if b is not total]
            for form in _over_one_denominator(total):
                yield product(coefficient, [*rest, (form, by)]), 1.0
        if not is_num(by, 1):
            continue
        others = [(b, e) for b, e in factors if b is not total]
        below = {
            base
            for _, term in _terms(total)
            for base, e in powers(term)[1]
            if e.kind == "num" and e.data < 0
        }
        cancel = [(b, e) for b, e in others if b in below]
        if cancel:
            keep = [(b, e) for b, e in others if b not in below]
            factor = product(1, cancel)
            inside = combine([(each, mul(term, factor)) for each, term in _terms(total)])
            yield product(coefficient, [*keep, (inside, num(1))]), 1.0
            flat = combine([(each, expanded_of(mul(term, factor))) for each, term in _terms(total)])
            yield product(coefficient, [*keep, (flat, num(1))]), 1.0
            if flat.kind == "add":
                yield product(coefficient, [*keep, (_again(flat), num(1))]), 1.0
        # one factor at a time, where a term is its inverse in disguise
        for base, e in others:
            if base.kind == "add" or (e.kind == "num" and e.data < 0):
                continue
            inside = combine([(each, mul(term, power(base, e))) for each, term in _terms(total)])
            rest = [(b, x) for b, x in others if b is not base]
            candidate = product(coefficient, [*rest, (inside, num(1))])
            yield candidate, _EXPANDED
    flat = expanded_of(node)
    if flat is not node:
        yield flat, _EXPANDED
