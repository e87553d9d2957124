"""What a form of output writes: headings, prose, programs, formulas, and tables whose cells are text.

No PyTorch is needed here, so that a list of the catalogue can be written without it.
"""

import ast
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, groupby, repeat
from typing import NamedTuple, TypeAlias, TypeVar

from rich.cells import cell_len

from gradcli.language.expressions.rules import RULES

_END = "\0"
"""The end of a cell among others, which no cell contains."""


class Texts:
    """The cells of a column in one block as text, many rows together: single ones would take six
    times the memory. A block without rows has one empty cell.
    """

    def __init__(self, pieces: Iterable[Sequence[str]]) -> None:
        self._joined = [_END.join(piece) for piece in pieces] or [""]

    @property
    def pieces(self) -> Iterator[list[str]]:
        """The cells of several rows at a time."""
        return (joined.split(_END) for joined in self._joined)

    def __iter__(self) -> Iterator[str]:
        return chain.from_iterable(self.pieces)

    @property
    def several(self) -> bool:
        """Whether there is more than one row."""
        return len(self._joined) > 1 or _END in self._joined[0]

    @property
    def widest(self) -> int:
        """The width of the widest cell."""
        return max(
            max(map(len if joined.isascii() else cell_len, joined.split(_END)))
            for joined in self._joined
        )


@dataclass(frozen=True)
class TextColumn:
    """A column as text: its heading, and the cells of each block, numbers padded so that their
    points are aligned. With `code`, the cells are expressions, or hold some.
    """

    heading: str
    blocks: list[Texts]
    numeric: bool
    code: bool = False

    @property
    def cells(self) -> Iterator[str]:
        """The cells of all blocks."""
        return chain.from_iterable(self.blocks)

    @property
    def least(self) -> int:
        """The width when texts are broken at blanks; the heading is not broken."""
        words = (text_width(word) for cell in self.cells for word in cell.split())
        return max(len(self.heading), *words, 1)

    @cached_property
    def widest(self) -> int:
        """The width of the widest cell."""
        return max((block.widest for block in self.blocks), default=0)

    @cached_property
    def scientific(self) -> bool:
        """Whether some of its numbers have an exponent."""
        return self.numeric and any("e" in cell for cell in self.cells)

    def within(self, heading: int | None) -> int:
        """The width when the heading is broken into pieces of `heading` characters (None: not)."""
        return max(1, self.widest, len(self.heading[:heading]))


def text_width(text: str) -> int:
    """The width of a text in a terminal."""
    return len(text) if text.isascii() else cell_len(text)


def padded(cells: Sequence[str], width: int, *, numeric: bool) -> Iterable[str]:
    """The cells, each padded to `width`: numbers stand on the right."""
    if all(map(str.isascii, cells)):
        return map(str.rjust if numeric else str.ljust, cells, repeat(width))
    blanks = (" " * (width - cell_len(cell)) for cell in cells)
    return [pad + cell if numeric else cell + pad for pad, cell in zip(blanks, cells, strict=True)]


@dataclass(frozen=True)
class TextTable:
    """A table to write; `formula` is the part of the title that is an expression. The other fields
    are those of `gradcli.show.table.Table`.
    """

    columns: list[TextColumn]
    title: str = ""
    formula: str = ""
    caption: str = ""
    keys: int = 1
    ends: int = 0
    ruled: bool = False
    narrow: "TextTable | None" = None

    @property
    def blocks(self) -> Iterator[tuple[list[tuple[str, ...]], bool]]:
        """The rows of each block, and whether a line separates them from those above."""
        firsts = self.columns[0].blocks if self.columns else []
        for number, line in enumerate(lined(firsts, ruled=self.ruled)):
            cells = (column.blocks[number] for column in self.columns)
            yield list(zip(*cells, strict=True)), line

    @property
    def remarks(self) -> "Iterator[Prose | Code]":
        """The lines of the caption; those that are indented are quoted from a program."""
        lines = self.caption.split("\n") if self.caption else []
        for quoted, group in groupby(lines, lambda line: line.startswith("  ")):
            if quoted:
                yield Code("\n".join(line[2:] for line in group), "text")
            else:
                yield from map(Prose, group)


