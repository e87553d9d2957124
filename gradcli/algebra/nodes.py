"""The nodes of a formula, in index notation: every node is one number, for each of its free indices.

`X[i,k]*w[k]`, summed over k, is `X @ w`. So transposition, broadcasting and all products of matrices
are names of indices, and one rule differentiates them. The constructors below keep nodes in a normal
form and apply the identities that always shorten: equal formulas are then the same object.

An index is a number: 0 is the last axis of a tensor, 1 the one before, so that tensors broadcast as
PyTorch's do. Indices from `fresh` are summed, and those of a finished sum are negative. A place in
a tuple of one, `(2,)`, is a fixed place instead of an index, and `()` that of a side of size 1.
"""

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from fractions import Fraction
from itertools import count, permutations
from operator import is_
from typing import Any, TypeAlias

Index: TypeAlias = int | tuple[int] | tuple[()]
Number: TypeAlias = int | Fraction
"""An exact number."""
Power: TypeAlias = "tuple[Node, Node]"
"""A base and its exponent."""

_BITS = 256
"""Bits of an exact coefficient, at most; a longer one is rounded."""
NODES = 60_000
"""New nodes in one derivation, at most."""
WORK = 150_000
"""Parts that nodes are made of in one derivation, at most, whether new or known."""


class TooLong(Exception):
    """The formula is too long, or the work on it."""


class Unequal(Exception):
    """Two sizes that must be equal are not."""

    def __init__(self, left: "Dim", right: "Dim") -> None:
        super().__init__(f"no rule for sizes {left.size} and {right.size} together")
        self.sides = (left, right)


class Dim:
    """The size of one side of a tensor. Sides that must agree are merged.

    `fixed`: the expression itself says the number. `places` are the inputs that have such a side:
    the name, the axis, and the number of axes.
    """

    def __init__(self, size: int, *, fixed: bool = False) -> None:
        self.size = size
        self.fixed = fixed
        self.places: list[tuple[str, int, int]] = []
        self._to: Dim | None = None

    @property
    def root(self) -> "Dim":
        """The one that stands for all that were merged."""
        dim = self
        while dim._to is not None:
            dim = dim._to
        return dim

    def merge(self, other: "Dim") -> "Dim":
        """Both, as one. Raises Unequal."""
        mine, theirs = self.root, other.root
        if mine is not theirs:
            if mine.size != theirs.size:
                raise Unequal(mine, theirs)
            theirs._to = mine
            mine.fixed |= theirs.fixed
            mine.places += theirs.places
        return mine


def count_of(bound: int | tuple[Dim, ...]) -> int:
    """The bound of a slice at the given sizes: a number, or the sum of some sizes."""
    return sum(dim.root.size for dim in bound) if isinstance(bound, tuple) else bound


class Node:
    """One interned node: `kind` says what `data` holds.

    num    a Fraction                       size   a Dim
    sym    the name of a tensor, indices    delta  two indices, their Dim: 1 if equal, else 0
    add    a constant, {term: coefficient}  mul    a coefficient, {base: exponent}
    fn     the name of an elementwise function, its arguments, its settings
    sigma  ((index, Dim), ...), what is summed
    call   the name of any other function, its arguments, indices of its result, its settings,
           the sizes of the result's sides;
           an argument is a tensor: ((index, Dim), ...) of its axes, and its elements
    """

    __slots__ = ("data", "depth", "free", "kind", "number", "weight")

    def __init__(
        self, kind: str, data: Any, free: frozenset[int], depth: int, weight: int, number: int
    ) -> None:
        self.kind = kind
        self.data = data
        self.free = free
        self.depth = depth
        self.weight = weight
        self.number = number


class _State:
    """What one derivation has made."""

    def __init__(self) -> None:
        self.nodes: dict[Any, Node] = {}
        self.signs: dict[Any, bool] = {}
        self.shares: dict[str, int] = {}
        self.positive: dict[Node, bool] = {}
        self.indices = count(1000)
        self.work = 0
        self.numbers: dict[float | Fraction, Node] = {}


_state = _State()


def restart() -> None:
    """Forget all nodes: a derivation begins."""
    global _state
    _state = _State()


def made() -> int:
    """The number of nodes that were made: the work of this derivation so far."""
    return len(_state.nodes)


def spent() -> bool:
    """Whether so much work was done that a shorter form is not looked for any more."""
    return _state.work > WORK // 2


def sums_to_one(name: str, place: int) -> None:
    """The elements of the tensor `name` add up to 1 along this of its indices."""
    _state.shares[name] = place


def fresh() -> int:
    """A new index."""
    return next(_state.indices)


def _node(
    kind: str, key: Any, data: Any, children: Collection[Node], weight: int, own: Iterable[Any] = ()
) -> Node:
    """The node with this key; `own` are indices of its own, `weight` about the length of its text."""
    _state.work += 1 + len(children)
    if _state.work > WORK:
        raise TooLong("took too long")
    found = _state.nodes.get((kind, key))
    if found is not None:
        return found
    number = len(_state.nodes)
    if number > NODES:
        raise TooLong("took too long")
    free = {index for index in own if isinstance(index, int)}
    depth = 0
    for child in children:
        free |= child.free
        depth = max(depth, child.depth)
        weight += child.weight
    node = Node(kind, data, frozenset(free), depth, weight, number)
    _state.nodes[kind, key] = node
    return node


# --- leaves -------------------------------------------------------------------------------------


def num(value: float | Fraction) -> Node:
    """A number; a float is the fraction or the decimal that it is written as."""
    found = _state.numbers.get(value)
    if found is None:
        found = _state.numbers[value] = _num(value)
    return found


