"""The nodes of a formula, in index notation: every node is one number, for each of its free indices.

`X[i,k]*w[k]`, summed over k, is `X @ w`. So transposition, broadcasting and all products of matrices
are names of indices, and one rule differentiates them, as in Laue, Mitterreiter and Giesen,
"Computing Higher Order Derivatives of Matrix and Tensor Expressions" (2018) and "A Simple and
Efficient Tensor Calculus" (2020). Equal nodes are the same object: here they are made, and leaves
with them. The constructors of terms.py, products.py, elementwise.py and indices.py keep nodes in a
normal form and apply the identities that always shorten.

An index is a number: 0 is the last axis of a tensor, 1 the one before, so that tensors broadcast as
PyTorch's do. Indices from `fresh` are summed, and those of a finished sum are negative. A place in
a tuple of one, `(2,)`, is a fixed place instead of an index, and `()` that of a side of size 1.
"""

import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import KW_ONLY, dataclass, field
from fractions import Fraction
from itertools import count
from typing import Any, TypeAlias

Index: TypeAlias = int | tuple[int] | tuple[()]
Number: TypeAlias = int | Fraction
"""An exact number."""
Power: TypeAlias = "tuple[Node, Node]"
"""A base and its exponent."""

BITS = 256
"""Bits of an exact coefficient, at most; a longer one is rounded."""
NODES = 60_000
"""New nodes in one derivation, at most."""
WORK = 100_000
"""Parts that nodes are made of in one derivation, at most, whether new or known."""


class NoFormulaError(Exception):
    """There is no formula for something."""


class NoRuleError(NoFormulaError):
    """There is no rule for something; the message is the reason."""


class TooLongError(NoFormulaError):
    """The formula is too long, or the work on it."""


class UnequalError(NoFormulaError):
    """Two sizes that must be equal are not."""

    def __init__(self, left: "Dim", right: "Dim") -> None:
        super().__init__(f"no rule for sizes {left.size} and {right.size} together")
        self.sides = (left, right)


@dataclass(eq=False, repr=False)
class Dim:
    """The size of one side of a tensor. Sides that must agree are merged.

    `fixed`: the expression itself says the number. `places` are the inputs that have such a side:
    the name, the axis, and the number of axes. `cut` is for a side of x[1:-1] that of x, and how
    much longer it is. `parts` are the sides that it joins, as those of x.flatten() are.
    """

    size: int
    _: KW_ONLY
    fixed: bool = False
    parts: Sequence["Dim"] = ()
    places: list[tuple[str, int, int]] = field(default_factory=list)
    cut: "tuple[Dim, int] | None" = None
    _to: "Dim | None" = field(default=None, init=False)

    @property
    def root(self) -> "Dim":
        """The one that stands for all that were merged."""
        dim = self
        while dim._to is not None:
            dim = dim._to
        return dim

    @property
    def is_number(self) -> bool:
        """Whether its size is written as a number."""
        dim = self.root
        known = [*dim.parts, *([dim.cut[0]] if dim.cut else [])]
        return dim.fixed or (not dim.places and all(part.is_number for part in known))

    def merge(self, other: "Dim") -> "Dim":
        """Both, as one. Raises UnequalError."""
        mine, theirs = self.root, other.root
        if mine is not theirs:
            for whole, part in ((mine, theirs), (theirs, mine)):
                rest = [each.root for each in whole.parts if each.root is not part]
                if len(rest) < len(whole.parts) and whole.size == part.size:
                    raise UnequalError(rest[0], rest[0])  # its size is 1
            if mine.size != theirs.size:
                raise UnequalError(mine, theirs)
            theirs._to = mine
            mine.fixed |= theirs.fixed
            mine.places += theirs.places
            if mine.cut and theirs.cut and mine.cut[1] == theirs.cut[1]:
                mine.cut[0].merge(theirs.cut[0])
            mine.cut = mine.cut or theirs.cut
            if [part.size for part in mine.parts] == [part.size for part in theirs.parts]:
                for one, other in zip(mine.parts, theirs.parts, strict=True):
                    one.merge(other)
            mine.parts = mine.parts or theirs.parts
        return mine


