"""Formulas in index notation keep their values: random ones are built by the constructors and, side
by side, computed by plain Python; then simplified, renamed and limited.
"""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import product as every
from typing import NamedTuple

import pytest

from gradcli.algebra import nodes
from gradcli.algebra.choice import Simplifier
from gradcli.algebra.elementwise import chosen, fn
from gradcli.algebra.indices import along, call, rename, sigma, substituted
from gradcli.algebra.nodes import Dim, Node, TooLongError, delta, fresh, num, size, sym
from gradcli.algebra.products import divide, mul, neg, power
from gradcli.algebra.terms import add, sub
from tests.choice import rare

SIDE = 3
FORMULAS = [120, rare(250)]
"""How many formulas are drawn at random."""
Places = Mapping[int, int]
"""The place that each index stands for."""
VALUES: dict[str, Callable[..., float]] = {
    "a": lambda: 0.7, "b": lambda: -1.3,
    "u": lambda i: (0.4, -0.8, 1.1)[i], "v": lambda i: (-0.3, 0.9, 0.5)[i],
    "M": lambda i, j: ((0.2, -0.5, 0.7), (1.2, 0.1, -0.9), (-0.6, 0.8, 0.3))[i][j],
}  # fmt: skip
"""The elements of the tensors in these formulas."""
FUNCTIONS: dict[str, Callable[..., float]] = {
    "exp": math.exp, "log": math.log, "sin": math.sin, "cos": math.cos, "tan": math.tan, "sinh": math.sinh,
    "cosh": math.cosh, "tanh": math.tanh, "erf": math.erf, "abs": abs, "sigmoid": lambda u: 1/(1 + math.exp(-u)),
    "relu": lambda u: max(u, 0), "sign": lambda u: (u > 0) - (u < 0), "maximum": max, "minimum": min,
    ">": lambda a, b: a > b, "<": lambda a, b: a < b, "where": lambda c, a, b: a if c else b,
}  # fmt: skip
SAFE = ("sin", "cos", "tanh", "sinh", "cosh", "sigmoid", "relu", "sign", "abs", "erf", "exp")


def value(node: Node, places: Places) -> float:
    """The value of a node, by the definition of its kind."""

    def at(index: nodes.Index) -> int:
        return places[index] if isinstance(index, int) else index[0] if index else 0

    match node.kind:
        case "num":
            return float(node.data)
        case "size":
            return float(node.data.size)
        case "sym":
            return VALUES[node.data[0]](*map(at, node.data[1]))
        case "delta":
            return float(at(node.data[0]) == at(node.data[1]))
        case "add":
            constant, terms = node.data
            return float(constant) + sum(float(c) * value(t, places) for t, c in terms.items())
        case "mul":
            coefficient, factors = node.data
            powers = (value(base, places) ** value(by, places) for base, by in factors.items())
            return float(float(coefficient) * math.prod(powers))
        case "fn":
            name, arguments, _ = node.data
            return float(FUNCTIONS[name](*(value(each, places) for each in arguments)))
        case "sigma":
            bounds, body = node.data
            return sum(elements(bounds, body, places))
    name, (((bound,), body),), outs, *_ = node.data
    exps = [math.exp(each) for each in elements((bound,), body, places)]
    return exps[at(outs[0])] / sum(exps) if name == "softmax" else math.log(sum(exps))


def elements(bounds: nodes.Bounds, body: Node, places: Places) -> list[float]:
    """The values of a body at all places of its bound indices."""
    names = [index for index, _ in bounds]
    assert not set(names) & set(places), "a bound index is free outside"
    ranges = every(*(range(dim.size) for _, dim in bounds))
    return [value(body, {**places, **dict(zip(names, at, strict=True))}) for at in ranges]


class Pair(NamedTuple):
    """A node, and the same formula computed by Python."""

    node: Node
    compute: Callable[[Places], float]


def formula(draw: random.Random, free: list[int], dim: Dim, depth: int) -> Pair:
    """A random formula of at most these free indices."""
    inner = partial(formula, draw, dim=dim, depth=depth - 1)
    if depth == 0:
        return leaf(draw, free, dim)
    match draw.randrange(11):
        case 0 | 1:
            a, b = inner(free), inner(free)
            return Pair(add(a.node, b.node), lambda p: a.compute(p) + b.compute(p))
        case 2:
            a, b = inner(free), inner(free)
            return Pair(sub(a.node, b.node), lambda p: a.compute(p) - b.compute(p))
        case 3 | 4:
            a, b = inner(free), inner(free)
            return Pair(mul(a.node, b.node), lambda p: a.compute(p) * b.compute(p))
        case 5:
            a, b = inner(free), inner(free)
            below = add(num(1), power(b.node, num(2)))
            return Pair(divide(a.node, below), lambda p: a.compute(p) / (1 + b.compute(p) ** 2))
        case 6:
            a, by = inner(free), draw.choice((2, 3, 0.5))
            node = power(power(a.node, num(2)), num(by))
            return Pair(node, lambda p: (a.compute(p) ** 2) ** by)
        case 7:
            a, name = inner(free), draw.choice(SAFE)
            return Pair(fn(name, a.node), lambda p: float(FUNCTIONS[name](a.compute(p))))
        case 8:
            a, b, c = inner(free), inner(free), inner(free)
            node = chosen(fn(">", a.node, b.node), b.node, c.node)
            return Pair(node, lambda p: (b if a.compute(p) > b.compute(p) else c).compute(p))
    index = fresh()
    a = inner([*free, index])

    def all_of(p: Places) -> list[float]:
        return [a.compute({**p, index: place}) for place in range(SIDE)]

    if draw.random() < 0.6:
        return Pair(sigma({index: dim}, a.node), lambda p: sum(all_of(p)))
    name = draw.choice(("softmax", "logsumexp")) if free else "logsumexp"
    total = Pair(
        along("logsumexp", a.node, index, dim), lambda p: math.log(sum(map(math.exp, all_of(p))))
    )
    if name == "logsumexp":
        return total
    out = free[0]
    exponent = rename(a.node, {index: out})
    return Pair(
        fn("exp", sub(exponent, total.node)),
        lambda p: math.exp(a.compute({**p, index: p[out]}) - total.compute(p)),
    )