def _num(value: float | Fraction) -> Node:
    if isinstance(value, float):
        if not math.isfinite(value):
            return fn("inf" if value > 0 else "-inf" if value < 0 else "nan")
        value = _exact(value)
    if value.numerator.bit_length() + value.denominator.bit_length() > _BITS:
        try:
            value = Fraction(str(float(value)))
        except OverflowError:
            raise TooLong("a number is too large") from None
    # Whole numbers are kept as int, which is much faster.
    value = int(value) if value.denominator == 1 else value
    return _node("num", value, value, (), len(str(value)))


def _exact(value: float) -> Fraction:
    """The fraction with a small denominator that a float is the nearest to, else its decimal."""
    found = Fraction(value).limit_denominator(1000)
    return found if float(found) == value else Fraction(str(value))


def size(dim: Dim) -> Node:
    """The size of a side."""
    root = dim.root
    return num(root.size) if root.fixed else _node("size", root, root, (), 6)


def sym(name: str, indices: Sequence[Index]) -> Node:
    """An element of the tensor `name`."""
    data = (name, tuple(indices))
    return _node("sym", data, data, (), len(name), indices)


def delta(left: Index, right: Index, dim: Dim) -> Node:
    """1 where both indices are equal, else 0."""
    if left == right:
        return num(1)
    if isinstance(left, tuple) and isinstance(right, tuple):
        return num(0)
    pair = (left, right) if str(left) <= str(right) else (right, left)
    return _node("delta", (pair, dim.root), (*pair, dim.root), (), 6, pair)


def ratio(left: Number, right: Number) -> Number:
    """A quotient of two exact numbers."""
    if right == 1:
        return left
    found = Fraction(left, right)
    return int(found) if found.denominator == 1 else found


def number(node: Node) -> Number | None:
    """The value of a number."""
    return node.data if node.kind == "num" else None


def is_num(node: Node, value: float) -> bool:
    """Whether a node is this number."""
    return node is _state.numbers.get(value)


# --- sums of terms ------------------------------------------------------------------------------


def parts(node: Node) -> tuple[Number, Node]:
    """A coefficient and the rest."""
    if node.kind == "num":
        return node.data, num(1)
    if node.kind != "mul" or node.data[0] == 1:
        return 1, node
    return node.data[0], product(1, node.data[1].items())


def add(*nodes: Node) -> Node:
    """The sum of some nodes."""
    return combine([(1, node) for node in nodes])


def sub(left: Node, right: Node) -> Node:
    """A difference."""
    return combine([(1, left), (-1, right)])


def combine(terms: Iterable[tuple[Number, Node]]) -> Node:
    """The sum of coefficients times nodes."""
    constant: Number = 0
    found: dict[Node, Number] = {}
    for coefficient, node in terms:
        own, rest = parts(node)
        factor = coefficient * own
        if rest.kind == "num":
            constant += factor
        elif rest.kind == "add":
            constant += factor * rest.data[0]
            for term, each in rest.data[1].items():
                found[term] = found.get(term, 0) + factor * each
        else:
            found[rest] = found.get(rest, 0) + factor
    found = {term: each for term, each in found.items() if each}
    if any(term.kind == "mul" for term in found):
        constant = _pythagoras(found, constant)
    if (
        sum(
            (term.kind == "fn" and term.data[0] == "where") or _chosen(term) is not None
            for term in found
        )
        > 1
    ):
        joined = _join_cases(found)
        if joined is not None:
            return add(num(constant), joined)
    if not found:
        return num(constant)
    if len(found) == 2 and not constant:
        hyperbolic = _hyperbolic(*found.items())
        if hyperbolic is not None:
            return hyperbolic
    if len(found) == 1 and not constant:
        ((term, each),) = found.items()
        return scale(each, term)
    return _oriented(constant, found)


def _oriented(constant: Number, terms: dict[Node, Number]) -> Node:
    """A sum without a common factor of its numbers, turned as it was first met."""
    values = [*terms.values(), *([constant] if constant else [])]
    common = abs(values[0])
    if any(abs(value) != common for value in values):
        common = 1
        if all(value.denominator <= 64 for value in values):
            tops, bottoms = zip(*((v.numerator, v.denominator) for v in values), strict=True)
            common = Fraction(math.gcd(*tops), math.lcm(*bottoms))
    if all(value < 0 for value in values):
        common = -common
    plain = {term: ratio(each, common) for term, each in terms.items()}
    constant = ratio(constant, common)
    key = (constant, frozenset(plain.items()))
    turned = (-constant, frozenset((term, -each) for term, each in plain.items()))
    if turned in _state.signs:
        common, key = -common, turned
        plain = {term: -each for term, each in plain.items()}
    _state.signs[key] = True
    weight = 3 * len(values) - 3 + sum(0 if abs(each) == 1 else 2 for each in plain.values())
    data = (key[0], plain)
    node = _node("add", key, data, plain, weight + (len(str(key[0])) if key[0] else 0))
    return scale(common, node)


def _hyperbolic(one: tuple[Node, Number], two: tuple[Node, Number]) -> Node | None:
    """exp(u) + exp(-u) as 2*cosh(u), and exp(u) - exp(-u) as 2*sinh(u)."""
    (left, each), (right, other) = one, two
    if abs(each) != abs(other) or any(t.kind != "fn" or t.data[0] != "exp" for t in (left, right)):
        return None
    u = left.data[1][0]
    if neg(u) is not right.data[1][0]:
        return None
    return scale(2 * each, fn("cosh" if each == other else "sinh", u))


