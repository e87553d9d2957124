"""The canonical text of an expression: its own on one line, with parentheses for clarity."""

import ast
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

Extent = Callable[[Any], tuple[int, int]]
"""Maps a node of a syntax tree to its first character in the text, and to the one after its last."""

_PRODUCTS = ast.Mult | ast.Div | ast.FloorDiv | ast.Mod | ast.MatMult
_BITS = ast.BitAnd | ast.BitOr | ast.BitXor
_BREAK = re.compile(r"""("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|\s*(?:#[^\n]*\n|\n)\s*""")
"""A string, which is kept, or a line break with its comment, which becomes one space."""
_MAY_SURPRISE = re.compile(r"\*\*|[/%@&|^~<>=!]|\bif\b")
"""Without these a text has only sums and products, which nobody misreads."""


def canonical_text(text: str, tree: ast.Module, nodes: Iterable[ast.AST], extent: Extent) -> str:
    """The statements of `tree`, parsed from `text`; `nodes` are at least those with operands."""
    marks = _marks(text, nodes, extent) if _MAY_SURPRISE.search(text) else []
    return "; ".join(_statement(text, extent(statement), marks) for statement in tree.body)


def _marks(text: str, nodes: Iterable[ast.AST], extent: Extent) -> list[tuple[int, str]]:
    """The parentheses that are missing, and their places, in the order of the text."""

    def bracketed(parent: ast.AST, child: ast.expr, side: str) -> bool:
        """Whether `child` is in brackets: a node does not include its own, but its operands'."""
        (start, stop), (first, last) = extent(child), extent(parent)
        before = side == "middle" or (side == "left" and first < start)
        after = side == "middle" or (side == "right" and last > stop)
        opened = before and text[:start].rstrip().endswith("(")
        return opened or (after and text[stop:].lstrip().startswith(")"))

    marks: list[tuple[int, str]] = []
    for parent in dict.fromkeys(nodes):  # a node may have become several steps
        for child, side in _operands(parent):
            if _surprises(parent, child, side) and not bracketed(parent, child, side):
                marks += zip(extent(child), "()", strict=True)
    return sorted(marks)


def _statement(text: str, extent: tuple[int, int], marks: Sequence[tuple[int, str]]) -> str:
    pieces, (done, end) = [], extent
    for place, mark in marks:
        if done <= place <= end:
            pieces += [text[done:place], mark]
            done = place
    pieces.append(text[done:end])
    return one_line("".join(pieces))


def one_line(text: str) -> str:
    """A text without its line breaks and comments; the beginning of one, up to any token, is the
    beginning of what the whole gives.
    """
    return _BREAK.sub(lambda found: found[1] or " ", text)


def _operands(node: ast.AST) -> Iterator[tuple[ast.expr, str]]:
    """The operands that `node` binds by precedence, and on which side of its operator each is."""
    match node:
        case ast.UnaryOp():
            yield node.operand, "right"
        case ast.BinOp():
            yield node.left, "left"
            yield node.right, "right"
        case ast.Compare():
            yield node.left, "left"
            for operand in node.comparators[:-1]:
                yield operand, "middle"
            yield node.comparators[-1], "right"
        case ast.IfExp():
            yield node.body, "left"
            yield node.orelse, "right"


def _surprises(parent: ast.AST, child: ast.expr, side: str) -> bool:
    """Whether people may misread `child`, without parentheses, as an operand of `parent`."""
    match parent, child:
        case (ast.UnaryOp() | ast.BinOp(op=ast.Pow()), ast.BinOp(op=ast.Pow())):
            return True
        case (ast.Compare(), ast.BinOp(op=op)):
            return isinstance(op, _BITS)
        case (ast.IfExp(), ast.BinOp() | ast.Compare()):
            return True
        case (ast.BinOp(op=ast.Mod() | ast.FloorDiv()), ast.UnaryOp()):
            return side == "left"
        case (ast.BinOp(op=ast.Mult() | ast.Div()), ast.BinOp(op=ast.Mult())):
            return False
        case (ast.BinOp(op=ast.MatMult()), ast.BinOp(op=ast.MatMult())):
            return False
        case (ast.BinOp(op=outer), ast.BinOp(op=inner)):
            products = isinstance(outer, _PRODUCTS) and isinstance(inner, _PRODUCTS)
            return products or (isinstance(outer, _BITS) and type(inner) is not type(outer))
    return False
