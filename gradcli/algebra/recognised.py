"""Identities: what the terms of a sum, or the factors of a product, are together."""

from collections.abc import Mapping
from typing import Any

from gradcli.algebra import elementwise, indices, products, terms
from gradcli.algebra.nodes import ONE, ZERO, Dim, Node, Number, Power, count_of, is_num, num, whole
from gradcli.algebra.signs import is_negative

_QUOTIENTS = {("sin", "cos"): "tan", ("sinh", "cosh"): "tanh"}

# --- sums ---------------------------------------------------------------------------------------


def squares_of_sine(found: dict[Node, Number]) -> Number:
    """sin(u)**2 + cos(u)**2 = 1: takes both out of the terms, and returns what they add up to."""
    constant: Number = 0
    for term in list(found):
        if term not in found or term.kind != "mul" or term.data[0] != 1 or len(term.data[1]) != 1:
            continue
        ((base, exponent),) = term.data[1].items()
        if base.is_fn("sin") and is_num(exponent, 2):
            other = products.power(elementwise.fn("cos", base.argument), exponent)
            if found.get(other) == found[term]:
                constant += found.pop(other)
                del found[term]
    return constant


def hyperbolic(one: tuple[Node, Number], two: tuple[Node, Number]) -> Node | None:
    """exp(u) + exp(-u) as 2*cosh(u), and exp(u) - exp(-u) as 2*sinh(u)."""
    (left, each), (right, other) = one, two
    if abs(each) != abs(other) or not (left.is_fn("exp") and right.is_fn("exp")):
        return None
    u = left.argument
    if products.neg(u) is not right.argument:
        return None
    return products.scale(2 * each, elementwise.fn("cosh" if each == other else "sinh", u))


def joined_cases(found: Mapping[Node, Number]) -> Node | None:
    """where(c, a, b) + where(c, d, e) as where(c, a + d, b + e); None if no two have one condition."""
    by: dict[Node, list[tuple[Number, Node, Node]]] = {}
    for term, each in found.items():
        case = _case(term)
        if case is not None:
            by.setdefault(case.argument, []).append((each, term, case))
    same = next((several for several in by.values() if len(several) > 1), None)
    if same is None:
        return None
    branches = [
        terms.combine([
            (each, products.mul(case.data[1][place], products.divide(term, case)))
            for each, term, case in same
        ])
        for place in (1, 2)
    ]  # fmt: skip
    rest = [(each, term) for term, each in found.items() if all(term is not it[1] for it in same)]
    return terms.combine([(1, elementwise.fn("where", same[0][2].argument, *branches)), *rest])


def _case(term: Node) -> Node | None:
    """The factor `where(...)` of a term."""
    if term.kind != "mul":
        return term if term.is_fn("where") else None
    return next((b for b, e in term.data[1].items() if e is ONE and b.is_fn("where")), None)


def joined_moves(found: Mapping[Node, Number]) -> Node | None:
    """Tensors that are reshaped alike as their sum, reshaped, and the pieces of a side, with zeros
    around each, as `cat` of the pieces; None if there is neither.
    """
    groups: dict[Any, dict[tuple[int, ...], list[Node]]] = {}
    for term in found:
        if term.is_call("reshape") or (term.is_call("pad") and term.data[3][2] == 1):
            name, ((bounds, _),), outs, place, sides = term.data
            alike = name == "reshape" and tuple(dim for _, dim in bounds)
            group = groups.setdefault((outs, sides, alike), {})
            ends = tuple(count_of(bound, sides[0]) for bound in place[:2])
            group.setdefault(ends, []).append(term)
    for (outs, sides, alike), places in groups.items():
        cuts = [0, *(each for place in sorted(places) for each in place), sides[0].size]
        whole = isinstance(outs[0], int) and cuts[::2] == cuts[1::2]
        taken = [term for several in places.values() for term in several]
        if len(taken) > 1 and (alike or whole):
            arguments = [_summed(found, places[place]) for place in sorted(places)]
            name = "reshape" if alike else "cat"
            joined = indices.call(name, arguments, [*zip(outs, sides, strict=True)])
            rest = [(each, term) for term, each in found.items() if term not in taken]
            return terms.combine([*rest, (1, joined)])
    return None


def _summed(found: Mapping[Node, Number], calls: list[Node]) -> tuple[list[tuple[int, Dim]], Node]:
    """The sum of the arguments of some calls, as an argument."""
    (axes, _), *_ = opened = [indices.arguments_of(call)[0] for call in calls]
    names = [{old: new for (old, _), (new, _) in zip(own, axes, strict=True)} for own, _ in opened]
    bodies = [indices.rename(body, each) for (_, body), each in zip(opened, names, strict=True)]
    return axes, terms.combine(zip(map(found.__getitem__, calls), bodies, strict=True))