def _pythagoras(terms: dict[Node, Number], constant: Fraction) -> Fraction:
    """sin(u)**2 + cos(u)**2 = 1, in place; returns the constant."""
    for term in list(terms):
        argument = _square_of(term, "sin")
        if argument is None or term not in terms:
            continue
        other = power(fn("cos", argument), num(2))
        if other in terms and terms[other] == terms[term]:
            constant += terms.pop(other)
            del terms[term]
    return constant


def _square_of(node: Node, name: str) -> Node | None:
    if node.kind == "mul" and node.data[0] == 1 and len(node.data[1]) == 1:
        ((base, exponent),) = node.data[1].items()
        if base.kind == "fn" and base.data[0] == name and is_num(exponent, 2):
            return base.data[1][0]  # type: ignore[no-any-return]
    return None


def _chosen(term: Node) -> Node | None:
    """The factor `where(...)` of a term that is a product."""
    if term.kind == "mul":
        for base, exponent in term.data[1].items():
            if base.kind == "fn" and base.data[0] == "where" and is_num(exponent, 1):
                return base  # type: ignore[no-any-return]
    return None


def _join_cases(terms: dict[Node, Number]) -> Node | None:
    """where(c, a, b) + where(c, d, e) as where(c, a + d, b + e); None if no two have one condition."""
    by: dict[Node, list[tuple[Number, Node, Node]]] = {}
    for term, each in terms.items():
        case = term if term.kind == "fn" and term.data[0] == "where" else _chosen(term)
        if case is not None:
            by.setdefault(case.data[1][0], []).append((each, term, case))
    same = next((found for found in by.values() if len(found) > 1), None)
    if same is None:
        return None
    branches = []
    for place in (1, 2):
        values = ((each, mul(case.data[1][place], divide(term, case))) for each, term, case in same)
        branches.append(combine(list(values)))
    rest = {term: each for term, each in terms.items() if all(term is not it[1] for it in same)}
    joined = fn("where", same[0][2].data[1][0], *branches)
    return combine([(1, joined), *((each, term) for term, each in rest.items())])


# --- products -----------------------------------------------------------------------------------


def mul(*nodes: Node) -> Node:
    """The product of some nodes."""
    return product(1, [(node, num(1)) for node in nodes])


def scale(coefficient: Number, node: Node) -> Node:
    """A node times a number."""
    return node if coefficient == 1 else product(coefficient, [(node, num(1))])


def neg(node: Node) -> Node:
    """Minus a node."""
    return scale(-1, node)


def divide(left: Node, right: Node) -> Node:
    """A quotient."""
    return product(1, [(left, num(1)), (right, num(-1))])


def powers(node: Node) -> tuple[Number, list[Power]]:
    """A node as a coefficient and powers."""
    if node.kind == "mul":
        return node.data[0], list(node.data[1].items())
    if node.kind == "num":
        return node.data, []
    return 1, [(node, num(1))]


def product(coefficient: Number, factors: Iterable[Power]) -> Node:
    """The product of a number and powers, whose exponents may be any nodes."""
    found: dict[Node, Node] = {}
    exponents: list[Node] = []
    agenda = list(factors)[::-1]
    while agenda:
        base, exponent = agenda.pop()
        if is_num(exponent, 0):
            continue
        if not is_num(exponent, 1):
            base = power(base, exponent)
        own, inner = powers(base)
        coefficient *= own
        for each, by in inner:
            if each.kind == "fn" and each.data[0] == "exp" and is_num(by, 1):
                exponents.append(each.data[1][0])
            elif each in found:
                found[each] = add(found[each], by)
            else:
                found[each] = by
    if not coefficient:
        return num(0)
    if exponents:
        together = fn("exp", add(*exponents))
        if len(exponents) > 1 and together.kind != "fn":  # exp(log(x)) and the like
            return product(coefficient, [*found.items(), (together, num(1))])
        if not is_num(together, 1):
            found[together] = num(1)
    changed = [base for base, by in found.items() if by.kind == "num" and not _settled(base, by)]
    if changed:
        again = [(power(base, by), num(1)) for base, by in found.items()]
        return product(coefficient, again)
    found = {base: by for base, by in found.items() if not is_num(by, 0)}
    if len(found) > 1:
        rewritten = _recognised(found)
        if rewritten is not None:
            return product(coefficient, rewritten)
    if not found:
        return num(coefficient)
    if coefficient == 1 and len(found) == 1:
        ((base, by),) = found.items()
        if is_num(by, 1):
            return base
    weight = (
        len(found) - 1 + (1 + len(str(coefficient)) if abs(coefficient) != 1 else coefficient < 0)
    )
    for base, by in found.items():
        weight += 0 if is_num(by, 1) else 1 if is_num(by, -1) else 3
        weight += 2 if base.kind == "add" else 0
    key = (coefficient, frozenset(found.items()))
    children = [*found, *(by for by in found.values() if by.kind != "num")]
    return _node("mul", key, (coefficient, found), children, weight)


def _settled(base: Node, by: Node) -> bool:
    """Whether a power cannot be simplified further."""
    if base.kind == "num":
        return power(base, by).kind != "num"
    if base.kind == "mul":
        return bool(by.data.denominator != 1)
    if base.kind == "fn" and base.data[0] in ("abs", "sign"):
        return by.data.denominator != 1 or (
            by.data % 2 == 1 if base.data[0] == "abs" else by.data == 1
        )
    return True


_QUOTIENTS = {("sin", "cos"): "tan", ("sinh", "cosh"): "tanh"}