def leaf(draw: random.Random, free: list[int], dim: Dim) -> Pair:
    kind = draw.randrange(6)
    if kind == 0 or (kind > 2 and not free):
        number = draw.choice((1, 2, -1, 0.5, 3))
        return Pair(num(number), lambda p: number)
    if kind == 1:
        name = draw.choice("ab")
        return Pair(sym(name, []), lambda p: VALUES[name]())
    if kind == 2:
        return Pair(size(dim), lambda p: SIDE)
    i, j = draw.choice(free or [0]), draw.choice(free or [0])
    if kind == 3:
        return Pair(sym("M", [i, j]), lambda p: VALUES["M"](p[i], p[j]))
    if kind == 4 and len(free) > 1:
        return Pair(delta(i, j, dim), lambda p: float(p[i] == p[j]))
    name = draw.choice("uv")
    return Pair(sym(name, [i]), lambda p: VALUES[name](p[i]))


def cases(count: int) -> list[tuple[Pair, Dim]]:
    draw = random.Random(20260101)
    nodes.restart()
    dim = Dim(SIDE)
    found: list[tuple[Pair, Dim]] = []
    while len(found) < count:
        pair = formula(draw, [0, 1], dim, 4)
        try:
            sizes = [abs(pair.compute(p)) for p in PLACES]
        except (OverflowError, ValueError):
            continue
        if max(sizes) < 1e6:
            found.append((pair, dim))
    return found


PLACES = [{0: i, 1: j} for i, j in every(range(SIDE), repeat=2)]


def same(found: float, expected: float) -> bool:
    return math.isclose(found, expected, rel_tol=1e-7, abs_tol=1e-7)


@pytest.mark.smoke
@pytest.mark.parametrize("count", FORMULAS)
def test_constructors_and_simplification_keep_the_value(count: int) -> None:
    simplest = Simplifier()
    found = cases(count)
    for pair, _ in found:
        short = simplest(pair.node)
        assert short.weight <= pair.node.weight
        for p in PLACES:
            assert same(value(pair.node, p), pair.compute(p))
            assert same(value(short, p), pair.compute(p))
    kinds = {node.kind for pair, _ in found for node in [pair.node]}
    assert kinds >= {"add", "mul", "fn", "sigma"}


@pytest.mark.parametrize("count", FORMULAS)
def test_renaming_never_captures_an_index(count: int) -> None:
    for pair, _ in cases(count):
        swapped, joined = rename(pair.node, {0: 1, 1: 0}), rename(pair.node, {0: 1})
        for p in PLACES:
            assert same(value(swapped, p), pair.compute({0: p[1], 1: p[0]}))
            assert same(value(joined, p), pair.compute({0: p[1], 1: p[1]}))


@pytest.mark.parametrize("count", FORMULAS)
def test_substitution_never_captures_an_index(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """v = M @ u, whose sum binds an index, put into formulas that bind others around v."""

    def row(at: Sequence[nodes.Index]) -> Node:
        index = fresh()
        return sigma({index: Dim(SIDE)}, mul(sym("M", [at[0], index]), sym("u", [index])))

    found = [(pair, substituted(pair.node, {"v": row})) for pair, _ in cases(count)]
    m, u = VALUES["M"], VALUES["u"]
    monkeypatch.setitem(VALUES, "v", lambda i: sum(m(i, k) * u(k) for k in range(SIDE)))
    for pair, node in found:
        assert all(same(value(node, p), pair.compute(p)) for p in PLACES)


def test_equal_formulas_are_one_node() -> None:
    nodes.restart()
    dim = Dim(SIDE)
    x = [sym("x", [i]) for i in range(2)]
    i, j = fresh(), fresh()
    assert sigma({i: dim}, sym("x", [i])) is sigma({j: dim}, sym("x", [j]))
    assert sub(x[0], x[1]) is neg(sub(x[1], x[0]))
    squares = [power(fn(name, x[0]), num(2)) for name in ("sin", "cos")]
    assert add(*squares) is num(1)
    exps = fn("exp", sym("x", [0])), sigma({i: dim}, fn("exp", sym("x", [i])))
    assert divide(*exps) is along("softmax", sym("x", [i]), i, dim, 0)
    assert sigma({0: dim}, divide(*exps)) is num(1)
    k = fresh()
    inverse = call("inv", [([(i, dim), (j, dim)], sym("A", [i, j]))], [(0, dim), (k, dim)])
    assert sigma({k: dim}, mul(inverse, sym("A", [k, 1]))) is delta(0, 1, dim)


def test_a_budget_ends_hopeless_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nodes, "NODES", 500)
    nodes.restart()
    factors = [add(*(sym(f"x{i}{j}", []) for j in range(3))) for i in range(20)]
    with pytest.raises(TooLongError, match="took too long"):
        Simplifier()(add(*(mul(a, b, c) for a, b, c in every(factors, repeat=3))))
    nodes.restart()
    with pytest.raises(TooLongError, match="too large"):
        power(num(10), num(40)), num(10**400)