Bounds: TypeAlias = Sequence[tuple[int, Dim]]
"""Indices with the sides along which they run."""


def count_of(bound: "int | tuple[Dim, ...] | None", whole: Dim) -> int:
    """The bound of a slice of a side at the given sizes: a number, from the end if it is negative, the
    sum of some sizes, or None for the end.
    """
    if isinstance(bound, tuple):
        return sum(dim.root.size for dim in bound)
    size = whole.root.size
    return size if bound is None else bound + size if bound < 0 else bound


@dataclass(slots=True, eq=False, repr=False)
class Node:
    """One interned node: `kind` says what `data` holds.

    num    a Number                         size   a Dim
    sym    the name of a tensor, indices    delta  two indices, their Dim: 1 if equal, else 0
    add    a constant, {term: coefficient}  mul    a coefficient, {base: exponent}
    fn     the name of an elementwise function, its arguments, its settings
    sigma  ((index, Dim), ...), what is summed
    call   the name of any other function, its arguments, indices of its result, its settings,
           the sizes of the result's sides;
           an argument is a tensor: ((index, Dim), ...) of its axes, and its elements

    `free` are the indices that it depends on, `weight` is about the length of its text, and bound
    indices inside it are at least `-depth`.
    """

    kind: str
    data: Any
    free: frozenset[int]
    depth: int
    weight: int
    number: int

    def is_fn(self, *names: str) -> bool:
        """Whether it is one of these elementwise functions."""
        return self.kind == "fn" and self.data[0] in names

    def is_call(self, *names: str) -> bool:
        """Whether it is one of these functions of whole tensors."""
        return self.kind == "call" and self.data[0] in names

    @property
    def argument(self) -> "Node":
        """The first argument of an elementwise function."""
        found: Node = self.data[1][0]
        return found

    @property
    def children(self) -> Iterator["Node"]:
        """The nodes that it is made of."""
        match self.kind:
            case "add" | "fn":
                yield from self.data[1]
            case "mul":
                yield from self.data[1]
                yield from self.data[1].values()
            case "sigma":
                yield self.data[1]
            case "call":
                yield from (body for _, body in self.data[1])


ZERO, ONE = (Node("num", value, frozenset(), 0, 1, place - 2) for place, value in enumerate((0, 1)))


class _State:
    """What one derivation has made."""

    def __init__(self) -> None:
        self.nodes: dict[Any, Node] = {("num", node.data): node for node in (ZERO, ONE)}
        self.numbers: dict[float | Fraction, Node] = {node.data: node for node in (ZERO, ONE)}
        self.signs: set[Any] = set()
        self.shares: dict[str, int] = {}
        """The tensors whose elements add up to 1, and along which of their indices."""
        self.steps: dict[str, tuple[tuple[Index, ...], Node]] = {}
        """The named steps: their indices, and what they were computed as."""
        self.conditions: set[str] = set()
        """The inputs of truth values."""
        self.positive: dict[Node, bool] = {}
        """Whether nodes are known to be positive."""
        self.symmetric: dict[Node, bool] = {}
        """Whether the elements of inverted matrices are symmetric."""
        self.flattens = False
        """Whether a side of size 1 that a reshape drops may be longer."""
        self.indices = count(1000)
        self.work = 0


_state = _State()


def restart() -> None:
    """Forget all nodes: a derivation begins."""
    global _state
    _state = _State()


def made() -> int:
    """The number of nodes that were made: the work of this derivation so far."""
    return len(_state.nodes)


def state() -> _State:
    """What this derivation has made."""
    return _state


def spent() -> bool:
    """Whether so much work was done that a shorter form is not looked for any more."""
    return _state.work > WORK // 2


def fresh() -> int:
    """A new index."""
    return next(_state.indices)