def _recognised(found: dict[Node, Node]) -> list[Power] | None:
    """Factors that together are something known: softmax, sigmoid, tanh, x*sign(x); None if none is."""
    exp = next((base for base in found if base.kind == "fn" and base.data[0] == "exp"), None)
    for base, by in found.items():
        if exp is not None and by.kind == "num" and by.data < 0:
            taken = _softmax_of(base, exp) or _sigmoid_of(base, exp)
            if taken is not None:
                return _instead(found, {exp: 1, base: -1}, taken)
        if exp is not None and (other := _weighed(base, by, exp)) is not None:
            return _instead(found, {exp: 1, base: 1}, other)
        if base.kind == "mul" and by.kind != "num":
            inner = {
                each: power_.data for each, power_ in base.data[1].items() if power_.kind == "num"
            }
            if len(inner) == len(base.data[1]) and base.data[0] == 1 and _holds(found, inner):
                raised = add(by, num(1))
                if raised.weight < by.weight:
                    return _instead({**found, base: raised}, inner, num(1))
        if base.kind != "fn":
            continue
        name, arguments, _ = base.data
        if name == "sign" and is_num(by, 1) and _odd(found.get(arguments[0])):
            return _instead(found, {base: 1, arguments[0]: 1}, fn("abs", *arguments))
        if (
            name == "where"
            and is_num(by, 1)
            and is_num(arguments[1], 1)
            and is_num(arguments[2], 0)
        ):
            condition = arguments[0]
            if (
                condition.kind == "fn"
                and condition.data[0] == ">"
                and is_num(condition.data[1][1], 0)
            ):
                if fn("relu", condition.data[1][0]) in found:
                    return _instead(found, {base: 1}, num(1))
        for (above, below), quotient in _QUOTIENTS.items():
            beside = fn(below, *arguments) if name == above and len(arguments) == 1 else None
            if beside in found and _negative(found[beside]) and not _negative(by):
                return _instead(found, {base: 1, beside: -1}, fn(quotient, *arguments))
    return None


def _instead(found: Mapping[Node, Node], taken: Mapping[Node, float], other: Node) -> list[Power]:
    """The factors divided by some powers, times another node."""
    rest = {
        base: sub(by, num(Fraction(taken[base]))) if base in taken else by
        for base, by in found.items()
    }
    return [*((base, by) for base, by in rest.items() if not is_num(by, 0)), (other, num(1))]


def _holds(found: Mapping[Node, Node], powers_: Mapping[Node, Number]) -> bool:
    """Whether each of some powers can be taken out."""
    for base, by in powers_.items():
        own = number(found[base]) if base in found else None
        if own is None or own * by < by * by:
            return False
    return True


def _odd(by: Node | None) -> bool:
    return by is not None and by.kind == "num" and by.data.denominator == 1 and bool(by.data % 2)


def _negative(by: Node) -> bool:
    return by.kind == "num" and bool(by.data < 0)


def _weighed(base: Node, by: Node, exp: Node) -> Node | None:
    """sigmoid(u), from exp(u) and 1 - sigmoid(u); the other way round from exp(-u) and sigmoid(u)."""
    if by.kind != "num" or by.data < 1:
        return None
    u = exp.data[1][0]
    if base.kind == "add":
        sigmoid = fn("sigmoid", u)
        return sigmoid if base.data == (1, {sigmoid: -1}) else None
    if base.kind == "fn" and base.data[0] == "sigmoid" and base.data[1][0] is neg(u):
        return sub(num(1), base)
    return None


def _sigmoid_of(total: Node, exp: Node) -> Node | None:
    """sigmoid(u), from exp(u) and 1 + exp(u)."""
    if total.kind == "add" and total.data[0] == 1 and total.data[1] == {exp: 1}:
        return fn("sigmoid", exp.data[1][0])
    return None


def _softmax_of(total: Node, exp: Node) -> Node | None:
    """softmax(u), from exp(u) and the sum of exp(u) along one index."""
    if total.kind != "sigma" or len(total.data[0]) != 1:
        return None
    ((bound, dim),), body = total.data
    if body.kind != "fn" or body.data[0] != "exp":
        return None
    own, terms = exp.data[1][0], body.data[1][0]
    for index in own.free - terms.free:
        if rename(terms, {bound: index}) is own:
            return along("softmax", terms, bound, dim, index)
    return None


def positive(node: Node) -> bool:
    """Whether a node is known to be positive."""
    if (found := _state.positive.get(node)) is None:
        found = _state.positive[node] = _positive(node)
    return found


def _positive(node: Node) -> bool:
    match node.kind:
        case "num":
            return bool(node.data > 0)
        case "size":
            return True
        case "fn":
            return node.data[0] in ("exp", "sigmoid", "cosh", "pi")
        case "call":
            return node.data[0] == "softmax"
        case "sigma":
            return positive(node.data[1])
        case "add":
            constant, terms = node.data
            signs = (each > 0 and _not_negative(term) for term, each in terms.items())
            return (constant > 0 and all(signs)) or (
                constant >= 0 and all(each > 0 and positive(term) for term, each in terms.items())
            )
        case "mul":
            return node.data[0] > 0 and all(map(positive, node.data[1]))
    return False


def _not_negative(node: Node) -> bool:
    if positive(node):
        return True
    if node.kind == "mul":
        return node.data[0] > 0 and all(
            _even(by) or _not_negative(base) for base, by in node.data[1].items()
        )
    if node.kind == "sigma":
        return _not_negative(node.data[1])
    if node.kind == "add":  # len(x) - 1
        constant, terms = node.data
        return constant >= -1 and all(t.kind == "size" and each > 0 for t, each in terms.items())
    return node.kind == "fn" and node.data[0] in ("abs", "relu", "softplus")