def lined(blocks: Sequence[Texts], *, ruled: bool) -> list[bool]:
    """Whether a line separates each block from the one above it: one follows each block of several
    rows, and with `ruled` one precedes it too.
    """
    several = [block.several for block in blocks]
    above = [False, *several]
    return [i > 0 and (above[i] or (ruled and own)) for i, own in enumerate(several)]


_Column = TypeVar("_Column")


def groups(
    columns: Sequence[_Column], keys: int, ends: int, holds: Callable[[list[_Column]], bool]
) -> list[list[_Column]]:
    """The columns in groups that fit, each between the first `keys` and the last `ends` of them."""
    stop = len(columns) - ends
    found: list[list[_Column]] = [[]]
    first, last = columns[:keys], columns[stop:]
    for column in columns[keys:stop]:
        if found[-1] and not holds([*first, *last, *found[-1], column]):
            found.append([])
        found[-1].append(column)
    return [[*first, *group, *last] for group in found]


class Heading(NamedTuple):
    """A line above what belongs to it; `formula` is the part of it that is an expression."""

    text: str
    formula: str = ""


class Prose(NamedTuple):
    """A paragraph."""

    text: str


class Code(NamedTuple):
    """Lines of a program; its output has the language `text`, an error `pytb`."""

    text: str
    language: str = "python"


class Formula(NamedTuple):
    """An equation, as text and as display mathematics for LaTeX without delimiters."""

    text: str
    latex: str


class Listing(NamedTuple):
    """Names, each with a line about it."""

    rows: Sequence[tuple[str, str]]


Part: TypeAlias = TextTable | Heading | Prose | Code | Formula | Listing


class Span(NamedTuple):
    """A part of a line: an expression, or words."""

    text: str
    code: bool


def titled(title: str, formula: str) -> list[Span]:
    """A title in words and the expression in it."""
    before, found, after = title.partition(formula) if formula else (title, "", "")
    spans = (Span(before, False), Span(found, True), Span(after, False))
    return [span for span in spans if span.text]


PLACE = re.compile(r"(\w+(?:\.\w+)*)\[(\d+(?:,\d+)*)\]", re.ASCII)
"""The name of an element: `w[0,1]`."""
_SEPARATORS = re.compile(r"(; |: (?=\[)| -> )")
"""What stands between the formulas of a rule, the shapes that they have, and an operand."""


def spans(text: str, names: Collection[str]) -> list[Span]:
    """A cell in expressions and words; a single word is an expression if it is one of `names`."""
    if PLACE.fullmatch(text):
        return [Span(text, True)]
    return [Span(each, _is_formula(each, names)) for each in _SEPARATORS.split(text) if each]


def _is_formula(text: str, names: Collection[str]) -> bool:
    if text in names:
        return True
    if not text.isascii():  # names are ASCII
        return False
    try:
        (node,) = ast.parse(text).body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return False
    if not isinstance(node, ast.Expr | ast.Assign):
        return False
    value = node.value.operand if isinstance(node.value, ast.UnaryOp) else node.value
    parts = value.values if isinstance(value, ast.BoolOp) else [value]
    if all(isinstance(part, _WORDS) for part in parts):
        return False
    inner = [*ast.walk(node)]
    known = all(type(each) in RULES for each in inner if isinstance(each, ast.expr))
    return known and not any(isinstance(each, _FOREIGN) for each in inner)


_WORDS = (ast.Name, ast.Constant, ast.List, ast.Tuple)
"""What is a word, a number, a list of numbers or an interval, and no formula; nor are several of them
with `and` or `or` between them.
"""
_FOREIGN = (ast.Is, ast.IsNot, ast.In, ast.NotIn)
"""Comparisons that expressions do not have, but sentences."""