# --- products -----------------------------------------------------------------------------------


def factors(found: dict[Node, Node]) -> list[Power] | None:
    """Factors that together are something known, replaced by that; None if there are none."""
    exp = next((base for base in found if base.is_fn("exp")), None)
    for base, by in found.items():
        if exp is not None:
            if is_negative(by) and (taken := _over_sum(base, exp)):
                return _instead(found, {exp: 1, base: -1}, taken)
            if by.kind == "num" and by.data >= 1 and (taken := _complement(base, exp)):
                return _instead(found, {exp: 1, base: 1}, taken)
        if base.kind == "mul" and by.kind != "num" and (inner := _numbers_of(base)):
            raised = terms.add(by, ONE)
            if _holds(found, inner) and raised.weight < by.weight:
                return _instead({**found, base: raised}, inner, ONE)
        if base.kind == "fn" and (simpler := _of_function(found, base, by)) is not None:
            return simpler
    return None


def _of_function(found: Mapping[Node, Node], base: Node, by: Node) -> list[Power] | None:
    """sign(u)*u, relu(u)*(u > 0), sin(u)/cos(u)."""
    name, arguments, _ = base.data
    if name == "sign" and by is ONE and (whole(found.get(base.argument, ZERO)) or 0) % 2:
        return _instead(found, {base: 1, base.argument: 1}, elementwise.fn("abs", base.argument))
    if name == "where" and by is ONE and arguments[1] is ONE and arguments[2] is ZERO:
        condition = arguments[0]
        positive = condition.is_fn(">") and condition.data[1][1] is ZERO
        if positive and elementwise.fn("relu", condition.argument) in found:
            return _instead(found, {base: 1}, ONE)
    for (above, below), quotient in _QUOTIENTS.items():
        if name == above and not is_negative(by):
            beside = elementwise.fn(below, base.argument)
            if is_negative(found.get(beside, ZERO)):
                other = elementwise.fn(quotient, base.argument)
                return _instead(found, {base: 1, beside: -1}, other)
    return None


def _instead(found: Mapping[Node, Node], taken: Mapping[Node, Number], other: Node) -> list[Power]:
    """The factors divided by some powers, times another node."""
    rest = {b: terms.sub(e, num(taken[b])) if b in taken else e for b, e in found.items()}
    return [*((base, by) for base, by in rest.items() if by is not ZERO), (other, ONE)]


def _numbers_of(base: Node) -> dict[Node, Number]:
    """A product as powers with numbers as exponents; empty if it has others."""
    coefficient, factors = base.data
    plain = coefficient == 1 and all(by.kind == "num" for by in factors.values())
    return {each: by.data for each, by in factors.items()} if plain else {}


def _holds(found: Mapping[Node, Node], powers: Mapping[Node, Number]) -> bool:
    """Whether each of some powers can be taken out."""
    known = [(found.get(base, ZERO), by) for base, by in powers.items()]
    return all(mine.kind == "num" and mine.data * by >= by * by for mine, by in known)


def _complement(base: Node, exp: Node) -> Node | None:
    """sigmoid(u), from exp(u) and 1 - sigmoid(u); the other way round from exp(-u) and sigmoid(u)."""
    u = exp.argument
    if base.kind == "add":
        sigmoid = elementwise.fn("sigmoid", u)
        return sigmoid if base.data == (1, {sigmoid: -1}) else None
    if base.is_fn("sigmoid") and base.argument is products.neg(u):
        return terms.sub(ONE, base)
    return None


def _over_sum(total: Node, exp: Node) -> Node | None:
    """sigmoid(u), from exp(u) and 1 + exp(u); softmax(u), from exp(u) and its sum along one index."""
    if total.kind == "add" and total.data == (1, {exp: 1}):
        return elementwise.fn("sigmoid", exp.argument)
    if total.kind != "sigma" or len(total.data[0]) != 1 or not total.data[1].is_fn("exp"):
        return None
    (bound,), body = total.data
    return softmax_at(exp.argument, bound, body.argument, exp.argument.free - body.free)


def softmax_at(
    own: Node, bound: tuple[int, Dim], body: Node, candidates: frozenset[int]
) -> Node | None:
    """The element of softmax(body) whose logit is `own`; None if that is not an element of the body."""
    index, dim = bound
    for out in candidates:
        if indices.rename(body, {index: out}) is own:
            return indices.along("softmax", body, index, dim, out)
    return None