def _even(by: Node) -> bool:
    return by.kind == "num" and by.data.denominator == 1 and by.data % 2 == 0


def power(base: Node, exponent: Node) -> Node:
    """A power; the root of an even power is an absolute value."""
    if is_num(exponent, 0):
        return num(1)
    if is_num(exponent, 1):
        return base
    value = number(exponent)
    if base.kind == "num":
        exact = _exact_power(base.data, exponent)
        if exact is not None:
            return exact
        if base.data == 1:
            return base
    if base.kind == "fn" and value is not None:
        name, arguments, _ = base.data
        if name == "exp":
            return fn("exp", mul(arguments[0], exponent))
        if name == "abs" and _even(exponent):
            return power(arguments[0], exponent)
        if name == "sign" and value.denominator == 1:
            if value % 2 == 0:
                return num(1)
            if value != 1:
                return base
    if base.kind == "mul":
        coefficient, factors = base.data
        if value is not None and value.denominator == 1:
            inner = [(each, mul(by, exponent)) for each, by in factors.items()]
            return product(Fraction(coefficient) ** int(value), inner)
        return _root(coefficient, factors, exponent)
    if base.kind == "add" and base.data[0] == 1 and len(base.data[1]) == 1 and _negative(exponent):
        ((term, each),) = base.data[1].items()
        if (
            each == 1
            and term.kind == "fn"
            and term.data[0] == "exp"
            and exponent.data.denominator == 1
        ):
            return power(fn("sigmoid", neg(term.data[1][0])), num(-exponent.data))
    if base.kind == "delta" and value is not None and value > 0:
        return base
    key = (1, frozenset([(base, exponent)]))
    children = [base, *([] if value is not None else [exponent])]
    return _node("mul", key, (1, {base: exponent}), children, 3 + (2 if base.kind == "add" else 0))


def _exact_power(base: Number, exponent: Node) -> Node | None:
    """A power of numbers, if it is a number that can be written down exactly."""
    value = number(exponent)
    if value is None:
        return None
    if value.denominator == 1:
        if not base and value < 0:
            return None
        if abs(value) * max(base.numerator.bit_length(), base.denominator.bit_length()) > _BITS:
            return None
        return num(Fraction(base) ** int(value))
    if value.denominator == 2 and base > 0:
        top, bottom = math.isqrt(base.numerator), math.isqrt(base.denominator)
        if top * top == base.numerator and bottom * bottom == base.denominator:
            return num(Fraction(top, bottom) ** value.numerator)
    return None


def _root(coefficient: Number, factors: Mapping[Node, Node], exponent: Node) -> Node:
    """A power of a product whose exponent is not a whole number: only what is positive leaves it."""
    outside: list[Power] = []
    inside: list[Power] = []
    exact = _exact_power(coefficient, exponent) if coefficient > 0 and coefficient != 1 else None
    if exact is not None:
        outside.append((exact, num(1)))
        coefficient = 1
    for base, by in factors.items():
        value = number(by)
        if _not_negative(base) or (value is not None and value.denominator != 1):
            outside.append((base, mul(by, exponent)))
        elif _even(by) and value is not None:
            inner = mul(by, exponent)
            odd = inner.kind == "num" and inner.data.denominator == 1 and inner.data % 2
            outside.append(
                (
                    fn("abs", base)
                    if odd or inner.kind != "num" or inner.data.denominator != 1
                    else base,
                    inner,
                )
            )
        else:
            inside.append((base, by))
    if not outside:
        rest = product(coefficient, inside)
        key = (1, frozenset([(rest, exponent)]))
        return _node("mul", key, (1, {rest: exponent}), [rest, exponent], 6)
    if inside or coefficient != 1:
        outside.append((product(coefficient, inside), exponent))
    return product(1, outside)


# --- functions ----------------------------------------------------------------------------------

_ODD = frozenset({"sin", "tan", "tanh", "sinh", "asin", "atan", "asinh", "atanh", "erf", "sign"})
_EVEN = frozenset({"cos", "cosh", "abs"})
_AT_ZERO = {"sin": 0, "tan": 0, "tanh": 0, "sinh": 0, "cos": 1, "cosh": 1, "exp": 1, "erf": 0, "atan": 0, "asin": 0,
            "abs": 0, "sigmoid": Fraction(1, 2), "relu": 0, "sign": 0}  # fmt: skip


def fn(name: str, *arguments: Node, settings: tuple[tuple[str, Any], ...] = ()) -> Node:
    """An elementwise function of one or several nodes."""
    if len(arguments) == 1 and not settings:
        found = _simpler(name, arguments[0])
        if found is not None:
            return found
    if name == "<" and arguments[0].kind == "fn" and arguments[0].data[0] == "maximum":
        inner, low = arguments[0].data[1]
        if low.kind == arguments[1].kind == "num" and low.data < arguments[1].data:
            return fn(name, inner, arguments[1])
    if name in ("maximum", "minimum") and arguments[0] is arguments[1]:
        return arguments[0]
    if name == "where":
        condition, left, right = arguments
        if left is right:
            return left
        if left.kind == "num" and not is_num(left, 1) and is_num(right, 0):
            return mul(left, fn(name, condition, num(1), right))
        common = _common(left, right)
        if common is not None:
            return mul(common, fn(name, condition, divide(left, common), divide(right, common)))
    data = (name, arguments, settings)
    return _node("fn", data, data, arguments, len(name) + 2 * len(arguments))


