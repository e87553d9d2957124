"""How an expression was understood: its own text on one line, with parentheses where precedence surprises people."""

import ast
import re
from collections.abc import Callable, Iterator

Position = Callable[[int, int], int]
"""From a line, counted from 1, and a column in UTF-8 bytes to the place in the text."""

_PRODUCTS = ast.Mult | ast.Div | ast.FloorDiv | ast.Mod | ast.MatMult
_BITS = ast.BitAnd | ast.BitOr | ast.BitXor
_BREAK = re.compile(r"""("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|\s*(?:#[^\n]*\n|\n)\s*""")
"""A string, which stays, or a line break with its comment, which becomes one space."""


def understood(text: str, tree: ast.Module, position: Position) -> str:
    """The statements of `tree`, the syntax tree of `text`, on one line."""
    return "; ".join(_statement(text, statement, position) for statement in tree.body)


def _statement(text: str, statement: ast.stmt, position: Position) -> str:
    def start(node: ast.expr | ast.stmt) -> int:
        return position(node.lineno, node.col_offset)

    def stop(node: ast.expr | ast.stmt) -> int:
        return position(node.end_lineno or 0, node.end_col_offset or 0)

    def bracketed(parent: ast.expr, child: ast.expr, side: str) -> bool:
        """A node's own brackets are no part of it, but those of its operands are."""
        before = side != "right" and (side == "middle" or start(parent) < start(child))
        after = side != "left" and (side == "middle" or stop(parent) > stop(child))
        return (before and text[: start(child)].rstrip().endswith("(")) or (
            after and text[stop(child) :].lstrip().startswith(")")
        )

    marks: list[tuple[int, str]] = []
    for parent in ast.walk(statement):
        for child, side in _operands(parent):
            if _surprises(parent, child, side) and not bracketed(parent, child, side):  # type: ignore[arg-type]
                marks += [(start(child), "("), (stop(child), ")")]
    pieces, done = [], start(statement)
    for place, mark in sorted(marks):
        pieces += [text[done:place], mark]
        done = place
    pieces.append(text[done : stop(statement)])
    return _BREAK.sub(lambda found: found[1] or " ", "".join(pieces))


def _operands(node: ast.AST) -> Iterator[tuple[ast.expr, str]]:
    """The operands that `node` binds by precedence, and on which side of its operator each stands."""
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
    """Whether a reader may take `child`, unbracketed, for something else than one operand of `parent`."""
    match parent, child:
        case (ast.UnaryOp(), ast.BinOp(op=ast.Pow())) | (ast.BinOp(op=ast.Pow()), ast.BinOp(op=ast.Pow())):
            return True
        case (ast.Compare(), ast.BinOp(op=op)):
            return isinstance(op, _BITS)
        case (ast.IfExp(), ast.BinOp() | ast.Compare()):
            return True
        case (ast.BinOp(op=ast.Mod() | ast.FloorDiv()), ast.UnaryOp()):
            return side == "left"
        case (ast.BinOp(op=outer), ast.BinOp(op=inner)):
            if isinstance(outer, _PRODUCTS) and isinstance(inner, _PRODUCTS):
                safe = (isinstance(outer, ast.Mult | ast.Div) and isinstance(inner, ast.Mult)) or (
                    isinstance(outer, ast.MatMult) and isinstance(inner, ast.MatMult)
                )
                return not safe
            return isinstance(outer, _BITS) and type(inner) is not type(outer)
    return False
