"""Sums of terms, each with a coefficient.

The constructors of nodes need one another: a sum recognises sin**2 + cos**2, whose power is a
product, whose exponents are sums. So terms, products, elementwise, indices and recognised import
one another as modules, and look up their functions when they are called.
"""

import math
from collections.abc import Iterable, Mapping
from fractions import Fraction

from gradcli.algebra import products, recognised
from gradcli.algebra.nodes import ONE, Node, Number, interned, magnitude, num, ratio, state

Term = tuple[Number, Node]
"""A coefficient, and what it is the coefficient of."""


def parts(node: Node) -> Term:
    """A coefficient and the rest."""
    if node.kind == "num":
        return node.data, ONE
    if node.kind != "mul" or node.data[0] == 1:
        return 1, node
    return node.data[0], products.product(1, node.data[1].items())


def terms(node: Node) -> list[Term]:
    """The terms of a sum, its constant last; anything else as one term."""
    if node.kind != "add":
        return [parts(node)]
    constant, found = node.data
    listed = [(each, term) for term, each in found.items()]
    return [*listed, (constant, ONE)] if constant else listed


def add(*nodes: Node) -> Node:
    """The sum of some nodes."""
    return combine([(1, node) for node in nodes])


def sub(left: Node, right: Node) -> Node:
    """A difference."""
    return combine([(1, left), (-1, right)])


def combine(summands: Iterable[Term]) -> Node:
    """The sum of coefficients times nodes."""
    constant: Number = 0
    found: dict[Node, Number] = {}
    for coefficient, node in summands:
        own, rest = parts(node)
        factor = coefficient * own
        if rest is ONE:
            constant += factor
        elif rest.kind == "add":
            constant += factor * rest.data[0]
            for term, each in rest.data[1].items():
                found[term] = found.get(term, 0) + factor * each
        else:
            found[rest] = found.get(rest, 0) + factor
    found = {term: each for term, each in found.items() if each}
    if any(term.kind == "mul" for term in found):
        constant += recognised.squares_of_sine(found)
    joined = recognised.joined_cases(found) or recognised.joined_moves(found)
    if joined is not None:
        return add(num(constant), joined)
    if constant or len(found) > 2:
        return _oriented(constant, found) if found else num(constant)
    if len(found) == 2:
        return recognised.hyperbolic(*found.items()) or _oriented(0, found)
    return next((products.scale(each, term) for term, each in found.items()), num(0))


def _oriented(constant: Number, found: Mapping[Node, Number]) -> Node:
    """A sum without a common factor of its numbers, turned as it was first met.

    So `x - m` stays, and `m - x` is written as its opposite.
    """
    values = [*found.values(), *([constant] if constant else [])]
    common = magnitude(values[0])
    if any(magnitude(value) != common for value in values):
        common = 1
        if all(value.denominator <= 64 for value in values):
            tops, bottoms = zip(*((v.numerator, v.denominator) for v in values), strict=True)
            common = Fraction(math.gcd(*tops), math.lcm(*bottoms))
    if all(value < 0 for value in values):
        common = -common
    signs = state().signs
    plain = {term: ratio(each, common) for term, each in found.items()}
    constant = ratio(constant, common)
    turned = {term: -each for term, each in plain.items()}
    if (-constant, frozenset(turned.items())) in signs:
        common, constant, plain = -common, -constant, turned
    key = (constant, frozenset(plain.items()))
    signs.add(key)
    weight = 3 * len(values) - 3 + (len(str(constant)) if constant else 0)
    for each in plain.values():
        weight += 0 if abs(each) == 1 else 2 if each.denominator < 1000 else 6
    return products.scale(common, interned("add", key, (constant, plain), plain, weight))