def _common(left: Node, right: Node) -> Node | None:
    """The factors of two products that are in both; None if there are none."""
    (one, first), (two, second) = powers(left), powers(right)
    if not one or not two:
        return None
    mine, theirs = dict(first), dict(second)
    shared = [(base, by) for base, by in mine.items() if theirs.get(base) is by]
    sign = Fraction(-1 if one < 0 and two < 0 else 1)
    return product(sign, shared) if shared or sign < 0 else None


def _simpler(name: str, u: Node) -> Node | None:
    coefficient = parts(u)[0]
    if is_num(u, 0) and name in _AT_ZERO:
        return num(_AT_ZERO[name])
    if coefficient < 0 and name in _ODD:
        return neg(fn(name, neg(u)))
    if coefficient < 0 and name in _EVEN:
        return fn(name, neg(u))
    match name:
        case "abs":
            if _not_negative(u):
                return u
            if abs(coefficient) != 1:
                return scale(abs(coefficient), fn("abs", parts(u)[1]))
        case "sign":
            if positive(u):
                return num(1)
            if coefficient != 1:
                return fn("sign", parts(u)[1])
        case "sigmoid" if coefficient < 0:
            return sub(num(1), fn("sigmoid", neg(u)))
        case "exp":
            return _simpler_exp(u)
        case "log":
            return _simpler_log(u)
    return None


def _simpler_exp(u: Node) -> Node | None:
    if u.kind == "fn" and u.data[0] == "log":
        return u.data[1][0]  # type: ignore[no-any-return]
    terms = u.data[1] if u.kind == "add" else dict([parts(u)[::-1]])
    for term, each in terms.items():
        if term.kind == "fn" and term.data[0] == "log":
            rest = sub(u, scale(each, term))
            return mul(power(term.data[1][0], num(each)), fn("exp", rest))
        if term.kind == "call" and term.data[0] == "logsumexp" and each == -1 and len(terms) > 1:
            rest = add(u, term)
            (((bound, dim),), body), *_ = term.data[1]
            for index in rest.free - term.free:
                if rename(body, {bound: index}) is rest:
                    return along("softmax", body, bound, dim, index)
    return None


def _simpler_log(u: Node) -> Node | None:
    if is_num(u, 1):
        return num(0)
    if u.kind == "fn" and u.data[0] == "exp":
        return u.data[1][0]  # type: ignore[no-any-return]
    if u.kind == "call" and u.data[0] == "softmax":
        (((bound, dim),), body), *_ = u.data[1]
        (index,) = u.data[2]
        return sub(rename(body, {bound: index}), along("logsumexp", body, bound, dim))
    if (
        u.kind == "sigma"
        and len(u.data[0]) == 1
        and u.data[1].kind == "fn"
        and u.data[1].data[0] == "exp"
    ):
        ((bound, dim),), body = u.data
        return along("logsumexp", body.data[1][0], bound, dim)
    if u.kind == "mul":
        coefficient, factors = u.data
        if len(factors) == 1 and coefficient == 1:
            ((base, by),) = factors.items()
            if positive(base):
                return mul(by, fn("log", base))
        exps = [base for base in factors if base.kind == "fn" and base.data[0] == "exp"]
        if exps and coefficient > 0:
            return add(*(base.data[1][0] for base in exps), fn("log", divide(u, mul(*exps))))
    return None


# --- sums over indices and other functions ------------------------------------------------------


def bound_as(names: Sequence[int], body: Node, to: Sequence[int]) -> Node:
    """A body with other names of its bound indices."""
    return rename(body, dict(zip(names, to, strict=True)))


def opened(node: Node) -> tuple[dict[int, Dim], Node]:
    """A sum over indices with new names of them: the indices, and what is summed."""
    bounds, body = node.data
    new = {fresh(): dim for _, dim in bounds}
    return new, bound_as([name for name, _ in bounds], body, list(new))


def sigma(indices: Mapping[int, Dim], body: Node) -> Node:
    """The sum of `body` over some of its indices."""
    if not indices:
        return body
    over = dict(indices)
    while (simpler := _contracted(over, body)) is not None:
        body = simpler
    coefficient, factors = powers(body)
    outside: list[Node] = [num(coefficient)]
    live = frozenset[int]().union(*(base.free | by.free for base, by in factors))
    for index in [index for index in over if index not in live]:
        outside.append(size(over.pop(index)))
    inside = []
    for base, by in factors:
        if (base.free | by.free).isdisjoint(over):
            outside.append(power(base, by))
        else:
            inside.append((base, by))
    if not over:
        return mul(*outside)
    for some, own in _components(over, inside):
        outside.append(_closed_sum(some, product(1, own)))
    return mul(*outside)


def _contracted(over: dict[int, Dim], body: Node) -> Node | None:
    """The body after one step: an inner sum opened, an index replaced by an equal one; `over` changes
    with it. None if nothing is left to do.
    """
    factors = powers(body)[1]
    for base, by in factors:
        if not is_num(by, 1):
            continue
        if base.kind == "sigma" and not base.free.isdisjoint(over):
            new, inner = opened(base)
            over |= new
            return mul(divide(body, base), inner)
        if base.kind == "delta":
            left, right, dim = base.data
            if left not in over:
                left, right = right, left
            if left in over:
                del over[left]
                return rename(divide(body, base), {left: right})
        if base.kind == "call" and base.data[0] == "inv":
            found = _inverse(base, [each for each, power_ in factors if is_num(power_, 1)], over)
            if found is not None:
                return found(body)
    return None


