"""Products of powers: a coefficient, and an exponent for each base, which may be any node."""

import math
from collections.abc import Iterable, Mapping
from fractions import Fraction

from gradcli.algebra import elementwise, recognised, terms
from gradcli.algebra.nodes import BITS, ONE, ZERO, Node, Number, Power, interned, is_num, num, whole
from gradcli.algebra.signs import is_even, is_not_negative


def mul(*nodes: Node) -> Node:
    """The product of some nodes."""
    return product(1, [(node, ONE) for node in nodes])


def scale(coefficient: Number, node: Node) -> Node:
    """A node times a number."""
    return node if coefficient == 1 else product(coefficient, [(node, ONE)])


def neg(node: Node) -> Node:
    """Minus a node."""
    return scale(-1, node)


def divide(left: Node, right: Node) -> Node:
    """A quotient."""
    return product(1, [(left, ONE), (right, num(-1))])


def root(node: Node) -> Node:
    """A square root."""
    return power(node, num(Fraction(1, 2)))


def powers(node: Node) -> tuple[Number, list[Power]]:
    """A node as a coefficient and powers."""
    if node.kind == "mul":
        return node.data[0], list(node.data[1].items())
    return (node.data, []) if node.kind == "num" else (1, [(node, ONE)])


def without(factors: Iterable[Power], *bases: Node) -> list[Power]:
    """The other factors."""
    return [(base, by) for base, by in factors if all(base is not other for other in bases)]


def product(coefficient: Number, factors: Iterable[Power]) -> Node:
    """The product of a number and powers."""
    found: dict[Node, Node] = {}
    exponents: list[Node] = []
    for base, exponent in factors:
        if exponent is not ONE:
            base = power(base, exponent)
        own, inner = powers(base)
        coefficient *= own
        for each, by in inner:
            if by is ONE and each.is_fn("exp"):
                exponents.append(each.argument)
            else:
                found[each] = terms.add(found[each], by) if each in found else by
    if not coefficient:
        return ZERO
    if exponents:
        together = elementwise.fn("exp", terms.add(*exponents))
        if len(exponents) > 1 and together.kind != "fn":  # exp(log(x)) and the like
            return product(coefficient, [*found.items(), (together, ONE)])
        if together is not ONE:
            found[together] = ONE
    unsure = [(base, by) for base, by in found.items() if base.kind in _OPEN and by.kind == "num"]
    if not all(_settled(base, by) for base, by in unsure):
        return product(coefficient, [(power(base, by), ONE) for base, by in found.items()])
    found = {base: by for base, by in found.items() if by is not ZERO}
    if len(found) > 1 and (rewritten := recognised.factors(found)) is not None:
        return product(coefficient, rewritten)
    if not found:
        return num(coefficient)
    if coefficient == 1 and len(found) == 1:
        ((base, by),) = found.items()
        if by is ONE:
            return base
    weight = len(found) - 1
    weight += coefficient < 0 if abs(coefficient) == 1 else 1 + len(str(coefficient))
    for base, by in found.items():
        weight += 0 if by is ONE else 1 if is_num(by, -1) else 3
        weight += 2 if base.kind == "add" else 0
    return _mul(coefficient, found, weight)


def _mul(coefficient: Number, found: dict[Node, Node], weight: int) -> Node:
    key = (coefficient, frozenset(found.items()))
    children = [*found, *(by for by in found.values() if by.kind != "num")]
    return interned("mul", key, (coefficient, found), children, weight)


_OPEN = frozenset({"num", "mul", "fn"})
"""The kinds of bases whose powers may be simplified."""


def _settled(base: Node, by: Node) -> bool:
    """Whether a power with a number as its exponent cannot be simplified further."""
    match base.kind:
        case "num":
            return power(base, by).kind != "num"
        case "mul":
            return whole(by) is None
    if base.is_fn("abs"):
        return not is_even(by)
    return whole(by) in (None, 1) or not base.is_fn("sign")


def power(base: Node, exponent: Node) -> Node:
    """A power; the root of an even power is an absolute value."""
    if exponent is ZERO:
        return ONE
    if exponent is ONE or base is ONE:
        return base
    integer = whole(exponent)
    match base.kind:
        case "num":
            exact = _exact(base.data, exponent)
            if exact is not None:
                return exact
        case "fn" if base.is_fn("exp"):
            return elementwise.fn("exp", mul(base.argument, exponent))
        case "fn" if exponent.kind == "num":
            if base.is_fn("abs") and is_even(exponent):
                return power(base.argument, exponent)
            if base.is_fn("sign") and integer is not None:
                return base if integer % 2 else ONE
        case "mul":
            coefficient, factors = base.data
            if integer is None:
                return _root(coefficient, factors, exponent)
            inner = [(each, mul(by, exponent)) for each, by in factors.items()]
            return product(Fraction(coefficient) ** integer, inner)
        case "add" if base.data[0] == 1 and integer is not None and integer < 0:
            ((term, each), *more) = base.data[1].items()
            if not more and each == 1 and term.is_fn("exp"):
                return power(elementwise.fn("sigmoid", neg(term.argument)), num(-integer))
        case "delta" if exponent.kind == "num" and exponent.data > 0:
            return base
    return _mul(1, {base: exponent}, 3 + (2 if base.kind == "add" else 0))


def _exact(base: Number, exponent: Node) -> Node | None:
    """A power of numbers, if it is a number that can be written down exactly."""
    value = whole(exponent)
    if value is not None:
        bits = abs(value) * max(base.numerator.bit_length(), base.denominator.bit_length())
        if bits > BITS or (not base and value < 0):
            return None
        return num(Fraction(base) ** value)
    if exponent.kind == "num" and exponent.data.denominator == 2 and base > 0:
        top, bottom = math.isqrt(base.numerator), math.isqrt(base.denominator)
        if top * top == base.numerator and bottom * bottom == base.denominator:
            return num(Fraction(top, bottom) ** exponent.data.numerator)
    return None


def _root(coefficient: Number, factors: Mapping[Node, Node], exponent: Node) -> Node:
    """A power of a product whose exponent is not a whole number: only what is positive leaves it."""
    outside: list[Power] = []
    inside: list[Power] = []
    exact = _exact(coefficient, exponent) if coefficient > 0 and coefficient != 1 else None
    if exact is not None:
        outside.append((exact, ONE))
        coefficient = 1
    for base, by in factors.items():
        together = mul(by, exponent)
        rational = by.kind == "num" and by.data.denominator != 1
        if (is_not_negative(base) and not base.is_fn("pi")) or rational:  # sqrt(2*pi)
            outside.append((base, together))
        elif is_even(by):
            outside.append((base if is_even(together) else elementwise.fn("abs", base), together))
        else:
            inside.append((base, by))
    rest = product(coefficient, inside)
    if not outside:
        return _mul(1, {rest: exponent}, 6 + (exponent.weight if exponent.kind == "num" else 0))
    return product(1, [*outside, (rest, exponent)])
