"""Products of tensors, and functions of square matrices."""

from collections.abc import Mapping
from functools import partial, reduce
from typing import Any

from gradcli.algebra.indices import call, rename, sigma
from gradcli.algebra.nodes import Dim, Node, NoRuleError, delta, fresh
from gradcli.algebra.products import mul
from gradcli.algebra.rules.reducing import Rule
from gradcli.algebra.rules.sides import side_of
from gradcli.algebra.walk import Axis, Value, broadcast, formula, packed, plain, unpacked


def matmul(left: Value, right: Value) -> Value:
    """left @ right. Raises NoRuleError for a number, and for one side of size 1 at a longer one."""
    a, first = unpacked(left)
    b, second = unpacked(right)
    if not first or not second:
        raise NoRuleError("no rule for @ of a number")
    (inner, one), (other, two) = first.pop(), second.pop(-2 if len(second) > 1 else -1)
    if (one is None) != (two is None):
        raise NoRuleError("no rule for a product along a side of size 1")
    over = {} if one is None or two is None else {inner: one.merge(two)}
    last = [second.pop()] if len(right.sides) > 1 else []
    row = [first.pop()] if len(left.sides) > 1 else []
    names = {other: inner}
    batch: list[Axis] = [*(first if len(first) >= len(second) else second)]
    for place in range(1, min(len(first), len(second)) + 1):
        (index, side), (beside, theirs) = first[-place], second[-place]
        names[beside] = index
        batch[-place] = (index, broadcast((side,), (theirs,))[0])
    return packed(sigma(over, mul(a, rename(b, names))), [*batch, *row, *last])


def _einsum(equation: str, *operands: Any) -> Value:
    """einsum, without '...'. Raises NoRuleError."""
    if len(operands) == 1 and isinstance(operands[0], list | tuple):
        operands = tuple(operands[0])
    left, arrow, out = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if "." in equation or len(terms) != len(operands):
        raise NoRuleError("no rule for this einsum")
    letters = "".join(terms)
    if not arrow:
        out = "".join(sorted(c for c in set(letters) if letters.count(c) == 1))
    names = {letter: fresh() for letter in sorted(set(letters))}
    sides: dict[str, Dim | None] = {}
    nodes = []
    for term, operand in zip(terms, operands, strict=True):
        node, axes = unpacked(operand)
        moved = {}
        for letter, (index, side) in zip(term, axes, strict=True):
            moved[index] = names[letter]
            sides[letter] = broadcast((sides.get(letter),), (side,))[0]
        nodes.append(rename(node, moved))
    over = {names[c]: side for c, side in sides.items() if c not in out and side is not None}
    return packed(sigma(over, mul(*nodes)), [(names[c], sides[c]) for c in out])


# --- square matrices ----------------------------------------------------------------------------


def _square(value: Value) -> tuple[Node, list[Axis], list[tuple[int, Dim]]]:
    """The elements of square matrices, the axes before, and the two of the matrix."""
    node, axes = unpacked(value)
    *batch, (row, rows), (column, columns) = axes
    if rows is None or columns is None:
        raise NoRuleError("no rule for a matrix of one element")
    side = rows.merge(columns)
    return node, [*batch], [(row, side), (column, side)]


def _diagonal(value: Value, offset: Any = 0) -> Value:
    """The diagonal of a matrix; the diagonal matrix of a vector. Raises NoRuleError."""
    if offset or len(value.sides) > 2:
        raise NoRuleError("no rule for this diagonal")
    if len(value.sides) == 1:
        node, ((index, side),) = unpacked(value)
        if side is None:
            raise NoRuleError("no rule for diag of one number")
        other = fresh()
        return packed(mul(node, delta(index, other, side)), [(index, side), (other, side)])
    node, _, (row, column) = _square(value)
    return packed(rename(node, {column[0]: row[0]}), [row])


def _of_matrix(name: str, value: Value) -> Value:
    """A function from a square matrix to one number."""
    node, batch, axes = _square(value)
    return packed(call(name, [(axes, node)]), batch)


def _slogdet(value: Value) -> tuple[Value, Value]:
    sign, size = (formula(f"{name}(det(A))", {"A": value}) for name in ("sign", "abs"))
    return sign, formula("log(d)", {"d": size})


def _tensordot(left: Value, right: Value, dim: Any = 2) -> Value:
    """tensordot, along the last and the first sides, or along those listed."""
    rank, count = len(left.sides), plain(dim)
    listed = dim if count is None else (range(-count, 0), range(count))
    names = [*map(chr, range(ord("a"), ord("a") + rank + len(right.sides)))]
    mine, theirs = names[:rank], names[rank:]
    for own, other in zip(*listed, strict=True):
        theirs[plain(other)] = mine[plain(own)]
    out = [*(c for c in mine if c not in theirs), *(c for c in theirs if c not in mine)]
    return _einsum(f"{''.join(mine)},{''.join(theirs)}->{''.join(out)}", left, right)


def _inverse(value: Value) -> Value:
    node, batch, axes = _square(value)
    outs = [(fresh(), side) for _, side in axes]
    return packed(call("inv", [(axes, node)], outs), [*batch, *outs])


def _matrix_power(value: Value, n: Any) -> Value:
    """matrix_power, of small exponents. Raises NoRuleError for others."""
    times = plain(n)
    if not isinstance(times, int) or not -3 <= times <= 4 or not times:
        raise NoRuleError("no rule for this power of a matrix")
    base = found = _inverse(value) if times < 0 else value
    for _ in range(abs(times) - 1):
        found = matmul(found, base)
    return found


def _eye(n: Any, m: Any = None) -> Value:
    """eye, square. Raises NoRuleError if it is not."""
    side = side_of(n)
    if m is not None and plain(m) != side.root.size:
        raise NoRuleError("no rule for eye that is not square")
    return Value(delta(0, 1, side), (side, side))


def _triangle(name: str, value: Value, diagonal: Any = 0) -> Value:
    node, axes = unpacked(value)
    own = [(index, side) for index, side in axes[-2:] if side is not None]
    if len(own) != 2:
        raise NoRuleError(f"no rule for {name} of one row")
    outs = [(fresh(), side) for _, side in own]
    return packed(call(name, [(own, node)], outs, (diagonal,)), [*axes[:-2], *outs])


RULES: Mapping[str, Rule] = {
    "matmul": matmul, "einsum": _einsum, "diagonal": _diagonal, "inv": _inverse, "eye": _eye,
    "matrix_power": _matrix_power, "slogdet": _slogdet, "logabsdet": lambda pair: pair[1], "tensordot": _tensordot,
    "multi_dot": lambda values: reduce(matmul, values),
    **{name: partial(_of_matrix, name) for name in ("det", "logdet")},
    **{name: partial(_triangle, name) for name in ("tril", "triu")},
}  # fmt: skip