def _inverse(
    inverse: Node, factors: list[Node], over: dict[int, Dim]
) -> Callable[[Node], Node] | None:
    """inv(X) @ X = eye: what replaces both in a product."""
    (((row, rows), (column, _)), matrix), *_ = inverse.data[1]
    first, second = inverse.data[2]
    for outer, inner, at, other in ((first, second, row, column), (second, first, column, row)):
        if inner not in over:
            continue
        for factor in factors:
            if factor is inverse or inner not in factor.free:
                continue
            for index in factor.free - {inner}:
                if rename(matrix, {at: inner, other: index}) is factor:
                    del over[inner]
                    return lambda body, f=factor, i=index, o=outer: mul(  # type: ignore[misc]
                        divide(divide(body, inverse), f), delta(o, i, rows)
                    )
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
        powers_ = [each for group in joined for each in group[1]]
        groups.append((own.union(*(group[0] for group in joined)), [*powers_, (base, by)]))
    return [({index: over[index] for index in over if index in some}, own) for some, own in groups]


def _closed_sum(over: dict[int, Dim], body: Node) -> Node:
    """One sum whose factors all share indices."""
    if body.kind == "add":
        constant, terms = body.data
        if constant or any(not over.keys() <= term.free for term in terms):
            return combine([
                (1, sigma(over, num(constant))),
                *((each, sigma(over, term)) for term, each in terms.items()),
            ])  # fmt: skip
    if body.kind == "call" and body.data[0] in ("softmax", "one_hot") and len(over) == 1:
        (index,) = over
        if body.data[2] == (index,):
            return num(1)
    if body.kind == "sym" and body.data[0] in _state.shares and len(over) == 1:
        if body.data[1][_state.shares[body.data[0]]] in over:
            return num(1)
    depth = body.depth
    names = [-depth - 1 - place for place in range(len(over))]
    orders = permutations(over) if len(over) < 4 else [_by_occurrence(over, body)]
    made = [(bound_as(order, body, names), order) for order in orders]
    inner, order = min(made, key=lambda it: it[0].number)
    bounds = tuple((name, over[index].root) for name, index in zip(names, order, strict=True))
    crossed = any(base.kind == "add" and len(base.free) > 2 for base, _ in powers(inner)[1])
    node = _node("sigma", (bounds, inner), (bounds, inner), [inner], 60 if crossed else 3)
    return _bind(node, frozenset(names), depth + len(names))


def _bind(node: Node, names: frozenset[int], depth: int) -> Node:
    """A node whose own bound indices are not free."""
    node.free = node.free - names
    node.depth = max(node.depth, depth)
    return node


def _by_occurrence(over: Mapping[int, Dim], body: Node) -> list[int]:
    order: dict[int, None] = {}
    for base, by in sorted(powers(body)[1], key=lambda it: it[0].weight):
        order |= dict.fromkeys(sorted(i for i in base.free | by.free if i in over))
    return list(order)


Argument: TypeAlias = tuple[Sequence[tuple[int, Dim]], Node]
"""A tensor as an argument: its axes, and its elements."""


def call(
    name: str,
    arguments: Sequence[Argument],
    outs: Sequence[tuple[Index, Dim]] = (),
    settings: tuple[Any, ...] = (),
) -> Node:
    """An element of what a function of whole tensors returns, at the indices `outs`."""
    indices = tuple(index for index, _ in outs)
    taken = _taken(name, arguments, indices, settings)
    if taken is None and name == "det":
        taken = _det_of_product(arguments[0])
    if taken is not None:
        return taken
    closed = []
    for axes, body in arguments:
        names = [-body.depth - 1 - place for place in range(len(axes))]
        inner = bound_as([index for index, _ in axes], body, names)
        closed.append(
            (tuple((new, dim.root) for new, (_, dim) in zip(names, axes, strict=True)), inner)
        )
    if name == "inv":
        indices = _symmetric(closed[0], indices)
    data = (name, tuple(closed), indices, settings, tuple(dim.root for _, dim in outs))
    if ("call", data) in _state.nodes:
        return _state.nodes["call", data]
    node = _node("call", data, data, [body for _, body in closed], len(name) + 2 + 3 * len(outs))
    inner_free = (body.free - {index for index, _ in axes} for axes, body in closed)
    own = {index for index in indices if isinstance(index, int)}
    node.free = frozenset(own.union(*inner_free))
    node.depth = max([body.depth + len(axes) for axes, body in closed], default=0)
    return node


def _det_of_product(argument: Argument) -> Node | None:
    """The determinant of a power of a matrix as that power of its determinant."""
    axes, body = argument
    if body.kind != "sigma" or any(dim.root is not axes[0][1].root for _, dim in body.data[0]):
        return None
    factors = powers(body.data[1])[1]
    names = {base.data[0] for base, by in factors if base.kind == "sym" and is_num(by, 1)}
    if (
        len(names) != 1
        or len(factors) != len(body.data[0]) + 1
        or any(b.kind != "sym" for b, _ in factors)
    ):
        return None
    (row, _), (column, _) = axes
    whole = call("det", [(axes, sym(names.pop(), (row, column)))])
    return power(whole, num(len(factors)))


def _taken(
    name: str, arguments: Sequence[Argument], outs: tuple[Index, ...], settings: tuple[Any, ...]
) -> Node | None:
    """The element at a fixed place of a function that only moves elements; otherwise None."""
    if not outs or not isinstance(outs[0], tuple):
        return None
    (place,) = outs[0]
    if name == "slice" and place >= 0:
        (((index, _),), body), *_ = arguments
        return rename(body, {index: (count_of(settings[0]) + place * settings[2],)})
    if name == "stack":
        return arguments[place][1]
    if name == "cat" and place >= 0:
        for ((index, dim),), body in arguments:
            if place < dim.size:
                return rename(body, {index: (place,)})
            place -= dim.size
    return None