def interned(
    kind: str, key: Any, data: Any, children: Collection[Node], weight: int, own: Iterable[Any] = ()
) -> Node:
    """The node with this key; `own` are its own indices, `weight` is without that of its children.

    Raises TooLongError.
    """
    _state.work += 1 + len(children)
    if _state.work > WORK:
        raise TooLongError("took too long")
    found = _state.nodes.get((kind, key))
    if found is not None:
        return found
    number = len(_state.nodes)
    if number > NODES:
        raise TooLongError("took too long")
    free = {index for index in own if isinstance(index, int)}
    depth = 0
    for child in children:
        free |= child.free
        depth = max(depth, child.depth)
        weight += child.weight
    node = Node(kind, data, frozenset(free), depth, weight, number)
    _state.nodes[kind, key] = node
    return node


def within(node: Node) -> set[Node]:
    """A node and all that it is made of."""
    found: set[Node] = set()
    agenda = [node]
    while agenda:
        each = agenda.pop()
        if each not in found:
            found.add(each)
            agenda += each.children
    return found


def names_of(node: Node) -> set[str]:
    """The tensors in a node."""
    return {each.data[0] for each in within(node) if each.kind == "sym"}


def uses_of(node: Node) -> Counter[str]:
    """How often each tensor is written in the text of a node, which must not be long."""
    found: Counter[str] = Counter()
    agenda = [node]
    while agenda:
        each = agenda.pop()
        if each.kind == "sym":
            found[each.data[0]] += 1
        agenda += each.children
    return found


# --- leaves -------------------------------------------------------------------------------------


def num(value: float | Fraction) -> Node:
    """A number; a float is the fraction or the decimal that it is written as.

    Raises TooLongError for one that is too large.
    """
    found = _state.numbers.get(value)
    if found is None:
        found = _state.numbers[value] = _num(value)
    return found


def _num(value: float | Fraction) -> Node:
    if isinstance(value, float):
        if not math.isfinite(value):
            name = "inf" if value > 0 else "-inf" if value < 0 else "nan"
            return interned("fn", (name, (), ()), (name, (), ()), (), len(name))
        near = Fraction(value).limit_denominator(1000)
        value = near if float(near) == value else Fraction(str(value))
    if value.numerator.bit_length() + value.denominator.bit_length() > BITS:
        try:
            value = Fraction(str(float(value)))
        except OverflowError:
            raise TooLongError("a number is too large") from None
    # Whole numbers are kept as int, which is much faster.
    value = int(value) if value.denominator == 1 else value
    return interned("num", value, value, (), len(str(value)))


def size(dim: Dim) -> Node:
    """The size of a side."""
    root = dim.root
    return num(root.size) if root.fixed else interned("size", root, root, (), 6)


def sym(name: str, indices: Sequence[Index]) -> Node:
    """An element of the tensor `name`."""
    data = (name, tuple(indices))
    return interned("sym", data, data, (), len(name), indices)


def delta(left: Index, right: Index, dim: Dim) -> Node:
    """1 where both indices are equal, else 0."""
    if left == right:
        return ONE
    if isinstance(left, tuple) and isinstance(right, tuple):
        return ZERO
    pair = (left, right) if str(left) <= str(right) else (right, left)
    data = (*pair, dim.root)
    return interned("delta", data, data, (), 6, pair)


def ratio(left: Number, right: Number) -> Number:
    """A quotient of two exact numbers."""
    if right == 1:
        return left
    found = Fraction(left, right)
    return int(found) if found.denominator == 1 else found


def magnitude(value: Number) -> Number:
    """The absolute value of an exact number."""
    return -value if value < 0 else value


def number(node: Node) -> Number | None:
    """The value of a number."""
    return node.data if node.kind == "num" else None


def whole(node: Node) -> int | None:
    """The value of a whole number."""
    return int(node.data) if node.kind == "num" and node.data.denominator == 1 else None


def is_num(node: Node, value: float) -> bool:
    """Whether a node is this number."""
    return node.kind == "num" and bool(node.data == value)
