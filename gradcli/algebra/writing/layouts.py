"""Texts with their layouts: how tightly they bind, how they broadcast, how numbers are spelled."""

from collections.abc import Sequence
from enum import IntEnum
from fractions import Fraction
from itertools import zip_longest
from typing import NamedTuple

from gradcli.algebra.nodes import Node, Number
from gradcli.algebra.signs import is_negative

Axes = tuple[int | None, ...]

KEPT = ", keepdim=True"
"""The argument of a reduction that keeps the reduced sides."""

DIAGONAL = ".diagonal()"
_BY_MATRICES = 1.2
"""How much longer a sum of products with `@` may be than a sum of elementwise products, as a factor."""


class Binds(IntEnum):
    """How tightly a text binds. COMPARE and TRUTH are of truth values; TRUTH binds as ATOM does."""

    COMPARE, SUM, PRODUCT, SIGN, POWER, ATOM, TRUTH = range(1, 8)


class Text(NamedTuple):
    """A text, how tightly it binds, its layout, and whether it is a chain of `@`."""

    text: str
    binds: Binds = Binds.ATOM
    layout: Axes = ()
    chain: bool = False

    def within(self, binds: int) -> str:
        """The text as an operand that must bind at least so tightly."""
        return self.text if self.binds >= binds else f"({self.text})"

    @property
    def atom(self) -> str:
        """The text before a dot or a bracket."""
        return self.within(Binds.ATOM)

    @property
    def is_truth(self) -> bool:
        """Whether it is of truth values."""
        return self.binds in (Binds.COMPARE, Binds.TRUTH)

    @property
    def as_float(self) -> "Text":
        """The same as an operand of `@`, `+` or `-`, which take no truth values."""
        if not self.is_truth:
            return self
        return Text(f"1.0*{self.within(Binds.POWER)}", Binds.PRODUCT, self.layout)


def as_floats(node: Node, text: Text) -> Text:
    """The text of a node as an operand of `@`, which does not mix types."""
    if _is_integer(node):
        return Text(f"1.0*{text.within(Binds.POWER)}", Binds.PRODUCT, text.layout)
    return text.as_float


def _is_integer(node: Node) -> bool:
    """Whether PyTorch gives the elements of a node as integers."""
    match node.kind:
        case "num":
            return bool(node.data.denominator == 1)
        case "add" | "mul":
            return all(map(_is_integer, node.children)) and not any(map(is_negative, node.children))
        case "fn":
            return node.data[0] == "where" and all(map(_is_integer, node.data[1][1:]))
    return node.kind == "size" or node.is_call("one_hot", "arange")


def shortest(texts: Sequence[Text]) -> Text:
    """The shortest text. The sides that are asked for are kept rather than made again: `KEPT` does
    not count.
    """
    return min(texts, key=length)


def length(text: Text) -> int:
    """The characters of a text by which it is chosen; permuting is harder to read than transposing."""
    return len(text.text.replace(KEPT, "")) + 6 * text.text.count(".permute(")


def by_matrices(apart: Text | None, terms: int, best: Text) -> Text:
    """U.T @ a + V.T @ b, as textbooks write it, unless `best`, such as sum(U.T*a + V.T*b, 1), is much
    shorter; None and a sum of fewer products than terms do not count.
    """
    if apart is None or apart.text.count(" @ ") < terms:
        return best
    return apart if length(apart) < _BY_MATRICES * length(best) else best


def broadcast(layouts: Sequence[Axes]) -> Axes:
    """The layout of texts that broadcast together."""
    columns = zip_longest(*(reversed(layout) for layout in layouts))
    return tuple(next((i for i in column if i is not None), None) for column in columns)[::-1]


def decimal(value: Number) -> str:
    """A number as students write it: 3, 1e9, 0.1, 1e-05, 2/3."""
    if value.denominator == 1:
        text = str(value.numerator)
        digits = text.rstrip("0")
        if len(text) - len(digits) > 5:
            return f"{digits}e{len(text) - len(digits)}"
        return text if -(10**7) < value < 10**7 else repr(float(value))
    text = repr(float(value))
    fits = value.denominator % 5 == 0 or len(text) > 6
    if Fraction(text) == value and fits and len(text) < 24:
        return text
    return f"{value.numerator}/{value.denominator}" if value.denominator < 10**6 else text


def spelled(value: Number) -> Text:
    """A number as a text."""
    text = decimal(value)
    return Text(text, Binds.PRODUCT if "/" in text else Binds.ATOM if value >= 0 else Binds.SIGN)