def _symmetric(argument: Any, outs: tuple[Index, ...]) -> tuple[Index, ...]:
    """The indices of an inverse, in one order where the matrix is symmetric."""
    ((row, _), (column, _)), body = argument
    if rename(body, {row: column, column: row}) is body:
        first, second = sorted(outs, key=str)
        return first, second
    return outs


def along(name: str, body: Node, index: int, dim: Dim, out: Index | None = None) -> Node:
    """A function along one index of `body`: one number for each place `out`, or one in all."""
    return call(name, [([(index, dim)], body)], () if out is None else [(out, dim)])


# --- walking ------------------------------------------------------------------------------------


def rename(node: Node, names: Mapping[int, Index]) -> Node:
    """A node with other names of its free indices, which are never those of a finished sum inside."""
    if node.free.isdisjoint(names):
        return node
    own = {old: new for old, new in names.items() if old in node.free and old != new}
    return _renamed(node, own, {}) if own else node


def _renamed(node: Node, names: Mapping[int, Index], done: dict[Node, Node]) -> Node:
    if node.free.isdisjoint(names):
        return node
    found = done.get(node)
    if found is None:
        match node.kind:
            case "sym":
                name, indices = node.data
                found = sym(name, [names.get(i, i) if isinstance(i, int) else i for i in indices])
            case "delta":
                left, right, dim = node.data
                left, right = (names.get(i, i) if isinstance(i, int) else i for i in (left, right))
                found = delta(left, right, dim)
            case _:
                found = rebuilt(node, lambda child: _renamed(child, names, done), names)
        done[node] = found
    return found


def rebuilt(
    node: Node, change: Callable[[Node], Node], names: Mapping[int, Index] | None = None
) -> Node:
    """A node with changed children. The change must not bring in other bound indices, unless sums
    are opened before: see `transformed`.
    """
    match node.kind:
        case "add":
            constant, terms = node.data
            changed = [change(term) for term in terms]
            if all(map(is_, changed, terms)):
                return node
            items = zip(terms.values(), changed, strict=True)
            return combine([(constant, num(1)), *items])
        case "mul":
            coefficient, factors = node.data
            bases = [change(base) for base in factors]
            exponents = [by if by.kind == "num" else change(by) for by in factors.values()]
            if all(map(is_, bases, factors)) and all(map(is_, exponents, factors.values())):
                return node
            return product(coefficient, zip(bases, exponents, strict=True))
        case "fn":
            name, arguments, settings = node.data
            changed = [change(argument) for argument in arguments]
            return (
                node if all(map(is_, changed, arguments)) else fn(name, *changed, settings=settings)
            )
        case "sigma":
            bounds, body = node.data
            return sigma(dict(bounds), change(body))
        case "call":
            name, inner, outs, settings, sides = node.data
            names = names or {}
            moved = [names.get(out, out) if isinstance(out, int) else out for out in outs]
            made = [(axes, change(body)) for axes, body in inner]
            return call(name, made, list(zip(moved, sides, strict=True)), settings)
    return node


def transformed(
    node: Node, change: Callable[[Node], Node], openings: dict[Node, Any] | None = None
) -> Node:
    """A node with changed children, the bound indices of its sums and calls opened for the change.

    With `openings` a node is opened once, so that a change may know its parts again.
    """
    if node.kind not in ("sigma", "call"):
        return rebuilt(node, change)
    opening = None if openings is None else openings.get(node)
    if opening is None:
        opening = opened(node) if node.kind == "sigma" else arguments_of(node)
        if openings is not None:
            openings[node] = opening
    if node.kind == "sigma":
        over, body = opening
        changed = change(body)
        return node if changed is body else sigma(over, changed)
    if node.kind == "call":
        name, _, outs, settings, sides = node.data
        arguments = [(axes, change(body)) for axes, body in opening]
        if all(new is old for (_, new), (_, old) in zip(arguments, opening, strict=True)):
            return node
        return call(name, arguments, list(zip(outs, sides, strict=True)), settings)
    return rebuilt(node, change)


def arguments_of(node: Node) -> list[tuple[list[tuple[int, Dim]], Node]]:
    """The arguments of a call with new names of their axes."""
    opened_ = []
    for bounds, body in node.data[1]:
        axes = [(fresh(), dim) for _, dim in bounds]
        renamed = bound_as([name for name, _ in bounds], body, [index for index, _ in axes])
        opened_.append((axes, renamed))
    return opened_


def substituted(node: Node, values: Mapping[str, Callable[[Sequence[Index]], Node]]) -> Node:
    """A node with some tensors replaced: the element at the indices, for each."""
    done: dict[Node, Node] = {}

    def change(node: Node) -> Node:
        if node not in done:
            if node.kind == "sym" and node.data[0] in values:
                done[node] = values[node.data[0]](node.data[1])
            else:
                done[node] = transformed(node, change)
        return done[node]

    return change(node)


def names_of(node: Node, found: dict[str, int] | None = None) -> dict[str, int]:
    """The tensors in a node, and how often each occurs."""
    found = {} if found is None else found
    agenda = [node]
    while agenda:
        each = agenda.pop()
        match each.kind:
            case "sym":
                found[each.data[0]] = found.get(each.data[0], 0) + 1
            case "add":
                agenda += each.data[1]
            case "mul":
                agenda += [*each.data[1], *each.data[1].values()]
            case "fn":
                agenda += each.data[1]
            case "sigma":
                agenda.append(each.data[1])
            case "call":
                agenda += [body for _, body in each.data[1]]
    return found
