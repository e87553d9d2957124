"""Elementwise functions of nodes, and the identities of one function by itself."""

from fractions import Fraction
from typing import Any

from gradcli.algebra import indices, products, recognised, terms
from gradcli.algebra.nodes import ONE, ZERO, Node, Number, interned, num, state
from gradcli.algebra.signs import is_not_negative, is_positive, picks

_ODD = frozenset({"sin", "tan", "tanh", "sinh", "asin", "atan", "asinh", "atanh", "erf", "sign"})
_EVEN = frozenset({"cos", "cosh", "abs"})
_OPPOSITES = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
_AT_ZERO: dict[str, Number] = {
    **dict.fromkeys(("sin", "tan", "tanh", "sinh", "erf", "atan", "asin", "abs", "relu", "sign"), 0),
    **dict.fromkeys(("cos", "cosh", "exp"), 1), "sigmoid": Fraction(1, 2),
}  # fmt: skip


def fn(name: str, *arguments: Node, settings: tuple[tuple[str, Any], ...] = ()) -> Node:
    """An elementwise function of one or several nodes; `settings` are its named numbers."""
    found = None
    if len(arguments) == 1 and not settings:
        found = _simpler(name, arguments[0])
    elif name == "!=" and arguments[1] is ZERO and is_condition(arguments[0]):
        found = arguments[0]
    elif name == "where":
        found = _where(*arguments)
    elif name in ("maximum", "minimum") and arguments[0] is arguments[1]:
        found = arguments[0]
    elif name == "<" and arguments[0].is_fn("maximum"):
        inner, low = arguments[0].data[1]
        if low.kind == arguments[1].kind == "num" and low.data < arguments[1].data:
            found = fn(name, inner, arguments[1])
    if found is not None:
        return found
    data = (name, arguments, settings)
    return interned("fn", data, data, arguments, len(name) + 2 * len(arguments))


def is_condition(node: Node) -> bool:
    """Whether the elements of a node are known to be truth values."""
    if node.kind == "sym":
        return node.data[0] in state().conditions
    return node.is_fn(*_OPPOSITES, "&", "|")


def negated(node: Node) -> Node:
    """Where a condition does not hold."""
    if node.is_fn(*_OPPOSITES):
        return fn(_OPPOSITES[node.data[0]], *node.data[1])
    return fn("==", node, ZERO)


def chosen(condition: Node, left: Node = ONE, right: Node = ZERO) -> Node:
    """where(condition, left, right); 1 or 0 without these."""
    return fn("where", condition, left, right)


def _where(condition: Node, left: Node, right: Node) -> Node | None:
    if left is right:
        return left
    for place, (branch, other) in enumerate(((left, right), (right, left)), 1):
        if branch is ZERO and _is_masked(condition, place, other):
            return other
    if left.kind == "num" and left is not ONE and right is ZERO:
        return products.mul(left, chosen(condition))
    (one, mine), (two, theirs) = products.powers(left), products.powers(right)
    if not one or not two:
        return None
    both = dict(theirs)
    shared = [(base, by) for base, by in mine if both.get(base) is by]
    sign = -1 if one < 0 and two < 0 else 1
    if not shared and sign > 0:
        return None
    common = products.product(sign, shared)
    branches = (products.divide(branch, common) for branch in (left, right))
    return products.mul(common, chosen(condition, *branches))


def _is_masked(condition: Node, place: int, node: Node) -> bool:
    """Whether a product has a softmax of where(condition, -inf, x) as a factor: it is 0 there."""
    for base, by in products.powers(node)[1]:
        factor = _computed(base)
        if by is ONE and factor.is_call("softmax"):
            (((bound, _),), body), *_ = factor.data[1]
            logit = _computed(indices.rename(body, {bound: factor.data[2][0]}))
            if logit.is_fn("where") and logit.argument is condition:
                return bool(logit.data[1][place].is_fn("-inf"))
    return False


def _computed(node: Node) -> Node:
    """What a named step is computed as; any other node itself."""
    if node.kind != "sym" or node.data[0] not in state().steps:
        return node
    own, value = state().steps[node.data[0]]
    return indices.with_indices(value, own, node.data[1])


def _simpler(name: str, u: Node) -> Node | None:
    if u is ZERO and name in _AT_ZERO:
        return num(_AT_ZERO[name])
    coefficient, rest = terms.parts(u)
    if coefficient < 0 and name in _ODD:
        return products.neg(fn(name, products.neg(u)))
    if coefficient < 0 and name in _EVEN:
        return fn(name, products.neg(u))
    match name:
        case "abs" if is_not_negative(u):
            return u
        case "abs" if coefficient != 1:
            return products.scale(coefficient, fn("abs", rest))
        case "sign" if is_positive(u):
            return ONE
        case "sign" if coefficient != 1:
            return fn("sign", rest)
        case "sigmoid" if coefficient < 0:
            return terms.sub(ONE, fn("sigmoid", products.neg(u)))
        case "exp":
            return _simpler_exp(u)
        case "log":
            return _simpler_log(u)
    return None


def _simpler_exp(u: Node) -> Node | None:
    if u.is_fn("log"):
        return u.argument
    found = u.data[1] if u.kind == "add" else {term: each for each, term in [terms.parts(u)]}
    for term, each in found.items():
        if term.is_fn("log"):
            rest = terms.sub(u, products.scale(each, term))
            return products.mul(products.power(term.argument, num(each)), fn("exp", rest))
        if term.is_call("logsumexp") and each == -1 and len(found) > 1:
            logit = terms.add(u, term)
            ((bound,), body), *_ = term.data[1]
            softmax = recognised.softmax_at(logit, bound, body, logit.free - term.free)
            if softmax is not None:
                return softmax
    return None


def _simpler_log(u: Node) -> Node | None:
    if u is ONE:
        return ZERO
    if u.is_fn("exp"):
        return u.argument
    if u.is_call("softmax"):
        (((bound, dim),), body), *_ = u.data[1]
        logit = indices.rename(body, {bound: u.data[2][0]})
        return terms.sub(logit, indices.along("logsumexp", body, bound, dim))
    if u.kind == "sigma" and len(u.data[0]) == 1 and u.data[1].is_fn("exp"):
        ((bound, dim),), body = u.data
        return indices.along("logsumexp", body.argument, bound, dim)
    if u.kind == "sigma" and len(u.data[0]) == 1 and is_positive(u):  # p[t] as a sum of one_hot*p
        over, body = indices.opened(u)
        hot = picks(body)
        if hot is not None:
            return indices.sigma(over, products.mul(hot, fn("log", products.divide(body, hot))))
    coefficient, factors = products.powers(u)
    apart = len(factors) == 1 or any(base.kind == "sigma" for base, _ in factors)
    if u.kind == "mul" and coefficient == 1 and apart and all(is_positive(b) for b, _ in factors):
        return terms.add(*(products.mul(by, fn("log", base)) for base, by in factors))
    exps = [base for base, _ in factors if base.is_fn("exp")]
    if u.kind == "mul" and exps and coefficient > 0:
        rest = fn("log", products.divide(u, products.mul(*exps)))
        return terms.add(*(base.argument for base in exps), rest)
    return None
